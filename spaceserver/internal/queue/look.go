package queue

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"odcm/kit/db"
	"odcm/spaceserver/internal/collection"
)

func scanText(r db.Row) (s string, err error) { return s, r.Scan(&s) }

// Ahead returns the ids of what must end, or be taken, before a task that waits can run: what runs under the same serial
// text; those before it in the queue; and where there are none of these, what runs, because the nodes are full.
func (q *Queue) Ahead(ctx context.Context, task string) ([]string, error) {
	read := q.o.Service.Store.DB.Read()
	var serial string
	var priority, due, position int64
	err := read.QueryRowContext(ctx, "SELECT serial, priority, due, position FROM spaceserver_queue WHERE task = $1 AND state = 'queued'", task).Scan(&serial, &priority, &due, &position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	blocking, err := db.Collect(ctx, read, scanText, "SELECT task FROM spaceserver_queue WHERE state = 'running' AND serial = $1 AND serial <> ''", serial)
	if err != nil {
		return nil, err
	}
	ahead, err := db.Collect(ctx, read, scanText, `SELECT task FROM spaceserver_queue WHERE state = 'queued' AND due <= $1
		AND (priority < $2 OR priority = $2 AND (due < $3 OR due = $3 AND position < $4)) ORDER BY priority, due, position LIMIT 1000`,
		max(due, db.Millis(q.o.Now())), priority, due, position)
	if all := slices.Concat(blocking, ahead); err != nil || len(all) > 0 || due > db.Millis(q.o.Now()) {
		return all, err
	}
	return db.Collect(ctx, read, scanText, "SELECT task FROM spaceserver_queue WHERE state = 'running' ORDER BY position")
}

// Forget removes what is kept of a task that is being deleted: its log, and its row where it had not ended, whose work is
// canceled.
func (q *Queue) Forget(c *collection.Change, task string) error {
	q.LookAfter(c)
	if err := q.exec(c, "DELETE FROM spaceserver_queue WHERE task = $1", task); err != nil {
		return err
	}
	return q.book.Remove(c.Context, c.Tx, task)
}
