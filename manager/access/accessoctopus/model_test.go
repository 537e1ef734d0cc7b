package accessoctopus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/access"
	"odcm/manager/access/roster"
	"odcm/octopus"
)

// memory is an Octopus server that is only a few maps, and tells who wrote what.
type memory struct {
	users, teams map[string]octopus.Object
	keys         map[string][]string
	events       int
	wrote        map[string]bool // ids of users that ODCM wrote to
	serial       int
	fails        int // counts down to a failure; 0 never
}

func (m *memory) step() error {
	m.events++
	if m.fails > 0 {
		if m.fails--; m.fails == 0 {
			return errCrash
		}
	}
	return nil
}

func (m *memory) add(values fields) string {
	m.serial++
	o, err := octopus.NewObject(values)
	if err != nil {
		panic(err)
	}
	id := fmt.Sprintf("Users-%d", m.serial)
	o.Set("Id", id)
	m.users[id] = o
	return id
}

func pick(all map[string]octopus.Object, ids []string) (found []octopus.Object) {
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if ids == nil || slices.Contains(ids, id) {
			found = append(found, all[id])
		}
	}
	return found
}

func (m *memory) Me(context.Context) (octopus.Object, error) { return m.users["Users-1"], nil }

func (m *memory) Users(_ context.Context, ids []string) ([]octopus.Object, error) {
	return pick(m.users, ids), nil
}

func (m *memory) Teams(_ context.Context, _ string, ids []string) ([]octopus.Object, error) {
	return pick(m.teams, ids), nil
}

func (m *memory) CreateUser(_ context.Context, o octopus.Object) (octopus.Object, error) {
	for _, u := range m.users {
		if strings.EqualFold(u.Text("Username"), o.Text("Username")) {
			return o, odcm.E(odcm.Invalid, "octopus.invalid", "The name is taken.")
		}
	}
	m.serial++
	o = o.Clone()
	o.Set("Id", fmt.Sprintf("Users-%d", m.serial))
	m.users[o.ID()] = o
	m.wrote[o.ID()] = true
	return o, m.step()
}

func (m *memory) UpdateUser(_ context.Context, o octopus.Object) (octopus.Object, error) {
	m.users[o.ID()] = o.Clone()
	m.wrote[o.ID()] = true
	return o, m.step()
}

func (m *memory) DeleteUser(_ context.Context, id string) error {
	delete(m.users, id)
	m.wrote[id] = true
	return m.step()
}

func (m *memory) RevokeSessions(_ context.Context, id string) error {
	m.wrote[id] = true
	return m.step()
}

func (m *memory) APIKeys(_ context.Context, user string) (all []octopus.Object, _ error) {
	for _, k := range m.keys[user] {
		o, err := octopus.NewObject(fields{"Id": k})
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (m *memory) DeleteAPIKey(_ context.Context, user, key string) error {
	m.keys[user] = slices.DeleteFunc(m.keys[user], func(k string) bool { return k == key })
	m.wrote[user] = true
	return m.step()
}

func (m *memory) UpdateTeam(_ context.Context, o octopus.Object) (octopus.Object, error) {
	m.teams[o.ID()] = o.Clone()
	return o, m.step()
}

func (m *memory) Latest(context.Context) (string, error) { return fmt.Sprint(m.events), nil }

// TestAnyStateConverges lets wishes and the server change at random, with crashes between, and wants the server as it is
// wished in the end, and nothing of anybody else's touched on the way.
func TestAnyStateConverges(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	store := newWorldOn(t, d, nil).store
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, store: store, slot: true, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		w.clear(nil)
		converge(rt, w)
	})
}

