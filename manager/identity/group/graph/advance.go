package graph

import (
	"maps"
	"slices"

	"odcm"
)

// Facts are what a graph is made of. A user who may not sign in is not in it.
type Facts struct {
	Users  map[odcm.UserID][]odcm.GroupID  // the groups that the user is directly in
	Groups map[odcm.GroupID][]odcm.GroupID // the groups that the group is directly in
}

// Build makes a graph of all facts.
func Build(f Facts, at int64) *Graph {
	g := &Graph{revision: at, line: &lineage{}}
	// Advancing from nothing is all there is to it: one algorithm, held to one property.
	g, _ = g.Advance(f, slices.Collect(maps.Keys(f.Users)), slices.Collect(maps.Keys(f.Groups)), at)
	return g
}

// Advance makes the graph in which these users and groups are as the facts say: those that are not in the facts are gone.
// All others stay as they are. It returns false where a new identifier is not after all old ones, so that slots would
// move: make a new graph then.
//
// The work follows what changed: the groups whose way up changed, the users directly in those, and the lists of members
// that they enter or leave.
func (g *Graph) Advance(f Facts, users []odcm.UserID, groups []odcm.GroupID, at int64) (*Graph, bool) {
	next := *g
	next.revision = at
	next.people, next.sets = slices.Clone(g.people), slices.Clone(g.sets)
	var ok1, ok2 bool
	next.users, next.people, ok1 = extend(g.users, next.people, users, f.Users)
	next.groups, next.sets, ok2 = extend(g.groups, next.sets, groups, f.Groups)
	if !ok1 || !ok2 {
		return nil, false
	}
	a := advancing{old: g, next: &next, facts: f, gone: map[int32]bool{}, users: map[int32]bool{}, moved: map[int32]*moves{}}
	for _, id := range users {
		if slot, ok := slices.BinarySearch(next.users, id); ok {
			a.users[int32(slot)] = asked
		}
	}
	a.nest(groups)
	a.settle()
	return &next, true
}

// extend adds slots for those who are new.
func extend[I ~string, N, F any](ids []I, nodes []*N, asked []I, facts map[I]F) ([]I, []*N, bool) {
	var fresh []I
	for _, id := range asked {
		if _, there := facts[id]; there {
			if _, known := slices.BinarySearch(ids, id); !known {
				fresh = append(fresh, id)
			}
		}
	}
	slices.Sort(fresh)
	fresh = slices.Compact(fresh)
	if len(fresh) > 0 && len(ids) > 0 && fresh[0] < ids[len(ids)-1] {
		return nil, nil, false
	}
	// Clip: graphs that are still in use must not share the room behind their lists.
	return append(slices.Clip(ids), fresh...), append(nodes, make([]*N, len(fresh))...), true
}

// advancing is one advance under way.
type advancing struct {
	old, next *Graph
	facts     Facts
	gone      map[int32]bool   // groups that are no more
	users     map[int32]bool   // users to look at: asked, or of a group that changed
	moved     map[int32]*moves // by group
}

// asked is who is in the facts, or else gone.
const asked = true

// moves are the users who enter and leave a group, each sorted.
type moves struct{ in, out []int32 }

