package access

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"odcm"
)

// NewGrant asks to let a group or a user into a Space.
type NewGrant struct {
	Space   string // identifier, slug or name
	Group   string // identifier or name; or
	User    string // identifier, username or verified e-mail address
	Steward bool
	Expires time.Time // zero: never
	Note    string
}

// maxNote bounds a note, in characters.
const maxNote = 500

// Grant lets the group or the user in. Where the holder has a grant in the Space already, it becomes as this one says.
func (s *Service) Grant(ctx context.Context, p odcm.Principal, n NewGrant) (_ Listed, err error) {
	defer odcm.Wrap(&err, "grant access to Space %s", n.Space)
	if err := s.Refresh(ctx); err != nil {
		return Listed{}, err
	}
	place, err := s.place(ctx, p, ActionGrant, n.Space)
	if err != nil {
		return Listed{}, err
	}
	n.Note = strings.TrimSpace(n.Note)
	if utf8.RuneCountInString(n.Note) > maxNote {
		return Listed{}, odcm.E(odcm.Invalid, "access.note-long", "A note has at most %d characters.", maxNote).OnField("note")
	}
	if !n.Expires.IsZero() && !n.Expires.After(s.now()) {
		return Listed{}, odcm.E(odcm.Invalid, "access.expiry-past", "The grant would end before it begins: choose a later time, or none.").OnField("expires")
	}
	holder, _, err := s.holder(ctx, n.Group, n.User)
	if err != nil {
		return Listed{}, err
	}
	g := Grant{ID: odcm.NewID[string]("grant"), Space: place.Space, Holder: holder, Steward: n.Steward, Note: n.Note, By: p.User, Created: s.now()}
	if !n.Expires.IsZero() {
		g.Expires = n.Expires.UTC().Truncate(time.Millisecond)
	}
	old, had := s.index.Load().held(place.Space, holder)
	if had {
		g.ID, g.Created = old.ID, old.Created
	}
	names := names{}
	if err := s.name(ctx, names, g); err != nil {
		return Listed{}, err
	}
	var before any
	if had {
		before = said(old, names)
	}
	if err := s.o.Store.PutGrant(ctx, g, s.event(p, "access.granted", place, before, said(g, names))); err != nil {
		return Listed{}, err
	}
	if err := s.changed(ctx, place.Space); err != nil {
		return Listed{}, err
	}
	x := s.index.Load()
	if kept, held := x.held(place.Space, holder); held { // under the identifier that another replica gave it meanwhile
		g = kept
	}
	return Listed{Grant: g, Name: names[g.Holder], Place: place, People: x.letsIn(g)}, nil
}

// held finds the grant of a holder.
func (x *index) held(space odcm.SpaceID, h Holder) (Grant, bool) {
	if e := x.spaces[space]; e != nil {
		for _, g := range e.Grants {
			if g.Holder == h {
				return g, true
			}
		}
	}
	return Grant{}, false
}

// Revoke takes the grant away, by its identifier. It is in force when the call returns.
func (s *Service) Revoke(ctx context.Context, p odcm.Principal, id string) (err error) {
	defer odcm.Wrap(&err, "revoke grant %s", id)
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	g, found := s.index.Load().grant(id)
	if !found || !s.sees(ctx, p, g.Space) {
		return noGrant()
	}
	if err := s.authorize(ctx, p, ActionRevoke, g.Space); err != nil {
		return err
	}
	all, err := s.allPlaces(ctx)
	if err != nil {
		return err
	}
	names := names{}
	if err := s.name(ctx, names, g); err != nil {
		return err
	}
	if err := s.o.Store.DeleteGrant(ctx, id, s.event(p, "access.revoked", all.named(g.Space), said(g, names), nil)); err != nil {
		return err
	}
	return s.changed(ctx, g.Space)
}

func noGrant() error {
	return odcm.E(odcm.NotFound, "access.grant-not-found", "There is no such grant.")
}

