package identity

import (
	"context"
	"fmt"
	"strings"

	"odcm"
)

// SignInBy starts a session for whom a provider vouches. The person is known by the account's subject; else, where the
// provider vouches for an address and its settings trust it in that, as the one enabled user who has proved the same
// address; else, where the provider admits people, he becomes a user. Nobody else gets in (odcm.Denied
// "identity.not-admitted", "identity.user-disabled").
func (s *Service) SignInBy(ctx context.Context, a Assertion, from Client) (secret string, _ Session, err error) {
	defer odcm.Wrap(&err, "sign in by provider %s", a.Provider)
	u, err := s.recognise(ctx, a, from)
	if err != nil {
		if k := odcm.KindOf(err); k == odcm.Denied {
			s.recordFailure(ctx, u, u.ID != "", from)
		}
		return "", Session{}, err
	}
	return s.createSession(ctx, u, a.Method, from)
}

// recognise finds or makes the user, and keeps what the provider says.
func (s *Service) recognise(ctx context.Context, a Assertion, from Client) (User, error) {
	if err := a.tidy(); err != nil {
		return User{}, err
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
	said := s.identityOf(u.ID, a)
	said.ID, said.Linked, said.LastSignIn = i.ID, i.Linked, said.Linked
	if err := s.store.Saw(ctx, []Identity{said}); err != nil {
		return u, err
	}
	if !i.says(said) {
		s.forget(u.ID)
	}
	return u, s.assert(ctx, u.ID, a)
}

// join links an account that is not known yet to a user who is, or to a new one.
func (s *Service) join(ctx context.Context, a Assertion, from Client) (i Identity, u User, err error) {
	if a.vouched() {
		same, err := s.store.UsersByEmail(ctx, EmailKey(a.Email))
		if err != nil {
			return i, u, err
		}
		if len(same) == 1 { // of several, an administrator decides
			i, u = s.identityOf(same[0].ID, a), same[0]
			return i, u, s.store.Link(ctx, i, s.linkedEvent(principal(u, a.Method, from.Address), u, i, "verified-email"))
		}
	}
	if !a.Admit {
		return i, u, odcm.E(odcm.Denied, "identity.not-admitted",
			"You are signed in there, but nobody has admitted you to ODCM yet: ask an administrator for an invitation.")
	}
	for n := range 50 {
		shown, key, ok := usernameOf(a, n)
		if !ok {
			continue
		}
		u = s.newUser(shown, a.DisplayName, []odcm.Role{odcm.Member})
		if err := u.validate(); err != nil {
			return i, u, err
		}
		i = s.identityOf(u.ID, a)
		p := principal(u, a.Method, from.Address)
		created := odcm.NewEvent(p, "identity.user-created", string(u.ID), u.Username, nil, u.public())
		err = s.store.CreateLinked(ctx, u, key, i, created, s.linkedEvent(p, u, i, "new-user"))
		if odcm.CodeOf(err) != "identity.username-taken" {
			s.bus.Publish(topic(u.ID))
			return i, u, err
		}
	}
	return i, User{}, err
}

// usernameOf is what a new user may be called, the nth try: as the provider says, by what tells two of one name apart, or
// with a number.
func usernameOf(a Assertion, n int) (shown, key string, ok bool) {
	local, _, _ := strings.Cut(a.Email, "@")
	wishes := []string{a.Username, a.Marks["upn"], a.Email, local, "user"}
	wish := wishes[min(n, len(wishes)-1)]
	if n >= len(wishes) {
		base := wishes[len(wishes)-1]
		for i := len(wishes) - 1; i >= 0; i-- {
			if wishes[i] != "" {
				base = wishes[i]
			}
		}
		wish = fmt.Sprintf("%s-%d", clipRunes(base, maxUsername-4), n-len(wishes)+2)
	}
	shown, key, err := ParseUsername(wish)
	return shown, key, err == nil && key != "guest"
}
