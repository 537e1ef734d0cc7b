package session

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// ID identifies a session in lists; it lets nobody in.
type ID string

// Session is one browser that a user signed in with.
type Session struct {
	ID        ID
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

// Sessions returns the principal's own sessions that have not ended, newest first, older than before unless that is "".
func (s *Service) Sessions(ctx context.Context, p odcm.Principal, before ID, limit int) (_ []Session, err error) {
	defer odcm.Wrap(&err, "list sessions")
	if err := s.auth.Authorize(ctx, p, "session.list", string(p.User)); err != nil {
		return nil, err
	}
	now := s.now()
	return s.store.Sessions(ctx, p.User, now, now.Add(-s.idle), before, limit)
}

// EndSession ends one of the principal's own sessions (odcm.NotFound where it is not his).
func (s *Service) EndSession(ctx context.Context, p odcm.Principal, id ID) (err error) {
	defer odcm.Wrap(&err, "end session %s", id)
	if err := s.auth.Authorize(ctx, p, "session.end", string(p.User)); err != nil {
		return err
	}
	e := odcm.NewEvent(p, "identity.session-ended", string(p.User), p.Name, map[string]string{"session": string(id)}, nil)
	if err := s.store.DeleteSession(ctx, p.User, id, e); err != nil {
		return err
	}
	s.Forget(p.User)
	return nil
}

// Session returns a session that has not ended and whose user may sign in; odcm.NotFound otherwise. It asks no authorizer.
func (s *Service) Session(ctx context.Context, id ID) (_ Session, err error) {
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
func (s *Service) SessionsOf(ctx context.Context, p odcm.Principal, user odcm.UserID, before ID, limit int) (_ []Session, err error) {
	defer odcm.Wrap(&err, "list sessions of user %s", user)
	if err := person.Authorize(ctx, s.auth, p, "user.read", user); err != nil {
		return nil, err
	}
	now := s.now()
	return s.store.Sessions(ctx, user, now, now.Add(-s.idle), before, limit)
}

// EndSessionsOf signs the user out everywhere, but for the session keep. People may do it for themselves; for others it
// needs the action "user.sign-out".
func (s *Service) EndSessionsOf(ctx context.Context, p odcm.Principal, user odcm.UserID, keep ID) (err error) {
	defer odcm.Wrap(&err, "end sessions of user %s", user)
	if err := person.Authorize(ctx, s.auth, p, "user.sign-out", user); err != nil {
		return err
	}
	u, err := s.store.User(ctx, user)
	if err != nil {
		return err
	}
	if err := s.store.DeleteSessions(ctx, user, keep, odcm.NewEvent(p, "identity.sessions-ended", string(user), u.Username, nil, nil)); err != nil {
		return err
	}
	s.Forget(user)
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
	e := odcm.NewEvent(u.Principal("session", from.Address), "identity.signed-out", string(u.ID), u.Username,
		map[string]string{"session": string(session.ID)}, nil)
	if err := s.store.DeleteSession(ctx, u.ID, session.ID, e); err != nil && odcm.KindOf(err) != odcm.NotFound {
		return err
	}
	s.Forget(u.ID)
	return nil
}
