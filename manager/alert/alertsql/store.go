// Package alertsql keeps rules, incidents and deliveries in SQLite or PostgreSQL, by one SQL text.
package alertsql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"io/fs"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/lease"
	"odcm/kit/mail"
	"odcm/manager/alert"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Leases say whether a replica is still the one that evaluates.
type Leases interface {
	Check(ctx context.Context, tx *sql.Tx, l lease.Lease) error
}

// Outbox takes mail in the transaction of what it tells about.
type Outbox interface {
	Put(ctx context.Context, tx *sql.Tx, m mail.Message, until time.Time) error
}

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// Options are what a [Store] needs; all are required.
type Options struct {
	DB     *db.DB
	Events Events
	Leases Leases
	Outbox Outbox
	Bus    Bus
}

// Store implements the stores of the packages watch, delivery and desk.
type Store struct{ o Options }

// New brings the tables to their newest schema and puts rules there that came with this version.
func New(ctx context.Context, o Options) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := o.DB.Migrate(ctx, "alert", steps); err != nil {
		return nil, err
	}
	return &Store{o}, o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for _, r := range alert.Defaults() {
			done, err := tx.ExecContext(ctx, `INSERT INTO alert_seed (id) VALUES ($1) ON CONFLICT (id) DO NOTHING`, r.ID)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				if err != nil {
					return err
				}
				continue
			}
			body, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO alert_setting (kind, id, body, ends, revision) VALUES ($1, $2, $3, 0, 1)
				ON CONFLICT (kind, id) DO NOTHING`, "rule", r.ID, string(body)); err != nil {
				return err
			}
		}
		return nil
	})
}

// hint tells of incidents that changed: each, or where there are many, that many did.
func (s *Store) hint(tx *sql.Tx, ids []string) {
	topics := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		topics = append(topics, "incident/"+id)
	}
	if len(ids) > 20 {
		topics = []string{"incident/many"}
	}
	if len(topics) > 0 {
		s.o.DB.AfterCommit(tx, func() { s.o.Bus.Publish(topics...) })
	}
}

// chunk bounds the parameters of one statement.
const chunk = 500
