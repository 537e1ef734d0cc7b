package admit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
)

// MaxPage bounds a page of a list.
const MaxPage = 500

// PageSize bounds how many a page has.
func PageSize(limit int) int {
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
	access.Grant
	Name   string // of the holder; empty where the group or user is not known any more
	Place  access.Place
	People int // how many the grant lets in now
}

// Grants lists grants by Space, of the Spaces whose access the principal may read. Next is where the next page begins; zero
// where there is none.
func (s *Service) Grants(ctx context.Context, p odcm.Principal, f Filter) (page []Listed, next Position, err error) {
	defer odcm.Wrap(&err, "list grants")
	match, named, err := s.matcher(ctx, p, f)
	if err != nil {
		return nil, Position{}, err
	}
	x := s.access.Index()
	type row struct {
		Position
		grant access.Grant
	}
	var rows []row
	for c := range x.Contents() {
		for _, g := range c.Grants {
			if match(g) {
				rows = append(rows, row{Position{strings.ToLower(named(c.Space).Name), g.ID}, g})
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
	if limit := PageSize(f.Limit); len(rows) > limit {
		rows, next = rows[:limit], rows[limit-1].Position
	}
	names, grants := access.Names{}, make([]access.Grant, len(rows))
	for i, r := range rows {
		grants[i] = r.grant
	}
	if err := s.access.NameHolders(ctx, names, grants...); err != nil {
		return nil, Position{}, err
	}
	for _, g := range grants {
		page = append(page, Listed{Grant: g, Name: names[g.Holder], Place: named(g.Space), People: x.LetsIn(g)})
	}
	return page, next, nil
}

// Held returns a grant by its identifier, where the principal may read the access of its Space.
func (s *Service) Held(ctx context.Context, p odcm.Principal, id string) (Listed, bool) {
	x := s.access.Index()
	g, found := find(x, id)
	if !found || s.access.Authorize(ctx, p, access.ActionRead, g.Space) != nil {
		return Listed{}, false
	}
	names := access.Names{}
	if err := s.access.NameHolders(ctx, names, g); err != nil {
		return Listed{}, false
	}
	return Listed{Grant: g, Name: names[g.Holder], People: x.LetsIn(g)}, true
}

func (p Position) compare(q Position) int {
	return cmp.Or(strings.Compare(p.Name, q.Name), strings.Compare(p.ID, q.ID))
}

// matcher makes the filter's test of a grant, which no grant passes that the principal may not see.
func (s *Service) matcher(ctx context.Context, p odcm.Principal, f Filter) (match func(access.Grant) bool, named func(odcm.SpaceID) access.Place, err error) {
	if err := s.access.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	if named, err = s.access.PlaceNames(ctx); err != nil {
		return nil, nil, err
	}
	readable, err := s.readable(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if f.Space != "" {
		place, err := s.access.Find(ctx, p, access.ActionRead, f.Space)
		if err != nil {
			return nil, nil, err
		}
		readable = func(id odcm.SpaceID) bool { return id == place.Space }
	}
	var holder access.Holder
	if f.Group != "" || f.User != "" {
		if holder, _, err = s.Holder(ctx, f.Group, f.User); err != nil {
			return nil, nil, err
		}
	}
	text := strings.ToLower(strings.TrimSpace(f.Text))
	found, err := s.search(ctx, text, MaxPage)
	if err != nil {
		return nil, nil, err
	}
	return func(g access.Grant) bool {
		return readable(g.Space) &&
			(holder == access.Holder{} || g.Holder == holder) &&
			(f.Kind == "" || (f.Kind == "group") == (g.Holder.Group != "")) &&
			(!f.Stewards || g.Steward) &&
			(!f.Ended || !g.Counts(s.access.Now())) &&
			(text == "" || found[g.Holder] != "" || contains(named(g.Space).Name, text) || contains(g.Note, text))
	}, named, nil
}

func contains(name, text string) bool { return strings.Contains(strings.ToLower(name), text) }

// readable tells of which Spaces the principal may read the access: all, or those that he administers. Denied where there
// is none.
func (s *Service) readable(ctx context.Context, p odcm.Principal) (func(odcm.SpaceID) bool, error) {
	denied := s.access.MayAsk(ctx, p)
	if denied == nil {
		return func(odcm.SpaceID) bool { return true }, nil
	}
	x := s.access.Index()
	if len(s.access.Stewarded(p.User)) == 0 {
		return nil, denied
	}
	return func(id odcm.SpaceID) bool { return x.Administers(p.User, id) }, nil
}

// search finds holders by a part of their name; none where no register is given.
func (s *Service) search(ctx context.Context, text string, limit int) (access.Names, error) {
	found := access.Names{}
	if text == "" || s.o.Register == nil {
		return found, nil
	}
	groups, err := s.o.Register.SearchGroups(ctx, text, limit)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		found[access.Holder{Group: g.ID}] = g.Name
	}
	people, err := s.o.Register.SearchPeople(ctx, text, limit)
	for _, p := range people {
		found[access.Holder{User: p.ID}] = p.Called()
	}
	return found, err
}

// Candidate is somebody whom a picker offers.
type Candidate struct {
	access.Holder
	Name   string
	Detail string // "31 people"; the username
}

// Candidates offers groups, and people unless only groups are wanted, whose name contains the text: to those who may grant
// access to the Space or map its groups.
func (s *Service) Candidates(ctx context.Context, p odcm.Principal, space, text string, onlyGroups bool, limit int) (found []Candidate, err error) {
	defer odcm.Wrap(&err, "look for groups and people")
	action := access.ActionGrant
	if onlyGroups {
		action = access.ActionMap
	}
	if _, err := s.access.Find(ctx, p, action, space); err != nil || s.o.Register == nil {
		return nil, err
	}
	text = strings.TrimSpace(text)
	groups, err := s.o.Register.SearchGroups(ctx, text, limit)
	if err != nil {
		return nil, err
	}
	x := s.access.Index()
	for _, g := range groups {
		found = append(found, Candidate{access.Holder{Group: g.ID}, g.Name, people(len(x.Graph().MembersOf(g.ID)))})
	}
	if onlyGroups {
		return found, nil
	}
	persons, err := s.o.Register.SearchPeople(ctx, text, limit)
	for _, p := range persons {
		found = append(found, Candidate{access.Holder{User: p.ID}, p.Called(), p.Username})
	}
	return found, err
}

// Mapped is a team with the groups that are mapped to it, as a list shows it.
type Mapped struct {
	Team   access.Team
	Groups []MappedGroup
	People int // in the team: in one of the groups, and may enter
}

// MappedGroup is a group of a mapping.
type MappedGroup struct {
	access.NamedGroup     // the name is empty where the group is not known any more
	People            int // in the group and may enter
}

// Mappings lists the mapped teams of a Space, by the team's name.
func (s *Service) Mappings(ctx context.Context, p odcm.Principal, space string) (mapped []Mapped, err error) {
	defer odcm.Wrap(&err, "list mappings of Space %s", space)
	if err := s.access.Refresh(ctx); err != nil {
		return nil, err
	}
	place, err := s.access.Find(ctx, p, access.ActionRead, space)
	if err != nil {
		return nil, err
	}
	x := s.access.Index()
	c := x.Content(place.Space)
	var holders []access.Holder
	for _, m := range c.Mappings {
		for _, g := range m.Groups {
			holders = append(holders, access.Holder{Group: g})
		}
	}
	names := access.Names{}
	if err := s.access.Name(ctx, names, holders); err != nil {
		return nil, err
	}
	entrants := x.Entrants(place.Space)
	for _, m := range c.Mappings {
		t, people := Mapped{Team: m.Team}, map[odcm.UserID]bool{}
		for _, g := range m.Groups {
			n := 0
			for _, user := range x.Graph().MembersOf(g) {
				if _, enters := slices.BinarySearch(entrants, user); enters {
					people[user] = true
					n++
				}
			}
			t.Groups = append(t.Groups, MappedGroup{access.NamedGroup{ID: g, Name: names[access.Holder{Group: g}]}, n})
		}
		t.People = len(people)
		mapped = append(mapped, t)
	}
	slices.SortFunc(mapped, func(a, b Mapped) int {
		return strings.Compare(strings.ToLower(a.Team.Name), strings.ToLower(b.Team.Name))
	})
	return mapped, nil
}

// TeamsOn lists the Octopus teams of a Space, asking its server: what groups can be mapped to.
func (s *Service) TeamsOn(ctx context.Context, p odcm.Principal, space string) (_ []access.Team, err error) {
	defer odcm.Wrap(&err, "list teams of Space %s", space)
	place, err := s.access.Find(ctx, p, access.ActionRead, space)
	if err != nil || s.o.Teams == nil {
		return nil, err
	}
	return s.o.Teams.Teams(ctx, place.Space)
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
