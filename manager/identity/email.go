package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
)

// maxEmails is how many a user may have.
const maxEmails = 20

// AddEmail gives the user an address that is not verified yet. People may do it for themselves.
func (s *Service) AddEmail(ctx context.Context, p odcm.Principal, id odcm.UserID, address string) (err error) {
	defer odcm.Wrap(&err, "add e-mail address of user %s", id)
	u, err := s.alive(ctx, p, "user.update", id)
	if err != nil {
		return err
	}
	if address, err = person.ParseEmail(address); err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.email-added", string(id), u.Username, nil, map[string]string{"email": address})
	if err := s.store.AddEmail(ctx, id, person.Email{Address: address}, maxEmails, e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// RemoveEmail takes an address from the user. One that a provider says comes back with the next sign-in.
func (s *Service) RemoveEmail(ctx context.Context, p odcm.Principal, id odcm.UserID, address string) (err error) {
	defer odcm.Wrap(&err, "remove e-mail address of user %s", id)
	u, err := s.alive(ctx, p, "user.update", id)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.email-removed", string(id), u.Username, map[string]string{"email": address}, nil)
	if err := s.store.RemoveEmail(ctx, id, person.EmailKey(address), e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// UseEmail makes a verified address the one that mail goes to.
func (s *Service) UseEmail(ctx context.Context, p odcm.Principal, id odcm.UserID, address string) (err error) {
	defer odcm.Wrap(&err, "choose e-mail address of user %s", id)
	u, err := s.alive(ctx, p, "user.update", id)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.email-chosen", string(id), u.Username, nil, map[string]string{"email": address})
	if err := s.store.UseEmail(ctx, id, person.EmailKey(address), e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// VerifyEmail says that the address was proved to be the user's: by a link that was mailed there, or by an administrator
// who knows.
func (s *Service) VerifyEmail(ctx context.Context, p odcm.Principal, id odcm.UserID, address string) (err error) {
	defer odcm.Wrap(&err, "verify e-mail address of user %s", id)
	if err := s.auth.Authorize(ctx, p, "user.update", string(id)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.email-verified", string(id), u.Username, nil, map[string]string{"email": address})
	if err := s.store.VerifyEmail(ctx, id, person.EmailKey(address), s.now(), e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// alive permits people what concerns themselves and returns the user, who must not be deleted.
func (s *Service) alive(ctx context.Context, p odcm.Principal, a odcm.Action, id odcm.UserID) (person.User, error) {
	if err := person.Authorize(ctx, s.auth, p, a, id); err != nil {
		return person.User{}, err
	}
	u, err := s.store.User(ctx, id)
	if err == nil && !u.Deleted.IsZero() {
		err = odcm.E(odcm.Conflict, "identity.user-deleted", "%s is deleted.", u.Username)
	}
	return u, err
}
