package task_test

import (
	"context"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/task"
)

func TestSuspendedReplicaDoesNotDisturbItsHeir(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	trace := filepath.Join(t.TempDir(), "trace")
	zombie := child{URL: url, Trace: trace}.start(t)
	d := dbtest.Open(t, url)
	id := submitOnly(t, url, traced(trace, "", ""), task.Request{Kind: "slow", By: barry})
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		var state string
		if err := d.Read().QueryRow(`SELECT state FROM task WHERE id = $1`, string(id)).Scan(&state); err != nil {
			t.Fatal(err)
		}
		if state == "running" {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("still %s", state)
		}
	}
	if err := zombie.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h := open(t, d, fast, traced(trace, "heir", ""))
	got := h.wait(id, task.Succeeded)
	if got.Attempts != 2 {
		t.Errorf("%d attempts, want 2", got.Attempts)
	}
	if err := zombie.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// It must go on as a good replica: with the heir gone, it does the work.
	h.close(time.Second)
	second := submitOnly(t, url, traced(trace, "", ""), task.Request{Kind: "slow", By: barry})
	h.wait(second, task.Succeeded)
	if after, err := h.Get(t.Context(), id); err != nil || !reflect.DeepEqual(after, got) {
		t.Errorf("the task changed after its end: %+v, was %+v, %v", after, got, err)
	}
	if e := h.eventTypes(id); len(e) != 2 {
		t.Errorf("events %v", e)
	}
}

func TestUnknownKindWaitsForAReplicaThatKnowsIt(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.PostgreSQL(t))
	open(t, d, fast, kinds{"old": func(*task.Run) error { return nil }})
	id := submitOnlyOn(t, d, kinds{"new": nil}, task.Request{Kind: "new", By: barry})
	time.Sleep(200 * time.Millisecond) // the old replica claims it meanwhile
	h := open(t, d, fast, kinds{"old": func(*task.Run) error { return nil }, "new": func(*task.Run) error { return nil }})
	got := h.wait(id, task.Succeeded)
	t.Logf("ended %v after its submission", got.Ended.Sub(got.Submitted))
}

func TestTaskThatKillsEveryReplicaIsGivenUp(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	k := kinds{"bomb": func(*task.Run) error { t.Error("it ran"); return nil }}
	id := submitOnlyOn(t, d, k, task.Request{Kind: "bomb", By: barry})
	if _, err := d.Write().Exec(`UPDATE task SET attempts = 20, state = 'running'`); err != nil {
		t.Fatal(err)
	}
	h := open(t, d, fast, k)
	if got := h.wait(id, task.Failed); got.Error.Code != "task.crashed" {
		t.Errorf("error %+v", got.Error)
	}
}

func TestSweepKeepsWhatIsYoungOrUnfinished(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		release := make(chan struct{})
		h := open(t, d, fast, kinds{
			"quick": func(r *task.Run) error {
				_, err := task.Step(r, "x", void(func(context.Context) error { r.Logf("x"); return nil }))
				return err
			},
			"held": func(r *task.Run) error {
				_, err := task.Step(r, "x", void(func(context.Context) error { <-release; return nil }))
				return err
			},
		})
		old, young, held := h.submit(task.Request{Kind: "quick"}), h.submit(task.Request{Kind: "quick"}), h.submit(task.Request{Kind: "held"})
		h.wait(old, task.Succeeded)
		h.wait(young, task.Succeeded)
		if _, err := d.Write().Exec(`UPDATE task SET ended = ended - $1 WHERE id = $2`, (91 * 24 * time.Hour).Milliseconds(), string(old)); err != nil {
			t.Fatal(err)
		}
		if err := h.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Get(t.Context(), old); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("the old task: %v", err)
		}
		if lines, err := h.Log(t.Context(), old, 0, 0); err != nil || len(lines) != 0 {
			t.Errorf("its log: %v, %v", lines, err)
		}
		if lines, err := h.Log(t.Context(), young, 0, 0); err != nil || len(lines) != 1 {
			t.Errorf("the young task's log: %v, %v", lines, err)
		}
		close(release)
		h.wait(held, task.Succeeded)
	})
}

// BenchmarkStart measures the time from the commit of a submission to the first step: the queue's poll, mostly.
func BenchmarkStart(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "PostgreSQL": dbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			var began time.Time
			var late, worst time.Duration
			h := open(b, dbtest.Open(b, url(b)), task.Options{}, kinds{"x": func(r *task.Run) error {
				_, err := task.Step(r, "x", void(func(context.Context) error { began = time.Now(); return nil }))
				return err
			}})
			n := 0
			for b.Loop() {
				time.Sleep(37 * time.Millisecond) // another moment of the poll each time
				at := time.Now()
				h.wait(h.submit(task.Request{Kind: "x"}), task.Succeeded)
				late += began.Sub(at)
				worst = max(worst, began.Sub(at))
				n++
			}
			b.ReportMetric(float64(late.Milliseconds())/float64(n), "ms/start")
			b.ReportMetric(float64(worst.Milliseconds()), "ms/worst")
		})
	}
}
