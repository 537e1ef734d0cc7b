package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"odcm/kit/db"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Node is one of the servers that share the database.
type Node struct {
	Name     string
	Cap      int // tasks at a time
	Draining bool
	Seen     time.Time
	Leader   bool
	Offline  bool
	Running  int
	joined   int64
	stopped  bool
}

// NodeID is the id of a node: OctopusServerNodes-<name>.
func NodeID(name string) string { return "OctopusServerNodes-" + name }

// sighting is the last beat that was seen of another node, and for how long this node has looked since and saw no other, by its
// own clock: clocks of nodes need not agree. Time in which this node did not look counts for no more than two beats: where the
// machine or the database stood still for all nodes, each has its time to tell that it lives.
type sighting struct {
	beat   int64
	silent time.Duration
}

// register makes the node's row, or takes it over from a predecessor.
func (q *Queue) register(ctx context.Context) error {
	now := db.Millis(time.Now())
	if !q.shared() { // nobody else looks: a start that writes nothing is a quicker one
		var is self
		err := is.scan(q.o.Service.Store.DB.Read().QueryRowContext(ctx, "SELECT generation, cap, draining FROM spaceserver_node WHERE name = $1", q.o.Node))
		if err == nil {
			q.become(is)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	var is self
	err := q.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		return is.scan(tx.QueryRowContext(ctx, `INSERT INTO spaceserver_node (name, joined, generation, seen, cap, draining, stopped) VALUES ($1, $2, 1, $2, 0, FALSE, FALSE)
			ON CONFLICT (name) DO UPDATE SET generation = spaceserver_node.generation + 1, joined = excluded.joined, seen = excluded.seen, stopped = FALSE
			RETURNING generation, cap, draining`, q.o.Node, now))
	})
	if err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	q.become(is)
	return nil
}

// self is what this node's row says of it. It is read in the statement that writes the row: read afterwards, it might be a
// successor's.
type self struct {
	generation int64
	cap        int
	draining   bool
}

func (s *self) scan(r db.Row) error { return r.Scan(&s.generation, &s.cap, &s.draining) }

func (q *Queue) become(is self) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.generation, q.cap, q.draining = is.generation, is.cap, is.draining
}

// leave gives back what was taken and not begun, and tells the others that the node is gone.
func (q *Queue) leave(ctx context.Context) error {
	err := q.heed(ctx)
	if !q.shared() {
		return err
	}
	return errors.Join(err, q.o.Service.Store.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE spaceserver_node SET stopped = TRUE, seen = $1 WHERE name = $2 AND generation = $3", db.Millis(time.Now()), q.o.Node, q.generation)
		return err
	}))
}

