package access

import (
	"iter"
	"maps"
	"slices"
	"time"

	"odcm"
)

// set is a set of small numbers, one bit each. A set that is shorter has no more members.
type set []uint64

func (s set) with(bit int32) set {
	word := int(bit >> 6)
	if word >= len(s) {
		s = append(s, make(set, word+1-len(s))...)
	}
	s[word] |= 1 << (bit & 63)
	return s
}

func (s set) has(bit int32) bool {
	word := int(bit >> 6)
	return word < len(s) && s[word]>>(bit&63)&1 != 0
}

// meets tells whether the sets have a member in common.
func (s set) meets(t set) bool {
	if len(t) > len(s) {
		s, t = t, s
	}
	for i, word := range s[:len(t)] {
		if word&t[i] != 0 {
			return true
		}
	}
	return false
}

// Index answers every question about who enters what at one moment. It is immutable: the next one shares with it what did
// not change. Groups and users are numbered as they are first met and keep their number for good, so that sets made for one
// index hold for the next.
type Index struct {
	graph    Graph // nil before the first reading
	revision int64 // of the store

	bits   map[odcm.GroupID]int32
	slots  map[odcm.UserID]int32
	groups []set // by slot: the user's groups; nil for who is not in the graph
	spaces map[odcm.SpaceID]*entry

	naming  [][]odcm.SpaceID         // by bit: the Spaces whose grants or mappings name the group
	holding map[int32][]odcm.SpaceID // by slot: the Spaces in which the user holds a grant himself

	due     time.Time // when the next grant expires; zero: none does
	overdue bool      // a grant has expired and is not marked as ended yet
}

// entry is one Space in the index.
type entry struct {
	Content
	groups, users     set   // whose grants count: groups by bit, users by slot
	stewards, keepers set   // those of them that administer: groups by bit, users by slot
	teams             []set // by the index of Mappings: the groups, by bit
	due               time.Time
	overdue           bool
}

// Index is the one of this moment.
func (s *Service) Index() *Index { return s.index.Load() }

// Graph is the one that the index was made of; nil before the first reading.
func (x *Index) Graph() Graph { return x.graph }

// Content is what the store has of the Space; empty where that is nothing.
func (x *Index) Content(space odcm.SpaceID) Content {
	if e := x.spaces[space]; e != nil {
		return e.Content
	}
	return Content{Space: space}
}

// Contents yields what the store has of each Space, in any order.
func (x *Index) Contents() iter.Seq[Content] {
	return func(yield func(Content) bool) {
		for _, e := range x.spaces {
			if !yield(e.Content) {
				return
			}
		}
	}
}

// Suppose makes the index of a graph and of contents that nobody has made yet, and names the Spaces that it touches.
func (x *Index) Suppose(graph Graph, contents []Content, now time.Time) (*Index, []odcm.SpaceID) {
	return x.next(graph, contents, x.revision, now)
}

func newIndex() *Index {
	return &Index{bits: map[odcm.GroupID]int32{}, slots: map[odcm.UserID]int32{}, spaces: map[odcm.SpaceID]*entry{}}
}

// May is the decision.
func (x *Index) May(user odcm.UserID, space odcm.SpaceID) bool {
	slot, known := x.slots[user]
	if !known {
		return false
	}
	groups := x.groups[slot]
	e := x.spaces[space]
	return e != nil && groups != nil && e.admits(groups, slot)
}

// admits takes the groups of a user who is in the graph.
func (e *entry) admits(groups set, slot int32) bool {
	return groups.meets(e.groups) || e.users.has(slot)
}

// of returns number and groups of a user; ok is false for who is not in the graph.
func (x *Index) of(user odcm.UserID) (slot int32, groups set, ok bool) {
	slot, known := x.slots[user]
	if !known || x.groups[slot] == nil {
		return 0, nil, false
	}
	return slot, x.groups[slot], true
}

// administers tells whether the user is an administrator of the Space.
func (x *Index) Administers(user odcm.UserID, space odcm.SpaceID) bool {
	slot, groups, ok := x.of(user)
	e := x.spaces[space]
	return ok && e != nil && (groups.meets(e.stewards) || e.keepers.has(slot))
}

func (x *Index) isDue(now time.Time) bool { return !x.due.IsZero() && !now.Before(x.due) }

// next makes the index of graph and contents, which are the Spaces that changed, and names the Spaces in which somebody may
// enter or is in a team who did not or was not before, or the other way round, and those whose mappings changed.
func (x *Index) next(graph Graph, contents []Content, revision int64, now time.Time) (*Index, []odcm.SpaceID) {
	b := &building{Index: *x}
	b.graph, b.revision = graph, revision
	people := b.readGraph(x.graph)
	changed := b.readContents(contents, now)
	if len(changed) > 0 {
		b.nameSpaces()
	}
	return &b.Index, touched(x, &b.Index, people, changed)
}

// building is an index while it is made. It copies a part of the index before when it first changes it.
type building struct {
	Index
	ownBits, ownSlots, ownGroups bool
}

