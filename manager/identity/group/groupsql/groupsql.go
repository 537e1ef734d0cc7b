// Package groupsql keeps groups in SQLite or PostgreSQL, by one SQL text. Members are rows of identity_user, which package
// identitysql owns: its tables must be there first. From those it reads who may sign in (disabled, deleted) and what
// people are called, and changes nothing.
package groupsql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strings"

	"odcm"
	"odcm/kit/db"
	"odcm/manager/identity/group"
)

//go:embed schema/*.sql
var schema embed.FS

// Events is the log into which a change's events go, in the transaction of the change.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Store implements [group.Store].
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
	return &Store{db: d, events: events}, d.Migrate(ctx, "identity_group", steps)
}

// Change implements [group.Store].
func (s *Store) Change(ctx context.Context, f func(tx group.Tx) ([]odcm.Event, error)) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		// PostgreSQL keeps this row for one transaction at a time, and a statement after it sees all that was committed
		// before. SQLite has one writer anyway.
		if _, err := tx.ExecContext(ctx, `UPDATE identity_group_turn SET turn = turn + 1 WHERE one = 1`); err != nil {
			return err
		}
		events, err := f(change{tx})
		if err != nil {
			return err
		}
		return s.events.Append(ctx, tx, events...)
	})
}

const columns = `g.id, g.name, g.description, g.provider, g.external_id, g.created, g.revision`

func dest(g *group.Group, created *int64) []any {
	return []any{&g.ID, &g.Name, &g.Description, &g.External.Provider, &g.External.ID, created, &g.Revision}
}

func scan(r db.Row) (g group.Group, err error) {
	var created int64
	err = r.Scan(dest(&g, &created)...)
	g.Created = db.Time(created)
	return g, err
}

func one(ctx context.Context, q db.Querier, id odcm.GroupID) (group.Group, error) {
	g, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM identity_group g WHERE g.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return group.Group{}, group.NotFound()
	}
	return g, err
}

// chunk bounds the parameters of one statement.
const chunk = 200

// each runs the query for the values, so many at a time, and collects all rows. The query has "IN ?" where they stand,
// after the given parameters.
func each[V, T any](ctx context.Context, q db.Querier, scan func(db.Row) (T, error), query string, values []V, first ...any) ([]T, error) {
	var all []T
	for len(values) > 0 {
		n := min(len(values), chunk)
		args := append(append([]any{}, first...), db.Args(values[:n])...)
		rows, err := db.Collect(ctx, q, scan, strings.Replace(query, "?", db.In(len(first)+1, n), 1), args...)
		if err != nil {
			return nil, err
		}
		all, values = append(all, rows...), values[n:]
	}
	return all, nil
}

func groups(ctx context.Context, q db.Querier, ids []odcm.GroupID) (map[odcm.GroupID]group.Group, error) {
	all, err := each(ctx, q, scan, `SELECT `+columns+` FROM identity_group g WHERE g.id IN ?`, ids)
	found := make(map[odcm.GroupID]group.Group, len(all))
	for _, g := range all {
		found[g.ID] = g
	}
	return found, err
}

func external(ctx context.Context, q db.Querier, provider odcm.ProviderID, ids []string) (map[string]group.Group, error) {
	all, err := each(ctx, q, scan, `SELECT `+columns+` FROM identity_group g WHERE g.provider = $1 AND g.provider <> '' AND g.external_id IN ?`, ids, provider)
	found := make(map[string]group.Group, len(all))
	for _, g := range all {
		found[g.External.ID] = g
	}
	return found, err
}

func asserted(ctx context.Context, q db.Querier, user odcm.UserID, provider odcm.ProviderID) ([]group.Group, error) {
	return db.Collect(ctx, q, scan, `SELECT `+columns+` FROM identity_group g JOIN identity_group_user m ON m.group_id = g.id
		WHERE m.user_id = $1 AND g.provider = $2 ORDER BY g.id`, user, provider)
}

const userColumns = `u.id, u.username, u.display_name, u.disabled`

func scanUser(r db.Row) (u group.User, err error) {
	return u, r.Scan(&u.ID, &u.Username, &u.DisplayName, &u.Disabled)
}

func users(ctx context.Context, q db.Querier, ids []odcm.UserID) (map[odcm.UserID]group.User, error) {
	all, err := each(ctx, q, scanUser, `SELECT `+userColumns+` FROM identity_user u WHERE u.deleted = 0 AND u.id IN ?`, ids)
	found := make(map[odcm.UserID]group.User, len(all))
	for _, u := range all {
		found[u.ID] = u
	}
	return found, err
}