func (x *index) grant(id string) (Grant, bool) {
	for _, e := range x.spaces {
		for _, g := range e.Grants {
			if g.ID == id {
				return g, true
			}
		}
	}
	return Grant{}, false
}

// Map puts a group into an Octopus team of the Space: whoever is in the group and may enter is in the team. The name of the
// team is taken from its server where that can be asked; it is for people only.
func (s *Service) Map(ctx context.Context, p odcm.Principal, space string, team Team, group string) (err error) {
	return s.mapOr(ctx, p, space, team, group, true)
}

// Unmap takes a group out of a team.
func (s *Service) Unmap(ctx context.Context, p odcm.Principal, space, team, group string) (err error) {
	return s.mapOr(ctx, p, space, Team{ID: team}, group, false)
}

func (s *Service) mapOr(ctx context.Context, p odcm.Principal, space string, team Team, group string, in bool) (err error) {
	defer odcm.Wrap(&err, "map groups to team %s of Space %s", team.ID, space)
	if err := s.Refresh(ctx); err != nil {
		return err
	}
	place, err := s.place(ctx, p, ActionMap, space)
	if err != nil {
		return err
	}
	holder, name, err := s.holderIn(ctx, place.Space, group, "", !in)
	if err != nil {
		return err
	}
	if team, err = s.team(ctx, place.Space, team, in); err != nil {
		return err
	}
	if in && s.index.Load().maps(place.Space, team.ID, holder.Group) {
		return nil
	}
	after := map[string]string{"team": team.Name, "teamId": team.ID, "group": name, "groupId": string(holder.Group)}
	if in {
		err = s.o.Store.Map(ctx, place.Space, team, holder.Group, s.event(p, "access.mapped", place, nil, after))
	} else {
		err = s.o.Store.Unmap(ctx, place.Space, team.ID, holder.Group, s.event(p, "access.unmapped", place, after, nil))
	}
	if err != nil {
		return err
	}
	return s.changed(ctx, place.Space)
}

// maps tells whether the group is mapped to the team already.
func (x *index) maps(space odcm.SpaceID, team string, group odcm.GroupID) bool {
	e := x.spaces[space]
	return e != nil && slices.ContainsFunc(e.Mappings, func(m Mapping) bool { return m.Team.ID == team && slices.Contains(m.Groups, group) })
}

// team finds a team by identifier or name, among those that are mapped, then on the server. One whose server cannot be asked
// may be taken out by its identifier, and put in where nothing can be asked at all.
func (s *Service) team(ctx context.Context, space odcm.SpaceID, t Team, must bool) (Team, error) {
	if t.ID = strings.TrimSpace(t.ID); t.ID == "" || len(t.ID) > 200 {
		return Team{}, odcm.E(odcm.Invalid, "access.team-missing", "Choose a team of the Space.").OnField("team")
	}
	if e := s.index.Load().spaces[space]; e != nil {
		for _, m := range e.Mappings {
			if m.Team.ID == t.ID || strings.EqualFold(m.Team.Name, t.ID) {
				return m.Team, nil
			}
		}
	}
	if !must || s.o.Teams == nil {
		if t.Name == "" {
			t.Name = t.ID
		}
		return t, nil
	}
	teams, err := s.o.Teams.Teams(ctx, space)
	if err != nil {
		return Team{}, err
	}
	for _, known := range teams {
		if known.ID == t.ID || strings.EqualFold(known.Name, t.ID) {
			return known, nil
		}
	}
	return Team{}, odcm.E(odcm.NotFound, "access.team-not-found", "The Space has no team %s: look at its teams in Octopus.", t.ID).OnField("team")
}

// changed makes the change count here before the caller is told, and hints to all replicas.
func (s *Service) changed(ctx context.Context, space odcm.SpaceID) error {
	s.o.Bus.Publish(Topic(space))
	return s.Refresh(ctx)
}

