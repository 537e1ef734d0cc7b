package identity_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

// bundle is a service on a real store, with a clock that the test moves.
type bundle struct {
	*identity.Service
	t     *testing.T
	store *identitysql.Store
	log   *eventlog.Log
	bus   *bus
	clock *clock
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bus remembers what was published.
type bus struct {
	mu     sync.Mutex
	topics []string
}

func (b *bus) Publish(topics ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics = append(b.topics, topics...)
}

const password = "correct horse"

var ctx = context.Background()

func setup(t *testing.T) *bundle {
	t.Helper()
	d := dbtest.Open(t, dbtest.SQLite(t))
	signals, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(signals.Close)
	log, err := eventlog.New(ctx, d, signals)
	if err != nil {
		t.Fatal(err)
	}
	store, err := identitysql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, store: store, log: log, bus: &bus{}, clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	b.Service = b.replica()
	return b
}

// replica is another manager process on the same database.
func (b *bundle) replica() *identity.Service {
	s := identity.New(identity.Options{Store: b.store, Bus: b.bus, Authorizer: role.NewAuthorizer(), Now: b.clock.Now,
		Logger: slog.New(slog.DiscardHandler), Cores: 2})
	s.Cheapen()
	return s
}

func (b *bundle) user(name string, roles ...odcm.Role) odcm.Principal {
	b.t.Helper()
	u, err := b.Create(ctx, odcm.System, identity.NewUser{Username: name, Password: password, Roles: roles})
	if err != nil {
		b.t.Fatal(err)
	}
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: "session"}
}

func (b *bundle) try(name, password, address string) error {
	_, _, err := b.SignIn(ctx, identity.Credentials{Username: name, Password: password, From: session.Client{Address: address}})
	return err
}

