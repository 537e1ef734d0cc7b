package accessoctopus_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

func (w *world) developers(people ...odcm.UserID) {
	slices.Sort(people)
	t := &w.teams[spaceA][0]
	t.Members = people
}

// withTeam maps a group to a team that may look at environments, with people who enter.
func withTeam(t *testing.T, names ...string) (*world, string, []odcm.UserID) {
	t.Helper()
	w := newWorld(t)
	team := w.team("Developers")
	w.must("POST", "/api/scopeduserroles", fields{"UserRoleId": "userroles-environmentmanager", "TeamId": team, "SpaceId": "Spaces-1"})
	var ids []odcm.UserID
	for _, name := range names {
		ids = append(ids, w.person(name))
	}
	w.enter[spaceA] = ids
	w.teams[spaceA] = []access.DesiredTeam{{Team: team, Groups: []odcm.GroupID{"group-developers"}}}
	w.developers(slices.Clone(ids)...)
	return w, team, ids
}

func TestPeopleArrive(t *testing.T) {
	t.Parallel()
	w, team, ids := withTeam(t, "ann", "bob")
	w.reconcile(spaceA)
	ann := w.user("ann")
	if !ann.Bool("IsActive") || ann.Text("DisplayName") != "Ann" || ann.Text("EmailAddress") != "ann@example.com" {
		t.Errorf("ann: %v", ann)
	}
	identity := ann.Objects("Identities")[0]
	if identity.Text("IdentityProviderName") != provider || identity.Object("Claims").Object("eid").Text("Value") != string(ids[0]) ||
		!identity.Object("Claims").Object("eid").Bool("IsIdentifyingClaim") || identity.Object("Claims").Object("email").Text("Value") != "ann@example.com" {
		t.Errorf("identity: %v", identity)
	}
	if got := w.members(team); got != "ann bob" {
		t.Errorf("members: %s", got)
	}
	group := w.must("GET", "/api/teams/"+team, nil).Objects("ExternalSecurityGroups")
	if len(group) != 1 || group[0].Text("Id") != "group-developers" || group[0].Text("DisplayName") != "Group group-developers" {
		t.Errorf("external groups: %v", group)
	}
	if a := w.arrival(spaceA, ids[0]); a.State != access.Applied || !a.Enter || a.Applied.IsZero() {
		t.Errorf("acknowledgement: %+v", a)
	}
}

func TestNothingIsWrittenInSync(t *testing.T) {
	t.Parallel()
	w, _, _ := withTeam(t, "ann", "bob")
	w.reconcile(spaceA)
	c := &counting{}
	w.wrap = func(s roster.Server) roster.Server { c.Server = s; return c }
	w.reconcile(spaceA) // ODCM's own writes are looked at once
	if c.writes != 0 {
		t.Errorf("the look after a push: %s", c)
	}
	c.reads = 0
	w.reconcile(spaceA)
	if c.reads != 1 || c.writes != 0 {
		t.Errorf("in sync: %s, want one read", c)
	}
	w.pass(2 * time.Hour)
	if w.reconcile(spaceA); c.writes != 0 || c.reads < 3 {
		t.Errorf("now and then everything is compared: %s", c)
	}
}

// silent is a server that tells of no event, so that every run looks at everything.
type silent struct{ roster.Server }

func (silent) Latest(context.Context) (string, error) { return "", nil }

