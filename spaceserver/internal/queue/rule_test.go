package queue_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/queue"
)

// gate is work that waits to be let go, and tells the order in which tasks began.
type gate struct {
	mu    sync.Mutex
	began []string
	open  chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) work(ctx context.Context, t *queue.Task) error {
	g.mu.Lock()
	g.began = append(g.began, t.Description)
	g.mu.Unlock()
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *gate) order() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.began)
}

func TestTasksRunInOrderAndNeverTogetherUnderOneSerial(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		g := newGate()
		w := begin(t, s, queue.Options{Cap: 2, Work: works{"Work": g.work}})
		first := w.enqueue(queue.Request{Description: "1", Serial: "a"})
		w.until(first, "Executing")
		eventually(t, func() bool { return len(g.order()) == 1 })
		behind := w.enqueue(queue.Request{Description: "2", Serial: "a"})
		other := w.enqueue(queue.Request{Description: "3", Serial: "b"})
		w.until(other, "Executing")
		eventually(t, func() bool { return len(g.order()) == 2 })
		last := w.enqueue(queue.Request{Description: "4"})
		w.enqueue(queue.Request{Description: "5", Priority: true})
		ahead, err := w.queue.Ahead(t.Context(), last)
		if err != nil || len(ahead) != 2 || ahead[1] != behind { // the one with priority, and the one that waits longer
			t.Errorf("ahead of the last: %v %v", ahead, err)
		}
		if ahead, err := w.queue.Ahead(t.Context(), behind); err != nil || ahead[0] != first {
			t.Errorf("ahead of the second: %v %v", ahead, err)
		}
		if order := g.order(); !slices.Equal(order, []string{"1", "3"}) {
			t.Errorf("began %v", order)
		}
		close(g.open)
		w.until(last, "Success")
		w.until(behind, "Success")
		if order := g.order(); len(order) != 5 || slices.Index(order, "5") > slices.Index(order, "4")+1 {
			t.Errorf("began %v", order)
		}
	})
}

func TestStoppedQueueOfASpaceWaits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		w := begin(t, s, queue.Options{Work: works{"Work": func(context.Context, *queue.Task) error { return nil }}})
		set := func(stopped bool) {
			w.change(func(c *collection.Change) error {
				w.queue.LookAfter(c)
				return c.Edit("Spaces", "Spaces-1", func(o *octopus.Object) error { o.Set("TaskQueueStopped", stopped); return nil })
			})
		}
		w.change(func(c *collection.Change) error {
			o, err := octopus.NewObject(map[string]any{"Name": "Default", "TaskQueueStopped": true})
			if err != nil {
				return err
			}
			_, err = c.Create("Spaces", o)
			return err
		})
		held := w.enqueue(queue.Request{Space: "Spaces-1"})
		w.until(w.enqueue(queue.Request{}), "Success")
		if state := w.task(held).Text("State"); state != "Queued" {
			t.Errorf("the stopped space's task is %s", state)
		}
		set(false)
		w.until(held, "Success")
	})
}

func TestDrainedNodeTakesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		w := begin(t, s, queue.Options{Work: works{"Work": func(context.Context, *queue.Task) error { return nil }}})
		drain := func(on bool) {
			w.change(func(c *collection.Change) error { return w.queue.SetNode(c, "one", 7, on) })
		}
		drain(true)
		held := w.enqueue(queue.Request{})
		if s.Store.DB.Postgres() { // another node runs what waits
			other := begin(t, s, queue.Options{Node: "two", Beat: 20 * time.Millisecond, Work: works{"Work": func(context.Context, *queue.Task) error { return nil }}})
			if o := other.until(held, "Success"); o.Text("ServerNode") != "OctopusServerNodes-two" {
				t.Errorf("%s ran it", o.Text("ServerNode"))
			}
		} else {
			<-time.After(50 * time.Millisecond)
			if state := w.task(held).Text("State"); state != "Queued" {
				t.Errorf("a drained node has made it %s", state)
			}
			drain(false)
			w.until(held, "Success")
		}
		nodes, err := w.queue.Nodes(t.Context())
		if err != nil || nodes[0].Name != "one" || nodes[0].Cap != 7 || !nodes[0].Leader || nodes[0].Offline || nodes[0].Draining != s.Store.DB.Postgres() {
			t.Errorf("nodes %+v %v", nodes, err)
		}
	})
}

