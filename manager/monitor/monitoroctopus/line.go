package monitoroctopus

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/monitor"
	"odcm/octopus/octoclient"
)

const (
	// keptFor is how long a connection is held, more or less by half so that not all are made anew at once: the name may mean
	// another address by then, and the server have a new certificate.
	keptFor = time.Hour
	// pingBody is how much of an answer to a ping is read, headBytes how much before it, questionBody of an answer to a question.
	pingBody     = 4 << 10
	headBytes    = 16 << 10
	questionBody = 4 << 20
	// announced bounds for how large a body memory is taken before it came.
	announced = 64 << 10
	// interim bounds the answers of status 1xx before the real one.
	interim = 5
)

// line is the connection to one server. There are thousands: what it does not need while it is idle it does not have.
type line struct {
	prober   *Prober
	id       odcm.InstanceID
	revision int64
	url      string
	at       *host
	path     string
	trust    egress.TLS
	budget   *octoclient.Budget

	mu      sync.Mutex
	secure  bool // with TLS
	busy    bool // conn is in use
	hungUp  bool // the server closed it meanwhile
	retired bool
	conn    net.Conn             // nil where there is none
	token   uint64               // of the holder
	until   time.Duration        // since the prober began: then it is made anew
	cert    *monitor.Certificate // that the server showed last; nil without TLS
}

// answer is what came back, read whole.
type answer struct {
	*http.Response
	body []byte
}

// send asks over the line, or where somebody else uses it, over a connection for this once.
func (l *line) send(ctx context.Context, method, target string, header http.Header, limit int64) (answer, error) {
	conn, held, err := l.take(ctx)
	if err != nil {
		return answer{}, l.explain(ctx, err)
	}
	a, keep, err := l.exchange(ctx, conn, method, target, header, limit)
	if held {
		l.give(keep && err == nil)
	} else {
		conn.Close()
	}
	if err != nil {
		return a, l.explain(ctx, err)
	}
	return a, nil
}

// take returns the line's connection, made anew where it must be, or one that is not held.
func (l *line) take(ctx context.Context) (conn net.Conn, held bool, err error) {
	hold := l.prober.holding()
	l.mu.Lock()
	if l.busy || l.retired || hold == nil {
		l.mu.Unlock()
		conn, err = l.connect(ctx)
		return conn, false, err
	}
	if c := l.cert; time.Since(l.prober.began) > l.until || c != nil && l.trust.Thumbprint == "" && time.Now().After(c.NotAfter) {
		l.disconnect()
	}
	l.busy, l.hungUp = true, false
	conn = l.conn
	l.mu.Unlock()
	if conn != nil {
		return conn, true, nil
	}
	conn, err = l.connect(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.busy = false
		return nil, false, err
	}
	l.conn = conn
	l.until = time.Since(l.prober.began) + keptFor/2 + rand.N(keptFor)
	l.token = hold.add(l, conn)
	return conn, true, nil
}

// give ends the use of the connection.
func (l *line) give(keep bool) {
	l.mu.Lock()
	l.busy = false
	told := keep && l.hungUp // right after it answered
	if !keep || l.hungUp || l.retired {
		l.disconnect()
	}
	l.mu.Unlock()
	if hold := l.prober.holding(); told && hold != nil {
		hold.lost(l)
	}
}

// cut is told by the holder that the server closed the connection; it tells whether that is news.
func (l *line) cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	if l.busy { // who uses it will see
		l.hungUp = true
		return false
	}
	l.disconnect()
	return true
}

func (l *line) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	if !l.busy {
		l.disconnect()
	}
}

// disconnect wants the lock held.
func (l *line) disconnect() {
	if l.conn == nil {
		return
	}
	if hold := l.prober.holding(); hold != nil {
		hold.remove(l.token)
	}
	l.conn.Close()
	l.conn = nil
}

// connect dials through the guard, which has the say about addresses and certificates.
func (l *line) connect(ctx context.Context) (net.Conn, error) {
	conn, err := l.prober.guard.Dial(ctx, l.trust, l.origin())
	if err != nil {
		return nil, err
	}
	if secure, ok := conn.(*tls.Conn); ok {
		cert := certificate(secure.ConnectionState().PeerCertificates[0])
		l.mu.Lock()
		l.cert = cert
		l.mu.Unlock()
	}
	return conn, nil
}

func (l *line) origin() *url.URL {
	u := &url.URL{Scheme: "http", Host: l.at.name}
	if l.secure {
		u.Scheme = "https"
	}
	return u
}