// TestNoPushWakesItself wants of what a push tells, and of the second look that it asks for, that they come to an end.
func TestNoPushWakesItself(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(roster.Server) roster.Server{"events": nil, "no events": func(s roster.Server) roster.Server { return silent{s} }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, team, ids := withTeam(t, "ann", "bob")
			w.wrap = wrap
			wakes := func() (n int) {
				for _, topic := range w.topics {
					if noun, _, _ := strings.Cut(topic, "/"); slices.Contains(roster.Topics(), noun) {
						n++
					}
				}
				return n
			}
			settle := func() (runs int) {
				t.Helper()
				for w.again = []odcm.SpaceID{spaceA}; len(w.again) > 0 && runs < 10; runs++ {
					w.again = nil
					w.reconcile(spaceA)
				}
				return runs
			}
			if runs := settle(); runs > 2 {
				t.Errorf("%d runs at first", runs)
			}
			w.enter[spaceA], w.teams[spaceA] = ids[:1], []access.DesiredTeam{{Team: team, Groups: []odcm.GroupID{"group-developers"}}}
			if runs := settle(); runs > 2 {
				t.Errorf("%d runs after a change", runs)
			}
			if runs := settle(); runs != 1 || wakes() > 0 {
				t.Errorf("in sync: %d runs, %d wakes by %q", runs, wakes(), w.topics)
			}
			if err := w.push.SetPolicy(context.Background(), barry, string(spaceA), roster.Leave); err != nil || wakes() != 1 {
				t.Errorf("a decision wakes %d: %v", wakes(), err)
			}
		})
	}
}

func TestWhoLosesTheGrantLosesEverything(t *testing.T) {
	t.Parallel()
	w, team, ids := withTeam(t, "ann", "bob")
	w.reconcile(spaceA)
	bob := w.user("bob").ID()
	key := w.must("POST", "/api/users/"+bob+"/apikeys", fields{"Purpose": "build"}).Text("ApiKey")
	w.must("PUT", "/api/users/"+bob, func() any { u := w.user("bob"); u.Set("Password", "a long password 1"); return u }())
	cookie := w.signIn("bob", "a long password 1")
	if status, _ := w.send(key, "GET", "/api/Spaces-1/environments", nil); status != http.StatusOK {
		t.Fatalf("bob may not look before: %d", status)
	}
	w.reconcile(spaceA)
	w.reconcile(spaceA)

	began := w.now
	w.enter[spaceA] = ids[:1]
	w.developers(ids[0])
	w.push.Touched(began, spaceA)
	w.pass(3 * time.Second)
	c := &counting{}
	w.wrap = func(s roster.Server) roster.Server { c.Server = s; return c }
	w.reconcile(spaceA)
	if got := w.members(team); got != "ann" {
		t.Errorf("members: %s", got)
	}
	if w.user("bob").Bool("IsActive") {
		t.Error("the account is open still")
	}
	if status, _ := w.send(key, "GET", "/api/Spaces-1/environments", nil); status != http.StatusUnauthorized {
		t.Errorf("the key works still: %d", status)
	}
	if keys := w.must("GET", "/api/users/"+bob+"/apikeys", nil).Objects("Items"); len(keys) != 0 {
		t.Errorf("keys are left: %v", keys)
	}
	if w.signedIn(cookie) {
		t.Error("the session works still")
	}
	if a := w.arrival(spaceA, ids[1]); a.Enter || a.State != access.Applied || a.Lag(w.now) != 3*time.Second {
		t.Errorf("acknowledgement: %+v", a)
	}
	if len(w.seen.revoked) != 1 || w.seen.revoked[0] != 3*time.Second {
		t.Errorf("observed: %v", w.seen.revoked)
	}
	if c.writes > 4 || c.reads > 3 { // team, account, sessions, key; who am I, the team, the account
		t.Errorf("one revocation: %s", c)
	}
	standing, err := w.roster.Standing(context.Background(), spaceA)
	if err != nil || standing.Revoke != 3*time.Second || standing.Pending+standing.Failed+standing.Drifted != 0 {
		t.Errorf("standing: %+v %v", standing, err)
	}

	w.enter[spaceA] = ids // and back
	w.developers(ids...)
	w.reconcile(spaceA)
	if !w.user("bob").Bool("IsActive") || w.members(team) != "ann bob" {
		t.Errorf("bob did not come back: %v, %s", w.user("bob"), w.members(team))
	}
}

