package ssosql_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/sso"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/ssokey"
	"odcm/manager/sso/ssosql"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type bundle struct {
	*ssosql.Store
	log *eventlog.Log
}

func open(t testing.TB, d *db.DB) bundle {
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
	s, err := ssosql.New(t.Context(), d, log)
	if err != nil {
		t.Fatal(err)
	}
	return bundle{s, log}
}

func event(typ string) odcm.Event { return odcm.NewEvent(odcm.System, typ, "x", "", nil, nil) }

func (s bundle) events(t testing.TB, typ string) int {
	t.Helper()
	all, err := s.log.List(t.Context(), eventlog.Filter{Types: []string{typ}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func aGrant(id string, user odcm.UserID) grant.Grant {
	return grant.Grant{ID: id, Party: "party-1", User: user, Session: "session-1", Scopes: "openid", Authenticated: now, Method: "password", Created: now, Used: now, Expires: now.Add(time.Hour), Offline: true}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, kind odcm.Kind) {
	t.Helper()
	if odcm.KindOf(err) != kind {
		t.Errorf("%s: %v, want %s", what, err, kind)
	}
}

func TestParties(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		p := sso.Party{ID: "party-1", Name: "Payments", Kind: sso.KindSpace, Instance: "instance-1", RedirectURIs: []string{"https://a/"}, PostLogoutURIs: []string{"https://b/"},
			LogoutURI: "https://c/", Algorithm: sso.RS256, Auth: sso.AuthSecret, PlainHTTP: true, Front: true, Device: true, Consent: true, Created: now, SecretMade: now, Revision: 1}
		must(t, s.CreateParty(ctx, p, sso.Secrets{Current: "one"}, event("party.created")))
		got, secrets, err := s.Party(ctx, "party-1")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(p) || secrets.Current != "one" || secrets.Old != "" {
			t.Errorf("%+v, %+v, %v; want %+v", got, secrets, err, p)
		}
		if of, err := s.PartyOf(ctx, "instance-1"); err != nil || of.ID != p.ID {
			t.Errorf("%+v, %v", of, err)
		}
		second := p
		second.ID = "party-2"
		wantKind(t, "a second one of the server", s.CreateParty(ctx, second, sso.Secrets{}, event("party.created")), odcm.Exists)
		second.Instance = ""
		must(t, s.CreateParty(ctx, second, sso.Secrets{}, event("party.created")))
		third := second
		third.ID = "party-3"
		must(t, s.CreateParty(ctx, third, sso.Secrets{}, event("party.created")))
		if all, err := s.Parties(ctx, "party-1", 1); err != nil || len(all) != 1 || all[0].ID != "party-2" {
			t.Errorf("%+v, %v", all, err)
		}
		got.Name = "Wages"
		must(t, s.UpdateParty(ctx, got, event("party.updated")))
		wantKind(t, "a stale change", s.UpdateParty(ctx, got, event("party.updated")), odcm.Conflict)
		must(t, s.SetSecret(ctx, "party-1", "two", now.Add(time.Hour), now.Add(time.Minute), event("party.secret-made")))
		got, secrets, _ = s.Party(ctx, "party-1")
		if got.Name != "Wages" || got.Revision != 3 || secrets != (sso.Secrets{Current: "two", Old: "one"}) || !got.OldSecretUntil.Equal(now.Add(time.Minute)) {
			t.Errorf("%+v, %+v", got, secrets)
		}
		must(t, s.SetSecret(ctx, "party-2", "first", now, now.Add(time.Minute), event("party.secret-made")))
		if _, secrets, _ := s.Party(ctx, "party-2"); secrets != (sso.Secrets{Current: "first"}) {
			t.Errorf("a first secret: %+v", secrets)
		}
		must(t, s.SaveConsent(ctx, grant.Consent{User: "user-1", Party: "party-1", Scopes: "openid", Given: now}, event("party.consented")))
		_, err = s.Redeem(aGrant("g", "user-1"), event("party.entered"))(ctx)
		must(t, err)
		must(t, s.DeleteParty(ctx, "party-1", event("party.deleted")))
		wantKind(t, "deleting again", s.DeleteParty(ctx, "party-1", event("party.deleted")), odcm.NotFound)
		_, _, err = s.Party(ctx, "party-1")
		wantKind(t, "the party", err, odcm.NotFound)
		_, err = s.Grant(ctx, "g")
		wantKind(t, "its grant", err, odcm.NotFound)
		_, err = s.Consent(ctx, "user-1", "party-1")
		wantKind(t, "its consent", err, odcm.NotFound)
		if n := s.events(t, "party.deleted") + s.events(t, "party.updated"); n != 2 {
			t.Errorf("%d events of a change and a deletion", n)
		}
	})
}

func TestGrants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		uses, err := s.Redeem(aGrant("a", "user-1"), event("party.entered"))(ctx)
		if err != nil || uses != 1 {
			t.Fatal(uses, err)
		}
		got, err := s.Grant(ctx, "a")
		if err != nil || got != aGrant("a", "user-1") {
			t.Errorf("%+v, %v", got, err)
		}
		if uses, err := s.Redeem(aGrant("a", "user-1"), event("party.entered"))(ctx); err != nil || uses < 2 {
			t.Errorf("the second use: %d, %v", uses, err)
		}
		if got, _ := s.Grant(ctx, "a"); got.Revoked.IsZero() {
			t.Error("a second use does not end the grant")
		}
		must(t, s.Open(ctx, aGrant("b", "user-1"), event("party.entered")))
		if uses, err := s.Redeem(aGrant("b", "user-1"), odcm.Event{})(ctx); err != nil || uses != 1 {
			t.Errorf("the code of an answer with an ID token: %d, %v", uses, err)
		}
		must(t, s.Open(ctx, aGrant("c", "user-1"), event("party.entered")))
		if _, err := s.Revoke(ctx, grant.Revocation{ID: "c", Offline: true, At: now}, event("party.signed-out")); err != nil {
			t.Fatal(err)
		}
		if uses, err := s.Redeem(aGrant("c", "user-1"), event("party.entered"))(ctx); err != nil || uses < 2 {
			t.Errorf("the code of what was revoked meanwhile: %d, %v", uses, err)
		}
		if n := s.events(t, "party.entered"); n != 3 {
			t.Errorf("%d events of three sign-ins", n)
		}
		d2 := aGrant("d", "user-1")
		d2.Created = now.Add(time.Second)
		_, err = s.Redeem(d2, event("party.entered"))(ctx)
		must(t, err)
		all, err := s.Grants(ctx, "user-1", now, "", 10)
		if err != nil || len(all) != 2 || all[0].ID != "d" || all[1].ID != "b" {
			t.Errorf("%+v, %v", all, err)
		}
		if page, err := s.Grants(ctx, "user-1", now, "d", 10); err != nil || len(page) != 1 || page[0].ID != "b" {
			t.Errorf("%+v, %v", page, err)
		}
		must(t, s.Prune(ctx, now.Add(time.Hour)))
		_, err = s.Grant(ctx, "b")
		wantKind(t, "after its end", err, odcm.NotFound)
	})
}

