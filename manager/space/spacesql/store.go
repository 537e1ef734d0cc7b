// Package spacesql keeps the Spaces of package space in a database, SQLite or PostgreSQL. API keys, webhook secrets and
// drafts are sealed, each bound to its row.
package spacesql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/task"
	"odcm/manager/space"
)

// Events appends events in the transaction of a change. kit/eventlog.Log is one.
type Events interface {
	Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error
}

// Tasks submits tasks in the transaction of a change. kit/task.Engine is one.
type Tasks interface {
	Submit(ctx context.Context, tx *sql.Tx, req task.Request) (odcm.TaskID, error)
}

// Sealer encrypts what must not lie readable in the database. kit/seal.Sealer is one.
type Sealer interface {
	Seal(plain []byte, ad string) (string, error)
	Open(sealed, ad string) ([]byte, error)
}

// Store is a [space.Store] on a database.
type Store struct {
	db     *db.DB
	events Events
	tasks  Tasks
	sealer Sealer
}

var _ space.Store = (*Store)(nil)

//go:embed schema/*.sql
var schema embed.FS

// New makes or updates the room's tables and returns the store.
func New(ctx context.Context, d *db.DB, events Events, tasks Tasks, sealer Sealer) (*Store, error) {
	steps, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "space", steps); err != nil {
		return nil, err
	}
	return &Store{db: d, events: events, tasks: tasks, sealer: sealer}, nil
}

// Commit implements [space.Inventory].
func (s *Store) Commit(ctx context.Context, c space.Change) (err error) {
	defer odcm.Wrap(&err, "commit to Spaces")
	for attempt := 1; ; attempt++ {
		err = s.db.Tx(ctx, func(tx *sql.Tx) error { return s.commit(ctx, tx, c) })
		if !db.IsUnique(err) {
			return err
		}
		if clash := s.clash(ctx, c); clash != nil {
			return clash
		}
		if attempt == 5 { // only the slug is left to clash, and a new one is sought each time
			return err
		}
	}
}

func (s *Store) commit(ctx context.Context, tx *sql.Tx, c space.Change) error {
	for _, in := range c.Instances {
		if err := s.putInstance(ctx, tx, in); err != nil {
			return err
		}
	}
	for _, sp := range c.Spaces {
		if err := s.putSpace(ctx, tx, sp); err != nil {
			return err
		}
	}
	for _, id := range c.Removed {
		if err := remove(ctx, tx, id); err != nil {
			return err
		}
	}
	for _, req := range c.Tasks {
		if _, err := s.tasks.Submit(ctx, tx, req); err != nil {
			return err
		}
	}
	if len(c.Events) == 0 {
		return nil
	}
	return s.events.Append(ctx, tx, c.Events...)
}

func (s *Store) putInstance(ctx context.Context, tx *sql.Tx, in space.Instance) error {
	key, err := s.sealer.Seal([]byte(in.APIKey), keyOf(in.ID))
	if err != nil {
		return err
	}
	if in.Revision == 0 {
		_, err := tx.ExecContext(ctx, `INSERT INTO space_instance (id, url, api_key, ca, thumbprint, installation_id, version, origin,
			server_id, created, revision) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,1)`,
			in.ID, in.URL, key, in.TLS.CA, in.TLS.Thumbprint, in.InstallationID, in.Version, in.Origin, in.Server, db.Millis(in.Created))
		return err
	}
	return one(tx.ExecContext(ctx, `UPDATE space_instance SET url=$1, api_key=$2, ca=$3, thumbprint=$4, installation_id=$5, version=$6,
		server_id=$7, revision=revision+1 WHERE id=$8 AND revision=$9`,
		in.URL, key, in.TLS.CA, in.TLS.Thumbprint, in.InstallationID, in.Version, in.Server, in.ID, in.Revision))
}

