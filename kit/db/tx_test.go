package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

// things makes the table thing with the rows "a" and "b", revision 0.
func things(t *testing.T, d *db.DB) {
	t.Helper()
	if err := d.Migrate(t.Context(), "thing", schema); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write().ExecContext(t.Context(), `INSERT INTO thing (id, name, revision) VALUES ('a', 'a', 0), ('b', 'b', 0)`); err != nil {
		t.Fatal(err)
	}
}

func revision(t *testing.T, d *db.DB, id string) (n int) {
	t.Helper()
	if err := d.Read().QueryRowContext(t.Context(), `SELECT revision FROM thing WHERE id = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func bump(ctx context.Context, tx *sql.Tx, id string) error {
	_, err := tx.ExecContext(ctx, `UPDATE thing SET revision = revision + 1 WHERE id = $1`, id)
	return err
}

func TestAfterCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		things(t, d)
		var calls []string
		err := d.Tx(t.Context(), func(tx *sql.Tx) error {
			d.AfterCommit(tx, func() { calls = append(calls, fmt.Sprint("first sees ", revision(t, d, "a"))) }) // Tx gave the connection back
			d.AfterCommit(tx, func() { calls = append(calls, "second") })
			return bump(t.Context(), tx, "a")
		})
		if err != nil || !slices.Equal(calls, []string{"first sees 1", "second"}) {
			t.Errorf("called %q, %v", calls, err)
		}
		no := errors.New("no")
		err = d.Tx(t.Context(), func(tx *sql.Tx) error {
			d.AfterCommit(tx, func() { t.Error("called after a rollback") })
			return no
		})
		if !errors.Is(err, no) {
			t.Error(err)
		}
		tx, err := d.Write().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.AfterCommit(tx, func() { t.Error("called for a transaction of another") }) {
			t.Error("AfterCommit took a transaction that Tx does not run")
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
	})
}

func TestPanicRollsBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		things(t, d)
		func() {
			defer func() { _ = recover() }()
			_ = d.Tx(t.Context(), func(tx *sql.Tx) error {
				d.AfterCommit(tx, func() { t.Error("called after a panic") })
				if err := bump(t.Context(), tx, "a"); err != nil {
					t.Error(err)
				}
				panic("oh no")
			})
		}()
		if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return bump(t.Context(), tx, "b") }); err != nil {
			t.Errorf("the next transaction: %v", err)
		}
		if a, b := revision(t, d, "a"), revision(t, d, "b"); a != 0 || b != 1 {
			t.Errorf("a %d, b %d", a, b)
		}
	})
}

// Compare-and-swap by revision loses no update, however many write at once.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		things(t, d)
		const writers, each = 8, 10
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for done := 0; done < each; {
					err := d.Tx(t.Context(), func(tx *sql.Tx) error {
						var n int
						if err := tx.QueryRowContext(t.Context(), `SELECT revision FROM thing WHERE id = 'a'`).Scan(&n); err != nil {
							return err
						}
						res, err := tx.ExecContext(t.Context(), `UPDATE thing SET revision = $1 WHERE id = 'a' AND revision = $2`, n+1, n)
						if err != nil {
							return err
						}
						if changed, _ := res.RowsAffected(); changed == 1 {
							done++
						}
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
		if n := revision(t, d, "a"); n != writers*each {
			t.Errorf("%d of %d updates are left", n, writers*each)
		}
	})
}

// Two transactions that lock two rows in opposite order: PostgreSQL ends one, and Tx runs it again.
func TestDeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.PostgreSQL(t))
	things(t, d)
	var locked, all sync.WaitGroup
	locked.Add(2)
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		first := true
		all.Go(func() {
			err := d.Tx(t.Context(), func(tx *sql.Tx) error {
				if err := bump(t.Context(), tx, order[0]); err != nil {
					return err
				}
				if first {
					first = false
					locked.Done()
					locked.Wait()
				}
				return bump(t.Context(), tx, order[1])
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if a, b := revision(t, d, "a"), revision(t, d, "b"); a != 2 || b != 2 {
		t.Errorf("a %d, b %d", a, b)
	}
}

func TestCutConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	d, other := dbtest.Open(t, url), dbtest.Open(t, url)
	things(t, d)
	if _, err := other.Write().ExecContext(t.Context(),
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()`); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 3 { // the first may meet a connection that looks alive until it is used
		if err = d.Tx(t.Context(), func(tx *sql.Tx) error { return bump(t.Context(), tx, "a") }); err == nil {
			return
		}
	}
	t.Error(err)
}

