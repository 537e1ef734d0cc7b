package group

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"odcm"
	"odcm/manager/identity/group/graph"
)

// NewGroup is what a group is made from.
type NewGroup struct{ Name, Description string }

// Update says what to change of a group; nil leaves a thing as it is.
type Update struct {
	Name, Description *string
	Revision          int64 // that the caller has seen; 0 changes whatever is there
}

// Edit says who comes into a group and who leaves it. Who is in already, or is not in, is no error.
type Edit struct {
	AddUsers, RemoveUsers   []odcm.UserID
	AddGroups, RemoveGroups []odcm.GroupID
	Revision                int64 // that the caller has seen; 0 changes whatever is there
}

// Deletion says how to delete a group.
type Deletion struct {
	Revision int64 // that the caller has seen; 0 deletes whatever is there
	Force    bool  // though it is used
}

// about is a group in an event.
type about struct {
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Provider    odcm.ProviderID `json:"provider,omitempty"`
	External    string          `json:"external,omitempty"`
}

func (g Group) about() about {
	return about{g.Name, g.Description, g.External.Provider, g.External.ID}
}

func (g Group) event(p odcm.Principal, typ string, before, after any) []odcm.Event {
	return []odcm.Event{odcm.NewEvent(p, typ, string(g.ID), g.Name, before, after)}
}

// Create makes a group of ODCM's own, without members.
func (s *Service) Create(ctx context.Context, p odcm.Principal, n NewGroup) (_ Group, err error) {
	defer odcm.Wrap(&err, "create group")
	if err := s.may(ctx, p, ActionCreate, ""); err != nil {
		return Group{}, err
	}
	g := Group{ID: odcm.NewID[odcm.GroupID]("group"), Created: s.o.Now().UTC()}
	if g.Name, err = cleanName(n.Name); err != nil {
		return Group{}, err
	}
	if g.Description, err = cleanText(n.Description); err != nil {
		return Group{}, err
	}
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		return g.event(p, "group.created", nil, g.about()), tx.Put(ctx, g)
	})
	if err != nil {
		return Group{}, err
	}
	s.changed(g.ID)
	return s.o.Store.Group(ctx, g.ID)
}

// own reads a group of ODCM's own for a change.
func own(ctx context.Context, tx Tx, id odcm.GroupID, revision int64) (Group, error) {
	g, err := tx.Group(ctx, id)
	switch {
	case err != nil:
		return Group{}, err
	case g.IsExternal():
		return Group{}, odcm.E(odcm.Conflict, "group.external", "%s is a group of a provider: change it there. To add others, put it into a group of ODCM's own.", g.Name)
	}
	return g, current(g, revision)
}

func current(g Group, revision int64) error {
	if revision != 0 && revision != g.Revision {
		return odcm.E(odcm.Conflict, "group.changed", "%s was changed by someone else meanwhile: look at it again, then repeat.", g.Name)
	}
	return nil
}

// Update renames a group or describes it anew.
func (s *Service) Update(ctx context.Context, p odcm.Principal, id odcm.GroupID, u Update) (_ Group, err error) {
	defer odcm.Wrap(&err, "update group %s", id)
	if err := s.may(ctx, p, ActionUpdate, id); err != nil {
		return Group{}, err
	}
	if u.Name != nil {
		name, err := cleanName(*u.Name)
		if err != nil {
			return Group{}, err
		}
		u.Name = &name
	}
	if u.Description != nil {
		text, err := cleanText(*u.Description)
		if err != nil {
			return Group{}, err
		}
		u.Description = &text
	}
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		g, err := own(ctx, tx, id, u.Revision)
		if err != nil {
			return nil, err
		}
		before := g
		g.Name, g.Description = *cmp.Or(u.Name, &g.Name), *cmp.Or(u.Description, &g.Description)
		if g == before {
			return nil, nil
		}
		return g.event(p, "group.updated", before.about(), g.about()), tx.Put(ctx, g)
	})
	if err != nil {
		return Group{}, err
	}
	s.changed(id)
	return s.o.Store.Group(ctx, id)
}

// Edit changes the direct members of a group of ODCM's own. What would make a group contain itself is refused as
// odcm.Conflict "group.cycle", also when two changes at once would make it together.
func (s *Service) Edit(ctx context.Context, p odcm.Principal, id odcm.GroupID, e Edit) (_ Group, err error) {
	defer odcm.Wrap(&err, "edit members of group %s", id)
	if err := s.may(ctx, p, ActionEdit, id); err != nil {
		return Group{}, err
	}
	if n := len(e.AddUsers) + len(e.RemoveUsers) + len(e.AddGroups) + len(e.RemoveGroups); n > MaxEdit {
		return Group{}, odcm.E(odcm.Invalid, "group.edit-too-large", "%d members are too many at once: change at most %d.", n, MaxEdit).OnField("members")
	}
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		g, err := own(ctx, tx, id, e.Revision)
		if err != nil {
			return nil, err
		}
		left, err := s.leave(ctx, tx, id, e)
		if err != nil {
			return nil, err
		}
		joined, err := s.join(ctx, tx, id, e)
		if err != nil || left.Empty() && joined.Empty() {
			return nil, err
		}
		return g.event(p, "group.members-changed", orNil(left), orNil(joined)), tx.Put(ctx, g)
	})
	if err != nil {
		return Group{}, err
	}
	s.changed(id)
	return s.o.Store.Group(ctx, id)
}

