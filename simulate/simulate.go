package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"odcm"
)

// perPort is how many servers share a port.
const perPort = 1000

// maxCount bounds the servers: each watched one takes a file descriptor.
const maxCount = 100_000

// Options say what to play. Zero means the default in brackets.
type Options struct {
	Count  int    // servers [100]
	Port   int    // of the controls; servers are on those after it. 0: any free ones
	APIKey string // that the servers accept [API-SIMULATED]
	Seed   uint64 // of what is random: the same seed plays the same [1]
}

// Simulator is a fleet of servers that are not there.
type Simulator struct {
	o         Options
	servers   []*server
	listeners []net.Listener
	control   net.Listener
	http      *http.Server
	began     time.Time

	work   sync.WaitGroup
	ctx    context.Context // ends with Stop
	cancel context.CancelFunc

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	changes  []Change
	flapping context.CancelFunc
}

// New checks the options and listens.
func New(o Options) (_ *Simulator, err error) {
	if o.Count == 0 {
		o.Count = 100
	}
	if o.APIKey == "" {
		o.APIKey = "API-SIMULATED"
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Count < 1 || o.Count > maxCount {
		return nil, odcm.E(odcm.Invalid, "simulate.count", "--count %d: simulate 1 to %d servers.", o.Count, maxCount)
	}
	ports := (o.Count + perPort - 1) / perPort
	if o.Port != 0 && (o.Port < 1 || o.Port+ports > 65535) {
		return nil, odcm.E(odcm.Invalid, "simulate.port", "--port %d: %d ports from there must be between 1 and 65535.", o.Port, ports+1)
	}
	s := &Simulator{o: o, began: time.Now(), conns: map[net.Conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.control, err = s.listen(0); err != nil {
		return nil, err
	}
	for i := range ports {
		l, err := s.listen(i + 1)
		if err != nil {
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	for i := range o.Count {
		s.servers = append(s.servers, &server{number: i + 1, url: fmt.Sprintf("http://%s/s/%04d", s.listeners[i/perPort].Addr(), i+1)})
	}
	return s, nil
}

func (s *Simulator) listen(n int) (net.Listener, error) {
	port := 0
	if s.o.Port != 0 {
		port = s.o.Port + n
	}
	l, err := new(net.ListenConfig).Listen(s.ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, odcm.E(odcm.Unavailable, "simulate.listen", "cannot listen on port %d: %v; choose others with --port", port, err).Because(err)
	}
	return l, nil
}

// Start answers until [Simulator.Stop].
func (s *Simulator) Start() {
	s.http = &http.Server{Handler: s.controls(), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.http.Serve(s.control) }) // ends with Stop
	for _, l := range s.listeners {
		s.work.Go(func() { s.accept(l) })
	}
}

// Stop ends everything at once.
func (s *Simulator) Stop(context.Context) error {
	s.cancel()
	s.close()
	s.work.Wait()
	return nil
}

func (s *Simulator) close() {
	if s.http != nil {
		_ = s.http.Close() // of the listener, which is closed below
	}
	for _, l := range append(s.listeners, s.control) {
		if l != nil {
			l.Close()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// ControlURL is where the servers are told what to do: see [Simulator.controls].
func (s *Simulator) ControlURL() string { return "http://" + s.control.Addr().String() }

// WriteURLs writes the address of each server on a line.
func (s *Simulator) WriteURLs(w io.Writer) error {
	for _, v := range s.servers {
		if _, err := fmt.Fprintln(w, v.url); err != nil {
			return err
		}
	}
	return nil
}

func (s *Simulator) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of file descriptors: others are closed in a moment
			case <-s.ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		if s.ctx.Err() != nil {
			c.Close()
		}
		s.work.Go(func() { s.serve(c) })
	}
}
