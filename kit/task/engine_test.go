package task_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/task"
)

var barry = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}
var lisa = odcm.Principal{User: "user-lisa", Name: "Lisa", Roles: []odcm.Role{odcm.Member}, Via: "session"}

// fast is a time scale for tests: a tenth of the defaults.
var fast = task.Options{HeartbeatEvery: 200 * time.Millisecond, DeadAfter: 800 * time.Millisecond}

type house struct {
	*task.Engine
	t      testing.TB
	d      *db.DB
	events *eventlog.Log
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type kinds map[string]func(*task.Run) error

// open starts an engine on the database, and stops it at the end of the test.
func open(t testing.TB, d *db.DB, o task.Options, k kinds) *house {
	t.Helper()
	ctx := context.Background()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, d: d, events: events, log: &lockedBuffer{}}
	o.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	if h.Engine, err = task.New(ctx, d, events, bus, o); err != nil {
		t.Fatal(err)
	}
	for kind, run := range k {
		h.Register(kind, run)
	}
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.close(5 * time.Second) })
	return h
}

func (h *house) close(patience time.Duration) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		h.t.Errorf("Stop: %v", err)
	}
	if h.t.Failed() {
		h.t.Logf("log:\n%s", h.log)
	}
}

func (h *house) submit(req task.Request) odcm.TaskID {
	h.t.Helper()
	if req.By.User == "" {
		req.By = barry
	}
	id, err := h.Submit(context.Background(), nil, req)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *house) wait(id odcm.TaskID, want task.State) task.Task {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got, err := h.Wait(ctx, id)
	if err != nil {
		h.t.Fatalf("wait for %s: %v\n%s", id, err, h.log)
	}
	if got.State != want {
		h.t.Fatalf("%s %s (%+v), want %s", id, got.State, got.Error, want)
	}
	return got
}

func (h *house) steps(id odcm.TaskID) string {
	h.t.Helper()
	steps, err := h.Steps(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprintf("%s=%s", s.Name, s.State))
	}
	return strings.Join(all, " ")
}

func (h *house) eventTypes(id odcm.TaskID) []string {
	h.t.Helper()
	events, err := h.events.List(context.Background(), eventlog.Filter{Subject: string(id)})
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, e := range slices.Backward(events) {
		all = append(all, e.Type+" by "+e.By)
	}
	return all
}

func void(f func(ctx context.Context) error) func(ctx context.Context) (struct{}, error) {
	return func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }
}

