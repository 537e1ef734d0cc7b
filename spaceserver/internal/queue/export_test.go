package queue

import (
	"context"
	"errors"

	"odcm/kit/db"
)

var errKilled = errors.New("the process was killed")

// Kill is what the death of the process is to the others: from some moment on nothing is written.
func (q *Queue) Kill() {
	q.mu.Lock()
	q.closing = true
	q.mu.Unlock()
	_ = q.o.Service.Store.DB.Close()
	q.end()
	q.stop()
	q.mu.Lock()
	for _, r := range q.running {
		r.cancel(errKilled)
	}
	q.mu.Unlock()
	q.taking.Wait()
	q.beating.Wait()
	q.working.Wait()
}

// Join makes a node that takes nothing and looks at the others only when [Queue.Watch] is called.
func (q *Queue) Join(ctx context.Context) error { return q.register(ctx) }

// Generation is which of the nodes of one name that have ever been this is.
func (q *Queue) Generation() int64 { return q.generation }

// Watch looks at the other nodes once.
func (q *Queue) Watch(ctx context.Context) error { return q.watch(ctx) }

// Held is how many tasks the queue holds in memory.
func (q *Queue) Held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)
}

// Unfinished returns the ids of all tasks that have not ended, in the order in which they are to run.
func (q *Queue) Unfinished(ctx context.Context) ([]string, error) {
	return db.Collect(ctx, q.o.Service.Store.DB.Read(), scanText, "SELECT task FROM spaceserver_queue ORDER BY priority, due, position")
}
