package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
)

// Observed counts what observations changed.
type Observed struct{ Updated, Disabled, Enabled int }

// suspicious is the least number of accounts that are not believed to be gone, where they are more than half of a reading.
const suspicious = 10

// Observe takes what was read in a directory. Accounts that could not be read must not be among the observations: they stay
// as they were. Who is disabled or gone there is disabled here at once, with his sessions; who is back is enabled again, if
// it was this directory that disabled him. A reading in which most accounts have gone is a directory that shows itself
// empty, to a reader who lost his rights for instance: odcm.Conflict "identity.reading-suspicious", and nothing changes.
// What is disabled there is always believed.
func (s *Service) Observe(ctx context.Context, provider odcm.ProviderID, seen []person.Observation) (counts Observed, err error) {
	defer odcm.Wrap(&err, "observe provider %s", provider)
	by := make(map[string]person.Observation, len(seen))
	subjects := make([]string, 0, len(seen))
	gone := 0
	for _, o := range seen {
		by[o.Subject] = o
		subjects = append(subjects, o.Subject)
		if o.Gone {
			gone++
		}
	}
	if gone >= suspicious && 2*gone > len(seen) {
		return counts, odcm.E(odcm.Conflict, "identity.reading-suspicious",
			"%d of %d accounts seem to have gone at once: nobody was deactivated. See whether the reader may still read the directory.", gone, len(seen))
	}
	known, err := s.store.IdentitiesBySubject(ctx, provider, subjects)
	if err != nil {
		return counts, err
	}
	var changed []person.Identity
	users := map[odcm.UserID]bool{} // whose state is to be looked at
	for _, i := range known {
		o := by[i.Subject]
		said := i.After(o)
		if !i.Says(said) {
			changed = append(changed, said)
		}
		users[i.User] = true
	}
	if err := s.store.Saw(ctx, changed); err != nil {
		return counts, err
	}
	counts.Updated = len(changed)
	if err := s.follow(ctx, provider, users, &counts); err != nil {
		return counts, err
	}
	for _, i := range changed {
		s.Forget(i.User)
	}
	for _, i := range known {
		if o := by[i.Subject]; o.GroupsKnown && !o.Gone {
			if err := s.assert(ctx, i.User, person.Assertion{Provider: provider, Groups: o.Groups, GroupsKnown: true}); err != nil {
				return counts, err
			}
		}
	}
	return counts, nil
}

// follow disables and enables users as the directory has their accounts.
func (s *Service) follow(ctx context.Context, provider odcm.ProviderID, users map[odcm.UserID]bool, counts *Observed) error {
	ids := make([]odcm.UserID, 0, len(users))
	for id := range users {
		ids = append(ids, id)
	}
	people, err := s.People(ctx, ids)
	if err != nil {
		return err
	}
	for _, p := range people {
		gone := false
		for _, i := range p.Identities {
			gone = gone || i.Provider == provider && i.Gone
		}
		u := p.User
		switch {
		case gone && !u.Disabled:
			u.Disabled, u.DisabledBy = true, provider
		case !gone && u.Disabled && u.DisabledBy == provider:
			u.Disabled, u.DisabledBy = false, ""
		default:
			continue
		}
		_, err := s.update(ctx, odcm.System, p.User, u)
		switch {
		case odcm.CodeOf(err) == "identity.last-administrator", odcm.CodeOf(err) == "identity.user-changed":
			s.log.Warn("the directory's word on a user was not followed", "user", u.ID, "provider", provider, "error", err)
		case err != nil:
			return err
		case u.Disabled:
			counts.Disabled++
		default:
			counts.Enabled++
		}
	}
	return nil
}
