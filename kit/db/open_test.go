package db_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

func TestSQLiteFileIsPrivateAndStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "made", "odcm.db")
	for i := range 2 {
		d, err := db.Open(t.Context(), "sqlite:"+path, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			things(t, d)
		} else if n := revision(t, d, "b"); n != 0 {
			t.Errorf("revision %d", n)
		}
		for _, name := range []string{path, path + "-wal"} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
}

func TestReadRefusesToWrite(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	things(t, d)
	if _, err := d.Read().ExecContext(t.Context(), `DELETE FROM thing`); err == nil {
		t.Error("Read wrote")
	}
	if n := revision(t, d, "a"); n != 0 {
		t.Error("and it stayed")
	}
}

func TestPostgresEndsForgottenTransactions(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	for suffix, want := range map[string]string{"": "20s", "&idle_in_transaction_session_timeout=7000": "7s"} {
		var got string
		if err := dbtest.Open(t, url+suffix).Read().QueryRowContext(t.Context(), `SHOW idle_in_transaction_session_timeout`).Scan(&got); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", suffix, got, err, want)
		}
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, url := range []string{
		"postgres://odcm:hunter2@127.0.0.1:1/x?sslmode=disable",
		"postgres://odcm:hunter2@127.0.0.1:bad/x",
		"postgres://odcm:hunter2@127.0.0.1:1/x?sslmode=nonsense&sslpassword=hunter2",
		"postgresql://odcm:hunter2@[::1/x",
	} {
		d, err := db.Open(ctx, url, db.Options{})
		if err == nil {
			d.Close()
			t.Errorf("%s: opened", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
		if strings.Contains(db.Redact(url), "hunter2") {
			t.Errorf("Redact: %s", db.Redact(url))
		}
	}
}

func TestTimesKeepMilliseconds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 18, 0, 0, 123_456_789, time.FixedZone("", 3600))
	if got := db.Time(db.Millis(now)); !got.Equal(now.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
	if !db.Time(db.Millis(time.Time{})).IsZero() {
		t.Error("the zero time did not stay zero")
	}
}
