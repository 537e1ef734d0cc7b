package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
)

// List returns people by username, those whose username's key comes after the given one.
func (s *Service) List(ctx context.Context, p odcm.Principal, f person.Filter, after string, limit int) (_ []person.Person, err error) {
	defer odcm.Wrap(&err, "list users")
	if err := s.auth.Authorize(ctx, p, "user.list", ""); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f, after, limit)
}

// Person returns a user with addresses and identities. People may see themselves; others need the action "user.read".
func (s *Service) Person(ctx context.Context, p odcm.Principal, id odcm.UserID) (_ person.Person, err error) {
	defer odcm.Wrap(&err, "get user %s", id)
	u, err := s.Get(ctx, p, id)
	if err != nil {
		return person.Person{}, err
	}
	all, err := s.store.People(ctx, []odcm.UserID{id})
	if err != nil || len(all) == 0 {
		return person.Person{User: u}, err
	}
	return all[0], nil
}

// People returns those of ids who are known and not deleted. It asks no authorizer: other rooms do, by their own rules.
func (s *Service) People(ctx context.Context, ids []odcm.UserID) (_ map[odcm.UserID]person.Person, err error) {
	defer odcm.Wrap(&err, "get %d people", len(ids))
	const chunk = 1000 // bounds the parameters of a statement
	found := make(map[odcm.UserID]person.Person, len(ids))
	for ; len(ids) > 0; ids = ids[min(chunk, len(ids)):] {
		part, err := s.store.People(ctx, ids[:min(chunk, len(ids))])
		if err != nil {
			return nil, err
		}
		for _, p := range part {
			if p.Deleted.IsZero() {
				found[p.ID] = p
			}
		}
	}
	return found, nil
}

// FindPerson takes an id, a username or a verified e-mail address that one person has: odcm.NotFound where there is none,
// odcm.Conflict where several share the address. It asks no authorizer.
func (s *Service) FindPerson(ctx context.Context, ref string) (_ person.Person, err error) {
	defer odcm.Wrap(&err, "find person")
	id, err := s.find(ctx, ref)
	if err != nil {
		return person.Person{}, err
	}
	all, err := s.store.People(ctx, []odcm.UserID{id})
	if err == nil && (len(all) == 0 || !all[0].Deleted.IsZero()) {
		err = nobody(ref)
	}
	if err != nil {
		return person.Person{}, err
	}
	return all[0], nil
}

func (s *Service) find(ctx context.Context, ref string) (odcm.UserID, error) {
	u, err := s.store.User(ctx, odcm.UserID(ref))
	if odcm.KindOf(err) != odcm.NotFound {
		return u.ID, err
	}
	if _, key, err := person.ParseUsername(ref); err == nil {
		u, _, err := s.store.UserByKey(ctx, key)
		if odcm.KindOf(err) != odcm.NotFound {
			return u.ID, err
		}
	}
	same, err := s.store.UsersByEmail(ctx, person.EmailKey(ref))
	switch {
	case err != nil:
		return "", err
	case len(same) == 0:
		return "", nobody(ref)
	case len(same) > 1:
		return "", odcm.E(odcm.Conflict, "identity.email-shared", "%d users have this address: name one by username.", len(same))
	}
	return same[0].ID, nil
}

func nobody(ref string) error {
	return odcm.E(odcm.NotFound, "identity.user-not-found", "There is no user %q.", person.Clip(ref, 100))
}

// UsersByEmail returns those who can sign in and have the address verified: who may be mailed a new password. It asks no
// authorizer.
func (s *Service) UsersByEmail(ctx context.Context, address string) ([]person.User, error) {
	return s.store.UsersByEmail(ctx, person.EmailKey(address))
}
