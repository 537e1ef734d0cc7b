package test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"odcm/kit/egress"
)

// fakeKey is accepted by every [fakeOctopus].
const fakeKey = "API-THEKEYOFTHEIRADMINISTRATOR"

// fakeOctopus answers what proving and enlisting ask for, as its fields say. It can be worse than any real server.
type fakeOctopus struct {
	installation string
	version      string // "2026.1.7" if empty
	spaces       string // JSON; one Space if empty
	second       string // a key that is accepted too
	powerless    bool   // the key's user may see no Space
	forbids      bool   // even to read permissions

	mu   sync.Mutex
	made []json.RawMessage // subscriptions
}

func (o *fakeOctopus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer := func(status int, body string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	if r.URL.Path == "/api" {
		answer(200, `{"Application":"Octopus Deploy","Version":"`+or(o.version, "2026.1.7")+`","ApiVersion":"3.0.0","InstallationId":"`+o.installation+`","Links":{"Self":"/api"}}`)
		return
	}
	if r.URL.Path == "/api/octopusservernodes/ping" {
		answer(200, `{}`)
		return
	}
	if key := r.Header.Get("X-Octopus-ApiKey"); key != fakeKey && (o.second == "" || key != o.second) {
		answer(401, `{"ErrorMessage":"You must be logged in to perform this action. Please provide a valid API key or log in again."}`)
		return
	}
	switch {
	case r.URL.Path == "/api/users/me":
		answer(200, `{"Id":"Users-1","Username":"theirs","DisplayName":"Theirs","IsActive":true}`)
	case r.URL.Path == "/api/users/Users-1/permissions" && o.forbids:
		answer(403, `{"ErrorMessage":"You do not have permission to perform this action. Please contact your Octopus administrator. Missing permission: UserView"}`)
	case r.URL.Path == "/api/users/Users-1/permissions":
		answer(200, `{"Id":"Users-1","SystemPermissions":["AdministerSystem"],"SpacePermissions":{},"IsPermissionsComplete":true,"IsTeamsComplete":true}`)
	case r.URL.Path == "/api/spaces/all" && o.powerless:
		answer(200, `[]`)
	case r.URL.Path == "/api/spaces/all":
		answer(200, or(o.spaces, `[{"Id":"Spaces-1","Name":"Default","IsDefault":true}]`))
	case r.URL.Path == "/api/users":
		answer(200, `{"ItemType":"User","TotalResults":1,"ItemsPerPage":100,"Items":[{"Id":"Users-1","Username":"theirs","DisplayName":"Theirs","IsActive":true}]}`)
	case strings.HasSuffix(r.URL.Path, "/subscriptions") && r.Method == "POST":
		b, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		o.made = append(o.made, b)
		o.mu.Unlock()
		answer(201, strings.Replace(string(b), "{", `{"Id":"Subscriptions-1",`, 1))
	case strings.HasSuffix(r.URL.Path, "/subscriptions"):
		o.mu.Lock()
		defer o.mu.Unlock()
		items := []json.RawMessage{}
		for _, m := range o.made {
			items = append(items, json.RawMessage(strings.Replace(string(m), "{", `{"Id":"Subscriptions-1",`, 1)))
		}
		b, _ := json.Marshal(map[string]any{"ItemType": "Subscription", "TotalResults": len(items), "ItemsPerPage": 100, "Items": items})
		answer(200, string(b))
	default:
		answer(404, `{"ErrorMessage":"The resource you requested was not found."}`)
	}
}

func (o *fakeOctopus) subscriptions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.made)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// serve starts a server for the length of the test.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections() // some answers never end
		s.Close()
	})
	return s.URL
}

// serveTLS starts one with a certificate that no authority of this machine vouches for.
func serveTLS(t testing.TB, h http.Handler) (url, ca, thumbprint string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are the point
	s.StartTLS()
	t.Cleanup(s.Close)
	cert := s.Certificate()
	return s.URL, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})), egress.Thumbprint(cert)
}

// refused is an address where nothing listens.
func refused(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func webPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<!doctype html><title>Welcome to our wiki</title>")
}

func otherJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"name":"elsewhere","version":{"number":"8.1.0"},"tagline":"You Know, for Search"}`)
}

func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// dripping sends a byte now and then for ever, so that no single read waits for long.
func dripping(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "{")
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, " ")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// huge is JSON without an end in sight.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"Application":"`)
	for range 160 {
		if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, `"}`)
}

func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "3600")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// nameServer answers that metadata.test is the address of every cloud's metadata service, and that there is no other name.
func nameServer(t testing.TB) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			switch known := q.Name.String() == "metadata.test."; {
			case known && q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
					Body: &dnsmessage.AResource{A: [4]byte{169, 254, 169, 254}}}}
			case !known:
				m.RCode = dnsmessage.RCodeNameError
			}
			if answer, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}
