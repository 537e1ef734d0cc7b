package task

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/signal"
	"odcm/kit/task/queue"
)

//go:embed schema/*.sql
var files embed.FS

const (
	workers = 32 // tasks that one replica runs at once; most of them wait for some Octopus server
	// poll is how often the queue is looked at, which bounds how late a task starts: 80 ms on average. Looking twice as
	// often costs an idle replica half a percent of a core more.
	poll = 150 * time.Millisecond
	// maxAttempts ends a task that takes its replica down whenever it runs, before it has taken all of them down for hours.
	maxAttempts = 20
)

// Options tune an engine. The zero value is right for the manager.
type Options struct {
	Replica        string        // name of this replica, for people; the host's name if empty
	Logger         *slog.Logger  // slog.Default() if nil
	HeartbeatEvery time.Duration // 2 s if zero
	DeadAfter      time.Duration // how long a silent replica counts as alive; 8 s if zero
	Keep           time.Duration // how long a finished task is kept; 90 days if zero
	// Hook is called before each step runs, and after it ran but before its result is stored; likewise around the end of
	// the task, which is the step "". Tests end the process there.
	Hook func(kind, step string, after bool)
}

// Engine runs tasks on this replica, and takes tasks to be run on any.
type Engine struct {
	d      *db.DB
	events *eventlog.Log
	bus    *signal.Bus
	lease  *lease.Store
	queue  *queue.Queue
	o      Options
	log    *slog.Logger

	executor string // this start of this replica
	handlers map[string]func(*Run) error
	started  atomic.Bool
	draining atomic.Bool

	mu   sync.Mutex
	runs map[odcm.TaskID]*Run // what runs here
	idle *sync.Cond           // on mu: a run ended

	stop       context.CancelFunc // ends the loops
	background sync.WaitGroup
}

// New makes the tables `task`, `task_step`, `task_log` and `task_replica`. Nothing runs before [Engine.Start]; an engine
// that is never started is stopped all the same.
func New(ctx context.Context, d *db.DB, events *eventlog.Log, bus *signal.Bus, o Options) (_ *Engine, err error) {
	defer odcm.Wrap(&err, "open tasks")
	if o.Replica == "" {
		if o.Replica, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.HeartbeatEvery = or(o.HeartbeatEvery, 2*time.Second)
	o.DeadAfter = or(o.DeadAfter, 8*time.Second)
	o.Keep = or(o.Keep, 90*24*time.Hour)
	if o.Hook == nil {
		o.Hook = func(string, string, bool) {}
	}
	if o.DeadAfter < 3*o.HeartbeatEvery {
		return nil, odcm.E(odcm.Invalid, "task.dead-after", "a replica is called dead after %v, with a heartbeat every %v: wait for three at least", o.DeadAfter, o.HeartbeatEvery)
	}
	schema, err := fs.Sub(files, "schema")
	if err != nil {
		return nil, err
	}
	if err := d.Migrate(ctx, "task", schema); err != nil {
		return nil, err
	}
	leases, err := lease.New(ctx, d)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		d: d, events: events, bus: bus, lease: leases, o: o,
		log:      o.Logger.With("replica", o.Replica),
		executor: o.Replica + "/" + uuid.NewString(),
		handlers: map[string]func(*Run) error{},
		runs:     map[odcm.TaskID]*Run{},
		stop:     func() {},
	}
	e.idle = sync.NewCond(&e.mu)
	if e.queue, err = queue.Open(ctx, d, queue.Options{Executor: e.executor, Log: e.log, Workers: workers, Poll: poll}, e.execute); err != nil {
		return nil, err
	}
	return e, nil
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Register names the function that runs tasks of a kind. All kinds are registered before Start; registering later, or a
// kind twice, panics as a pattern of net/http does: it is a defect of the program.
func (e *Engine) Register(kind string, run func(r *Run) error) {
	if e.started.Load() {
		panic("task: Register " + kind + " after Start")
	}
	if _, twice := e.handlers[kind]; twice {
		panic("task: Register " + kind + " twice")
	}
	e.handlers[kind] = run
}

// Start begins to run tasks, until Stop. The context bounds only the start.
func (e *Engine) Start(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "start tasks")
	if e.started.Swap(true) {
		return odcm.E(odcm.Internal, "task.started", "the engine was started before")
	}
	loops, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	if e.d.Postgres() {
		// Alive before the first claim, so that no claim ever belongs to an executor that was never alive.
		if err := e.beat(ctx); err != nil {
			return err
		}
	} else if err := e.adopt(ctx, nil); err != nil { // one replica: whatever others left is ours, at once
		return err
	}
	hints := e.bus.Subscribe(cancelNoun)
	if err := e.queue.Launch(); err != nil {
		hints.Close()
		return err
	}
	e.background.Go(func() { e.listen(loops, hints) })
	if e.d.Postgres() {
		e.background.Go(func() { e.heartbeat(loops) })
		e.background.Go(func() { e.lead(loops) })
	} else {
		e.background.Go(func() { e.sweepHourly(loops) })
	}
	return nil
}

// Stop takes no further tasks, lets the steps that are running end, until ctx does, and leaves the rest of their tasks to
// other replicas or to the next start. An error says that a step goes on in spite of its context.
func (e *Engine) Stop(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "stop tasks")
	e.draining.Store(true)
	e.queue.Pause()
	// Runs see that the engine drains when they begin their next step. Those that are still in a step when ctx ends
	// are interrupted, and get a moment to return.
	err = e.drained(ctx)
	if err != nil {
		e.interruptAll()
		moment, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = e.drained(moment)
	}
	e.stop()
	e.background.Wait()
	if e.d.Postgres() && e.started.Load() && err == nil {
		// Nothing runs here: do not make the others wait until this replica looks dead.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, err := e.queue.Pool.Exec(last, `DELETE FROM task_replica WHERE executor = $1`, e.executor); err != nil {
			e.log.Warn("could not sign off: others take this replica's tasks over once it looks dead", "error", err)
		}
		e.bus.Publish(replicaTopic)
	}
	return errors.Join(err, e.queue.Close(3*time.Second))
}

// drained waits until nothing runs here.
func (e *Engine) drained(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.idle.Broadcast()
	})()
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.runs) > 0 {
		if ctx.Err() != nil {
			return odcm.E(odcm.Unavailable, "task.still-running", "%d tasks are in a step that does not end", len(e.runs)).Because(ctx.Err())
		}
		e.idle.Wait()
	}
	return nil
}
