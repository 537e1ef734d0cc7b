// Package licencesql keeps the entitlement on SQLite and PostgreSQL.
package licencesql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"io/fs"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/licence"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log that commits with the rows (kit/eventlog).
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store is a [licence.Store].
type Store struct {
	d      *db.DB
	events Events
}

var _ licence.Store = (*Store)(nil)

// New brings the room's table up to date.
func New(ctx context.Context, d *db.DB, events Events) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "licence", steps); err != nil {
		return nil, err
	}
	return &Store{d: d, events: events}, nil
}

// Installed returns what is installed; nil where there is none.
func (s *Store) Installed(ctx context.Context) (*licence.Installed, error) {
	return installed(ctx, s.d.Read())
}

func installed(ctx context.Context, q db.Querier) (*licence.Installed, error) {
	var file string
	var at int64
	in := &licence.Installed{}
	err := q.QueryRowContext(ctx, `SELECT file, installed_at, installed_by FROM licence_entitlement WHERE one = 1`).Scan(&file, &at, &in.By)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in.At = db.Time(at)
	plain, err := base64.StdEncoding.DecodeString(file)
	in.File = string(plain)
	return in, err
}

// Swap puts next in the place of what is installed. Of two at a time the second sees what the first left.
func (s *Store) Swap(ctx context.Context, next *licence.Installed, decide func(before *licence.Installed) (*odcm.Event, error)) error {
	return s.d.Tx(ctx, func(tx *sql.Tx) error {
		if s.d.Postgres() {
			if _, err := tx.ExecContext(ctx, `LOCK TABLE licence_entitlement IN SHARE ROW EXCLUSIVE MODE`); err != nil {
				return err
			}
		}
		before, err := installed(ctx, tx)
		if err != nil {
			return err
		}
		e, err := decide(before)
		if err != nil || e == nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM licence_entitlement`); err != nil {
			return err
		}
		if next != nil {
			if _, err := tx.ExecContext(ctx, `INSERT INTO licence_entitlement (one, file, installed_at, installed_by) VALUES (1, $1, $2, $3)`,
				base64.StdEncoding.EncodeToString([]byte(next.File)), db.Millis(next.At), next.By); err != nil {
				return err
			}
		}
		return s.events.Append(ctx, tx, *e)
	})
}