func TestTask(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		type plan struct{ Spaces []string }
		reached := make(chan struct{}, 10)
		release, asked := make(chan struct{}), make(chan struct{})
		trace := make(chan string, 100)
		unreachable := odcm.E(odcm.Unavailable, "octopus.unreachable", "octopus.example.com did not answer").OnField("url").
			Because(errors.New("dial tcp 10.1.2.3:443: i/o timeout"))
		h := open(t, d, fast, kinds{
			"space.enlist": func(r *task.Run) error {
				var in plan
				if err := r.Input(&in); err != nil {
					return err
				}
				r.Progress(10, "planning")
				p, err := task.Step(r, "plan", func(context.Context) (plan, error) {
					r.Logf("found %d spaces", len(in.Spaces))
					return plan{append(in.Spaces, "Default")}, nil
				})
				if err != nil {
					return err
				}
				for i, s := range p.Spaces {
					if _, err := task.Step(r, "enlist "+s, void(func(context.Context) error {
						r.Progress(20+i, "enlisting "+s)
						return nil
					})); err != nil {
						return err
					}
				}
				return nil
			},
			"fail": func(r *task.Run) error {
				_, err := task.Step(r, "dial", void(func(context.Context) error { return fmt.Errorf("probe: %w", unreachable) }))
				if e := new(odcm.Error); !errors.As(err, &e) || e.Kind != odcm.Unavailable || len(e.Fields) != 1 || e.Cause != nil {
					return fmt.Errorf("the step's error came back as %#v", err)
				}
				return fmt.Errorf("enlist: %w", err)
			},
			"defect": func(r *task.Run) error {
				_, err := task.Step(r, "divide", void(func(context.Context) error { panic("hunter2 by zero") }))
				return err
			},
			"cancel": func(r *task.Run) error {
				for _, name := range []string{"copy", "cut over"} {
					if _, err := task.Step(r, name, void(func(context.Context) error { trace <- name; return nil })); err != nil {
						return err
					}
				}
				_, err := task.Step(r, "wait", void(func(ctx context.Context) error {
					reached <- struct{}{}
					<-ctx.Done()
					return ctx.Err()
				}))
				if !errors.Is(err, task.ErrCanceled) {
					return fmt.Errorf("after a cancel the step returned %w", err)
				}
				if _, err := task.Step(r, "verify", void(func(context.Context) error { trace <- "verify"; return nil })); !errors.Is(err, task.ErrCanceled) {
					return fmt.Errorf("after a cancel the next step returned %w", err)
				}
				<-asked
				for _, name := range []string{"undo cut over", "undo copy"} {
					if _, err := task.Undo(r, name, void(func(ctx context.Context) error { trace <- name; return ctx.Err() })); err != nil {
						return err
					}
				}
				return err
			},
			"undo fails": func(r *task.Run) error {
				_, err := task.Step(r, "wait", void(func(ctx context.Context) error { reached <- struct{}{}; <-ctx.Done(); return ctx.Err() }))
				_, undoErr := task.Undo(r, "undo", void(func(context.Context) error { return unreachable }))
				return errors.Join(err, undoErr)
			},
			"hold": func(r *task.Run) error {
				_, err := task.Step(r, "hold", void(func(ctx context.Context) error {
					select {
					case <-release:
					case <-ctx.Done():
					}
					return nil
				}))
				return err
			},
			"log": func(r *task.Run) error {
				_, err := task.Step(r, "talk", void(func(context.Context) error {
					for i := range 1200 {
						r.Logf("line %d\x00\xff", i+1)
					}
					return nil
				}))
				return err
			},
			"nested": func(r *task.Run) error {
				_, err := task.Step(r, "outer", void(func(context.Context) error {
					_, err := task.Step(r, "inner", void(func(context.Context) error { return nil }))
					return err
				}))
				return err
			},
		})
		ctx := context.Background()

		t.Run("runs its steps and keeps progress and log", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := h.submit(task.Request{Kind: "space.enlist", Title: "Enlist two", Subject: "space-1", Input: plan{[]string{"A"}}})
			got := h.wait(id, task.Succeeded)
			if got.Percent != 100 || got.Error != nil || got.Attempts != 1 || got.Ended.Before(got.Started) || got.By.Name != "Barry" || got.Subject != "space-1" {
				t.Errorf("got %+v", got)
			}
			if s := h.steps(id); s != "plan=succeeded enlist A=succeeded enlist Default=succeeded" {
				t.Errorf("steps %s", s)
			}
			lines, err := h.Log(ctx, id, 0, 0)
			if err != nil || len(lines) != 1 || lines[0].Text != "found 1 spaces" || lines[0].Step != "plan" {
				t.Errorf("log %+v, %v", lines, err)
			}
			if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.succeeded by Barry"}) {
				t.Errorf("events %v", e)
			}
		})
		t.Run("fails with the public part of its error", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := h.submit(task.Request{Kind: "fail"})
			got := h.wait(id, task.Failed)
			if *got.Error != (task.Failure{Kind: odcm.Unavailable, Code: "octopus.unreachable", Message: "octopus.example.com did not answer"}) {
				t.Errorf("error %+v", got.Error)
			}
			if !strings.Contains(h.log.String(), "10.1.2.3") {
				t.Error("the cause is not in the log")
			}
			if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.failed by Barry"}) {
				t.Errorf("events %v", e)
			}
		})
		t.Run("fails on a panic and tells no one why", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			got := h.wait(h.submit(task.Request{Kind: "defect"}), task.Failed)
			if got.Error.Kind != odcm.Internal || strings.Contains(got.Error.Message, "hunter2") {
				t.Errorf("error %+v", got.Error)
			}
		})
		t.Run("rolls back when it is canceled", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := h.submit(task.Request{Kind: "cancel"})
			<-reached
			for range 2 { // asking twice is fine
				if err := h.Cancel(ctx, id, lisa); err != nil {
					t.Fatal(err)
				}
			}
			close(asked)
			got := h.wait(id, task.Canceled)
			if got.CanceledBy.Name != "Lisa" || got.Error != nil {
				t.Errorf("got %+v", got)
			}
			if s := h.steps(id); s != "copy=succeeded cut over=succeeded wait=canceled verify=canceled undo cut over=succeeded undo copy=succeeded" {
				t.Errorf("steps %s", s)
			}
			close(trace)
			var ran []string
			for s := range trace {
				ran = append(ran, s)
			}
			if !slices.Equal(ran, []string{"copy", "cut over", "undo cut over", "undo copy"}) {
				t.Errorf("ran %q", ran)
			}
			if e := h.eventTypes(id); !slices.Equal(e, []string{"task.submitted by Barry", "task.canceled by Lisa"}) {
				t.Errorf("events %v", e)
			}
			if err := h.Cancel(ctx, id, lisa); odcm.KindOf(err) != odcm.Conflict {
				t.Errorf("canceling a finished task: %v", err)
			}
		})
		t.Run("has failed where its roll-back failed", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := h.submit(task.Request{Kind: "undo fails"})
			<-reached
			if err := h.Cancel(ctx, id, barry); err != nil {
				t.Fatal(err)
			}
			if got := h.wait(id, task.Failed); got.Error.Message != "Rolling back failed: octopus.example.com did not answer" {
				t.Errorf("error %+v", got.Error)
			}
		})
		t.Run("is nothing when the transaction rolls back", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			var id odcm.TaskID
			changed := errors.New("changed my mind")
			err := d.Tx(ctx, func(tx *sql.Tx) (err error) {
				if id, err = h.Submit(ctx, tx, task.Request{Kind: "fail", By: barry}); err != nil {
					return err
				}
				return changed
			})
			if !errors.Is(err, changed) {
				t.Fatal(err)
			}
			if _, err := h.Get(ctx, id); odcm.KindOf(err) != odcm.NotFound {
				t.Errorf("Get: %v", err)
			}
			if e := h.eventTypes(id); len(e) > 0 {
				t.Errorf("events %v", e)
			}
			if err := h.Cancel(ctx, id, barry); odcm.KindOf(err) != odcm.NotFound {
				t.Errorf("Cancel: %v", err)
			}
		})
		t.Run("is one task for one ID", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := odcm.NewID[odcm.TaskID]("task")
			for range 2 {
				if got := h.submit(task.Request{ID: id, Kind: "space.enlist", Input: plan{}}); got != id {
					t.Errorf("Submit returned %s", got)
				}
				if got := h.wait(id, task.Succeeded); got.Attempts != 1 {
					t.Errorf("%d attempts", got.Attempts)
				}
			}
			if e := h.eventTypes(id); len(e) != 2 {
				t.Errorf("events %v", e)
			}
			if _, err := h.Submit(ctx, nil, task.Request{ID: id, Kind: "fail", By: barry}); odcm.KindOf(err) != odcm.Exists {
				t.Errorf("the same ID for another kind: %v", err)
			}
		})
		t.Run("pages its log", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			id := h.submit(task.Request{Kind: "log"})
			h.wait(id, task.Succeeded)
			if last, err := h.Log(ctx, id, -20, 500); err != nil || len(last) != 20 || last[0].Number != 1181 {
				t.Errorf("the end: %d lines, %v", len(last), err)
			}
			next := int64(0)
			for pages := 0; ; pages++ {
				lines, err := h.Log(ctx, id, next, 500)
				if err != nil {
					t.Fatal(err)
				}
				if len(lines) == 0 {
					if pages != 3 || next != 1200 {
						t.Errorf("%d pages to line %d", pages, next)
					}
					break
				}
				for _, l := range lines {
					if next++; l.Number != next || l.Text != fmt.Sprintf("line %d��", next) {
						t.Fatalf("line %d is %+v", next, l)
					}
				}
			}
		})
		t.Run("refuses a step in a step", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			if got := h.wait(h.submit(task.Request{Kind: "nested"}), task.Failed); got.Error.Code != "task.step-in-step" {
				t.Errorf("error %+v", got.Error)
			}
		})
		t.Run("is listed by state, kind, subject and owner, newest first", func(t *testing.T) {
			h := &house{h.Engine, t, h.d, h.events, h.log}
			var ids []odcm.TaskID
			for i := range 5 {
				ids = append(ids, h.submit(task.Request{Kind: "hold", Subject: fmt.Sprint("space-", i%2), By: lisa}))
			}
			slices.Reverse(ids)
			var got []odcm.TaskID
			f := task.Filter{Kinds: []string{"hold"}, By: lisa.User, States: []task.State{task.Queued, task.Running}, Limit: 2}
			for {
				page, err := h.List(ctx, f)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				for _, x := range page {
					got = append(got, x.ID)
				}
				f.Before = got[len(got)-1]
			}
			if !slices.Equal(got, ids) {
				t.Errorf("got %v, want %v", got, ids)
			}
			if page, err := h.List(ctx, task.Filter{Subject: "space-0", By: lisa.User}); err != nil || len(page) != 3 {
				t.Errorf("of one subject: %d, %v", len(page), err)
			}
			close(release)
			for _, id := range ids {
				h.wait(id, task.Succeeded)
			}
			if n, err := h.Count(ctx, lisa.User); err != nil || n[task.Succeeded] != 5 || len(n) != 1 {
				t.Errorf("counts %v, %v", n, err)
			}
		})
	})
}
