// Package accesstest is a world for tests of access: people, groups and Spaces that a test makes up, a store in memory, and
// the suite that every store must pass.
package accesstest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"odcm"
	"odcm/manager/access"
)

// Facts are who is directly in which group. They are safe for concurrent use.
type Facts struct {
	mu       sync.Mutex
	revision int64
	users    map[odcm.UserID]bool // false: disabled
	groups   map[odcm.GroupID]bool
	direct   map[odcm.UserID]map[odcm.GroupID]bool
	above    map[odcm.GroupID]map[odcm.GroupID]bool
	graph    *graph
	Fail     error // what Graph returns, where not nil
}

// NewFacts makes an empty world.
func NewFacts() *Facts {
	return &Facts{users: map[odcm.UserID]bool{}, groups: map[odcm.GroupID]bool{}, direct: map[odcm.UserID]map[odcm.GroupID]bool{}, above: map[odcm.GroupID]map[odcm.GroupID]bool{}}
}

func (f *Facts) edit(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.revision++
	f.graph = nil
}

// User adds somebody, enabled or not.
func (f *Facts) User(id odcm.UserID, enabled bool) { f.edit(func() { f.users[id] = enabled }) }

// Drop deletes a user.
func (f *Facts) Drop(id odcm.UserID) {
	f.edit(func() { delete(f.users, id); delete(f.direct, id) })
}

// Group adds a group.
func (f *Facts) Group(id odcm.GroupID) { f.edit(func() { f.groups[id] = true }) }

// Join puts the user into the group, or takes him out.
func (f *Facts) Join(user odcm.UserID, group odcm.GroupID, in bool) {
	f.edit(func() { put(f.direct, user, group, in) })
}

// Nest puts the group into another, or takes it out.
func (f *Facts) Nest(group, into odcm.GroupID, in bool) {
	f.edit(func() { put(f.above, group, into, in) })
}

func put[K comparable](m map[K]map[odcm.GroupID]bool, of K, group odcm.GroupID, in bool) {
	if m[of] == nil {
		m[of] = map[odcm.GroupID]bool{}
	}
	if in {
		m[of][group] = true
	} else {
		delete(m[of], group)
	}
}

// Graph implements [access.Directory].
func (f *Facts) Graph(context.Context) (access.Graph, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Fail != nil {
		return nil, f.Fail
	}
	if f.graph == nil {
		f.graph = f.flatten()
	}
	return f.graph, nil
}

// graph is flattened in the plainest way.
type graph struct {
	revision int64
	users    []odcm.UserID
	groups   []odcm.GroupID
	direct   map[odcm.UserID][]odcm.GroupID
	above    map[odcm.GroupID][]odcm.GroupID
	of       map[odcm.UserID][]odcm.GroupID
	members  map[odcm.GroupID][]odcm.UserID
}

func (f *Facts) flatten() *graph {
	g := &graph{revision: f.revision, groups: slices.Sorted(maps.Keys(f.groups)), direct: map[odcm.UserID][]odcm.GroupID{},
		above: map[odcm.GroupID][]odcm.GroupID{}, of: map[odcm.UserID][]odcm.GroupID{}, members: map[odcm.GroupID][]odcm.UserID{}}
	for id := range f.groups {
		g.above[id] = slices.Sorted(maps.Keys(f.above[id]))
	}
	for id, enabled := range f.users {
		if !enabled {
			continue
		}
		g.users = append(g.users, id)
		g.direct[id] = slices.Sorted(maps.Keys(f.direct[id]))
		seen := map[odcm.GroupID]bool{}
		var up func(odcm.GroupID)
		up = func(group odcm.GroupID) {
			if !seen[group] {
				seen[group] = true
				for _, next := range g.above[group] {
					up(next)
				}
			}
		}
		for _, group := range g.direct[id] {
			up(group)
		}
		g.of[id] = slices.Sorted(maps.Keys(seen))
		for group := range seen {
			g.members[group] = append(g.members[group], id)
		}
	}
	slices.Sort(g.users)
	for _, users := range g.members {
		slices.Sort(users)
	}
	return g
}

func (g *graph) Revision() int64                               { return g.revision }
func (g *graph) Users() []odcm.UserID                          { return g.users }
func (g *graph) Groups() []odcm.GroupID                        { return g.groups }
func (g *graph) GroupsOf(id odcm.UserID) []odcm.GroupID        { return g.of[id] }
func (g *graph) MembersOf(id odcm.GroupID) []odcm.UserID       { return g.members[id] }
func (g *graph) Direct(id odcm.UserID) []odcm.GroupID          { return g.direct[id] }
func (g *graph) Above(id odcm.GroupID) []odcm.GroupID          { return g.above[id] }
func (g *graph) Path(odcm.UserID, odcm.GroupID) []odcm.GroupID { panic("access explains by edges") }
