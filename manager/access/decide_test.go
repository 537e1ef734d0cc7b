package access_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

// model decides in the plainest way, from the facts themselves.
type model struct {
	now    time.Time
	off    map[odcm.UserID]bool // disabled or deleted
	direct map[odcm.UserID]map[odcm.GroupID]bool
	above  map[odcm.GroupID]map[odcm.GroupID]bool
	grants map[odcm.SpaceID]map[access.Holder]time.Time
	teams  map[odcm.SpaceID]map[string]map[odcm.GroupID]bool
}

// in tells whether one can go up from the user to the group.
func (m *model) in(user odcm.UserID, group odcm.GroupID) bool {
	seen := map[odcm.GroupID]bool{}
	var up func(odcm.GroupID) bool
	up = func(at odcm.GroupID) bool {
		if at == group {
			return true
		}
		if seen[at] {
			return false
		}
		seen[at] = true
		for next := range m.above[at] {
			if up(next) {
				return true
			}
		}
		return false
	}
	for at := range m.direct[user] {
		if up(at) {
			return true
		}
	}
	return false
}

func (m *model) may(user odcm.UserID, space odcm.SpaceID) bool {
	if m.off[user] {
		return false
	}
	for h, expires := range m.grants[space] {
		if (expires.IsZero() || m.now.Before(expires)) && (h.User == user || h.Group != "" && m.in(user, h.Group)) {
			return true
		}
	}
	return false
}

func (m *model) teamsOf(user odcm.UserID, space odcm.SpaceID) (teams []string) {
	if !m.may(user, space) {
		return nil
	}
	for team, groups := range m.teams[space] {
		for g := range groups {
			if m.in(user, g) {
				teams = append(teams, team)
				break
			}
		}
	}
	slices.Sort(teams)
	return teams
}

// picture is all that matters of every Space, written out.
func (m *model) picture(users []odcm.UserID, spaces []odcm.SpaceID) map[odcm.SpaceID]string {
	all := map[odcm.SpaceID]string{}
	for _, space := range spaces {
		var said []string
		for _, u := range users {
			if m.may(u, space) {
				said = append(said, fmt.Sprint(u, m.teamsOf(u, space)))
			}
		}
		for team, groups := range m.teams[space] {
			for g := range groups {
				said = append(said, fmt.Sprint(team, "=", g))
			}
		}
		slices.Sort(said)
		all[space] = fmt.Sprint(said)
	}
	return all
}

func many[T ~string](noun string, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = T(fmt.Sprintf("%s-%d", noun, i))
	}
	return all
}

func set[K comparable, V any](m map[K]map[odcm.GroupID]V, k K, g odcm.GroupID, v V) {
	if m[k] == nil {
		m[k] = map[odcm.GroupID]V{}
	}
	m[k][g] = v
}

