// Package queue runs the server's tasks: each once, on one of the nodes that share the database, as many at a time as the
// node's cap allows, none whose time has not come, and never two that must not run together. A task whose node dies ends as
// failed with the reason; one that waits for people lies in the database and holds nothing.
//
// # What is kept
//
// A task is a document of the kind ServerTasks, and, until it has ended, a row of table spaceserver_queue. A node takes the
// row in one transaction, which raises its fence; the transaction that ends the task deletes the row with that fence. A node
// that was thought dead and wakes up finds its row gone or raised: what it writes is refused, and its work is canceled.
//
// # When it looks
//
// A node looks at the queue when something changed here (after the commit), when a timer says that something is due, and on
// PostgreSQL, where other nodes write, every second. On SQLite an idle queue is never woken.
package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
)

// Request is a task to be made.
type Request struct {
	Name        string         // Deploy, RunbookRun, Health, AdHocScript, Retention, ...
	Description string         // "Deploy Web release 1.0.0 to Dev"
	Space       string         // "" for the whole server
	Project     string         // id; decides who sees the task
	Arguments   map[string]any // DeploymentId, EnvironmentId, TenantId, MachineIds ...: Arguments.* are filters of the task list
	Due         time.Time      // QueueTime; at once if zero
	Expires     time.Time      // QueueTimeExpiry: it is given up if it was not started by then; never if zero
	Serial      string         // of tasks with the same text one runs at a time: "deploy/Projects-1/Environments-1/Tenants-1"
	Priority    bool           // ahead of others that are due
	By          string         // user id that asked
}

// Work runs one kind of task. nil is success; [ErrParked] releases the node until [Queue.Wake]; any other error is a failure
// whose message people read. The context ends when the task is canceled (cause [ErrCanceled]), when it exceeds its time or
// when the server stops.
type Work func(ctx context.Context, t *Task) error

// What Work and the context's cause may say.
var (
	ErrParked = errors.New("the task waits for people")
	// ErrHeld is [ErrParked] for a task that keeps others with its serial text from running meanwhile.
	ErrHeld     = fmt.Errorf("%w, and lets no other run in its place", ErrParked)
	ErrCanceled = errors.New("the task was canceled")
	ErrStopping = errors.New("the server stops")
	// ErrWarnings is success with warnings.
	ErrWarnings = errors.New("the task succeeded with warnings")
	// ErrLost is the cause where the node was thought dead and the task was ended by another: nothing it writes counts.
	ErrLost = activity.ErrLost
	// ErrTime is the cause where the task exceeded its time.
	ErrTime = errors.New("the task took longer than it may")
)

// Task is a task that this node runs.
type Task struct {
	ID, Name, Description, Space, Project, By string
	Arguments                                 octopus.Object
	Recorder                                  *activity.Recorder
	Log                                       *activity.Log   // the root node
	Checkpoint                                json.RawMessage // what Save kept before the task was parked; nil at first. Sealed at rest.

	queue *Queue
	fence int64
}

// Options are what the queue needs.
type Options struct {
	Service *collection.Service
	Node    string // name of this node
	Cap     int    // tasks at a time; 5 if 0, as on an Octopus server. Nodes may be given another by PUT.
	Work    map[string]Work
	Timeout time.Duration // of one task; none if 0
	// Started is called in the transaction in which a task is started for the first time, Ended in that in which it ends, to
	// record what that means (events, retention). They may be nil.
	Started, Ended func(c *collection.Change, task octopus.Object) error
	Now            func() time.Time
	Logger         *slog.Logger
	// Beat is how often a node of several tells that it lives, and looks what the others did: 1 s if 0. One that was silent
	// for ten beats is dead.
	Beat time.Duration
}

// DefaultCap is how many tasks a node runs at a time, as on an Octopus server.
const DefaultCap = 5

// beats is how many a node may miss.
const beats = 10

// Queue is one node's part of the queue.
type Queue struct {
	o     Options
	book  *activity.Book
	work  map[string]Work
	every map[string]recurring

	wake    chan struct{}
	end     context.CancelFunc // the node takes no more
	ending  context.Context
	taking  sync.WaitGroup
	working sync.WaitGroup
	stop    context.CancelFunc // the node tells no more that it lives
	stopped context.Context
	beating sync.WaitGroup

	mu         sync.Mutex
	running    map[string]*run
	recurring  map[string]bool // names that run now
	cap        int             // as the node's row says, 0 for o.Cap
	draining   bool
	closing    bool
	generation int64
	watched    map[string]sighting
	looked     time.Time // at the other nodes, the last time
}

