package task_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/task"
)

var realtime = flag.Bool("realtime", false, "let replicas die with the default heartbeat of 2 s instead of a tenth of it")

// child is what a process of its own is told: the test binary starts itself again to be killed.
type child struct {
	URL, Trace, CrashAt string
	Realtime            bool
	// Around which hook, counted from 1, Lisa cancels the task Cancel, and around which the process dies. Never if 0.
	Cancel           odcm.TaskID
	CancelAt, DiesAt int
}

const childEnv = "ODCM_TEST_TASK_CHILD"

func TestMain(m *testing.M) {
	flag.Parse()
	if told := os.Getenv(childEnv); told != "" {
		var c child
		if err := json.Unmarshal([]byte(told), &c); err != nil {
			panic(err)
		}
		if err := c.run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// run runs an engine until it is killed, by itself at a named step or by the parent.
func (c child) run() error {
	ctx := context.Background()
	d, err := db.Open(ctx, c.URL, db.Options{})
	if err != nil {
		return err
	}
	bus, err := signal.New(ctx, d)
	if err != nil {
		return err
	}
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		return err
	}
	o := timings(c.Realtime)
	o.Replica, o.Logger = "child", slog.New(slog.NewTextHandler(os.Stderr, nil))
	var e *task.Engine
	o.Hook = c.hook(&e)
	if e, err = task.New(ctx, d, events, bus, o); err != nil {
		return err
	}
	for kind, run := range traced(c.Trace, "child", c.CrashAt) {
		e.Register(kind, run)
	}
	if err := e.Start(ctx); err != nil {
		return err
	}
	fmt.Println("started")
	time.Sleep(time.Minute)
	return errors.New("nobody killed it")
}

// hook counts the moments of the one task that runs, cancels it at one of them and ends the process at another.
func (c child) hook(e **task.Engine) func(kind, step string, after bool) {
	moment := 0
	return func(string, string, bool) {
		if moment++; moment == c.CancelAt {
			if err := (*e).Cancel(context.Background(), c.Cancel, lisa); err != nil {
				panic(err)
			}
		}
		if moment == c.DiesAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
}

func timings(real bool) task.Options {
	if real {
		return task.Options{}
	}
	return fast
}

func (c child) start(t *testing.T) *exec.Cmd {
	t.Helper()
	told, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(told))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("child %s: %s", c.CrashAt, &stderr)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
		t.Fatalf("the child did not start: %q, %v", line, err)
	}
	return cmd
}

// traced are kinds whose steps note in a file that they ran, and one of which kills its process.
func traced(file, who, crashAt string) kinds {
	note := func(step string) error {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, who, step); err != nil {
			return err
		}
		if step == crashAt {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	return kinds{
		// copy makes six things; the sum shows that each was made from the stored result of the one before.
		"copy": func(r *task.Run) error {
			sum := 0
			for i := range 6 {
				n, err := task.Step(r, fmt.Sprint("step-", i+1), func(context.Context) (int, error) { return sum*10 + i + 1, note(fmt.Sprint("step-", i+1)) })
				if err != nil {
					return err
				}
				sum = n
			}
			r.Logf("sum %d", sum)
			return nil
		},
		// roll back is canceled in its third step, and then undoes what it did.
		"roll back": func(r *task.Run) error {
			for i := range 2 {
				if _, err := task.Step(r, fmt.Sprint("do-", i+1), void(func(context.Context) error { return note(fmt.Sprint("do-", i+1)) })); err != nil {
					return fmt.Errorf("step %d: %w", i+1, err)
				}
			}
			_, err := task.Step(r, "wait", void(func(ctx context.Context) error {
				if err := note("wait"); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}))
			for i := 2; i > 0; i-- {
				if _, undoErr := task.Undo(r, fmt.Sprint("undo-", i), void(func(context.Context) error { return note(fmt.Sprint("undo-", i)) })); undoErr != nil {
					return undoErr
				}
			}
			return err
		},
		// last does its work in its last step, and undoes it where somebody cancels before that.
		"last": func(r *task.Run) error {
			do := func(name string) error {
				_, err := task.Step(r, name, void(func(ctx context.Context) error {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					return note(name)
				}))
				return err
			}
			err := do("do-1")
			if err == nil {
				err = do("do-2")
			}
			if err == nil {
				return nil
			}
			for _, name := range []string{"undo-2", "undo-1"} {
				if _, undoErr := task.Undo(r, name, void(func(context.Context) error { return note(name) })); undoErr != nil {
					return undoErr
				}
			}
			return err
		},
		"slow": func(r *task.Run) error {
			_, err := task.Step(r, "sleep", void(func(ctx context.Context) error {
				if err := note(string(r.Task().ID)); err != nil {
					return err
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(500 * time.Millisecond):
					return nil
				}
			}))
			return err
		},
	}
}

func readTrace(t *testing.T, file string) map[string]int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(b)) {
		_, step, _ := strings.Cut(strings.TrimSpace(line), " ")
		times[step]++
	}
	return times
}