func TestStoppedServerEndsItsTasks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		g := newGate()
		w := begin(t, s, queue.Options{Work: works{"Work": g.work}})
		id := w.enqueue(queue.Request{})
		eventually(t, func() bool { return len(g.order()) == 1 }) // what is taken and not begun is given back
		if err := w.queue.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o := w.task(id); o.Text("State") != "Failed" || o.Text("ErrorMessage") != "The task failed because node one was stopped while it ran it." {
			t.Errorf("it is %s: %s", o.Text("State"), o.Text("ErrorMessage"))
		}
	})
}

func TestDefectInEndedKeepsNoTaskRunning(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		var told atomic.Int64
		w := begin(t, s, queue.Options{Work: works{"Work": func(context.Context, *queue.Task) error { return nil }},
			Ended: func(*collection.Change, octopus.Object) error { told.Add(1); return errors.New("a defect") }})
		w.until(w.enqueue(queue.Request{}), "Success")
		if told.Load() < 2 {
			t.Errorf("it was told %d times", told.Load())
		}
	})
}

func TestNodeThatWasThoughtDeadWritesNothing(t *testing.T) {
	t.Parallel()
	s := service(t, dbtest.Open(t, dbtest.PostgreSQL(t)))
	var saved, logged atomic.Value
	open, over := make(chan struct{}), make(chan struct{})
	silent := begin(t, s, queue.Options{Node: "silent", Beat: time.Hour, Work: works{"Work": func(ctx context.Context, task *queue.Task) error {
		<-open
		saved.Store(task.Save(context.Background(), "late"))
		task.Log.Write(activity.Info, "late")
		logged.Store(task.Recorder.Close(context.Background()))
		close(over)
		return nil
	}}})
	id := silent.enqueue(queue.Request{Serial: "a"})
	silent.until(id, "Executing")
	begin(t, s, queue.Options{Node: "living", Beat: 20 * time.Millisecond})
	o := silent.until(id, "Failed")
	if o.Text("ErrorMessage") != "The task failed because node silent stopped working while it ran it." {
		t.Errorf("it failed because of %q", o.Text("ErrorMessage"))
	}
	close(open)
	<-over
	eventually(t, func() bool { return silent.queue.Held() == 0 })
	for what, v := range map[string]*atomic.Value{"Save": &saved, "the log": &logged} {
		if err, _ := v.Load().(error); !errors.Is(err, queue.ErrLost) {
			t.Errorf("%s came back with %v", what, err)
		}
	}
	if again := silent.task(id); again.Text("State") != "Failed" {
		t.Errorf("it became %s", again.Text("State"))
	}
	if lines := silent.lines(id); slices.Contains(lines, "late") || len(lines) != 1 || !strings.Contains(lines[0], "stopped working") {
		t.Errorf("the log says %q", lines)
	}
}