// beat tells the others that this node lives, buries those that do not, and has the queue looked at.
func (q *Queue) beat() {
	tick := time.NewTicker(q.o.Beat)
	defer tick.Stop()
	told := time.Now()
	for {
		select {
		case <-q.stopped.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(q.stopped, beats/2*q.o.Beat)
		err := q.tell(ctx)
		if err == nil {
			told = time.Now()
			err = q.watch(ctx)
		}
		cancel()
		switch {
		case q.stopped.Err() != nil:
			return
		case errors.Is(err, errReplaced):
			q.abandon()
			q.o.Logger.Error("another server with this node's name was started on the same database: this one runs no more tasks. Give each its own name.", "node", q.o.Node)
			return
		case err != nil:
			q.o.Logger.Warn("the node could not tell that it lives", "error", err)
		}
		if time.Since(told) >= (beats-2)*q.o.Beat {
			q.abandon() // the others are about to take this node for dead
		}
		q.Look()
	}
}

var errReplaced = errors.New("another node has this name")

func (q *Queue) tell(ctx context.Context) error {
	var is self
	err := is.scan(q.o.Service.Store.DB.Write().QueryRowContext(ctx, "UPDATE spaceserver_node SET seen = $1, stopped = FALSE WHERE name = $2 AND generation = $3 RETURNING generation, cap, draining",
		db.Millis(time.Now()), q.o.Node, q.generation))
	switch {
	case err == nil:
		q.become(is)
		return nil
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	var successor int64
	err = q.o.Service.Store.DB.Read().QueryRowContext(ctx, "SELECT generation FROM spaceserver_node WHERE name = $1", q.o.Node).Scan(&successor)
	switch {
	case err == nil:
		return errReplaced
	case errors.Is(err, sql.ErrNoRows): // somebody removed the node while it was away
		return q.register(ctx)
	default:
		return err
	}
}

// abandon cancels what runs here: it counts no longer, or soon will not.
func (q *Queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.running {
		r.cancel(ErrLost)
	}
}

// watch ends the tasks of nodes that were silent for too long.
func (q *Queue) watch(ctx context.Context) error {
	nodes, err := q.nodes(ctx)
	if err != nil {
		return err
	}
	var dead []string
	q.mu.Lock()
	looked := min(time.Since(q.looked), 2*q.o.Beat)
	q.looked = time.Now()
	for _, n := range nodes {
		last, known := q.watched[n.Name]
		now := sighting{beat: db.Millis(n.Seen)}
		if n.Name == q.o.Node {
			continue
		}
		if known && last.beat == now.beat {
			now.silent = last.silent + looked
		}
		q.watched[n.Name] = now
		if n.Running > 0 && now.silent >= beats*q.o.Beat {
			dead = append(dead, n.Name)
		}
	}
	for name := range q.watched {
		if !slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == name }) {
			delete(q.watched, name)
		}
	}
	q.mu.Unlock()
	if len(dead) == 0 {
		return nil
	}
	return q.bury(ctx, math.MaxInt64, dead...)
}

