package queue

import (
	"database/sql"
	"errors"
	"time"

	"odcm/kit/db"
	"odcm/spaceserver/internal/collection"
)

// entry is a row of the queue.
type entry struct {
	task, name, space, by, state, serial, node, checkpoint, forced string
	fence, waits, generation                                       int64
	started, cancel, woken                                         bool
}

// States of an entry.
const (
	queued  = "queued"
	running = "running"
	parked  = "parked"
	held    = "held" // parked, and others with its serial text wait for it
)

const entryColumns = "q.task, q.name, q.space, q.asked_by, q.state, q.serial, q.node, q.checkpoint, q.fence, q.waits, q.started, q.cancel, q.woken, q.forced, q.generation"

func scanEntry(r db.Row) (e entry, err error) {
	err = r.Scan(&e.task, &e.name, &e.space, &e.by, &e.state, &e.serial, &e.node, &e.checkpoint, &e.fence, &e.waits, &e.started, &e.cancel, &e.woken, &e.forced, &e.generation)
	return e, err
}

// locked is what PostgreSQL needs so that two nodes do not read the same row and both act on it.
func (q *Queue) locked(query, how string) string {
	if q.shared() {
		return query + " FOR UPDATE OF q" + how
	}
	return query
}

// entry reads the row of a task and keeps others from changing it until the transaction ends.
func (q *Queue) entry(c *collection.Change, task string) (e entry, ok bool, err error) {
	e, err = scanEntry(c.Tx.QueryRowContext(c.Context, q.locked("SELECT "+entryColumns+" FROM spaceserver_queue q WHERE q.task = $1", ""), task))
	if errors.Is(err, sql.ErrNoRows) {
		return e, false, nil
	}
	return e, err == nil, err
}

func (q *Queue) exec(c *collection.Change, query string, args ...any) error {
	_, err := c.Tx.ExecContext(c.Context, query, args...)
	return err
}

// nextDue asks when something is due that is not now. It names the priorities because the index begins with them.
func (q *Queue) nextDue() (query string) {
	return `SELECT coalesce(min(at), 0) FROM (
		SELECT min(due) AS at FROM spaceserver_queue WHERE state = 'queued' AND priority IN (0, 1) AND due > $1
		UNION ALL SELECT min(expires) AS at FROM spaceserver_queue WHERE state = 'queued' AND expires > 0 AND expires > $2 AND NOT started) AS waiting`
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
