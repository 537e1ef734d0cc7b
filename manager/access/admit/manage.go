package admit

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"odcm"
	"odcm/manager/access"
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
	if err := s.access.Refresh(ctx); err != nil {
		return Listed{}, err
	}
	place, err := s.access.Find(ctx, p, access.ActionGrant, n.Space)
	if err != nil {
		return Listed{}, err
	}
	n.Note = strings.TrimSpace(n.Note)
	if utf8.RuneCountInString(n.Note) > maxNote {
		return Listed{}, odcm.E(odcm.Invalid, "access.note-long", "A note has at most %d characters.", maxNote).OnField("note")
	}
	if !n.Expires.IsZero() && !n.Expires.After(s.access.Now()) {
		return Listed{}, odcm.E(odcm.Invalid, "access.expiry-past", "The grant would end before it begins: choose a later time, or none.").OnField("expires")
	}
	holder, _, err := s.Holder(ctx, n.Group, n.User)
	if err != nil {
		return Listed{}, err
	}
	g := access.Grant{ID: odcm.NewID[string]("grant"), Space: place.Space, Holder: holder, Steward: n.Steward, Note: n.Note, By: p.User, Created: s.access.Now()}
	if !n.Expires.IsZero() {
		g.Expires = n.Expires.UTC().Truncate(time.Millisecond)
	}
	old, had := s.access.Index().Content(place.Space).Held(holder)
	if had {
		g.ID, g.Created = old.ID, old.Created
	}
	names := access.Names{}
	if err := s.access.NameHolders(ctx, names, g); err != nil {
		return Listed{}, err
	}
	var before any
	if had {
		before = old.Said(names)
	}
	if err := s.o.Store.PutGrant(ctx, g, place.Event(p, "access.granted", before, g.Said(names))); err != nil {
		return Listed{}, err
	}
	if err := s.access.Committed(ctx, place.Space); err != nil {
		return Listed{}, err
	}
	x := s.access.Index()
	if kept, held := x.Content(place.Space).Held(holder); held { // under the identifier that another replica gave it meanwhile
		g = kept
	}
	return Listed{Grant: g, Name: names[g.Holder], Place: place, People: x.LetsIn(g)}, nil
}

// Revoke takes the grant away, by its identifier. It is in force when the call returns.
func (s *Service) Revoke(ctx context.Context, p odcm.Principal, id string) (err error) {
	defer odcm.Wrap(&err, "revoke grant %s", id)
	if err := s.access.Refresh(ctx); err != nil {
		return err
	}
	g, found := find(s.access.Index(), id)
	if !found || !s.access.Visible(ctx, p, g.Space) {
		return noGrant()
	}
	if err := s.access.Authorize(ctx, p, access.ActionRevoke, g.Space); err != nil {
		return err
	}
	named, err := s.access.PlaceNames(ctx)
	if err != nil {
		return err
	}
	names := access.Names{}
	if err := s.access.NameHolders(ctx, names, g); err != nil {
		return err
	}
	if err := s.o.Store.DeleteGrant(ctx, id, named(g.Space).Event(p, "access.revoked", g.Said(names), nil)); err != nil {
		return err
	}
	return s.access.Committed(ctx, g.Space)
}

// find finds a grant by its identifier.
func find(x *access.Index, id string) (access.Grant, bool) {
	for c := range x.Contents() {
		for _, g := range c.Grants {
			if g.ID == id {
				return g, true
			}
		}
	}
	return access.Grant{}, false
}

func noGrant() error {
	return odcm.E(odcm.NotFound, "access.grant-not-found", "There is no such grant.")
}

// Map puts a group into an Octopus team of the Space: whoever is in the group and may enter is in the team. The name of the
// team is taken from its server where that can be asked; it is for people only.
func (s *Service) Map(ctx context.Context, p odcm.Principal, space string, team access.Team, group string) (err error) {
	return s.mapOr(ctx, p, space, team, group, true)
}

// Unmap takes a group out of a team.
func (s *Service) Unmap(ctx context.Context, p odcm.Principal, space, team, group string) (err error) {
	return s.mapOr(ctx, p, space, access.Team{ID: team}, group, false)
}

func (s *Service) mapOr(ctx context.Context, p odcm.Principal, space string, team access.Team, group string, in bool) (err error) {
	defer odcm.Wrap(&err, "map groups to team %s of Space %s", team.ID, space)
	if err := s.access.Refresh(ctx); err != nil {
		return err
	}
	place, err := s.access.Find(ctx, p, access.ActionMap, space)
	if err != nil {
		return err
	}
	holder, name, err := s.HolderIn(ctx, place.Space, group, "", !in)
	if err != nil {
		return err
	}
	if team, err = s.Team(ctx, place.Space, team, in); err != nil {
		return err
	}
	if in && s.access.Index().Content(place.Space).Maps(team.ID, holder.Group) {
		return nil
	}
	after := map[string]string{"team": team.Name, "teamId": team.ID, "group": name, "groupId": string(holder.Group)}
	if in {
		err = s.o.Store.Map(ctx, place.Space, team, holder.Group, place.Event(p, "access.mapped", nil, after))
	} else {
		err = s.o.Store.Unmap(ctx, place.Space, team.ID, holder.Group, place.Event(p, "access.unmapped", after, nil))
	}
	if err != nil {
		return err
	}
	return s.access.Committed(ctx, place.Space)
}

// Team finds a team by identifier or name, among those that are mapped, then on the server. One whose server cannot be asked
// may be taken out by its identifier, and put in where nothing can be asked at all.
func (s *Service) Team(ctx context.Context, space odcm.SpaceID, t access.Team, must bool) (access.Team, error) {
	if t.ID = strings.TrimSpace(t.ID); t.ID == "" || len(t.ID) > 200 {
		return access.Team{}, odcm.E(odcm.Invalid, "access.team-missing", "Choose a team of the Space.").OnField("team")
	}
	for _, m := range s.access.Index().Content(space).Mappings {
		if m.Team.ID == t.ID || strings.EqualFold(m.Team.Name, t.ID) {
			return m.Team, nil
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
		return access.Team{}, err
	}
	for _, known := range teams {
		if known.ID == t.ID || strings.EqualFold(known.Name, t.ID) {
			return known, nil
		}
	}
	return access.Team{}, odcm.E(odcm.NotFound, "access.team-not-found", "The Space has no team %s: look at its teams in Octopus.", t.ID).OnField("team")
}

// Holder finds a group or a user by what people call them.
func (s *Service) Holder(ctx context.Context, group, user string) (h access.Holder, name string, err error) {
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
		var person access.Person
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

// HolderIn is [Service.Holder] for what may be taken away: who is named in the Space is found by identifier although nobody
// knows him any more.
func (s *Service) HolderIn(ctx context.Context, space odcm.SpaceID, group, user string, away bool) (h access.Holder, name string, err error) {
	h, name, err = s.Holder(ctx, group, user)
	if away && odcm.KindOf(err) == odcm.NotFound {
		gone := access.Holder{Group: odcm.GroupID(group), User: odcm.UserID(user)}
		if c := s.access.Index().Content(space); names(c, gone) {
			return gone, "", nil
		}
	}
	return h, name, err
}

// names tells whether a grant or a mapping of the Space names the holder.
func names(c access.Content, h access.Holder) bool {
	if _, held := c.Held(h); held {
		return true
	}
	return h.Group != "" && slices.ContainsFunc(c.Mappings, func(m access.Mapping) bool { return slices.Contains(m.Groups, h.Group) })
}