// bury ends what runs on dead nodes, or on any where none is named, and was taken before the generation, in portions.
func (q *Queue) bury(ctx context.Context, before int64, nodes ...string) error {
	query, args := "SELECT "+entryColumns+" FROM spaceserver_queue q WHERE q.state = 'running' AND q.generation < $1", []any{before}
	if len(nodes) > 0 {
		query, args = query+" AND q.node IN "+db.In(2, len(nodes)), append(args, db.Args(nodes)...)
	}
	query += " ORDER BY q.position LIMIT 100"
	for {
		left, err := db.Collect(ctx, q.o.Service.Store.DB.Read(), scanEntry, query, args...)
		if err != nil || len(left) == 0 {
			return err
		}
		n := 0
		err = q.conclusion(ctx, func(c *collection.Change, untold bool) error {
			entries, err := db.Collect(c.Context, c.Tx, scanEntry, q.locked(query, " SKIP LOCKED"), args...)
			if err != nil {
				return err
			}
			n = len(entries)
			for _, e := range entries {
				result := outcome{state: "Failed", status: activity.Failed, message: died(e.node)}
				if e.cancel {
					result = outcome{state: "Canceled", status: activity.Canceled, message: "The task was canceled, and node " + e.node + " stopped working before it had stopped the task."}
				}
				result = e.asked(result)
				result.untold = untold
				if _, err := q.finish(c, e, result); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n == 0 { // what another node has locked it also ends
			return err
		}
	}
}

// heed cancels here what was canceled, forced or ended by others. It also sees to what runs here without this node's knowing:
// what it took itself, where the connection broke while that was committed, is given back; what its predecessor took, whose
// last transaction the database still held open when this one started, ends as failed.
func (q *Queue) heed(ctx context.Context) error {
	// In this order: what ends between the two is in the first and not in the second, which is no harm.
	q.mu.Lock()
	generation := q.generation
	mine := make(map[string]*run, len(q.running))
	for task, r := range q.running {
		mine[task] = r
	}
	q.mu.Unlock()
	entries, err := db.Collect(ctx, q.o.Service.Store.DB.Read(), scanEntry, "SELECT "+entryColumns+" FROM spaceserver_queue q WHERE q.state = 'running' AND q.node = $1", q.o.Node)
	if err != nil {
		return err
	}
	predecessor := false
	for _, e := range entries {
		r := mine[e.task]
		delete(mine, e.task)
		if r != nil && r.fence != e.fence { // it was ended by others and taken again
			r.cancel(ErrLost)
			r = nil
		}
		switch {
		case e.generation > generation: // a successor is here: see tell
		case e.generation < generation:
			predecessor = true
		case r == nil:
			err = errors.Join(err, q.giveBack(ctx, e))
		case e.cancel:
			r.cancel(ErrCanceled)
		}
	}
	for _, r := range mine {
		r.cancel(ErrLost)
	}
	if predecessor {
		err = errors.Join(err, q.bury(ctx, generation, q.o.Node))
	}
	return err
}

// giveBack puts a task back that was taken and not begun.
func (q *Queue) giveBack(ctx context.Context, lost entry) error {
	return q.transact(ctx, func(c *collection.Change) error {
		e, ok, err := q.entry(c, lost.task)
		if err != nil || !ok || e.state != running || e.fence != lost.fence || e.node != q.o.Node {
			return err
		}
		if result := e.asked(outcome{}); result.state != "" {
			_, err := q.finish(c, e, result)
			return err
		}
		if err := q.exec(c, "UPDATE spaceserver_queue SET state = 'queued' WHERE task = $1", e.task); err != nil {
			return err
		}
		return q.edit(c, e, map[string]any{"State": "Queued", "Completed": "Queued..."})
	})
}

// Nodes lists the nodes that have ever been here and were not removed, by name.
func (q *Queue) Nodes(ctx context.Context) ([]Node, error) {
	nodes, err := q.nodes(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	leader := -1
	for i := range nodes {
		n := &nodes[i]
		if n.Name == q.o.Node {
			n.Seen = now.UTC()
			if n.Cap == 0 {
				n.Cap = q.o.Cap
			}
		}
		if n.Cap == 0 {
			n.Cap = DefaultCap
		}
		n.Offline = n.Name != q.o.Node && (!q.shared() || n.stopped || now.Sub(n.Seen) > beats*q.o.Beat)
		if !n.Offline && (leader < 0 || n.joined < nodes[leader].joined) {
			leader = i
		}
	}
	if leader >= 0 {
		nodes[leader].Leader = true
	}
	return nodes, nil
}

func (q *Queue) nodes(ctx context.Context) ([]Node, error) {
	return db.Collect(ctx, q.o.Service.Store.DB.Read(), func(r db.Row) (n Node, err error) {
		var seen int64
		err = r.Scan(&n.Name, &n.joined, &seen, &n.Cap, &n.Draining, &n.stopped, &n.Running)
		n.Seen = db.Time(seen)
		return n, err
	}, `SELECT n.name, n.joined, n.seen, n.cap, n.draining, n.stopped, (SELECT count(*) FROM spaceserver_queue q WHERE q.node = n.name AND q.state = 'running')
		FROM spaceserver_node n ORDER BY n.name`)
}

// Draining tells whether this node takes no new tasks.
func (q *Queue) Draining(ctx context.Context) (bool, error) {
	var draining bool
	err := q.o.Service.Store.DB.Read().QueryRowContext(ctx, "SELECT draining FROM spaceserver_node WHERE name = $1", q.o.Node).Scan(&draining)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return draining, err
}

// SetNode sets how many tasks a node runs at a time and whether it takes new ones. It returns the name as the node has it.
func (q *Queue) SetNode(c *collection.Change, name string, limit int, draining bool) error {
	if limit < 1 || limit > 1000 {
		return problem.Invalid("MaxConcurrentTasks must be between 1 and 1000.")
	}
	result, err := c.Tx.ExecContext(c.Context, "UPDATE spaceserver_node SET cap = $1, draining = $2 WHERE name = $3", limit, draining, name)
	if err = oneRow(result, err); errors.Is(err, ErrLost) {
		return problem.NotFound("OctopusServerNode", name)
	}
	if err == nil && strings.EqualFold(name, q.o.Node) {
		c.Service.Store.DB.AfterCommit(c.Tx, func() {
			q.mu.Lock()
			q.cap, q.draining = limit, draining
			q.mu.Unlock()
			q.Look()
		})
	}
	return err
}

// RemoveNode forgets a node that is gone.
func (q *Queue) RemoveNode(c *collection.Change, name string) error {
	return q.exec(c, "DELETE FROM spaceserver_node WHERE name = $1", name)
}
