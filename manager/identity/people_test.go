package identity_test

import (
	"testing"
	"time"

	"odcm"
	"odcm/kit/eventlog"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

func member(u person.User) odcm.Principal {
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: []odcm.Role{odcm.Member}, Via: "session"}
}

func TestLinkAndUnlink(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob, ann := b.create(identity.NewUser{Username: "bob"}), b.create(identity.NewUser{Username: "ann", Password: password})
	i, err := b.Link(ctx, member(bob), bob.ID, geoff())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Link(ctx, member(bob), bob.ID, geoff()); err != nil || again.ID != i.ID {
		t.Errorf("linking twice: %+v, %v", again, err)
	}
	_, err = b.Link(ctx, member(ann), ann.ID, geoff())
	b.refused("somebody else's account", err, "identity.linked-elsewhere")
	other := geoff()
	other.Subject = "tid/other"
	_, err = b.Link(ctx, member(ann), bob.ID, other)
	b.refused("to another user", err, "identity.role-missing")
	b.refused("the last way in", b.Unlink(ctx, member(bob), bob.ID, i.ID), "identity.last-way-in")
	b.refused("another's identity", b.Unlink(ctx, member(ann), ann.ID, i.ID), "identity.identity-not-found")
	if err := b.Unlink(ctx, odcm.System, bob.ID, i.ID); err != nil {
		t.Errorf("an administrator may: %v", err)
	}
	if p := b.person(bob.ID); len(p.Identities) != 0 || len(p.Emails) != 0 {
		t.Errorf("left %+v", p)
	}
	_, err = b.arrive(geoff())
	b.refused("after unlinking", err, "identity.not-admitted")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.create(identity.NewUser{Username: "bob", Password: password, Email: "bob@example.com"})
	if _, err := b.Link(ctx, odcm.System, bob.ID, geoff()); err != nil {
		t.Fatal(err)
	}
	b.refused("an enabled user", b.Delete(ctx, odcm.System, bob.ID, 1), "identity.user-enabled")
	off := true
	u, err := b.Update(ctx, odcm.System, bob.ID, 1, identity.Change{Disabled: &off})
	if err != nil {
		t.Fatal(err)
	}
	b.refused("an old revision", b.Delete(ctx, odcm.System, bob.ID, 1), "identity.user-changed")
	b.refused("by a member", b.Delete(ctx, member(bob), bob.ID, u.Revision), "identity.role-missing")
	if err := b.Delete(ctx, odcm.System, bob.ID, u.Revision); err != nil {
		t.Fatal(err)
	}
	if p := b.person(bob.ID); p.Deleted.IsZero() || !p.Disabled || p.HasPassword || len(p.Emails) != 0 || len(p.Identities) != 0 {
		t.Errorf("left %+v", p)
	}
	_, err = b.FindPerson(ctx, string(bob.ID))
	b.refused("finding", err, "identity.user-not-found")
	if all, _ := b.People(ctx, []odcm.UserID{bob.ID}); len(all) != 0 {
		t.Error("other rooms still see him")
	}
	if events, _ := b.log.List(ctx, eventlog.Filter{Subject: string(bob.ID), Limit: 100}); len(events) < 3 {
		t.Errorf("his events went: %d", len(events))
	}
	on := false
	_, err = b.Update(ctx, odcm.System, bob.ID, u.Revision+1, identity.Change{Disabled: &on})
	b.refused("activating a deleted user", err, "identity.user-deleted")
	if again := b.create(identity.NewUser{Username: "BOB"}); again.ID == bob.ID {
		t.Error("the username is not free again")
	}
}

func TestFindPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.verified("bob", "bob@example.com")
	b.create(identity.NewUser{Username: "eve", Email: "real@example.com"}) // says so, proves nothing
	for _, ref := range []string{string(bob.ID), "bob", "BOB", "bob@example.com", "BOB@example.com"} {
		if p, err := b.FindPerson(ctx, ref); err != nil || p.ID != bob.ID {
			t.Errorf("%s: %+v, %v", ref, p.User, err)
		}
	}
	for _, ref := range []string{"", "nobody", "real@example.com", "user-none", "a b"} {
		_, err := b.FindPerson(ctx, ref)
		b.refused(ref, err, "identity.user-not-found")
	}
	b.verified("rob", "bob@example.com")
	_, err := b.FindPerson(ctx, "bob@example.com")
	b.refused("shared", err, "identity.email-shared")
}

