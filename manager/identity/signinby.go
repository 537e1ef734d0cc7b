package identity

import (
	"context"

	"odcm"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// SignInBy starts a session for whom a provider vouches. The person is known by the account's subject; else, where the
// provider vouches for an address and its settings trust it in that, as the one enabled user who has proved the same
// address; else, where the provider admits people, he becomes a user. Nobody else gets in (odcm.Denied
// "identity.not-admitted", "identity.user-disabled").
func (s *Service) SignInBy(ctx context.Context, a person.Assertion, from session.Client) (secret string, _ session.Session, err error) {
	defer odcm.Wrap(&err, "sign in by provider %s", a.Provider)
	u, err := s.recognise(ctx, a, from)
	if err != nil {
		if k := odcm.KindOf(err); k == odcm.Denied {
			s.recordFailure(ctx, u, u.ID != "", from)
		}
		return "", session.Session{}, err
	}
	return s.issuer.Start(ctx, u, a.Method, from)
}

// recognise finds or makes the user, and keeps what the provider says.
func (s *Service) recognise(ctx context.Context, a person.Assertion, from session.Client) (person.User, error) {
	if err := a.Tidy(); err != nil {
		return person.User{}, err
	}
	i, u, err := s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
	if odcm.KindOf(err) == odcm.NotFound {
		i, u, err = s.join(ctx, a, from)
		if odcm.CodeOf(err) == "identity.linked-elsewhere" { // another request of his was first
			i, u, err = s.store.IdentityBySubject(ctx, a.Provider, a.Subject)
		}
	}
	if err != nil {
		return u, err
	}
	if u.Disabled {
		return u, odcm.E(odcm.Denied, "identity.user-disabled", "Your account in ODCM is deactivated: ask an administrator.")
	}
	said := a.Identity(u.ID, s.now())
	said.ID, said.Linked, said.LastSignIn = i.ID, i.Linked, said.Linked
	if err := s.store.Saw(ctx, []person.Identity{said}); err != nil {
		return u, err
	}
	if !i.Says(said) {
		s.Forget(u.ID)
	}
	return u, s.assert(ctx, u.ID, a)
}

// join links an account that is not known yet to a user who is, or to a new one.
func (s *Service) join(ctx context.Context, a person.Assertion, from session.Client) (i person.Identity, u person.User, err error) {
	if a.Vouched() {
		same, err := s.store.UsersByEmail(ctx, person.EmailKey(a.Email))
		if err != nil {
			return i, u, err
		}
		if len(same) == 1 { // of several, an administrator decides
			i, u = a.Identity(same[0].ID, s.now()), same[0]
			return i, u, s.store.Link(ctx, i, s.linkedEvent(u.Principal(a.Method, from.Address), u, i, "verified-email"))
		}
	}
	if !a.Admit {
		return i, u, odcm.E(odcm.Denied, "identity.not-admitted",
			"You are signed in there, but nobody has admitted you to ODCM yet: ask an administrator for an invitation.")
	}
	for n := range 50 {
		shown, key, ok := a.NewUsername(n)
		if !ok {
			continue
		}
		u = person.New(shown, a.DisplayName, []odcm.Role{odcm.Member}, s.now())
		if err := u.Validate(); err != nil {
			return i, u, err
		}
		i = a.Identity(u.ID, s.now())
		p := u.Principal(a.Method, from.Address)
		created := odcm.NewEvent(p, "identity.user-created", string(u.ID), u.Username, nil, u.Public())
		err = s.store.CreateLinked(ctx, u, key, i, created, s.linkedEvent(p, u, i, "new-user"))
		if odcm.CodeOf(err) != "identity.username-taken" {
			s.Forget(u.ID)
			return i, u, err
		}
	}
	return i, person.User{}, err
}