func (b *building) set(slot int32, groups set) {
	if !b.ownGroups {
		b.groups, b.ownGroups = slices.Clone(b.groups), true
	}
	if int(slot) == len(b.groups) {
		b.groups = append(b.groups, nil)
	}
	b.groups[slot] = groups
}

func (b *building) bit(group odcm.GroupID) int32 {
	if i, known := b.bits[group]; known {
		return i
	}
	if !b.ownBits {
		b.bits, b.ownBits = maps.Clone(b.bits), true
	}
	i := int32(len(b.bits))
	b.bits[group] = i
	return i
}

func (b *building) slot(user odcm.UserID) int32 {
	if i, known := b.slots[user]; known {
		return i
	}
	if !b.ownSlots {
		b.slots, b.ownSlots = maps.Clone(b.slots), true
	}
	i := int32(len(b.slots))
	b.slots[user] = i
	b.set(i, nil)
	return i
}

func (b *building) bitsOf(groups []odcm.GroupID) set {
	s := set{}
	for _, g := range groups {
		s = s.with(b.bit(g))
	}
	return s
}

// readGraph brings the users' groups up to date and returns the slots of those who differ.
func (b *building) readGraph(old Graph) (changed []int32) {
	if old != nil && old.Revision() == b.graph.Revision() {
		return nil
	}
	users, quick := []odcm.UserID(nil), false
	if g, can := b.graph.(interface {
		Differences(earlier any) ([]odcm.UserID, bool)
	}); can && old != nil {
		users, quick = g.Differences(old)
	}
	if !quick {
		users = differences(old, b.graph)
	}
	present := b.graph.Users()
	for _, user := range users {
		slot, groups := b.slot(user), set(nil)
		if _, in := slices.BinarySearch(present, user); in {
			groups = b.bitsOf(b.graph.GroupsOf(user))
		}
		b.set(slot, groups)
		changed = append(changed, slot)
	}
	return changed
}

// differences lists the users whose groups are not the same in two graphs. Both lists of users are sorted, so they are
// walked side by side.
func differences(old, new Graph) (users []odcm.UserID) {
	var before []odcm.UserID
	if old != nil {
		before = old.Users()
	}
	after := new.Users()
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0] < after[0]:
			users, before = append(users, before[0]), before[1:]
		case len(before) == 0 || after[0] < before[0]:
			users, after = append(users, after[0]), after[1:]
		default:
			if !slices.Equal(old.GroupsOf(after[0]), new.GroupsOf(after[0])) {
				users = append(users, after[0])
			}
			before, after = before[1:], after[1:]
		}
	}
	return users
}

// readContents makes the entries of Spaces that changed or in which a grant has expired, and returns which those are.
func (b *building) readContents(contents []Content, now time.Time) map[odcm.SpaceID]bool {
	changed := map[odcm.SpaceID]bool{}
	for _, c := range contents {
		changed[c.Space] = true
	}
	if b.isDue(now) {
		for id, e := range b.spaces {
			if !changed[id] && !e.due.IsZero() && !now.Before(e.due) {
				changed[id] = true
				contents = append(contents, e.Content)
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	b.spaces = maps.Clone(b.spaces)
	for _, c := range contents {
		if len(c.Grants) == 0 && len(c.Mappings) == 0 {
			delete(b.spaces, c.Space)
		} else {
			b.spaces[c.Space] = b.entry(c, now)
		}
	}
	b.due, b.overdue = time.Time{}, false
	for _, e := range b.spaces {
		b.overdue = b.overdue || e.overdue
		if !e.due.IsZero() && (b.due.IsZero() || e.due.Before(b.due)) {
			b.due = e.due
		}
	}
	return changed
}

func (b *building) entry(c Content, now time.Time) *entry {
	e := &entry{Content: c}
	for _, g := range c.Grants {
		if !g.Counts(now) {
			e.overdue = e.overdue || !g.Ended
			continue
		}
		if !g.Expires.IsZero() && (e.due.IsZero() || g.Expires.Before(e.due)) {
			e.due = g.Expires
		}
		all, some, number := &e.users, &e.keepers, int32(0)
		if g.Holder.Group != "" {
			all, some, number = &e.groups, &e.stewards, b.bit(g.Holder.Group)
		} else {
			number = b.slot(g.Holder.User)
		}
		*all = all.with(number)
		if g.Steward {
			*some = some.with(number)
		}
	}
	for _, m := range c.Mappings {
		e.teams = append(e.teams, b.bitsOf(m.Groups))
	}
	return e
}

// nameSpaces notes which Spaces each group and user is named in, so that a change of a membership looks at no other.
func (b *building) nameSpaces() {
	b.naming, b.holding = make([][]odcm.SpaceID, len(b.bits)), map[int32][]odcm.SpaceID{}
	for id, e := range b.spaces {
		named := slices.Clone(e.groups)
		for _, groups := range e.teams {
			for bit := range groups.all() {
				named = named.with(bit)
			}
		}
		for bit := range named.all() {
			b.naming[bit] = append(b.naming[bit], id)
		}
		for slot := range e.users.all() {
			b.holding[slot] = append(b.holding[slot], id)
		}
	}
}
