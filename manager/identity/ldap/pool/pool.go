package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"

	"odcm"
)

const (
	dialWithin  = 4 * time.Second  // connect, one server
	shakeWithin = 5 * time.Second  // TLS and bind
	AskWithin   = 20 * time.Second // one question
	idleFor     = time.Minute      // a connection that nobody uses is kept
	maxIdle     = 2
	// A service account that is refused is not tried again for so long: each try with an old password counts towards its
	// lock-out. New settings are tried at once.
	refusedFor = 10 * time.Minute
	maxAnswer  = 32 << 20 // bytes of the answers to one use of a connection
)

// Conn is one connection to one server.
type Conn struct {
	*ldap.Conn
	meter *meter
	since time.Time // idle
	root  string    // of the domain, once it was asked for
}

// meter bounds what is read: a directory that answers without end must not fill the memory.
type meter struct {
	net.Conn
	left atomic.Int64
}

var ErrTooMuch = errors.New("the answer is too long")

func (m *meter) Read(b []byte) (int, error) {
	if m.left.Load() <= 0 {
		return 0, ErrTooMuch
	}
	n, err := m.Conn.Read(b)
	m.left.Add(-int64(n))
	return n, err
}

// New makes the pool; it connects when it is used. Allow says whether an address may be dialled.
func New(t Target, allow func(netip.Addr) error, now func() time.Time) *Pool {
	return &Pool{t: t, allow: allow, now: now}
}

// Pool connects to the servers of one directory, and keeps some connections that are bound as the service account.
type Pool struct {
	t     Target
	allow func(netip.Addr) error
	now   func() time.Time

	good atomic.Int32 // the server that answered last

	mu      sync.Mutex
	idle    []*Conn // bound as the service account
	closed  bool
	refused error // why the service account is not let in
	until   time.Time
}

// Dial connects, as nobody, to the first server that answers, beginning with the one that did last.
func (p *Pool) Dial(ctx context.Context) (*Conn, error) {
	first := int(p.good.Load())
	var errs []error
	for i := range p.t.Servers {
		at := (first + i) % len(p.t.Servers)
		c, err := p.DialServer(ctx, p.t.Servers[at])
		if err == nil {
			p.good.Store(int32(at))
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// Failure says at which server something failed.
type Failure struct {
	Server string
	Err    error
}

func (f *Failure) Error() string { return f.Server + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// DialServer connects, as nobody, to one of the servers.
func (p *Pool) DialServer(ctx context.Context, server string) (_ *Conn, err error) {
	defer func() {
		if err != nil {
			err = &Failure{server, err}
		}
	}()
	dialer := net.Dialer{Timeout: dialWithin, KeepAlive: 30 * time.Second, ControlContext: p.control}
	raw, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, shakeWithin)
	defer cancel()
	m := &meter{Conn: raw}
	m.left.Store(maxAnswer)
	var conn net.Conn = m
	config := p.config(server)
	if p.t.Security == OverTLS {
		secure := tls.Client(m, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, ignoreClosed(raw.Close()))
		}
		conn = secure
	}
	c := &Conn{Conn: ldap.NewConn(conn, p.t.Security == OverTLS), meter: m}
	c.Start()
	c.SetTimeout(AskWithin)
	if p.t.Security == StartTLS {
		if err := c.Bounded(ctx, func() error { return c.StartTLS(config) }); err != nil {
			return nil, errors.Join(err, ignoreClosed(c.Close()))
		}
	}
	return c, nil
}

func (p *Pool) config(server string) *tls.Config {
	if p.t.TLS == nil {
		return nil
	}
	config := p.t.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(server)
	}
	return config
}

func (p *Pool) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return p.allow(at.Addr())
}

// Bounded runs f, and closes the connection when the context ends before it: the library's calls take no context.
func (c *Conn) Bounded(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	err := f()
	if !stop() && err != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// service returns a connection that is bound as the service account, and whether it was used before.
func (p *Pool) service(ctx context.Context) (*Conn, bool, error) {
	p.mu.Lock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !c.IsClosing() && p.now().Sub(c.since) < idleFor {
			p.mu.Unlock()
			c.meter.left.Store(maxAnswer)
			return c, true, nil
		}
		_ = c.Close()
	}
	if p.refused != nil && p.now().Before(p.until) {
		defer p.mu.Unlock()
		return nil, false, p.refused
	}
	p.mu.Unlock()
	c, err := p.Dial(ctx)
	if err != nil {
		return nil, false, err
	}
	if err := p.bind(ctx, c); err != nil {
		_ = c.Close()
		return nil, false, err
	}
	return c, false, nil
}

// ErrBind is that the service account is not let in.
var ErrBind = errors.New("bind as the service account")

func (p *Pool) bind(ctx context.Context, c *Conn) error {
	ctx, cancel := context.WithTimeout(ctx, shakeWithin)
	defer cancel()
	err := c.Bounded(ctx, func() error { return c.Bind(p.t.User, p.t.Password) })
	if err == nil || IsSilent(err) {
		return err
	}
	err = fmt.Errorf("%w: %w", ErrBind, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused, p.until = err, p.now().Add(refusedFor)
	return err
}

// Use runs f with a connection bound as the service account. A connection that was kept may have been closed by the server
// meanwhile, and a server may have gone out of service: f then runs again with a new one.
func (p *Pool) Use(ctx context.Context, f func(c *Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, AskWithin)
	defer cancel()
	for attempt := 0; ; attempt++ {
		c, kept, err := p.service(ctx)
		if err != nil {
			return err
		}
		err = c.Bounded(ctx, func() error { return f(c) })
		if !IsSilent(err) {
			p.keep(c)
			return err
		}
		_ = c.Close()
		if !kept { // another server may do better
			p.good.CompareAndSwap(p.good.Load(), (p.good.Load()+1)%int32(len(p.t.Servers)))
		}
		if attempt == maxIdle || !kept && attempt > 0 || ctx.Err() != nil {
			return err
		}
	}
}

func (p *Pool) keep(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle || c.IsClosing() {
		_ = c.Close()
		return
	}
	c.since = p.now()
	p.idle = append(p.idle, c)
}

// Close closes the idle connections; those in use are closed when they come back.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}

// IsSilent tells that the server did not answer as a server should: another one may.
func IsSilent(err error) bool {
	if err == nil {
		return false
	}
	var known *odcm.Error // our own words about what was found
	if errors.As(err, &known) {
		return false
	}
	var answer *ldap.Error
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.ResultCode {
	case ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.ErrorNetwork, ldap.LDAPResultTimeout, ldap.ErrorUnexpectedMessage, ldap.ErrorUnexpectedResponse:
		return true
	}
	return false
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
