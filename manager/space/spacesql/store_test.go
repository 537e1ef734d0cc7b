package spacesql_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
	"odcm/manager/space"
	"odcm/manager/space/spacesql"
	"odcm/manager/space/spacetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := openStore(t, d)
		spacetest.Run(t, w.store, w)
	})
}

func TestSecretsAreNotReadable(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	w := openStore(t, d)
	ctx := context.Background()
	in := space.Instance{ID: "instance-1", APIKey: "API-TOPSECRET", Origin: space.Enlisted}
	sp := space.Space{ID: "space-1", Instance: in.ID, Slug: "s", Name: "S", State: space.StateActive}
	err := errors.Join(w.store.Commit(ctx, space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}}),
		w.store.SaveHook(ctx, space.Hook{Space: sp.ID, Secret: "API-TOPSECRET", Previous: []byte(`"API-TOPSECRET"`)}),
		w.store.SaveDraft(ctx, space.Draft{ID: "d", Connection: space.Connection{APIKey: "API-TOPSECRET"}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{`SELECT api_key FROM space_instance`, `SELECT secret FROM space_hook`, `SELECT previous FROM space_hook`, `SELECT sealed FROM space_draft`} {
		var stored string
		if err := d.Read().QueryRow(query).Scan(&stored); err != nil || stored == "" || strings.Contains(stored, "TOPSECRET") {
			t.Errorf("%s: %q, %v", query, stored, err)
		}
	}
	// A sealed value that is carried to another row opens nothing.
	if _, err := d.Write().Exec(`INSERT INTO space_instance SELECT 'instance-2', url, api_key, ca, thumbprint, installation_id, version, origin, server_id, created, revision FROM space_instance`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Instance(ctx, "instance-2"); err == nil {
		t.Error("a key that was copied to another row was read")
	}
}

// witness stands in for events and tasks, with tables of its own in the same transactions.
type witness struct {
	d      *db.DB
	store  *spacesql.Store
	refuse error
}

func openStore(t testing.TB, d *db.DB) *witness {
	t.Helper()
	w := &witness{d: d}
	for _, table := range []string{`CREATE TABLE seen_task (id TEXT)`, `CREATE TABLE seen_event (type TEXT)`} {
		if _, err := d.Write().Exec(table); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.store, err = spacesql.New(context.Background(), d, w, w, spacetest.Bound{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *witness) Submit(ctx context.Context, tx *sql.Tx, req task.Request) (odcm.TaskID, error) {
	_, err := tx.ExecContext(ctx, `INSERT INTO seen_task (id) VALUES ($1)`, req.ID)
	return req.ID, err
}

func (w *witness) Append(ctx context.Context, tx *sql.Tx, events ...odcm.Event) error {
	for _, e := range events {
		if _, err := tx.ExecContext(ctx, `INSERT INTO seen_event (type) VALUES ($1)`, e.Type); err != nil {
			return err
		}
	}
	err := w.refuse
	w.refuse = nil
	return err
}

func (w *witness) Refuse(err error) { w.refuse = err }

func (w *witness) Tasks(t testing.TB) []odcm.TaskID {
	return column[odcm.TaskID](t, w.d, `SELECT id FROM seen_task`)
}
func (w *witness) Events(t testing.TB) []string {
	return column[string](t, w.d, `SELECT type FROM seen_event`)
}

func column[T any](t testing.TB, d *db.DB, query string) []T {
	t.Helper()
	all, err := db.Collect(context.Background(), d.Read(), func(r db.Row) (v T, err error) { return v, r.Scan(&v) }, query)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
