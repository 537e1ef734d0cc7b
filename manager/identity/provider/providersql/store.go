// Package providersql keeps providers in SQLite or PostgreSQL, by one SQL text.
package providersql

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/provider"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store implements [provider.Store].
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
	return &Store{db: d, events: events}, d.Migrate(ctx, "identity_provider", steps)
}

const columns = `id, kind, name, enabled, position, settings, secrets, sync_every, created, revision,
	sync_succeeded, sync_tried, sync_error, sync_held, people, groups_found, memberships, sync_asked, sync_accepted,
	test_started, test_ended, findings`

func scan(row db.Row) (r provider.Record, err error) {
	var settings, secrets, findings string
	var every, created, succeeded, tried, asked, started, ended int64
	err = row.Scan(&r.ID, &r.Kind, &r.Name, &r.Enabled, &r.Order, &settings, &secrets, &every, &created, &r.Revision,
		&succeeded, &tried, &r.Sync.Error, &r.Sync.Held, &r.Sync.People, &r.Sync.Groups, &r.Sync.Memberships, &asked, &r.Sync.Accepted,
		&started, &ended, &findings)
	if err != nil {
		return r, err
	}
	r.SyncEvery, r.Created = time.Duration(every)*time.Millisecond, db.Time(created)
	r.Sync.Succeeded, r.Sync.Tried, r.Sync.Asked = db.Time(succeeded), db.Time(tried), db.Time(asked)
	r.Test.Started, r.Test.Ended = db.Time(started), db.Time(ended)
	return r, errors.Join(json.Unmarshal([]byte(settings), &r.Settings), json.Unmarshal([]byte(secrets), &r.Sealed),
		json.Unmarshal([]byte(findings), &r.Test.Findings))
}

// Providers implements [provider.Store].
func (s *Store) Providers(ctx context.Context) ([]provider.Record, error) {
	return db.Collect(ctx, s.db.Read(), scan, `SELECT `+columns+` FROM identity_provider ORDER BY position, name_key, id`)
}

// Provider implements [provider.Store].
func (s *Store) Provider(ctx context.Context, id odcm.ProviderID) (provider.Record, error) {
	r, err := scan(s.db.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM identity_provider WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, notFound()
	}
	return r, err
}

func notFound() error {
	return odcm.E(odcm.NotFound, "provider.not-found", "There is no such provider.")
}

func nameTaken(err error, name string) error {
	if db.IsUnique(err) {
		return odcm.E(odcm.Exists, "provider.name-taken", "There is a provider named %s already: choose another name.", name).OnField("name")
	}
	return err
}

// texts are the JSON columns; strings marshal without error.
func texts(r provider.Record) (settings, secrets string) {
	a, _ := json.Marshal(r.Settings)
	b, _ := json.Marshal(r.Sealed)
	return string(a), string(b)
}

// Create implements [provider.Store].
func (s *Store) Create(ctx context.Context, r provider.Record, e odcm.Event) error {
	settings, secrets := texts(r)
	err := s.change(ctx, []odcm.Event{e}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_provider (id, kind, name, name_key, enabled, position, settings, secrets, sync_every, created, revision,
			sync_succeeded, sync_tried, sync_error, sync_held, people, groups_found, memberships, sync_asked, sync_accepted, test_started, test_ended, findings)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, '', '', 0, 0, 0, 0, FALSE, 0, 0, '[]')`,
			r.ID, r.Kind, r.Name, strings.ToLower(r.Name), r.Enabled, r.Order, settings, secrets, r.SyncEvery.Milliseconds(), db.Millis(r.Created), r.Revision)
		return err
	})
	return nameTaken(err, r.Name)
}

// Update implements [provider.Store].
func (s *Store) Update(ctx context.Context, r provider.Record, e odcm.Event) error {
	settings, secrets := texts(r)
	err := s.change(ctx, []odcm.Event{e}, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE identity_provider SET name = $3, name_key = $4, enabled = $5, position = $6, settings = $7, secrets = $8,
			sync_every = $9, revision = revision + 1 WHERE id = $1 AND revision = $2`,
			r.ID, r.Revision, r.Name, strings.ToLower(r.Name), r.Enabled, r.Order, settings, secrets, r.SyncEvery.Milliseconds())
		return one(result, err, odcm.E(odcm.Conflict, "provider.changed", "%s was changed by someone else: look again, then repeat.", r.Name))
	})
	return nameTaken(err, r.Name)
}

// Ask implements [provider.Store].
func (s *Store) Ask(ctx context.Context, id odcm.ProviderID, at time.Time, accept bool, e odcm.Event) error {
	return s.change(ctx, []odcm.Event{e}, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE identity_provider SET sync_asked = $2, sync_accepted = $3 WHERE id = $1`, id, db.Millis(at), accept)
		return one(result, err, notFound())
	})
}

// SetSync implements [provider.Store]. An acceptance that came while the reading went on is for the next.
func (s *Store) SetSync(ctx context.Context, id odcm.ProviderID, n provider.Sync, events ...odcm.Event) error {
	return s.change(ctx, events, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE identity_provider SET sync_succeeded = $2, sync_tried = $3, sync_error = $4, sync_held = $5,
			people = $6, groups_found = $7, memberships = $8, sync_accepted = CASE WHEN $9 AND sync_asked <= $3 THEN FALSE ELSE sync_accepted END WHERE id = $1`,
			id, db.Millis(n.Succeeded), db.Millis(n.Tried), n.Error, n.Held, n.People, n.Groups, n.Memberships, n.Error == "" && n.Held == "")
		return one(result, err, notFound())
	})
}

// SetTest implements [provider.Store].
func (s *Store) SetTest(ctx context.Context, id odcm.ProviderID, t provider.Test) error {
	findings := []byte("[]")
	if len(t.Findings) > 0 {
		var err error
		if findings, err = json.Marshal(t.Findings); err != nil {
			return err
		}
	}
	return s.change(ctx, nil, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE identity_provider SET test_started = $2, test_ended = $3, findings = $4 WHERE id = $1`,
			id, db.Millis(t.Started), db.Millis(t.Ended), string(findings))
		return one(result, err, notFound())
	})
}

// change runs f and appends the events in one transaction.
func (s *Store) change(ctx context.Context, events []odcm.Event, f func(tx *sql.Tx) error) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, events...)
	})
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
