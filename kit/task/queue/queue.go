package queue

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // lets DBOS run on SQLite
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"odcm/kit/db"
)

const name = "odcm.task" // of the one DBOS workflow, whose input is a task's identifier, and of its queue

// poolSize bounds DBOS's own connections on PostgreSQL; one of them listens.
const poolSize = 6

// version never changes. By default it is a hash of the program, and an upgraded one would leave the last one's tasks alone.
const version = "1"

// Standstill is after what time PostgreSQL ends a transaction in which nothing happens: its replica stands still, and its
// locks must not stop the one that takes over.
const Standstill = "4s"

// Context is that of one run of one task: it ends when the replica does, and [Step] stores results under it.
type Context = dbos.Context

// ErrLeft, returned from a run, makes DBOS store nothing about its end: the task stays claimed as after a crash.
var ErrLeft error = dbos.ErrConflictingWorkflowID

// ErrChanged says that a run came to another step than the one that an earlier run stored at its place.
var ErrChanged error = &dbos.Error{Code: dbos.ErrorCodeUnexpectedStep}

// Options of a queue.
type Options struct {
	Executor string // this start of this replica
	Log      *slog.Logger
	Workers  int           // tasks that one replica runs at once
	Poll     time.Duration // how often the queue is looked at
}

// Queue is this replica's end of the queue.
type Queue struct {
	// Pool is the library's own on PostgreSQL, nil on SQLite. Heartbeats use it, so that rooms which use up theirs do not
	// kill a replica.
	Pool *pgxpool.Pool

	library  dbos.Context
	executor string
}

// Open makes the queue; run is called, once the queue is launched, for each task that this replica takes. A task is done
// when run returns nil, and stays claimed by this replica when it returns [ErrLeft].
//
// DBOS's Shutdown closes the handle that it was given, also one that is shared, so it gets one of its own: on PostgreSQL a
// small pool; on SQLite a handle that borrows the one writer connection for each statement.
func Open(ctx context.Context, d *db.DB, o Options, run func(ctx Context, id string) error) (*Queue, error) {
	cfg := dbos.Config{
		AppName:            "odcm",
		ExecutorID:         o.Executor,
		ApplicationVersion: version,
		Logger:             slog.New(quiet{o.Log.Handler()}),
	}
	q := &Queue{executor: o.Executor}
	if d.Postgres() {
		pc := d.Pool.Config()
		pc.MaxConns, pc.MinConns = poolSize, 0
		pc.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, `SET idle_in_transaction_session_timeout = '`+Standstill+`'`)
			return err
		}
		pool, err := pgxpool.NewWithConfig(ctx, pc)
		if err != nil {
			return nil, err
		}
		cfg.SystemDBPool, q.Pool = pool, pool
	} else {
		cfg.SQLiteSystemDB = borrow(d.Write())
	}
	// Not the caller's context: the library lives until Shutdown, which drains; a context that ends does not.
	c, err := dbos.NewContext(context.WithoutCancel(ctx), cfg)
	if err != nil {
		if q.Pool != nil {
			q.Pool.Close()
		}
		return nil, err
	}
	q.library = c
	if dbos.GetExecutorID(c) != o.Executor || dbos.GetApplicationVersion(c) != version { // DBOS lets the environment override both
		return nil, errors.Join(errors.New("unset DBOS__VMID and DBOS__APPVERSION: tasks could not be taken over"), q.Close(time.Second))
	}
	dbos.RegisterWorkflow(c, func(ctx dbos.Context, id string) (string, error) { return "", run(ctx, id) }, dbos.WithWorkflowName(name))
	_, err = dbos.RegisterQueue(c, name, dbos.WithWorkerConcurrency(o.Workers), dbos.WithQueueBasePollingInterval(o.Poll),
		dbos.WithQueueOnConflict(dbos.QueueConflictAlwaysUpdate))
	if err != nil {
		return nil, errors.Join(err, q.Close(time.Second))
	}
	return q, nil
}

// Launch begins to take tasks.
func (q *Queue) Launch() error { return dbos.Launch(q.library) }

// Pause takes no further tasks.
func (q *Queue) Pause() { dbos.ListenQueues(q.library, "none") }

// Close ends what runs, for as long as within, and closes the connections.
func (q *Queue) Close(within time.Duration) error { return dbos.Shutdown(q.library, within) }

// Add puts a task into the queue within the caller's transaction.
func (q *Queue) Add(tx *sql.Tx, id string) error {
	_, err := dbos.Enqueue[string](q.library, name, name, id, dbos.WithEnqueueTransaction(tx), dbos.WithEnqueueWorkflowID(id))
	return err
}

// Claim is a task that a replica took and did not finish.
type Claim struct{ ID, Executor string }

// Claims lists all of them.
func (q *Queue) Claims() ([]Claim, error) {
	claimed, err := dbos.ListWorkflows(q.library, dbos.WithFilterStatus(dbos.WorkflowStatusPending), dbos.WithFilterName(name),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, err
	}
	claims := make([]Claim, len(claimed))
	for i, w := range claimed {
		claims[i] = Claim{w.ID, w.ExecutorID}
	}
	return claims, nil
}

// Mine tells whether this replica has the claim of a task.
func (q *Queue) Mine(id string) (bool, error) {
	claimed, err := dbos.ListWorkflows(q.library, dbos.WithFilterWorkflowIDs(id),
		dbos.WithFilterStatus(dbos.WorkflowStatusPending), dbos.WithFilterExecutorIDs(q.executor),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	return len(claimed) > 0, err
}

// Return puts claimed tasks back into the queue, whatever replica they were on.
func (q *Queue) Return(ids ...string) error {
	// The library's own context: within a run the call itself would be stored as a step of it.
	_, err := dbos.ResumeWorkflows[string](q.library, ids, dbos.WithResumeQueue(name))
	return err
}

// Forget deletes the stored steps of finished tasks, at most limit of them, and returns of how many.
func (q *Queue) Forget(limit int) (int, error) {
	done, err := dbos.ListWorkflows(q.library, dbos.WithFilterName(name), dbos.WithFilterLimit(limit),
		dbos.WithFilterStatus(dbos.WorkflowStatusSuccess, dbos.WorkflowStatusError),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil || len(done) == 0 {
		return 0, err
	}
	ids := make([]string, len(done))
	for i, w := range done {
		ids[i] = w.ID
	}
	return len(ids), dbos.DeleteWorkflows(q.library, ids)
}

// Step runs f and stores what it returns, or returns what an earlier run stored at this place. It fails with [ErrChanged],
// or where the result could not be stored or another replica runs the task by now.
func Step[T any](ctx Context, name string, f func(ctx context.Context) T) (T, error) {
	return dbos.RunAsStep(ctx, func(ctx context.Context) (T, error) { return f(ctx), nil }, dbos.WithStepName(name))
}
