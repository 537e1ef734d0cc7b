package identity_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

const entra odcm.ProviderID = "provider-entra"

// geoff is what his company's provider says of him.
func geoff() person.Assertion {
	return person.Assertion{Provider: entra, Subject: "tid/oid", Method: "oidc", Username: "geoff@consult.example", DisplayName: "Geoff Outsider",
		Email: "geoff@consult.example", EmailVerified: true, Marks: map[string]string{"upn": "geoff@consult.example"}}
}

func (b *bundle) arrive(a person.Assertion) (session.Session, error) {
	_, s, err := b.SignInBy(ctx, a, session.Client{Address: "192.0.2.1"})
	return s, err
}

func (b *bundle) must(a person.Assertion) odcm.UserID {
	b.t.Helper()
	s, err := b.arrive(a)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.User
}

func (b *bundle) person(id odcm.UserID) person.Person {
	b.t.Helper()
	p, err := b.Person(ctx, odcm.System, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bundle) create(n identity.NewUser) person.User {
	b.t.Helper()
	u, err := b.Create(ctx, odcm.System, n)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// verified makes a user who has proved the address.
func (b *bundle) verified(name, address string) person.User {
	b.t.Helper()
	u := b.create(identity.NewUser{Username: name, Email: address})
	if err := b.VerifyEmail(ctx, odcm.System, u.ID, address); err != nil {
		b.t.Fatal(err)
	}
	return u
}

func (b *bundle) refused(what string, err error, code string) {
	b.t.Helper()
	if odcm.CodeOf(err) != code {
		b.t.Errorf("%s: got %v (%s), want %s", what, err, odcm.CodeOf(err), code)
	}
}

func TestWhoAProviderVouchesFor(t *testing.T) {
	t.Parallel()
	t.Run("is refused while nobody admits him", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.arrive(geoff())
		b.refused("unknown", err, "identity.not-admitted")
		if events, _ := b.log.List(ctx, eventlog.Filter{Types: []string{"identity.sign-in-failed"}, Limit: 10}); len(events) != 1 {
			t.Errorf("%d events of the refusal", len(events))
		}
	})
	t.Run("becomes a user where the provider admits people, and is the same one ever after", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := geoff()
		a.Admit = true
		id := b.must(a)
		a.Admit, a.Username, a.DisplayName = false, "renamed", "New Name"
		if again := b.must(a); again != id {
			t.Errorf("came back as %s, was %s", again, id)
		}
		p := b.person(id)
		if p.Username != "geoff@consult.example" || len(p.Identities) != 1 || p.Identities[0].Username != "renamed" || p.Identities[0].Marks["upn"] == "" {
			t.Errorf("kept %+v", p)
		}
		if len(p.Emails) != 1 || !p.Emails[0].Verified.IsZero() || !p.Emails[0].Main {
			t.Errorf("an address that an untrusted provider vouches for: %+v", p.Emails)
		}
	})
	t.Run("is not the user of that address unless provider, setting and user all prove it", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*person.Assertion){
			"provider does not vouch":       func(a *person.Assertion) { a.EmailVerified = false },
			"setting does not trust":        func(a *person.Assertion) { a.TrustEmail = false },
			"address is somebody else's":    func(a *person.Assertion) { a.Email = "geoff@other.example" },
			"address only looks the same":   func(a *person.Assertion) { a.Email = "geoff@consult.example." },
			"address is a header injection": func(a *person.Assertion) { a.Email = "geoff@consult.example\r\nBcc: x@y.example" },
		} {
			b := setup(t)
			b.verified("geoff", "geoff@consult.example")
			a := geoff()
			a.TrustEmail = true
			change(&a)
			_, err := b.arrive(a)
			b.refused(name, err, "identity.not-admitted")
		}
		b := setup(t)
		b.create(identity.NewUser{Username: "geoff", Email: "geoff@consult.example"}) // typed, not proved
		a := geoff()
		a.TrustEmail = true
		_, err := b.arrive(a)
		b.refused("the user has not proved it", err, "identity.not-admitted")
	})
	t.Run("is the one user who has proved the address that a trusted provider vouches for", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		u := b.verified("geoff", "Geoff@Consult.example")
		a := geoff()
		a.TrustEmail = true
		if id := b.must(a); id != u.ID {
			t.Errorf("got %s, want %s", id, u.ID)
		}
		events, _ := b.log.List(ctx, eventlog.Filter{Types: []string{"identity.linked"}, Limit: 10})
		if len(events) != 1 {
			t.Errorf("%d events of linking", len(events))
		}
	})
	t.Run("is neither of two who have proved the address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		one, other := b.verified("geoff", "geoff@consult.example"), b.verified("jeff", "geoff@consult.example")
		a := geoff()
		a.TrustEmail = true
		_, err := b.arrive(a)
		b.refused("two of one address", err, "identity.not-admitted")
		a.Admit = true
		if id := b.must(a); id == one.ID || id == other.ID {
			t.Error("two people with one address were merged by themselves")
		}
	})
	t.Run("does not take over from a disabled user with the address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		u := b.verified("geoff", "geoff@consult.example")
		off := true
		if _, err := b.Update(ctx, odcm.System, u.ID, 1, identity.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		a := geoff()
		a.TrustEmail = true
		_, err := b.arrive(a)
		b.refused("disabled", err, "identity.not-admitted")
	})
	t.Run("loses an address that the provider says no more, since it may be somebody else's now", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := geoff()
		a.Admit, a.TrustEmail = true, true
		old := b.must(a)
		a.Email = "geoff.new@consult.example"
		b.must(a)
		next := geoff()
		next.Subject, next.Username, next.TrustEmail, next.Admit = "tid/successor", "geoff2", true, true
		if id := b.must(next); id == old {
			t.Error("the successor in the address got the predecessor's account")
		}
	})
	t.Run("is told that he is deactivated", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := geoff()
		a.Admit = true
		id := b.must(a)
		off := true
		if _, err := b.Update(ctx, odcm.System, id, b.person(id).Revision, identity.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		_, err := b.arrive(a)
		b.refused("disabled", err, "identity.user-disabled")
	})
	t.Run("is refused where the subject cannot be kept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, subject := range []string{"", "a\x00b", string(make([]byte, 2000)), "\xff"} {
			a := geoff()
			a.Subject, a.Admit = subject, true
			_, err := b.arrive(a)
			b.refused("subject", err, "identity.subject-invalid")
		}
	})
	t.Run("is one user however many requests bring him at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		a := geoff()
		a.Admit = true
		var mu sync.Mutex
		ids := map[odcm.UserID]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := b.arrive(a)
				mu.Lock()
				defer mu.Unlock()
				if ids[s.User] = true; err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 {
			t.Errorf("%d users", len(ids))
		}
	})
	t.Run("gets another username where his is taken", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.create(identity.NewUser{Username: "bob"})
		var names []string
		for _, subject := range []string{"one", "two", "three"} {
			a := person.Assertion{Provider: entra, Subject: subject, Method: "oidc", Username: "bob", Admit: true}
			names = append(names, b.person(b.must(a)).Username)
		}
		if names[0] == names[1] || names[1] == names[2] || names[0] == "bob" {
			t.Errorf("names %q", names)
		}
	})
}

