package test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// forwarder passes connections on, as a load balancer does: the address stays when what stands behind it is another.
type forwarder struct {
	listener net.Listener
	mu       sync.Mutex
	target   string
	open     map[net.Conn]struct{}
	work     sync.WaitGroup
}

func newForwarder(t testing.TB) *forwarder {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{listener: l, open: map[net.Conn]struct{}{}}
	f.work.Go(f.accept)
	t.Cleanup(func() {
		_ = l.Close()
		f.to("")
		f.work.Wait()
	})
	return f
}

func (f *forwarder) address() string { return f.listener.Addr().String() }

// to sends new connections there and ends the old ones.
func (f *forwarder) to(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
	for c := range f.open {
		_ = c.Close()
	}
}

func (f *forwarder) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.work.Go(func() { f.pass(c) })
	}
}

func (f *forwarder) pass(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	target := f.target
	f.mu.Unlock()
	if target == "" {
		return
	}
	behind, err := new(net.Dialer).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer behind.Close()
	f.mu.Lock()
	stale := f.target != target
	f.open[c], f.open[behind] = struct{}{}, struct{}{}
	f.mu.Unlock()
	if !stale {
		both := make(chan struct{}, 2)
		for from, to := range map[net.Conn]net.Conn{c: behind, behind: c} {
			go func() {
				_, _ = io.Copy(to, from)
				both <- struct{}{}
			}()
		}
		<-both // where one side has ended, so has the connection
		_, _ = c.Close(), behind.Close()
		<-both
	}
	f.mu.Lock()
	delete(f.open, c)
	delete(f.open, behind)
	f.mu.Unlock()
}
