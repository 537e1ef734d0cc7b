package device

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/time/rate"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

// Lives of the device grant (RFC 8628).
const (
	deviceLife = 10 * time.Minute
	pollEvery  = 5 * time.Second
	letters    = "BCDFGHJKLMNPQRSTVWXZ" // no vowels, hence no words; no digits, hence no 0 and O (section 6.1)
	codeLength = 8
	maxTries   = 10_000 // people whose tries are counted; past it all are forgotten
)

// Options are what a [Service] needs. Now has a default.
type Options struct {
	Provider *grant.Service
	Store    Store
	Now      func() time.Time
}

// Service holds the rules of the device grant.
type Service struct {
	o     Options
	tries tries
}

// New makes the service.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o: o}
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Begun is what a device gets that asks to be let in.
type Begun struct {
	Code     string // the device keeps it to itself
	UserCode string // "BCDF-GHJK": the person types it
	Life     time.Duration
	Interval time.Duration
}

// Begin lets a program ask for somebody to let it in.
func (s *Service) Begin(ctx context.Context, c sso.Credentials, scope string) (n Begun, err error) {
	p, err := s.o.Provider.Authenticate(ctx, c)
	if err != nil {
		return n, err
	}
	if !p.Device {
		return n, oidc.ErrUnauthorizedClient().WithDescription("this client does not use the device grant")
	}
	var granted []string
	for _, known := range grant.Scopes() {
		if slices.Contains(strings.Fields(scope), known) {
			granted = append(granted, known)
		}
	}
	if !slices.Contains(granted, oidc.ScopeOpenID) {
		return n, oidc.ErrInvalidScope().WithDescription("the scope openid is missing")
	}
	n = Begun{Code: rand.Text(), UserCode: newUserCode(), Life: deviceLife, Interval: pollEvery}
	now := s.now()
	return n, s.o.Store.CreateDevice(ctx, Device{ID: sso.Hash(n.Code), UserCode: sso.Hash(plainCode(n.UserCode)), Party: p.ID, Scopes: strings.Join(granted, " "),
		Created: now, Expires: now.Add(deviceLife), Interval: pollEvery, State: "pending"})
}

func newUserCode() string {
	b := make([]byte, 0, codeLength+1)
	for random := make([]byte, 1); len(b) < codeLength+1; {
		if len(b) == codeLength/2 {
			b = append(b, '-')
		}
		if _, _ = rand.Read(random); int(random[0]) < 256/len(letters)*len(letters) { // each letter as likely as another
			b = append(b, letters[int(random[0])%len(letters)])
		}
	}
	return string(b)
}

