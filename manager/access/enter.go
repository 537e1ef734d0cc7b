package access

import (
	"context"
	"slices"

	"odcm"
)

// May tells whether the user may enter the Space: whether he is enabled and holds a grant that has not expired, himself or
// through a group. It allocates nothing.
func (s *Service) May(user odcm.UserID, space odcm.SpaceID) bool {
	return s.index.Load().May(user, space)
}

// Reach returns the Spaces that the principal may see: all, or those that he may enter.
func (s *Service) Reach(ctx context.Context, p odcm.Principal) (all bool, spaces []odcm.SpaceID) {
	if s.o.Authorizer.Authorize(ctx, p, ActionRead, "") == nil {
		return true, nil
	}
	return false, s.index.Load().reach(p.User)
}

func (x *Index) reach(user odcm.UserID) (spaces []odcm.SpaceID) {
	slot, groups, ok := x.of(user)
	if !ok {
		return nil
	}
	for id, e := range x.spaces {
		if e.admits(groups, slot) {
			spaces = append(spaces, id)
		}
	}
	slices.Sort(spaces)
	return spaces
}

// Entrants lists who may enter the Space, sorted. It never fails.
func (s *Service) Entrants(_ context.Context, space odcm.SpaceID) ([]odcm.UserID, error) {
	return s.index.Load().Entrants(space), nil
}

func (x *Index) Entrants(space odcm.SpaceID) (users []odcm.UserID) {
	e := x.spaces[space]
	if e == nil {
		return nil
	}
	for _, g := range e.Grants {
		if g.Holder.Group != "" {
			if e.groups.has(x.bits[g.Holder.Group]) {
				users = append(users, x.graph.MembersOf(g.Holder.Group)...)
			}
		} else if slot, _, ok := x.of(g.Holder.User); ok && e.users.has(slot) {
			users = append(users, g.Holder.User)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// TeamsOf lists the identifiers of the mapped Octopus teams that the user is in; none for who may not enter.
func (s *Service) TeamsOf(_ context.Context, user odcm.UserID, space odcm.SpaceID) []string {
	return s.index.Load().TeamsOf(user, space)
}

func (x *Index) TeamsOf(user odcm.UserID, space odcm.SpaceID) (teams []string) {
	slot, groups, ok := x.of(user)
	e := x.spaces[space]
	if !ok || e == nil || !e.admits(groups, slot) {
		return nil
	}
	for i, team := range e.teams {
		if groups.meets(team) {
			teams = append(teams, e.Mappings[i].Team.ID)
		}
	}
	return teams
}

// Teams lists the mapped teams of the Space with their groups and members, by team. It never fails.
func (s *Service) Teams(_ context.Context, space odcm.SpaceID) (teams []DesiredTeam, _ error) {
	x := s.index.Load()
	e := x.spaces[space]
	if e == nil {
		return nil, nil
	}
	entrants := x.Entrants(space)
	for i, m := range e.Mappings {
		t := DesiredTeam{Team: m.Team.ID, Groups: m.Groups}
		for _, user := range entrants {
			if _, groups, ok := x.of(user); ok && groups.meets(e.teams[i]) {
				t.Members = append(t.Members, user)
			}
		}
		teams = append(teams, t)
	}
	return teams, nil
}

// GroupsIn returns the user's groups that count in the Spaces of an instance: those that let him in, and those that are
// mapped to a team where he may enter. Denied "access.no-grant" where he may enter no Space of it.
func (s *Service) GroupsIn(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) (groups []odcm.GroupID, err error) {
	on, err := s.on(ctx, instance)
	if err != nil {
		return nil, err
	}
	groups, entered := s.index.Load().counting(user, on)
	if !entered {
		// Whoever signs in for the first time asks before the hint that he and his groups are known now: nobody is sent away
		// for what this room has not heard of yet.
		if err := s.Refresh(ctx); err != nil {
			return nil, err
		}
		groups, entered = s.index.Load().counting(user, on)
	}
	if !entered {
		return nil, odcm.E(odcm.Denied, "access.no-grant", "You may not enter this Space. Ask an administrator of ODCM for access.")
	}
	return groups, nil
}

// EnteredOn lists the Spaces of an instance that the user may enter.
func (s *Service) EnteredOn(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) ([]odcm.SpaceID, error) {
	on, err := s.on(ctx, instance)
	x := s.index.Load()
	return slices.DeleteFunc(slices.Clone(on), func(space odcm.SpaceID) bool { return !x.May(user, space) }), err
}

// on lists the Spaces of an instance.
func (s *Service) on(ctx context.Context, instance odcm.InstanceID) (on []odcm.SpaceID, err error) {
	all, err := s.allPlaces(ctx)
	if err != nil || all.on[instance] != nil {
		return all.on[instance], err
	}
	fresh, err := s.o.Places.On(ctx, instance) // one that is being enlisted is not in the list yet
	for _, place := range fresh {
		on = append(on, place.Space)
	}
	return on, err
}

// counting returns the user's groups that count in the Spaces, sorted, and whether he may enter any of them.
func (x *Index) counting(user odcm.UserID, spaces []odcm.SpaceID) (groups []odcm.GroupID, enters bool) {
	for _, space := range spaces {
		if !x.May(user, space) {
			continue
		}
		enters = true
		e := x.spaces[space]
		for _, g := range x.graph.GroupsOf(user) {
			if bit := x.bits[g]; e.groups.has(bit) || slices.ContainsFunc(e.teams, func(team set) bool { return team.has(bit) }) {
				groups = append(groups, g)
			}
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), enters
}

// LetsIn counts the people whom a grant lets in.
func (x *Index) LetsIn(g Grant) int {
	e := x.spaces[g.Space]
	switch {
	case e == nil:
	case g.Holder.Group != "":
		if e.groups.has(x.bits[g.Holder.Group]) {
			return len(x.graph.MembersOf(g.Holder.Group))
		}
	default:
		if slot, _, ok := x.of(g.Holder.User); ok && e.users.has(slot) {
			return 1
		}
	}
	return 0
}

// Stewarded lists the Spaces that the user administers in ODCM.
func (s *Service) Stewarded(user odcm.UserID) (spaces []odcm.SpaceID) {
	x := s.index.Load()
	for _, id := range x.reach(user) {
		if x.Administers(user, id) {
			spaces = append(spaces, id)
		}
	}
	return spaces
}

// GrantsOf lists the grants that let the user into the Space.
func (x *Index) GrantsOf(user odcm.UserID, space odcm.SpaceID) (grants []Grant) {
	slot, groups, ok := x.of(user)
	e := x.spaces[space]
	if !ok || e == nil {
		return nil
	}
	for _, g := range e.Grants {
		if bit, known := x.bits[g.Holder.Group]; known && groups.has(bit) && e.groups.has(bit) || g.Holder.User == user && e.users.has(slot) {
			grants = append(grants, g)
		}
	}
	return grants
}
