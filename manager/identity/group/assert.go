package group

import (
	"context"
	"maps"
	"slices"

	"odcm"
	"odcm/manager/identity/group/graph"
	"odcm/manager/identity/person"
)

// Assert replaces the person's memberships in groups of this provider, and of no other. Groups that are heard of for the
// first time are made, and renamed where the provider calls them otherwise now. Where nothing is new it writes nothing, so
// that it costs one query at each sign-in.
func (s *Service) Assert(ctx context.Context, user odcm.UserID, provider odcm.ProviderID, groups []person.ExternalGroup) (err error) {
	defer odcm.Wrap(&err, "assert groups of %s", user)
	want, err := tidy(provider, groups)
	if err != nil {
		return err
	}
	have, err := s.o.Store.Asserted(ctx, user, provider)
	if err != nil || saysNothingNew(want, have) {
		return err
	}
	var touched []odcm.GroupID
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		touched = nil
		known, events, err := s.remember(ctx, tx, provider, want)
		if err != nil {
			return nil, err
		}
		have, err := tx.Asserted(ctx, user, provider)
		if err != nil {
			return nil, err
		}
		var in, out []Membership
		left, joined := graph.Listed{Provider: provider}, graph.Listed{Provider: provider}
		for _, g := range have {
			if _, stays := want[g.External.ID]; !stays {
				out, left.Groups = append(out, Membership{g.ID, user}), append(left.Groups, refTo(g.ID, g.Name))
			}
		}
		for _, id := range slices.Sorted(maps.Keys(want)) {
			if g := known[id]; !slices.ContainsFunc(have, func(h Group) bool { return h.ID == g.ID }) {
				in, joined.Groups = append(in, Membership{g.ID, user}), append(joined.Groups, refTo(g.ID, g.Name))
			}
		}
		if len(in)+len(out) == 0 {
			return events, nil
		}
		people, err := tx.Users(ctx, []odcm.UserID{user})
		if err != nil {
			return nil, err
		}
		person, ok := people[user]
		if !ok {
			return nil, unknown(string(user))
		}
		if _, err := tx.Join(ctx, out, false); err != nil {
			return nil, err
		}
		if _, err := tx.Join(ctx, in, true); err != nil {
			return nil, err
		}
		for _, m := range slices.Concat(out, in) {
			touched = append(touched, m.Group)
		}
		return append(events, odcm.NewEvent(odcm.System, "group.memberships-asserted", string(user), person.Username, orNil(left), orNil(joined))), nil
	})
	if err != nil {
		return err
	}
	s.changed(touched...)
	return nil
}

// tidy checks what a provider says its groups are, by their identifiers.
func tidy(provider odcm.ProviderID, groups []person.ExternalGroup) (map[string]string, error) {
	if provider == "" {
		return nil, odcm.E(odcm.Invalid, "group.provider-missing", "Say which provider the groups are of.")
	}
	want := make(map[string]string, len(groups))
	for _, g := range groups {
		if g.ID == "" || len(g.ID) > maxID || !printable(g.ID, "") {
			return nil, odcm.E(odcm.Invalid, "group.external-invalid", "The provider gave a group an identifier that cannot be kept: it is empty, longer than %d bytes, or holds control characters.", maxID)
		}
		want[g.ID] = foreignName(g.Name, g.ID)
	}
	if len(want) > MaxAssert {
		return nil, odcm.E(odcm.Invalid, "group.too-many", "The provider tells of %d groups: at most %d can be kept. Narrow them by a filter in its settings.", len(want), MaxAssert)
	}
	return want, nil
}

func saysNothingNew(want map[string]string, have []Group) bool {
	if len(want) != len(have) {
		return false
	}
	for _, g := range have {
		if name, ok := want[g.External.ID]; !ok || name != g.Name {
			return false
		}
	}
	return true
}

// remember makes the groups that are not known yet, and renames those that have another name now.
func (s *Service) remember(ctx context.Context, tx Tx, provider odcm.ProviderID, want map[string]string) (map[string]Group, []odcm.Event, error) {
	ids := slices.Sorted(maps.Keys(want))
	known, err := tx.External(ctx, provider, ids)
	if err != nil {
		return nil, nil, err
	}
	made := graph.Listed{Provider: provider}
	var events []odcm.Event
	for _, id := range ids {
		g, ok := known[id]
		switch name := want[id]; {
		case !ok:
			g = Group{ID: odcm.NewID[odcm.GroupID]("group"), Name: name, External: External{provider, id}, Created: s.o.Now().UTC()}
			made.Groups = append(made.Groups, refTo(g.ID, name))
		case g.Name != name:
			before := g
			g.Name = name
			events = append(events, g.event(odcm.System, "group.updated", before.about(), g.about())...)
		default:
			continue
		}
		if err := tx.Put(ctx, g); err != nil {
			return nil, nil, err
		}
		g.Revision++
		known[id] = g
	}
	if !made.Empty() {
		events = append(events, odcm.NewEvent(odcm.System, "group.remembered", string(provider), "", nil, made))
	}
	return known, events, nil
}

