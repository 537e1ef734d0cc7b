// Package scimsql keeps directories that push, their tokens and what they pushed, in SQLite or PostgreSQL, by one SQL text.
package scimsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/scim"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's event goes, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store implements [scim.Store].
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
	return &Store{db: d, events: events}, d.Migrate(ctx, "identity_scim", steps)
}

// change runs the statement, which must touch a row unless none is nil, and appends the event, in one transaction.
func (s *Store) change(ctx context.Context, e odcm.Event, none error, query string, args ...any) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, query, args...)
		if err := touched(r, err, none); err != nil {
			return err
		}
		return s.events.Append(ctx, tx, e)
	})
}

// touched is an error unless the statement touched a row.
func touched(r sql.Result, err, none error) error {
	if err != nil || none == nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}

func noDirectory() error {
	return odcm.E(odcm.NotFound, "scim.directory-not-found", "There is no such directory.")
}

// CreateDirectory implements [scim.Store].
func (s *Store) CreateDirectory(ctx context.Context, d scim.Directory, e odcm.Event) error {
	taken := odcm.E(odcm.Exists, "scim.directory-exists", "There is a directory for this provider already: make another token for it.").OnField("provider")
	return s.change(ctx, e, taken, `INSERT INTO identity_scim_directory (provider, name, prefix, trust_email, created, revision)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, d.Provider, d.Name, d.Prefix, d.TrustEmail, db.Millis(d.Created), d.Revision)
}

// UpdateDirectory implements [scim.Store].
func (s *Store) UpdateDirectory(ctx context.Context, d scim.Directory, e odcm.Event) error {
	changed := odcm.E(odcm.Conflict, "scim.directory-changed", "%s was changed by someone else meanwhile: look at it again, then repeat.", d.Name)
	return s.change(ctx, e, changed, `UPDATE identity_scim_directory SET name = $3, prefix = $4, trust_email = $5, revision = revision + 1
		WHERE provider = $1 AND revision = $2`, d.Provider, d.Revision, d.Name, d.Prefix, d.TrustEmail)
}

// DeleteDirectory implements [scim.Store].
func (s *Store) DeleteDirectory(ctx context.Context, provider odcm.ProviderID, e odcm.Event) error {
	return s.change(ctx, e, noDirectory(), `DELETE FROM identity_scim_directory WHERE provider = $1`, provider)
}

const directoryColumns = `d.provider, d.name, d.prefix, d.trust_email, d.created, d.revision`

func scanDirectory(r db.Row) (d scim.Directory, err error) {
	var created int64
	err = r.Scan(&d.Provider, &d.Name, &d.Prefix, &d.TrustEmail, &created, &d.Revision)
	d.Created = db.Time(created)
	return d, err
}

// Directory implements [scim.Store].
func (s *Store) Directory(ctx context.Context, provider odcm.ProviderID) (scim.Directory, error) {
	d, err := scanDirectory(s.db.Read().QueryRowContext(ctx, `SELECT `+directoryColumns+` FROM identity_scim_directory d WHERE d.provider = $1`, provider))
	if errors.Is(err, sql.ErrNoRows) {
		err = noDirectory()
	}
	return d, err
}

// Directories implements [scim.Store].
func (s *Store) Directories(ctx context.Context) ([]scim.Directory, error) {
	return db.Collect(ctx, s.db.Read(), scanDirectory, `SELECT `+directoryColumns+` FROM identity_scim_directory d ORDER BY lower(d.name), d.provider`)
}

// CreateToken implements [scim.Store].
func (s *Store) CreateToken(ctx context.Context, t scim.Token, token string, e odcm.Event) error {
	return s.change(ctx, e, nil, `INSERT INTO identity_scim_token (id, token, provider, purpose, hint, created, expires, used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		t.ID, token, t.Provider, t.Purpose, t.Hint, db.Millis(t.Created), db.Millis(t.Expires), db.Millis(t.Used))
}

// DeleteToken implements [scim.Store].
func (s *Store) DeleteToken(ctx context.Context, provider odcm.ProviderID, id string, e odcm.Event) error {
	return s.change(ctx, e, odcm.E(odcm.NotFound, "scim.token-not-found", "There is no such token."),
		`DELETE FROM identity_scim_token WHERE provider = $1 AND id = $2`, provider, id)
}

const tokenColumns = `t.id, t.provider, t.purpose, t.hint, t.created, t.expires, t.used`

// tokenRow is where a row's tokenColumns are scanned into.
type tokenRow struct {
	token                  scim.Token
	created, expires, used int64
}

func (r *tokenRow) dest() []any {
	return []any{&r.token.ID, &r.token.Provider, &r.token.Purpose, &r.token.Hint, &r.created, &r.expires, &r.used}
}

func (r *tokenRow) value() scim.Token {
	r.token.Created, r.token.Expires, r.token.Used = db.Time(r.created), db.Time(r.expires), db.Time(r.used)
	return r.token
}

// Tokens implements [scim.Store].
func (s *Store) Tokens(ctx context.Context, provider odcm.ProviderID) ([]scim.Token, error) {
	return db.Collect(ctx, s.db.Read(), func(r db.Row) (scim.Token, error) {
		var row tokenRow
		err := r.Scan(row.dest()...)
		return row.value(), err
	}, `SELECT `+tokenColumns+` FROM identity_scim_token t WHERE t.provider = $1 ORDER BY t.created DESC, t.id DESC`, provider)
}

// ByToken implements [scim.Store].
func (s *Store) ByToken(ctx context.Context, token string) (scim.Token, scim.Directory, error) {
	var row tokenRow
	var d scim.Directory
	var created int64
	err := s.db.Read().QueryRowContext(ctx, `SELECT `+tokenColumns+`, `+directoryColumns+` FROM identity_scim_token t
		JOIN identity_scim_directory d ON d.provider = t.provider WHERE t.token = $1`, token).
		Scan(append(row.dest(), &d.Provider, &d.Name, &d.Prefix, &d.TrustEmail, &created, &d.Revision)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = odcm.E(odcm.NotFound, "scim.token-not-found", "There is no such token.")
	}
	d.Created = db.Time(created)
	return row.value(), d, err
}

// TouchToken implements [scim.Store].
func (s *Store) TouchToken(ctx context.Context, id string, used time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE identity_scim_token SET used = $2 WHERE id = $1 AND used < $2`, id, db.Millis(used))
		return err
	})
}