func TestGuest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.SignInAsGuest(ctx, session.Client{})
	b.refused("off by default", err, "identity.guest-off")
	b.refused("by a member", b.LetGuestIn(ctx, odcm.Principal{User: "user-x", Roles: []odcm.Role{odcm.Member}}, true), "identity.role-missing")
	if err := b.LetGuestIn(ctx, odcm.System, true); err != nil {
		t.Fatal(err)
	}
	secret, guest, err := b.SignInAsGuest(ctx, session.Client{Address: "192.0.2.1"})
	if err != nil || guest.User != person.Guest || guest.Method != "guest" {
		t.Fatalf("%+v, %v", guest, err)
	}
	a, err := b.Authenticate(ctx, session.Secret{Session: secret}, "")
	if err != nil {
		t.Fatal(err)
	}
	name := "Mallory"
	_, err = b.Update(ctx, a.Principal, person.Guest, 1, identity.Change{DisplayName: &name})
	b.refused("a new name", err, "identity.role-missing")
	_, _, err = b.CreateKey(ctx, a.Principal, session.NewKey{Purpose: "stay"})
	b.refused("an API key", err, "identity.role-missing")
	_, err = b.Sessions(ctx, a.Principal, "", 10)
	b.refused("other guests' sessions", err, "identity.role-missing")
	_, err = b.Link(ctx, a.Principal, person.Guest, geoff())
	b.refused("an identity", err, "identity.role-missing")
	b.refused("an address", b.AddEmail(ctx, a.Principal, person.Guest, "m@example.com"), "identity.role-missing")
	b.refused("a password", b.SetPassword(ctx, odcm.System, person.Guest, password), "identity.no-password")
	roles := []odcm.Role{odcm.Administrator}
	_, err = b.Update(ctx, odcm.System, person.Guest, 1, identity.Change{Roles: &roles})
	b.refused("a role", err, "identity.guest-fixed")
	if err := b.LetGuestIn(ctx, odcm.System, false); err != nil {
		t.Fatal(err)
	}
	_, err = b.Authenticate(ctx, session.Secret{Session: secret}, "")
	b.refused("after switching off", err, "identity.not-signed-in")
	if in, err := b.GuestIn(ctx); in || err != nil {
		t.Errorf("GuestIn = %v, %v", in, err)
	}
}

func TestSessionsByID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.create(identity.NewUser{Username: "bob", Password: password})
	sign := func() session.Session {
		_, s, err := b.SignIn(ctx, identity.Credentials{Username: "bob", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	here, there := sign(), sign()
	if got, err := b.Session(ctx, here.ID); err != nil || got.User != bob.ID || got.Method != "password" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := b.EndSessionsOf(ctx, member(bob), bob.ID, here.ID); err != nil {
		t.Fatal(err)
	}
	_, err := b.Session(ctx, there.ID)
	b.refused("the other one", err, "identity.session-not-found")
	if _, err := b.Session(ctx, here.ID); err != nil {
		t.Errorf("this one: %v", err)
	}
	b.refused("by a stranger", b.EndSessionsOf(ctx, odcm.Principal{User: "user-eve", Roles: []odcm.Role{odcm.Member}}, bob.ID, ""), "identity.role-missing")
	b.clock.pass(13 * time.Hour)
	_, err = b.Session(ctx, here.ID)
	b.refused("idle", err, "identity.session-not-found")
}

func TestEmails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.create(identity.NewUser{Username: "bob"})
	p := member(bob)
	for _, bad := range []string{"", "bob", "bob@", "@example.com", "a b@example.com", "bob@example.com\r\nBcc: x@y.example", "<bob@example.com>", "Bob <bob@example.com>", "bob@example.com, eve@example.com"} {
		b.refused(bad, b.AddEmail(ctx, p, bob.ID, bad), "identity.email-invalid")
	}
	for _, a := range []string{"bob@example.com", "bob@work.example"} {
		if err := b.AddEmail(ctx, p, bob.ID, a); err != nil {
			t.Fatal(err)
		}
	}
	b.refused("twice", b.AddEmail(ctx, p, bob.ID, "BOB@example.com"), "identity.email-exists")
	b.refused("verifying it oneself", b.VerifyEmail(ctx, p, bob.ID, "bob@work.example"), "identity.role-missing")
	b.refused("an unverified main one", b.UseEmail(ctx, p, bob.ID, "bob@work.example"), "identity.email-not-verified")
	if err := b.VerifyEmail(ctx, odcm.System, bob.ID, "bob@work.example"); err != nil {
		t.Fatal(err)
	}
	if err := b.UseEmail(ctx, p, bob.ID, "bob@work.example"); err != nil {
		t.Fatal(err)
	}
	if e := b.person(bob.ID).Email(); e.Address != "bob@work.example" {
		t.Errorf("main is %+v", e)
	}
	if err := b.RemoveEmail(ctx, p, bob.ID, "bob@work.example"); err != nil {
		t.Fatal(err)
	}
	if all := b.person(bob.ID).Emails; len(all) != 1 || !all[0].Main {
		t.Errorf("left %+v", all)
	}
}

// breached knows one password.
type breached string

func (b breached) Contains(p string) (bool, error) { return p == string(b), nil }

func TestStolenPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t).with(identity.Options{Breached: breached("password1")})
	_, err := b.Create(ctx, odcm.System, identity.NewUser{Username: "bob", Password: "password1"})
	b.refused("stolen", err, "identity.password-invalid")
	b.create(identity.NewUser{Username: "bob", Password: password})
}
