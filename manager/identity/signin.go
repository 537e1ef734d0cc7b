package identity

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/password"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Credentials are what a person typed, and where.
type Credentials struct {
	Username, Password string
	From               session.Client
}

// LoginKeyLife is how long an API key lasts that was made by signing in from the command line.
const LoginKeyLife = 30 * 24 * time.Hour

// SignIn checks the password, here and in the directories, and starts a session; the secret goes into a cookie and nowhere
// else. Whatever is wrong with user or password gives the same odcm.Unauthenticated "identity.sign-in-failed"; too many
// tries odcm.Unavailable, and so does a directory that might know the two and does not answer.
func (s *Service) SignIn(ctx context.Context, c Credentials) (secret string, _ session.Session, err error) {
	defer odcm.Wrap(&err, "sign in")
	u, method, err := s.check(ctx, c)
	if err != nil {
		return "", session.Session{}, err
	}
	return s.issuer.Start(ctx, u, method, c.From)
}

// SignInForKey checks the password and makes an API key of limited life, for programs that cannot keep a cookie.
func (s *Service) SignInForKey(ctx context.Context, c Credentials, purpose string) (secret string, _ session.APIKey, err error) {
	defer odcm.Wrap(&err, "sign in for an API key")
	n := session.NewKey{Purpose: purpose, Expires: s.now().Add(LoginKeyLife)}
	if err := n.Validate(s.now()); err != nil {
		return "", session.APIKey{}, err
	}
	u, method, err := s.check(ctx, c)
	if err != nil {
		return "", session.APIKey{}, err
	}
	return s.issuer.Key(ctx, u.Principal(method, c.From.Address), n)
}

// try is one use of a username and a password.
type try struct {
	Credentials
	user   person.User // the zero one where nobody has the username
	known  bool
	stored string // the password's hash; "" where there is none
	gates  password.Gates
}

// begin looks the username up and sees whether it may be tried now.
func (s *Service) begin(ctx context.Context, c Credentials) (t try, err error) {
	_, key, err := person.ParseUsername(c.Username)
	if err != nil {
		key = " " // nobody's: a username holds no space
	}
	t = try{Credentials: c, gates: password.GatesOf(key, c.From.Address)}
	if err := s.passwords.Open(ctx, t.gates); err != nil { // before queueing: who is locked out takes nobody's turn
		return t, err
	}
	t.user, t.stored, err = s.store.UserByKey(ctx, key)
	if t.known = err == nil; odcm.KindOf(err) == odcm.NotFound {
		err = nil
	}
	return t, err
}

// check tells who the credentials belong to, and what proved it. The password kept here goes first, so that a local
// administrator gets in while every directory is down.
func (s *Service) check(ctx context.Context, c Credentials) (_ person.User, method string, err error) {
	t, err := s.begin(ctx, c)
	if err != nil {
		return person.User{}, "", err
	}
	u, method := t.user, "password"
	err = s.verify(ctx, t)
	if odcm.KindOf(err) == odcm.Unauthenticated && s.directories != nil && c.Password != "" {
		u, method, err = s.ask(ctx, t)
	}
	switch {
	case err == nil:
		return u, method, s.passwords.Clear(ctx, t.gates)
	case odcm.KindOf(err) == odcm.Unauthenticated, odcm.KindOf(err) == odcm.Denied:
		s.recordFailure(ctx, t.user, t.known, c.From)
	}
	return person.User{}, "", err
}

// ask tries the directories. The try is counted already: what they say to it cannot be guessed at faster than here.
func (s *Service) ask(ctx context.Context, t try) (person.User, string, error) {
	a, err := s.directories.Verify(ctx, t.Username, t.Password)
	if odcm.KindOf(err) == odcm.Unauthenticated {
		return person.User{}, "", password.Wrong()
	}
	if err != nil {
		return person.User{}, "", err
	}
	u, err := s.recognise(ctx, a, t.From)
	return u, a.Method, err
}

// verify looks at the password that is kept here.
func (s *Service) verify(ctx context.Context, t try) error {
	renewed, err := s.passwords.Check(ctx, password.Try{Password: t.Password, Stored: t.stored, May: !t.user.Disabled, Gates: t.gates})
	if err == nil && renewed != "" {
		err = s.store.Rehash(ctx, t.user.ID, t.stored, renewed)
	}
	return err
}

// recordFailure leaves an event, at a bounded rate: a storm of guesses must not fill the log. What was typed as the name of
// a user who does not exist is not kept, since people type passwords there.
func (s *Service) recordFailure(ctx context.Context, u person.User, known bool, from session.Client) {
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
func (s *Service) ChangePassword(ctx context.Context, p odcm.Principal, current, replacement, keep string, from session.Client) (err error) {
	defer odcm.Wrap(&err, "change password")
	if err := s.auth.Authorize(ctx, p, "password.change", string(p.User)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, p.User)
	if err != nil {
		return err
	}
	t, err := s.begin(ctx, Credentials{Username: u.Username, Password: current, From: from})
	if err == nil {
		err = s.verify(ctx, t)
	}
	if odcm.KindOf(err) == odcm.Unauthenticated {
		s.recordFailure(ctx, u, true, from)
		return odcm.E(odcm.Invalid, "identity.password-wrong", "The current password is not right.").OnField("current")
	}
	if err == nil {
		err = s.passwords.Clear(ctx, t.gates)
	}
	if err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, replacement, u.Username)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.password-changed", string(u.ID), u.Username, nil, nil)
	if err := s.store.SetPassword(ctx, u.ID, hash, s.issuer.Of(ctx, u.ID, keep), s.now(), e); err != nil {
		return err
	}
	s.Forget(u.ID)
	return nil
}

// SetPassword gives a user a new password and ends all his sessions. It needs the action "user.update".
func (s *Service) SetPassword(ctx context.Context, p odcm.Principal, id odcm.UserID, replacement string) (err error) {
	defer odcm.Wrap(&err, "set password of user %s", id)
	if err := s.auth.Authorize(ctx, p, "user.update", string(id)); err != nil {
		return err
	}
	u, err := s.store.User(ctx, id)
	switch {
	case err != nil:
		return err
	case !u.Deleted.IsZero() || id == person.Guest:
		return odcm.E(odcm.Conflict, "identity.no-password", "%s cannot have a password.", u.Username)
	}
	hash, err := s.passwords.Hash(ctx, replacement, u.Username)
	if err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.password-set", string(id), u.Username, nil, nil)
	if err := s.store.SetPassword(ctx, id, hash, "", s.now(), e); err != nil {
		return err
	}
	s.Forget(id)
	return nil
}

// PasswordFits tells whether the password may be u's: odcm.Invalid where not.
func (s *Service) PasswordFits(text string, u person.User) error {
	return s.passwords.Fits(text, u.Username)
}

// Throttle slows down what costs something and needs no proof, by where it comes from: a mail, a session of the guest.
func (s *Service) Throttle(ctx context.Context, what string, from session.Client) error {
	return s.passwords.Throttle(ctx, what, from.Address)
}
