package task

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/signal"
	"odcm/kit/task/journal"
)

const columns = `id, kind, title, subject, state, percent, doing, submitter, canceler, error, replica, attempts, submitted, started, ended`

func scanTask(r db.Row) (t Task, err error) {
	var id, state, submitter, canceler, failure string
	var submitted, started, ended int64
	if err := r.Scan(&id, &t.Kind, &t.Title, &t.Subject, &state, &t.Percent, &t.Doing, &submitter, &canceler, &failure,
		&t.Replica, &t.Attempts, &submitted, &started, &ended); err != nil {
		return t, err
	}
	t.ID, t.State = odcm.TaskID(id), State(state)
	t.Submitted, t.Started, t.Ended = db.Time(submitted), db.Time(started), db.Time(ended)
	if err := json.Unmarshal([]byte(submitter), &t.By); err != nil {
		return t, err
	}
	if canceler != "" {
		if err := json.Unmarshal([]byte(canceler), &t.CanceledBy); err != nil {
			return t, err
		}
	}
	if failure != "" {
		t.Error = new(Failure)
		return t, json.Unmarshal([]byte(failure), t.Error)
	}
	return t, nil
}

// Get returns the task; [odcm.NotFound] where there is none.
func (e *Engine) Get(ctx context.Context, id odcm.TaskID) (Task, error) {
	t, err := scanTask(e.d.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM task WHERE id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return Task{}, notFound(id)
	}
	odcm.Wrap(&err, "get task %s", id)
	return t, err
}

// List returns one page of tasks, newest first.
func (e *Engine) List(ctx context.Context, f Filter) (_ []Task, err error) {
	defer odcm.Wrap(&err, "list tasks")
	query, args := f.query()
	return db.Collect(ctx, e.d.Read(), scanTask, query, args...)
}

func (f Filter) query() (string, []any) {
	var where []string
	var args []any
	in := func(column string, values []any) {
		if len(values) > 0 {
			where = append(where, column+" IN "+db.In(len(args)+1, len(values)))
			args = append(args, values...)
		}
	}
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	in("state", db.Args(states))
	in("kind", db.Args(f.Kinds))
	if f.Subject != "" {
		in("subject", []any{f.Subject})
	}
	if f.By != "" {
		in("owner", []any{string(f.By)})
	}
	if f.Before != "" {
		args = append(args, string(f.Before))
		where = append(where, "(submitted, id) < (SELECT submitted, id FROM task WHERE id = $"+strconv.Itoa(len(args))+")")
	}
	q := "SELECT " + columns + " FROM task"
	if len(where) > 0 {
		q += " WHERE " + strings.Join(where, " AND ")
	}
	return q + " ORDER BY submitted DESC, id DESC LIMIT " + strconv.Itoa(limit(f.Limit, 50)), args
}

func limit(n, otherwise int) int {
	if n <= 0 {
		return otherwise
	}
	return min(n, 1000)
}

// Count returns how many tasks are in each state; a state without any is left out. By bounds it to one user's.
func (e *Engine) Count(ctx context.Context, by odcm.UserID) (_ map[State]int, err error) {
	defer odcm.Wrap(&err, "count tasks")
	query, args := `SELECT state, COUNT(*) FROM task GROUP BY state`, []any(nil)
	if by != "" {
		query, args = `SELECT state, COUNT(*) FROM task WHERE owner = $1 GROUP BY state`, []any{string(by)}
	}
	counts := map[State]int{}
	_, err = db.Collect(ctx, e.d.Read(), func(r db.Row) (struct{}, error) {
		var state string
		var n int
		err := r.Scan(&state, &n)
		counts[State(state)] = n
		return struct{}{}, err
	}, query, args...)
	return counts, err
}

// Steps returns what the task has done so far, in the order in which its steps began.
func (e *Engine) Steps(ctx context.Context, id odcm.TaskID) (_ []StepInfo, err error) {
	defer odcm.Wrap(&err, "steps of task %s", id)
	return journal.Steps(ctx, e.d.Read(), id)
}

// Log returns the lines after the given number, at most limit: 500 if zero, 1,000 at most. A number below zero counts
// from the end: after -20 come the last 20 lines.
func (e *Engine) Log(ctx context.Context, id odcm.TaskID, after int64, max int) (_ []Line, err error) {
	defer odcm.Wrap(&err, "log of task %s", id)
	return journal.Lines(ctx, e.d.Read(), id, after, limit(max, 500))
}

// Wait returns the task once it is finished.
func (e *Engine) Wait(ctx context.Context, id odcm.TaskID) (Task, error) {
	hints := e.bus.Subscribe(Noun)
	defer hints.Close()
	look := time.NewTicker(time.Second) // a hint may be lost
	defer look.Stop()
	c := hints.C
	for {
		t, err := e.Get(ctx, id)
		if err != nil || t.State.Final() {
			return t, err
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return t, ctx.Err()
			case <-look.C:
				again = true
			case hint, open := <-c:
				if !open {
					c = nil // the bus was closed: go on by looking
				}
				again = hint == topic(id) || hint == signal.All
			}
		}
	}
}