// TestDecisions holds the index to a naive evaluator while the world is edited at random: every decision, every list, and
// which Spaces each edit is said to touch.
func TestDecisions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		w, store := accesstest.NewWorld(), accesstest.NewMemory()
		m := &model{now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), off: map[odcm.UserID]bool{}, direct: map[odcm.UserID]map[odcm.GroupID]bool{},
			above: map[odcm.GroupID]map[odcm.GroupID]bool{}, grants: map[odcm.SpaceID]map[access.Holder]time.Time{}, teams: map[odcm.SpaceID]map[string]map[odcm.GroupID]bool{}}
		users, groups := many[odcm.UserID]("user", 6), many[odcm.GroupID]("group", 7)
		spaces, teams := many[odcm.SpaceID]("space", 4), many[string]("team", 2)
		for _, g := range groups {
			w.Group(g)
		}
		for _, u := range users {
			m.off[u] = true // comes later, or never
		}
		s, err := access.New(ctx, w.Options(store, func() time.Time { return m.now }))
		if err != nil {
			t.Fatal(err)
		}
		user, group := rapid.SampledFrom(users), rapid.SampledFrom(groups)
		space, team := rapid.SampledFrom(spaces), rapid.SampledFrom(teams)
		holder := func() access.Holder {
			if rapid.Bool().Draw(t, "to a user") {
				return access.Holder{User: user.Draw(t, "user")}
			}
			return access.Holder{Group: group.Draw(t, "group")}
		}
		edits := map[string]func(){
			"user": func() {
				u, on := user.Draw(t, "user"), rapid.Bool().Draw(t, "on")
				w.User(u, on)
				m.off[u] = !on
			},
			"drop": func() {
				u := user.Draw(t, "user")
				w.Drop(u)
				m.off[u] = true
				delete(m.direct, u)
			},
			"join": func() {
				u, g, in := user.Draw(t, "user"), group.Draw(t, "group"), rapid.Bool().Draw(t, "in")
				w.Join(u, g, in)
				if set(m.direct, u, g, true); !in {
					delete(m.direct[u], g)
				}
			},
			"nest": func() {
				i := rapid.IntRange(0, len(groups)-2).Draw(t, "low")
				g, into, in := groups[i], groups[rapid.IntRange(i+1, len(groups)-1).Draw(t, "high")], rapid.Bool().Draw(t, "in")
				w.Nest(g, into, in)
				if set(m.above, g, into, true); !in {
					delete(m.above[g], into)
				}
			},
			"grant": func() {
				id, h, expires := space.Draw(t, "space"), holder(), time.Time{}
				if rapid.Bool().Draw(t, "expires") {
					expires = m.now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "hours")) * time.Hour)
				}
				_ = store.PutGrant(ctx, access.Grant{ID: fmt.Sprint(id, h), Space: id, Holder: h, Expires: expires}, odcm.Event{})
				if m.grants[id] == nil {
					m.grants[id] = map[access.Holder]time.Time{}
				}
				m.grants[id][h] = expires
			},
			"revoke": func() {
				id, h := space.Draw(t, "space"), holder()
				_ = store.DeleteGrant(ctx, fmt.Sprint(id, h), odcm.Event{})
				delete(m.grants[id], h)
			},
			"map": func() {
				id, to, g := space.Draw(t, "space"), team.Draw(t, "team"), group.Draw(t, "group")
				_ = store.Map(ctx, id, access.Team{ID: to, Name: to}, g, odcm.Event{})
				if m.teams[id] == nil {
					m.teams[id] = map[string]map[odcm.GroupID]bool{}
				}
				set(m.teams[id], to, g, true)
			},
			"unmap": func() {
				id, to, g := space.Draw(t, "space"), team.Draw(t, "team"), group.Draw(t, "group")
				_ = store.Unmap(ctx, id, to, g, odcm.Event{})
				delete(m.teams[id][to], g)
			},
			"wait": func() { m.now = m.now.Add(90 * time.Minute) },
			"forget": func() {
				id := space.Draw(t, "space")
				_ = store.Forget(ctx, id)
				delete(m.grants, id)
				delete(m.teams, id)
			},
		}
		kind := rapid.SampledFrom(slices.Sorted(keys(edits)))
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before := m.picture(users, spaces)
			for range rapid.IntRange(1, 3).Draw(t, "edits at once") {
				edits[kind.Draw(t, "edit")]()
			}
			told := listen(s)
			if err := s.Refresh(ctx); err != nil {
				t.Fatal(err)
			}
			check(t, s, m, users, spaces)
			var want []odcm.SpaceID
			for id, now := range m.picture(users, spaces) {
				if now != before[id] {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if got := told(); !slices.Equal(got, want) {
				t.Fatalf("told of %v, touched are %v", got, want)
			}
		}
	})
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// listen gathers what Changed says until the function that it returns is called.
func listen(s *access.Service) func() []odcm.SpaceID {
	ctx, cancel := context.WithCancel(context.Background())
	changed := s.Changed(ctx)
	return func() (all []odcm.SpaceID) {
		// What is told is gathered until it is taken, so a Space that cannot exist comes together with all that was told before.
		s.TellForTest("end")
		for id := range changed {
			if id == "end" {
				cancel()
				continue
			}
			all = append(all, id)
		}
		slices.Sort(all)
		return all
	}
}

func check(t *rapid.T, s *access.Service, m *model, users []odcm.UserID, spaces []odcm.SpaceID) {
	ctx := context.Background()
	for _, space := range spaces {
		var entrants []odcm.UserID
		members := map[string][]odcm.UserID{}
		for _, u := range users {
			if got, want := s.May(u, space), m.may(u, space); got != want {
				t.Fatalf("%s may enter %s: %t, want %t", u, space, got, want)
			}
			if m.may(u, space) {
				entrants = append(entrants, u)
			}
			teams := m.teamsOf(u, space)
			if got := s.TeamsOf(ctx, u, space); !slices.Equal(got, teams) {
				t.Fatalf("%s is in %v of %s, want %v", u, got, space, teams)
			}
			for _, team := range teams {
				members[team] = append(members[team], u)
			}
		}
		if got, _ := s.Entrants(ctx, space); !slices.Equal(got, entrants) {
			t.Fatalf("into %s may %v, want %v", space, got, entrants)
		}
		teams, _ := s.Teams(ctx, space)
		for _, team := range teams {
			if !slices.Equal(team.Members, members[team.Team]) {
				t.Fatalf("in %s of %s are %v, want %v", team.Team, space, team.Members, members[team.Team])
			}
		}
	}
	for _, u := range users {
		var reach []odcm.SpaceID
		for _, space := range spaces {
			if m.may(u, space) {
				reach = append(reach, space)
			}
		}
		if _, got := s.Reach(ctx, odcm.Principal{User: u}); !slices.Equal(got, reach) {
			t.Fatalf("%s reaches %v, want %v", u, got, reach)
		}
	}
}