func waitKilled(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
		if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended: %v", cmd.ProcessState)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the child did not come to its crash")
	}
}

// submitOnly puts a task into the database without running anything here.
func submitOnly(t *testing.T, url string, k kinds, req task.Request) odcm.TaskID {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return submitOnlyOn(t, d, k, req)
}

func submitOnlyOn(t *testing.T, d *db.DB, k kinds, req task.Request) odcm.TaskID {
	t.Helper()
	e := unstarted(t, d, k)
	id, err := e.Submit(t.Context(), nil, req)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return id
}

// unstarted is an engine as another process has it, which runs nothing.
func unstarted(t *testing.T, d *db.DB, k kinds) *task.Engine {
	t.Helper()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	events, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	e, err := task.New(t.Context(), d, events, bus, fast)
	if err != nil {
		t.Fatal(err)
	}
	for kind, run := range k {
		e.Register(kind, run)
	}
	return e
}

func TestCrashAtEveryStepResumesThere(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		trace := filepath.Join(t.TempDir(), "trace")
		k := traced(trace, "parent", "")
		id := submitOnly(t, url, k, task.Request{Kind: "copy", By: barry})
		for i := range 6 {
			waitKilled(t, child{URL: url, Trace: trace, CrashAt: fmt.Sprint("step-", i+1)}.start(t))
		}
		h := open(t, dbtest.Open(t, url), fast, k)
		if got := h.wait(id, task.Succeeded); got.Attempts != 7 {
			t.Errorf("%d attempts, want 7", got.Attempts)
		}
		// Each step ran twice: it was killed before its result was stored, and ran again; never after that.
		for i := range 6 {
			if n := readTrace(t, trace)[fmt.Sprint("step-", i+1)]; n != 2 {
				t.Errorf("step %d ran %d times, want 2", i+1, n)
			}
		}
		lines, err := h.Log(t.Context(), id, 0, 0)
		if err != nil || len(lines) != 1 || lines[0].Text != "sum 123456" {
			t.Errorf("log %+v, %v", lines, err)
		}
		if s := h.steps(id); s != "step-1=succeeded step-2=succeeded step-3=succeeded step-4=succeeded step-5=succeeded step-6=succeeded" {
			t.Errorf("steps %s", s)
		}
		if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.succeeded by Barry"}) {
			t.Errorf("events %v", e)
		}
	})
}

func TestCrashInARollBackResumesTheRollBack(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		trace := filepath.Join(t.TempDir(), "trace")
		k := traced(trace, "parent", "")
		id := submitOnly(t, url, k, task.Request{Kind: "roll back", By: barry})
		waitKilled(t, child{URL: url, Trace: trace, CrashAt: "wait"}.start(t)) // with do-1 and do-2 stored

		a := child{URL: url, Trace: trace, CrashAt: "undo-1"}.start(t) // it waits now, and shall be canceled
		d := dbtest.Open(t, url)
		for readTrace(t, trace)["wait"] < 2 {
			time.Sleep(20 * time.Millisecond)
		}
		// From this process, as from another replica: on PostgreSQL the bus tells the child, on SQLite it looks.
		e := unstarted(t, d, nil)
		if err := e.Cancel(t.Context(), id, lisa); err != nil {
			t.Fatal(err)
		}
		waitKilled(t, a)
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}

		h := open(t, d, fast, k)
		h.wait(id, task.Canceled)
		want := map[string]int{"do-1": 1, "do-2": 1, "wait": 2, "undo-2": 1, "undo-1": 2}
		if got := readTrace(t, trace); !maps.Equal(got, want) {
			t.Errorf("ran %v, want %v", got, want)
		}
		if s := h.steps(id); s != "do-1=succeeded do-2=succeeded wait=canceled undo-2=succeeded undo-1=succeeded" {
			t.Errorf("steps %s", s)
		}
		if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.canceled by Lisa"}) {
			t.Errorf("events %v", e)
		}
	})
}

