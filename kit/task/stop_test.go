package task_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
)

func TestQueuedTaskIsCanceledAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		h := open(t, d, fast, kinds{"x": func(r *task.Run) error { t.Error("it ran"); return nil }})
		err := d.Tx(t.Context(), func(tx *sql.Tx) error {
			id, err := h.Submit(t.Context(), tx, task.Request{ID: "task-x", Kind: "x", By: barry})
			if err != nil || id != "task-x" {
				t.Errorf("Submit: %q, %v", id, err)
			}
			// As Cancel does, but before anyone can claim it.
			_, err = tx.ExecContext(t.Context(), `UPDATE task SET state = 'canceled' WHERE id = 'task-x'`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h.submit(task.Request{ID: "task-y", Kind: "x"})
		_ = h.Cancel(t.Context(), "task-y", barry) // canceled while queued, unless this machine is slower than the queue
		time.Sleep(300 * time.Millisecond)         // longer than the queue's poll
		if got := h.wait("task-x", task.Canceled); got.Attempts != 0 {
			t.Errorf("%d attempts", got.Attempts)
		}
	})
}

func TestStopLeavesTasksToTheNextStart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		var ran sync.Map
		count := func(key string) int { n, _ := ran.LoadOrStore(key, new(int)); *n.(*int)++; return *n.(*int) }
		began, goOn := make(chan struct{}), make(chan struct{})
		k := kinds{
			"polite": func(r *task.Run) error {
				if _, err := task.Step(r, "first", void(func(ctx context.Context) error {
					count("polite first")
					began <- struct{}{}
					<-goOn
					return ctx.Err()
				})); err != nil {
					return err
				}
				_, err := task.Step(r, "second", void(func(context.Context) error { count("polite second"); return nil }))
				return err
			},
			"long": func(r *task.Run) error {
				_, err := task.Step(r, "first", void(func(ctx context.Context) error {
					if count("long first") > 1 {
						return nil
					}
					began <- struct{}{}
					<-ctx.Done()
					return ctx.Err()
				}))
				if err != nil {
					t.Errorf("the handler saw the interruption: %v", err)
				}
				return err
			},
		}
		a := open(t, d, fast, k)
		polite, long := a.submit(task.Request{Kind: "polite"}), a.submit(task.Request{Kind: "long"})
		<-began
		<-began
		go func() { time.Sleep(50 * time.Millisecond); close(goOn) }()
		a.close(300 * time.Millisecond)
		for _, id := range []odcm.TaskID{polite, long} {
			if got, err := a.Get(t.Context(), id); err != nil || got.State != task.Running {
				t.Errorf("after Stop: %s, %v", got.State, err)
			}
		}
		b := open(t, d, fast, k)
		if got := b.wait(polite, task.Succeeded); got.Attempts != 2 {
			t.Errorf("%d attempts", got.Attempts)
		}
		b.wait(long, task.Succeeded)
		for key, want := range map[string]int{"polite first": 1, "polite second": 1, "long first": 2} {
			if n, _ := ran.Load(key); n == nil || *n.(*int) != want {
				t.Errorf("%s ran %v times, want %d", key, n, want)
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	if _, err := task.New(t.Context(), d, nil, nil, task.Options{HeartbeatEvery: time.Second, DeadAfter: 2 * time.Second}); odcm.KindOf(err) != odcm.Invalid {
		t.Errorf("a replica that is dead after two heartbeats: %v", err)
	}
}
