package identitysql_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/password"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type bundle struct {
	*identitysql.Store
	log *eventlog.Log
}

func open(t *testing.T, d *db.DB) bundle {
	t.Helper()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	s, err := identitysql.New(t.Context(), d, log)
	if err != nil {
		t.Fatal(err)
	}
	return bundle{s, log}
}

func event(typ, subject string) odcm.Event {
	return odcm.NewEvent(odcm.System, typ, subject, "", nil, nil)
}

func user(t *testing.T, s bundle, name string, roles ...odcm.Role) person.User {
	t.Helper()
	u := person.User{ID: odcm.NewID[odcm.UserID]("user"), Username: name, DisplayName: name + "'s name", Roles: roles, Revision: 1, Created: start}
	if err := s.CreateUser(t.Context(), u, name, "hash of "+name, event("identity.user-created", string(u.ID))); err != nil {
		t.Fatal(err)
	}
	return u
}

func signedIn(t *testing.T, s bundle, u person.User, token string) session.Session {
	t.Helper()
	n := session.Session{ID: odcm.NewID[session.ID]("session"), User: u.ID, Method: "password", Created: start, Seen: start,
		Expires: start.Add(time.Hour), Address: "192.0.2.1", UserAgent: "Firefox"}
	if err := s.CreateSession(t.Context(), n, token, event("identity.signed-in", string(u.ID))); err != nil {
		t.Fatal(err)
	}
	return n
}

func key(t *testing.T, s bundle, u person.User, token string, expires time.Time) session.APIKey {
	t.Helper()
	k := session.APIKey{ID: odcm.NewID[session.KeyID]("apikey"), User: u.ID, Prefix: "odcm_abc", Purpose: "a test", Created: start, Expires: expires}
	if err := s.CreateKey(t.Context(), k, token, event("identity.api-key-created", string(k.ID))); err != nil {
		t.Fatal(err)
	}
	return k
}

func wantKind(t *testing.T, what string, err error, kind odcm.Kind, code string) {
	t.Helper()
	if odcm.KindOf(err) != kind || code != "" && odcm.CodeOf(err) != code {
		t.Errorf("%s: got %v (%s, %s), want %s %s", what, err, odcm.KindOf(err), odcm.CodeOf(err), kind, code)
	}
}

// events counts those of the type.
func events(t *testing.T, s bundle, typ string) int {
	t.Helper()
	all, err := s.log.List(t.Context(), eventlog.Filter{Types: []string{typ}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestUsers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob := user(t, s, "bob", odcm.Administrator, odcm.SpaceAdministrator)

		got, hash, err := s.UserByKey(ctx, "bob")
		if err != nil || hash != "hash of bob" || !equal(got, bob) {
			t.Errorf("UserByKey = %+v, %q, %v; want %+v", got, hash, err, bob)
		}
		if got, err := s.User(ctx, bob.ID); err != nil || !equal(got, bob) {
			t.Errorf("User = %+v, %v", got, err)
		}
		_, err = s.User(ctx, "user-none")
		wantKind(t, "User", err, odcm.NotFound, "identity.user-not-found")
		_, _, err = s.UserByKey(ctx, "nobody")
		wantKind(t, "UserByKey", err, odcm.NotFound, "")

		again := bob
		again.ID = "user-other"
		wantKind(t, "second bob", s.CreateUser(ctx, again, "bob", "", event("identity.user-created", "x")), odcm.Exists, "identity.username-taken")
		if n := events(t, s, "identity.user-created"); n != 1 {
			t.Errorf("%d events of one creation and one refusal", n)
		}

		guest := person.User{ID: "user-guest", Username: "guest", DisplayName: "Guest", Revision: 1, Created: start}
		if err := s.CreateUser(ctx, guest, "guest", "", event("identity.user-created", "user-guest")); err != nil {
			t.Fatal(err)
		}
		if got, hash, err := s.UserByKey(ctx, "guest"); err != nil || hash != "" || len(got.Roles) != 0 {
			t.Errorf("a user without password and roles: %+v, %q, %v", got, hash, err)
		}
	})
}

func equal(a, b person.User) bool {
	return a.ID == b.ID && a.Username == b.Username && a.DisplayName == b.DisplayName && slices.Equal(a.Roles, b.Roles) &&
		a.Disabled == b.Disabled && a.Revision == b.Revision && a.Created.Equal(b.Created)
}