// TestCanceledInTheLastStepAndKilledAtEachMoment cancels a task right before and right after its last step does its work,
// and kills the process at each moment from then on.
func TestCanceledInTheLastStepAndKilledAtEachMoment(t *testing.T) {
	t.Parallel()
	const beforeLast, afterLast = 3, 4
	for _, c := range []struct {
		name          string
		cancel        int
		moments       int // from the first step to the end of the task
		want          task.State
		events, steps string
	}{
		{"before", beforeLast, 10, task.Canceled, "task.canceled by Lisa", "do-1=succeeded do-2=canceled undo-2=succeeded undo-1=succeeded"},
		{"after", afterLast, 6, task.Succeeded, "task.succeeded by Barry", "do-1=succeeded do-2=succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dbtest.EachURL(t, func(t *testing.T, url string) {
				t.Parallel()
				for dies := c.cancel; dies <= c.moments; dies++ {
					t.Run(fmt.Sprint("killed at ", dies), func(t *testing.T) {
						want, steps, ended := c.want, c.steps, c.events
						if c.cancel == afterLast && dies == afterLast { // its result was not stored, and the cancel is seen before it runs again
							want, ended = task.Canceled, "task.canceled by Lisa"
							steps = "do-1=succeeded do-2=canceled undo-2=succeeded undo-1=succeeded"
						}
						trace := filepath.Join(t.TempDir(), "trace")
						k := traced(trace, "parent", "")
						id := submitOnly(t, url, k, task.Request{Kind: "last", By: barry})
						waitKilled(t, child{URL: url, Trace: trace, Cancel: id, CancelAt: c.cancel, DiesAt: dies}.start(t))

						h := open(t, dbtest.Open(t, url), fast, k)
						if got := h.wait(id, want); got.CanceledBy.Name != "Lisa" {
							t.Errorf("canceled by %q", got.CanceledBy.Name)
						}
						if s := h.steps(id); s != steps {
							t.Errorf("steps %s", s)
						}
						if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", ended}) {
							t.Errorf("events %v", e)
						}
						lines, err := h.Log(t.Context(), id, 0, 0)
						if late := len(lines) > 0 && strings.Contains(lines[len(lines)-1].Text, "too late"); err != nil || late != (want == task.Succeeded) {
							t.Errorf("the log says %+v, %v", lines, err)
						}
						if c.cancel == beforeLast && readTrace(t, trace)["do-2"] > 0 {
							t.Error("the last step did its work after the cancel")
						}
					})
				}
			})
		})
	}
}

// TestNoStepBeginsAfterACancelElsewhere cancels at another replica, of which this one hears nothing.
func TestNoStepBeginsAfterACancelElsewhere(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t) // there the bus does not leave its process
	runs, asked := make(chan struct{}), make(chan struct{})
	k := kinds{"two": func(r *task.Run) error {
		if _, err := task.Step(r, "one", void(func(context.Context) error { close(runs); <-asked; return nil })); err != nil {
			return err
		}
		_, err := task.Step(r, "two", void(func(context.Context) error { return nil }))
		return err
	}}
	h := open(t, dbtest.Open(t, url), task.Options{HeartbeatEvery: time.Minute, DeadAfter: time.Hour}, k)
	id := h.submit(task.Request{Kind: "two"})
	<-runs
	elsewhere := unstarted(t, dbtest.Open(t, url), k)
	if err := elsewhere.Cancel(t.Context(), id, lisa); err != nil {
		t.Fatal(err)
	}
	close(asked)
	h.wait(id, task.Canceled)
	if s := h.steps(id); s != "one=succeeded two=canceled" {
		t.Errorf("steps %s", s)
	}
}

func TestReplicasShareWorkAndOutliveEachOther(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	trace := filepath.Join(t.TempDir(), "trace")
	d := dbtest.Open(t, url)
	c := child{URL: url, Trace: trace, Realtime: *realtime}
	a := c.start(t) // it holds the lease, so that its death costs the most
	h := open(t, d, timings(*realtime), traced(trace, "parent", ""))

	// 64 fit into the two replicas and not into one, so both must have some when all run.
	var ids []odcm.TaskID
	for range 60 {
		ids = append(ids, h.submit(task.Request{Kind: "slow"}))
	}
	ran := func(who string) (n int) {
		b, _ := os.ReadFile(trace)
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, who+" ") {
				n++
			}
		}
		return n
	}
	for ran("child") == 0 || ran("parent") == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for _, id := range ids {
		h.wait(id, task.Succeeded)
	}
	took := time.Since(killed)
	t.Logf("%d of %d tasks began on the replica that was killed; the last ended %v after", ran("child"), len(ids), took)
	limit := 15 * time.Second
	if !*realtime {
		limit /= 3 // a tenth of the heartbeats, and the work itself
	}
	if took > limit {
		t.Errorf("that is more than %v", limit)
	}
}
