package space

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"odcm"
)

// Sight is what somebody wants to see of the board. What is empty does not choose.
type Sight struct {
	Text      string // part of the name, of the server's address or of the reason
	Shown     []string
	Versions  []string
	Servers   []string
	Instances []string
	ByName    bool // instead of trouble first
	Group     Grouping
}

// Survey is the board as one person sees it.
type Survey struct {
	Lines  []*Line        // that match, in order; nobody changes them
	Counts map[string]int // by what is shown, of all that matches the rest of the sight
	Total  int            // sum of Counts
	Groups []Group        // trouble first; none where the sight has no grouping
	All    bool           // the person sees every Space, as everyone else does who sees all
}

// Group is a part of the board.
type Group struct {
	Name   string // "" where that is not known
	Counts map[string]int
	Lines  []*Line
}

// Survey looks at the board as the principal may see it.
func (s *Service) Survey(ctx context.Context, p odcm.Principal, sight Sight) (_ Survey, err error) {
	defer odcm.Wrap(&err, "survey Spaces")
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return Survey{}, err
	}
	lines, err := s.lines(ctx)
	if err != nil {
		return Survey{}, err
	}
	var within map[odcm.SpaceID]bool
	if !reach.All {
		within = make(map[odcm.SpaceID]bool, len(reach.Spaces))
		for _, id := range reach.Spaces {
			within[id] = true
		}
	}
	v := Survey{Counts: map[string]int{}, All: reach.All, Lines: make([]*Line, 0, len(lines))}
	text := Fold(strings.TrimSpace(sight.Text))
	for _, l := range lines {
		if within != nil && !within[l.ID] || !sight.takes(l, text) {
			continue
		}
		shown := l.Shown()
		v.Counts[shown]++
		v.Total++
		if len(sight.Shown) == 0 || slices.Contains(sight.Shown, shown) {
			v.Lines = append(v.Lines, l)
		}
	}
	if sight.ByName {
		slices.SortFunc(v.Lines, byName)
	}
	v.Groups = parted(v.Lines, sight.Group)
	return v, nil
}

// takes tells whether the line matches all of the sight but what is shown.
func (sight Sight) takes(l *Line, text string) bool {
	in := func(wanted []string, by Grouping) bool {
		return len(wanted) == 0 || slices.Contains(wanted, l.group(by))
	}
	return in(sight.Versions, ByVersion) && in(sight.Servers, ByServer) && in(sight.Instances, ByInstance) &&
		(text == "" || strings.Contains(l.Key, text) || strings.Contains(l.URL, text) || l.Reason != "" && strings.Contains(Fold(l.Reason), text))
}

// parted puts the lines into groups, in their order within each; the group with the worst comes first, and of those that are as
// bad the one with more of it.
func parted(lines []*Line, by Grouping) []Group {
	if by == Ungrouped {
		return nil
	}
	found := map[string]*Group{}
	for _, l := range lines {
		name := l.group(by)
		g := found[name]
		if g == nil {
			g = &Group{Name: name, Counts: map[string]int{}}
			found[name] = g
		}
		g.Lines = append(g.Lines, l)
		g.Counts[l.Shown()]++
	}
	groups := make([]Group, 0, len(found))
	for _, g := range slices.SortedFunc(maps.Values(found), worse) {
		groups = append(groups, *g)
	}
	return groups
}

func worse(a, b *Group) int {
	for _, shown := range Shown()[:troubles] {
		if order := cmp.Compare(b.Counts[shown], a.Counts[shown]); order != 0 {
			return order
		}
	}
	return cmp.Compare(a.Name, b.Name)
}

// Choices are the values that a sight can choose from. They are shared: nobody changes them.
type Choices struct{ Versions, Servers []string }

// Choices lists the versions and servers of the Spaces that the principal may see.
func (s *Service) Choices(ctx context.Context, p odcm.Principal) (_ Choices, err error) {
	defer odcm.Wrap(&err, "list versions and servers of Spaces")
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return Choices{}, err
	}
	if !reach.All {
		part, err := s.Survey(ctx, p, Sight{})
		return choicesOf(part.Lines), err
	}
	lines, err := s.lines(ctx)
	if err != nil {
		return Choices{}, err
	}
	b := &s.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(lines) == 0 || len(b.chosen) != len(lines) || &b.chosen[0] != &lines[0] { // sorted is replaced, never changed
		b.choices, b.chosen = choicesOf(lines), lines
	}
	return b.choices, nil
}

func choicesOf(lines []*Line) Choices {
	versions, servers := map[string]bool{}, map[string]bool{}
	for _, l := range lines {
		versions[l.Version] = true
		servers[l.Server] = true
	}
	delete(versions, "")
	delete(servers, "")
	return Choices{slices.Sorted(maps.Keys(versions)), slices.Sorted(maps.Keys(servers))}
}

// Entries returns the Spaces that the principal may see, in the order of ids, each with its health as it is now; those that are gone
// are left out.
func (s *Service) Entries(ctx context.Context, p odcm.Principal, ids []odcm.SpaceID) (_ []Entry, err error) {
	defer odcm.Wrap(&err, "read Spaces")
	if len(ids) == 0 {
		return nil, nil
	}
	reach, err := s.o.Access.Reach(ctx, p)
	if err != nil {
		return nil, err
	}
	within := make([]odcm.SpaceID, 0, len(ids))
	for _, id := range ids {
		if reach.Holds(id) {
			within = append(within, id)
		}
	}
	page, err := s.o.Store.List(ctx, Query{Reach: Reach{All: true}, User: p.User, Within: within, Order: ByName, Limit: len(within)})
	if err != nil {
		return nil, err
	}
	place := make(map[odcm.SpaceID]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	slices.SortFunc(page, func(a, b Entry) int { return cmp.Compare(place[a.ID], place[b.ID]) })
	return page, s.fillHealth(ctx, page)
}