// Remember makes external groups that were picked from a directory before anybody in them signed in. It returns them in
// the order given. Adding them somewhere is what is authorised.
func (s *Service) Remember(ctx context.Context, provider odcm.ProviderID, groups []person.ExternalGroup) (_ []Group, err error) {
	defer odcm.Wrap(&err, "remember groups of %s", provider)
	want, err := tidy(provider, groups)
	if err != nil {
		return nil, err
	}
	var known map[string]Group
	var wrote bool
	err = s.o.Store.Change(ctx, func(tx Tx) (events []odcm.Event, err error) {
		known, events, err = s.remember(ctx, tx, provider, want)
		wrote = len(events) > 0
		return events, err
	})
	if err != nil {
		return nil, err
	}
	all := make([]Group, len(groups))
	ids := make([]odcm.GroupID, len(groups))
	for i, g := range groups {
		all[i], ids[i] = known[g.ID], known[g.ID].ID
	}
	if wrote {
		s.changed(ids...)
	}
	return all, nil
}

// Push changes who is in one group of a provider, as a directory that pushes says. Users who are not known are left out.
func (s *Service) Push(ctx context.Context, provider odcm.ProviderID, group person.ExternalGroup, join, leave []odcm.UserID) (_ Group, err error) {
	defer odcm.Wrap(&err, "push group %s", group.ID)
	want, err := tidy(provider, []person.ExternalGroup{group})
	if err != nil {
		return Group{}, err
	}
	var g Group
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		known, events, err := s.remember(ctx, tx, provider, want)
		if err != nil {
			return nil, err
		}
		g = known[group.ID]
		people, err := tx.Users(ctx, join)
		if err != nil {
			return nil, err
		}
		there := slices.DeleteFunc(slices.Clone(join), func(id odcm.UserID) bool { _, ok := people[id]; return !ok })
		out, err := tx.Join(ctx, memberships(g.ID, leave), false)
		if err != nil {
			return nil, err
		}
		in, err := tx.Join(ctx, memberships(g.ID, there), true)
		if err != nil {
			return nil, err
		}
		left, err := listed(ctx, tx, out, nil)
		if err != nil {
			return nil, err
		}
		joined, err := listed(ctx, tx, in, nil)
		if err != nil || left.Empty() && joined.Empty() {
			return events, err
		}
		return append(events, g.event(odcm.System, "group.members-changed", orNil(left), orNil(joined))...), nil
	})
	if err != nil {
		return Group{}, err
	}
	s.changed(g.ID)
	return g, nil
}

// Drop takes everybody out of a group that its provider deleted. The group itself goes too unless it is used; then it stays,
// empty, so that whoever gave it something sees what became of it.
func (s *Service) Drop(ctx context.Context, provider odcm.ProviderID, id string) (err error) {
	defer odcm.Wrap(&err, "drop group %s", id)
	var g Group
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		known, err := tx.External(ctx, provider, []string{id})
		if err != nil || len(known) == 0 {
			return nil, err
		}
		g = known[id]
		users, err := tx.In(ctx, g.ID)
		if err != nil {
			return nil, err
		}
		out, err := tx.Join(ctx, memberships(g.ID, users), false)
		if err != nil {
			return nil, err
		}
		left, err := listed(ctx, tx, out, nil)
		if err != nil || left.Empty() {
			return nil, err
		}
		return g.event(odcm.System, "group.members-changed", left, nil), nil
	})
	if err != nil || g.ID == "" {
		return err
	}
	s.changed(g.ID)
	if err := s.Delete(ctx, odcm.System, g.ID, Deletion{}); err != nil && odcm.CodeOf(err) != "group.in-use" {
		return err
	}
	return nil
}

// Move gives all memberships of one user to another, when two accounts of one person become one.
func (s *Service) Move(ctx context.Context, from, to odcm.UserID) (err error) {
	defer odcm.Wrap(&err, "move memberships of %s", from)
	var ids []odcm.GroupID
	err = s.o.Store.Change(ctx, func(tx Tx) ([]odcm.Event, error) {
		if ids, err = tx.DirectlyIn(ctx, from); err != nil || len(ids) == 0 {
			return nil, err
		}
		var out, in []Membership
		for _, id := range ids {
			out, in = append(out, Membership{id, from}), append(in, Membership{id, to})
		}
		if _, err := tx.Join(ctx, out, false); err != nil {
			return nil, err
		}
		if _, err := tx.Join(ctx, in, true); err != nil {
			return nil, err
		}
		people, err := tx.Users(ctx, []odcm.UserID{to})
		if err != nil {
			return nil, err
		}
		moved, err := listed(ctx, tx, nil, ids)
		if err != nil {
			return nil, err
		}
		before := moved
		before.Users = []graph.Ref{{ID: string(from)}}
		return []odcm.Event{odcm.NewEvent(odcm.System, "group.memberships-moved", string(to), people[to].Username, before, moved)}, nil
	})
	if err != nil {
		return err
	}
	s.changed(ids...)
	return nil
}
