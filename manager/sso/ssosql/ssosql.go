// Package ssosql keeps relying parties, grants and keys in SQLite or PostgreSQL, by one SQL text.
package ssosql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/logout"
	"odcm/manager/sso/ssokey"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store is what the room and its parts keep.
type Store struct {
	db      *db.DB
	events  Events
	redeem  committer[redemption, int]
	rotates committer[rotation, grant.Rotation]
}

var (
	_ grant.Store  = (*Store)(nil)
	_ device.Store = (*Store)(nil)
	_ logout.Store = (*Store)(nil)
	_ ssokey.Store = (*Store)(nil)
)

// New brings the tables to their newest schema.
func New(ctx context.Context, d *db.DB, events Events) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	s := &Store{db: d, events: events}
	s.redeem.commit, s.rotates.commit = s.redeemAll, s.rotateAll
	return s, d.Migrate(ctx, "sso", steps)
}

// change runs f and appends the event in one transaction.
func (s *Store) change(ctx context.Context, e odcm.Event, f func(tx *sql.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
}

// Record implements [sso.PartyStore].
func (s *Store) Record(ctx context.Context, e odcm.Event) error {
	return s.change(ctx, e, func(*sql.Tx) error { return nil })
}

// Mark implements [sso.PartyStore].
func (s *Store) Mark(ctx context.Context, name string, expires time.Time) (fresh bool, err error) {
	err = s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO sso_mark (name, expires) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, db.Millis(expires))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		fresh = n == 1
		return err
	})
	return fresh, err
}

// Prune implements [grant.Store].
func (s *Store) Prune(ctx context.Context, at time.Time) error {
	for _, table := range []string{"sso_grant", "sso_mark", "sso_device", "sso_logout"} { // one transaction each: sign-ins go on between them
		if err := s.db.Tx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE expires <= $1`, db.Millis(at))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// one turns "no row" into the error.
func one(err error, missing error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return err
}

// touched returns the error where the statement touched no row.
func touched(res sql.Result, err error, missing error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return missing
}