// groups remembers what it was told.
type groups struct {
	mu   sync.Mutex
	said map[odcm.UserID][]person.ExternalGroup
}

func (g *groups) Assert(_ context.Context, user odcm.UserID, _ odcm.ProviderID, all []person.ExternalGroup) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.said == nil {
		g.said = map[odcm.UserID][]person.ExternalGroup{}
	}
	g.said[user] = all
	return nil
}

func (b *bundle) with(o identity.Options) *bundle {
	o.Store, o.Bus, o.Authorizer, o.Now = b.store, b.bus, role.NewAuthorizer(), b.clock.Now
	s := identity.New(o)
	s.Cheapen()
	return &bundle{Service: s, t: b.t, store: b.store, log: b.log, bus: b.bus, clock: b.clock}
}

func TestGroupsCountOnlyWhereTheyAreKnown(t *testing.T) {
	t.Parallel()
	g := &groups{}
	b := setup(t).with(identity.Options{Groups: g})
	a := geoff()
	a.Admit, a.Groups, a.GroupsKnown = true, []person.ExternalGroup{{ID: "g1", Name: "Consultants"}}, true
	id := b.must(a)
	a.Groups, a.GroupsKnown = nil, false // could not be asked
	b.must(a)
	if len(g.said[id]) != 1 {
		t.Errorf("a provider that could not be asked emptied the groups: %v", g.said)
	}
	a.GroupsKnown = true
	b.must(a)
	if len(g.said[id]) != 0 {
		t.Errorf("groups that are known to be none stayed: %v", g.said)
	}
}

// directory answers as it is told.
type directory struct {
	mu    sync.Mutex
	says  person.Assertion
	err   error
	asked int
}

func (d *directory) Verify(_ context.Context, username, password string) (person.Assertion, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil {
		return person.Assertion{}, d.err
	}
	if password != "domain password" {
		return person.Assertion{}, odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "no")
	}
	a := d.says
	a.Username = username
	return a, nil
}

func TestTheFormTriesDirectories(t *testing.T) {
	t.Parallel()
	d := &directory{says: person.Assertion{Provider: "provider-ad", Subject: "guid", Method: "ldap", Admit: true}}
	b := setup(t).with(identity.Options{Directories: d})
	local := b.create(identity.NewUser{Username: "admin", Password: password, Roles: []odcm.Role{odcm.Administrator}})
	sign := func(username, password string) (session.Session, error) {
		_, s, err := b.SignIn(ctx, identity.Credentials{Username: username, Password: password, From: session.Client{Address: "192.0.2.9"}})
		return s, err
	}
	t.Run("after the password that is kept here", func(t *testing.T) {
		if s, err := sign("admin", password); err != nil || s.User != local.ID || s.Method != "password" || d.asked != 0 {
			t.Errorf("%+v, %v, asked %d", s, err, d.asked)
		}
	})
	t.Run("for people who are only known there", func(t *testing.T) {
		s, err := sign("bob", "domain password")
		if err != nil || s.Method != "ldap" || b.person(s.User).Username != "bob" {
			t.Errorf("%+v, %v", s, err)
		}
	})
	t.Run("and says of a wrong password what it always says", func(t *testing.T) {
		_, err := sign("bob", "wrong password")
		b.refused("wrong", err, "identity.sign-in-failed")
	})
	t.Run("and lets the local administrator in while they are all down", func(t *testing.T) {
		d.err = odcm.E(odcm.Unavailable, "provider.unreachable", "CORP does not answer.")
		if s, err := sign("admin", password); err != nil || s.User != local.ID {
			t.Errorf("break-glass: %+v, %v", s, err)
		}
		_, err := sign("bob", "domain password")
		b.refused("directory down", err, "provider.unreachable")
	})
	t.Run("no faster than passwords can be guessed at here", func(t *testing.T) {
		d.err = nil
		before := d.asked
		var last error
		for range 40 {
			_, last = sign("victim", "guess")
		}
		if odcm.CodeOf(last) != "identity.too-many-attempts" || d.asked-before > 10 {
			t.Errorf("%d guesses reached the directory; the last: %v", d.asked-before, last)
		}
		b.clock.pass(2 * time.Hour)
	})
}