// TestManyAtOnce redeems many codes at the same time, each by several: each is good for one.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := open(t, d)
		const codes, each = 60, 4
		var wins [codes]int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range codes * each {
			all.Go(func() {
				n, err := s.Redeem(aGrant(fmt.Sprint(i%codes), "user-1"), event("party.entered"))(context.Background())
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if n == 1 {
					wins[i%codes]++
				}
			})
		}
		all.Wait()
		for i, n := range wins {
			if n != 1 {
				t.Errorf("code %d was good for %d", i, n)
			}
		}
		if n := s.events(t, "party.entered"); n != codes {
			t.Errorf("%d events of %d sign-ins", n, codes)
		}
	})
}

// TestOneBadRowFailsAlone: what one request wrote that cannot be stored must not fail those beside it.
func TestOneBadRowFailsAlone(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.PostgreSQL(t))
	s := open(t, d)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			g := aGrant(fmt.Sprint(i), "user-1")
			if i == 7 {
				g.Scopes = "openid \x00"
			}
			if _, err := s.Redeem(g, event("party.entered"))(context.Background()); (err != nil) != (i == 7) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
}

func TestRevocationTellsRelyingParties(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		listens := sso.Party{ID: "party-1", Name: "A", Kind: sso.KindApplication, LogoutURI: "https://a/out", Created: now}
		deaf := sso.Party{ID: "party-2", Name: "B", Kind: sso.KindApplication, Created: now}
		must(t, s.CreateParty(ctx, listens, sso.Secrets{}, event("x")))
		must(t, s.CreateParty(ctx, deaf, sso.Secrets{}, event("x")))
		add := func(id string, party sso.PartyID, session string, offline bool) {
			g := aGrant(id, "user-1")
			g.Party, g.Session, g.Offline = party, session, offline
			_, err := s.Redeem(g, event("party.entered"))(ctx)
			must(t, err)
		}
		add("1", "party-1", "one", false)
		add("2", "party-1", "one", true) // the same party and session: told once
		add("3", "party-1", "two", false)
		add("4", "party-2", "one", false)
		if _, err := s.Revoke(ctx, grant.Revocation{At: now}, event("x")); err == nil {
			t.Error("everything was revoked")
		}
		n, err := s.Revoke(ctx, grant.Revocation{User: "user-1", Sessions: []string{"one"}, At: now, Tell: true}, event("party.signed-out"))
		if err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		var standing []string
		all, _ := s.Grants(ctx, "user-1", now, "", 10)
		for _, g := range all {
			standing = append(standing, g.ID)
		}
		if slices.Sort(standing); !slices.Equal(standing, []string{"2", "3"}) {
			t.Errorf("%v stand", standing)
		}
		due, next, err := s.Logouts(ctx, now, now.Add(time.Minute), 10)
		if err != nil || len(due) != 1 || due[0].Party != "party-1" || due[0].Session != "one" || due[0].Attempts != 1 || !next.Equal(now.Add(time.Minute)) {
			t.Fatalf("%+v, %v, %v", due, next, err)
		}
		if again, _, _ := s.Logouts(ctx, now, now.Add(time.Minute), 10); len(again) != 0 {
			t.Errorf("another replica gets it as well: %+v", again)
		}
		must(t, s.RetryLogout(ctx, due[0].ID, now.Add(5*time.Second)))
		if again, _, _ := s.Logouts(ctx, now.Add(5*time.Second), now.Add(time.Minute), 10); len(again) != 1 || again[0].Attempts != 2 {
			t.Errorf("%+v", again)
		}
		must(t, s.EndLogout(ctx, due[0].ID, nil))
		if rest, next, err := s.Logouts(ctx, now.Add(time.Hour), now, 10); err != nil || len(rest) != 0 || !next.IsZero() {
			t.Errorf("%+v, %v, %v", rest, next, err)
		}
		if n, err := s.Revoke(ctx, grant.Revocation{User: "user-2", At: now, Tell: true}, event("party.signed-out")); n != 0 || err != nil || s.events(t, "party.signed-out") != 1 {
			t.Errorf("nothing to revoke: %d, %v", n, err)
		}
	})
}

func TestDevicesAndMarksAndKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		must(t, s.CreateParty(ctx, sso.Party{ID: "party-1", Name: "CLI", Created: now}, sso.Secrets{}, event("x")))
		v := device.Device{ID: "d", UserCode: "u", Party: "party-1", Scopes: "openid", Created: now, Expires: now.Add(time.Minute), Interval: 5 * time.Second, State: "pending"}
		must(t, s.CreateDevice(ctx, v))
		wantKind(t, "a code that is taken", s.CreateDevice(ctx, device.Device{ID: "e", UserCode: "u", Party: "party-1"}), odcm.Unavailable)
		if got, err := s.DeviceByCode(ctx, "u", now); err != nil || got != v {
			t.Errorf("%+v, %v", got, err)
		}
		_, err := s.DeviceByCode(ctx, "u", now.Add(time.Minute))
		wantKind(t, "an expired code", err, odcm.NotFound)
		must(t, s.PollDevice(ctx, "d", now, 10*time.Second))
		if taken, err := s.TakeDevice(ctx, "d"); err != nil || taken {
			t.Errorf("taken before it is approved: %v", err)
		}
		v.State, v.User, v.Authenticated, v.Method, v.Session = "approved", "user-1", now, "password", "session-1"
		must(t, s.DecideDevice(ctx, v, event("x")))
		wantKind(t, "deciding twice", s.DecideDevice(ctx, v, event("x")), odcm.Conflict)
		for _, want := range []bool{true, false} {
			if taken, err := s.TakeDevice(ctx, "d"); err != nil || taken != want {
				t.Errorf("taken %v, %v; want %v", taken, err, want)
			}
		}
		for _, want := range []bool{true, false} {
			if fresh, err := s.Mark(ctx, "m", now); err != nil || fresh != want {
				t.Errorf("fresh %v, %v; want %v", fresh, err, want)
			}
		}
		must(t, s.Prune(ctx, now.Add(time.Hour)))
		if fresh, err := s.Mark(ctx, "m", now); err != nil || !fresh {
			t.Errorf("an expired mark stands: %v", err)
		}
		k := ssokey.Row{ID: "k", Algorithm: sso.ES256, Generation: 1, Sealed: "s", Certificate: "c", Created: now, Starts: now.Add(time.Minute)}
		must(t, s.AddKey(ctx, k, event("signing-key.made")))
		other := k
		other.ID = "l"
		wantKind(t, "another replica's key", s.AddKey(ctx, other, event("signing-key.made")), odcm.Exists)
		if all, err := s.Keys(ctx); err != nil || len(all) != 1 || all[0] != k || s.events(t, "signing-key.made") != 1 {
			t.Errorf("%+v, %v", all, err)
		}
		must(t, s.DeleteKeys(ctx, []string{"k"}))
	})
}

