package graph

import (
	"iter"
	"slices"

	"odcm"
)

// View is as much of a graph as telling two apart takes.
type View interface {
	Users() []odcm.UserID
	Groups() []odcm.GroupID
	GroupsOf(odcm.UserID) []odcm.GroupID
	MembersOf(odcm.GroupID) []odcm.UserID
}

// Diff lists the users whose groups differ between two graphs, those who are in one of them only included, sorted. Between
// graphs that advanced from one another it costs as much as looking at who changed.
func Diff(old, new View) []odcm.UserID {
	var changed []odcm.UserID
	a, okA := old.(*Graph)
	b, okB := new.(*Graph)
	if okA && okB && a.line == b.line {
		for i := range max(len(a.people), len(b.people)) {
			x, y := at(a.people, i), at(b.people, i)
			if x != y && (x == nil || y == nil || !slices.Equal(x.all, y.all)) {
				changed = append(changed, longer(a.users, b.users)[i])
			}
		}
		return changed
	}
	had, has := old.Users(), new.Users()
	for _, id := range union(had, has) {
		_, was := slices.BinarySearch(had, id)
		_, is := slices.BinarySearch(has, id)
		if was != is || !slices.Equal(old.GroupsOf(id), new.GroupsOf(id)) {
			changed = append(changed, id)
		}
	}
	return changed
}

// Change says who came into a group and who left it, directly or through others.
type Change struct {
	Group        odcm.GroupID
	Gained, Lost []odcm.UserID // sorted
}

// Changes yields the groups whose members differ between two graphs, nesting flattened, in the order of identifiers.
func Changes(old, new View) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		a, okA := old.(*Graph)
		b, okB := new.(*Graph)
		related := okA && okB && a.line == b.line
		for _, id := range union(old.Groups(), new.Groups()) {
			if related && same(a, b, id) {
				continue
			}
			had, has := old.MembersOf(id), new.MembersOf(id)
			c := Change{Group: id, Gained: without(has, had), Lost: without(had, has)}
			if len(c.Gained)+len(c.Lost) > 0 && !yield(c) {
				return
			}
		}
	}
}

// same tells whether the group's node was not replaced between two graphs of one lineage.
func same(a, b *Graph, id odcm.GroupID) bool {
	return find(a.groups, a.sets, id) == find(b.groups, b.sets, id)
}

func at[N any](nodes []*N, i int) *N {
	if i < len(nodes) {
		return nodes[i]
	}
	return nil
}

func longer[T any](a, b []T) []T {
	if len(a) > len(b) {
		return a
	}
	return b
}

func union[T ~string](a, b []T) []T {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// without returns what is in a and not in b; both are sorted.
func without[T ~string](a, b []T) (rest []T) {
	for _, x := range a {
		if _, in := slices.BinarySearch(b, x); !in {
			rest = append(rest, x)
		}
	}
	return rest
}

// Differences is [Diff] with an earlier graph where the two advanced from one another, and false where they did not.
func (g *Graph) Differences(earlier any) (users []odcm.UserID, ok bool) {
	old, ok := earlier.(*Graph)
	if !ok || old.line != g.line {
		return nil, false
	}
	return Diff(old, g), true
}
