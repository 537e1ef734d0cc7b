package task_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
)

// What was committed with the task's submission is taken back, although no step of it ever ran.
func TestQueuedTaskThatIsCanceledRollsBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		var undone sync.WaitGroup
		undone.Add(1)
		k := kinds{"x": func(r *task.Run) error {
			_, err := task.Step(r, "do", void(func(context.Context) error { t.Error("it ran"); return nil }))
			_, undoErr := task.Undo(r, "undo", void(func(context.Context) error { undone.Done(); return nil }))
			return errors.Join(err, undoErr)
		}}
		id := submitOnlyOn(t, d, k, task.Request{Kind: "x", By: barry})
		idle := open(t, d, fast, nil) // it knows no such tasks, so nobody has run it when it is canceled
		if err := idle.Cancel(t.Context(), id, lisa); err != nil {
			t.Fatal(err)
		}
		if got, err := idle.Get(t.Context(), id); err != nil || got.State != task.Canceling || !got.Ended.IsZero() {
			t.Errorf("the task is %+v, %v", got, err)
		}
		if err := idle.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := open(t, d, fast, k)
		h.wait(id, task.Canceled)
		undone.Wait()
		if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.canceled by Lisa"}) {
			t.Errorf("events %v", e)
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
