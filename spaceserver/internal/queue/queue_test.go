package queue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/queue"
)

type works = map[string]queue.Work

func TestTasksEndAsTheirWorkSays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		results := map[string]struct {
			err                     error
			panics                  bool
			state, message          string
			successful, hasWarnings bool
		}{
			"nil":      {state: "Success", successful: true},
			"warnings": {err: queue.ErrWarnings, state: "Success", successful: true, hasWarnings: true},
			"error":    {err: errors.New("the disk hunter2 is on fire"), state: "Failed", message: "the disk ******** is on fire.", hasWarnings: true},
			"panic":    {panics: true, state: "Failed", hasWarnings: true},
		}
		work := works{}
		for name, r := range results {
			work[name] = func(_ context.Context, task *queue.Task) error {
				task.Recorder.Mask("hunter2")
				task.Log.Write(activity.Info, "says hunter2")
				if r.panics {
					panic("a defect")
				}
				return r.err
			}
		}
		w := begin(t, s, queue.Options{Work: work})
		for name, want := range results {
			id := w.enqueue(queue.Request{Name: name, Description: "Try " + name, Arguments: map[string]any{"DeploymentId": "Deployments-1"}})
			o := w.until(id, want.state)
			if o.Bool("FinishedSuccessfully") != want.successful || !o.Bool("IsCompleted") || o.Bool("HasWarningsOrErrors") != want.hasWarnings || o.Text("ServerNode") != "OctopusServerNodes-one" ||
				!strings.HasSuffix(o.Text("Duration"), "second") && !strings.HasSuffix(o.Text("Duration"), "seconds") || o.Text("CompletedTime") == "" || o.Text("Completed") == "" || o.Bool("CanRerun") || o.Object("Arguments").Text("DeploymentId") != "Deployments-1" {
				t.Errorf("%s ended as %v", name, o)
			}
			if !want.panics && o.Text("ErrorMessage") != want.message {
				t.Errorf("%s says %q", name, o.Text("ErrorMessage"))
			}
			if lines := w.lines(id); len(lines) == 0 || lines[0] != "says ********" {
				t.Errorf("%s logged %q", name, lines)
			}
		}
	})
}

func TestParkedTaskGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		var mu sync.Mutex
		var kept []string
		w := begin(t, s, queue.Options{Work: works{"Work": func(ctx context.Context, task *queue.Task) error {
			mu.Lock()
			kept = append(kept, string(task.Checkpoint))
			n := len(kept)
			mu.Unlock()
			task.Log.Child("step", "Step 1").Write(activity.Info, "here")
			if n == 2 {
				return nil
			}
			if err := task.Save(ctx, map[string]int{"step": n}); err != nil {
				return err
			}
			return queue.ErrParked
		}}})
		id := w.enqueue(queue.Request{Serial: "a"})
		eventually(t, func() bool {
			return w.task(id).Text("State") == "Queued" && w.task(id).Text("StartTime") != "" && w.queue.Held() == 0
		})
		w.change(func(c *collection.Change) error { return w.queue.Park(c, id) })
		if !w.task(id).Bool("HasPendingInterruptions") {
			t.Error("it does not say that it waits")
		}
		w.change(func(c *collection.Change) error { return w.queue.Wake(c, id) })
		if o := w.until(id, "Success"); o.Bool("HasPendingInterruptions") {
			t.Error("it ended and waits")
		}
		if !slices.Equal(kept, []string{"", `{"step":1}`}) {
			t.Errorf("kept %q", kept)
		}
		top, err := w.queue.Logs().Tree(t.Context(), id, activity.Reading{})
		if err != nil || len(top) != 1 || len(top[0].Children) != 1 || len(top[0].Children[0].LogElements) != 2 {
			t.Errorf("the log does not go on: %v %v", top, err)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		started := make(chan string, 10)
		var ended []string
		w := begin(t, s, queue.Options{Cap: 1, Work: works{
			"Work": func(ctx context.Context, task *queue.Task) error {
				started <- task.ID
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), queue.ErrCanceled) {
					t.Errorf("cause %v", context.Cause(ctx))
				}
				return ctx.Err()
			},
			"Park": func(context.Context, *queue.Task) error { return queue.ErrParked },
		}, Ended: func(_ *collection.Change, o octopus.Object) error { ended = append(ended, o.Text("Id")); return nil }})
		parked := w.enqueue(queue.Request{Name: "Park"})
		eventually(t, func() bool { return w.task(parked).Text("StartTime") != "" && w.task(parked).Text("State") == "Queued" })
		running, waiting := w.enqueue(queue.Request{}), w.enqueue(queue.Request{})
		<-started
		for _, id := range []string{parked, waiting} {
			w.change(func(c *collection.Change) error { return w.queue.Cancel(c, id) })
			if o := w.task(id); o.Text("State") != "Canceled" || !o.Bool("IsCompleted") {
				t.Errorf("a task that waited is %s", o.Text("State"))
			}
		}
		w.change(func(c *collection.Change) error { return w.queue.Cancel(c, running) })
		w.until(running, "Canceled")
		if err := w.try(func(c *collection.Change) error { return w.queue.Cancel(c, running) }); err == nil {
			t.Error("a task was canceled that had ended")
		}
		if !slices.Equal(ended, []string{parked, waiting, running}) {
			t.Errorf("ended %v", ended)
		}
	})
}

func TestTimesAreKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		release := make(chan struct{})
		w := begin(t, s, queue.Options{Cap: 1, Work: works{
			"Work": func(context.Context, *queue.Task) error { return nil },
			"Hold": func(ctx context.Context, _ *queue.Task) error { <-release; return nil },
		}})
		at := time.Now().Add(300 * time.Millisecond)
		later := w.until(w.enqueue(queue.Request{Due: at}), "Success")
		if start, err := time.Parse(time.RFC3339, later.Text("StartTime")); err != nil || start.Before(at.Truncate(time.Millisecond)) {
			t.Errorf("started %s before it was due (%v)", later.Text("StartTime"), err)
		}
		held := w.enqueue(queue.Request{Name: "Hold"})
		w.until(held, "Executing")
		if o := w.until(w.enqueue(queue.Request{Expires: time.Now().Add(100 * time.Millisecond)}), "TimedOut"); o.Bool("FinishedSuccessfully") || o.Text("ErrorMessage") == "" {
			t.Errorf("expired as %v", o)
		}
		close(release)
		w.until(held, "Success")
	})
}

func TestATaskThatTakesTooLongTimesOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		w := begin(t, s, queue.Options{Timeout: 50 * time.Millisecond, Work: works{"Work": newGate().work, "Quick": func(context.Context, *queue.Task) error { return nil }}})
		o := w.until(w.enqueue(queue.Request{}), "TimedOut")
		if o.Bool("FinishedSuccessfully") || !o.Bool("IsCompleted") || o.Text("ErrorMessage") != "The task took longer than 50ms, which is what it may." {
			t.Errorf("it ended as %s", o.Text("ErrorMessage"))
		}
		w.until(w.enqueue(queue.Request{Name: "Quick"}), "Success")
	})
}
