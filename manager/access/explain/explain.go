package explain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
)

// Explanation says why somebody may enter a Space, or why not.
type Explanation struct {
	Person access.Person
	Place  access.Place
	Enter  bool
	Ways   []Way  // every way in, the shortest first
	Teams  []Seat // the mapped Octopus teams that he is in
	// Missing says what is nearest to letting him in, for people; empty where he may enter.
	Missing string
	Arrival access.Arrival // what the Space has acknowledged of it; the state is empty where nothing is known
}

// Way is one grant that lets a person in, and one way to it.
type Way struct {
	Grant  access.Grant
	Holder string
	Path   []access.NamedGroup // from the group that names the person to the one that holds the grant; empty where he holds it
}

// Seat is a team, and the ways into it.
type Seat struct {
	Team access.Team
	Ways [][]access.NamedGroup // each from the group that names the person to the one that is mapped
}

// maxWays bounds how many ways are told of one person and Space: nested groups can make very many.
const maxWays = 50

// Explain says why the user may enter the Space, or what is missing. People ask about themselves, for Spaces that they may
// enter; about others ask those who may read the Space's access. User and space are references; an empty user is the principal.
func (s *Service) Explain(ctx context.Context, p odcm.Principal, user, space string) (_ Explanation, err error) {
	defer odcm.Wrap(&err, "explain access to Space %s", space)
	if err := s.access.Refresh(ctx); err != nil {
		return Explanation{}, err
	}
	e := Explanation{}
	if e.Place, err = s.visible(ctx, p, space); err != nil {
		return Explanation{}, err
	}
	denied := s.access.Authorize(ctx, p, access.ActionRead, e.Place.Space)
	user = cmp.Or(strings.TrimSpace(user), string(p.User))
	if e.Person, err = s.o.People.FindPerson(ctx, user); err != nil || e.Person.ID != p.User {
		if denied != nil { // whether there is such a person is not for everyone
			return Explanation{}, denied
		}
		if odcm.KindOf(err) == odcm.NotFound {
			err = odcm.E(odcm.NotFound, "access.user-not-found", "Nobody is known as %s.", user).OnField("user").Because(err)
		}
		if err != nil {
			return Explanation{}, err
		}
	}
	if err := s.explain(ctx, &e); err != nil {
		return Explanation{}, err
	}
	if s.o.Arrived != nil {
		arrivals, err := s.o.Arrived.Arrivals(ctx, e.Place.Space, []odcm.UserID{e.Person.ID})
		if err != nil {
			return Explanation{}, err
		}
		e.Arrival = arrivals[e.Person.ID]
	}
	return e, nil
}

// visible finds a Space that the principal may see.
func (s *Service) visible(ctx context.Context, p odcm.Principal, ref string) (access.Place, error) {
	found, err := s.o.Places.FindPlace(ctx, ref)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && !s.access.Visible(ctx, p, found.Space) {
		return access.Place{}, access.NoPlace()
	}
	return found, err
}

func (s *Service) explain(ctx context.Context, e *Explanation) error {
	x, user := s.access.Index(), e.Person.ID
	e.Enter = x.May(user, e.Place.Space)
	in := x.Content(e.Place.Space)
	holders := []access.Holder{}
	if e.Enter {
		for _, g := range x.GrantsOf(user, e.Place.Space) {
			if g.Holder.User != "" {
				e.Ways = append(e.Ways, Way{Grant: g})
				continue
			}
			for _, path := range pathsTo(x.Graph(), user, g.Holder.Group) {
				e.Ways = append(e.Ways, Way{Grant: g, Path: path})
			}
		}
		slices.SortStableFunc(e.Ways, func(a, b Way) int { return cmp.Compare(len(a.Path), len(b.Path)) })
		teams := x.TeamsOf(user, e.Place.Space)
		for _, m := range in.Mappings {
			if slices.Contains(teams, m.Team.ID) {
				seat := Seat{Team: m.Team}
				for _, g := range m.Groups {
					seat.Ways = append(seat.Ways, pathsTo(x.Graph(), user, g)...)
				}
				e.Teams = append(e.Teams, seat)
			}
		}
	}
	for _, g := range in.Grants {
		holders = append(holders, g.Holder)
	}
	for _, path := range e.paths() {
		for _, g := range path {
			holders = append(holders, access.Holder{Group: g.ID})
		}
	}
	names := access.Names{}
	if err := s.access.Name(ctx, names, holders); err != nil {
		return err
	}
	for _, path := range e.paths() {
		for i := range path {
			path[i].Name = cmp.Or(names[access.Holder{Group: path[i].ID}], string(path[i].ID))
		}
	}
	for i, w := range e.Ways {
		e.Ways[i].Holder = names[w.Grant.Holder]
	}
	if !e.Enter {
		e.Missing = s.missing(x, in, e, names)
	}
	return nil
}