func TestOfflineSpacesConverge(t *testing.T) {
	t.Parallel()
	w, team, ids := withTeam(t, "ann", "bob")
	w.reconcile(spaceA)
	w.wrap = func(roster.Server) roster.Server { return offline{} }
	w.enter[spaceA] = ids[:1]
	w.developers(ids[0])
	if err := w.push.Reconcile(context.Background(), string(spaceA)); odcm.KindOf(err) != odcm.Unavailable {
		t.Fatalf("got %v", err)
	}
	if a := w.arrival(spaceA, ids[1]); a.State != access.Pending || a.Enter {
		t.Errorf("acknowledgement: %+v", a)
	}
	state, err := w.store.PushOf(context.Background(), spaceA)
	if err != nil || state.Failure == "" || state.InSync() {
		t.Errorf("state: %+v %v", state, err)
	}
	w.restart()
	w.wrap = nil
	w.pass(time.Hour)
	w.reconcile(spaceA)
	if a := w.arrival(spaceA, ids[1]); a.State != access.Applied || a.Lag(w.now) != time.Hour || w.members(team) != "ann" || w.user("bob").Bool("IsActive") {
		t.Errorf("acknowledgement: %+v, members %s", a, w.members(team))
	}
	if state, err = w.store.PushOf(context.Background(), spaceA); err != nil || !state.InSync() {
		t.Errorf("state: %+v %v", state, err)
	}
}

type offline struct{ roster.Server }

func (offline) unreachable() error {
	return odcm.E(odcm.Unavailable, "octopus.unreachable", "The server does not answer.")
}
func (o offline) Me(context.Context) (octopus.Object, error) {
	return octopus.Object{}, o.unreachable()
}
func (o offline) Latest(context.Context) (string, error) { return "", o.unreachable() }
func (o offline) Users(context.Context, []string) ([]octopus.Object, error) {
	return nil, o.unreachable()
}

func TestDrift(t *testing.T) {
	t.Parallel()
	for _, policy := range []roster.DriftPolicy{roster.Repair, roster.Leave} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			w, team, ids := withTeam(t, "ann", "bob")
			w.reconcile(spaceA)
			if err := w.push.SetPolicy(context.Background(), barry, string(spaceA), policy); err != nil {
				t.Fatal(err)
			}
			w.reconcile(spaceA)
			mallory := w.local("mallory", nil)
			w.must("PUT", "/api/teams/"+team, func() any {
				o := w.must("GET", "/api/teams/"+team, nil)
				o.Set("MemberUserIds", []string{w.user("ann").ID(), mallory})
				o.Set("ExternalSecurityGroups", []fields{})
				return o
			}())
			w.must("PUT", "/api/users/"+w.user("ann").ID(), func() any { u := w.user("ann"); u.Set("IsActive", false); return u }())
			w.reconcile(spaceA)
			_, pushed, err := w.roster.PushedTo(context.Background(), barry, string(spaceA))
			if err != nil {
				t.Fatal(err)
			}
			drift := pushed.Teams[0].Drift
			if len(drift.Added) != 1 || drift.Added[0].Name != "mallory" || len(drift.Removed) != 1 || drift.Removed[0].Person != ids[1] || len(drift.Groups) != 1 {
				t.Errorf("the diff: %+v", drift)
			}
			if w.seen.drifted != 4 {
				t.Errorf("%d differences were observed, want 4", w.seen.drifted)
			}
			if policy == roster.Repair {
				if w.members(team) != "ann bob" || !w.user("ann").Bool("IsActive") || pushed.Teams[0].Repairs != 1 || len(pushed.Open) != 0 {
					t.Errorf("not put right: %s, %+v", w.members(team), pushed)
				}
				if !w.user("mallory").Bool("IsActive") {
					t.Error("somebody else's account was touched")
				}
				return
			}
			if w.members(team) != "ann mallory" || w.user("ann").Bool("IsActive") || len(pushed.Open) != 2 || pushed.Open[0].State != access.Drifted {
				t.Errorf("not left: %s, %+v", w.members(team), pushed.Open)
			}
			w.reconcile(spaceA)
			if w.members(team) != "ann mallory" {
				t.Errorf("not left the second time: %s", w.members(team))
			}
			if err := w.push.SetPolicy(context.Background(), barry, string(spaceA), roster.Repair); err != nil {
				t.Fatal(err)
			}
			w.reconcile(spaceA)
			if _, pushed, err = w.roster.PushedTo(context.Background(), barry, string(spaceA)); err != nil || w.members(team) != "ann bob" || !w.user("ann").Bool("IsActive") || len(pushed.Open) != 0 {
				t.Errorf("not put right when chosen: %s, %+v, %v", w.members(team), pushed.Open, err)
			}
		})
	}
}

