package egress_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	open := egress.Policy{}
	office := egress.Policy{
		Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")},
		Deny:  []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")},
	}
	for _, c := range []struct {
		policy  egress.Policy
		address string
		allowed bool
	}{
		{open, "127.0.0.1", true},
		{open, "::1", true},
		{open, "10.1.2.3", true},
		{open, "fd12:3456::1", true},
		{open, "93.184.216.34", true},
		{open, "0.0.0.0", false},
		{open, "::", false},
		{open, "169.254.169.254", false},
		{open, "169.254.1.1", false},
		{open, "fe80::1", false},
		{open, "fe80::1%eth0", false},
		{open, "fd00:ec2::254", false},
		{open, "100.100.100.200", false},
		{open, "168.63.129.16", false},
		{open, "224.0.0.1", false},
		{open, "ff02::1", false},
		{open, "255.255.255.255", false},
		{open, "::ffff:169.254.169.254", false}, // IPv4-mapped
		{open, "64:ff9b::a9fe:a9fe", false},     // NAT64
		{open, "2002:a9fe:a9fe::1", false},      // 6to4
		{open, "::a9fe:a9fe", false},            // IPv4-compatible
		{open, "64:ff9b::5db8:d822", true},      // NAT64 of a public address
		{open, "2001:0:4136:e378::a9fe", false}, // Teredo
		{open, "64:ff9b:1::a9fe:a9fe", false},   // local-use NAT64
		{office, "10.1.2.3", true},
		{office, "10.9.2.3", false},
		{office, "::ffff:10.9.2.3", false},
		{office, "127.0.0.1", false},
		{office, "169.254.169.254", false}, // no policy allows it
	} {
		err := c.policy.Check(netip.MustParseAddr(c.address))
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v", c.address, err)
		}
		if err != nil && (odcm.KindOf(err) != odcm.Invalid || odcm.CodeOf(err) != "egress.denied") {
			t.Errorf("%s: kind %s, code %s", c.address, odcm.KindOf(err), odcm.CodeOf(err))
		}
	}
}

// client makes a client of a guard of its own.
func client(t *testing.T, policy egress.Policy, limits egress.Limits, settings egress.TLS) *http.Client {
	t.Helper()
	guard := egress.New(policy, limits)
	t.Cleanup(guard.CloseIdle)
	c, err := guard.Client(settings)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func wantCode(t *testing.T, err error, kind odcm.Kind, code string, words ...string) {
	t.Helper()
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got %v (%s, %s), want %s, %s", err, odcm.KindOf(err), odcm.CodeOf(err), kind, code)
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("the message does not say %q: %s", w, e.Message)
		}
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// startTLS starts a server that keeps failed handshakes, which these tests mean to make, to itself.
func startTLS(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestDeniedAddressIsNotDialled(t *testing.T) {
	t.Parallel()
	var dialled atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialled.Store(true) }))
	t.Cleanup(s.Close)
	policy := egress.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	each(t, func(t *testing.T, ask ask) {
		// By address and by a name that means it: the check is on what is dialled, so what a name says elsewhere is no way in.
		for _, host := range []string{"127.0.0.1", "localhost"} {
			_, err := ask(t, policy, egress.Limits{}, egress.TLS{}, strings.Replace(s.URL, "127.0.0.1", host, 1))
			wantCode(t, err, odcm.Invalid, "egress.denied", "policy")
		}
		if dialled.Load() {
			t.Error("the server was asked")
		}
		_, err := ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{}, "http://169.254.169.254/latest/meta-data/")
		wantCode(t, err, odcm.Invalid, "egress.denied", "link-local")
	})
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	leaked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { leaked = true }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, elsewhere.URL+"/sign-in?token=secret", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/here", "/post":
			http.Redirect(w, r, "/there", http.StatusFound)
		default:
			hello(w, r)
		}
	}))
	defer s.Close()
	c := client(t, egress.Policy{}, egress.Limits{}, egress.TLS{})
	if b, err := get(t, c, s.URL+"/here"); err != nil || b != "hello" {
		t.Errorf("within the origin: %q %v", b, err)
	}
	_, err := get(t, c, s.URL+"/elsewhere")
	wantCode(t, err, odcm.Invalid, "egress.redirect", elsewhere.URL+"/sign-in")
	var e *odcm.Error
	if leaked || errors.As(err, &e) && strings.Contains(e.Message, "secret") {
		t.Errorf("followed, or shown: %v", err)
	}
	_, err = get(t, c, s.URL+"/loop")
	wantCode(t, err, odcm.Invalid, "egress.redirect", "again and again")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/post", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(r)
	wantCode(t, err, odcm.Invalid, "egress.redirect", "/there")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := startTLS(t)
	cert := s.Certificate()
	two := sha256.Sum256(cert.Raw)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	one := egress.Thumbprint(cert)
	spaced := strings.ToLower(one[:2] + ":" + one[2:20] + " " + one[20:])

	each(t, func(t *testing.T, ask ask) {
		_, err := ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{}, s.URL)
		wantCode(t, err, odcm.Unavailable, "egress.tls", "Acme Co", "Give that authority's certificate", one)

		for name, settings := range map[string]egress.TLS{"own authority": {CA: ca}, "SHA-1": {Thumbprint: one}, "SHA-1 as copied": {Thumbprint: spaced}, "SHA-256": {Thumbprint: hex.EncodeToString(two[:])}} {
			if b, err := ask(t, egress.Policy{}, egress.Limits{}, settings, s.URL); err != nil || b != "hello" {
				t.Errorf("%s: %q %v", name, b, err)
			}
		}

		_, err = ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{Thumbprint: strings.Repeat("AB", 20)}, s.URL)
		wantCode(t, err, odcm.Unavailable, "egress.tls", "not the pinned one", one)
		_, err = ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{CA: ca}, strings.Replace(s.URL, "127.0.0.1", "localhost", 1))
		wantCode(t, err, odcm.Unavailable, "egress.tls", "not for that name", "example.com")
	})
}

