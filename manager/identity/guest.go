package identity

import (
	"context"

	"odcm"
)

// Guest is the user as whom everybody may look around who does not sign in, where an administrator lets him. What is his own
// is everybody's, so that he may change nothing, not even his name.
const Guest odcm.UserID = "user-guest"

// LetGuestIn switches the guest on or off. It is off until somebody switches it on; off ends his sessions.
func (s *Service) LetGuestIn(ctx context.Context, p odcm.Principal, on bool) (err error) {
	defer odcm.Wrap(&err, "switch guest")
	if err := s.auth.Authorize(ctx, p, "user.update", string(Guest)); err != nil {
		return err
	}
	old, err := s.store.User(ctx, Guest)
	if odcm.KindOf(err) == odcm.NotFound {
		if !on {
			return nil
		}
		u := s.newUser("guest", "Guest", []odcm.Role{odcm.Member})
		u.ID = Guest
		err = s.store.CreateUser(ctx, u, "guest", "", odcm.NewEvent(p, "identity.user-created", string(Guest), u.Username, nil, u.public()))
		if odcm.KindOf(err) == odcm.Exists {
			return odcm.E(odcm.Conflict, "identity.guest-name-taken", "A user is called guest: give that one another username first.").Because(err)
		}
		s.forget(Guest)
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
	u, err := s.store.User(ctx, Guest)
	if odcm.KindOf(err) == odcm.NotFound {
		return false, nil
	}
	return err == nil && !u.Disabled, err
}

// SignInAsGuest starts a session of the guest: odcm.Denied "identity.guest-off" where he is not let in.
func (s *Service) SignInAsGuest(ctx context.Context, from Client) (secret string, _ Session, err error) {
	defer odcm.Wrap(&err, "sign in as guest")
	u, err := s.store.User(ctx, Guest)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && u.Disabled {
		return "", Session{}, odcm.E(odcm.Denied, "identity.guest-off", "Guests are not let in here: sign in.")
	}
	if err != nil {
		return "", Session{}, err
	}
	if err := s.Throttle(ctx, "guest", from); err != nil { // each is a row that nobody had to prove anything for
		return "", Session{}, err
	}
	return s.createSession(ctx, u, "guest", from)
}