func (b *bundle) signIn(name string) (secret string, s session.Session) {
	b.t.Helper()
	secret, s, err := b.SignIn(ctx, identity.Credentials{Username: name, Password: password, From: session.Client{Address: "192.0.2.1", UserAgent: "Firefox"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret, s
}

func (b *bundle) events(typ string) []odcm.Event {
	b.t.Helper()
	all, err := b.log.List(ctx, eventlog.Filter{Types: []string{typ}, Limit: 500})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func bySession(secret string) session.Secret { return session.Secret{Session: secret} }
func byKey(secret string) session.Secret     { return session.Secret{APIKey: secret} }

func authenticate(s *identity.Service, secret session.Secret) (odcm.Principal, error) {
	a, err := s.Authenticate(ctx, secret, "192.0.2.9")
	return a.Principal, err
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := odcm.CodeOf(err); got != code {
		t.Errorf("%s: %v (code %q), want code %q", what, err, got, code)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.user("Bob", odcm.Member)
	for _, name := range []string{"Bob", "bob", "BOB", "ｂｏｂ"} {
		if err := b.try(name, password, "192.0.2.1"); err != nil {
			t.Errorf("as %q: %v", name, err)
		}
	}
	secret, s := b.signIn("bob")
	p, err := authenticate(b.Service, bySession(secret))
	if err != nil || p.User != bob.User || p.Name != "Bob" || p.Via != "session" || p.Address != "192.0.2.9" || !p.Has(odcm.Member) {
		t.Errorf("principal %+v, %v", p, err)
	}
	if s.Address != "192.0.2.1" || s.UserAgent != "Firefox" || s.Method != "password" {
		t.Errorf("session %+v", s)
	}
	if e := b.events("identity.signed-in")[0]; e.Actor != bob.User || e.Address != "192.0.2.1" || strings.Contains(string(e.After), secret) {
		t.Errorf("event %+v", e)
	}
}

func TestWrongCredentialsLookAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob")
	disabled := b.user("eve")
	yes := true
	if _, err := b.Update(ctx, odcm.System, disabled.User, 1, identity.Change{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, odcm.System, identity.NewUser{Username: "external"}); err != nil {
		t.Fatal(err)
	}
	want := b.try("bob", "wrong password", "192.0.2.1")
	wantCode(t, "wrong password", want, "identity.sign-in-failed")
	for what, try := range map[string][2]string{
		"unknown user":                   {"nobody", password},
		"disabled user":                  {"eve", password},
		"user without a password":        {"external", ""},
		"empty password":                 {"bob", ""},
		"not a username":                 {"bob smith\x00", password},
		"endless username":               {strings.Repeat("b", 1<<16), password},
		"endless password":               {"bob", strings.Repeat("p", 1<<16)},
		"password no one can type":       {"bob", "\x00\x01"},
		"password with a different case": {"bob", strings.ToUpper(password)},
	} {
		err := b.try(try[0], try[1], "192.0.2.1")
		wantCode(t, what, err, "identity.sign-in-failed")
		if err.Error() != want.Error() {
			t.Errorf("%s: %q, want %q", what, err, want)
		}
	}
	for _, e := range b.events("identity.sign-in-failed") {
		if e.Name != "bob" && e.Name != "eve" && e.Name != "external" && e.Name != "an unknown user" {
			t.Errorf("the event keeps what was typed: %q", e.Name)
		}
	}
}

func TestDelayPerUser(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bob", "nobody"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.user("bob")
			for i := range 5 {
				wantCode(t, "free try", b.try(name, "wrong", addressNumber(i)), "identity.sign-in-failed")
			}
			for i, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
				wait *= time.Second
				b.clock.pass(wait - time.Millisecond)
				wantCode(t, "early, with the right password", b.try(name, password, addressNumber(i)), "identity.too-many-attempts")
				b.clock.pass(time.Millisecond)
				wantCode(t, "in time", b.try(name, "wrong", addressNumber(i)), "identity.sign-in-failed")
			}
		})
	}
}

func addressNumber(i int) string { return "192.0.2." + string(rune('1'+i)) }

func TestSuccessForgivesTheUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob")
	for range 3 { // more failures in all than are free
		for range 4 {
			wantCode(t, "wrong", b.try("bob", "wrong", "192.0.2.1"), "identity.sign-in-failed")
		}
		if err := b.try("bob", password, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDelayPerAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob")
	for i := range 20 {
		if i%5 == 4 { // an account of one's own does not buy more guesses
			if err := b.try("bob", password, "2001:db8::1"); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, "guess", b.try("user"+string(rune('a'+i)), "wrong", "2001:db8::"+string(rune('1'+i%9))), "identity.sign-in-failed")
	}
	wantCode(t, "from the same /64", b.try("zoe", "wrong", "2001:db8::ffff:1"), "identity.too-many-attempts")
	wantCode(t, "from elsewhere", b.try("zoe", "wrong", "2001:db8:0:1::1"), "identity.sign-in-failed")
	b.clock.pass(time.Hour)
	if err := b.try("bob", password, "2001:db8::1"); err != nil {
		t.Errorf("after an hour: %v", err)
	}
}

func TestGuessesAtOnceCountAsOneAfterAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob")
	other := b.replica()
	var mu sync.Mutex
	codes := map[string]int{}
	var wg sync.WaitGroup
	for i := range 30 {
		s := b.Service
		if i%2 == 0 {
			s = other
		}
		wg.Go(func() {
			_, _, err := s.SignIn(ctx, identity.Credentials{Username: "bob", Password: "wrong", From: session.Client{Address: "192.0.2.1"}})
			mu.Lock()
			defer mu.Unlock()
			codes[odcm.CodeOf(err)]++
		})
	}
	wg.Wait()
	if codes["identity.sign-in-failed"] != 5 || codes["identity.too-many-attempts"] != 25 {
		t.Errorf("of 30 guesses at once: %v, want 5 looked at", codes)
	}
}

func TestFailureEventsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 60 {
		_ = b.try("user"+string(rune('a'+i)), "wrong", "2001:db8:0:"+string(rune('a'+i%6))+string(rune('a'+i/6%6))+"::1")
	}
	if n := len(b.events("identity.sign-in-failed")); n != 30 {
		t.Errorf("%d events of 60 failures in one moment, want the first 30", n)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	t.Run("when it is not used", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.user("bob")
		secret, _ := b.signIn("bob")
		for range 3 {
			b.clock.pass(11 * time.Hour)
			if _, err := authenticate(b.Service, bySession(secret)); err != nil {
				t.Fatalf("used in time: %v", err)
			}
		}
		b.clock.pass(12 * time.Hour)
		_, err := authenticate(b.Service, bySession(secret))
		wantCode(t, "idle for 12 hours", err, "identity.not-signed-in")
	})
	t.Run("after seven days of use", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		bob := b.user("bob")
		secret, s := b.signIn("bob")
		for b.clock.Now().Before(s.Expires.Add(-6 * time.Hour)) {
			b.clock.pass(6 * time.Hour)
			if _, err := authenticate(b.Service, bySession(secret)); err != nil && b.clock.Now().Before(s.Expires) {
				t.Fatalf("at %v: %v", b.clock.Now(), err)
			}
		}
		b.clock.pass(s.Expires.Sub(b.clock.Now()))
		_, err := authenticate(b.Service, bySession(secret))
		wantCode(t, "after 7 days", err, "identity.not-signed-in")
		if all, err := b.Sessions(ctx, bob, "", 10); err != nil || len(all) != 0 {
			t.Errorf("an ended session is listed: %v, %v", all, err)
		}
	})
	t.Run("by signing out", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		bob := b.user("bob")
		secret, _ := b.signIn("bob")
		if _, err := authenticate(b.Service, bySession(secret)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // twice is not an error
			if err := b.SignOut(ctx, secret, session.Client{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := authenticate(b.Service, bySession(secret))
		wantCode(t, "after sign-out", err, "identity.not-signed-in")
		if n := len(b.events("identity.signed-out")); n != 1 {
			t.Errorf("%d events", n)
		}
		if got := b.bus.topics[len(b.bus.topics)-1]; got != "user/"+string(bob.User) {
			t.Errorf("published %q", got)
		}
	})
	t.Run("by its owner from the list, and by nobody else", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		bob, eve := b.user("bob", odcm.Member), b.user("eve", odcm.Member)
		secret, s := b.signIn("bob")
		wantCode(t, "eve", b.EndSession(ctx, eve, s.ID), "identity.session-not-found")
		if err := b.EndSession(ctx, bob, s.ID); err != nil {
			t.Fatal(err)
		}
		_, err := authenticate(b.Service, bySession(secret))
		wantCode(t, "ended", err, "identity.not-signed-in")
	})
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.user("bob", odcm.Member)
	secret, _ := b.signIn("bob")
	seen := func() time.Time {
		all, err := b.Sessions(ctx, bob, "", 10)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].Seen
	}
	created := seen()
	for i := 1; i <= 130; i++ {
		b.clock.pass(time.Second)
		if _, err := authenticate(b.Service, bySession(secret)); err != nil {
			t.Fatal(err)
		}
		if want := created.Add(time.Duration(i/60) * time.Minute); !seen().Equal(want) {
			t.Fatalf("after %d s: seen %v, want %v", i, seen(), want)
		}
	}
	if all, _ := b.Sessions(ctx, bob, "", 10); all[0].Address != "192.0.2.9" {
		t.Errorf("address of the last use: %q", all[0].Address)
	}
}

func TestRevocationReachesOtherReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.user("bob", odcm.Member)
	other := b.replica()
	hints := make(chan string)
	done := make(chan error)
	go func() { done <- other.Run(ctx, hints) }()
	for _, hint := range []string{"user/" + string(bob.User), signal.All, ""} {
		secret, s := b.signIn("bob")
		if _, err := authenticate(other, bySession(secret)); err != nil {
			t.Fatal(err)
		}
		if err := b.EndSession(ctx, bob, s.ID); err != nil {
			t.Fatal(err)
		}
		if hint == "" { // lost: the cache believes what it knows for a few seconds
			b.clock.pass(5 * time.Second)
		} else {
			hints <- hint
			hints <- "space/another" // taken only after the first was handled
		}
		_, err := authenticate(other, bySession(secret))
		wantCode(t, "hint "+hint, err, "identity.not-signed-in")
	}
	close(hints)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.user("bob", odcm.Member)
	here, _ := b.signIn("bob")
	elsewhere, _ := b.signIn("bob")
	from := session.Client{Address: "192.0.2.1"}
	for what, c := range map[string]struct{ current, new, code string }{
		"wrong":     {"wrong", "a better password", "identity.password-wrong"},
		"short":     {password, "short", "identity.password-invalid"},
		"long":      {password, strings.Repeat("long", 100), "identity.password-invalid"},
		"endless":   {password, strings.Repeat("long", 1<<16), "identity.password-invalid"},
		"untypable": {password, "12345678\x00", "identity.password-invalid"},
	} {
		wantCode(t, what, b.ChangePassword(ctx, bob, c.current, c.new, here, from), c.code)
	}
	if err := b.ChangePassword(ctx, bob, password, "a better password", here, from); err != nil {
		t.Fatal(err)
	}
	if _, err := authenticate(b.Service, bySession(here)); err != nil {
		t.Errorf("the session that changed it: %v", err)
	}
	_, err := authenticate(b.Service, bySession(elsewhere))
	wantCode(t, "another session", err, "identity.not-signed-in")
	wantCode(t, "old password", b.try("bob", password, "192.0.2.1"), "identity.sign-in-failed")
	if err := b.try("bob", "a better password", "192.0.2.1"); err != nil {
		t.Errorf("new password: %v", err)
	}
	if n := len(b.events("identity.password-changed")); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestOldHashIsRenewed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob")
	strong := identity.New(identity.Options{Store: b.store, Bus: b.bus, Authorizer: role.NewAuthorizer(), Now: b.clock.Now})
	for range 2 {
		if _, _, err := strong.SignIn(ctx, identity.Credentials{Username: "bob", Password: password}); err != nil {
			t.Fatal(err)
		}
		if _, hash, _ := b.store.UserByKey(ctx, "bob"); !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("stored %q", hash)
		}
	}
}

