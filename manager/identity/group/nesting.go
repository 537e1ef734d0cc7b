package group

import (
	"odcm"
)

// nesting is which group is in which, in both directions.
type nesting struct {
	above, below map[odcm.GroupID][]odcm.GroupID
}

func nestingOf(all []Nested) nesting {
	n := nesting{map[odcm.GroupID][]odcm.GroupID{}, map[odcm.GroupID][]odcm.GroupID{}}
	for _, e := range all {
		n.add(e)
	}
	return n
}

func (n nesting) add(e Nested) {
	n.above[e.Child] = append(n.above[e.Child], e.Parent)
	n.below[e.Parent] = append(n.below[e.Parent], e.Child)
}

// admits tells why the child cannot be put into the parent: it would contain itself, or be nested too deep. Name is how
// people call the child.
func (n nesting) admits(e Nested, name string) error {
	if e.Parent == e.Child || reaches(n.below, e.Child, e.Parent) {
		return odcm.E(odcm.Conflict, "group.cycle", "%s cannot be in this group: it would then contain itself.", name).OnField("members")
	}
	if height(n.above, e.Parent)+height(n.below, e.Child) > MaxDepth {
		return odcm.E(odcm.Invalid, "group.too-deep", "With %s, groups would be nested deeper than %d: put it elsewhere.", name, MaxDepth).OnField("members")
	}
	return nil
}

func reaches(next map[odcm.GroupID][]odcm.GroupID, from, to odcm.GroupID) bool {
	seen := map[odcm.GroupID]bool{from: true}
	for queue := []odcm.GroupID{from}; len(queue) > 0; queue = queue[1:] {
		for _, g := range next[queue[0]] {
			if g == to {
				return true
			}
			if !seen[g] {
				seen[g] = true
				queue = append(queue, g)
			}
		}
	}
	return false
}

// height counts the groups on the longest way from one, itself among them.
func height(next map[odcm.GroupID][]odcm.GroupID, from odcm.GroupID) int {
	known := map[odcm.GroupID]int{}
	var of func(g odcm.GroupID) int
	of = func(g odcm.GroupID) int {
		if h, ok := known[g]; ok {
			return h
		}
		known[g] = 1 // were there a cycle in the store, this would end it
		h := 0
		for _, x := range next[g] {
			h = max(h, of(x))
		}
		known[g] = h + 1
		return h + 1
	}
	return of(from)
}
