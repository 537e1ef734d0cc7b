package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"odcm/kit/mail"
)

// sink is a mail server that keeps what it takes.
type sink struct {
	server *smtp.Server
	port   int
	roots  *x509.CertPool

	mu       sync.Mutex
	from, to []string
	got      []*netmail.Message
	refuse   error // of recipients
	password string
	arrived  chan struct{}
	keep     bool // of messages the whole text
	text     string
}

type visit struct {
	sink *sink
	in   bool
}

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return &visit{sink: s}, nil }

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "odcm" || password != v.sink.password {
			return smtp.ErrAuthFailed
		}
		v.in = true
		return nil
	}), nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	if v.sink.password != "" && !v.in {
		return smtp.ErrAuthRequired
	}
	v.sink.mu.Lock()
	defer v.sink.mu.Unlock()
	v.sink.from = append(v.sink.from, from)
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.sink.mu.Lock()
	defer v.sink.mu.Unlock()
	if v.sink.refuse != nil {
		return v.sink.refuse
	}
	v.sink.to = append(v.sink.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	var whole bytes.Buffer
	m, err := netmail.ReadMessage(io.TeeReader(r, &whole))
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	v.sink.mu.Lock()
	if v.sink.keep {
		v.sink.text = whole.String()
	}
	v.sink.got = append(v.sink.got, m)
	v.sink.mu.Unlock()
	v.sink.arrived <- struct{}{}
	return nil
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// open starts a sink on the address; with TLS by STARTTLS where it has a certificate.
func (s *sink) open(t *testing.T, address string, withTLS bool) *sink {
	t.Helper()
	s.arrived = make(chan struct{}, 100)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	s.server = smtp.NewServer(s)
	s.server.Domain, s.server.AllowInsecureAuth = "mail.example.com", true
	s.server.ErrorLog = quiet{}
	if withTLS {
		certificate, roots := selfSigned(t)
		s.roots, s.server.TLSConfig = roots, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(l) }()
	t.Cleanup(func() { _, _ = s.server.Close(), l.Close(); <-done })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// sender sends to the sink as the parts of a URL say.
func (s *sink) sender(security mail.Security, password string) *mail.Sender {
	v := mail.Server{Host: "127.0.0.1", Port: s.port, Security: security, Roots: s.roots, From: netmail.Address{Name: "ODCM", Address: "odcm@example.com"}}
	if password != "" {
		v.Username, v.Password = "odcm", password
	}
	return mail.NewSender(v, 5*time.Second)
}

// body is the last message as it was sent.
func (s *sink) body() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}

func (s *sink) messages() []*netmail.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*netmail.Message(nil), s.got...)
}
