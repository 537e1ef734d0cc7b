package manager

import (
	"context"
	"iter"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/roster"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/session"
	"odcm/manager/sso"
)

// directory gives the access room the groups of this moment.
type directory struct{ m *Manager }

func (d directory) Graph(ctx context.Context) (access.Graph, error) { return d.m.groups.Graph(ctx) }

// directories let the form for the password ask the providers that take passwords, which come to be after it.
type directories struct{ m *Manager }

func (d directories) Verify(ctx context.Context, username, password string) (person.Assertion, error) {
	return d.m.providers.Verify(ctx, username, password)
}

// people tells the access room what the identity room knows.
type people struct{ m *Manager }

var (
	_ access.People    = people{}
	_ access.Register  = people{}
	_ roster.Everybody = people{}
	_ roster.Newcomers = people{}
)

func (p people) person(from person.Person, kinds map[odcm.ProviderID]provider.Provider) access.Person {
	email := from.Email()
	to := access.Person{ID: from.ID, Username: from.Username, DisplayName: from.DisplayName, Email: email.Address,
		EmailVerified: !email.Verified.IsZero(), Disabled: from.Disabled, Marks: map[string]string{}}
	for _, i := range from.Identities {
		for name, value := range i.Marks {
			to.Marks[name] = value
		}
		k := kinds[i.Provider]
		to.Identities = append(to.Identities, access.Identity{Kind: string(k.Kind), Issuer: k.Settings["issuer"], Subject: i.Subject})
	}
	return to
}

// kinds are the providers by id.
func (p people) kinds(ctx context.Context) (map[odcm.ProviderID]provider.Provider, error) {
	all, err := p.m.providers.List(ctx, odcm.System)
	kinds := make(map[odcm.ProviderID]provider.Provider, len(all))
	for _, one := range all {
		kinds[one.ID] = one
	}
	return kinds, err
}

func (p people) People(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]access.Person, error) {
	kinds, err := p.kinds(ctx)
	if err != nil {
		return nil, err
	}
	known, err := p.m.identity.People(ctx, ids)
	found := make(map[odcm.UserID]access.Person, len(known))
	for id, one := range known {
		found[id] = p.person(one, kinds)
	}
	return found, err
}

func (p people) FindPerson(ctx context.Context, ref string) (access.Person, error) {
	kinds, err := p.kinds(ctx)
	if err != nil {
		return access.Person{}, err
	}
	one, err := p.m.identity.FindPerson(ctx, ref)
	if err != nil {
		return access.Person{}, err
	}
	return p.person(one, kinds), nil
}

func (p people) GroupNames(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]string, error) {
	return p.m.groups.Names(ctx, ids)
}

func (p people) FindGroup(ctx context.Context, ref string) (odcm.GroupID, string, error) {
	g, err := p.m.groups.Find(ctx, ref)
	return g.ID, g.Name, err
}

func (p people) SearchPeople(ctx context.Context, text string, limit int) ([]access.Person, error) {
	return p.some(ctx, person.Filter{Text: text, State: person.Active}, "", limit)
}

