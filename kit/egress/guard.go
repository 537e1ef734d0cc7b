package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"odcm"
)

// Limits bound what one request may take. Zero means the default in brackets.
type Limits struct {
	Dial        time.Duration // resolve and connect [5 s]
	Handshake   time.Duration // TLS [5 s]
	Header      time.Duration // from the request sent to the answer's first byte [60 s]; contexts bound the whole
	IdleConn    time.Duration // an unused connection is kept [90 s]
	IdlePerHost int           // that many of them [8]
	Body        int64         // bytes of an answer [64 MiB]
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Dial, 5*time.Second)
	orDefault(&l.Handshake, 5*time.Second)
	orDefault(&l.Header, time.Minute)
	orDefault(&l.IdleConn, 90*time.Second)
	orDefault(&l.IdlePerHost, 8)
	orDefault(&l.Body, 64<<20)
	return l
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Guard makes HTTP clients that keep to one policy. It is safe for concurrent use; a program needs one.
type Guard struct {
	policy Policy
	limits Limits

	mu         sync.Mutex
	transports map[TLS]*transport
}

// New makes a guard.
func New(policy Policy, limits Limits) *Guard {
	return &Guard{policy: policy, limits: limits.withDefaults(), transports: map[TLS]*transport{}}
}

// Client returns an HTTP client for servers with these TLS settings. Clients with equal settings share connections. It has
// no timeout of its own over the whole exchange: bound the request's context. The error is of kind Invalid, on field
// "ca" or "thumbprint".
func (g *Guard) Client(settings TLS) (*http.Client, error) {
	rt, err := g.transport(settings)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: rt, CheckRedirect: sameOrigin}, nil
}

// Transport returns what sends a single request, for callers that follow no redirects.
func (g *Guard) Transport(settings TLS) (http.RoundTripper, error) {
	t, err := g.transport(settings)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (g *Guard) transport(settings TLS) (*transport, error) {
	settings, err := settings.normal()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t, ok := g.transports[settings]; ok {
		return t, nil
	}
	config, err := settings.config()
	if err != nil {
		return nil, err
	}
	plain := config.Clone()
	plain.NextProtos = []string{"http/1.1"}
	t := &transport{limit: g.limits.Body, http: g.httpTransport(config), plain: plain}
	g.transports[settings] = t
	return t, nil
}

// CloseIdle closes the connections that are not in use.
func (g *Guard) CloseIdle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.transports {
		t.http.CloseIdleConnections()
	}
}

func (g *Guard) httpTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            g.dialer().DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    g.limits.Handshake,
		ResponseHeaderTimeout:  g.limits.Header,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        g.limits.IdleConn,
		MaxIdleConnsPerHost:    g.limits.IdlePerHost,
		MaxIdleConns:           0, // as many as there are servers: probing must not dial anew
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true, // a TLSClientConfig of one's own turns it off otherwise
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
}

func (g *Guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: g.limits.Dial, KeepAlive: 30 * time.Second, ControlContext: g.control}
}

// control runs after the name was resolved and before the connection is made, once for every address that is tried.
func (g *Guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return odcm.E(odcm.Invalid, "egress.denied", "ODCM does not connect to %q: not an address.", address)
	}
	return g.policy.Check(ap.Addr())
}
