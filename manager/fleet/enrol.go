package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"
	"unicode"

	"odcm"
)

// DefaultTokenLife is how long an enrolment token can be used where nothing else is asked for; MaxTokenLife bounds it.
const (
	DefaultTokenLife = time.Hour
	MaxTokenLife     = 7 * 24 * time.Hour
)

// NewToken is what is handed to a machine: the secret is shown once and not kept.
type NewToken struct {
	Secret    string
	Authority [sha256.Size]byte // fingerprint of the authority's certificate, so that the machine knows whom to believe
	Expires   time.Time
}

// CreateToken makes a token that enrols one machine once. Hash is how the secret is to be known again: the wire's own.
func (s *Service) CreateToken(ctx context.Context, p odcm.Principal, note string, life time.Duration, hash func(secret string) string) (_ NewToken, err error) {
	defer odcm.Wrap(&err, "create enrolment token")
	if err := s.Authorizer.Authorize(ctx, p, ActionEnrol, ""); err != nil {
		return NewToken{}, err
	}
	if life == 0 {
		life = DefaultTokenLife
	}
	if life < time.Minute || life > MaxTokenLife {
		return NewToken{}, odcm.E(odcm.Invalid, "fleet.token-life", "A token lives from a minute to seven days.").OnField("expiresIn")
	}
	if note = strings.TrimSpace(note); len(note) > maxName || strings.ContainsFunc(note, unicode.IsControl) {
		return NewToken{}, odcm.E(odcm.Invalid, "fleet.token-note", "The note is at most %d characters in one line.", maxName).OnField("note")
	}
	now := s.Now()
	t := NewToken{Secret: rand.Text(), Authority: s.Fingerprint(), Expires: now.Add(life)}
	kept := Token{Hash: hash(t.Secret), Note: note, Created: now, Expires: t.Expires}
	return t, s.Enrolments.CreateToken(ctx, kept, odcm.NewEvent(p, "fleet.token-created", "", note, nil, map[string]any{"expires": t.Expires}))
}

// Fingerprint is the SHA-256 of the authority's certificate.
func (s *Service) Fingerprint() [sha256.Size]byte { return sha256.Sum256(s.authority.certificate.Raw) }

// Enrolled is what a machine gets for its token.
type Enrolled struct {
	Server      odcm.ServerID
	Certificate []byte // X.509 in DER
	Authority   []byte // X.509 in DER
}

// Enrol makes a machine a server. The token works once; the machine that used it may ask again until it expires, in case
// that the answer was lost on the way, and gets the same server. Every refusal reads the same: who guesses learns nothing.
func (s *Service) Enrol(ctx context.Context, tokenHash string, request []byte, name, agentVersion string) (_ Enrolled, err error) {
	defer odcm.Wrap(&err, "enrol")
	key, err := readRequest(request)
	if err != nil {
		return Enrolled{}, odcm.E(odcm.Invalid, "fleet.request", "The certificate request cannot be used: it must be PKCS #10 with a key on P-256.").Because(err)
	}
	keyName, err := KeyOf(key)
	if err != nil {
		return Enrolled{}, err
	}
	now := s.Now()
	server, err := s.Enrolments.Enrol(ctx, tokenHash, func(t Token) (Enrolment, error) {
		switch {
		case !now.Before(t.Expires), !t.Used.IsZero() && t.Key != keyName:
			return Enrolment{}, ErrTokenRefused()
		case !t.Used.IsZero():
			return Enrolment{Server: Server{ID: t.Server}, Again: true}, nil
		}
		server := Server{ID: odcm.NewID[odcm.ServerID]("server"), Name: cleanName(name), AgentVersion: clip(agentVersion, maxName),
			Enrolled: now, Key: keyName, DesiredRevision: 1, Revision: 1}
		return Enrolment{Server: server, Event: odcm.NewEvent(odcm.System, "fleet.server-enrolled", string(server.ID), server.Name, nil,
			map[string]any{"agentVersion": server.AgentVersion, "token": t.Note})}, nil
	})
	if odcm.KindOf(err) == odcm.NotFound {
		return Enrolled{}, ErrTokenRefused()
	}
	if err != nil {
		return Enrolled{}, err
	}
	certificate, err := s.authority.agent(key, server.ID, now)
	if err != nil {
		return Enrolled{}, err
	}
	s.Bus.Publish(serverTopic(server.ID), "server")
	return Enrolled{Server: server.ID, Certificate: certificate, Authority: s.authority.certificate.Raw}, nil
}

// ErrTokenRefused is the one answer to every token that does not work.
func ErrTokenRefused() error {
	return odcm.E(odcm.Denied, "fleet.token-refused", "The enrolment token is unknown, used or expired: make a new one.")
}

// Identify tells which server a verified client certificate belongs to. The row decides: a certificate for a key that the
// row no longer names is refused, however long it is valid.
func (s *Service) Identify(ctx context.Context, certificate *x509.Certificate) (Server, error) {
	refused := odcm.E(odcm.Unauthenticated, "fleet.certificate-refused", "This machine is not enrolled: enrol it with a new token.")
	key, err := KeyOf(certificate.PublicKey)
	if err != nil {
		return Server{}, refused
	}
	server, err := s.Store.Server(ctx, odcm.ServerID(certificate.Subject.CommonName))
	if odcm.KindOf(err) == odcm.NotFound || err == nil && server.Key != key {
		return Server{}, refused
	}
	return server, err
}

// Renew signs a new certificate for the server's enrolled key.
func (s *Service) Renew(_ context.Context, server Server, request []byte) ([]byte, error) {
	key, err := readRequest(request)
	if err != nil {
		return nil, odcm.E(odcm.Invalid, "fleet.request", "The certificate request cannot be used.").Because(err)
	}
	if name, err := KeyOf(key); err != nil || name != server.Key {
		return nil, odcm.E(odcm.Denied, "fleet.request-key", "The certificate request is for another key than the enrolled one: enrol anew to change it.")
	}
	return s.authority.agent(key, server.ID, s.Now())
}

// ListenerCertificate makes a certificate for the listener that agents call, under the name that they expect.
func (s *Service) ListenerCertificate(name string) (*tls.Certificate, error) {
	return s.authority.manager(name, s.Now())
}

// AuthorityCertificate is what client certificates are verified with.
func (s *Service) AuthorityCertificate() *x509.Certificate { return s.authority.certificate }

func cleanName(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	if name == "" {
		return "unnamed"
	}
	return clip(name, maxName)
}

// clip bounds a text from outside, at the edge of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
