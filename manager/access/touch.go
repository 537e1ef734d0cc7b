package access

import (
	"context"
	"iter"
	"math/bits"
	"slices"
	"sync"

	"odcm"
)

// all yields the members.
func (s set) all() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(int32(i<<6 | bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// differs yields the members that only one of the sets has.
func (s set) differs(t set) iter.Seq[int32] {
	x := make(set, max(len(s), len(t)))
	copy(x, s)
	for i, word := range t {
		x[i] ^= word
	}
	return x.all()
}

// touched names the Spaces in which the new index gives somebody something else than the old one. People are the users whose
// groups changed, changed the Spaces whose entries were made anew.
func touched(old, new *Index, people []int32, changed map[odcm.SpaceID]bool) []odcm.SpaceID {
	found := map[odcm.SpaceID]bool{}
	for id := range changed {
		if !sameMappings(old.spaces[id], new.spaces[id]) || !sameForAll(old, new, id) {
			found[id] = true
		}
	}
	look := func(slot int32, spaces []odcm.SpaceID) {
		for _, id := range spaces {
			if !found[id] && !changed[id] && !same(old.spaces[id], old.at(slot), new.spaces[id], new.at(slot), slot) {
				found[id] = true
			}
		}
	}
	for _, slot := range people {
		before, after := old.at(slot), new.at(slot)
		for bit := range before.differs(after) {
			if int(bit) < len(new.naming) { // a group that was met after the last change of a Space is named in none
				look(slot, new.naming[bit])
			}
		}
		if (before == nil) != (after == nil) {
			look(slot, new.holding[slot])
		}
	}
	ids := make([]odcm.SpaceID, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// at returns the groups of a user by slot; nil for who is not in the graph, or was not met yet.
func (x *Index) at(slot int32) set {
	if int(slot) < len(x.groups) {
		return x.groups[slot]
	}
	return nil
}

func sameForAll(old, new *Index, id odcm.SpaceID) bool {
	before, after := old.spaces[id], new.spaces[id]
	for slot := range int32(len(new.groups)) {
		if !same(before, old.at(slot), after, new.at(slot), slot) {
			return false
		}
	}
	return true
}

// same tells whether a user, by his groups before and after, enters as before and is in the same teams.
func same(old *entry, before set, new *entry, after set, slot int32) bool {
	was := old != nil && before != nil && old.admits(before, slot)
	is := new != nil && after != nil && new.admits(after, slot)
	if was != is || !is {
		return was == is
	}
	if old == new {
		for _, team := range old.teams {
			if before.meets(team) != after.meets(team) {
				return false
			}
		}
		return true
	}
	i, j := 0, 0
	for { // both lists are sorted by team
		for i < len(old.teams) && !before.meets(old.teams[i]) {
			i++
		}
		for j < len(new.teams) && !after.meets(new.teams[j]) {
			j++
		}
		if i == len(old.teams) || j == len(new.teams) {
			return i == len(old.teams) && j == len(new.teams)
		}
		if old.Mappings[i].Team.ID != new.Mappings[j].Team.ID {
			return false
		}
		i, j = i+1, j+1
	}
}

func sameMappings(old, new *entry) bool {
	var a, b []Mapping
	if old != nil {
		a = old.Mappings
	}
	if new != nil {
		b = new.Mappings
	}
	return slices.EqualFunc(a, b, func(a, b Mapping) bool { return a.Team.ID == b.Team.ID && slices.Equal(a.Groups, b.Groups) })
}

// listener gathers touched Spaces for one caller of Changed. It cannot grow beyond the number of Spaces.
type listener struct {
	mu     sync.Mutex
	spaces map[odcm.SpaceID]struct{}
	some   chan struct{}
}

func (s *Service) tell(spaces []odcm.SpaceID) {
	if len(spaces) == 0 {
		return
	}
	s.listening.Lock()
	defer s.listening.Unlock()
	for l := range s.listeners {
		l.mu.Lock()
		for _, id := range spaces {
			l.spaces[id] = struct{}{}
		}
		l.mu.Unlock()
		select {
		case l.some <- struct{}{}:
		default:
		}
	}
}

// Changed yields the Spaces in which, since it was called, somebody may enter or is in a mapped team who did not or was not
// before, or the other way round, or whose mappings changed; whatever the cause: a grant, a membership, a user's state, a
// time; and where [Service.FollowPeople] runs, those that somebody may enter whose name changed. It yields until ctx ends. A
// Space that changes several times while the caller is busy comes once.
func (s *Service) Changed(ctx context.Context) iter.Seq[odcm.SpaceID] {
	l := &listener{spaces: map[odcm.SpaceID]struct{}{}, some: make(chan struct{}, 1)}
	s.listening.Lock()
	s.listeners[l] = struct{}{}
	s.listening.Unlock()
	return func(yield func(odcm.SpaceID) bool) {
		defer func() {
			s.listening.Lock()
			delete(s.listeners, l)
			s.listening.Unlock()
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-l.some:
			}
			l.mu.Lock()
			spaces := l.spaces
			l.spaces = map[odcm.SpaceID]struct{}{}
			l.mu.Unlock()
			for id := range spaces {
				if !yield(id) {
					return
				}
			}
		}
	}
}
