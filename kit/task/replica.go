package task

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/lease"
	"odcm/kit/signal"
	"odcm/kit/task/queue"
)

// listen tells the runs of this replica that they were canceled.
func (e *Engine) listen(ctx context.Context, hints *signal.Subscription) {
	defer hints.Close()
	c := hints.C
	look := time.NewTicker(e.o.HeartbeatEvery) // a hint may be lost
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case hint, open := <-c:
			if !open {
				c = nil
			}
			if id, ok := strings.CutPrefix(hint, cancelNoun+"/"); ok {
				e.cancelLocal(odcm.TaskID(id))
				continue
			}
		case <-look.C:
		}
		e.mu.Lock()
		busy := len(e.runs) > 0
		e.mu.Unlock()
		if !busy {
			continue // an idle replica asks nothing
		}
		ids, err := db.Collect(ctx, e.d.Read(), func(r db.Row) (id string, err error) { return id, r.Scan(&id) },
			`SELECT id FROM task WHERE state = 'canceling'`)
		if err != nil && ctx.Err() == nil {
			e.log.Debug("could not look for canceled tasks", "error", err)
		}
		for _, id := range ids {
			e.cancelLocal(odcm.TaskID(id))
		}
	}
}

func (e *Engine) cancelLocal(id odcm.TaskID) {
	if r := e.runsHere(id); r != nil {
		r.cancel()
	}
}

func (e *Engine) interruptAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		r.interrupt()
	}
}

// clock is PostgreSQL's time in milliseconds: the one clock that all replicas share. Not now(), which stands still in a
// transaction.
const clock = `(extract(epoch from clock_timestamp()) * 1000)::bigint`

// beat says that this replica is alive. It uses the queue's pool, so that rooms which use up theirs do not kill it.
func (e *Engine) beat(ctx context.Context) error {
	_, err := e.queue.Pool.Exec(ctx, `INSERT INTO task_replica (executor, replica, seen) VALUES ($1, $2, `+clock+`)
ON CONFLICT (executor) DO UPDATE SET seen = excluded.seen`, e.executor, e.o.Replica)
	return err
}

// tx is [db.DB.Tx] that does not outlive a standstill of this replica: it holds the task's row and the log of events.
func (e *Engine) tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	return e.d.Tx(ctx, func(tx *sql.Tx) error {
		if e.d.Postgres() {
			if _, err := tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = '`+queue.Standstill+`'`); err != nil {
				return err
			}
		}
		return f(tx)
	})
}

// heartbeat keeps this replica alive in the eyes of the others. Where it cannot, or was itself suspended, it interrupts
// its runs before (or, suspended, as soon as) the others may take them over.
func (e *Engine) heartbeat(ctx context.Context) {
	limit := e.o.DeadAfter - e.o.HeartbeatEvery
	last, fenced := time.Now(), false
	tick := time.NewTicker(e.o.HeartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(last) > limit && !fenced {
			e.log.Error("no heartbeat could be written: this replica's tasks are interrupted, so that others can go on with them", "silent", time.Since(last))
			e.interruptAll()
			fenced = true
		}
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, e.o.HeartbeatEvery) // the first one, at the start, may take its time
		err := e.beat(bounded)
		cancel()
		if err == nil {
			last, fenced = began, false
		} else if ctx.Err() == nil {
			e.log.Warn("a heartbeat could not be written", "error", err)
		}
	}
}

// lead takes over the tasks of dead replicas while this replica holds the lease.
func (e *Engine) lead(ctx context.Context) {
	// Shorter than DeadAfter, because the holder may be the one that died; the next then finds its tasks dead at once.
	ttl := e.o.DeadAfter * 3 / 4
	for ctx.Err() == nil {
		err := e.lease.Hold(ctx, "task", e.executor, ttl, func(ctx context.Context, _ lease.Lease) error {
			return e.supervise(ctx)
		})
		if err != nil && ctx.Err() == nil {
			e.log.Debug("no longer the one that supervises replicas", "error", err)
			pause(ctx, e.o.HeartbeatEvery)
		}
	}
}

func (e *Engine) supervise(ctx context.Context) error {
	hints := e.bus.Subscribe(replicaTopic)
	defer hints.Close()
	c := hints.C
	look := time.NewTicker(e.o.HeartbeatEvery)
	defer look.Stop()
	for swept := time.Now(); ; {
		if err := e.takeOver(ctx); err != nil {
			return err
		}
		if time.Since(swept) > time.Hour {
			swept = time.Now()
			if err := e.sweep(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		case _, open := <-c:
			if !open {
				c = nil
			}
		}
	}
}

// takeOver hands the tasks of executors that are not alive back to the queue.
func (e *Engine) takeOver(ctx context.Context) error {
	// Claims first, the living second: an executor is alive before its first claim.
	return e.adopt(ctx, func() (map[string]bool, error) {
		alive := map[string]bool{}
		executors, err := db.Collect(ctx, e.d.Read(), func(r db.Row) (s string, err error) { return s, r.Scan(&s) },
			`SELECT executor FROM task_replica WHERE seen > `+clock+` - $1`, e.o.DeadAfter.Milliseconds())
		for _, x := range executors {
			alive[x] = true
		}
		return alive, err
	})
}

// adopt hands claimed tasks back to the queue, except those of the living.
func (e *Engine) adopt(ctx context.Context, living func() (map[string]bool, error)) error {
	claimed, err := e.queue.Claims()
	if err != nil || len(claimed) == 0 {
		return err
	}
	var alive map[string]bool
	if living != nil {
		if alive, err = living(); err != nil {
			return err
		}
	}
	var left []string
	for _, w := range claimed {
		if !alive[w.Executor] {
			left = append(left, w.ID)
		}
	}
	if len(left) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	e.log.Info("taking over the tasks of a replica that is gone", "tasks", left)
	return e.queue.Return(left...)
}

func (e *Engine) sweepHourly(ctx context.Context) {
	for pause(ctx, time.Hour); ctx.Err() == nil; pause(ctx, time.Hour) {
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("old tasks could not be deleted: it is tried again in an hour", "error", err)
		}
	}
}

const sweepBatch = 500

// sweep deletes finished tasks that are older than Options.Keep, the stored steps of finished tasks, which nobody needs,
// and replicas that are long dead.
func (e *Engine) sweep(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "delete old tasks")
	for n := int64(sweepBatch); n == sweepBatch; {
		if err := e.tx(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM task WHERE id IN
(SELECT id FROM task WHERE ended > 0 AND ended < $1 ORDER BY ended LIMIT $2)`, db.Millis(time.Now().Add(-e.o.Keep)), sweepBatch)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		}); err != nil {
			return err
		}
	}
	for n := sweepBatch; n == sweepBatch && ctx.Err() == nil; {
		if n, err = e.queue.Forget(sweepBatch); err != nil {
			return err
		}
	}
	if !e.d.Postgres() {
		return nil
	}
	_, err = e.queue.Pool.Exec(ctx, `DELETE FROM task_replica WHERE seen < `+clock+` - $1`, 10*e.o.DeadAfter.Milliseconds())
	return err
}
