// Package ssotest runs an OpenID Provider for tests: the real rules, store and door, with people who sign in by a cookie.
package ssotest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/sso"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/logout"
	"odcm/manager/sso/ssohttp"
	"odcm/manager/sso/ssokey"
	"odcm/manager/sso/ssosql"
)

// Cookie names the session of the browser.
const Cookie = "session"

// Provider is a running one.
type Provider struct {
	*grant.Service
	URL    string
	Site   *web.Site
	Door   http.Handler // what the server at URL serves: the site, and what stands before it
	Ring   *ssokey.Ring
	Store  *ssosql.Store
	Events *eventlog.Log
	World  *World
	Bus    *signal.Bus
	t      testing.TB
}

// World is who there is. It stands in for the rooms of identity and access.
type World struct {
	mu       sync.Mutex
	people   map[odcm.UserID]sso.Person
	sessions map[string]sso.Session
	groups   map[odcm.UserID][]string
	barred   map[odcm.UserID]bool
	ahead    time.Duration
	told     []Told
	deaf     int // how many deliveries fail
	arrived  int // how often somebody was waited for
}

// Told is a logout token that was delivered.
type Told struct{ URI, Token string }

// Now is the time in the world.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// Pass lets time pass.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

// Person implements sso.People.
func (w *World) Person(_ context.Context, id odcm.UserID) (sso.Person, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.people[id]
	if !ok {
		return p, odcm.E(odcm.NotFound, "test.nobody", "nobody")
	}
	return p, nil
}

// Session implements sso.People.
func (w *World) Session(_ context.Context, id string) (sso.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.sessions[id]
	if !ok {
		return s, odcm.E(odcm.NotFound, "test.no-session", "no session")
	}
	return s, nil
}

// Enter implements sso.Access.
func (w *World) Enter(_ context.Context, user odcm.UserID, _ odcm.InstanceID) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.barred[user] {
		return nil, odcm.E(odcm.Denied, "access.no-grant", "You may not enter Payments: ask its administrators.")
	}
	return w.groups[user], nil
}

// Arrive implements sso.Access.
func (w *World) Arrive(context.Context, odcm.UserID, odcm.InstanceID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived++
	return nil
}

// Arrived is how often somebody was waited for since it was asked last.
func (w *World) Arrived() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.arrived
	w.arrived = 0
	return n
}

// Deliver implements logout.Backchannel.
func (w *World) Deliver(_ context.Context, uri, token string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf > 0 {
		w.deaf--
		return odcm.E(odcm.Unavailable, "test.deaf", "does not answer")
	}
	w.told = append(w.told, Told{uri, token})
	return nil
}

// Deafen makes so many deliveries fail.
func (w *World) Deafen(n int) { w.mu.Lock(); defer w.mu.Unlock(); w.deaf = n }

// Told returns what was delivered.
func (w *World) Told() []Told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Told(nil), w.told...)
}

// Bar shuts the person out of every Space.
func (w *World) Bar(user odcm.UserID) { w.mu.Lock(); defer w.mu.Unlock(); w.barred[user] = true }

// Change changes a person.
func (w *World) Change(user odcm.UserID, f func(*sso.Person)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.people[user]
	f(&p)
	w.people[user] = p
}

// SignIn makes a session for the person, who is made where unknown.
func (w *World) SignIn(user odcm.UserID) (session string) {
	now := w.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.people[user]; !ok {
		w.people[user] = sso.Person{ID: user, Username: string(user), DisplayName: "Ann Example", Email: string(user) + "@example.com", EmailVerified: true, Updated: now}
		w.groups[user] = []string{"group-developers", "group-operators"}
	}
	id := odcm.NewID[string]("session")
	w.sessions[id] = sso.Session{ID: id, User: user, Authenticated: now, Method: "password", Expires: now.Add(7 * 24 * time.Hour)}
	return id
}

// End ends a session.
func (w *World) End(session string) { w.mu.Lock(); defer w.mu.Unlock(); delete(w.sessions, session) }

type anyone struct{ w *World }

func (a anyone) Authenticate(r *http.Request) (odcm.Principal, error) {
	if c, err := r.Cookie(Cookie); err == nil {
		if s, err := a.w.Session(r.Context(), c.Value); err == nil {
			return odcm.Principal{User: s.User, Name: string(s.User), Roles: []odcm.Role{odcm.Administrator}, Via: "session"}, nil
		}
	}
	return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "test.not-signed-in", "Sign in.")
}

// Administrators lets them do everything, auditors read, and others nothing.
type Administrators struct{}

// Authorize implements odcm.Authorizer.
func (Administrators) Authorize(_ context.Context, p odcm.Principal, action odcm.Action, _ string) error {
	_, verb, _ := strings.Cut(string(action), ".")
	if p.Has(odcm.Administrator) || p.Has(odcm.Auditor) && (verb == "read" || verb == "list") {
		return nil
	}
	return odcm.E(odcm.Denied, "denied", "%s is for administrators.", action)
}

// Sealer seals with a key of its own.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes one with a random key.
func NewSealer() *Sealer {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}
}