// holder finds a group or a user by what people call them.
func (s *Service) holder(ctx context.Context, group, user string) (h Holder, name string, err error) {
	group, user = strings.TrimSpace(group), strings.TrimSpace(user)
	switch {
	case group != "" && user != "":
		return h, "", odcm.E(odcm.Invalid, "access.holder-two", "Name a group or a person, not both.").OnField("user")
	case group != "":
		h.Group, name, err = s.o.People.FindGroup(ctx, group)
		if odcm.KindOf(err) == odcm.NotFound {
			err = odcm.E(odcm.NotFound, "access.group-not-found", "There is no group %s.", group).OnField("group").Because(err)
		}
	case user != "":
		var person Person
		person, err = s.o.People.FindPerson(ctx, user)
		h.User, name = person.ID, person.Called()
		if odcm.KindOf(err) == odcm.NotFound {
			err = odcm.E(odcm.NotFound, "access.user-not-found", "Nobody is known as %s.", user).OnField("user").Because(err)
		}
	default:
		err = odcm.E(odcm.Invalid, "access.holder-missing", "Choose a group or a person.").OnField("group")
	}
	return h, name, err
}

// holderIn is [Service.holder] for what may be taken away: who is named in the Space is found by identifier although nobody
// knows him any more.
func (s *Service) holderIn(ctx context.Context, space odcm.SpaceID, group, user string, away bool) (h Holder, name string, err error) {
	h, name, err = s.holder(ctx, group, user)
	if away && odcm.KindOf(err) == odcm.NotFound {
		gone := Holder{Group: odcm.GroupID(group), User: odcm.UserID(user)}
		if s.index.Load().names(space, gone) {
			return gone, "", nil
		}
	}
	return h, name, err
}

// names tells whether a grant or a mapping of the Space names the holder.
func (x *index) names(space odcm.SpaceID, h Holder) bool {
	if _, held := x.held(space, h); held {
		return true
	}
	e := x.spaces[space]
	return e != nil && h.Group != "" && slices.ContainsFunc(e.Mappings, func(m Mapping) bool { return slices.Contains(m.Groups, h.Group) })
}

// names are those of groups and people that a page shows.
type names map[Holder]string

// name adds the names of the grants' holders. Who is not known any more has none.
func (s *Service) name(ctx context.Context, n names, grants ...Grant) error {
	holders := make([]Holder, len(grants))
	for i, g := range grants {
		holders[i] = g.Holder
	}
	return s.nameAll(ctx, n, holders)
}

func (s *Service) nameAll(ctx context.Context, n names, holders []Holder) error {
	var groups []odcm.GroupID
	var users []odcm.UserID
	for _, h := range holders {
		if _, known := n[h]; known {
			continue
		}
		if h.Group != "" {
			groups = append(groups, h.Group)
		} else {
			users = append(users, h.User)
		}
	}
	if len(groups) > 0 {
		known, err := s.o.People.GroupNames(ctx, groups)
		if err != nil {
			return err
		}
		for id, name := range known {
			n[Holder{Group: id}] = name
		}
	}
	if len(users) > 0 {
		known, err := s.o.People.People(ctx, users)
		if err != nil {
			return err
		}
		for id, person := range known {
			n[Holder{User: id}] = person.Called()
		}
	}
	return nil
}

// said is what an event tells of a grant.
func said(g Grant, n names) map[string]any {
	m := map[string]any{"grant": g.ID, "name": n[g.Holder]}
	if g.Holder.Group != "" {
		m["group"] = g.Holder.Group
	} else {
		m["user"] = g.Holder.User
	}
	if g.Steward {
		m["administers"] = true
	}
	if !g.Expires.IsZero() {
		m["expires"] = g.Expires
	}
	if g.Note != "" {
		m["note"] = g.Note
	}
	return m
}

func (s *Service) event(p odcm.Principal, typ string, place Place, before, after any) odcm.Event {
	return odcm.NewEvent(p, typ, string(place.Space), place.Name, before, after)
}
