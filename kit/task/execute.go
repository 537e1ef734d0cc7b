package task

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/task/journal"
	"odcm/kit/task/queue"
)

// execute is what the queue calls: one run of one task, from its top to its end or to an interruption.
func (e *Engine) execute(ctx queue.Context, id string) (err error) {
	defer func() {
		// DBOS looks each second, uninterruptibly, how a workflow that was left ends elsewhere; not where it shuts down first.
		if err != nil && e.draining.Load() {
			<-ctx.Done()
		}
	}()
	if e.draining.Load() {
		return queue.ErrLeft
	}
	r, known, err := e.begin(ctx, odcm.TaskID(id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil // finished by a run that died before DBOS noted it
	case err != nil:
		if ctx.Err() == nil {
			e.log.Warn("a task could not begin", "task", id, "error", err)
		}
		e.giveBack(ctx, odcm.TaskID(id), time.Second)
		return queue.ErrLeft
	case !known:
		// A replica of the next version knows the kind; only where none turns up it is an error. Less and less often,
		// because a workflow that was left costs DBOS a look each second until the task ends.
		e.giveBack(ctx, odcm.TaskID(id), max(time.Second, time.Since(r.task.Submitted)/4))
		return queue.ErrLeft
	}
	left := e.run(r)
	e.leave(r)
	if !left {
		return nil
	}
	if !e.draining.Load() { // else others take over once this replica has signed off
		e.giveBack(ctx, r.task.ID, time.Second)
	}
	return queue.ErrLeft
}

// run runs the handler and stores how it ended; true says that it was interrupted instead.
func (e *Engine) run(r *Run) (left bool) {
	defer func() {
		if p := recover(); p != nil {
			i, ok := p.(interruption)
			if !ok {
				panic(p)
			}
			if i.cause != nil {
				e.log.Warn("a run of a task was interrupted: the task goes on at the same step", "task", r.task.ID, "error", i.cause)
			}
			r.journal.Close()
			if err := r.journal.Flush(r.ctx); err != nil && !errors.Is(err, journal.ErrLost) {
				e.log.Debug("the last lines of an interrupted run were lost", "task", r.task.ID, "error", err)
			}
			left = true
		}
	}()
	err := e.handle(r)
	if err == nil && r.Canceled() {
		r.Logf("The cancel came too late: every step was done.")
	}
	r.journal.Close()
	e.o.Hook(r.task.Kind, "", false)
	err = e.finish(r, err)
	e.o.Hook(r.task.Kind, "", true)
	return err != nil
}

func (e *Engine) handle(r *Run) error {
	if r.task.Attempts > maxAttempts {
		return odcm.E(odcm.Unavailable, "task.crashed", "The task was begun %d times and its replica died each time. It was given up.", maxAttempts)
	}
	h := e.handlers[r.task.Kind]
	if h == nil {
		return odcm.E(odcm.Unsupported, "task.kind-unknown", "No replica knows tasks of the kind %s.", r.task.Kind)
	}
	_, err := protect(func() (struct{}, error) { return struct{}{}, h(r) })
	return err
}

// patience is how long a task waits for a replica that knows its kind.
const patience = 10 * time.Minute

// begin makes this the task's current run. Known is false for a kind that this replica does not know and another may.
func (e *Engine) begin(ctx queue.Context, id odcm.TaskID) (r *Run, known bool, err error) {
	r = &Run{e: e, ctx: ctx}
	var last int64
	var before []StepInfo
	err = e.tx(ctx, func(tx *sql.Tx) error {
		var err error
		r.task, err = scanTask(tx.QueryRowContext(ctx, `SELECT `+columns+` FROM task WHERE id = $1 AND state IN ('queued', 'running', 'canceling')`, string(id)))
		if err != nil {
			return err
		}
		if known = e.handlers[r.task.Kind] != nil || time.Since(r.task.Submitted) > patience; !known {
			return nil
		}
		row := tx.QueryRowContext(ctx, `UPDATE task SET state = CASE WHEN state = 'queued' THEN 'running' ELSE state END,
  attempts = attempts + 1, replica = $2, started = CASE WHEN started = 0 THEN $3 ELSE started END
WHERE id = $1 AND state IN ('queued', 'running', 'canceling') RETURNING `+columns, string(id), e.o.Replica, db.Millis(now()))
		if r.task, err = scanTask(row); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT input FROM task WHERE id = $1`, string(id)).Scan(&r.input); err != nil {
			return err
		}
		if last, err = journal.Last(ctx, tx, id); err != nil {
			return err
		}
		if before, err = journal.Steps(ctx, tx, id); err != nil {
			return err
		}
		return e.bus.PublishTx(ctx, tx, topic(id), ListTopic)
	})
	if err != nil || !known {
		return r, known, err
	}
	r.canceled = r.task.State == Canceling
	r.journal = journal.Open(ctx, journal.Options{Task: id, Attempt: r.task.Attempts, Percent: r.task.Percent, Doing: r.task.Doing,
		Tx: e.tx, Written: func() { e.bus.Publish(topic(id)) }, Lost: r.interrupt, Log: e.log}, last, before)
	e.mu.Lock()
	e.runs[id] = r
	e.mu.Unlock()
	// A cancel between the commit and the line above found no run to tell.
	if t, err := e.Get(ctx, id); err == nil && t.State == Canceling {
		r.cancel()
	}
	return r, true, nil
}

// runsHere returns the run of a task on this replica, nil where there is none.
func (e *Engine) runsHere(id odcm.TaskID) *Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runs[id]
}

func (e *Engine) leave(r *Run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[r.task.ID] == r {
		delete(e.runs, r.task.ID)
	}
	e.idle.Broadcast()
}

// finish commits the task's end and its event. An error says that it did not.
func (e *Engine) finish(r *Run, failure error) error {
	state := Succeeded
	switch {
	case r.undoing != nil:
		state, failure = Failed, r.undoing
	case errors.Is(failure, ErrCanceled) && r.Canceled():
		state = Canceled
	case failure != nil:
		state = Failed
	}
	after := detail{Kind: r.task.Kind, Subject: r.task.Subject, State: state}
	by, stored := r.task.By, ""
	if state == Failed {
		e.log.Warn("a task failed", "task", r.task.ID, "kind", r.task.Kind, "error", failure)
		after.Error, _ = public(failure)
		if r.undoing != nil {
			after.Error.Message = "Rolling back failed: " + after.Error.Message
		}
		b, err := json.Marshal(after.Error)
		if err != nil {
			return err
		}
		stored = string(b)
	}
	ctx := context.Context(r.ctx)
	return e.persist(r, func() error {
		return e.tx(ctx, func(tx *sql.Tx) error {
			if err := r.journal.Write(ctx, tx); err != nil {
				return err
			}
			var canceler string
			err := tx.QueryRowContext(ctx, `UPDATE task SET state = $3, error = $4, ended = $5,
  doing = '', percent = CASE WHEN $3 = 'succeeded' THEN 100 ELSE percent END
WHERE id = $1 AND attempts = $2 AND state IN ('running', 'canceling') RETURNING canceler`,
				string(r.task.ID), r.task.Attempts, string(state), stored, db.Millis(now())).Scan(&canceler)
			if errors.Is(err, sql.ErrNoRows) {
				return journal.ErrLost
			}
			if err != nil {
				return err
			}
			if state == Canceled {
				if err := json.Unmarshal([]byte(canceler), &by); err != nil {
					return err
				}
			}
			if err := e.bus.PublishTx(ctx, tx, topic(r.task.ID), ListTopic); err != nil {
				return err
			}
			return e.events.Append(ctx, tx, odcm.NewEvent(by, "task."+string(state), string(r.task.ID), r.task.Title, nil, after))
		})
	})
}

// persist tries until the database has it, the task is lost or the run is interrupted.
func (e *Engine) persist(r *Run, f func() error) error {
	for {
		err := f()
		if err == nil || errors.Is(err, journal.ErrLost) || r.isInterrupted() || r.ctx.Err() != nil {
			return err
		}
		e.log.Warn("the end of a task could not be stored yet", "task", r.task.ID, "error", err)
		pause(r.ctx, time.Second)
	}
}

// giveBack puts a task that did not run to its end here back into the queue, after a while and once the database answers.
// It does nothing where the task was taken over since: never resume what may be running.
func (e *Engine) giveBack(ctx context.Context, id odcm.TaskID, after time.Duration) {
	for pause(ctx, after); ctx.Err() == nil && !e.draining.Load(); pause(ctx, time.Second) {
		mine, err := e.queue.Mine(string(id))
		if err == nil && (!mine || e.runsHere(id) != nil) {
			return
		}
		if err == nil {
			if err = e.queue.Return(string(id)); err == nil {
				return
			}
		}
		e.log.Warn("a task could not be given back yet", "task", id, "error", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
