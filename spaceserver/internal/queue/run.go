package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
)

// run is a task that this node runs.
type run struct {
	taken
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// outcome is how a task ended, or stopped for a while.
type outcome struct {
	state    string // Success, Failed, Canceled, TimedOut; "" for parked
	status   activity.Status
	message  string
	warnings bool
	said     bool // the log has the message already
	untold   bool // Ended is not told: it failed
	held     bool // parked as [ErrHeld]
}

// free is how many more tasks this node may take now.
func (q *Queue) free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := q.o.Cap
	if q.cap > 0 {
		limit = q.cap
	}
	if q.draining || q.closing {
		return 0
	}
	return max(0, limit-len(q.running))
}

// begin runs a task that was taken.
func (q *Queue) begin(t taken) {
	r := &run{taken: t}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	q.mu.Lock()
	if q.closing {
		r.cancel(ErrStopping)
	}
	q.running[t.task] = r
	q.working.Add(1)
	q.mu.Unlock()
	go func() {
		defer q.working.Done()
		defer r.cancel(nil)
		q.carryOut(r)
		q.mu.Lock()
		delete(q.running, t.task)
		q.mu.Unlock()
		q.Look()
	}()
}

// carryOut runs the work and ends the task.
func (q *Queue) carryOut(r *run) {
	var used int64
	if r.started { // it was parked: it has a log
		var err error
		if used, err = q.book.Size(r.ctx, r.task); err != nil {
			q.o.Logger.Warn("the size of a task's log could not be read", "task", r.task, "error", err)
		}
	}
	recorder := activity.Record(activity.Options{Sink: fenced{q, r}, Task: r.task, Used: used})
	t := &Task{ID: r.task, Name: r.name, Description: r.document.Text("Description"), Space: r.space, Project: r.document.Text("ProjectId"), By: r.by,
		Arguments: r.document.Object("Arguments"), Recorder: recorder, Log: recorder.Root(r.document.Text("Description")), queue: q, fence: r.fence}
	result := q.judge(r, t, q.perform(r, t, q.work[r.name]))
	if result.state != "" {
		if result.message != "" && !result.said {
			t.Log.Write(activity.Fatal, result.message)
		}
		t.Log.End(result.status)
	}
	result.warnings = result.warnings || recorder.Warned()
	result.message = recorder.Masked(result.message)
	q.settle(r, result, recorder.Rest())
}

// perform runs the work; a panic is a failure with a reference to the server's log.
func (q *Queue) perform(r *run, t *Task, work Work) (err error) {
	defer func() {
		if v := recover(); v != nil {
			reference := uuid.NewString()
			q.o.Logger.Error("a task panicked", "task", r.task, "reference", reference, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("The task met a defect of the server. Tell your administrator the reference %s, which is in the server's log", reference) //nolint:staticcheck // read by people
		}
	}()
	if work == nil {
		return fmt.Errorf("This Space server version does not run tasks of the kind '%s'", r.name) //nolint:staticcheck // read by people
	}
	if r.checkpoint != "" {
		if t.Checkpoint, err = q.o.Service.Unseal(r.checkpoint, place(r.task)); err != nil {
			return fmt.Errorf("what the task had kept could not be read: %w", err)
		}
	}
	ctx := r.ctx
	if q.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, q.o.Timeout, ErrTime)
		defer cancel()
	}
	if err := work(ctx, t); err != nil {
		if errors.Is(context.Cause(ctx), ErrTime) {
			return ErrTime
		}
		return err
	}
	return nil
}

// judge says what the work's answer means. What was canceled before the work said that it is done ended as canceled.
func (q *Queue) judge(r *run, t *Task, err error) outcome {
	cause := context.Cause(r.ctx)
	switch {
	case errors.Is(cause, ErrCanceled):
		return outcome{state: "Canceled", status: activity.Canceled, message: "The task was canceled."}
	case err == nil:
		status := activity.Success
		if t.Recorder.Warned() {
			status = activity.SuccessWithWarning
		}
		return outcome{state: "Success", status: status}
	case errors.Is(err, ErrWarnings):
		return outcome{state: "Success", status: activity.SuccessWithWarning, warnings: true}
	case errors.Is(cause, ErrStopping) && !errors.Is(err, ErrParked):
		return outcome{state: "Failed", status: activity.Failed, message: fmt.Sprintf("The task failed because node %s was stopped while it ran it.", q.o.Node)}
	case errors.Is(cause, ErrLost):
		return outcome{state: "Failed", status: activity.Failed, message: died(q.o.Node)}
	case errors.Is(err, ErrTime):
		return outcome{state: "TimedOut", status: activity.Failed, message: fmt.Sprintf("The task took longer than %s, which is what it may.", q.o.Timeout)}
	case errors.Is(err, ErrParked):
		return outcome{held: errors.Is(err, ErrHeld)}
	}
	return outcome{state: "Failed", status: activity.Failed, message: sentence(err.Error())}
}

