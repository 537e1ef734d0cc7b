package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"odcm/kit/db"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
)

// recurring is work that comes again and again.
type recurring struct {
	next func(last time.Time) time.Time
	work Work
}

// Every has work done again and again, once for all nodes, by whichever comes first: next says when after the last time,
// which is zero at first; a zero time is "not again" until [Queue.At]. What was due while no node ran is done once. The work
// makes no task: it has no log that people read, and its failure is told to the operator. Call it before Start.
func (q *Queue) Every(name string, next func(last time.Time) time.Time, w Work) {
	q.every[name] = recurring{next, w}
}

// At moves the next time of recurring work, in the transaction that makes it so: a trigger was changed.
func (q *Queue) At(c *collection.Change, name string, at time.Time) error {
	q.LookAfter(c)
	return q.exec(c, "UPDATE spaceserver_recurrence SET next = $1 WHERE name = $2", db.Millis(at), name)
}

type occurrence struct {
	name       string
	last, next int64
}

func (q *Queue) occurrences(ctx context.Context) ([]occurrence, error) {
	if len(q.every) == 0 {
		return nil, nil
	}
	return db.Collect(ctx, q.o.Service.Store.DB.Read(), func(r db.Row) (o occurrence, err error) {
		return o, r.Scan(&o.name, &o.last, &o.next)
	}, "SELECT name, last, next FROM spaceserver_recurrence")
}

// schedule writes the first times of what is new.
func (q *Queue) schedule(ctx context.Context) error {
	known, err := q.occurrences(ctx)
	if err != nil {
		return err
	}
	fresh := map[string]int64{}
	for name, r := range q.every {
		fresh[name] = db.Millis(r.next(time.Time{}))
	}
	for _, o := range known {
		delete(fresh, o.name)
	}
	if len(fresh) == 0 {
		return nil
	}
	return q.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		for name, at := range fresh {
			if _, err := tx.ExecContext(ctx, "INSERT INTO spaceserver_recurrence (name, last, next) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING", name, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// recur begins what is due and what no other node was quicker to take.
func (q *Queue) recur(ctx context.Context) error {
	all, err := q.occurrences(ctx)
	if err != nil {
		return err
	}
	now := q.o.Now()
	for _, o := range all {
		r, known := q.every[o.name]
		if !known || o.next == 0 || o.next > db.Millis(now) || !q.enter(o.name) {
			continue
		}
		next := db.Millis(r.next(now))
		err := q.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, "UPDATE spaceserver_recurrence SET last = $1, next = $2 WHERE name = $3 AND last = $4 AND next = $5", db.Millis(now), next, o.name, o.last, o.next)
			if err = oneRow(result, err); errors.Is(err, ErrLost) {
				return lost{}
			}
			return err
		})
		if err != nil {
			q.exit(o.name)
			if errors.Is(err, ErrLost) {
				continue
			}
			return fmt.Errorf("recurring work %s: %w", o.name, err)
		}
		q.occur(o.name, r.work)
	}
	return nil
}

// enter tells whether the work does not run here already; it does from now on.
func (q *Queue) enter(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing || q.recurring[name] {
		return false
	}
	q.recurring[name] = true
	q.working.Add(1)
	return true
}

func (q *Queue) exit(name string) {
	q.mu.Lock()
	delete(q.recurring, name)
	q.mu.Unlock()
	q.working.Done()
}

// occur does the work once, beside the tasks and their cap.
func (q *Queue) occur(name string, work Work) {
	r := &run{taken: taken{entry: entry{task: "every/" + name, name: name}}}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	go func() {
		defer q.Look()
		defer q.exit(name)
		defer r.cancel(nil)
		stop := context.AfterFunc(q.ending, func() { r.cancel(ErrStopping) })
		defer stop()
		recorder := activity.Discard()
		t := &Task{ID: r.task, Name: name, By: "users-system", Recorder: recorder, Log: recorder.Root(name), queue: q}
		if err := q.perform(r, t, work); err != nil {
			q.o.Logger.Error("recurring work failed", "name", name, "error", err)
		}
	}()
}

// nextRecurrence is when recurring work is due.
func (q *Queue) nextRecurrence(ctx context.Context) (time.Time, error) {
	all, err := q.occurrences(ctx)
	var at time.Time
	for _, o := range all {
		q.mu.Lock()
		busy := q.recurring[o.name] // looked at again when it ends
		q.mu.Unlock()
		if _, known := q.every[o.name]; known && !busy && o.next > 0 {
			at = earlier(at, db.Time(o.next))
		}
	}
	return at, err
}