func TestCancelEndsWaitingAndWork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		things(t, d)
		ended := func(what string, f func(ctx context.Context) error) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := f(ctx); err == nil {
				t.Errorf("%s: no error", what)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("%s: ended only after %v", what, took)
			}
		}
		endless := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n`
		ended("a runaway query", func(ctx context.Context) error {
			var n int
			return d.Read().QueryRowContext(ctx, endless).Scan(&n)
		})
		ended("a runaway transaction", func(ctx context.Context) error {
			return d.Tx(ctx, func(tx *sql.Tx) error {
				if err := bump(ctx, tx, "a"); err != nil {
					return err
				}
				var n int
				return tx.QueryRowContext(ctx, endless).Scan(&n)
			})
		})
		holding, release := make(chan struct{}), make(chan struct{})
		var held sync.WaitGroup
		held.Go(func() {
			err := d.Tx(context.Background(), func(tx *sql.Tx) error {
				err := bump(context.Background(), tx, "b")
				close(holding)
				<-release
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-holding
		ended("waiting for another writer", func(ctx context.Context) error {
			return d.Tx(ctx, func(tx *sql.Tx) error { return bump(ctx, tx, "b") })
		})
		close(release)
		held.Wait()
		if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return bump(t.Context(), tx, "a") }); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if a, b := revision(t, d, "a"), revision(t, d, "b"); a != 1 || b != 1 {
			t.Errorf("a %d, b %d: something canceled was committed", a, b)
		}
	})
}

// A full disk fails the write, with an error that tells, and nothing else; when there is room again writing goes on. The
// limit on pages makes SQLite behave as it does when the disk is full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	things(t, d)
	limit := func(pages int) {
		if _, err := d.Write().ExecContext(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
			t.Fatal(err)
		}
	}
	fill := func() error {
		return d.Tx(t.Context(), func(tx *sql.Tx) error {
			if err := bump(t.Context(), tx, "a"); err != nil {
				return err
			}
			_, err := tx.ExecContext(t.Context(), `INSERT INTO thing (id, name) VALUES ('big', hex(zeroblob(1000000)))`)
			return err
		})
	}
	limit(20)
	if err := fill(); !db.IsFull(err) || db.IsUnique(err) {
		t.Errorf("got %v", err)
	}
	if n := revision(t, d, "a"); n != 0 {
		t.Errorf("half of the transaction was kept")
	}
	limit(100_000)
	if err := fill(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if !db.IsFull(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "53100"})) || db.IsFull(&pgconn.PgError{Code: "23505"}) || db.IsFull(nil) {
		t.Error("IsFull does not know PostgreSQL's disk_full (class 53)")
	}
}

// A process that is suspended inside a transaction finds its session ended when it wakes: the transaction is run again.
func TestSuspendedTransactionIsRunAgain(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	d, other := dbtest.Open(t, url+"&idle_in_transaction_session_timeout=500"), dbtest.Open(t, url)
	things(t, d)
	attempts := 0
	err := d.Tx(t.Context(), func(tx *sql.Tx) error {
		if err := bump(t.Context(), tx, "a"); err != nil {
			return err
		}
		if attempts++; attempts == 1 {
			sleepUntilEnded(t, other)
		}
		return bump(t.Context(), tx, "b")
	})
	if a, b := revision(t, d, "a"), revision(t, d, "b"); err != nil || a != 1 || b != 1 || attempts < 2 {
		t.Errorf("a %d, b %d after %d attempts: %v", a, b, attempts, err)
	}
}

// sleepUntilEnded waits until no session is idle in a transaction.
func sleepUntilEnded(t *testing.T, d *db.DB) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var n int
		if err := d.Read().QueryRowContext(t.Context(),
			`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("PostgreSQL does not end what is idle in a transaction")
		}
	}
}