func (s *Store) putSpace(ctx context.Context, tx *sql.Tx, sp space.Space) error {
	if sp.Revision == 0 {
		slug, err := freeSlug(ctx, tx, sp.Slug)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO space (id, instance_id, octopus_space, slug, name, name_key, description, state, reason,
			task_id, created, revision) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,1)`,
			sp.ID, sp.Instance, sp.Octopus, slug, sp.Name, space.Fold(sp.Name), sp.Description, sp.State, sp.Reason, sp.Task, db.Millis(sp.Created))
		return err
	}
	return one(tx.ExecContext(ctx, `UPDATE space SET octopus_space=$1, name=$2, name_key=$3, description=$4, state=$5, reason=$6, task_id=$7,
		revision=revision+1 WHERE id=$8 AND revision=$9`,
		sp.Octopus, sp.Name, space.Fold(sp.Name), sp.Description, sp.State, sp.Reason, sp.Task, sp.ID, sp.Revision))
}

// freeSlug returns the slug, or the first of slug-2, slug-3, ... that no Space has.
func freeSlug(ctx context.Context, tx *sql.Tx, slug string) (string, error) {
	taken, err := db.Collect(ctx, tx, text, `SELECT slug FROM space WHERE slug = $1 OR slug LIKE $2`, slug, slug+"-%")
	if err != nil {
		return "", err
	}
	is := make(map[string]bool, len(taken))
	for _, t := range taken {
		is[t] = true
	}
	free := slug
	for i := 2; is[free]; i++ {
		free = fmt.Sprintf("%s-%d", slug, i)
	}
	return free, nil
}

func text(r db.Row) (v string, err error) { return v, r.Scan(&v) }

// remove deletes the Space and, when it held no other, its instance. That it is gone already is no error.
func remove(ctx context.Context, tx *sql.Tx, id odcm.SpaceID) error {
	var instance odcm.InstanceID
	err := tx.QueryRowContext(ctx, `DELETE FROM space WHERE id = $1 RETURNING instance_id`, id).Scan(&instance)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM space_instance WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM space WHERE instance_id = $1)`, instance)
	return err
}

// one makes a conflict of a change that found no row of its revision.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return odcm.E(odcm.Conflict, "space.changed", "The Space was changed by someone else meanwhile: look at it again, then repeat.")
}

// clash finds out which unique thing a change that was refused wanted twice; nil if that has gone meanwhile.
func (s *Store) clash(ctx context.Context, c space.Change) error {
	for _, sp := range c.Spaces {
		n, err := s.count(ctx, `SELECT count(*) FROM space WHERE name_key = $1 AND id <> $2`, space.Fold(sp.Name), sp.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return odcm.E(odcm.Exists, "space.name-taken", "Another Space is called %s: choose another name.", sp.Name)
		}
		n, err = s.count(ctx, `SELECT count(*) FROM space WHERE instance_id = $1 AND octopus_space = $2 AND octopus_space <> '' AND id <> $3`,
			sp.Instance, sp.Octopus, sp.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return odcm.E(odcm.Exists, "space.already-enlisted", "%s is enlisted already.", sp.Name)
		}
	}
	for _, in := range c.Instances {
		n, err := s.count(ctx, `SELECT count(*) FROM space_instance WHERE installation_id = $1 AND installation_id <> '' AND id <> $2`,
			in.InstallationID, in.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return odcm.E(odcm.Exists, "space.already-enlisted", "The server at %s is enlisted already.", in.URL)
		}
	}
	return nil
}

func (s *Store) count(ctx context.Context, query string, args ...any) (n int, err error) {
	return n, s.db.Read().QueryRowContext(ctx, query, args...).Scan(&n)
}

// The associated data that binds a sealed value to its place.
func keyOf(id odcm.InstanceID) string   { return "space_instance/api_key/" + string(id) }
func secretOf(id odcm.SpaceID) string   { return "space_hook/secret/" + string(id) }
func previousOf(id odcm.SpaceID) string { return "space_hook/previous/" + string(id) }
func connectionOf(draft string) string  { return "space_draft/sealed/" + draft }
