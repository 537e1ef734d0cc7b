package accesstest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/manager/access"
)

// Memory is an [access.Store] without a database.
type Memory struct {
	mu       sync.Mutex
	revision int64
	changed  map[odcm.SpaceID]int64
	grants   map[string]access.Grant
	teams    map[odcm.SpaceID]map[string]access.Mapping
	Events   []odcm.Event
}

var _ access.Store = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{changed: map[odcm.SpaceID]int64{}, grants: map[string]access.Grant{}, teams: map[odcm.SpaceID]map[string]access.Mapping{}}
}

func (m *Memory) touch(space odcm.SpaceID, events ...odcm.Event) {
	m.revision++
	m.changed[space] = m.revision
	m.Events = append(m.Events, events...)
}

// Revision implements [access.Store].
func (m *Memory) Revision(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision, nil
}

// Load implements [access.Store].
func (m *Memory) Load(_ context.Context, after int64) (all []access.Content, _ int64, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := map[odcm.SpaceID]int{}
	for space, revision := range m.changed {
		if revision > after {
			at[space] = len(all)
			all = append(all, access.Content{Space: space})
		}
	}
	for _, g := range m.grants {
		if i, ok := at[g.Space]; ok {
			all[i].Grants = append(all[i].Grants, g)
		}
	}
	for i := range all {
		c := &all[i]
		slices.SortFunc(c.Grants, func(a, b access.Grant) int { return cmp.Compare(a.ID, b.ID) })
		for _, t := range m.teams[c.Space] {
			t.Groups = slices.Clone(t.Groups)
			c.Mappings = append(c.Mappings, t)
		}
		slices.SortFunc(c.Mappings, func(a, b access.Mapping) int { return strings.Compare(a.Team.ID, b.Team.ID) })
	}
	return all, m.revision, nil
}

// PutGrant implements [access.Store].
func (m *Memory) PutGrant(_ context.Context, g access.Grant, e odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, old := range m.grants {
		if old.Space == g.Space && old.Holder == g.Holder {
			g.ID, g.Created = id, old.Created
		}
	}
	m.grants[g.ID] = g
	m.touch(g.Space, e)
	return nil
}

// DeleteGrant implements [access.Store].
func (m *Memory) DeleteGrant(_ context.Context, id string, e odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.grants[id]
	if !ok {
		return odcm.E(odcm.NotFound, "access.grant-not-found", "There is no such grant.")
	}
	delete(m.grants, id)
	m.touch(g.Space, e)
	return nil
}

// EndGrants implements [access.Store].
func (m *Memory) EndGrants(_ context.Context, now time.Time, limit int, event func(access.Grant) odcm.Event) (ended []access.Grant, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.grants)) {
		if g := m.grants[id]; !g.Ended && !g.Expires.IsZero() && !g.Expires.After(now) && len(ended) < limit {
			g.Ended = true
			m.grants[id] = g
			ended = append(ended, g)
			m.touch(g.Space, event(g))
		}
	}
	return ended, nil
}

// Map implements [access.Store].
func (m *Memory) Map(_ context.Context, space odcm.SpaceID, team access.Team, group odcm.GroupID, e odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.teams[space] == nil {
		m.teams[space] = map[string]access.Mapping{}
	}
	t := m.teams[space][team.ID]
	t.Space, t.Team = space, team
	if at, there := slices.BinarySearch(t.Groups, group); !there {
		t.Groups = slices.Insert(slices.Clone(t.Groups), at, group)
	}
	m.teams[space][team.ID] = t
	m.touch(space, e)
	return nil
}

// Unmap implements [access.Store].
func (m *Memory) Unmap(_ context.Context, space odcm.SpaceID, team string, group odcm.GroupID, e odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.teams[space][team]
	at, there := slices.BinarySearch(t.Groups, group)
	if !there {
		return odcm.E(odcm.NotFound, "access.mapping-not-found", "The group is not mapped to that team.")
	}
	t.Groups = slices.Delete(slices.Clone(t.Groups), at, at+1)
	if m.teams[space][team] = t; len(t.Groups) == 0 {
		delete(m.teams[space], team)
	}
	m.touch(space, e)
	return nil
}

// Forget implements [access.Store].
func (m *Memory) Forget(_ context.Context, space odcm.SpaceID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.grants, func(_ string, g access.Grant) bool { return g.Space == space })
	delete(m.teams, space)
	m.touch(space)
	return nil
}