func converge(t *rapid.T, w *world) {
	ctx := context.Background()
	if err := errors.Join(w.store.ForgetSpace(ctx, spaceA), w.store.ForgetInstance(ctx, instance)); err != nil {
		t.Fatal(err)
	}
	m := &memory{users: map[string]octopus.Object{}, teams: map[string]octopus.Object{}, keys: map[string][]string{}, wrote: map[string]bool{}}
	w.wrap = func(roster.Server) roster.Server { return m }
	me := m.add(fields{"Username": "admin", "DisplayName": "admin", "IsActive": true})
	service := m.add(fields{"Username": "robot", "DisplayName": "robot", "IsActive": true, "IsService": true})
	local := m.add(fields{"Username": "local", "DisplayName": "local", "IsActive": true, "EmailAddress": "local@elsewhere.example"})
	kept := m.add(fields{"Username": "kept", "DisplayName": "kept", "IsActive": true, "EmailAddress": "kept@elsewhere.example"})
	theirs := m.add(fields{"Username": "known", "DisplayName": "known", "IsActive": rapid.Bool().Draw(t, "active"),
		"Identities": []fields{claims("Active Directory", map[string]string{"upn": "p0@corp.example"})}})
	if err := w.store.SaveAccounts(ctx, []roster.Account{{Instance: instance, ID: kept, Username: "kept", Decision: roster.AsLocal, Origin: roster.Found}}); err != nil {
		t.Fatal(err)
	}
	foreign := []string{me, service, local, kept}
	for i := range 3 {
		o, err := octopus.NewObject(fields{"Id": fmt.Sprintf("Teams-%d", i), "Name": fmt.Sprint("team ", i), "SpaceId": "Spaces-1",
			"MemberUserIds":          rapid.SliceOfDistinct(rapid.SampledFrom([]string{me, service, local, kept, theirs}), rapid.ID[string]).Draw(t, "members"),
			"ExternalSecurityGroups": []fields{{"Id": "S-1-5", "DisplayName": "Domain"}}})
		if err != nil {
			t.Fatal(err)
		}
		m.teams[o.ID()] = o
	}
	untouched, err := m.teams["Teams-2"].MarshalJSON() // never mapped
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, id := range foreign {
		text, err := m.users[id].MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		before[id] = string(text)
	}
	var people []odcm.UserID
	for i := range 4 {
		people = append(people, w.person(fmt.Sprint("p", i)))
	}
	first := w.people[people[0]]
	first.Marks = map[string]string{"upn": "p0@corp.example"}
	w.people[people[0]] = first
	subset := func(label string, of []odcm.UserID) []odcm.UserID {
		some := rapid.SliceOfDistinct(rapid.SampledFrom(append(of, "")), rapid.ID[odcm.UserID]).Draw(t, label)
		some = slices.DeleteFunc(some, func(id odcm.UserID) bool { return id == "" })
		slices.Sort(some)
		return some
	}
	wish := func() {
		for i, id := range people {
			if rapid.IntRange(0, 3).Draw(t, "renamed") == 0 {
				p := w.people[id]
				p.Username = fmt.Sprint(rapid.SampledFrom([]string{"p", "q"}).Draw(t, "letter"), i)
				w.people[id] = p
			}
		}
		w.enter[spaceA] = subset("enter", people)
		w.teams[spaceA] = nil
		for i := range 2 {
			if rapid.Bool().Draw(t, "mapped") {
				w.teams[spaceA] = append(w.teams[spaceA], access.DesiredTeam{Team: fmt.Sprintf("Teams-%d", i), Groups: []odcm.GroupID{odcm.GroupID(fmt.Sprintf("group-%d", i))},
					Members: subset("members", w.enter[spaceA])})
			}
		}
	}
	// Somebody else is at work on the server: with the teams, and with the accounts of people.
	meddle := func() {
		team := m.teams[fmt.Sprintf("Teams-%d", rapid.IntRange(0, 1).Draw(t, "team"))].Clone()
		team.Set("MemberUserIds", rapid.SliceOfDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(m.users))), rapid.ID[string]).Draw(t, "meddled"))
		if rapid.Bool().Draw(t, "groups") {
			team.Set("ExternalSecurityGroups", []fields{{"Id": "S-1-5", "DisplayName": "Domain"}})
		}
		m.teams[team.ID()] = team
		id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.users))).Draw(t, "user")
		if !slices.Contains(foreign, id) {
			switch rapid.IntRange(0, 2).Draw(t, "deed") {
			case 0:
				u := m.users[id].Clone()
				u.Set("IsActive", !u.Bool("IsActive"))
				m.users[id] = u
			case 1:
				if id != theirs {
					delete(m.users, id)
				}
			default:
				m.keys[id] = append(m.keys[id], "APIKeys-1")
			}
		}
		m.events++
	}
	for range rapid.IntRange(1, 5).Draw(t, "rounds") {
		wish()
		if rapid.Bool().Draw(t, "meddled with") {
			meddle()
		}
		m.fails = rapid.IntRange(0, 6).Draw(t, "crash")
		if err := w.push.Reconcile(ctx, string(spaceA)); err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		m.fails = 0
		w.restart()
	}
	for range 3 {
		w.reconcile(spaceA)
	}
	events := m.events
	if w.reconcile(spaceA); m.events != events {
		t.Fatalf("it is written still in sync")
	}
	check(t, w, m, people)
	for id, text := range before {
		if now, _ := m.users[id].MarshalJSON(); string(now) != text || m.wrote[id] {
			t.Fatalf("touched: %s\nwas: %s", now, text)
		}
	}
	if now, _ := m.teams["Teams-2"].MarshalJSON(); string(now) != string(untouched) {
		t.Fatalf("touched: %s", now)
	}
}

