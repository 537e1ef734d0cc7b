package access

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"odcm"
)

// MaxPage bounds a page of a list.
const MaxPage = 500

func pageSize(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, MaxPage)
}

// Filter chooses grants; zero fields choose all.
type Filter struct {
	Space       string // identifier, slug or name
	Group, User string // who holds the grant himself, not through a group
	Text        string // part of the name of the Space or the holder, or of the note
	Kind        HolderKind
	Stewards    bool // only those who administer
	Ended       bool // only those that have expired
	After       Position
	Limit       int // 50 if zero, at most [MaxPage]
}

// HolderKind is "group" or "user".
type HolderKind string

// Position is the place of a grant in the list, from which the next page goes on.
type Position struct {
	Name string `json:"n,omitempty"` // of the Space, folded
	ID   string `json:"i,omitempty"`
}

// Listed is a grant as a list shows it.
type Listed struct {
	Grant
	Name   string // of the holder; empty where the group or user is not known any more
	Place  Place
	People int // how many the grant lets in now
}

// Grants lists grants by Space, of the Spaces whose access the principal may read. Next is where the next page begins; zero
// where there is none.
func (s *Service) Grants(ctx context.Context, p odcm.Principal, f Filter) (page []Listed, next Position, err error) {
	defer odcm.Wrap(&err, "list grants")
	match, all, err := s.matcher(ctx, p, f)
	if err != nil {
		return nil, Position{}, err
	}
	x := s.index.Load()
	type row struct {
		Position
		grant Grant
	}
	var rows []row
	for id, e := range x.spaces {
		for _, g := range e.Grants {
			if match(g) {
				rows = append(rows, row{Position{strings.ToLower(all.named(id).Name), g.ID}, g})
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return a.compare(b.Position) })
	after, _ := slices.BinarySearchFunc(rows, f.After, func(r row, at Position) int {
		if at == (Position{}) {
			return 1
		}
		return cmp.Or(r.compare(at), -1) // behind the one where the page before ended
	})
	rows = rows[after:]
	if limit := pageSize(f.Limit); len(rows) > limit {
		rows, next = rows[:limit], rows[limit-1].Position
	}
	names, grants := names{}, make([]Grant, len(rows))
	for i, r := range rows {
		grants[i] = r.grant
	}
	if err := s.name(ctx, names, grants...); err != nil {
		return nil, Position{}, err
	}
	for _, g := range grants {
		page = append(page, Listed{Grant: g, Name: names[g.Holder], Place: all.named(g.Space), People: x.letsIn(g)})
	}
	return page, next, nil
}

// Held returns a grant by its identifier, where the principal may read the access of its Space.
func (s *Service) Held(ctx context.Context, p odcm.Principal, id string) (Listed, bool) {
	x := s.index.Load()
	g, found := x.grant(id)
	if !found || s.authorize(ctx, p, ActionRead, g.Space) != nil {
		return Listed{}, false
	}
	names := names{}
	if err := s.name(ctx, names, g); err != nil {
		return Listed{}, false
	}
	return Listed{Grant: g, Name: names[g.Holder], People: x.letsIn(g)}, true
}

func (p Position) compare(q Position) int {
	return cmp.Or(strings.Compare(p.Name, q.Name), strings.Compare(p.ID, q.ID))
}

// letsIn counts the people whom a grant lets in.
func (x *index) letsIn(g Grant) int {
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

// matcher makes the filter's test of a grant, which no grant passes that the principal may not see.
func (s *Service) matcher(ctx context.Context, p odcm.Principal, f Filter) (match func(Grant) bool, all *places, err error) {
	if err := s.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	if all, err = s.allPlaces(ctx); err != nil {
		return nil, nil, err
	}
	readable, err := s.readable(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if f.Space != "" {
		place, err := s.place(ctx, p, ActionRead, f.Space)
		if err != nil {
			return nil, nil, err
		}
		readable = func(id odcm.SpaceID) bool { return id == place.Space }
	}
	var holder Holder
	if f.Group != "" || f.User != "" {
		if holder, _, err = s.holder(ctx, f.Group, f.User); err != nil {
			return nil, nil, err
		}
	}
	text := strings.ToLower(strings.TrimSpace(f.Text))
	found, err := s.search(ctx, text, MaxPage)
	if err != nil {
		return nil, nil, err
	}
	return func(g Grant) bool {
		return readable(g.Space) &&
			(holder == Holder{} || g.Holder == holder) &&
			(f.Kind == "" || (f.Kind == "group") == (g.Holder.Group != "")) &&
			(!f.Stewards || g.Steward) &&
			(!f.Ended || !g.counts(s.now())) &&
			(text == "" || found[g.Holder] != "" || contains(all.named(g.Space).Name, text) || contains(g.Note, text))
	}, all, nil
}

func contains(name, text string) bool { return strings.Contains(strings.ToLower(name), text) }

// readable tells of which Spaces the principal may read the access: all, or those that he administers. Denied where there
// is none.
func (s *Service) readable(ctx context.Context, p odcm.Principal) (func(odcm.SpaceID) bool, error) {
	denied := s.o.Authorizer.Authorize(ctx, p, ActionRead, "")
	if denied == nil {
		return func(odcm.SpaceID) bool { return true }, nil
	}
	x := s.index.Load()
	if len(s.Stewarded(p.User)) == 0 {
		return nil, denied
	}
	return func(id odcm.SpaceID) bool { return x.administers(p.User, id) }, nil
}

// Stewarded lists the Spaces that the user administers in ODCM.
func (s *Service) Stewarded(user odcm.UserID) (spaces []odcm.SpaceID) {
	x := s.index.Load()
	for _, id := range x.reach(user) {
		if x.administers(user, id) {
			spaces = append(spaces, id)
		}
	}
	return spaces
}

// search finds holders by a part of their name; none where no register is given.
func (s *Service) search(ctx context.Context, text string, limit int) (names, error) {
	found := names{}
	if text == "" || s.o.Register == nil {
		return found, nil
	}
	groups, err := s.o.Register.SearchGroups(ctx, text, limit)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		found[Holder{Group: g.ID}] = g.Name
	}
	people, err := s.o.Register.SearchPeople(ctx, text, limit)
	for _, p := range people {
		found[Holder{User: p.ID}] = p.Called()
	}
	return found, err
}

// Candidate is somebody whom a picker offers.
type Candidate struct {
	Holder
	Name   string
	Detail string // "31 people"; the username
}

// Candidates offers groups, and people unless only groups are wanted, whose name contains the text: to those who may grant
// access to the Space or map its groups.
func (s *Service) Candidates(ctx context.Context, p odcm.Principal, space, text string, onlyGroups bool, limit int) (found []Candidate, err error) {
	defer odcm.Wrap(&err, "look for groups and people")
	action := ActionGrant
	if onlyGroups {
		action = ActionMap
	}
	if _, err := s.place(ctx, p, action, space); err != nil || s.o.Register == nil {
		return nil, err
	}
	text = strings.TrimSpace(text)
	groups, err := s.o.Register.SearchGroups(ctx, text, limit)
	if err != nil {
		return nil, err
	}
	x := s.index.Load()
	for _, g := range groups {
		found = append(found, Candidate{Holder{Group: g.ID}, g.Name, people(len(x.graph.MembersOf(g.ID)))})
	}
	if onlyGroups {
		return found, nil
	}
	persons, err := s.o.Register.SearchPeople(ctx, text, limit)
	for _, p := range persons {
		found = append(found, Candidate{Holder{User: p.ID}, p.Called(), p.Username})
	}
	return found, err
}

// Mapped is a team with the groups that are mapped to it, as a list shows it.
type Mapped struct {
	Team   Team
	Groups []MappedGroup
	People int // in the team: in one of the groups, and may enter
}

// MappedGroup is a group of a mapping.
type MappedGroup struct {
	NamedGroup     // the name is empty where the group is not known any more
	People     int // in the group and may enter
}

// Mappings lists the mapped teams of a Space, by the team's name.
func (s *Service) Mappings(ctx context.Context, p odcm.Principal, space string) (mapped []Mapped, err error) {
	defer odcm.Wrap(&err, "list mappings of Space %s", space)
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	place, err := s.place(ctx, p, ActionRead, space)
	if err != nil {
		return nil, err
	}
	x := s.index.Load()
	e := x.spaces[place.Space]
	if e == nil {
		return nil, nil
	}
	var holders []Holder
	for _, m := range e.Mappings {
		for _, g := range m.Groups {
			holders = append(holders, Holder{Group: g})
		}
	}
	names := names{}
	if err := s.nameAll(ctx, names, holders); err != nil {
		return nil, err
	}
	entrants := x.entrants(place.Space)
	count := func(in set) (n int) {
		for _, user := range entrants {
			if _, groups, ok := x.of(user); ok && groups.meets(in) {
				n++
			}
		}
		return n
	}
	for i, m := range e.Mappings {
		t := Mapped{Team: m.Team, People: count(e.teams[i])}
		for _, g := range m.Groups {
			t.Groups = append(t.Groups, MappedGroup{NamedGroup{g, names[Holder{Group: g}]}, count(set(nil).with(x.bits[g]))})
		}
		mapped = append(mapped, t)
	}
	slices.SortFunc(mapped, func(a, b Mapped) int {
		return strings.Compare(strings.ToLower(a.Team.Name), strings.ToLower(b.Team.Name))
	})
	return mapped, nil
}

// TeamsOn lists the Octopus teams of a Space, asking its server: what groups can be mapped to.
func (s *Service) TeamsOn(ctx context.Context, p odcm.Principal, space string) (_ []Team, err error) {
	defer odcm.Wrap(&err, "list teams of Space %s", space)
	place, err := s.place(ctx, p, ActionRead, space)
	if err != nil || s.o.Teams == nil {
		return nil, err
	}
	return s.o.Teams.Teams(ctx, place.Space)
}
