package db_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"testing/fstest"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

var schema = fstest.MapFS{"0001_thing.sql": {Data: []byte(`-- +goose Up
CREATE TABLE thing (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, revision BIGINT NOT NULL DEFAULT 1);
`)}}

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		for range 2 { // a second run changes nothing
			if err := d.Migrate(ctx, "thing", schema); err != nil {
				t.Fatal(err)
			}
		}
		insert := func(id, name string) error {
			return d.Tx(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO thing (id, name) VALUES ($1, $2)`, id, name)
				return err
			})
		}
		if err := insert("1", "a"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{insert("1", "b"), insert("2", "a")} {
			if !db.IsUnique(err) {
				t.Errorf("IsUnique(%v) = false", err)
			}
		}
		want := errors.New("changed my mind")
		err := d.Tx(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM thing`); err != nil {
				t.Error(err)
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("Tx returned %v", err)
		}
		names, err := db.Collect(ctx, d.Read(), func(r db.Row) (s string, err error) { return s, r.Scan(&s) },
			`SELECT name FROM thing WHERE id IN `+db.In(1, 2), db.Args([]string{"1", "2"})...)
		if err != nil || len(names) != 1 || names[0] != "a" {
			t.Errorf("after a rolled back delete: %v, %v", names, err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://x", "sqlite:/tmp/a?_pragma=x", "postgres://user:secret@[bad"} {
		d, err := db.Open(context.Background(), url, db.Options{})
		if err == nil {
			d.Close()
			t.Errorf("Open(%q) succeeded", url)
		}
	}
}
