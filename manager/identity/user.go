package identity

import (
	"context"
	"slices"

	"odcm"
	"odcm/manager/identity/person"
)

// NewUser is what a user is made from. An empty password makes one that cannot sign in with a password.
type NewUser struct {
	Username, DisplayName, Password string
	Email                           string // not verified by being typed here; "" for none
	Roles                           []odcm.Role
}

// Create makes a user.
func (s *Service) Create(ctx context.Context, p odcm.Principal, n NewUser) (_ person.User, err error) {
	defer odcm.Wrap(&err, "create user")
	if err := s.auth.Authorize(ctx, p, "user.create", ""); err != nil {
		return person.User{}, err
	}
	shown, key, err := person.ParseUsername(n.Username)
	if err != nil {
		return person.User{}, err
	}
	u := person.New(shown, n.DisplayName, n.Roles, s.now())
	if err := u.Validate(); err != nil {
		return person.User{}, err
	}
	var emails []person.Email
	if n.Email != "" {
		address, err := person.ParseEmail(n.Email)
		if err != nil {
			return person.User{}, err
		}
		emails = []person.Email{{Address: address, Main: true}}
	}
	var hash string
	if n.Password != "" {
		if hash, err = s.passwords.Hash(ctx, n.Password, u.Username); err != nil {
			return person.User{}, err
		}
	}
	e := odcm.NewEvent(p, "identity.user-created", string(u.ID), u.Username, nil, u.Public())
	if err := s.store.CreateUser(ctx, u, key, hash, e, emails...); err != nil {
		return person.User{}, err
	}
	s.Forget(u.ID)
	return u, nil
}

// Get returns a user, a deleted one too. People may see themselves; others need the action "user.read".
func (s *Service) Get(ctx context.Context, p odcm.Principal, id odcm.UserID) (_ person.User, err error) {
	defer odcm.Wrap(&err, "get user %s", id)
	if p.User != id || id == "" {
		if err := s.auth.Authorize(ctx, p, "user.read", string(id)); err != nil {
			return person.User{}, err
		}
	}
	return s.store.User(ctx, id)
}

// Change is what of a user is to be different; nil leaves a field as it is.
type Change struct {
	Username    *string
	DisplayName *string
	Roles       *[]odcm.Role
	Disabled    *bool
}

// others tells whether the change is one that people may not make of themselves.
func (c Change) others() bool { return c.Username != nil || c.Roles != nil || c.Disabled != nil }

// Update changes the user whose revision is still the one given (odcm.Conflict otherwise). People may change their own
// display name; the rest needs the action "user.update". The last enabled administrator stays one, so that nobody is
// locked out. Disabling ends the user's sessions.
func (s *Service) Update(ctx context.Context, p odcm.Principal, id odcm.UserID, revision int64, c Change) (_ person.User, err error) {
	defer odcm.Wrap(&err, "update user %s", id)
	if c.others() {
		err = s.auth.Authorize(ctx, p, "user.update", string(id))
	} else {
		err = person.Authorize(ctx, s.auth, p, "user.update", id)
	}
	if err != nil {
		return person.User{}, err
	}
	old, err := s.store.User(ctx, id)
	if err != nil {
		return person.User{}, err
	}
	u := old
	if err := c.apply(&u); err != nil {
		return person.User{}, err
	}
	if old.Revision != revision {
		return person.User{}, odcm.E(odcm.Conflict, "identity.user-changed", "%s was changed by someone else: look again, then repeat.", old.Username)
	}
	return s.update(ctx, p, old, u)
}

func (c Change) apply(u *person.User) (err error) {
	switch {
	case !u.Deleted.IsZero():
		return odcm.E(odcm.Conflict, "identity.user-deleted", "%s is deleted.", u.Username)
	case u.ID == person.Guest && (c.Roles != nil || c.Username != nil):
		return odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in: it can be let in or not, and be granted Spaces, and no more.")
	}
	if c.Username != nil {
		if u.Username, _, err = person.ParseUsername(*c.Username); err != nil {
			return err
		}
	}
	if c.DisplayName != nil {
		u.DisplayName = *c.DisplayName
	}
	if c.Roles != nil {
		u.Roles = slices.Clone(*c.Roles)
	}
	if c.Disabled != nil {
		u.Disabled, u.DisabledBy = *c.Disabled, "" // from now on an administrator's decision
	}
	return u.Validate()
}

// update writes u over old.
func (s *Service) update(ctx context.Context, p odcm.Principal, old, u person.User) (person.User, error) {
	u.Updated = s.now()
	if err := s.store.UpdateUser(ctx, u, odcm.NewEvent(p, "identity.user-updated", string(u.ID), u.Username, old.Public(), u.Public())); err != nil {
		return person.User{}, err
	}
	u.Revision++
	s.Forget(u.ID)
	return u, nil
}

// Delete takes away all by which a disabled user could sign in, his addresses and his picture, and frees the username. The
// row stays for the events that name him.
func (s *Service) Delete(ctx context.Context, p odcm.Principal, id odcm.UserID, revision int64) (err error) {
	defer odcm.Wrap(&err, "delete user %s", id)
	if err := s.auth.Authorize(ctx, p, "user.delete", string(id)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	switch {
	case err != nil:
		return err
	case !u.Deleted.IsZero():
		return nil
	case id == person.Guest:
		return odcm.E(odcm.Invalid, "identity.guest-fixed", "The guest is built in: switch it off instead.")
	case !u.Disabled:
		return odcm.E(odcm.Conflict, "identity.user-enabled", "%s can still sign in: deactivate the user first.", u.Username)
	}
	u.Revision = revision
	e := odcm.NewEvent(p, "identity.user-deleted", string(id), u.Username, u.Public(), nil)
	if err := s.store.DeleteUser(ctx, u, s.now(), e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}
