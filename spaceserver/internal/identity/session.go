package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"odcm/kit/db"
)

// longest is how long a session may last that ends with the browser: nobody means to leave one open for days.
const longest = 24 * time.Hour

// skew is how far the clocks of nodes may differ.
const skew = time.Minute

// Session is a signed-in browser.
type Session struct {
	Token   string // the cookie's value; only known when it was just made
	CSRF    string // what requests that change something must repeat in a header
	User    string
	Expires time.Time
	Keep    bool // the cookie outlives the browser
}

// Start makes a session for a user.
func (s *Service) Start(ctx context.Context, user string, keep bool) (Session, error) {
	return s.start(ctx, user, keep, time.Time{})
}

// StartUntil makes a session that ends then at the latest.
func (s *Service) StartUntil(ctx context.Context, user string, until time.Time) (Session, error) {
	return s.start(ctx, user, false, until)
}

func (s *Service) start(ctx context.Context, user string, keep bool, until time.Time) (Session, error) {
	policy, err := s.Policy(ctx)
	if err != nil {
		return Session{}, err
	}
	now := s.now()
	session := Session{Token: rand.Text() + rand.Text(), CSRF: rand.Text() + rand.Text(), User: user, Keep: keep && policy.Remember, Expires: now.Add(policy.Longest)}
	if !session.Keep {
		session.Expires = now.Add(min(longest, policy.Longest))
	}
	if !until.IsZero() && until.Before(session.Expires) {
		session.Expires = until
	}
	return session, s.store.DB.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_session WHERE expires < $1", db.Millis(now)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_session (hash, user_id, csrf, seen, expires, remember) VALUES ($1,$2,$3,$4,$5,$6)",
			Hash(session.Token), user, session.CSRF, db.Millis(now), db.Millis(session.Expires), keep)
		return err
	})
}

// BySession returns the user and the session of a cookie's value.
func (s *Service) BySession(ctx context.Context, token string) (*User, Session, error) {
	var session Session
	var seen, expires int64
	hash, now := Hash(token), s.now()
	err := s.store.DB.Read().QueryRowContext(ctx, "SELECT user_id, csrf, seen, expires, remember FROM spaceserver_session WHERE hash = $1", hash).
		Scan(&session.User, &session.CSRF, &seen, &expires, &session.Keep)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, session, ErrUnknown
	}
	if err != nil {
		return nil, session, err
	}
	policy, err := s.Policy(ctx)
	if err != nil {
		return nil, session, err
	}
	// A session from before the limits were lowered may not outlive them either.
	session.Expires = db.Time(expires)
	left := session.Expires.Sub(now)
	if left <= 0 || left > policy.Longest+skew || !session.Keep && now.Sub(db.Time(seen)) > policy.Idle {
		return nil, session, ErrUnknown
	}
	if now.Sub(db.Time(seen)) > time.Minute { // once a minute is enough to tell idle from busy
		err := s.store.DB.Tx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE spaceserver_session SET seen = $1 WHERE hash = $2", db.Millis(now), hash)
			return err
		})
		if err != nil {
			return nil, session, err
		}
	}
	u, err := s.ByID(ctx, session.User)
	return u, session, err
}

// End ends a session.
func (s *Service) End(ctx context.Context, token string) error {
	return s.store.DB.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_session WHERE hash = $1", Hash(token))
		return err
	})
}

// DropSessions ends all sessions of a user.
func DropSessions(ctx context.Context, tx *sql.Tx, user string) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM spaceserver_session WHERE user_id = $1", user)
	return err
}
