package egress_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
)

// ask asks a server that is at the address, and returns its answer.
type ask func(t *testing.T, policy egress.Policy, limits egress.Limits, settings egress.TLS, address string) (string, error)

// ways are those on which a guard asks a server: by its client, and over a connection that it dialled. The same rules hold.
var ways = map[string]ask{
	"client": func(t *testing.T, p egress.Policy, l egress.Limits, s egress.TLS, at string) (string, error) {
		t.Helper()
		return get(t, client(t, p, l, s), at)
	},
	"dial": func(t *testing.T, p egress.Policy, l egress.Limits, s egress.TLS, at string) (string, error) {
		t.Helper()
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := egress.New(p, l).Dial(ctx, s, u)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+u.Host+"\r\n\r\n"); err != nil {
			return "", err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	},
}

// each runs the test on every way.
func each(t *testing.T, test func(*testing.T, ask)) {
	t.Helper()
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, ask)
		})
	}
}

// A server that takes connections and says nothing does not keep whoever dials it waiting in the handshake.
func TestSilentHandshake(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	each(t, func(t *testing.T, ask ask) {
		_, err := ask(t, egress.Policy{}, egress.Limits{Handshake: 20 * time.Millisecond}, egress.TLS{}, "https://"+l.Addr().String())
		wantCode(t, err, odcm.Unavailable, "egress.timeout", "in time")
	})
}

func TestDialling(t *testing.T) {
	t.Parallel()
	guard := egress.New(egress.Policy{}, egress.Limits{})
	_, err := guard.Dial(t.Context(), egress.TLS{}, &url.URL{Scheme: "ftp", Host: "127.0.0.1"})
	wantCode(t, err, odcm.Invalid, "egress.failed", "https://")
	_, err = guard.Dial(t.Context(), egress.TLS{}, &url.URL{Scheme: "http", Host: "bücher.invalid"})
	wantCode(t, err, odcm.Unavailable, "egress.dns", "bücher.invalid")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guard.Dial(ctx, egress.TLS{}, &url.URL{Scheme: "http", Host: "127.0.0.1:1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// A connection that was dialled speaks HTTP/1.1 also where the server could do more.
func TestDialSpeaksHTTP1(t *testing.T) {
	t.Parallel()
	s := startTLS(t)
	got, err := ways["dial"](t, egress.Policy{}, egress.Limits{}, egress.TLS{Thumbprint: egress.Thumbprint(s.Certificate())}, s.URL)
	if err != nil || !strings.Contains(got, "hello") {
		t.Errorf("%q, %v", got, err)
	}
}
