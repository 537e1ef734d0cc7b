package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"odcm/kit/db"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
)

// nextTasks are those that may run now: due, in a space whose queue is not stopped, and without another that runs under the
// same serial text. Of those with the same text that are taken together only the first is used.
const nextTasks = "SELECT " + entryColumns + ` FROM spaceserver_queue q
	WHERE q.state = 'queued' AND q.due <= $1
	AND NOT EXISTS (SELECT 1 FROM spaceserver_queue r WHERE r.serial = q.serial AND r.serial <> '' AND r.state IN ('running', 'held'))
	AND q.space NOT IN (SELECT id FROM spaceserver_document WHERE kind = 'Spaces' AND body LIKE '%"TaskQueueStopped":true%')
	ORDER BY q.priority, q.due, q.position LIMIT $2`

// taken is a task that this node has taken and has not begun.
type taken struct {
	entry
	document octopus.Object
}

// transact runs f as the server's own doing.
func (q *Queue) transact(ctx context.Context, f func(c *collection.Change) error) error {
	return q.o.Service.Transact(ctx, collection.Request{Principal: permission.System()}, f)
}

// take takes tasks, as many as there is room for.
func (q *Queue) take(ctx context.Context, free int) ([]taken, error) {
	var got []taken
	for attempt := 0; ; attempt++ {
		any, err := q.ready(ctx)
		if err != nil || !any {
			return nil, err
		}
		err = q.transact(ctx, func(c *collection.Change) (err error) {
			got, err = q.takeIn(c, free)
			return err
		})
		if err == nil || attempt == 3 || !db.IsUnique(err) { // another node took one with the same serial text just now
			return got, err
		}
	}
}

// ready looks without a transaction, which on SQLite would be a write.
func (q *Queue) ready(ctx context.Context) (bool, error) {
	var n int
	err := q.o.Service.Store.DB.Read().QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM spaceserver_queue WHERE state = 'queued' AND due <= $1 LIMIT 1) AS t", db.Millis(q.o.Now())).Scan(&n)
	return n > 0, err
}

func (q *Queue) takeIn(c *collection.Change, free int) ([]taken, error) {
	q.mu.Lock()
	generation := q.generation
	q.mu.Unlock()
	now := q.o.Now()
	entries, err := db.Collect(c.Context, c.Tx, scanEntry, q.locked(nextTasks, " SKIP LOCKED"), db.Millis(now), free)
	if err != nil {
		return nil, err
	}
	var got []taken
	serials := map[string]bool{}
	for _, e := range entries {
		if e.serial != "" && serials[e.serial] {
			continue
		}
		serials[e.serial] = true
		t := taken{entry: e}
		err := c.In(e.space).Edit("ServerTasks", e.task, func(o *octopus.Object) error {
			o.Set("State", "Executing")
			o.Set("Completed", "Executing...")
			o.Set("HasBeenPickedUpByProcessor", true)
			o.Set("ServerNode", NodeID(q.o.Node))
			o.Set("LastUpdatedTime", stamp(now))
			if !e.started {
				o.Set("StartTime", stamp(now))
			}
			t.document = *o
			return nil
		})
		if errors.Is(err, document.ErrNone) { // deleted with its project
			if err := q.exec(c, "DELETE FROM spaceserver_queue WHERE task = $1", e.task); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := q.exec(c, "UPDATE spaceserver_queue SET state = 'running', node = $1, generation = $2, fence = fence + 1, started = TRUE, woken = FALSE WHERE task = $3", q.o.Node, generation, e.task); err != nil {
			return nil, err
		}
		t.fence++
		if !e.started && q.o.Started != nil {
			if err := q.o.Started(c.In(e.space), t.document); err != nil {
				return nil, err
			}
		}
		got = append(got, t)
	}
	return got, nil
}

// expire gives up what was not started in time.
func (q *Queue) expire(ctx context.Context) error {
	const late = "SELECT " + entryColumns + " FROM spaceserver_queue q WHERE q.state = 'queued' AND q.expires > 0 AND q.expires <= $1 AND NOT q.started ORDER BY q.position LIMIT 100"
	for {
		found, err := db.Collect(ctx, q.o.Service.Store.DB.Read(), scanEntry, late, db.Millis(q.o.Now()))
		if err != nil || len(found) == 0 {
			return err
		}
		err = q.conclusion(ctx, func(c *collection.Change, untold bool) error {
			entries, err := db.Collect(c.Context, c.Tx, scanEntry, q.locked(late, " SKIP LOCKED"), db.Millis(q.o.Now()))
			if err != nil {
				return err
			}
			for _, e := range entries {
				if _, err := q.finish(c, e, outcome{state: "TimedOut", status: activity.Failed, untold: untold, message: "The task was not started in time: it had to wait in the queue until after the time at which it expires."}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || q.shared() { // what another node has locked it also ends
			return err
		}
	}
}

// next is when something will be due.
func (q *Queue) next(ctx context.Context) (time.Time, error) {
	var ms int64
	now := db.Millis(q.o.Now())
	if err := q.o.Service.Store.DB.Read().QueryRowContext(ctx, q.nextDue(), now, now).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("next task: %w", err)
	}
	at, err := q.nextRecurrence(ctx)
	return earlier(db.Time(ms), at), err
}
