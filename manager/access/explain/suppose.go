package explain

import (
	"maps"
	"slices"

	"odcm"
	"odcm/manager/access"
)

// supposed is a graph with memberships that nobody has made or taken away yet. It knows of whom it differs from the real
// one, and flattens anew for those alone.
type supposed struct {
	access.Graph
	direct   map[odcm.UserID][]odcm.GroupID
	above    map[odcm.GroupID][]odcm.GroupID
	disabled map[odcm.UserID]bool
	differ   map[odcm.UserID]bool

	// What was flattened since the last change that was supposed.
	flat    map[odcm.UserID][]odcm.GroupID
	members map[odcm.GroupID][]odcm.UserID
}

func suppose(g access.Graph) *supposed {
	return &supposed{Graph: g, direct: map[odcm.UserID][]odcm.GroupID{}, above: map[odcm.GroupID][]odcm.GroupID{},
		disabled: map[odcm.UserID]bool{}, differ: map[odcm.UserID]bool{}, flat: map[odcm.UserID][]odcm.GroupID{}, members: map[odcm.GroupID][]odcm.UserID{}}
}

func (g *supposed) forget() {
	clear(g.flat)
	clear(g.members)
}

// Revision is one that the real graph never has.
func (g *supposed) Revision() int64 { return -1 }

// Differences makes the next index look at those only who differ.
func (g *supposed) Differences(any) ([]odcm.UserID, bool) {
	return slices.Sorted(maps.Keys(g.differ)), true
}

// move puts the member into the group or takes it out.
func (g *supposed) move(member access.Holder, group odcm.GroupID, in bool) {
	turn := func(groups []odcm.GroupID) []odcm.GroupID {
		groups = slices.DeleteFunc(slices.Clone(groups), func(id odcm.GroupID) bool { return id == group })
		if in {
			groups = append(groups, group)
		}
		return groups
	}
	if member.User != "" {
		g.direct[member.User] = turn(g.Direct(member.User))
		g.differ[member.User] = true
	} else {
		for _, user := range g.Graph.MembersOf(member.Group) { // who came by an earlier change differs already
			g.differ[user] = true
		}
		g.above[member.Group] = turn(g.Above(member.Group))
	}
	g.forget()
}

func (g *supposed) disable(user odcm.UserID) {
	g.disabled[user], g.differ[user] = true, true
	g.forget()
}

func (g *supposed) Users() []odcm.UserID {
	if len(g.disabled) == 0 {
		return g.Graph.Users()
	}
	return slices.DeleteFunc(slices.Clone(g.Graph.Users()), func(id odcm.UserID) bool { return g.disabled[id] })
}

func (g *supposed) Direct(user odcm.UserID) []odcm.GroupID {
	if groups, moved := g.direct[user]; moved {
		return groups
	}
	return g.Graph.Direct(user)
}

func (g *supposed) Above(group odcm.GroupID) []odcm.GroupID {
	if groups, moved := g.above[group]; moved {
		return groups
	}
	return g.Graph.Above(group)
}

// GroupsOf flattens anew for those who differ. What is above a group may have changed in a circle: each is taken once.
func (g *supposed) GroupsOf(user odcm.UserID) []odcm.GroupID {
	if !g.differ[user] {
		return g.Graph.GroupsOf(user)
	}
	all, known := g.flat[user]
	if known {
		return all
	}
	seen, queue := map[odcm.GroupID]bool{}, slices.Clone(g.Direct(user))
	for len(queue) > 0 {
		group := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if !seen[group] {
			seen[group] = true
			queue = append(queue, g.Above(group)...)
		}
	}
	all = slices.Sorted(maps.Keys(seen))
	g.flat[user] = all
	return all
}

// MembersOf lists those in the group with all that is supposed so far.
func (g *supposed) MembersOf(group odcm.GroupID) []odcm.UserID {
	users, known := g.members[group]
	if known {
		return users
	}
	for user := range g.differ {
		if _, in := slices.BinarySearch(g.GroupsOf(user), group); in && !g.disabled[user] {
			users = append(users, user)
		}
	}
	for _, user := range g.Graph.MembersOf(group) {
		if !g.differ[user] {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	g.members[group] = users
	return users
}
