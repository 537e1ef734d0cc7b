package letter

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/url"
	"time"

	"odcm"
	"odcm/kit/mail"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
)

// Purpose is what a letter's link is for.
type Purpose string

// The purposes. Each is the path of its page too.
const (
	Invitation   Purpose = "invitation"
	Verification Purpose = "verification"
	Reset        Purpose = "reset"
)

// life is how long a link works.
func (p Purpose) life() time.Duration {
	switch p {
	case Invitation:
		return 7 * 24 * time.Hour
	case Verification:
		return 24 * time.Hour
	}
	return time.Hour
}

// Letter is one link that was given out.
type Letter struct {
	ID      string
	Purpose Purpose
	User    odcm.UserID
	Address string // it was mailed to; "" where it was handed over, which proves no address
	Created time.Time
	Expires time.Time
}

// Store keeps letters. Token is always the hash of the link's secret.
type Store interface {
	// CreateLetter keeps the letter, and the message unless nil, in one transaction. Where the user got most letters of the
	// purpose since, it does nothing and returns odcm.Unavailable "letter.too-many".
	CreateLetter(ctx context.Context, l Letter, token string, m *mail.Message, since time.Time, most int, e odcm.Event) error
	// Letter returns odcm.NotFound where there is none that works.
	Letter(ctx context.Context, p Purpose, token string, now time.Time) (Letter, error)
	// UseLetter takes the letter away, and all others of its purpose and user: of two that use it at once one gets
	// odcm.NotFound.
	UseLetter(ctx context.Context, p Purpose, token string, now time.Time) (Letter, error)
	// Open lists the user's letters that still work, the newest first.
	Open(ctx context.Context, user odcm.UserID, now time.Time) ([]Letter, error)
}

// Outbox tells whether mail can be sent.
type Outbox interface{ Ready() bool }

// Groups puts somebody who is invited into groups. Package group fills it.
type Groups interface {
	Join(ctx context.Context, p odcm.Principal, user odcm.UserID, groups []odcm.GroupID) error
}

// Options are what a [Service] needs. People, Store, Authorizer and PublicURL are required.
type Options struct {
	People     *identity.Service
	Store      Store
	Authorizer odcm.Authorizer
	Outbox     Outbox           // no mail if nil
	Sender     *mail.Sender     // for a test of the mail server; nil where none is set up
	Groups     Groups           // invitations take no groups if nil
	PublicURL  func() string    // "https://odcm.example.com"
	Product    string           // in the letters; "ODCM" if empty
	Pace       time.Duration    // how long an answer takes that must not tell whether somebody is known; 300 ms if zero
	Logger     *slog.Logger     // slog.Default if nil
	Now        func() time.Time // time.Now if nil
}

// Service writes letters and opens them.
type Service struct{ o Options }

// New makes the service.
func New(o Options) *Service {
	if o.Product == "" {
		o.Product = "ODCM"
	}
	if o.Pace == 0 {
		o.Pace = 300 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o}
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Mails tells whether letters are mailed. Where not, whoever writes one gets the link.
func (s *Service) Mails() bool { return s.o.Outbox != nil && s.o.Outbox.Ready() }

// perHour is how many letters of one purpose a user gets.
const perHour = 5

// write makes a link. It is mailed to the address, or returned where mail is not set up or address is "".
func (s *Service) write(ctx context.Context, p odcm.Principal, purpose Purpose, u person.User, address string) (link string, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	text := base64.RawURLEncoding.EncodeToString(secret)
	link, err = url.JoinPath(s.o.PublicURL(), string(purpose))
	if err != nil {
		return "", err
	}
	link += "?link=" + text
	now := s.now()
	l := Letter{ID: odcm.NewID[string]("letter"), Purpose: purpose, User: u.ID, Created: now, Expires: now.Add(purpose.life())}
	var m *mail.Message
	if s.Mails() && address != "" {
		l.Address = address
		message, err := s.compose(purpose, u, p, link).Message(address, s.subject(purpose))
		if err != nil {
			return "", err
		}
		m, link = &message, ""
	}
	about := map[string]any{"purpose": purpose, "address": l.Address, "expires": l.Expires}
	e := odcm.NewEvent(p, "identity.letter-written", string(u.ID), u.Username, nil, about)
	return link, s.o.Store.CreateLetter(ctx, l, tokenOf(text), m, now.Add(-time.Hour), perHour, e)
}

func tokenOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// secretLength is that of 32 bytes in base64url.
const secretLength = 43

func gone() error {
	return odcm.E(odcm.NotFound, "letter.gone", "This link was used already, has expired, or is not complete: ask for a new one.")
}

// Look tells what a link is for without using it up: programs that check mail follow links too.
func (s *Service) Look(ctx context.Context, p Purpose, secret string) (Letter, person.Person, error) {
	if len(secret) != secretLength {
		return Letter{}, person.Person{}, gone()
	}
	l, err := s.o.Store.Letter(ctx, p, tokenOf(secret), s.now())
	if err != nil {
		return Letter{}, person.Person{}, goneIf(err)
	}
	who, err := s.o.People.Person(ctx, odcm.System, l.User)
	if err == nil && who.Disabled {
		err = gone()
	}
	return l, who, err
}

func goneIf(err error) error {
	if odcm.KindOf(err) == odcm.NotFound {
		return gone()
	}
	return err
}

func (s *Service) use(ctx context.Context, p Purpose, secret string) (Letter, error) {
	l, err := s.o.Store.UseLetter(ctx, p, tokenOf(secret), s.now())
	return l, goneIf(err)
}

// Pending lists the user's links that still work. It needs the action "user.read", or to be the user.
func (s *Service) Pending(ctx context.Context, p odcm.Principal, user odcm.UserID) ([]Letter, error) {
	if _, err := s.o.People.Get(ctx, p, user); err != nil {
		return nil, err
	}
	return s.o.Store.Open(ctx, user, s.now())
}
