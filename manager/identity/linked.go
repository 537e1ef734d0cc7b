package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
)

// Linked returns subjects that are linked to the provider, sorted, after the one given: what a directory is asked about. It
// asks no authorizer.
func (s *Service) Linked(ctx context.Context, provider odcm.ProviderID, after string, limit int) (_ []string, err error) {
	defer odcm.Wrap(&err, "list subjects of provider %s", provider)
	return s.store.Subjects(ctx, provider, after, limit)
}

// Owner tells whose the account is; "" for nobody's yet. It asks no authorizer.
func (s *Service) Owner(ctx context.Context, provider odcm.ProviderID, subject string) (odcm.UserID, error) {
	_, u, err := s.store.IdentityBySubject(ctx, provider, subject)
	if odcm.KindOf(err) == odcm.NotFound {
		return "", nil
	}
	return u.ID, err
}

// Link gives the user one more identity: what the person himself proved by signing in with it, or an administrator decided.
// odcm.Exists "identity.linked-elsewhere" where it is somebody else's; linking it twice does nothing.
func (s *Service) Link(ctx context.Context, p odcm.Principal, user odcm.UserID, a person.Assertion) (_ person.Identity, err error) {
	defer odcm.Wrap(&err, "link identity to user %s", user)
	u, err := s.alive(ctx, p, "user.link", user)
	if err != nil {
		return person.Identity{}, err
	}
	if user == person.Guest {
		return person.Identity{}, odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in and nobody's: nothing can be linked to it.")
	}
	if err := a.Tidy(); err != nil {
		return person.Identity{}, err
	}
	i := a.Identity(u.ID, s.now())
	switch err := s.store.Link(ctx, i, s.linkedEvent(p, u, i, "asked")); {
	case odcm.CodeOf(err) == "identity.linked-elsewhere":
		old, owner, find := s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
		if find != nil {
			return person.Identity{}, find
		}
		if owner.ID != user {
			return person.Identity{}, err
		}
		return old, nil
	case err != nil:
		return person.Identity{}, err
	}
	s.Forget(user)
	return i, s.assert(ctx, user, a)
}

// Unlink takes an identity from the user, and the addresses that it brought. The last way in of a person who has no
// password stays, unless the action "user.unlink-last" is permitted.
func (s *Service) Unlink(ctx context.Context, p odcm.Principal, user odcm.UserID, id person.IdentityID) (err error) {
	defer odcm.Wrap(&err, "unlink identity %s", id)
	if _, err := s.alive(ctx, p, "user.link", user); err != nil {
		return err
	}
	all, err := s.store.People(ctx, []odcm.UserID{user})
	if err != nil {
		return err
	}
	for _, one := range all {
		for _, i := range one.Identities {
			if i.ID != id {
				continue
			}
			if last := len(one.Identities) == 1 && !one.HasPassword; last && s.auth.Authorize(ctx, p, "user.link", string(user)) != nil {
				return odcm.E(odcm.Conflict, "identity.last-way-in", "This is the only way in that you have: link another or set a password first.")
			}
			e := odcm.NewEvent(p, "identity.unlinked", string(user), one.Username, i.Public(), nil)
			if err := s.store.Unlink(ctx, user, id, e); err != nil {
				return err
			}
			s.Forget(user)
			// Groups of the provider are none of his any more: what it says counts for its own accounts only.
			return s.assert(ctx, user, person.Assertion{Provider: i.Provider, GroupsKnown: !sharesProvider(one.Identities, i)})
		}
	}
	return odcm.E(odcm.NotFound, "identity.identity-not-found", "There is no such identity.")
}

func sharesProvider(all []person.Identity, i person.Identity) bool {
	for _, other := range all {
		if other.ID != i.ID && other.Provider == i.Provider {
			return true
		}
	}
	return false
}

// linkedEvent says by which rule: "asked", "verified-email", "new-user".
func (s *Service) linkedEvent(p odcm.Principal, u person.User, i person.Identity, rule string) odcm.Event {
	about := i.Public()
	about["rule"] = rule
	return odcm.NewEvent(p, "identity.linked", string(u.ID), u.Username, nil, about)
}

// assert passes on what the provider says of groups.
func (s *Service) assert(ctx context.Context, user odcm.UserID, a person.Assertion) error {
	if s.groups == nil || !a.GroupsKnown {
		return nil
	}
	return s.groups.Assert(ctx, user, a.Provider, a.Groups)
}