func (s *Service) leave(ctx context.Context, tx Tx, id odcm.GroupID, e Edit) (graph.Listed, error) {
	groups, err := tx.Nest(ctx, id, e.RemoveGroups, false)
	if err != nil {
		return graph.Listed{}, err
	}
	users, err := tx.Join(ctx, memberships(id, e.RemoveUsers), false)
	if err != nil {
		return graph.Listed{}, err
	}
	return listed(ctx, tx, users, groups)
}

func (s *Service) join(ctx context.Context, tx Tx, id odcm.GroupID, e Edit) (graph.Listed, error) {
	known, err := tx.Users(ctx, e.AddUsers)
	if err != nil {
		return graph.Listed{}, err
	}
	for _, user := range e.AddUsers {
		if _, ok := known[user]; !ok {
			return graph.Listed{}, unknown(string(user))
		}
	}
	users, err := tx.Join(ctx, memberships(id, e.AddUsers), true)
	if err != nil {
		return graph.Listed{}, err
	}
	if len(e.AddGroups) == 0 {
		return listed(ctx, tx, users, nil)
	}
	children, err := tx.Groups(ctx, e.AddGroups)
	if err != nil {
		return graph.Listed{}, err
	}
	all, err := tx.Nesting(ctx)
	if err != nil {
		return graph.Listed{}, err
	}
	n := nestingOf(all)
	for _, child := range e.AddGroups {
		c, ok := children[child]
		if !ok {
			return graph.Listed{}, unknown(string(child))
		}
		one := Nested{Parent: id, Child: child}
		if err := n.admits(one, c.Name); err != nil {
			return graph.Listed{}, err
		}
		n.add(one)
	}
	groups, err := tx.Nest(ctx, id, e.AddGroups, true)
	if err != nil {
		return graph.Listed{}, err
	}
	return listed(ctx, tx, users, groups)
}

func unknown(ref string) error {
	return odcm.E(odcm.NotFound, "group.member-unknown", "There is no user and no group %q: look at the spelling.", ref).OnField("members")
}

func memberships(id odcm.GroupID, users []odcm.UserID) []Membership {
	all := make([]Membership, len(users))
	for i, u := range users {
		all[i] = Membership{Group: id, User: u}
	}
	return all
}

// listed lists users and groups with their names, for an event.
func listed(ctx context.Context, tx Tx, changed []Membership, groups []odcm.GroupID) (m graph.Listed, err error) {
	ids := make([]odcm.UserID, len(changed))
	for i, c := range changed {
		ids[i] = c.User
	}
	users, err := tx.Users(ctx, ids)
	if err != nil {
		return m, err
	}
	children, err := tx.Groups(ctx, groups)
	if err != nil {
		return m, err
	}
	for _, id := range ids {
		m.Users = append(m.Users, refTo(id, users[id].Username))
	}
	for _, id := range groups {
		m.Groups = append(m.Groups, refTo(id, children[id].Name))
	}
	return m, nil
}

// Delete deletes a group; its members stay. A group that is used, for grants or in other groups, is odcm.Conflict
// "group.in-use" without force, and so nobody loses access unasked. A provider's group comes back when the provider tells
// of it again.
func (s *Service) Delete(ctx context.Context, p odcm.Principal, id odcm.GroupID, d Deletion) (err error) {
	defer odcm.Wrap(&err, "delete group %s", id)
	if err := s.may(ctx, p, ActionDelete, id); err != nil {
		return err
	}
	var uses []string
	if s.o.Uses != nil && !d.Force {
		if uses, err = s.o.Uses.UsesOf(ctx, id); err != nil {
			return err
		}
	}
	var touched []odcm.GroupID
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		g, err := tx.Group(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := current(g, d.Revision); err != nil {
			return nil, err
		}
		all, err := tx.Nesting(ctx)
		if err != nil {
			return nil, err
		}
		n := nestingOf(all)
		parents, err := tx.Groups(ctx, n.above[id])
		if err != nil {
			return nil, err
		}
		if !d.Force {
			if err := unused(g, parents, uses); err != nil {
				return nil, err
			}
		}
		touched = append(n.above[id], id)
		return g.event(p, "group.deleted", g.about(), nil), tx.Delete(ctx, id)
	})
	if err != nil {
		return err
	}
	s.changed(touched...)
	return nil
}

func unused(g Group, parents map[odcm.GroupID]Group, uses []string) error {
	var why []string
	for _, parent := range parents {
		why = append(why, "It is in the group "+parent.Name+".")
	}
	slices.Sort(why)
	if why = append(why, uses...); len(why) == 0 {
		return nil
	}
	if len(why) > 5 {
		why = append(why[:5], "And more.")
	}
	return odcm.E(odcm.Conflict, "group.in-use", "%s is in use: %s Take it out there first, or delete it by force.", g.Name, strings.Join(why, " "))
}

// orNil leaves an empty list out of an event.
func orNil(l graph.Listed) any {
	if l.Empty() {
		return nil
	}
	return l
}

func refTo[T ~string](id T, name string) graph.Ref { return graph.Ref{ID: string(id), Name: name} }