// TestRefreshFamilies: whatever happens in whatever order, several at once and with crashes between, of each refresh token one
// use succeeds at most, and from the first use of a spent one on none of the family does.
func TestRefreshFamilies(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := open(t, d)
		family := 0
		rapid.Check(t, func(r *rapid.T) {
			family++
			id := fmt.Sprint("family-", family)
			if _, err := s.Redeem(aGrant(id, "user-1"), event("x"))(t.Context()); err != nil {
				r.Fatal(err)
			}
			valid, stands := int64(0), true
			r.Repeat(map[string]func(*rapid.T){
				"refresh": func(r *rapid.T) {
					sequence := rapid.Int64Range(max(0, valid-2), valid).Draw(r, "sequence")
					together := rapid.IntRange(1, 4).Draw(r, "together")
					var mu sync.Mutex
					won, replayed, gone := 0, 0, 0
					var all sync.WaitGroup
					for range together {
						all.Go(func() {
							got, err := s.Rotate(id, sequence, now.Add(time.Second))(context.Background())
							mu.Lock()
							defer mu.Unlock()
							switch {
							case odcm.KindOf(err) == odcm.NotFound:
								gone++
							case err != nil:
								r.Error(err)
							case got.Replayed:
								replayed++
							default:
								won++
							}
						})
					}
					all.Wait()
					wantWon, wantReplayed := 0, 0
					if stands && sequence == valid {
						wantWon, valid = 1, valid+1
					}
					if stands && wantWon < together {
						wantReplayed, stands = 1, false
					}
					if won != wantWon || replayed != wantReplayed || won+replayed+gone != together {
						r.Fatalf("%d of %d won, %d replayed, %d found it gone; want %d won and %d replayed", won, together, replayed, gone, wantWon, wantReplayed)
					}
				},
				"crash": func(*rapid.T) { s = bundle{reopen(t, d, s), s.log} },
				"code again": func(r *rapid.T) {
					if rapid.IntRange(0, 9).Draw(r, "seldom") > 0 {
						r.Skip()
					}
					if uses, err := s.Redeem(aGrant(id, "user-1"), event("x"))(t.Context()); err != nil || uses < 2 {
						r.Fatal(uses, err)
					}
					stands = false
				},
				"": func(r *rapid.T) {
					g, err := s.Grant(t.Context(), id)
					if err != nil || g.Revoked.IsZero() != stands {
						r.Fatalf("%+v, %v; stands is %v", g, err, stands)
					}
				},
			})
		})
	})
}

// reopen is what a process finds that starts after another was killed.
func reopen(t *testing.T, d *db.DB, s bundle) *ssosql.Store {
	t.Helper()
	again, err := ssosql.New(t.Context(), d, s.log)
	must(t, err)
	return again
}