// TestWrongSignInsCostTheSame compares the work that each sort of a wrong sign-in does, so that none can be told from the
// others by a clock: what one allocates is nearly all Argon2id's memory, and other tests do not run beside it.
func TestWrongSignInsCostTheSame(t *testing.T) { //nolint:paralleltest // it measures the process
	b := setup(t)
	b.Service = identity.New(identity.Options{Store: b.store, Bus: b.bus, Authorizer: role.NewAuthorizer(), Now: b.clock.Now,
		Logger: slog.New(slog.DiscardHandler), Cores: 2}) // at the real cost
	admin := b.user("barry", odcm.Administrator)
	off := b.user("dave", odcm.Member)
	disabled := true
	if _, err := b.Update(ctx, admin, off.User, 1, identity.Change{Disabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, admin, identity.NewUser{Username: "erin"}); err != nil {
		t.Fatal(err)
	}
	cost := func(name, password string) uint64 {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := b.try(name, password, "192.0.2.1")
		runtime.ReadMemStats(&after)
		if odcm.CodeOf(err) != "identity.sign-in-failed" {
			t.Fatalf("%s: %v", name, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	known := cost("barry", "wrong horse")
	if known < 19<<20 {
		t.Errorf("a wrong password costs %d bytes, less than one hash", known)
	}
	for _, c := range []struct{ who, name, password string }{
		{"nobody", "carol", "wrong horse"}, {"nobody, whose name cannot be", "carol smith", "wrong horse"}, {"one without a password", "erin", "wrong horse"},
		{"one who is disabled", "dave", password}, {"an empty password", "barry", ""}, {"a password that cannot be", "barry", "\x00"},
	} {
		if got := cost(c.name, c.password); got < known*19/20 || got > known*21/20 {
			t.Errorf("%s costs %d bytes, a wrong password %d", c.who, got, known)
		}
	}
}
