package identity_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/identity"
	"odcm/manager/identity/session"
)

func TestAPIKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob, eve := b.user("bob", odcm.Member), b.user("eve", odcm.Member)
	secret, k, err := b.CreateKey(ctx, bob, session.NewKey{Purpose: " build server ", Expires: b.clock.Now().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^odcm_[A-Za-z0-9_-]{43}$`).MatchString(secret) || k.Prefix != secret[:11] || k.Purpose != "build server" {
		t.Errorf("key %+v of secret %q", k, secret)
	}
	p, err := authenticate(b.Service, byKey(secret))
	if err != nil || p.User != bob.User || p.Via != "api-key" {
		t.Errorf("principal %+v, %v", p, err)
	}
	if all, err := b.Keys(ctx, bob, "", 10); err != nil || len(all) != 1 || !all[0].Used.Equal(b.clock.Now()) {
		t.Errorf("last use: %+v, %v", all, err)
	}
	for _, e := range b.events("identity.api-key-created") {
		if strings.Contains(string(e.After), secret) {
			t.Error("the event tells the secret")
		}
	}
	_, err = authenticate(b.Service, bySession(secret[len("odcm_"):]))
	wantCode(t, "a key as a session", err, "identity.not-signed-in")

	b.clock.pass(24*time.Hour - time.Second)
	if _, err := authenticate(b.Service, byKey(secret)); err != nil {
		t.Errorf("in its last second: %v", err)
	}
	b.clock.pass(time.Second) // the cache would believe it for longer
	_, err = authenticate(b.Service, byKey(secret))
	wantCode(t, "expired", err, "identity.not-signed-in")

	secret, k, err = b.CreateKey(ctx, bob, session.NewKey{Purpose: "for ever"})
	if err != nil {
		t.Fatal(err)
	}
	b.clock.pass(100 * 365 * 24 * time.Hour)
	if _, err := authenticate(b.Service, byKey(secret)); err != nil {
		t.Errorf("without expiry: %v", err)
	}
	wantCode(t, "deleted by eve", b.DeleteKey(ctx, eve, k.ID), "identity.api-key-not-found")
	if err := b.DeleteKey(ctx, bob, k.ID); err != nil {
		t.Fatal(err)
	}
	_, err = authenticate(b.Service, byKey(secret))
	wantCode(t, "revoked", err, "identity.not-signed-in")

	for what, n := range map[string]session.NewKey{
		"no purpose": {}, "blank purpose": {Purpose: "  "}, "long purpose": {Purpose: strings.Repeat("x", 201)},
	} {
		_, _, err := b.CreateKey(ctx, bob, n)
		wantCode(t, what, err, "identity.purpose-invalid")
	}
	_, _, err = b.CreateKey(ctx, bob, session.NewKey{Purpose: "late", Expires: b.clock.Now()})
	wantCode(t, "in the past", err, "identity.expiry-invalid")
	_, _, err = b.CreateKey(ctx, odcm.Principal{}, session.NewKey{Purpose: "nobody's"})
	wantCode(t, "of nobody", err, "identity.not-signed-in")
}

func TestSignInForKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bob := b.user("bob")
	c := identity.Credentials{Username: "bob", Password: password, From: session.Client{Address: "192.0.2.1"}}
	secret, k, err := b.SignInForKey(ctx, c, "odcm login")
	if err != nil || !k.Expires.Equal(b.clock.Now().Add(identity.LoginKeyLife)) {
		t.Fatalf("%+v, %v", k, err)
	}
	if p, err := authenticate(b.Service, byKey(secret)); err != nil || p.User != bob.User {
		t.Errorf("%+v, %v", p, err)
	}
	c.Password = "wrong"
	_, _, err = b.SignInForKey(ctx, c, "odcm login")
	wantCode(t, "wrong password", err, "identity.sign-in-failed")
}

func TestDisabledUserIsOutAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("root", odcm.Administrator)
	bob := b.user("bob", odcm.Member)
	cookie, _ := b.signIn("bob")
	key, _, err := b.CreateKey(ctx, bob, session.NewKey{Purpose: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	all := []session.Secret{bySession(cookie), byKey(key)}
	for _, s := range all {
		if _, err := authenticate(b.Service, s); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Update(ctx, bob, bob.User, 1, identity.Change{Disabled: &yes})
	wantCode(t, "by himself", err, "identity.role-missing")
	u, err := b.Update(ctx, odcm.System, bob.User, 1, identity.Change{Disabled: &yes})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		_, err := authenticate(b.Service, s)
		wantCode(t, "disabled", err, "identity.not-signed-in")
	}
	if _, err := b.Update(ctx, odcm.System, bob.User, u.Revision, identity.Change{Disabled: &no}); err != nil {
		t.Fatal(err)
	}
	_, err = authenticate(b.Service, bySession(cookie))
	wantCode(t, "the old session of one who may come again", err, "identity.not-signed-in")
	if _, err := authenticate(b.Service, byKey(key)); err != nil {
		t.Errorf("his key: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	root, bob := b.user("root", odcm.Administrator), b.user("bob", odcm.Member)
	name, roles, bad := "Bob Specialist", []odcm.Role{odcm.Administrator}, "Bob\r\nBcc:"
	if u, err := b.Update(ctx, bob, bob.User, 1, identity.Change{DisplayName: &name}); err != nil || u.DisplayName != name || u.Revision != 2 {
		t.Errorf("own name: %+v, %v", u, err)
	}
	_, err := b.Update(ctx, bob, bob.User, 1, identity.Change{DisplayName: &name})
	wantCode(t, "stale", err, "identity.user-changed")
	_, err = b.Update(ctx, bob, root.User, 1, identity.Change{DisplayName: &name})
	wantCode(t, "someone else's name", err, "identity.role-missing")
	_, err = b.Update(ctx, bob, bob.User, 2, identity.Change{Roles: &roles})
	wantCode(t, "own roles", err, "identity.role-missing")
	_, err = b.Update(ctx, bob, bob.User, 2, identity.Change{DisplayName: &bad})
	wantCode(t, "control characters", err, "identity.display-name-invalid")
	roles = []odcm.Role{"emperor"}
	_, err = b.Update(ctx, root, bob.User, 2, identity.Change{Roles: &roles})
	wantCode(t, "unknown role", err, "identity.role-unknown")
	roles = nil
	_, err = b.Update(ctx, root, root.User, 1, identity.Change{Roles: &roles})
	wantCode(t, "last administrator", err, "identity.last-administrator")
	_, err = b.Get(ctx, bob, root.User)
	wantCode(t, "look at someone else", err, "identity.role-missing")
	if u, err := b.Get(ctx, bob, bob.User); err != nil || u.DisplayName != name {
		t.Errorf("look at oneself: %+v, %v", u, err)
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	login, err := b.Bootstrap(ctx, identity.FirstRun{})
	if err != nil || login == nil || login.Username != "admin" || len(login.Password) < 20 {
		t.Fatalf("first run: %+v, %v", login, err)
	}
	if err := b.try("admin", login.Password, "192.0.2.1"); err != nil {
		t.Errorf("with the printed password: %v", err)
	}
	const first, second = "odcm_first-key-of-the-operator", "second.key/of+the=operator"
	works := func(secret string) bool {
		p, err := authenticate(b.Service, byKey(secret))
		return err == nil && p.Has(odcm.Administrator)
	}
	for _, step := range []struct {
		key           string
		first, second bool
	}{{first, true, false}, {first, true, false}, {second, false, true}, {"", false, false}} {
		again, err := b.Bootstrap(ctx, identity.FirstRun{Password: "another password", APIKey: step.key})
		if err != nil || again != nil {
			t.Fatalf("later run: %+v, %v", again, err)
		}
		b.clock.pass(6 * time.Second)
		if works(first) != step.first || works(second) != step.second {
			t.Errorf("option %q: first works %v, second %v", step.key, works(first), works(second))
		}
	}
	if made, gone := len(b.events("identity.api-key-created")), len(b.events("identity.api-key-revoked")); made != 2 || gone != 2 {
		t.Errorf("%d keys made, %d revoked", made, gone)
	}
	wantCode(t, "a later password option", b.try("admin", "another password", "192.0.2.1"), "identity.sign-in-failed")
	for what, f := range map[string]identity.FirstRun{
		"identity.api-key-invalid":  {APIKey: "short"},
		"identity.username-invalid": {Username: "two words"},
		"identity.password-invalid": {Username: "other", Password: "short"},
	} {
		_, err := b.Bootstrap(ctx, f)
		wantCode(t, what, err, what)
	}
	if login, err := b.Bootstrap(ctx, identity.FirstRun{Username: "Chief", Password: "Password01!"}); err != nil || login == nil || login.Password != "" {
		t.Errorf("with a password of the operator's: %+v, %v", login, err)
	}
}
