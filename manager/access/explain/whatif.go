package explain

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/admit"
)

// Change is one thing that somebody thinks of doing. Which fields count depends on the kind; all are references.
type Change struct {
	Kind   ChangeKind
	Space  string // grant, revoke, map, unmap
	Team   string // map, unmap
	Group  string // grant, revoke: who holds it, or User; map, unmap; add and remove: whose members change
	User   string // grant, revoke: who holds it, or Group; add and remove: the member, or Member; disable
	Member string // add and remove: the group that is the member, or User
}

// ChangeKind is what is done.
type ChangeKind string

// The kinds of changes.
const (
	ToGrant   ChangeKind = "grant"
	ToRevoke  ChangeKind = "revoke"
	ToMap     ChangeKind = "map"
	ToUnmap   ChangeKind = "unmap"
	ToAdd     ChangeKind = "add-member"
	ToRemove  ChangeKind = "remove-member"
	ToDisable ChangeKind = "disable-user"
)

// maxChanges bounds what one question asks.
const maxChanges = 100

// Difference is what changes would do: how many would gain and lose, and a page of who.
type Difference struct {
	Gain, Lose  int // entry into a Space, counted once for each person and Space
	Join, Leave int // a team, counted once for each person and team
	People      int // to whom anything of it happens
	Spaces      int // in which anything of it happens
	Effects     []Effect
	Next        int // where the next page begins; 0 where there is none
}

// Effect is what happens to one person in one Space.
type Effect struct {
	Kind   EffectKind
	Person odcm.UserID
	Name   string
	Place  access.Place
	Team   access.Team // of joins and leaves
}

// EffectKind says what happens, the gravest first.
type EffectKind string

// The kinds of effects.
const (
	LosesEntry EffectKind = "loses-entry"
	LeavesTeam EffectKind = "leaves-team"
	GainsEntry EffectKind = "gains-entry"
	JoinsTeam  EffectKind = "joins-team"
)

var gravity = map[EffectKind]int{LosesEntry: 0, LeavesTeam: 1, GainsEntry: 2, JoinsTeam: 3}

// WhatIf says who would gain and lose what if all the changes were made at once. It changes nothing. From is where the page
// begins, 0 for the first; limit is 50 if zero. Who administers a Space may ask about mappings there, and who may read all
// access may ask about everything.
func (s *Service) WhatIf(ctx context.Context, p odcm.Principal, changes []Change, from, limit int) (d Difference, err error) {
	defer odcm.Wrap(&err, "what if")
	if len(changes) == 0 || len(changes) > maxChanges {
		return d, odcm.E(odcm.Invalid, "access.changes", "Ask about 1 to %d changes at once.", maxChanges).OnField("changes")
	}
	if err := s.access.Refresh(ctx); err != nil {
		return d, err
	}
	named, err := s.access.PlaceNames(ctx)
	if err != nil {
		return d, err
	}
	old := s.access.Index()
	if old.Graph() == nil {
		return d, odcm.E(odcm.Unavailable, "access.not-read", "Groups are not read yet: try again in a moment.")
	}
	w := &supposition{index: old, graph: suppose(old.Graph()), contents: map[odcm.SpaceID]access.Content{}}
	for _, c := range changes {
		if err := s.suppose(ctx, p, w, c); err != nil {
			return d, err
		}
	}
	var contents []access.Content
	for _, c := range w.contents {
		contents = append(contents, c)
	}
	now := s.access.Now()
	next, spaces := old.Suppose(w.graph, contents, now)
	effects := effectsOf(old, next, spaces, named)
	d = count(effects)
	from = min(max(from, 0), len(effects))
	page := effects[from:]
	if limit = admit.PageSize(limit); len(page) > limit {
		page, d.Next = page[:limit], from+limit
	}
	d.Effects = page
	return d, s.nameEffects(ctx, page)
}

func (s *Service) nameEffects(ctx context.Context, page []Effect) error {
	holders, names := make([]access.Holder, len(page)), access.Names{}
	for i, e := range page {
		holders[i] = access.Holder{User: e.Person}
	}
	if err := s.access.Name(ctx, names, holders); err != nil {
		return err
	}
	for i := range page {
		page[i].Name = cmp.Or(names[holders[i]], string(page[i].Person))
	}
	return nil
}

func count(effects []Effect) (d Difference) {
	persons, spaces := map[odcm.UserID]bool{}, map[odcm.SpaceID]bool{}
	for _, e := range effects {
		persons[e.Person], spaces[e.Place.Space] = true, true
		switch e.Kind {
		case GainsEntry:
			d.Gain++
		case LosesEntry:
			d.Lose++
		case JoinsTeam:
			d.Join++
		case LeavesTeam:
			d.Leave++
		}
	}
	d.People, d.Spaces = len(persons), len(spaces)
	return d
}