func died(node string) string {
	return fmt.Sprintf("The task failed because node %s stopped working while it ran it.", node)
}

func sentence(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "The task failed."
	}
	if strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// settle writes what came of a run with the end of its log, and goes on trying while the database does not take it: a result
// must not be lost because a disk was full.
func (q *Queue) settle(r *run, result outcome, log []byte) {
	result.said = true
	for attempt := 0; ; attempt++ {
		err := q.conclusion(context.Background(), func(c *collection.Change, untold bool) error {
			e, ok, err := q.entry(c, r.task)
			if err != nil || !ok || e.fence != r.fence || e.state != running {
				return err // another node has ended it
			}
			if len(log) > 0 {
				if err := q.book.Append(c.Context, c.Tx, r.task, log); err != nil {
					return err
				}
			}
			result.untold = untold
			return q.conclude(c, e, result)
		})
		if err == nil {
			return
		}
		q.o.Logger.Error("the end of a task could not be written; it is tried again", "task", r.task, "error", err)
		select {
		case <-q.stopped.Done():
			return // the next start ends it
		case <-time.After(min(time.Duration(attempt+1)*100*time.Millisecond, 5*time.Second)):
		}
	}
}

// conclusion runs a transaction in which tasks end. One that is refused for another reason than that the database is away or
// full is tried again, and at last without telling Ended: a defect there must neither keep a task running for ever nor the
// server from starting.
func (q *Queue) conclusion(ctx context.Context, f func(c *collection.Change, untold bool) error) error {
	for attempt := 1; ; attempt++ {
		untold := attempt > 3
		err := q.transact(ctx, func(c *collection.Change) error { return f(c, untold) })
		if err == nil || untold || ctx.Err() != nil || db.IsAway(err) || db.IsFull(err) {
			return err
		}
		if attempt == 3 {
			q.o.Logger.Error("what the end of a task means could not be recorded: the task ends without", "error", err)
		}
	}
}

func (q *Queue) conclude(c *collection.Change, e entry, result outcome) error {
	if result = e.asked(result); result.state != "" {
		_, err := q.finish(c, e, result)
		return err
	}
	state := parked
	if result.held {
		state = held
	}
	if e.woken { // answered before the work had stopped
		state = queued
	}
	if err := q.exec(c, "UPDATE spaceserver_queue SET state = $1 WHERE task = $2", state, e.task); err != nil {
		return err
	}
	members := map[string]any{"State": "Queued", "Completed": "Queued..."}
	if result.warnings {
		members["HasWarningsOrErrors"] = true
	}
	q.LookAfter(c)
	return q.edit(c, e, members)
}

// finish ends a task: its row goes, its document says how it ended, and Ended is told.
func (q *Queue) finish(c *collection.Change, e entry, result outcome) (octopus.Object, error) {
	var o octopus.Object
	if err := q.exec(c, "DELETE FROM spaceserver_queue WHERE task = $1", e.task); err != nil {
		return o, err
	}
	err := c.In(e.space).Edit("ServerTasks", e.task, func(d *octopus.Object) error {
		q.over(d, result)
		o = *d
		return nil
	})
	if err != nil {
		return o, err
	}
	if !result.said && result.message != "" {
		if err := q.book.Say(c.Context, c.Tx, e.task, o.Text("Description"), q.o.Now(), activity.Fatal, result.message); err != nil {
			return o, err
		}
	}
	c.Service.Store.DB.AfterCommit(c.Tx, func() { q.book.Wake(e.task) })
	q.LookAfter(c) // another with the same serial text may run now
	if q.o.Ended == nil || result.untold {
		return o, nil
	}
	return o, q.o.Ended(c.In(e.space), o)
}