// slots finds the groups that there are.
func (a *advancing) slots(ids []odcm.GroupID) []int32 {
	all := make([]int32, 0, len(ids))
	for _, id := range ids {
		slot, ok := slices.BinarySearch(a.next.groups, id)
		// A group that is not known yet comes with an event of its own, which names those in it again.
		if ok && a.next.sets[slot] != nil {
			all = append(all, int32(slot))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// nest puts the groups where they are now, and adds those to the users to look at whose groups' way up changed.
func (a *advancing) nest(groups []odcm.GroupID) {
	var touched []int32
	for _, id := range groups {
		slot, ok := slices.BinarySearch(a.next.groups, id)
		if !ok {
			continue
		}
		_, there := a.facts.Groups[id]
		switch old := a.next.sets[slot]; {
		case there && old == nil:
			a.next.sets[slot] = &set{}
		case there:
			fresh := *old
			a.next.sets[slot] = &fresh
		case old != nil:
			a.next.sets[slot] = nil
			a.gone[int32(slot)] = true
			a.look(int32(slot), old)
		}
		touched = append(touched, int32(slot))
	}
	if len(touched) == 0 {
		return
	}
	for _, slot := range touched {
		if s := a.next.sets[slot]; s != nil {
			s.parents = a.slots(a.facts.Groups[a.next.groups[slot]])
		}
	}
	below := a.below(&touched)
	a.climb(touched, below)
}

// below lists the groups in each group, takes those that are gone out of their children, and adds these to the touched.
func (a *advancing) below(touched *[]int32) [][]int32 {
	below := make([][]int32, len(a.next.sets))
	for i, s := range a.next.sets {
		if s == nil {
			continue
		}
		if len(a.gone) > 0 && slices.ContainsFunc(s.parents, func(up int32) bool { return a.gone[up] }) {
			fresh := *s
			fresh.parents = slices.DeleteFunc(slices.Clone(s.parents), func(up int32) bool { return a.gone[up] })
			a.next.sets[i], s = &fresh, &fresh
			*touched = append(*touched, int32(i))
		}
		for _, up := range s.parents {
			below[up] = append(below[up], int32(i))
		}
	}
	return below
}

// climb finds anew what is above the touched groups and all that are below them.
func (a *advancing) climb(touched []int32, below [][]int32) {
	dirty := make([]bool, len(a.next.sets))
	queue := touched
	for at := 0; at < len(queue); at++ {
		if g := queue[at]; !dirty[g] {
			dirty[g] = true
			queue = append(queue, below[g]...)
		}
	}
	done := make([]bool, len(a.next.sets))
	var above func(slot int32) []int32
	above = func(slot int32) []int32 {
		s := a.next.sets[slot]
		if !dirty[slot] || done[slot] {
			return s.above
		}
		done[slot] = true // were there a cycle in the store, this would end it
		all := []int32{slot}
		for _, up := range s.parents {
			all = append(all, above(up)...)
		}
		slices.Sort(all)
		all = slices.Compact(all)
		if !slices.Equal(all, s.above) {
			fresh := *s
			fresh.above = all
			a.next.sets[slot] = &fresh
			a.look(slot, s)
		}
		return all
	}
	for slot, s := range a.next.sets {
		if s != nil && dirty[slot] {
			above(int32(slot))
		}
	}
}

// look adds the users who were directly in the group to those to look at.
func (a *advancing) look(slot int32, s *set) {
	for _, user := range s.members {
		if p := a.old.people[user]; has(p.direct, slot) && !a.users[user] {
			a.users[user] = !asked
		}
	}
}

// settle finds anew in which groups the users are, and moves them.
func (a *advancing) settle() {
	for _, slot := range slices.Sorted(maps.Keys(a.users)) {
		a.place(slot, a.users[slot])
	}
	for slot, m := range a.moved {
		if s := a.next.sets[slot]; s != nil {
			fresh := *s
			fresh.members = merge(s.members, *m)
			a.next.sets[slot] = &fresh
		}
	}
}

func (a *advancing) place(slot int32, asked bool) {
	var before, after []int32
	old, fresh := a.next.people[slot], (*person)(nil)
	if old != nil {
		before = old.all
	}
	groups, there := a.facts.Users[a.next.users[slot]]
	switch {
	case asked && there:
		fresh = &person{direct: a.slots(groups)}
	case !asked:
		fresh = &person{direct: slices.DeleteFunc(slices.Clone(old.direct), func(g int32) bool { return a.next.sets[g] == nil })}
	}
	if fresh != nil {
		for _, g := range fresh.direct {
			after = append(after, a.next.sets[g].above...)
		}
		slices.Sort(after)
		after = slices.Compact(after)
		fresh.all = after
	}
	a.move(slot, before, after)
	a.next.people[slot] = fresh
}

// move notes which groups the user enters and leaves.
func (a *advancing) move(user int32, before, after []int32) {
	of := func(g int32) *moves {
		m := a.moved[g]
		if m == nil {
			m = &moves{}
			a.moved[g] = m
		}
		return m
	}
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) == 0 || len(after) > 0 && after[0] < before[0]:
			m := of(after[0])
			m.in, after = append(m.in, user), after[1:]
		case len(after) == 0 || before[0] < after[0]:
			m := of(before[0])
			m.out, before = append(m.out, user), before[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
}

func merge(members []int32, m moves) []int32 {
	all := make([]int32, 0, max(0, len(members)+len(m.in)-len(m.out)))
	in, out := m.in, m.out
	for _, u := range members {
		for len(in) > 0 && in[0] < u {
			all, in = append(all, in[0]), in[1:]
		}
		if len(out) > 0 && out[0] == u {
			out = out[1:]
			continue
		}
		all = append(all, u)
	}
	return append(all, in...)
}
