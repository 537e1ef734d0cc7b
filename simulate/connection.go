package simulate

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxRequest = 1 << 20

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// connection waits for the first byte of a request with a place for that byte only, and takes a buffer when it has come.
type connection struct {
	net.Conn
	first  [1]byte
	unread bool
	left   int
}

func (c *connection) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.unread {
		c.unread = false
		p[0] = c.first[0]
		return 1, nil
	}
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// serve answers the requests of one connection, one after the other.
func (s *Simulator) serve(conn net.Conn) {
	c := &connection{Conn: conn}
	var owner *server
	defer func() {
		conn.Close()
		if owner != nil {
			owner.leave(conn)
		}
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	for {
		if _, err := io.ReadFull(conn, c.first[:]); err != nil {
			return
		}
		if !s.answer(c, &owner) {
			return
		}
	}
}

// answer reads one request and answers it as its server does now; false where the connection ends.
func (s *Simulator) answer(c *connection, owner **server) bool {
	r := readers.Get().(*bufio.Reader)
	c.unread, c.left = true, maxRequest
	r.Reset(c)
	defer func() {
		r.Reset(nil)
		readers.Put(r)
	}()
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return false
	}
	v, path := s.find(req.URL.Path)
	if v != nil && *owner == nil {
		*owner = v
		v.join(c.Conn)
	}
	w := buffers.Get().(*bytes.Buffer)
	w.Reset()
	defer buffers.Put(w)
	a := reply{status: http.StatusNotFound, body: `{"ErrorMessage":"No simulated server has that address."}`}
	if v != nil {
		switch v.behaviour() {
		case Kill:
			reset(c.Conn)
			return false
		case Hang:
			s.hang(v)
		case Slow:
			if !s.wait(slowBy) {
				return false
			}
		case Drip:
			return s.drip(c.Conn)
		}
		a = s.reply(v, path, req)
	}
	write(w, a)
	if _, err := c.Conn.Write(w.Bytes()); err != nil {
		return false
	}
	return !req.Close
}

// find tells whose request it is, and for which path of the API.
func (s *Simulator) find(path string) (*server, string) {
	rest, ok := strings.CutPrefix(path, "/s/")
	if !ok {
		return nil, ""
	}
	number, rest, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(s.servers) {
		return nil, ""
	}
	return s.servers[n-1], "/" + strings.TrimSuffix(rest, "/")
}

// reset ends a connection as a killed process does.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed anyway
	}
	c.Close()
}

const (
	slowBy = 1500 * time.Millisecond
	// hangLook is how often one that hangs looks whether it may answer.
	hangLook = 100 * time.Millisecond
	dripEach = 500 * time.Millisecond
)

func (s *Simulator) hang(v *server) {
	for v.behaviour() == Hang && s.wait(hangLook) {
	}
}

// drip sends an answer that never comes to an end, byte by byte.
func (s *Simulator) drip(c net.Conn) bool {
	for _, b := range []byte("HTTP/1.1 200 OK\r\nX-Slow: " + strings.Repeat("x", 1<<10)) {
		if _, err := c.Write([]byte{b}); err != nil || !s.wait(dripEach) {
			return false
		}
	}
	return false
}

func (s *Simulator) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// write makes the bytes of an answer.
func write(w *bytes.Buffer, a reply) {
	kind := a.kind
	if kind == "" {
		kind = "application/json; charset=utf-8"
	}
	w.WriteString("HTTP/1.1 " + strconv.Itoa(a.status) + " " + http.StatusText(a.status) + "\r\nDate: " + time.Now().UTC().Format(http.TimeFormat) +
		"\r\nContent-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(len(a.body)) + "\r\n" + a.header + "\r\n" + a.body)
}
