// Package graph flattens groups: who is in which, nested as deep as they are, in memory and compact. A graph is made once
// of all facts ([Build]) and then goes along with what changes ([Graph.Advance]) at a cost that follows the change.
package graph

import (
	"slices"
	"sort"

	"odcm"
)

// Graph is who is in which group at one moment, nesting flattened. It is immutable and safe for concurrent use. Users who
// are disabled or deleted are not in it. Lists are sorted and must not be changed.
//
// It knows users and groups by their place (slot) in sorted lists. A slot stays what it is as the graph advances: the
// node of one who left is nil, and who is new comes at the end, since identifiers grow with time. Nodes are shared between
// one graph and the next, and replaced when they change.
type Graph struct {
	revision int64
	line     *lineage
	users    []odcm.UserID
	groups   []odcm.GroupID
	people   []*person
	sets     []*set
}

// lineage is shared by graphs that advanced from one another: their slots mean the same.
type lineage struct{ _ byte }

type person struct {
	direct []int32 // groups, sorted
	all    []int32 // with all groups above them, sorted
}

type set struct {
	parents []int32 // groups that it is directly in, sorted
	above   []int32 // itself and all groups above it, sorted
	members []int32 // users, sorted
}

// Revision grows with every change of a membership, of a group or of who is disabled. It is the identifier of an event: the
// graph has in it what that event and all before it changed.
func (g *Graph) Revision() int64 { return g.revision }

// Users lists everybody who may sign in, in a group or not.
func (g *Graph) Users() []odcm.UserID { return living(g.users, g.people) }

// Groups lists all groups.
func (g *Graph) Groups() []odcm.GroupID { return living(g.groups, g.sets) }

func living[I ~string, N any](ids []I, nodes []*N) []I {
	all := make([]I, 0, len(ids))
	for i, id := range ids {
		if nodes[i] != nil {
			all = append(all, id)
		}
	}
	return all
}

// GroupsOf lists all groups the user is in, directly or through others.
func (g *Graph) GroupsOf(id odcm.UserID) []odcm.GroupID {
	if p := find(g.users, g.people, id); p != nil {
		return pick(g.groups, p.all)
	}
	return nil
}

// MembersOf lists all users in the group, directly or through others.
func (g *Graph) MembersOf(id odcm.GroupID) []odcm.UserID {
	if s := find(g.groups, g.sets, id); s != nil {
		return pick(g.users, s.members)
	}
	return nil
}

// Size is how many users are in the group, directly or through others.
func (g *Graph) Size(id odcm.GroupID) int {
	if s := find(g.groups, g.sets, id); s != nil {
		return len(s.members)
	}
	return 0
}

// Contains tells whether the user is in the group, directly or through others. It allocates nothing.
func (g *Graph) Contains(id odcm.GroupID, user odcm.UserID) bool {
	p := find(g.users, g.people, user)
	slot, ok := slices.BinarySearch(g.groups, id)
	return p != nil && ok && has(p.all, int32(slot))
}

// Path is a shortest way from the user to the group: the groups one after another, the last being the group asked about;
// nil where there is none. The same question has the same answer.
func (g *Graph) Path(user odcm.UserID, id odcm.GroupID) []odcm.GroupID {
	p := find(g.users, g.people, user)
	end, ok := slices.BinarySearch(g.groups, id)
	if p == nil || !ok || !has(p.all, int32(end)) {
		return nil
	}
	from := map[int32]int32{}
	queue := slices.Clone(p.direct)
	for _, d := range queue {
		from[d] = -1
	}
	for at := 0; at < len(queue); at++ {
		if queue[at] == int32(end) {
			break
		}
		for _, up := range g.sets[queue[at]].parents {
			if _, seen := from[up]; !seen {
				from[up] = queue[at]
				queue = append(queue, up)
			}
		}
	}
	var way []odcm.GroupID
	for at := int32(end); at >= 0; at = from[at] {
		way = append(way, g.groups[at])
	}
	slices.Reverse(way)
	return way
}

// Below returns, for each group that has any, the groups directly in it.
func (g *Graph) Below() map[odcm.GroupID][]odcm.GroupID {
	all := map[odcm.GroupID][]odcm.GroupID{}
	for i, s := range g.sets {
		if s != nil {
			for _, up := range s.parents {
				all[g.groups[up]] = append(all[g.groups[up]], g.groups[i])
			}
		}
	}
	return all
}

// Direct lists the groups that the user is directly in.
func (g *Graph) Direct(id odcm.UserID) []odcm.GroupID {
	if p := find(g.users, g.people, id); p != nil {
		return pick(g.groups, p.direct)
	}
	return nil
}

// Above lists the groups that the group is directly in.
func (g *Graph) Above(id odcm.GroupID) []odcm.GroupID {
	if s := find(g.groups, g.sets, id); s != nil {
		return pick(g.groups, s.parents)
	}
	return nil
}

func find[I ~string, N any](ids []I, nodes []*N, id I) *N {
	if slot, ok := slices.BinarySearch(ids, id); ok {
		return nodes[slot]
	}
	return nil
}

func pick[I ~string](ids []I, slots []int32) []I {
	all := make([]I, len(slots))
	for i, slot := range slots {
		all[i] = ids[slot]
	}
	return all
}

func has(sorted []int32, x int32) bool {
	i := sort.Search(len(sorted), func(i int) bool { return sorted[i] >= x })
	return i < len(sorted) && sorted[i] == x
}