// TestNodeThatLookedAwayTakesNobodyForDead: where machine or database stood still for all, the first that goes on waits for the
// others to tell that they live, too.
func TestNodeThatLookedAwayTakesNobodyForDead(t *testing.T) {
	t.Parallel()
	s := service(t, dbtest.Open(t, dbtest.PostgreSQL(t)))
	g := newGate()
	quiet := begin(t, s, queue.Options{Node: "quiet", Beat: time.Hour, Work: works{"Work": g.work}})
	defer close(g.open)
	id := quiet.enqueue(queue.Request{})
	quiet.until(id, "Executing")
	const beat = 5 * time.Millisecond
	watcher := queue.New(queue.Options{Service: s, Node: "watcher", Beat: beat})
	if err := watcher.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	look := func() {
		<-time.After(beat)
		if err := watcher.Watch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	<-time.After(30 * beat)
	for range 4 { // each counts for two beats at most, of ten
		look()
	}
	if state := quiet.task(id).Text("State"); state != "Executing" {
		t.Errorf("after a time in which nobody looked the task is %s", state)
	}
	for quiet.task(id).Text("State") == "Executing" {
		look()
	}
	if o := quiet.task(id); o.Text("ErrorMessage") != "The task failed because node quiet stopped working while it ran it." {
		t.Errorf("it is %s: %s", o.Text("State"), o.Text("ErrorMessage"))
	}
}

// TestNoNodeTakesItsSuccessorForItself: of servers that are started at once with one name each has a generation of its own, whatever it
// reads, so that the last of them ends the others.
func TestNoNodeTakesItsSuccessorForItself(t *testing.T) {
	t.Parallel()
	s := service(t, dbtest.Open(t, dbtest.PostgreSQL(t)))
	nodes := make([]*queue.Queue, 12)
	var joining sync.WaitGroup
	for i := range nodes {
		nodes[i] = queue.New(queue.Options{Service: s, Node: "twin"})
		joining.Go(func() {
			if err := nodes[i].Join(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	joining.Wait()
	seen := map[int64]bool{}
	for _, q := range nodes {
		seen[q.Generation()] = true
	}
	if len(seen) != len(nodes) {
		t.Errorf("%d nodes have %d generations", len(nodes), len(seen))
	}
}

func TestRecurringWorkRunsOnceForAllNodes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *collection.Service) {
		var runs atomic.Int64
		nodes := 1
		if s.Store.DB.Postgres() {
			nodes = 3
		}
		start := time.Now()
		for i := range nodes {
			q := queue.New(queue.Options{Service: s, Node: fmt.Sprint("node", i), Beat: 10 * time.Millisecond})
			q.Every("tick", func(last time.Time) time.Time {
				if last.IsZero() {
					return start.Add(50 * time.Millisecond)
				}
				return last.Add(100 * time.Millisecond)
			}, func(context.Context, *queue.Task) error { runs.Add(1); return errors.New("told to the operator") })
			if err := q.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := q.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		eventually(t, func() bool { return runs.Load() >= 3 })
		if most := int64(time.Since(start)/(100*time.Millisecond)) + 1; runs.Load() > most {
			t.Errorf("it ran %d times in %s", runs.Load(), time.Since(start))
		}
	})
}

// TestWaitingTasksHoldNothing: tasks that wait, for their time or for people, are rows and nothing else, and those that have
// ended cost the others nothing. Not in parallel: it looks at the memory of the process.
func TestWaitingTasksHoldNothing(t *testing.T) { //nolint:paralleltest // see above
	s := service(t, dbtest.Open(t, dbtest.SQLite(t)))
	w := begin(t, s, queue.Options{Cap: 20, Work: works{"Work": func(context.Context, *queue.Task) error { return nil }, "Park": func(context.Context, *queue.Task) error { return queue.ErrParked }}})
	fill := func(n int, r queue.Request) {
		w.change(func(c *collection.Change) error {
			for range n {
				if _, err := w.queue.Enqueue(c, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	fill(500, queue.Request{Name: "Work", Due: time.Now().Add(time.Hour)})
	fill(100, queue.Request{Name: "Park"})
	idle := func() bool {
		var n int
		err := s.Store.DB.Read().QueryRow("SELECT count(*) FROM spaceserver_queue WHERE state <> 'parked' AND due <= $1", time.Now().UnixMilli()).Scan(&n)
		return err == nil && n == 0 && w.queue.Held() == 0
	}
	eventually(t, idle)
	fill(300, queue.Request{Name: "Work"}) // what is kept once and for all, such as prepared statements, is there then
	eventually(t, idle)
	before := heap()
	fill(300, queue.Request{Name: "Work"})
	eventually(t, idle)
	if after := heap(); after > before+(1<<20) {
		t.Errorf("300 tasks left %d KiB", (after-before)>>10)
	}
	left, err := w.queue.Unfinished(t.Context())
	if err != nil || len(left) != 600 {
		t.Errorf("%d tasks wait: %v", len(left), err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTasks runs b.N tasks that do nothing, 20 at a time, and says what they left in memory: go test -bench Tasks
// -benchtime 100000x.
func BenchmarkTasks(b *testing.B) {
	s := service(b, dbtest.Open(b, dbtest.SQLite(b)))
	w := begin(b, s, queue.Options{Cap: 20, Work: works{"Work": func(_ context.Context, t *queue.Task) error { t.Log.Write(activity.Info, "done"); return nil }}})
	w.until(w.enqueue(queue.Request{}), "Success")
	before := heap()
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(1000, b.N-done)
		w.change(func(c *collection.Change) error {
			for range n {
				if _, err := w.queue.Enqueue(c, queue.Request{Name: "Work", Description: "Work"}); err != nil {
					return err
				}
			}
			return nil
		})
		for done += n; ; {
			if left, err := w.queue.Unfinished(context.Background()); err == nil && len(left) == 0 {
				break
			}
			<-time.After(2 * time.Millisecond)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(int64(heap())-int64(before))/1024, "KiB-left")
}