func TestTwoSpacesOnOneServer(t *testing.T) {
	t.Parallel()
	w, _, ids := withTeam(t, "ann", "bob")
	other := w.must("POST", "/api/spaces", fields{"Name": "Second", "SpaceManagersTeams": []string{"teams-administrators"}}).ID()
	w.place(spaceB, instance, other)
	w.enter[spaceB] = ids[1:]
	w.reconcile(spaceA)
	w.reconcile(spaceB)
	w.enter[spaceA], w.teams[spaceA][0].Members = ids[:1], ids[:1]
	w.reconcile(spaceA)
	w.reconcile(spaceB)
	if !w.user("bob").Bool("IsActive") {
		t.Error("who may enter the other Space was shut out of the server")
	}
	if a := w.arrival(spaceA, ids[1]); a.Enter || a.State != access.Applied {
		t.Errorf("acknowledgement: %+v", a)
	}
	w.enter[spaceB] = nil
	w.reconcile(spaceB)
	if w.user("bob").Bool("IsActive") {
		t.Error("nobody lets bob in, and the account is open")
	}
	if a := w.arrival(spaceB, ids[1]); a.Enter || a.State != access.Applied {
		t.Errorf("acknowledgement: %+v", a)
	}
}

func TestWhatIsNotOdcmsIsNotTouched(t *testing.T) {
	t.Parallel()
	w, team, ids := withTeam(t, "ann")
	w.teams[spaceA] = nil
	local, service := w.local("local", nil), w.local("robot", fields{"IsService": true, "Password": nil})
	other := w.team("Theirs", local, service)
	w.must("PUT", "/api/teams/"+team, fields{"Name": "Developers", "MemberUserIds": []string{local, service}, "ExternalSecurityGroups": []fields{{"Id": "S-1-5-32", "DisplayName": "Domain"}}})
	note := func() (all [][]byte) {
		for _, path := range []string{"/api/users/" + local, "/api/users/" + service, "/api/users/me", "/api/teams/" + other, "/api/teams/teams-administrators", "/api/teams/teams-everyone"} {
			text, err := w.must("GET", path, nil).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
		return all
	}
	before := note()
	w.teams[spaceA] = []access.DesiredTeam{{Team: team, Groups: []odcm.GroupID{"group-developers"}, Members: ids}}
	w.reconcile(spaceA)
	w.reconcile(spaceA)
	if got := w.members(team); got != "ann local robot" {
		t.Errorf("mapping a group took somebody out whom ODCM does not know: %s", got)
	}
	if groups := w.must("GET", "/api/teams/"+team, nil).Objects("ExternalSecurityGroups"); len(groups) != 2 {
		t.Errorf("external groups: %v", groups)
	}
	w.enter[spaceA], w.teams[spaceA] = nil, nil
	w.reconcile(spaceA)
	if got := w.members(team); got != "local robot" {
		t.Errorf("members after unmapping: %s", got)
	}
	for i, text := range note() {
		if string(text) != string(before[i]) {
			t.Errorf("changed: %s\nto: %s", before[i], text)
		}
	}
}

// TestTheKeysOwnUserIsSafe makes the administrator whose key ODCM has a person who loses all grants.
func TestTheKeysOwnUserIsSafe(t *testing.T) {
	t.Parallel()
	w, team, _ := withTeam(t)
	id := w.person("admin")
	ctx := context.Background()
	_, seen, err := w.roster.AccountsOf(ctx, barry, string(spaceA))
	if err != nil {
		t.Fatal(err)
	}
	me := w.user("admin").ID()
	if err := w.roster.Decide(ctx, barry, instance, seen, []roster.Choice{{Account: me, Do: roster.Link, Person: id}}); err != nil {
		t.Fatal(err)
	}
	w.enter[spaceA] = []odcm.UserID{id}
	w.developers(id)
	w.reconcile(spaceA)
	if a := w.arrival(spaceA, id); a.State != access.Applied || w.members(team) != "admin" {
		t.Errorf("%+v, %s", a, w.members(team))
	}
	w.enter[spaceA] = nil
	w.developers()
	p := w.people[id]
	p.Disabled = true
	w.people[id] = p
	w.reconcile(spaceA)
	if u := w.user("admin"); !u.Bool("IsActive") {
		t.Error("ODCM locked itself out")
	}
	if a := w.arrival(spaceA, id); a.State != access.Failed || a.Reason == "" {
		t.Errorf("acknowledgement: %+v", a)
	}
}

// faulty ends the run before or after its n-th write, as a crash would.
type faulty struct {
	roster.Server
	at, passed *int
}

var errCrash = errors.New("crash")

func (f faulty) through(write func() error) error {
	for _, effect := range []func() error{func() error { return nil }, write} {
		if err := effect(); err != nil {
			return err
		}
		if *f.passed++; *f.passed == *f.at {
			return errCrash
		}
	}
	return nil
}

func (f faulty) CreateUser(ctx context.Context, o octopus.Object) (out octopus.Object, err error) {
	return out, f.through(func() error { out, err = f.Server.CreateUser(ctx, o); return err })
}

func (f faulty) UpdateUser(ctx context.Context, o octopus.Object) (out octopus.Object, err error) {
	return out, f.through(func() error { out, err = f.Server.UpdateUser(ctx, o); return err })
}

func (f faulty) UpdateTeam(ctx context.Context, o octopus.Object) (out octopus.Object, err error) {
	return out, f.through(func() error { out, err = f.Server.UpdateTeam(ctx, o); return err })
}

func (f faulty) RevokeSessions(ctx context.Context, id string) error {
	return f.through(func() error { return f.Server.RevokeSessions(ctx, id) })
}

func (f faulty) DeleteAPIKey(ctx context.Context, user, key string) error {
	return f.through(func() error { return f.Server.DeleteAPIKey(ctx, user, key) })
}

func (f faulty) DeleteUser(ctx context.Context, id string) error {
	return f.through(func() error { return f.Server.DeleteUser(ctx, id) })
}

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, slot := range []bool{true, false} {
		w, team, ids := withTeam(t, "ann", "bob", "eve")
		w.slot = slot
		crashed := 0
		for at := 1; ; at++ {
			passed := 0
			w.restart()
			w.wrap = func(s roster.Server) roster.Server { return faulty{s, &at, &passed} }
			w.enter[spaceA] = ids
			w.developers(ids...)
			in := w.push.Reconcile(context.Background(), string(spaceA))
			w.wrap = nil
			w.restart()
			w.reconcile(spaceA)
			if got := w.members(team); got != "ann bob eve" || len(w.users()) != 4 {
				t.Fatalf("slot %v, crash at %d while people come: members %s of %d users", slot, at, got, len(w.users()))
			}
			bob := w.user("bob")
			w.must("POST", "/api/users/"+bob.ID()+"/apikeys", fields{"Purpose": "build"})

			passed = 0
			w.restart()
			w.wrap = func(s roster.Server) roster.Server { return faulty{s, &at, &passed} }
			w.enter[spaceA] = ids[:1]
			w.developers(ids[0])
			out := w.push.Reconcile(context.Background(), string(spaceA))
			w.wrap = nil
			w.restart()
			w.reconcile(spaceA)
			keys := w.must("GET", "/api/users/"+bob.ID()+"/apikeys", nil).Objects("Items")
			if w.members(team) != "ann" || w.user("bob").Bool("IsActive") || w.user("eve").Bool("IsActive") || len(keys) != 0 {
				t.Fatalf("slot %v, crash at %d while people go: members %s, keys %v", slot, at, w.members(team), keys)
			}
			for _, id := range ids {
				if a := w.arrival(spaceA, id); a.State != access.Applied {
					t.Fatalf("slot %v, crash at %d: %+v", slot, at, a)
				}
			}
			place := w.places[spaceA]
			passed = 0
			w.wrap = func(s roster.Server) roster.Server { return faulty{s, &at, &passed} }
			gone := w.push.Release(context.Background(), place, true)
			w.wrap = nil
			if err := w.push.Release(context.Background(), place, true); err != nil {
				t.Fatal(err)
			}
			if len(w.users()) != 1 || w.members(team) != "" {
				t.Fatalf("slot %v, crash at %d while handing back: %d users, members %s", slot, at, len(w.users()), w.members(team))
			}
			if in == nil && out == nil && gone == nil {
				break
			}
			crashed++
		}
		if crashed < 8 {
			t.Errorf("slot %v: only %d places to crash at", slot, crashed)
		}
	}
}