// estate fills a world of the size with groups nested three deep, each user in about 8 groups with what is above them.
func estate(tb testing.TB, users, groups, spaces int) (*accesstest.World, *accesstest.Memory, *access.Service) {
	tb.Helper()
	ctx := context.Background()
	w, store := accesstest.NewWorld(), accesstest.NewMemory()
	r := rand.New(rand.NewPCG(1, 2))
	gid := func(i int) odcm.GroupID { return odcm.GroupID(fmt.Sprintf("group-0198a7c4-5b1e-7c3a-9f00-%012d", i)) }
	for i := range groups {
		w.Group(gid(i))
		if i >= groups/10 {
			w.Nest(gid(i), gid(i/10), true)
		}
	}
	for i := range users {
		w.User(userID(i), true)
		for range 3 {
			w.Join(userID(i), gid(r.IntN(groups)), true)
		}
	}
	for i := range spaces {
		for range 4 {
			g := gid(r.IntN(groups))
			_ = store.PutGrant(ctx, access.Grant{ID: fmt.Sprint(i, g), Space: spaceID(i), Holder: access.Holder{Group: g}}, odcm.Event{})
			_ = store.Map(ctx, spaceID(i), access.Team{ID: fmt.Sprint("Teams-", r.IntN(3))}, g, odcm.Event{})
		}
		u := userID(r.IntN(users))
		_ = store.PutGrant(ctx, access.Grant{ID: fmt.Sprint(i, u), Space: spaceID(i), Holder: access.Holder{User: u}}, odcm.Event{})
	}
	s, err := access.New(ctx, w.Options(store, nil))
	if err != nil {
		tb.Fatal(err)
	}
	return w, store, s
}

func userID(i int) odcm.UserID {
	return odcm.UserID(fmt.Sprintf("user-0198a7c4-5b1e-7c3a-9f00-%012d", i))
}
func spaceID(i int) odcm.SpaceID {
	return odcm.SpaceID(fmt.Sprintf("space-0198a7c4-5b1e-7c3a-9f00-%012d", i))
}

func TestADecisionAllocatesNothing(t *testing.T) {
	_, _, s := estate(t, 100, 50, 20)
	user, space := userID(7), spaceID(3)
	if n := testing.AllocsPerRun(100, func() { s.May(user, space) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOneMembershipTouchesItsSpacesOnly is the estate of a large company: one person joins one group.
func TestOneMembershipTouchesItsSpacesOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, _, s := estate(t, 2000, 300, 200)
	before := map[odcm.SpaceID]string{}
	picture := func(into map[odcm.SpaceID]string) {
		for i := range 200 {
			entrants, _ := s.Entrants(ctx, spaceID(i))
			teams, _ := s.Teams(ctx, spaceID(i))
			into[spaceID(i)] = fmt.Sprint(entrants, teams)
		}
	}
	picture(before)
	told := listen(s)
	w.Join(userID(1234), "group-0198a7c4-5b1e-7c3a-9f00-000000000299", true)
	if _, err := w.Graph(ctx); err != nil { // flattening is not this room's
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	after := map[odcm.SpaceID]string{}
	picture(after)
	var want []odcm.SpaceID
	for i := range 200 {
		if before[spaceID(i)] != after[spaceID(i)] {
			want = append(want, spaceID(i))
		}
	}
	if got := told(); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("told of %v, touched are %v", got, want)
	}
	t.Logf("%d of 200 Spaces named in %v", len(want), took)
}

func BenchmarkMay(b *testing.B) {
	_, _, s := estate(b, 10_000, 1_000, 1_000)
	asked := make([]struct {
		user  odcm.UserID
		space odcm.SpaceID
	}, 1<<14)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range asked {
		asked[i].user, asked[i].space = userID(r.IntN(10_000)), spaceID(r.IntN(1_000))
	}
	b.ReportAllocs()
	in := 0
	for i := 0; b.Loop(); i++ {
		if a := &asked[i&(len(asked)-1)]; s.May(a.user, a.space) {
			in++
		}
	}
	b.ReportMetric(float64(in)/float64(b.N), "entered")
}

func BenchmarkOneMembership(b *testing.B) {
	w, _, s := estate(b, 10_000, 1_000, 1_000)
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		w.Join(userID(i%10_000), "group-0198a7c4-5b1e-7c3a-9f00-000000000007", i%2 == 0)
		if _, err := w.Graph(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := s.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