// effectsOf lists what differs for whom in the Spaces, the gravest first, then by Space and person.
func effectsOf(old, new *access.Index, spaces []odcm.SpaceID, named func(odcm.SpaceID) access.Place) (effects []Effect) {
	for _, space := range spaces {
		place := named(space)
		users := append(old.Entrants(space), new.Entrants(space)...)
		slices.Sort(users)
		for _, user := range slices.Compact(users) {
			was, is := old.May(user, space), new.May(user, space)
			switch {
			case was && !is:
				effects = append(effects, Effect{Kind: LosesEntry, Person: user, Place: place})
			case is && !was:
				effects = append(effects, Effect{Kind: GainsEntry, Person: user, Place: place})
			}
			before, after := old.TeamsOf(user, space), new.TeamsOf(user, space)
			for _, id := range before {
				if !slices.Contains(after, id) {
					effects = append(effects, Effect{Kind: LeavesTeam, Person: user, Place: place, Team: old.Content(space).Team(id)})
				}
			}
			for _, id := range after {
				if !slices.Contains(before, id) {
					effects = append(effects, Effect{Kind: JoinsTeam, Person: user, Place: place, Team: new.Content(space).Team(id)})
				}
			}
		}
	}
	slices.SortStableFunc(effects, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(gravity[a.Kind], gravity[b.Kind]), strings.Compare(strings.ToLower(a.Place.Name), strings.ToLower(b.Place.Name)))
	})
	return effects
}

// Named returns what people call the group or person and the team that a change is about.
func (s *Service) Named(ctx context.Context, p odcm.Principal, c Change) (holder, team string, err error) {
	place, err := s.access.Find(ctx, p, access.ActionRead, c.Space)
	if err != nil {
		return "", "", err
	}
	_, holder, err = s.o.Grants.HolderIn(ctx, place.Space, c.Group, c.User, c.Kind == ToRevoke || c.Kind == ToUnmap)
	if err != nil || c.Team == "" {
		return holder, "", err
	}
	t, err := s.o.Grants.Team(ctx, place.Space, access.Team{ID: c.Team}, c.Kind == ToMap)
	return holder, t.Name, err
}

// supposition gathers changes that nobody has made.
type supposition struct {
	index    *access.Index
	graph    *supposed
	contents map[odcm.SpaceID]access.Content
}

// edit gives the content of a Space to be changed; its lists are copies.
func (w *supposition) edit(space odcm.SpaceID, f func(*access.Content)) {
	c, begun := w.contents[space]
	if !begun {
		c.Space = space
		kept := w.index.Content(space)
		c.Grants = slices.Clone(kept.Grants)
		for _, m := range kept.Mappings {
			m.Groups = slices.Clone(m.Groups)
			c.Mappings = append(c.Mappings, m)
		}
	}
	f(&c)
	w.contents[space] = c
}

func (s *Service) suppose(ctx context.Context, p odcm.Principal, w *supposition, c Change) error {
	switch c.Kind {
	case ToMap, ToUnmap:
		place, err := s.access.Find(ctx, p, access.ActionRead, c.Space)
		if err != nil {
			return err
		}
		team, err := s.o.Grants.Team(ctx, place.Space, access.Team{ID: c.Team}, false)
		if err != nil {
			return err
		}
		h, _, err := s.o.Grants.HolderIn(ctx, place.Space, c.Group, "", c.Kind == ToUnmap)
		if err != nil {
			return err
		}
		w.edit(place.Space, func(content *access.Content) { mapTo(content, team, h.Group, c.Kind == ToMap) })
		return nil
	}
	if err := s.access.MayAsk(ctx, p); err != nil {
		return err
	}
	switch c.Kind {
	case ToGrant, ToRevoke:
		place, err := s.access.Find(ctx, p, access.ActionRead, c.Space)
		if err != nil {
			return err
		}
		h, _, err := s.o.Grants.HolderIn(ctx, place.Space, c.Group, c.User, c.Kind == ToRevoke)
		if err != nil {
			return err
		}
		w.edit(place.Space, func(content *access.Content) { letIn(content, h, c.Kind == ToGrant) })
	case ToAdd, ToRemove:
		into, _, err := s.o.Grants.Holder(ctx, c.Group, "")
		if err != nil {
			return err
		}
		member, _, err := s.o.Grants.Holder(ctx, c.Member, c.User)
		if err != nil {
			return err
		}
		w.graph.move(member, into.Group, c.Kind == ToAdd)
	case ToDisable:
		h, _, err := s.o.Grants.Holder(ctx, "", c.User)
		if err != nil {
			return err
		}
		w.graph.disable(h.User)
	default:
		return odcm.E(odcm.Invalid, "access.change-kind", "%q is no kind of change.", c.Kind).OnField("kind")
	}
	return nil
}

func letIn(c *access.Content, h access.Holder, in bool) {
	c.Grants = slices.DeleteFunc(c.Grants, func(g access.Grant) bool { return g.Holder == h })
	if in {
		c.Grants = append(c.Grants, access.Grant{ID: "supposed", Space: c.Space, Holder: h})
	}
}

// mapTo keeps the teams sorted by identifier, as the store gives them.
func mapTo(c *access.Content, team access.Team, group odcm.GroupID, in bool) {
	at, there := slices.BinarySearchFunc(c.Mappings, team.ID, func(m access.Mapping, id string) int { return strings.Compare(m.Team.ID, id) })
	if !there {
		c.Mappings = slices.Insert(c.Mappings, at, access.Mapping{Space: c.Space, Team: team})
	}
	m := &c.Mappings[at]
	m.Groups = slices.DeleteFunc(m.Groups, func(g odcm.GroupID) bool { return g == group })
	if in {
		m.Groups = append(m.Groups, group)
		slices.Sort(m.Groups)
	}
	if len(m.Groups) == 0 {
		c.Mappings = slices.Delete(c.Mappings, at, at+1)
	}
}
