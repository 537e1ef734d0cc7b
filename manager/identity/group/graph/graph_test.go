package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"odcm"
	"odcm/manager/identity/group/graph"
)

// world is what the naive evaluator knows: who is directly in what.
type world graph.Facts

func (w world) clone() world {
	c := world{Users: map[odcm.UserID][]odcm.GroupID{}, Groups: map[odcm.GroupID][]odcm.GroupID{}}
	for id, in := range w.Users {
		c.Users[id] = slices.Clone(in)
	}
	for id, in := range w.Groups {
		c.Groups[id] = slices.Clone(in)
	}
	return c
}

// groupsOf walks up, one group after another, as the definition says.
func (w world) groupsOf(user odcm.UserID) []odcm.GroupID {
	seen := map[odcm.GroupID]bool{}
	var up func(id odcm.GroupID)
	up = func(id odcm.GroupID) {
		if _, there := w.Groups[id]; !there || seen[id] {
			return
		}
		seen[id] = true
		for _, next := range w.Groups[id] {
			up(next)
		}
	}
	for _, id := range w.Users[user] {
		up(id)
	}
	return slices.Sorted(maps.Keys(seen))
}

// distance is the length of a shortest way, 0 where there is none.
func (w world) distance(user odcm.UserID, to odcm.GroupID) int {
	level, seen := w.Users[user], map[odcm.GroupID]bool{}
	for d := 1; len(level) > 0; d++ {
		var next []odcm.GroupID
		for _, id := range level {
			if _, there := w.Groups[id]; !there || seen[id] {
				continue
			}
			if id == to {
				return d
			}
			seen[id] = true
			next = append(next, w.Groups[id]...)
		}
		level = next
	}
	return 0
}

func (w world) reaches(from, to odcm.GroupID) bool {
	if from == to {
		return true
	}
	return slices.ContainsFunc(w.Groups[from], func(up odcm.GroupID) bool { return w.reaches(up, to) })
}

// check holds the graph to the naive evaluator, in everything that it answers.
func (w world) check(t *rapid.T, g *graph.Graph) {
	if got, want := g.Users(), slices.Sorted(maps.Keys(w.Users)); !slices.Equal(got, want) {
		t.Fatalf("Users = %v, want %v", got, want)
	}
	if got, want := g.Groups(), slices.Sorted(maps.Keys(w.Groups)); !slices.Equal(got, want) {
		t.Fatalf("Groups = %v, want %v", got, want)
	}
	members := map[odcm.GroupID][]odcm.UserID{}
	for _, user := range g.Users() {
		want := w.groupsOf(user)
		if got := g.GroupsOf(user); !slices.Equal(got, want) {
			t.Fatalf("GroupsOf(%s) = %v, want %v", user, got, want)
		}
		for _, id := range g.Groups() {
			in := slices.Contains(want, id)
			if in {
				members[id] = append(members[id], user)
			}
			if g.Contains(id, user) != in {
				t.Fatalf("Contains(%s, %s) = %v", id, user, !in)
			}
			w.checkPath(t, g, user, id)
		}
	}
	for _, id := range g.Groups() {
		if got := g.MembersOf(id); !slices.Equal(got, members[id]) || g.Size(id) != len(got) {
			t.Fatalf("MembersOf(%s) = %v, want %v", id, got, members[id])
		}
	}
}

func (w world) checkPath(t *rapid.T, g *graph.Graph, user odcm.UserID, id odcm.GroupID) {
	path := g.Path(user, id)
	if len(path) != w.distance(user, id) {
		t.Fatalf("Path(%s, %s) = %v, want %d steps", user, id, path, w.distance(user, id))
	}
	for i, at := range path {
		from := w.Users[user]
		if i > 0 {
			from = w.Groups[path[i-1]]
		}
		if !slices.Contains(from, at) {
			t.Fatalf("Path(%s, %s) = %v: no step to %s", user, id, path, at)
		}
	}
	if len(path) > 0 && path[len(path)-1] != id {
		t.Fatalf("Path(%s, %s) ends at %s", user, id, path[len(path)-1])
	}
}

