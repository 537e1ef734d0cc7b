// Package identitysql keeps users, sessions and API keys in SQLite or PostgreSQL, by one SQL text.
package identitysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/password"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store implements [identity.Store].
type Store struct {
	db     *db.DB
	events Events
}

// New brings the tables to their newest schema.
func New(ctx context.Context, d *db.DB, events Events) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return &Store{db: d, events: events}, d.Migrate(ctx, "identity", steps)
}

// change runs f and appends the event in one transaction.
func (s *Store) change(ctx context.Context, e odcm.Event, f func(tx *sql.Tx) error) error {
	return s.changes(ctx, []odcm.Event{e}, f)
}

func (s *Store) changes(ctx context.Context, events []odcm.Event, f func(tx *sql.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, events...)
	})
}

func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	_, err := tx.ExecContext(ctx, statement, args...)
	return err
}

// Record implements [identity.Store].
func (s *Store) Record(ctx context.Context, e odcm.Event) error {
	return s.change(ctx, e, func(*sql.Tx) error { return nil })
}

// Prune implements [identity.Store].
func (s *Store) Prune(ctx context.Context, expired, idle, keys, failures time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		return errors.Join(
			exec(ctx, tx, `DELETE FROM identity_session WHERE expires <= $1 OR seen <= $2`, db.Millis(expired), db.Millis(idle)),
			exec(ctx, tx, `DELETE FROM identity_key WHERE expires > 0 AND expires <= $1`, db.Millis(keys)),
			exec(ctx, tx, `DELETE FROM identity_failure WHERE last <= $1`, db.Millis(failures)),
			exec(ctx, tx, `DELETE FROM identity_letter WHERE expires <= $1`, db.Millis(expired)))
	})
}

// Failures implements [identity.Store].
func (s *Store) Failures(ctx context.Context, key string) (f password.Failures, err error) {
	var last int64
	err = s.db.Read().QueryRowContext(ctx, `SELECT count, last FROM identity_failure WHERE name = $1`, key).Scan(&f.Count, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return f, nil
	}
	f.Last = db.Time(last)
	return f, err
}

// errLate ends a transaction because another request was first.
var errLate = errors.New("another request was first")

// SetFailures implements [identity.Store].
func (s *Store) SetFailures(ctx context.Context, counts ...password.FailureCount) (bool, error) {
	err := s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, c := range counts {
			if err := setFailures(ctx, tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errLate) {
		return false, nil
	}
	return err == nil, err
}

func setFailures(ctx context.Context, tx *sql.Tx, c password.FailureCount) error {
	var r sql.Result
	var err error
	switch {
	case c.New.Count == 0:
		r, err = tx.ExecContext(ctx, `DELETE FROM identity_failure WHERE name = $1 AND count = $2 AND last = $3`,
			c.Key, c.Old.Count, db.Millis(c.Old.Last))
	case c.Old == password.Failures{}:
		r, err = tx.ExecContext(ctx, `INSERT INTO identity_failure (name, count, last) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
			c.Key, c.New.Count, db.Millis(c.New.Last))
	default:
		r, err = tx.ExecContext(ctx, `UPDATE identity_failure SET count = $4, last = $5 WHERE name = $1 AND count = $2 AND last = $3`,
			c.Key, c.Old.Count, db.Millis(c.Old.Last), c.New.Count, db.Millis(c.New.Last))
	}
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return errLate
}

// writeRoles and readRoles are the form of the column roles.
func writeRoles(roles []odcm.Role) string {
	var b strings.Builder
	b.WriteByte(',')
	for _, r := range roles {
		b.WriteString(string(r) + ",")
	}
	return b.String()
}

func readRoles(s string) (roles []odcm.Role) {
	for name := range strings.SplitSeq(s, ",") {
		if name != "" {
			roles = append(roles, odcm.Role(name))
		}
	}
	return roles
}

func notFound(noun string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return odcm.E(odcm.NotFound, "identity."+strings.ReplaceAll(strings.ToLower(noun), " ", "-")+"-not-found", "There is no such %s.", noun)
	}
	return err
}

// one is an error unless the statement touched a row.
func one(r sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}
