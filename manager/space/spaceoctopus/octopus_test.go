package spaceoctopus_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/space"
	"odcm/manager/space/spaceoctopus"
	"odcm/octopus"
	"odcm/octopus/octoclient"
)

const key = "API-GOOD"

// server answers as Octopus does, in as far as proving and subscriptions need it.
type server struct {
	version     string
	permissions string
	spaces      string
	stored      map[string]json.RawMessage // subscriptions by id
}

func good() *server {
	return &server{version: "2025.4.1234", permissions: `{"SystemPermissions":["AdministerSystem"],"SpacePermissions":{}}`,
		spaces: `[{"Id":"Spaces-1","Name":"Default","IsDefault":true},{"Id":"Spaces-2","Name":"Second","Description":"d"}]`, stored: map[string]json.RawMessage{}}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(status int, body string) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	if r.URL.Path == "/api" {
		answer(200, `{"Application":"Octopus Deploy","Version":"`+s.version+`","ApiVersion":"3.0.0","InstallationId":"installation-1"}`)
		return
	}
	if r.Header.Get("X-Octopus-ApiKey") != key {
		answer(401, `{"ErrorMessage":"You must be logged in to request this resource."}`)
		return
	}
	const subscriptions = "/api/Spaces-2/subscriptions"
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, subscriptions), "/")
	switch {
	case r.URL.Path == "/api/users/me":
		answer(200, `{"Id":"Users-1","Username":"admin"}`)
	case r.URL.Path == "/api/users/Users-1/permissions":
		answer(200, s.permissions)
	case r.URL.Path == "/api/spaces/all":
		answer(200, s.spaces)
	case r.URL.Path == "/api/Spaces-1/subscriptions":
		answer(403, `{"ErrorMessage":"You do not have permission to perform this action. Please contact your Octopus administrator. Missing permission: SubscriptionView"}`)
	case r.Method == "GET" && r.URL.Path == subscriptions:
		var items []json.RawMessage
		for _, o := range s.stored {
			items = append(items, o)
		}
		b, _ := json.Marshal(map[string]any{"ItemType": "Subscription", "TotalResults": len(items), "Items": append([]json.RawMessage{}, items...)})
		answer(200, string(b))
	case r.Method == "POST" && r.URL.Path == subscriptions:
		b, _ := io.ReadAll(r.Body)
		o, _ := octopus.ParseObject(b)
		o.Set("Id", "Subscriptions-1")
		s.stored["Subscriptions-1"], _ = o.MarshalJSON()
		answer(201, string(s.stored["Subscriptions-1"]))
	case r.Method == "PUT" && s.stored[id] != nil:
		s.stored[id], _ = io.ReadAll(r.Body)
		answer(200, string(s.stored[id]))
	case r.Method == "DELETE" && s.stored[id] != nil:
		delete(s.stored, id)
		answer(200, `{}`)
	default:
		answer(404, `{"ErrorMessage":"The resource you requested was not found."}`)
	}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func adapter() *spaceoctopus.Adapter {
	return spaceoctopus.New(spaceoctopus.Options{Client: octoclient.Options{Attempts: 1}})
}