// over writes into a task's document how it ended.
func (q *Queue) over(o *octopus.Object, result outcome) {
	now := q.o.Now()
	o.Set("State", result.state)
	o.Set("IsCompleted", true)
	o.Set("FinishedSuccessfully", result.state == "Success")
	o.Set("HasPendingInterruptions", false)
	o.Set("HasWarningsOrErrors", o.Bool("HasWarningsOrErrors") || result.warnings || result.state == "Failed" || result.state == "TimedOut")
	arguments := o.Object("Arguments") // what was deployed or run is deployed or run again, not its task
	o.Set("CanRerun", !arguments.Has("DeploymentId") && !arguments.Has("RunbookRunId"))
	o.Set("LastUpdatedTime", stamp(now))
	if o.Text("CompletedTime") == "" {
		o.Set("CompletedTime", stamp(now))
		o.Set("Completed", now.Format(Completed))
		start, err := time.Parse(time.RFC3339, o.Text("StartTime"))
		if err != nil { // it never ran
			start = now
		}
		o.Set("Duration", Words(now.Sub(start)))
	}
	message := ""
	if result.state != "Success" {
		message = result.message
	}
	o.Set("ErrorMessage", message)
}

// stamp is a time as Octopus writes it into a task.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-07:00") }

// Completed is how Octopus writes the time at which a task ended.
const Completed = "Monday, 02 January 2006 3:04:05 PM -07:00"

// Words is a duration as Octopus words it: "34 seconds", "1 minute" (recorded answers in OctopusClients).
func Words(d time.Duration) string {
	count := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch s := int64(d.Round(time.Second) / time.Second); {
	case d < time.Second:
		return "less than a second"
	case s < 60:
		return count(s, "second")
	case s < 3600:
		return count((s+30)/60, "minute")
	case s < 86400:
		return count((s+1800)/3600, "hour")
	default:
		return count((s+43200)/86400, "day")
	}
}

// place binds a checkpoint to its task.
func place(task string) string { return "spaceserver_queue/checkpoint/" + task }

// Save keeps how far the task came, for when it is run again after it was parked.
func (t *Task) Save(ctx context.Context, checkpoint any) error {
	plain, err := json.Marshal(checkpoint)
	if err != nil {
		return err
	}
	sealed, err := t.queue.o.Service.Seal(plain, place(t.ID))
	if err != nil {
		return err
	}
	return t.queue.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE spaceserver_queue SET checkpoint = $1 WHERE task = $2 AND fence = $3 AND state = 'running'", sealed, t.ID, t.fence)
		return oneRow(result, err)
	})
}

// Hold refuses, with [ErrLost], to go on in a transaction where the task is no longer this node's, and keeps it so until the
// transaction ends. What a task writes into documents is written after it.
func (t *Task) Hold(c *collection.Change) error {
	e, ok, err := t.queue.entry(c, t.ID)
	if err == nil && (!ok || e.fence != t.fence || e.state != running) {
		err = ErrLost
	}
	return err
}

func oneRow(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return ErrLost
}

// fenced is the log of a run: it takes nothing once the task is another's.
type fenced struct {
	queue *Queue
	run   *run
}

// Append implements [activity.Sink].
func (f fenced) Append(ctx context.Context, task string, chunk []byte) error {
	return f.queue.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		fence, err := scanFence(tx.QueryRowContext(ctx, f.queue.locked("SELECT q.fence FROM spaceserver_queue q WHERE q.task = $1 AND q.state = 'running'", ""), task))
		if errors.Is(err, sql.ErrNoRows) || err == nil && fence != f.run.fence {
			return lost{}
		}
		if err != nil {
			return err
		}
		return f.queue.book.Append(ctx, tx, task, chunk)
	})
}

func scanFence(r db.Row) (fence int64, err error) { return fence, r.Scan(&fence) }

// lost is [ErrLost] as a rule's refusal: others in the same commit go on.
type lost struct{}

func (lost) Error() string { return ErrLost.Error() }
func (lost) Unwrap() error { return ErrLost }
func (lost) Refusal() bool { return true }
