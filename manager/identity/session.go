package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"
	"unicode/utf8"

	"odcm"
)

// SessionID identifies a session in lists; it lets nobody in.
type SessionID string

// Session is one browser that a user signed in with.
type Session struct {
	ID        SessionID
	User      odcm.UserID
	Method    string // how the user proved who he is: "password"
	Created   time.Time
	Seen      time.Time // last use, at most a minute old
	Expires   time.Time // the end in any case; it ends earlier when it is not used
	Address   string    // of the last use
	UserAgent string
}

// Client is where a request comes from, for lists and events.
type Client struct{ Address, UserAgent string }

// touchEvery is how old "last seen" may be: each session is written at most so often.
const touchEvery = time.Minute

// newSecret makes 256 random bits as text, and the hash of it that is stored. A plain SHA-256 will do: there is nothing
// to guess in a random secret.
func newSecret(prefix string) (secret, token string) {
	secret = prefix + base64.RawURLEncoding.EncodeToString(random(32))
	return secret, tokenOf(secret)
}

// tokenOf is what of a secret is stored.
func tokenOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// secretLength is that of a session's secret: 32 bytes in base64url.
const secretLength = 43

func (s *Service) createSession(ctx context.Context, u User, method string, from Client) (secret string, _ Session, err error) {
	secret, token := newSecret("")
	now := s.now()
	session := Session{ID: odcm.NewID[SessionID]("session"), User: u.ID, Method: method, Created: now, Seen: now,
		Expires: now.Add(s.life), Address: from.Address, UserAgent: clip(from.UserAgent, 200)}
	e := odcm.NewEvent(principal(u, "session", from.Address), "identity.signed-in", string(u.ID), u.Username, nil,
		map[string]string{"method": method, "session": string(session.ID)})
	if err := s.store.CreateSession(ctx, session, token, e); err != nil {
		return "", Session{}, err
	}
	return secret, session, nil
}

// Sessions returns the principal's own sessions that have not ended, newest first, older than before unless that is "".
func (s *Service) Sessions(ctx context.Context, p odcm.Principal, before SessionID, limit int) (_ []Session, err error) {
	defer odcm.Wrap(&err, "list sessions")
	if err := s.auth.Authorize(ctx, p, "session.list", string(p.User)); err != nil {
		return nil, err
	}
	now := s.now()
	return s.store.Sessions(ctx, p.User, now, now.Add(-s.idle), before, limit)
}

// EndSession ends one of the principal's own sessions (odcm.NotFound where it is not his).
func (s *Service) EndSession(ctx context.Context, p odcm.Principal, id SessionID) (err error) {
	defer odcm.Wrap(&err, "end session %s", id)
	if err := s.auth.Authorize(ctx, p, "session.end", string(p.User)); err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.session-ended", string(p.User), p.Name, map[string]string{"session": string(id)}, nil)
	if err := s.store.DeleteSession(ctx, p.User, id, e); err != nil {
		return err
	}
	s.forget(p.User)
	return nil
}

// Session returns a session that has not ended and whose user may sign in; odcm.NotFound otherwise. It asks no authorizer.
func (s *Service) Session(ctx context.Context, id SessionID) (_ Session, err error) {
	defer odcm.Wrap(&err, "get session %s", id)
	session, u, err := s.store.Session(ctx, id)
	if err != nil {
		return Session{}, err
	}
	if now := s.now(); u.Disabled || !now.Before(earlier(session.Expires, session.Seen.Add(s.idle))) {
		return Session{}, odcm.E(odcm.NotFound, "identity.session-not-found", "The session has ended.")
	}
	return session, nil
}

// SessionsOf returns another user's sessions as [Service.Sessions] does one's own. It needs the action "user.read".
func (s *Service) SessionsOf(ctx context.Context, p odcm.Principal, user odcm.UserID, before SessionID, limit int) (_ []Session, err error) {
	defer odcm.Wrap(&err, "list sessions of user %s", user)
	if err := s.authorizeFor(ctx, p, "user.read", user); err != nil {
		return nil, err
	}
	now := s.now()
	return s.store.Sessions(ctx, user, now, now.Add(-s.idle), before, limit)
}

// EndSessionsOf signs the user out everywhere, but for the session keep. People may do it for themselves; for others it
// needs the action "user.sign-out".
func (s *Service) EndSessionsOf(ctx context.Context, p odcm.Principal, user odcm.UserID, keep SessionID) (err error) {
	defer odcm.Wrap(&err, "end sessions of user %s", user)
	if err := s.authorizeFor(ctx, p, "user.sign-out", user); err != nil {
		return err
	}
	u, err := s.store.User(ctx, user)
	if err != nil {
		return err
	}
	if err := s.store.DeleteSessions(ctx, user, keep, odcm.NewEvent(p, "identity.sessions-ended", string(user), u.Username, nil, nil)); err != nil {
		return err
	}
	s.forget(user)
	return nil
}

// SignOut ends the session of the secret. It is not an error where there is none.
func (s *Service) SignOut(ctx context.Context, secret string, from Client) (err error) {
	defer odcm.Wrap(&err, "sign out")
	session, u, err := s.store.SessionByToken(ctx, tokenOf(secret))
	if odcm.KindOf(err) == odcm.NotFound {
		return nil
	} else if err != nil {
		return err
	}
	e := odcm.NewEvent(principal(u, "session", from.Address), "identity.signed-out", string(u.ID), u.Username,
		map[string]string{"session": string(session.ID)}, nil)
	if err := s.store.DeleteSession(ctx, u.ID, session.ID, e); err != nil && odcm.KindOf(err) != odcm.NotFound {
		return err
	}
	s.forget(u.ID)
	return nil
}

func principal(u User, via, address string) odcm.Principal {
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: via, Address: address}
}

// clip cuts s to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