func TestUpdateUser(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		ann, bob := user(t, s, "ann", odcm.Administrator), user(t, s, "bob", odcm.Administrator)
		signedIn(t, s, bob, "token of bob")

		bob.Disabled = true
		if err := s.UpdateUser(ctx, bob, event("identity.user-updated", string(bob.ID))); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.User(ctx, bob.ID); !got.Disabled || got.Revision != 2 {
			t.Errorf("after the change: %+v", got)
		}
		_, _, err := s.SessionByToken(ctx, "token of bob")
		wantKind(t, "session of a disabled user", err, odcm.NotFound, "")
		wantKind(t, "stale revision", s.UpdateUser(ctx, bob, event("identity.user-updated", "x")), odcm.Conflict, "identity.user-changed")

		ann.Roles = []odcm.Role{odcm.SpaceAdministrator}
		wantKind(t, "last administrator", s.UpdateUser(ctx, ann, event("identity.user-updated", "x")), odcm.Conflict, "identity.last-administrator")
		if got, _ := s.User(ctx, ann.ID); !slices.Equal(got.Roles, []odcm.Role{odcm.Administrator}) {
			t.Errorf("a refused change was written: %+v", got)
		}
		if n := events(t, s, "identity.user-updated"); n != 1 {
			t.Errorf("%d events of one change and two refusals", n)
		}
	})
}