// plainCode takes out what people add to a code as they type it.
func plainCode(typed string) string {
	var b strings.Builder
	for _, r := range strings.ToUpper(typed[:min(len(typed), 40)]) {
		if strings.ContainsRune(letters, r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tries bounds how often one person types a code: five at once, one more each 12 seconds. With 20^8 codes and ten minutes,
// guessing one is hopeless; RFC 8628 section 5.1 asks for the bound all the same.
type tries struct {
	mu     sync.Mutex
	people map[odcm.UserID]*rate.Limiter
}

func (t *tries) allow(user odcm.UserID, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.people == nil || len(t.people) >= maxTries {
		t.people = map[odcm.UserID]*rate.Limiter{}
	}
	l, ok := t.people[user]
	if !ok {
		l = rate.NewLimiter(rate.Every(12*time.Second), 5)
		t.people[user] = l
	}
	return l.AllowN(now, 1)
}

// Find returns the relying party whose device shows the code.
func (s *Service) Find(ctx context.Context, user odcm.UserID, typed string) (sso.Party, []string, error) {
	_, p, granted, err := s.device(ctx, user, typed)
	return p, granted, err
}

func (s *Service) device(ctx context.Context, user odcm.UserID, typed string) (d Device, p sso.Party, granted []string, err error) {
	if user == "" || !s.tries.allow(user, s.now()) {
		s.o.Provider.Refused(ctx, "", user, "too many device codes tried")
		return d, p, nil, odcm.E(odcm.Unavailable, "sso.device-tries", "Too many codes in a short time: wait a minute, and try again.")
	}
	d, err = s.o.Store.DeviceByCode(ctx, sso.Hash(plainCode(typed)), s.now())
	if odcm.KindOf(err) == odcm.NotFound || err == nil && d.State != "pending" {
		return d, p, nil, odcm.E(odcm.Invalid, "sso.device-code", "No device shows this code, or not any more. Codes work for ten minutes.").OnField("code")
	}
	if err != nil {
		return d, p, nil, err
	}
	found, err := s.o.Provider.Lookup(ctx, d.Party)
	return d, found, strings.Fields(d.Scopes), err
}

// Decide lets the device in as the person of the session, or turns it away.
func (s *Service) Decide(ctx context.Context, session, typed string, allow bool) error {
	who, err := s.o.Provider.Session(ctx, session)
	if err != nil {
		return err
	}
	d, p, granted, err := s.device(ctx, who.User, typed)
	if err != nil {
		return err
	}
	about, err := s.o.Provider.ClaimsOf(ctx, p, who.User, append(granted, oidc.ScopeProfile))
	if err != nil {
		return err
	}
	d.State, d.User, d.Authenticated, d.Method, d.Session = "denied", who.User, who.Authenticated, who.Method, who.ID
	verb := "party.device-denied"
	if allow {
		d.State, verb = "approved", "party.device-allowed"
	}
	by := odcm.Principal{User: who.User, Name: about.PreferredUsername, Via: "session"}
	return s.o.Store.DecideDevice(ctx, d, odcm.NewEvent(by, verb, string(p.ID), p.Name, nil, nil))
}

// Tokens gives tokens to a device that was let in (RFC 8628 section 3.5).
func (s *Service) Tokens(ctx context.Context, c sso.Credentials, code string) (t grant.Tokens, err error) {
	p, err := s.o.Provider.Authenticate(ctx, c)
	if err != nil {
		return t, err
	}
	now := s.now()
	d, err := s.o.Store.Device(ctx, sso.Hash(code))
	switch {
	case odcm.KindOf(err) == odcm.NotFound, err == nil && (d.Party != p.ID || d.State == "used"):
		s.o.Provider.Refused(ctx, p.ID, "", "device code that is unknown, used, or another's")
		return t, grant.BadGrant("the device code is not valid")
	case err != nil:
		return t, err
	case !now.Before(d.Expires):
		return t, oidc.ErrExpiredDeviceCode()
	case d.State == "denied":
		return t, oidc.ErrAccessDenied()
	case d.State == "pending":
		return t, s.poll(ctx, d, now)
	}
	granted := strings.Fields(d.Scopes)
	about, err := s.o.Provider.ClaimsOf(ctx, p, d.User, granted)
	if odcm.KindOf(err) == odcm.Denied {
		return t, oidc.ErrAccessDenied()
	}
	if err != nil {
		return t, err
	}
	taken, err := s.o.Store.TakeDevice(ctx, d.ID)
	if err != nil {
		return t, err
	}
	if !taken {
		return t, grant.BadGrant("the device code is not valid any more")
	}
	// The grant has no session: the device stays in when the browser that let it in is signed out.
	return s.o.Provider.Admit(ctx, p, grant.Admission{User: d.User, Scopes: granted, Authenticated: d.Authenticated, Method: d.Method, About: about})
}

// poll tells a device to wait, and one that asks too often to wait longer.
func (s *Service) poll(ctx context.Context, d Device, now time.Time) error {
	answer := oidc.ErrAuthorizationPending()
	if !d.Polled.IsZero() && now.Sub(d.Polled) < d.Interval-500*time.Millisecond {
		d.Interval += pollEvery
		answer = oidc.ErrSlowDown()
	}
	if err := s.o.Store.PollDevice(ctx, d.ID, now, d.Interval); err != nil {
		return err
	}
	return answer
}