// some returns people by username, after the one given.
func (p people) some(ctx context.Context, f person.Filter, after string, limit int) ([]access.Person, error) {
	kinds, err := p.kinds(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.m.identity.List(ctx, odcm.System, f, after, limit)
	all := make([]access.Person, len(found))
	for i, one := range found {
		all[i] = p.person(one, kinds)
	}
	return all, err
}

func (p people) SearchGroups(ctx context.Context, text string, limit int) ([]access.NamedGroup, error) {
	found, _, err := p.m.groups.List(ctx, odcm.System, group.Query{Text: text, Limit: limit})
	all := make([]access.NamedGroup, len(found))
	for i, g := range found {
		all[i] = access.NamedGroup{ID: g.ID, Name: g.Name}
	}
	return all, err
}

func (p people) Everybody(ctx context.Context) iter.Seq2[access.Person, error] {
	return func(yield func(access.Person, error) bool) {
		const limit = 500
		after := ""
		for {
			page, err := p.some(ctx, person.Filter{}, after, limit)
			if err != nil {
				yield(access.Person{}, err)
				return
			}
			for _, one := range page {
				if !yield(one, nil) {
					return
				}
			}
			if len(page) < limit {
				return
			}
			if _, after, err = person.ParseUsername(page[len(page)-1].Username); err != nil {
				yield(access.Person{}, err)
				return
			}
		}
	}
}

func (p people) Invite(ctx context.Context, by odcm.Principal, email, displayName string) error {
	_, _, err := p.m.letters.Invite(ctx, by, letter.Invite{Email: email, DisplayName: displayName})
	return err
}

func (p people) CreatePerson(ctx context.Context, by odcm.Principal, username, displayName, email string) (odcm.UserID, error) {
	u, err := p.m.identity.Create(ctx, by, identity.NewUser{Username: username, DisplayName: displayName, Email: email})
	return u.ID, err
}

// subjects tells the OpenID Provider who signs in, and what they may enter.
type subjects struct{ m *Manager }

var (
	_ sso.People = subjects{}
	_ sso.Access = subjects{}
)

func (s subjects) Person(ctx context.Context, id odcm.UserID) (sso.Person, error) {
	one, err := s.m.identity.Person(ctx, odcm.System, id)
	if err != nil {
		return sso.Person{}, err
	}
	email := one.Email()
	return sso.Person{ID: one.ID, Username: one.Username, DisplayName: one.DisplayName, Email: email.Address,
		EmailVerified: !email.Verified.IsZero(), Disabled: one.Disabled, Updated: one.Created}, nil
}

func (s subjects) Session(ctx context.Context, id string) (sso.Session, error) {
	one, err := s.m.identity.Session(ctx, session.ID(id))
	return sso.Session{ID: string(one.ID), User: one.User, Authenticated: one.Created, Method: one.Method, Expires: one.Expires}, err
}

// Arrive waits for the account of who comes for the first time: the server knows nobody whom ODCM did not bring.
func (s subjects) Arrive(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) error {
	return s.m.arrivals().await(ctx, user, instance)
}

func (s subjects) Enter(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) ([]string, error) {
	found, err := s.m.access.GroupsIn(ctx, user, instance)
	ids := make([]string, len(found))
	for i, id := range found {
		ids[i] = string(id)
	}
	return ids, err
}

// joiner puts somebody who is invited into groups.
type joiner struct{ m *Manager }

var _ letter.Groups = joiner{}

func (j joiner) Join(ctx context.Context, by odcm.Principal, user odcm.UserID, groups []odcm.GroupID) error {
	for _, id := range groups {
		if _, err := j.m.groups.Edit(ctx, by, id, group.Edit{AddUsers: []odcm.UserID{user}}); err != nil {
			return err
		}
	}
	return nil
}

// pickers finds groups of directories for the group room. Directories that push theirs cannot be searched.
type pickers struct{ m *Manager }

var _ group.Pickers = pickers{}

func (p pickers) Sources(ctx context.Context) (all []group.Source, err error) {
	known, err := p.m.providers.List(ctx, odcm.System)
	if err != nil {
		return nil, err
	}
	for _, one := range known {
		all = append(all, group.Source{ID: one.ID, Name: one.Name, Picks: one.Enabled && p.m.providers.Reads(ctx, one), Synced: one.Sync.Succeeded, Error: one.Sync.Error})
	}
	pushed, err := p.m.scim.Directories(ctx, odcm.System)
	for _, d := range pushed {
		all = append(all, group.Source{ID: d.Provider, Name: d.Name})
	}
	return all, err
}

func (p pickers) FindGroups(ctx context.Context, id odcm.ProviderID, text string, limit int) ([]person.ExternalGroup, error) {
	return p.m.providers.FindGroups(ctx, odcm.System, id, text, limit)
}

// providerNames are the providers' names by id.
func (m *Manager) providerNames(ctx context.Context) (map[odcm.ProviderID]string, error) {
	all, err := m.providers.List(ctx, odcm.System)
	names := make(map[odcm.ProviderID]string, len(all))
	for _, one := range all {
		names[one.ID] = one.Name
	}
	return names, err
}

// uses tells the group room what a group is for, before it is deleted.
type uses struct{ m *Manager }

var _ group.Uses = uses{}

func (u uses) UsesOf(ctx context.Context, id odcm.GroupID) (said []string, err error) {
	found, _, err := u.m.grants.Grants(ctx, odcm.System, admit.Filter{Group: string(id), Limit: 20})
	for _, g := range found {
		said = append(said, "It may enter the Space "+g.Place.Name+".")
	}
	return said, err
}

// grants moves what somebody may enter: the access room comes to be after the merges.
type grants struct{ m *Manager }

func (g grants) Move(ctx context.Context, from, to odcm.UserID) error {
	return g.m.grants.Move(ctx, from, to)
}

// entrants tells the OpenID Provider who may enter the Spaces of a server.
type entrants struct{ m *Manager }

var _ sso.Entrants = entrants{}

func (e entrants) Entrants(ctx context.Context, instance odcm.InstanceID) (map[odcm.UserID][]string, error) {
	on, err := e.m.space.LocateOn(ctx, instance)
	if err != nil {
		return nil, err
	}
	all := map[odcm.UserID][]string{}
	for _, l := range on {
		ids, err := e.m.access.Entrants(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if _, seen := all[id]; seen {
				continue
			}
			groups, err := subjects(e).Enter(ctx, id, instance)
			switch odcm.KindOf(err) {
			case "":
				all[id] = groups
			case odcm.Denied: // it changed just now
			default:
				return nil, err
			}
		}
	}
	return all, nil
}