func TestTwoAdministratorsCannotDemoteEachOther(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := open(t, d)
		var refused [2]error
		var wg sync.WaitGroup
		for i, u := range []person.User{user(t, s, "ann", odcm.Administrator), user(t, s, "bob", odcm.Administrator)} {
			wg.Go(func() {
				u.Roles = []odcm.Role{odcm.Member}
				refused[i] = s.UpdateUser(context.Background(), u, event("identity.user-updated", string(u.ID)))
			})
		}
		wg.Wait()
		if (refused[0] == nil) == (refused[1] == nil) {
			t.Errorf("one must stay administrator: %v, %v", refused[0], refused[1])
		}
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob, ann := user(t, s, "bob"), user(t, s, "ann")
		kept := signedIn(t, s, bob, "kept")
		signedIn(t, s, bob, "other")
		signedIn(t, s, ann, "of ann")
		if err := s.SetPassword(ctx, bob.ID, "new", kept.ID, start, event("identity.password-changed", string(bob.ID))); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.SessionByToken(ctx, "other")
		wantKind(t, "other session", err, odcm.NotFound, "")
		for _, token := range []string{"kept", "of ann"} {
			if _, _, err := s.SessionByToken(ctx, token); err != nil {
				t.Errorf("session %q: %v", token, err)
			}
		}
		for _, try := range []struct{ old, new, want string }{{"hash of bob", "late", "new"}, {"new", "newer", "newer"}} {
			if err := s.Rehash(ctx, bob.ID, try.old, try.new); err != nil {
				t.Fatal(err)
			}
			if _, hash, _ := s.UserByKey(ctx, "bob"); hash != try.want {
				t.Errorf("Rehash(%q, %q) left %q, want %q", try.old, try.new, hash, try.want)
			}
		}
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob, ann := user(t, s, "bob", odcm.Member), user(t, s, "ann")
		first, second := signedIn(t, s, bob, "one"), signedIn(t, s, bob, "two")
		signedIn(t, s, ann, "three")

		got, u, err := s.SessionByToken(ctx, "one")
		if err != nil || got != first || !equal(u, bob) {
			t.Errorf("SessionByToken = %+v, %+v, %v", got, u, err)
		}
		all, err := s.Sessions(ctx, bob.ID, start, start.Add(-time.Hour), "", 10)
		if err != nil || len(all) != 2 || all[0] != second || all[1] != first {
			t.Errorf("Sessions = %+v, %v", all, err)
		}
		if page, err := s.Sessions(ctx, bob.ID, start, start.Add(-time.Hour), second.ID, 10); err != nil || len(page) != 1 || page[0] != first {
			t.Errorf("second page = %+v, %v", page, err)
		}
		for what, bounds := range map[string][2]time.Time{"ended": {start.Add(time.Hour), start.Add(-time.Hour)}, "idle": {start, start}} {
			if none, err := s.Sessions(ctx, bob.ID, bounds[0], bounds[1], "", 10); err != nil || len(none) != 0 {
				t.Errorf("%s sessions are listed: %+v, %v", what, none, err)
			}
		}
		for _, seen := range []time.Time{start.Add(2 * time.Minute), start.Add(time.Minute)} { // the second comes late
			if err := s.TouchSession(ctx, first.ID, seen, "192.0.2.2"); err != nil {
				t.Fatal(err)
			}
		}
		if got, _, _ := s.SessionByToken(ctx, "one"); !got.Seen.Equal(start.Add(2*time.Minute)) || got.Address != "192.0.2.2" {
			t.Errorf("after touching: %+v", got)
		}
		wantKind(t, "someone else's session", s.DeleteSession(ctx, ann.ID, first.ID, event("identity.session-ended", "x")), odcm.NotFound, "")
		if err := s.DeleteSession(ctx, bob.ID, first.ID, event("identity.session-ended", "x")); err != nil {
			t.Fatal(err)
		}
		_, _, err = s.SessionByToken(ctx, "one")
		wantKind(t, "ended session", err, odcm.NotFound, "")
		if n := events(t, s, "identity.session-ended"); n != 1 {
			t.Errorf("%d events of one end and one refusal", n)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob, ann := user(t, s, "bob"), user(t, s, "ann")
		first, second := key(t, s, bob, "one", time.Time{}), key(t, s, bob, "two", start.Add(time.Hour))
		wantKind(t, "same secret", s.CreateKey(ctx, session.APIKey{ID: "x", User: ann.ID}, "one", event("identity.api-key-created", "x")), odcm.Exists, "")

		got, u, err := s.KeyByToken(ctx, "one")
		if err != nil || got != first || !equal(u, bob) {
			t.Errorf("KeyByToken = %+v, %+v, %v", got, u, err)
		}
		if all, err := s.Keys(ctx, bob.ID, "", 1); err != nil || len(all) != 1 || all[0] != second {
			t.Errorf("Keys = %+v, %v", all, err)
		}
		if all, err := s.Keys(ctx, bob.ID, second.ID, 10); err != nil || len(all) != 1 || all[0] != first {
			t.Errorf("second page = %+v, %v", all, err)
		}
		if err := errors.Join(s.TouchKey(ctx, first.ID, start.Add(time.Hour)), s.TouchKey(ctx, first.ID, start)); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := s.KeyByToken(ctx, "one"); !got.Used.Equal(start.Add(time.Hour)) {
			t.Errorf("after use: %+v", got)
		}
		wantKind(t, "someone else's key", s.DeleteKey(ctx, ann.ID, first.ID, event("identity.api-key-revoked", "x")), odcm.NotFound, "")
		if err := s.DeleteKey(ctx, bob.ID, first.ID, event("identity.api-key-revoked", "x")); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteKey(ctx, "", second.ID, event("identity.api-key-revoked", "x")); err != nil {
			t.Errorf("delete anyone's: %v", err)
		}
		_, _, err = s.KeyByToken(ctx, "one")
		wantKind(t, "revoked key", err, odcm.NotFound, "identity.api-key-not-found")
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		none, one, two := password.Failures{}, password.Failures{Count: 1, Last: start}, password.Failures{Count: 2, Last: start.Add(time.Second)}
		for _, step := range []struct {
			name     string
			old, new password.Failures
			done     bool
			want     password.Failures
		}{
			{"first", none, one, true, one},
			{"first again, too late", none, two, false, one},
			{"second", one, two, true, two},
			{"second again, too late", one, two, false, two},
			{"forget what changed", one, none, false, two},
			{"forget", two, none, true, none},
		} {
			done, err := s.SetFailures(ctx, password.FailureCount{Key: "user bob", Old: step.old, New: step.new})
			if err != nil || done != step.done {
				t.Errorf("%s: %v, %v", step.name, done, err)
			}
			if got, err := s.Failures(ctx, "user bob"); err != nil || got != step.want {
				t.Errorf("%s: left %+v, %v", step.name, got, err)
			}
		}
		done, err := s.SetFailures(ctx, password.FailureCount{Key: "user bob", New: one}, password.FailureCount{Key: "address", Old: one, New: two})
		if got, _ := s.Failures(ctx, "user bob"); done || err != nil || got != none {
			t.Errorf("two, one of them too late: %v, %v, left %+v", done, err, got)
		}
	})
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob := user(t, s, "bob")
		signedIn(t, s, bob, "idle")
		used := signedIn(t, s, bob, "used")
		if err := s.TouchSession(ctx, used.ID, start.Add(50*time.Minute), ""); err != nil {
			t.Fatal(err)
		}
		key(t, s, bob, "never", time.Time{})
		key(t, s, bob, "ended", start.Add(time.Minute))
		if _, err := s.SetFailures(ctx, password.FailureCount{Key: "user bob", New: password.Failures{Count: 1, Last: start}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(ctx, start.Add(59*time.Minute), start.Add(30*time.Minute), start.Add(30*time.Minute), start); err != nil {
			t.Fatal(err)
		}
		_, _, idle := s.SessionByToken(ctx, "idle")
		_, _, live := s.SessionByToken(ctx, "used")
		_, _, never := s.KeyByToken(ctx, "never")
		_, _, ended := s.KeyByToken(ctx, "ended")
		if f, _ := s.Failures(ctx, "user bob"); f.Count != 0 || live != nil || never != nil {
			t.Errorf("failures %+v, live session %v, key %v", f, live, never)
		}
		wantKind(t, "idle session", idle, odcm.NotFound, "")
		wantKind(t, "ended key", ended, odcm.NotFound, "")
		if err := s.Prune(ctx, start.Add(time.Hour), start, start, start); err != nil {
			t.Fatal(err)
		}
		_, _, live = s.SessionByToken(ctx, "used")
		wantKind(t, "session at its end", live, odcm.NotFound, "")
	})
}