// edit changes the world at random and returns whom an event would name.
func (w world) edit(t *rapid.T, n *int) (users []odcm.UserID, groups []odcm.GroupID) {
	pick := func(label string, from []string) string {
		if len(from) == 0 {
			return ""
		}
		return rapid.SampledFrom(from).Draw(t, label)
	}
	user := odcm.UserID(pick("user", texts(w.Users)))
	one, two := odcm.GroupID(pick("group", texts(w.Groups))), odcm.GroupID(pick("other", texts(w.Groups)))
	switch rapid.IntRange(0, 8).Draw(t, "edit") {
	case 0:
		*n++
		id := odcm.UserID(fmt.Sprintf("user-%04d", *n))
		w.Users[id] = nil
		return []odcm.UserID{id}, nil
	case 1:
		*n++
		id := odcm.GroupID(fmt.Sprintf("group-%04d", *n))
		w.Groups[id] = nil
		return nil, []odcm.GroupID{id}
	case 2, 3:
		if user == "" || one == "" || slices.Contains(w.Users[user], one) {
			return nil, nil
		}
		w.Users[user] = append(w.Users[user], one)
	case 4:
		if i := slices.Index(w.Users[user], one); i >= 0 {
			w.Users[user] = slices.Delete(w.Users[user], i, i+1)
		}
	case 5:
		if one == "" || w.reaches(two, one) || slices.Contains(w.Groups[one], two) {
			return nil, nil
		}
		w.Groups[one] = append(w.Groups[one], two)
		return nil, []odcm.GroupID{one, two}
	case 6:
		if i := slices.Index(w.Groups[one], two); i >= 0 {
			w.Groups[one] = slices.Delete(w.Groups[one], i, i+1)
		}
		return nil, []odcm.GroupID{one, two}
	case 7: // a user leaves, is disabled
		delete(w.Users, user)
	case 8: // a group is deleted: its event names it alone
		delete(w.Groups, one)
		for id, in := range w.Groups {
			w.Groups[id] = slices.DeleteFunc(slices.Clone(in), func(g odcm.GroupID) bool { return g == one })
		}
		for id, in := range w.Users {
			w.Users[id] = slices.DeleteFunc(slices.Clone(in), func(g odcm.GroupID) bool { return g == one })
		}
		return nil, []odcm.GroupID{one}
	}
	return []odcm.UserID{user}, nil
}

func texts[K ~string, V any](m map[K]V) []string {
	all := make([]string, 0, len(m))
	for k := range m {
		all = append(all, string(k))
	}
	slices.Sort(all)
	return all
}

// TestAdvanceIsAsGoodAsANewGraph makes random changes, some at once, and compares the graph that went along with them and
// one made anew with a naive evaluator; and what is told to have changed with what did.
func TestAdvanceIsAsGoodAsANewGraph(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, n := world{}.clone(), 0
		g := graph.Build(graph.Facts(w), 0)
		for step := range rapid.IntRange(1, 25).Draw(t, "steps") {
			before, earlier := w.clone(), g
			var users []odcm.UserID
			var groups []odcm.GroupID
			for range rapid.IntRange(1, 4).Draw(t, "at once") {
				u, gs := w.edit(t, &n)
				users, groups = append(users, u...), append(groups, gs...)
			}
			next, ok := g.Advance(graph.Facts(w.clone()), users, groups, int64(step+1))
			if !ok {
				t.Fatal("Advance gave up though all identifiers grow")
			}
			g = next
			w.check(t, g)
			before.check(t, earlier) // which must not have changed
			anew := graph.Build(graph.Facts(w.clone()), int64(step+1))
			w.check(t, anew)

			want := before.diff(w)
			for name, later := range map[string]*graph.Graph{"advanced": g, "made anew": anew} {
				if got := graph.Diff(earlier, later); !slices.Equal(got, want) {
					t.Fatalf("Diff with the graph %s = %v, want %v", name, got, want)
				}
				checkChanges(t, earlier, later)
			}
		}
	})
}

func (w world) diff(later world) (changed []odcm.UserID) {
	for _, id := range slices.Sorted(maps.Keys(maps.Collect(both(w.Users, later.Users)))) {
		_, was := w.Users[id]
		_, is := later.Users[id]
		if was != is || !slices.Equal(w.groupsOf(id), later.groupsOf(id)) {
			changed = append(changed, id)
		}
	}
	return changed
}

func both[K comparable, V any](a, b map[K]V) func(yield func(K, bool) bool) {
	return func(yield func(K, bool) bool) {
		for _, m := range []map[K]V{a, b} {
			for k := range m {
				if !yield(k, true) {
					return
				}
			}
		}
	}
}