func TestTLSSettingsAreChecked(t *testing.T) {
	t.Parallel()
	guard := egress.New(egress.Policy{}, egress.Limits{})
	for field, settings := range map[string]egress.TLS{"ca": {CA: "-----BEGIN NOTHING-----"}, "thumbprint": {Thumbprint: "12345"}} {
		_, byClient := guard.Client(settings)
		_, byDial := guard.Dial(t.Context(), settings, &url.URL{Scheme: "https", Host: "127.0.0.1:1"})
		for _, err := range []error{byClient, byDial} {
			var e *odcm.Error
			if !errors.As(err, &e) || e.Kind != odcm.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
}

func TestPlainServerAskedForTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(hello))
	t.Cleanup(s.Close)
	each(t, func(t *testing.T, ask ask) {
		_, err := ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{}, strings.Replace(s.URL, "http:", "https:", 1))
		wantCode(t, err, odcm.Unavailable, "egress.tls", "http://")
	})
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	each(t, func(t *testing.T, ask ask) {
		_, err := ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{}, "http://"+address)
		wantCode(t, err, odcm.Unavailable, "egress.refused", address, "running")
		_, err = ask(t, egress.Policy{}, egress.Limits{}, egress.TLS{}, "http://no-such-host.invalid")
		wantCode(t, err, odcm.Unavailable, "egress.dns", "no-such-host.invalid")
	})
}

func TestSilentServer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(release)
	_, err := get(t, client(t, egress.Policy{}, egress.Limits{Header: 20 * time.Millisecond}, egress.TLS{}), s.URL)
	wantCode(t, err, odcm.Unavailable, "egress.timeout", "in time")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, egress.Policy{}, egress.Limits{}, egress.TLS{}).Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled request: %v", err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
		switch r.URL.RawQuery {
		case "announced":
			w.Header().Set("Content-Length", fmt.Sprint(n))
		case "bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			_, _ = io.CopyN(z, zeros{}, int64(n))
			return
		default:
			w.(http.Flusher).Flush()
		}
		_, _ = io.CopyN(w, zeros{}, int64(n))
	}))
	defer s.Close()
	c := client(t, egress.Policy{}, egress.Limits{Body: 1000}, egress.TLS{})
	for _, way := range []string{"announced", "chunked", "bomb"} {
		if b, err := get(t, c, s.URL+"/1000?"+way); err != nil || len(b) != 1000 {
			t.Errorf("%s: %d bytes, %v", way, len(b), err)
		}
		b, err := get(t, c, s.URL+"/1001?"+way)
		wantCode(t, err, odcm.Invalid, "egress.too-large", "1000")
		if len(b) > 1000 {
			t.Errorf("%s: %d bytes were given", way, len(b))
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	connections := make(chan struct{}, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections <- struct{}{}
		}
	}
	s.Start()
	defer s.Close()
	guard := egress.New(egress.Policy{}, egress.Limits{})
	defer guard.CloseIdle()
	for range 5 {
		c, err := guard.Client(egress.TLS{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get(t, c, s.URL); err != nil {
			t.Fatal(err)
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections", len(connections))
	}
}

func TestHTTP2IsSpoken(t *testing.T) {
	t.Parallel()
	s := startTLS(t)
	c := client(t, egress.Policy{}, egress.Limits{}, egress.TLS{Thumbprint: egress.Thumbprint(s.Certificate())})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("spoke %s", res.Proto)
	}
}
