package monitoroctopus_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitoroctopus"
	"odcm/octopus/octoclient"
)

// patience is for a machine that is busy with something else.
const patience = 20 * time.Second

// watching makes a prober that holds connections; lost gives the instances whose connection was lost.
func watching(t *testing.T) (*monitoroctopus.Prober, <-chan odcm.InstanceID) {
	t.Helper()
	p := monitoroctopus.New(egress.New(egress.Policy{}, egress.Limits{}), octoclient.NewBudgets(octoclient.Limits{}))
	lost := make(chan odcm.InstanceID, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Watch(ctx, func(id odcm.InstanceID) { lost <- id }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err == nil {
			t.Error("Watch returned nil")
		}
	})
	return p, lost
}

func to(url string) monitor.Target {
	return monitor.Target{Instance: "instance-1", URL: url, Revision: 1, Key: func(context.Context) (string, error) { return key, nil }}
}

// hold pings until the server sees a connection used again: the line is there.
func hold(t *testing.T, p *monitoroctopus.Prober, target monitor.Target, again *atomic.Int64) {
	t.Helper()
	for limit := time.Now().Add(patience); again.Load() == 0; {
		if _, err := p.Ping(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(limit) {
			t.Fatal("no connection is used twice")
		}
	}
}

// counted is a server that counts its connections, and the requests that came on one that was used before.
func counted(t *testing.T, secure bool) (server *httptest.Server, connections, again *atomic.Int64) {
	t.Helper()
	connections, again = new(atomic.Int64), new(atomic.Int64)
	var mu sync.Mutex
	used := map[string]bool{}
	o := &octopus{}
	o.ping.Store(200)
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if used[r.RemoteAddr] {
			again.Add(1)
		}
		used[r.RemoteAddr] = true
		mu.Unlock()
		o.ServeHTTP(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, connections, again
}

func TestALineIsHeldAndItsLossIsTold(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			t.Parallel()
			p, lost := watching(t)
			server, connections, again := counted(t, secure)
			target := to(server.URL)
			if secure {
				target.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			}
			hold(t, p, target, again)
			before := connections.Load()
			for range 5 {
				pong, err := p.Ping(t.Context(), target)
				if err != nil || pong.Code != 200 || pong.Skew == nil || pong.Skew.Abs() > 5*time.Second {
					t.Fatalf("%+v, %v", pong, err)
				}
				if c := pong.Certificate; secure && (c == nil || !c.NotAfter.Equal(server.Certificate().NotAfter) || !strings.Contains(c.Subject, "Acme")) {
					t.Errorf("certificate %+v", c)
				}
			}
			if _, err := p.Inspect(t.Context(), target, monitor.Detail{}, monitor.Whole); err != nil {
				t.Fatal(err)
			}
			if connections.Load() != before {
				t.Errorf("%d connections more for pings and questions", connections.Load()-before)
			}
			server.CloseClientConnections()
			select {
			case id := <-lost:
				if id != target.Instance {
					t.Errorf("lost %s", id)
				}
			case <-time.After(patience):
				t.Fatal("nobody told that the connection was lost")
			}
			if _, err := p.Ping(t.Context(), target); err != nil {
				t.Errorf("after the loss: %v", err)
			}
		})
	}
}

// A line takes no other certificate than the one that the guard accepted.
func TestAnotherCertificate(t *testing.T) {
	t.Parallel()
	p, _ := watching(t)
	server, _, again := counted(t, true)
	target := to(server.URL)
	target.Thumbprint = egress.Thumbprint(server.Certificate())
	hold(t, p, target, again)
	address := server.Listener.Addr().String()
	server.Close()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	other.Listener.Close()
	other.Listener = l
	other.TLS = &tls.Config{Certificates: []tls.Certificate{impostor(t)}, MinVersion: tls.VersionTLS12}
	other.StartTLS()
	defer other.Close()
	var failed error
	for range 3 { // the line fails first, then the guard says why
		if _, failed = p.Ping(t.Context(), target); failed == nil {
			t.Fatal("another certificate was taken")
		}
	}
	if !strings.Contains(failed.Error(), "not the pinned one") {
		t.Errorf("%v", failed)
	}
}