// checkChanges applies the changes to what was and must come to what is.
func checkChanges(t *rapid.T, earlier, later *graph.Graph) {
	got := map[odcm.GroupID][]odcm.UserID{}
	for _, id := range earlier.Groups() {
		got[id] = earlier.MembersOf(id)
	}
	for c := range graph.Changes(earlier, later) {
		left := slices.DeleteFunc(slices.Clone(got[c.Group]), func(u odcm.UserID) bool { return slices.Contains(c.Lost, u) })
		got[c.Group] = slices.Sorted(slices.Values(append(left, c.Gained...)))
	}
	for _, id := range later.Groups() {
		if want := later.MembersOf(id); !slices.Equal(got[id], want) {
			t.Fatalf("changes bring %s to %v, want %v", id, got[id], want)
		}
	}
}

func TestAdvanceGivesUpWhereSlotsWouldMove(t *testing.T) {
	t.Parallel()
	g := graph.Build(graph.Facts{Users: map[odcm.UserID][]odcm.GroupID{"user-5": nil}}, 1)
	if _, ok := g.Advance(graph.Facts{Users: map[odcm.UserID][]odcm.GroupID{"user-4": nil}}, []odcm.UserID{"user-4"}, nil, 2); ok {
		t.Error("a user was put before another")
	}
}

func TestContainsDoesNotAllocate(t *testing.T) { // not parallel: it counts all allocations
	g := graph.Build(company(100, 20), 1)
	users, groups := g.Users(), g.Groups()
	if n := testing.AllocsPerRun(100, func() { g.Contains(groups[3], users[7]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// company is users in three groups each, and groups in a tree of eight branches each, with every tenth in one more.
func company(users, groups int) graph.Facts {
	f := graph.Facts{Users: map[odcm.UserID][]odcm.GroupID{}, Groups: map[odcm.GroupID][]odcm.GroupID{}}
	id := func(i int) odcm.GroupID { return odcm.GroupID(fmt.Sprintf("group-%06d", i)) }
	for i := range groups {
		var in []odcm.GroupID
		if i > 0 {
			in = append(in, id((i-1)/8))
		}
		if i%10 == 9 {
			in = append(in, id(i/20))
		}
		f.Groups[id(i)] = slices.Compact(in)
	}
	for i := range users {
		f.Users[odcm.UserID(fmt.Sprintf("user-%06d", i))] = []odcm.GroupID{id(i % groups), id(i * 7 % groups), id(i * 31 % groups)}
	}
	return f
}

func BenchmarkBuild(b *testing.B) {
	f := company(10_000, 1000)
	b.ReportAllocs()
	for b.Loop() {
		graph.Build(f, 1)
	}
}

// BenchmarkAdvance moves one user from one group to another.
func BenchmarkAdvance(b *testing.B) {
	g := graph.Build(company(10_000, 1000), 1)
	const user = "user-005000"
	facts := [2]graph.Facts{
		{Users: map[odcm.UserID][]odcm.GroupID{user: {"group-000007"}}}, {Users: map[odcm.UserID][]odcm.GroupID{user: {"group-000900", "group-000007"}}},
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g, _ = g.Advance(facts[i%2], []odcm.UserID{user}, nil, int64(i))
	}
}

// BenchmarkAdvanceNesting puts a group with an eighth of all into another and takes it out again.
func BenchmarkAdvanceNesting(b *testing.B) {
	g := graph.Build(company(10_000, 1000), 1)
	facts := [2]graph.Facts{
		{Groups: map[odcm.GroupID][]odcm.GroupID{"group-000003": {"group-000000"}}}, {Groups: map[odcm.GroupID][]odcm.GroupID{"group-000003": {"group-000000", "group-000005"}}},
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g, _ = g.Advance(facts[i%2], nil, []odcm.GroupID{"group-000003"}, int64(i))
	}
}

func BenchmarkDiff(b *testing.B) {
	old := graph.Build(company(10_000, 1000), 1)
	g, _ := old.Advance(graph.Facts{Users: map[odcm.UserID][]odcm.GroupID{"user-005000": {"group-000007"}}}, []odcm.UserID{"user-005000"}, nil, 2)
	for b.Loop() {
		graph.Diff(old, g)
	}
}

func BenchmarkContains(b *testing.B) {
	g := graph.Build(company(10_000, 1000), 1)
	b.ReportAllocs()
	for b.Loop() {
		g.Contains("group-000000", "user-005000")
	}
}
