package fleetagents

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"odcm"
	"odcm/agentapi"
	"odcm/agentapi/agentapiconnect"
	"odcm/manager/fleet"
)

// Options are what the listener needs.
type Options struct {
	Listen   string       // address, "127.0.0.1:0" for a free port of loopback
	Listener net.Listener // instead, where the address was taken before
	Fleet    *fleet.Service
	Logger   *slog.Logger
}

// Listener answers agents.
type Listener struct {
	Options
	listener net.Listener
	server   *http.Server
	done     chan struct{}

	mu          sync.Mutex
	certificate *tls.Certificate
}

// maxMessage bounds a message of an agent: ten thousand instances with their reasons.
const maxMessage = 8 << 20

// New listens; agents are answered from [Listener.Start] on.
func New(o Options) (_ *Listener, err error) {
	defer odcm.Wrap(&err, "listen for agents")
	l := &Listener{Options: o, done: make(chan struct{})}
	path, answer := agentapiconnect.NewAgentServiceHandler(&handler{fleet: o.Fleet, logger: o.Logger},
		connect.WithReadMaxBytes(maxMessage), connect.WithRequireConnectProtocolHeader())
	mux := http.NewServeMux()
	mux.Handle(path, identified(answer))
	l.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * maxWait, IdleTimeout: 2 * maxWait, // no WriteTimeout: answers are held
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug), // handshakes of strangers are no errors of ours
		HTTP2:    &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	authority := x509.NewCertPool()
	authority.AddCert(o.Fleet.AuthorityCertificate())
	inner := o.Listener
	if inner == nil {
		inner, err = new(net.ListenConfig).Listen(context.Background(), "tcp", o.Listen)
	}
	if err != nil {
		return nil, odcm.E(odcm.Unavailable, "fleet.listen", "Cannot listen for agents on %s: choose another address.", o.Listen).Because(err)
	}
	l.listener = tls.NewListener(inner, &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: l.current,
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: authority,
	})
	return l, nil
}

// Addr is where it listens.
func (l *Listener) Addr() string { return l.listener.Addr().String() }

// Start answers until [Listener.Stop].
func (l *Listener) Start() {
	go func() {
		defer close(l.done)
		if err := l.server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
			l.Logger.Error("the listener for agents ended", "error", err)
		}
	}()
}

// Stop ends every call, held answers at once: agents ask again elsewhere.
func (l *Listener) Stop(context.Context) error {
	err := l.server.Close()
	<-l.done
	return err
}

// current is the listener's certificate, made anew when half of its time is over.
func (l *Listener) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.certificate; c != nil && time.Until(c.Leaf.NotAfter) > c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)/2 {
		return c, nil
	}
	c, err := l.Fleet.ListenerCertificate(agentapi.ManagerName)
	if err == nil {
		l.certificate = c
	}
	return c, err
}

// identified passes on the certificate that TLS verified.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			r = r.WithContext(context.WithValue(r.Context(), certificateKey{}, r.TLS.PeerCertificates[0]))
		}
		next.ServeHTTP(w, r)
	})
}