// Seal implements ssokey.Sealer.
func (s *Sealer) Seal(plain []byte, place string) (string, error) {
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(place))), nil
}

// Open implements ssokey.Sealer.
func (s *Sealer) Open(sealed, place string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, err
	}
	return s.aead.Open(nil, nil, b, []byte(place))
}

// New runs a provider on the database until the test ends. Adjust may change its options.
func New(t testing.TB, d *db.DB, adjust ...func(*grant.Options)) *Provider {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := ssosql.New(ctx, d, events)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{people: map[odcm.UserID]sso.Person{}, sessions: map[string]sso.Session{}, groups: map[odcm.UserID][]string{}, barred: map[odcm.UserID]bool{}}
	p := &Provider{World: w, Store: store, Events: events, Bus: bus, t: t}
	p.Ring = ssokey.New(ssokey.Options{Store: store, Sealer: NewSealer(), Bus: bus, Logger: log, Now: w.Now})
	o := grant.Options{Store: store, Keys: p.Ring, People: w, Access: w, Authorizer: Administrators{}, Bus: bus,
		Issuer: func() string { return p.URL }, Logger: log, Now: w.Now}
	for _, f := range adjust {
		f(&o)
	}
	p.Service = grant.New(o)
	out := logout.New(logout.Options{Provider: p.Service, Store: store, Keys: p.Ring, Backchannel: w, Logger: log, Now: w.Now})
	devices := device.New(device.Options{Provider: p.Service, Store: store, Now: w.Now})
	p.Site = web.New(web.Options{Authenticator: anyone{w}, Logger: log})
	door := ssohttp.Register(ssohttp.Options{Service: p.Service, Devices: devices, Logout: out, Keys: p.Ring, Site: p.Site, Logger: log,
		Session: func(r *http.Request) (string, odcm.UserID, bool) {
			c, err := r.Cookie(Cookie)
			if err != nil {
				return "", "", false
			}
			s, err := w.Session(r.Context(), c.Value)
			return s.ID, s.User, err == nil
		},
		SignIn: func(to string, fresh bool, hint string) string {
			q := url.Values{"return": {to}, "hint": {hint}}
			if fresh {
				q.Set("fresh", "1")
			}
			return "/sign-in?" + q.Encode()
		},
		SignOut: func(w http.ResponseWriter, r *http.Request) error {
			c, err := r.Cookie(Cookie)
			if err != nil {
				return nil
			}
			s, _ := p.World.Session(r.Context(), c.Value)
			p.World.End(c.Value)
			http.SetCookie(w, &http.Cookie{Name: Cookie, Path: "/", MaxAge: -1})
			return p.Service.SignedOut(r.Context(), s.User, s.ID)
		},
	})
	// The sign-in page of the test asks for nothing: it signs in whoever the hint names, or Ann.
	p.Site.HandlePublic("GET /sign-in", func(rw http.ResponseWriter, r *http.Request) error {
		user := r.URL.Query().Get("hint")
		if user == "" {
			user = "user-ann"
		}
		http.SetCookie(rw, &http.Cookie{Name: Cookie, Value: w.SignIn(odcm.UserID(user)), Path: "/", SameSite: http.SameSiteLaxMode})
		http.Redirect(rw, r, r.URL.Query().Get("return"), http.StatusSeeOther)
		return nil
	})
	p.Door = door.Before(p.Site)
	server := httptest.NewServer(p.Door)
	p.URL = server.URL
	hints := bus.Subscribe("party", "user")
	logouts := bus.Subscribe(sso.TopicLogout)
	keyHints := bus.Subscribe(ssokey.Topic)
	var running sync.WaitGroup
	running.Go(func() { _ = p.Service.Run(ctx, hints.C) })
	running.Go(func() { _ = out.Run(ctx, logouts.C) })
	running.Go(func() { _ = p.Ring.Run(ctx, keyHints.C) })
	t.Cleanup(func() {
		server.Close()
		cancel()
		running.Wait()
		bus.Close()
	})
	return p
}

// Admin may do everything.
var Admin = odcm.Principal{User: "user-admin", Name: "admin", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}

// Party registers a relying party; f changes what it is by default: an application with a secret.
func (p *Provider) Party(f func(*sso.Party)) (sso.Party, string) {
	p.t.Helper()
	party := sso.Party{Name: "Payments", Kind: sso.KindApplication, Algorithm: sso.ES256, Auth: sso.AuthSecret, Front: true,
		RedirectURIs: []string{"https://rp.example.com/back"}, PostLogoutURIs: []string{"https://rp.example.com/bye"}}
	if f != nil {
		f(&party)
	}
	party, secret, err := p.Create(context.Background(), Admin, party)
	if err != nil {
		p.t.Fatal(err)
	}
	return party, secret
}

// Browser has a session of the user, or none where user is "". It follows redirects within the provider only.
func (p *Provider) Browser(user odcm.UserID) *http.Client {
	jar, _ := cookiejar.New(nil)
	base, _ := url.Parse(p.URL)
	if user != "" {
		jar.SetCookies(base, []*http.Cookie{{Name: Cookie, Value: p.World.SignIn(user), Path: "/"}})
	}
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host != base.Host {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}