// paths are all that the explanation has, to be named in place.
func (e *Explanation) paths() (all [][]access.NamedGroup) {
	for _, w := range e.Ways {
		all = append(all, w.Path)
	}
	for _, seat := range e.Teams {
		all = append(all, seat.Ways...)
	}
	return all
}

// missing says what is nearest: the person's own state, a grant that has expired, then what others enter by.
func (s *Service) missing(x *access.Index, in access.Content, e *Explanation, names access.Names) string {
	who, where := e.Person.Called(), e.Place.Name
	if e.Person.Disabled {
		return fmt.Sprintf("%s is disabled in ODCM, so no grant counts.", who)
	}
	groups := x.Graph().GroupsOf(e.Person.ID)
	var open []string
	for _, g := range in.Grants {
		mine := g.Holder.User == e.Person.ID || slices.Contains(groups, g.Holder.Group)
		switch counts := g.Counts(s.access.Now()); {
		case mine && !counts && g.Holder.User != "":
			return fmt.Sprintf("The grant of %s expired on %s: renew it.", who, g.Expires.Format("2 January 2006 15:04 MST"))
		case mine && !counts:
			return fmt.Sprintf("The grant of the group %s, in which %s is, expired on %s: renew it.", names[g.Holder], who, g.Expires.Format("2 January 2006 15:04 MST"))
		case counts && g.Holder.Group != "" && names[g.Holder] != "":
			open = append(open, names[g.Holder])
		}
	}
	if len(open) == 0 {
		return fmt.Sprintf("No group may enter %s, and %s holds no grant. Let a group in, or this person alone.", where, who)
	}
	slices.Sort(open)
	const most = 5
	rest := ""
	if len(open) > most {
		open, rest = open[:most], fmt.Sprintf(" and %d more", len(open)-most)
	}
	return fmt.Sprintf("%s holds no grant and is in none of the groups that may enter %s: %s%s. One of these groups, or a grant of their own, would let them in.",
		who, where, strings.Join(open, ", "), rest)
}

// pathsTo lists the ways from a user up to a group, the shortest first, at most [maxWays]. It goes only where the group can
// be reached, so that every step belongs to a way, and where it is nearest first, so that a shortest way is among them.
func pathsTo(g access.Graph, user odcm.UserID, to odcm.GroupID) (ways [][]access.NamedGroup) {
	const never = math.MaxInt
	far := map[odcm.GroupID]int{to: 0} // steps up to the group
	var steps func(odcm.GroupID) int
	steps = func(at odcm.GroupID) int {
		if n, known := far[at]; known {
			return n
		}
		far[at] = never // while looking: were there a circle, this would end it
		nearest := never
		for _, up := range g.Above(at) {
			if n := steps(up); n < never {
				nearest = min(nearest, n+1)
			}
		}
		far[at] = nearest
		return nearest
	}
	var path []access.NamedGroup
	var walk func([]odcm.GroupID)
	walk = func(groups []odcm.GroupID) {
		groups = slices.DeleteFunc(slices.Clone(groups), func(at odcm.GroupID) bool { return steps(at) == never })
		slices.SortStableFunc(groups, func(a, b odcm.GroupID) int { return cmp.Compare(far[a], far[b]) })
		for _, at := range groups {
			if len(ways) == maxWays {
				return
			}
			path = append(path, access.NamedGroup{ID: at})
			if at == to {
				ways = append(ways, slices.Clone(path))
			} else {
				walk(g.Above(at))
			}
			path = path[:len(path)-1]
		}
	}
	walk(g.Direct(user))
	slices.SortStableFunc(ways, func(a, b []access.NamedGroup) int { return cmp.Compare(len(a), len(b)) })
	return ways
}
