package identity

import (
	"context"
	"errors"
	"time"

	"odcm"
)

// Credentials are what a person typed, and where.
type Credentials struct {
	Username, Password string
	From               Client
}

// LoginKeyLife is how long an API key lasts that was made by signing in from the command line.
const LoginKeyLife = 30 * 24 * time.Hour

// SignIn checks the password and starts a session; the secret goes into a cookie and nowhere else. Whatever is wrong with
// user or password gives the same odcm.Unauthenticated "identity.sign-in-failed"; too many tries odcm.Unavailable.
func (s *Service) SignIn(ctx context.Context, c Credentials) (secret string, _ Session, err error) {
	defer odcm.Wrap(&err, "sign in")
	u, err := s.check(ctx, c)
	if err != nil {
		return "", Session{}, err
	}
	return s.createSession(ctx, u, "password", c.From)
}

// SignInForKey checks the password and makes an API key of limited life, for programs that cannot keep a cookie.
func (s *Service) SignInForKey(ctx context.Context, c Credentials, purpose string) (secret string, _ APIKey, err error) {
	defer odcm.Wrap(&err, "sign in for an API key")
	n := NewKey{Purpose: purpose, Expires: s.now().Add(LoginKeyLife)}
	if err := n.validate(s.now()); err != nil {
		return "", APIKey{}, err
	}
	u, err := s.check(ctx, c)
	if err != nil {
		return "", APIKey{}, err
	}
	return s.createKey(ctx, principal(u, "password", c.From.Address), n)
}

func wrongCredentials() error {
	return odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "The username or the password is not right.")
}

// check tells who the credentials belong to.
func (s *Service) check(ctx context.Context, c Credentials) (User, error) {
	_, key, err := ParseUsername(c.Username)
	if err != nil {
		key = " " // nobody's: a username holds no space
	}
	u, stored, err := s.store.UserByKey(ctx, key)
	known := err == nil
	if err != nil && odcm.KindOf(err) != odcm.NotFound {
		return User{}, err
	}
	if err := s.verify(ctx, u, key, stored, c); err != nil {
		if odcm.KindOf(err) == odcm.Unauthenticated {
			s.recordFailure(ctx, u, known, c.From)
		}
		return User{}, err
	}
	return u, nil
}

// verify does the same work for a user who does not exist, has no password or is disabled as for any other.
func (s *Service) verify(ctx context.Context, u User, key, stored string, c Credentials) error {
	gates := gates(key, c.From.Address)
	if err := s.open(ctx, gates); err != nil { // before queueing: who is locked out takes nobody's turn
		return err
	}
	h, err := parseHash(stored)
	may := err == nil && !u.Disabled
	if err != nil {
		h = noHash(s.cost)
	}
	password, ok := normalPassword(c.Password)
	var renewed string
	err = s.hashing.do(ctx, func() error {
		if err := s.pass(ctx, gates); err != nil {
			return err
		}
		if matches := h.matches(password); !matches || !ok || !may {
			return wrongCredentials()
		}
		if h.cost != s.cost {
			renewed = makeHash(password, s.cost).String()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if renewed != "" {
		err = s.store.Rehash(ctx, u.ID, stored, renewed)
	}
	return errors.Join(err, s.clear(ctx, gates))
}

// recordFailure leaves an event, at a bounded rate: a storm of guesses must not fill the log. What was typed as the name of
// a user who does not exist is not kept, since people type passwords there.
func (s *Service) recordFailure(ctx context.Context, u User, known bool, from Client) {
	if !s.failed.AllowN(s.now(), 1) {
		return
	}
	e := odcm.NewEvent(odcm.Principal{Address: from.Address}, "identity.sign-in-failed", string(u.ID), u.Username, nil, nil)
	if !known {
		e.Name = "an unknown user"
	}
	if err := s.store.Record(ctx, e); err != nil {
		s.log.Warn("failed sign-in was not recorded", "error", err)
	}
}

// ChangePassword replaces the principal's own password, if the current one is right, and ends his other sessions: all but
// that of the secret keep.
func (s *Service) ChangePassword(ctx context.Context, p odcm.Principal, current, replacement, keep string, from Client) (err error) {
	defer odcm.Wrap(&err, "change password")
	if err := s.auth.Authorize(ctx, p, "password.change", string(p.User)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, p.User)
	if err != nil {
		return err
	}
	if _, err := s.check(ctx, Credentials{Username: u.Username, Password: current, From: from}); err != nil {
		if odcm.KindOf(err) == odcm.Unauthenticated {
			return odcm.E(odcm.Invalid, "identity.password-wrong", "The current password is not right.").OnField("current")
		}
		return err
	}
	hash, err := s.newHash(ctx, replacement, u)
	if err != nil {
		return err
	}
	var kept SessionID
	if session, owner, err := s.store.SessionByToken(ctx, tokenOf(keep)); err == nil && owner.ID == u.ID {
		kept = session.ID
	}
	e := odcm.NewEvent(p, "identity.password-changed", string(u.ID), u.Username, nil, nil)
	if err := s.store.SetPassword(ctx, u.ID, hash, kept, s.now(), e); err != nil {
		return err
	}
	s.forget(u.ID)
	return nil
}
