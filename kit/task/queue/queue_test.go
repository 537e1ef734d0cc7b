package queue

import (
	"context"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

func TestATaskThatWasLeftStaysClaimedUntilItIsReturned(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		steps, attempts, runs := 0, 0, make(chan int, 10)
		q, err := Open(context.Background(), d, Options{Executor: "here", Log: slog.New(slog.DiscardHandler), Workers: 1, Poll: 20 * time.Millisecond},
			func(ctx Context, id string) error {
				n, err := Step(ctx, "count", func(context.Context) int { steps++; return steps })
				if err != nil || id != "task-1" {
					t.Errorf("%s: %v", id, err)
				}
				attempts++
				first := attempts == 1
				runs <- n
				if first {
					return ErrLeft
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := q.Close(5 * time.Second); err != nil {
				t.Error(err)
			}
		}()
		if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return q.Add(tx, "task-1") }); err != nil {
			t.Fatal(err)
		}
		if err := q.Launch(); err != nil {
			t.Fatal(err)
		}
		until := func(what string, f func() bool) {
			t.Helper()
			for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("it did not come about that %s", what)
				}
			}
		}
		until("it runs", func() bool { return len(runs) == 1 })
		if mine, err := q.Mine("task-1"); err != nil || !mine {
			t.Errorf("mine: %v, %v", mine, err)
		}
		if claims, err := q.Claims(); err != nil || len(claims) != 1 || claims[0] != (Claim{"task-1", "here"}) {
			t.Errorf("claims %v, %v", claims, err)
		}
		if n, err := q.Forget(10); err != nil || n != 0 {
			t.Errorf("forgot %d unfinished ones, %v", n, err)
		}
		if err := q.Return("task-1"); err != nil {
			t.Fatal(err)
		}
		until("it runs again", func() bool { return len(runs) == 2 })
		if first, second := <-runs, <-runs; first != 1 || second != 1 {
			t.Errorf("the step returned %d and %d: its stored result is 1", first, second)
		}
		until("it is finished and forgotten", func() bool {
			n, err := q.Forget(10)
			return err == nil && n == 1
		})
	})
}