// check compares the server with the wishes.
func check(t *rapid.T, w *world, m *memory, people []odcm.UserID) {
	account := map[odcm.UserID]octopus.Object{}
	for _, u := range m.users {
		for _, i := range u.Objects("Identities") {
			if id := i.Object("Claims").Object("eid").Text("Value"); id != "" {
				if _, twice := account[odcm.UserID(id)]; twice {
					t.Fatalf("%s has two accounts", id)
				}
				account[odcm.UserID(id)] = u
			}
		}
	}
	for _, id := range people {
		in := slices.Contains(w.enter[spaceA], id)
		if u, has := account[id]; in != (has && u.Bool("IsActive")) {
			t.Fatalf("%s may enter: %v, account: %v", id, in, u)
		}
		if u := account[id]; in && u.Text("Username") != w.people[id].Username && u.Text("Username") != "known" { // that one was there before
			t.Fatalf("%s is called %s, want %s", id, u.Text("Username"), w.people[id].Username)
		}
		a, err := w.store.Acknowledgements(context.Background(), spaceA, []odcm.UserID{id})
		if err != nil || len(a) > 0 && (a[0].State != access.Applied || a[0].Enter != in) {
			t.Fatalf("acknowledgement: %+v %v", a, err)
		}
	}
	for i := range 2 {
		team := m.teams[fmt.Sprintf("Teams-%d", i)]
		at := slices.IndexFunc(w.teams[spaceA], func(d access.DesiredTeam) bool { return d.Team == team.ID() })
		var groups []string
		for _, g := range team.Objects("ExternalSecurityGroups") {
			groups = append(groups, g.Text("Id"))
		}
		if !slices.Contains(groups, "S-1-5") || slices.Contains(groups, fmt.Sprint("group-", i)) != (at >= 0) {
			t.Fatalf("team %d, mapped %v: groups %v", i, at >= 0, groups)
		}
		if at < 0 {
			continue
		}
		for _, id := range people {
			if want := slices.Contains(w.teams[spaceA][at].Members, id); want != slices.Contains(team.Texts("MemberUserIds"), account[id].ID()) && (want || account[id].ID() != "") {
				t.Fatalf("team %d: %s is to be a member: %v; members are %v", i, id, want, team.Texts("MemberUserIds"))
			}
		}
	}
}
