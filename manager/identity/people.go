package identity

import (
	"context"

	"odcm"
)

// Person is a user with all that tells other systems who this is.
type Person struct {
	User
	HasPassword bool
	Emails      []Email    // the main one first
	Identities  []Identity // the oldest first
}

// Email returns the main address; a zero one where there is none.
func (p Person) Email() Email {
	if len(p.Emails) == 0 {
		return Email{}
	}
	return p.Emails[0]
}

// State is what users can be listed by.
type State string

// The states of users.
const (
	Active   State = "active"
	Disabled State = "disabled"
	Deleted  State = "deleted"
)

// Local stands for the password in the place of a provider in a [Filter].
const Local odcm.ProviderID = "local"

// Filter chooses users; zero fields choose all who are not deleted.
type Filter struct {
	Text     string // in the username, the name or an address
	State    State
	Provider odcm.ProviderID // with which the user can sign in
	Role     odcm.Role
}

// List returns people by username, those whose username's key comes after the given one.
func (s *Service) List(ctx context.Context, p odcm.Principal, f Filter, after string, limit int) (_ []Person, err error) {
	defer odcm.Wrap(&err, "list users")
	if err := s.auth.Authorize(ctx, p, "user.list", ""); err != nil {
		return nil, err
	}
	return s.store.List(ctx, f, after, limit)
}

// Person returns a user with addresses and identities. People may see themselves; others need the action "user.read".
func (s *Service) Person(ctx context.Context, p odcm.Principal, id odcm.UserID) (_ Person, err error) {
	defer odcm.Wrap(&err, "get user %s", id)
	u, err := s.Get(ctx, p, id)
	if err != nil {
		return Person{}, err
	}
	all, err := s.store.People(ctx, []odcm.UserID{id})
	if err != nil || len(all) == 0 {
		return Person{User: u}, err
	}
	return all[0], nil
}

// People returns those of ids who are known and not deleted. It asks no authorizer: other rooms do, by their own rules.
func (s *Service) People(ctx context.Context, ids []odcm.UserID) (_ map[odcm.UserID]Person, err error) {
	defer odcm.Wrap(&err, "get %d people", len(ids))
	const chunk = 1000 // bounds the parameters of a statement
	found := make(map[odcm.UserID]Person, len(ids))
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
func (s *Service) FindPerson(ctx context.Context, ref string) (_ Person, err error) {
	defer odcm.Wrap(&err, "find person")
	id, err := s.find(ctx, ref)
	if err != nil {
		return Person{}, err
	}
	all, err := s.store.People(ctx, []odcm.UserID{id})
	if err == nil && (len(all) == 0 || !all[0].Deleted.IsZero()) {
		err = nobody(ref)
	}
	if err != nil {
		return Person{}, err
	}
	return all[0], nil
}

func (s *Service) find(ctx context.Context, ref string) (odcm.UserID, error) {
	u, err := s.store.User(ctx, odcm.UserID(ref))
	if odcm.KindOf(err) != odcm.NotFound {
		return u.ID, err
	}
	if _, key, err := ParseUsername(ref); err == nil {
		u, _, err := s.store.UserByKey(ctx, key)
		if odcm.KindOf(err) != odcm.NotFound {
			return u.ID, err
		}
	}
	same, err := s.store.UsersByEmail(ctx, EmailKey(ref))
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
	return odcm.E(odcm.NotFound, "identity.user-not-found", "There is no user %q.", clip(ref, 100))
}

// UsersByEmail returns those who can sign in and have the address verified: who may be mailed a new password. It asks no
// authorizer.
func (s *Service) UsersByEmail(ctx context.Context, address string) ([]User, error) {
	return s.store.UsersByEmail(ctx, EmailKey(address))
}
