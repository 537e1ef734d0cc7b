package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// LetGuestIn switches the guest on or off. It is off until somebody switches it on; off ends his sessions.
func (s *Service) LetGuestIn(ctx context.Context, p odcm.Principal, on bool) (err error) {
	defer odcm.Wrap(&err, "switch guest")
	if err := s.auth.Authorize(ctx, p, "user.update", string(person.Guest)); err != nil {
		return err
	}
	old, err := s.store.User(ctx, person.Guest)
	if odcm.KindOf(err) == odcm.NotFound {
		if !on {
			return nil
		}
		u := person.New("guest", "Guest", []odcm.Role{odcm.Member}, s.now())
		u.ID = person.Guest
		err = s.store.CreateUser(ctx, u, "guest", "", odcm.NewEvent(p, "identity.user-created", string(person.Guest), u.Username, nil, u.Public()))
		if odcm.KindOf(err) == odcm.Exists {
			return odcm.E(odcm.Conflict, "identity.guest-name-taken", "A user is called guest: give that one another username first.").Because(err)
		}
		s.Forget(person.Guest)
		return err
	}
	if err != nil || old.Disabled == !on {
		return err
	}
	u := old
	u.Disabled = !on
	_, err = s.update(ctx, p, old, u)
	return err
}

// GuestIn tells whether the guest is let in.
func (s *Service) GuestIn(ctx context.Context) (bool, error) {
	u, err := s.store.User(ctx, person.Guest)
	if odcm.KindOf(err) == odcm.NotFound {
		return false, nil
	}
	return err == nil && !u.Disabled, err
}

// SignInAsGuest starts a session of the guest: odcm.Denied "identity.guest-off" where he is not let in.
func (s *Service) SignInAsGuest(ctx context.Context, from session.Client) (secret string, _ session.Session, err error) {
	defer odcm.Wrap(&err, "sign in as guest")
	u, err := s.store.User(ctx, person.Guest)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && u.Disabled {
		return "", session.Session{}, odcm.E(odcm.Denied, "identity.guest-off", "Guests are not let in here: sign in.")
	}
	if err != nil {
		return "", session.Session{}, err
	}
	if err := s.Throttle(ctx, "guest", from); err != nil { // each is a row that nobody had to prove anything for
		return "", session.Session{}, err
	}
	return s.issuer.Start(ctx, u, "guest", from)
}