// New makes the queue of this node; nothing runs before Start. Handle and Every may be called until then.
func New(o Options) *Queue {
	if o.Now == nil {
		o.Now = o.Service.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Cap = cmp.Or(o.Cap, DefaultCap)
	o.Beat = cmp.Or(o.Beat, time.Second)
	q := &Queue{o: o, book: activity.NewBook(o.Service.Store.DB), work: map[string]Work{}, every: map[string]recurring{}, wake: make(chan struct{}, 1),
		running: map[string]*run{}, recurring: map[string]bool{}, watched: map[string]sighting{}}
	for name, w := range o.Work {
		q.work[name] = w
	}
	q.ending, q.end = context.WithCancel(context.Background())
	q.stopped, q.stop = context.WithCancel(context.Background())
	return q
}

// Handle says what runs a kind of task.
func (q *Queue) Handle(name string, w Work) { q.work[name] = w }

// Handles tells whether this server runs the kind of task.
func (q *Queue) Handles(name string) bool { return q.work[name] != nil }

// Names are the kinds of tasks that this server runs, in no order.
func (q *Queue) Names() []string {
	names := make([]string, 0, len(q.work))
	for name := range q.work {
		names = append(names, name)
	}
	return names
}

// Logs is where the logs of tasks are read.
func (q *Queue) Logs() *activity.Book { return q.book }

// Start ends what a dead predecessor of this node left, as failed with the reason, and begins to take tasks.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.register(ctx); err != nil {
		return err
	}
	var err error
	if q.shared() {
		err = q.bury(ctx, q.generation, q.o.Node)
	} else { // there is no other node: whatever runs, its process is gone
		err = q.bury(ctx, math.MaxInt64)
	}
	if err != nil {
		return err
	}
	if err := q.schedule(ctx); err != nil {
		return err
	}
	q.taking.Go(q.loop)
	if q.shared() {
		q.beating.Go(q.beat)
	}
	q.Look()
	return nil
}

// Stop takes no more, cancels what runs with [ErrStopping], waits for it, and ends it as failed with the reason.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	if q.closing || q.generation == 0 {
		q.mu.Unlock()
		return nil
	}
	q.closing = true
	for _, r := range q.running {
		r.cancel(ErrStopping)
	}
	q.mu.Unlock()
	q.end()
	q.taking.Wait() // first: what it has just taken is begun, and canceled
	over := make(chan struct{})
	go func() { q.working.Wait(); close(over) }()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = errors.New("tasks did not stop in time: they end as failed at the next start")
	}
	q.stop()
	q.beating.Wait()
	return errors.Join(err, q.leave(context.WithoutCancel(ctx)))
}

// Look has the queue looked at, soon.
func (q *Queue) Look() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// LookAfter has the queue looked at once the change is committed: a space's queue goes on, a node may take tasks again.
func (q *Queue) LookAfter(c *collection.Change) { c.Service.Store.DB.AfterCommit(c.Tx, q.Look) }

// shared tells whether other nodes may be on the database.
func (q *Queue) shared() bool { return q.o.Service.Store.DB.Postgres() }

// loop looks at the queue whenever there may be something to do.
func (q *Queue) loop() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-q.ending.Done():
			return
		case <-q.wake:
		case <-timer.C:
		}
		next, err := q.round(q.ending)
		if q.ending.Err() != nil {
			return
		}
		if err != nil {
			q.o.Logger.Error("the task queue could not be read; it is tried again", "error", err)
			next = q.o.Now().Add(time.Second)
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(next.Sub(q.o.Now()), time.Millisecond))
		}
	}
}

// round does what is due and tells when to look again; zero for not before something changes.
func (q *Queue) round(ctx context.Context) (next time.Time, err error) {
	if err := q.heed(ctx); err != nil {
		return next, err
	}
	if err := q.expire(ctx); err != nil {
		return next, err
	}
	if err := q.recur(ctx); err != nil {
		return next, err
	}
	for {
		free := q.free()
		if free == 0 {
			break
		}
		taken, err := q.take(ctx, free)
		if err != nil {
			return next, err
		}
		for _, t := range taken {
			q.begin(t)
		}
		if len(taken) == 0 {
			break
		}
	}
	return q.next(ctx)
}
