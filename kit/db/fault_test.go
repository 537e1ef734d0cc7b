package db_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	ours := odcm.E(odcm.Conflict, "thing.changed", "x")
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"a full disk":                  {&pgconn.PgError{Code: "53100"}, db.CodeFull},
		"a server that shuts down":     {&pgconn.PgError{Code: "57P01"}, db.CodeAway},
		"a server that starts":         {fmt.Errorf("x: %w", &pgconn.PgError{Code: "57P03"}), db.CodeAway},
		"a process that was suspended": {&pgconn.PgError{Code: "25P03"}, db.CodeAway},
		"too many connections":         {&pgconn.PgError{Code: "53300"}, db.CodeAway},
		"a connection that was cut":    {driver.ErrBadConn, db.CodeAway},
		"a zero byte":                  {&pgconn.PgError{Code: "22021"}, db.CodeText},
		"a broken rule":                {&pgconn.PgError{Code: "23505"}, ""},
		"what is explained":            {ours.Because(&pgconn.PgError{Code: "53100"}), "thing.changed"},
		"nobody who waits":             {fmt.Errorf("x: %w", errors.Join(context.Canceled, driver.ErrBadConn)), ""},
		"what has nothing to do here":  {sql.ErrNoRows, ""},
		"nothing":                      {nil, ""},
	} {
		got := db.Explain(c.err)
		var e *odcm.Error
		switch {
		case c.code == "" && got != c.err: // the very same is to come back
			t.Errorf("%s became %v", name, got)
		case c.code != "" && (!errors.As(got, &e) || e.Code != c.code || !errors.Is(got, c.err)):
			t.Errorf("%s: got %v, want %s", name, got, c.code)
		}
	}
}

// Tx explains what both databases say of a text that cannot be stored, or stores it.
func TestTextWithAZeroByte(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		things(t, d)
		err := d.Tx(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE thing SET id = $1 WHERE id = 'a'`, "a\x00b")
			return err
		})
		if d.Postgres() && (odcm.KindOf(err) != odcm.Invalid || odcm.CodeOf(err) != db.CodeText) || !d.Postgres() && err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// A database that another program holds for too long is an error that says so.
func TestLockedByAnother(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	theirs := dbtest.Open(t, url)
	impatient, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	things(t, theirs)
	err = theirs.Tx(t.Context(), func(*sql.Tx) error {
		_, err := impatient.ExecContext(t.Context(), `DELETE FROM thing`)
		return db.Explain(err)
	})
	if odcm.KindOf(err) != odcm.Unavailable || odcm.CodeOf(err) != db.CodeAway {
		t.Errorf("got %v", err)
	}
}