var (
	readers = sync.Pool{New: func() any { return &reader{Reader: bufio.NewReaderSize(nil, 4<<10)} }}
	writers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// reader is what an answer is read with.
type reader struct {
	*bufio.Reader
	from io.LimitedReader
}

// get is what answers to most requests are read for.
var get = &http.Request{Method: http.MethodGet}

// exchange sends one request without a body and reads its answer; the body of an answer to a ping, which has no header of its own,
// is of no interest.
func (l *line) exchange(ctx context.Context, conn net.Conn, method, target string, header http.Header, limit int64) (a answer, keep bool, err error) {
	deadline, _ := ctx.Deadline() // none is the zero time, which is none
	if err := conn.SetDeadline(deadline); err != nil {
		return a, false, err
	}
	w := writers.Get().(*bytes.Buffer)
	w.Reset()
	defer writers.Put(w)
	w.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + l.at.name + "\r\n")
	if header == nil {
		w.WriteString("User-Agent: odcm\r\nAccept: application/json\r\n")
	}
	if err := header.Write(w); err != nil {
		return a, false, err
	}
	w.WriteString("\r\n")
	if _, err := conn.Write(w.Bytes()); err != nil {
		return a, false, err
	}
	r := readers.Get().(*reader)
	r.from.R, r.from.N = conn, headBytes+limit
	r.Reset(&r.from)
	defer func() {
		r.from.R = nil
		readers.Put(r)
	}()
	request := get
	if method != http.MethodGet {
		request = &http.Request{Method: method}
	}
	for range interim {
		if a.Response, err = http.ReadResponse(r.Reader, request); err != nil { //nolint:bodyclose // it is read to its end, or the connection is closed
			return a, false, err
		}
		if a.StatusCode >= 200 {
			break
		}
	}
	whole, err := a.read(limit, header != nil)
	keep = whole && !a.Close && r.Buffered() == 0 && a.StatusCode >= 200 && a.StatusCode != http.StatusSwitchingProtocols
	return a, keep, err
}

// read reads the body up to the limit, and keeps it or throws it away; it tells whether that was all.
func (a *answer) read(limit int64, keep bool) (whole bool, err error) {
	switch {
	case !keep:
		n, err := io.CopyN(io.Discard, a.Body, limit+1)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return n <= limit, err
	case a.ContentLength >= 0 && a.ContentLength <= min(limit, announced):
		a.body = make([]byte, a.ContentLength)
		_, err = io.ReadFull(a.Body, a.body)
		return true, err
	}
	a.body, err = io.ReadAll(io.LimitReader(a.Body, limit+1))
	if int64(len(a.body)) > limit { // the rest stays unread
		a.body = a.body[:limit]
		return false, nil
	}
	return true, err
}

func certificate(c *x509.Certificate) *monitor.Certificate {
	return &monitor.Certificate{NotAfter: c.NotAfter.UTC(), Subject: clip(c.Subject.String(), 200), Issuer: clip(c.Issuer.String(), 200)}
}

// explain says why there was no answer.
func (l *line) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return egress.Explain(l.origin(), err)
}

// pong is what an answer to a ping tells.
func (l *line) pong(a answer, began time.Time, took time.Duration) monitor.Pong {
	p := monitor.Pong{Code: a.StatusCode, Took: took, Page: strings.Contains(strings.ToLower(a.Header.Get("Content-Type")), "html")}
	if a.StatusCode >= 300 && a.StatusCode < 400 {
		p.To = a.Header.Get("Location")
	}
	if sent, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		// The server cut off the part of the second; it answered in the middle of the round trip.
		skew := sent.Add(time.Second / 2).Sub(began.Add(took / 2))
		p.Skew = &skew
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Certificate = l.cert
	return p
}

// RoundTrip sends a question of [octoclient.Client] over the line; a question has no body.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		return nil, errors.New("a line sends no body")
	}
	a, err := l.send(r.Context(), r.Method, r.URL.RequestURI(), r.Header, questionBody)
	if err != nil {
		return nil, err
	}
	if int64(len(a.body)) == questionBody {
		return nil, odcm.E(odcm.Invalid, "egress.too-large", "The server's answer is larger than %d bytes, which is all that ODCM reads.", questionBody)
	}
	a.Request, a.Body = r, io.NopCloser(bytes.NewReader(a.body))
	return a.Response, nil
}

// clip bounds text from outside.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