// impostor is another certificate for the same names.
func impostor(t *testing.T) tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// raw is a server that answers with what write does, whatever it is asked.
func raw(t *testing.T, write func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					write(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestServersThatMisbehave(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		write func(net.Conn)
		kind  odcm.Kind // of the error; "" for an answer
		code  int
	}{
		"hangs": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, odcm.Unavailable, 0},
		"drips": {func(c net.Conn) {
			for _, b := range []byte(head + strings.Repeat("x", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, odcm.Unavailable, 0},
		"an endless body": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n")
			for {
				if _, err := io.WriteString(c, "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n"); err != nil {
					return
				}
			}
		}, "", 200},
		"endless headers": {func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			for {
				if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, odcm.Unavailable, 0},
		"no HTTP":      {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n"); c.Close() }, odcm.Unavailable, 0},
		"says nothing": {func(c net.Conn) { c.Close() }, odcm.Unavailable, 0},
		"closes each": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Connection: close\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		}, "", 200},
		"hangs up": {func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 0\r\n\r\n"); c.Close() }, "", 200},
		"interim answers": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"+head+"Content-Length: 0\r\n\r\n")
		}, "", 200},
		"redirects": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n")
		}, "", 302},
		"limits": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n") }, "", 429},
		"more than was asked": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Content-Length: 0\r\n\r\n"+head+"Content-Length: 0\r\n\r\n")
		}, "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := watching(t)
			target := to(raw(t, c.write))
			for range 4 { // through the guard, and over the line where there is one
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				if c.kind != "" {
					cancel()
					ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
				}
				began := time.Now()
				pong, err := p.Ping(ctx, target)
				cancel()
				if odcm.KindOf(err) != c.kind || pong.Code != c.code {
					t.Errorf("%+v, %v; want %q, %d", pong, err, c.kind, c.code)
				}
				if took := time.Since(began); took > patience {
					t.Errorf("it took %v", took)
				}
				if name == "redirects" && pong.To != "https://elsewhere.example/" {
					t.Errorf("redirects to %q", pong.To)
				}
			}
			if c.kind == "" {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := p.Inspect(ctx, target, monitor.Detail{}, monitor.Quick); name != "redirects" && err == nil {
					t.Error("what is no Octopus server told of itself")
				}
			}
		})
	}
}

// Many Spaces on one host take a bounded number of connections; who finds no place has an answer in time, and the others theirs
// when places are free again.
func TestOneHostIsNotFlooded(t *testing.T) {
	t.Parallel()
	const spaces, places = 300, 64 + 1 // the first Space shares with nobody when it is pinged
	var now, most atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1) // before the answer is sent
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		<-release
	}))
	t.Cleanup(server.Close)
	p, _ := watching(t)
	space := func(i int) monitor.Target {
		target := to(fmt.Sprintf("%s/%d", server.URL, i))
		target.Instance = odcm.InstanceID(fmt.Sprint(i))
		return target
	}
	var wg sync.WaitGroup
	for i := range spaces {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			if pong, err := p.Ping(ctx, space(i)); err != nil || pong.Code != 200 {
				t.Errorf("%+v, %v", pong, err)
			}
		})
	}
	for limit := time.Now().Add(patience); now.Load() < places; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Errorf("%d requests at once", now.Load())
			break
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Ping(ctx, space(spaces)); odcm.KindOf(err) != odcm.Unavailable || !strings.Contains(err.Error(), "wait there already") {
		t.Errorf("without a place: %v", err)
	}
	close(release)
	wg.Wait()
	if most.Load() != places {
		t.Errorf("%d requests at once", most.Load())
	}
}

// What the guard denies no line reaches.
func TestTheGuardDecides(t *testing.T) {
	t.Parallel()
	p, _ := watching(t)
	for range 3 {
		if _, err := p.Ping(t.Context(), to("http://169.254.169.254")); odcm.CodeOf(err) != "egress.denied" {
			t.Errorf("%v", err)
		}
	}
}