func TestProve(t *testing.T) {
	t.Parallel()
	s := good()
	url := serve(t, s)
	a := adapter()
	t.Run("tells who the server is", func(t *testing.T) {
		p, err := a.Prove(t.Context(), space.Connection{URL: strings.ToUpper(url[:4]) + url[4:] + "/app#/Spaces-1/projects", APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		if p.URL != url || p.InstallationID != "installation-1" || p.Version != "2025.4.1234" || p.User != "admin" || !p.Administrator ||
			len(p.Spaces) != 2 || !p.Spaces[0].Default || p.Spaces[1].Description != "d" || len(p.Spaces[0].Lacks) != 0 {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("tells what the key lacks in which Space", func(t *testing.T) {
		limited := good()
		limited.permissions = `{"SystemPermissions":["SpaceView"],"SpacePermissions":{"SubscriptionView":[{"SpaceId":"Spaces-2"}],"SubscriptionCreate":[{"SpaceId":"Spaces-2"}],
			"SubscriptionEdit":[{"SpaceId":"Spaces-2"}],"SubscriptionDelete":[{"SpaceId":"Spaces-2","RestrictedToProjectIds":["Projects-1"]}]}}`
		p, err := a.Prove(t.Context(), space.Connection{URL: serve(t, limited), APIKey: key})
		if err != nil || p.Administrator || len(p.Spaces[0].Lacks) != 4 || len(p.Spaces[1].Lacks) != 1 || p.Spaces[1].Lacks[0] != "SubscriptionDelete" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("agrees with the client on the oldest version", func(t *testing.T) {
		if space.MinVersion != octoclient.MinimumVersion {
			t.Errorf("the room says %s, the client %s", space.MinVersion, octoclient.MinimumVersion)
		}
	})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	url := serve(t, good())
	old := good()
	old.version = "2018.9.17"
	secure := httptest.NewTLSServer(good())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = nil
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Welcome to nginx!</html>")
	})
	status := func(n int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) })
	}
	conn := func(url string) space.Connection { return space.Connection{URL: url, APIKey: key} }
	trusting := func(url string, tls space.TLS) space.Connection {
		return space.Connection{URL: url, APIKey: key, TLS: tls}
	}
	for _, c := range []struct {
		name        string
		in          space.Connection
		kind        odcm.Kind
		code, field string
	}{
		{"no URL", conn("http://"), odcm.Invalid, "space.url-invalid", "url"},
		{"a URL of another scheme", conn("ftp://octopus.test"), odcm.Invalid, "space.url-invalid", "url"},
		{"a password in the URL", conn("https://u:p@octopus.test"), odcm.Invalid, "space.url-invalid", "url"},
		{"a web page", conn(serve(t, page)), odcm.Invalid, "space.not-octopus", "url"},
		{"another program's JSON", conn(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"version":"1"}`) }))), odcm.Invalid, "space.not-octopus", "url"},
		{"not found", conn(serve(t, status(404))), odcm.Invalid, "space.not-octopus", "url"},
		{"nobody there", conn(nobody), odcm.Unavailable, "space.unreachable", "url"},
		{"starting or broken", conn(serve(t, status(502))), odcm.Unavailable, "space.server-failed", "url"},
		{"a redirect to elsewhere", conn(serve(t, http.RedirectHandler(url+"/api", http.StatusFound))), odcm.Invalid, "space.redirected", "url"},
		{"a version that is too old", conn(serve(t, old)), odcm.Unsupported, "space.version-too-old", "url"},
		{"a wrong key", space.Connection{URL: url, APIKey: "API-WRONG"}, odcm.Invalid, "space.key-refused", "apiKey"},
		{"a key that is none", space.Connection{URL: url, APIKey: "API KEY\n"}, odcm.Invalid, "space.key-refused", "apiKey"},
		{"a certificate that does not verify", conn(secure.URL), odcm.Unavailable, "space.tls-untrusted", "url"},
		{"a certificate that is not the pinned one", trusting(secure.URL, space.TLS{Thumbprint: strings.Repeat("A1", 20)}), odcm.Unavailable, "space.tls-untrusted", "url"},
		{"a CA that is none", trusting(secure.URL, space.TLS{CA: "my certificate"}), odcm.Invalid, "space.ca-invalid", "ca"},
		{"a thumbprint that is none", trusting(secure.URL, space.TLS{Thumbprint: "12345"}), odcm.Invalid, "space.thumbprint-invalid", "thumbprint"},
		{"an address that gives secrets away", conn("http://169.254.169.254/"), odcm.Invalid, "space.address-refused", "url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := adapter().Prove(t.Context(), c.in)
			var e *odcm.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Code != c.code || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
				t.Errorf("got %v (%+v), want %s %s on %s", err, e, c.kind, c.code, c.field)
			}
			if err != nil && strings.Contains(err.Error(), string(c.in.APIKey)) {
				t.Errorf("the error holds the key: %v", err)
			}
		})
	}
	t.Run("own authority and pinned certificate are believed", func(t *testing.T) {
		for _, tls := range []space.TLS{{CA: ca}, {Thumbprint: egress.Thumbprint(secure.Certificate())}} {
			if _, err := adapter().Prove(t.Context(), trusting(secure.URL, tls)); err != nil {
				t.Errorf("%+v: %v", tls, err)
			}
		}
	})
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	s := good()
	c := space.Connection{URL: serve(t, s), APIKey: key}
	a, ctx := adapter(), context.Background()
	s.stored["Subscriptions-9"] = json.RawMessage(`{"Id":"Subscriptions-9","Name":"ODCM too"}`)
	var o octopus.Object
	o.Set("Name", "ODCM")
	put, err := a.PutSubscription(ctx, c, "Spaces-2", o)
	if err != nil || put.ID() != "Subscriptions-1" {
		t.Fatalf("got %v, %v", put, err)
	}
	put.Set("IsDisabled", true)
	if _, err := a.PutSubscription(ctx, c, "Spaces-2", put); err != nil {
		t.Fatal(err)
	}
	found, err := a.Subscriptions(ctx, c, "Spaces-2", "ODCM")
	if err != nil || len(found) != 1 || !found[0].Bool("IsDisabled") {
		t.Errorf("got %v, %v", found, err)
	}
	for range 2 { // twice is once
		if err := a.DeleteSubscription(ctx, c, "Spaces-2", "Subscriptions-1"); err != nil {
			t.Error(err)
		}
	}
	if len(s.stored) != 1 {
		t.Errorf("stored: %v", s.stored)
	}
	_, err = a.Subscriptions(ctx, c, "Spaces-1", "ODCM")
	if !errors.Is(err, odcm.E(odcm.Denied, "space.key-lacks-permission", "")) {
		t.Errorf("got %v", err)
	}
}
