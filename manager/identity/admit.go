package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Admit finds or makes the user for whom a provider vouches, without anybody signing in: for a directory that pushes its
// people. Who is known stays as he is: see [Service.Observe]. It asks no authorizer.
func (s *Service) Admit(ctx context.Context, a person.Assertion) (_ odcm.UserID, err error) {
	defer odcm.Wrap(&err, "admit an account of provider %s", a.Provider)
	a.Admit = true
	if err := a.Tidy(); err != nil {
		return "", err
	}
	_, u, err := s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
	if odcm.KindOf(err) == odcm.NotFound {
		_, u, err = s.join(ctx, a, session.Client{})
		if odcm.CodeOf(err) == "identity.linked-elsewhere" { // another request was first
			_, u, err = s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
		}
	}
	return u.ID, err
}
