package identitysql

import (
	"context"
	"database/sql"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

const (
	sessionColumns = `s.id, s.user_id, s.method, s.created, s.seen, s.expires, s.address, s.user_agent`
	keyColumns     = `k.id, k.user_id, k.prefix, k.purpose, k.created, k.expires, k.used`
)

type sessionRow struct {
	session                session.Session
	created, seen, expires int64
}

func (r *sessionRow) dest() []any {
	s := &r.session
	return []any{&s.ID, &s.User, &s.Method, &r.created, &r.seen, &r.expires, &s.Address, &s.UserAgent}
}

func (r *sessionRow) value() session.Session {
	r.session.Created, r.session.Seen, r.session.Expires = db.Time(r.created), db.Time(r.seen), db.Time(r.expires)
	return r.session
}

type keyRow struct {
	key                    session.APIKey
	created, expires, used int64
}

func (r *keyRow) dest() []any {
	k := &r.key
	return []any{&k.ID, &k.User, &k.Prefix, &k.Purpose, &r.created, &r.expires, &r.used}
}

func (r *keyRow) value() session.APIKey {
	r.key.Created, r.key.Expires, r.key.Used = db.Time(r.created), db.Time(r.expires), db.Time(r.used)
	return r.key
}

// CreateSession implements [identity.Store].
func (s *Store) CreateSession(ctx context.Context, n session.Session, token string, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_session (id, token, user_id, method, created, seen, expires, address, user_agent)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, n.ID, token, n.User, n.Method,
			db.Millis(n.Created), db.Millis(n.Seen), db.Millis(n.Expires), n.Address, n.UserAgent)
		return err
	})
}

// SessionByToken implements [identity.Store].
func (s *Store) SessionByToken(ctx context.Context, token string) (session.Session, person.User, error) {
	var r sessionRow
	var u userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+sessionColumns+`, `+userColumns+` FROM identity_session s
		JOIN identity_user u ON u.id = s.user_id WHERE s.token = $1`, token).Scan(append(r.dest(), u.dest()...)...)
	return r.value(), u.value(), notFound("session", err)
}

// Session implements [identity.Store].
func (s *Store) Session(ctx context.Context, id session.ID) (session.Session, person.User, error) {
	var r sessionRow
	var u userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+sessionColumns+`, `+userColumns+` FROM identity_session s
		JOIN identity_user u ON u.id = s.user_id WHERE s.id = $1`, id).Scan(append(r.dest(), u.dest()...)...)
	return r.value(), u.value(), notFound("session", err)
}

// DeleteSessions implements [identity.Store].
func (s *Store) DeleteSessions(ctx context.Context, user odcm.UserID, keep session.ID, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		return exec(ctx, tx, `DELETE FROM identity_session WHERE user_id = $1 AND id <> $2`, user, keep)
	})
}

// Sessions implements [identity.Store].
func (s *Store) Sessions(ctx context.Context, user odcm.UserID, now, idle time.Time, before session.ID, limit int) ([]session.Session, error) {
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (session.Session, error) {
		var r sessionRow
		err := row.Scan(r.dest()...)
		return r.value(), err
	}, `SELECT `+sessionColumns+` FROM identity_session s WHERE s.user_id = $1 AND s.expires > $2 AND s.seen > $3
		AND ($4 = '' OR s.id < $4) ORDER BY s.id DESC LIMIT $5`, user, db.Millis(now), db.Millis(idle), before, limit)
}

// TouchSession implements [identity.Store].
func (s *Store) TouchSession(ctx context.Context, id session.ID, seen time.Time, address string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_session SET seen = $2, address = $3 WHERE id = $1 AND seen < $2`, id, db.Millis(seen), address)
		return err
	})
}

// DeleteSession implements [identity.Store].
func (s *Store) DeleteSession(ctx context.Context, user odcm.UserID, id session.ID, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity_session WHERE id = $1 AND user_id = $2`, id, user)
		return one(r, err, notFound("session", sql.ErrNoRows))
	})
}

// CreateKey implements [identity.Store].
func (s *Store) CreateKey(ctx context.Context, k session.APIKey, token string, e odcm.Event) error {
	err := s.change(ctx, e, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_key (id, token, user_id, prefix, purpose, created, expires, used)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, k.ID, token, k.User, k.Prefix, k.Purpose,
			db.Millis(k.Created), db.Millis(k.Expires), db.Millis(k.Used))
		return err
	})
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "identity.api-key-exists", "There is such an API key already.")
	}
	return err
}

// KeyByToken implements [identity.Store].
func (s *Store) KeyByToken(ctx context.Context, token string) (session.APIKey, person.User, error) {
	var r keyRow
	var u userRow
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+keyColumns+`, `+userColumns+` FROM identity_key k
		JOIN identity_user u ON u.id = k.user_id WHERE k.token = $1`, token).Scan(append(r.dest(), u.dest()...)...)
	return r.value(), u.value(), notFound("API key", err)
}

// Keys implements [identity.Store].
func (s *Store) Keys(ctx context.Context, user odcm.UserID, before session.KeyID, limit int) ([]session.APIKey, error) {
	return db.Collect(ctx, s.db.Read(), func(row db.Row) (session.APIKey, error) {
		var r keyRow
		err := row.Scan(r.dest()...)
		return r.value(), err
	}, `SELECT `+keyColumns+` FROM identity_key k WHERE k.user_id = $1 AND ($2 = '' OR k.id < $2) ORDER BY k.id DESC LIMIT $3`,
		user, before, limit)
}

// TouchKey implements [identity.Store].
func (s *Store) TouchKey(ctx context.Context, id session.KeyID, used time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_key SET used = $2 WHERE id = $1 AND used < $2`, id, db.Millis(used))
		return err
	})
}

// DeleteKey implements [identity.Store].
func (s *Store) DeleteKey(ctx context.Context, user odcm.UserID, id session.KeyID, e odcm.Event) error {
	return s.change(ctx, e, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity_key WHERE id = $1 AND ($2 = '' OR user_id = $2)`, id, user)
		return one(r, err, notFound("API key", sql.ErrNoRows))
	})
}