// closing has the Space delisted while it is written to.
type closing struct {
	roster.Server
	close func()
}

func (c closing) UpdateTeam(ctx context.Context, o octopus.Object) (octopus.Object, error) {
	c.close()
	return c.Server.UpdateTeam(ctx, o)
}

func TestDelistingWins(t *testing.T) {
	t.Parallel()
	w, team, _ := withTeam(t, "ann")
	w.wrap = func(s roster.Server) roster.Server {
		return closing{s, func() {
			p := w.places[spaceA]
			p.Active = false
			w.places[spaceA] = p
		}}
	}
	w.reconcile(spaceA)
	if len(w.users()) != 1 || w.members(team) != "" {
		t.Errorf("left: %d users, members %s", len(w.users()), w.members(team))
	}
	if rows, err := w.store.Accounts(context.Background(), instance); err != nil || len(rows) != 0 {
		t.Errorf("kept: %v %v", rows, err)
	}
}

// TestNamesFollowThePerson is somebody who is called otherwise now, by name, user name and address.
func TestNamesFollowThePerson(t *testing.T) {
	t.Parallel()
	w, _, ids := withTeam(t, "ann", "bob")
	w.local("taken", nil)
	w.reconcile(spaceA)
	account := w.user("ann").ID()
	rename := func(change func(*access.Person)) octopus.Object {
		t.Helper()
		p := w.people[ids[0]]
		change(&p)
		w.people[ids[0]] = p
		w.reconcile(spaceA)
		if a := w.arrival(spaceA, ids[0]); a.State != access.Applied {
			t.Errorf("arrival: %+v", a)
		}
		return w.must("GET", "/api/users/"+account, nil)
	}
	u := rename(func(p *access.Person) {
		p.Username, p.DisplayName, p.Email = "ann.smith", "Ann Smith", "ann.smith@example.com"
	})
	if u.Text("Username") != "ann.smith" || u.Text("DisplayName") != "Ann Smith" || u.Text("EmailAddress") != "ann.smith@example.com" {
		t.Errorf("she is %v", u)
	}
	// A name that another account has stays that one's.
	if u = rename(func(p *access.Person) { p.Username, p.DisplayName = "Taken", "Ann Jones" }); u.Text("Username") != "ann.smith" || u.Text("DisplayName") != "Ann Jones" {
		t.Errorf("she is %v", u)
	}
	if len(w.seen.revoked) != 0 || w.seen.drifted != 0 {
		t.Errorf("a change of ODCM's own was taken for somebody else's: %d", w.seen.drifted)
	}
	c := &counting{}
	w.wrap = func(s roster.Server) roster.Server { c.Server = s; return c }
	w.reconcile(spaceA)
	if w.reconcile(spaceA); c.writes != 0 {
		t.Errorf("it is written still: %s", c)
	}
}
