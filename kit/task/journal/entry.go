package journal

import (
	"context"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/db"
)

// State is where a step is in its life.
type State string

// The states of a step. A step that was running when its replica died is running again or still, until it ends.
const (
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "canceled" // ended early, or was not begun, because the task was canceled
)

// Step tells how one step of a task went, for people.
type Step struct {
	Number   int // from 1, in the order in which they began
	Name     string
	Undo     bool // it belongs to the roll-back
	State    State
	Attempts int // more than 1 where a crash made it run again
	Error    string
	Started  time.Time
	Ended    time.Time
}

// Line is one line of a task's log.
type Line struct {
	Number int64 // from 1, without gaps: pass the last one seen to [Lines]
	Time   time.Time
	Step   string // the step that wrote it; empty outside steps
	Text   string
}

func scanStep(r db.Row) (s Step, err error) {
	var state string
	var started, ended int64
	err = r.Scan(&s.Number, &s.Name, &s.Undo, &state, &s.Attempts, &s.Error, &started, &ended)
	s.State, s.Started, s.Ended = State(state), db.Time(started), db.Time(ended)
	return s, err
}

// Steps returns what the task has done so far, in the order in which its steps began.
func Steps(ctx context.Context, q db.Querier, id odcm.TaskID) ([]Step, error) {
	return db.Collect(ctx, q, scanStep, `SELECT number, name, is_undo, state, attempts, error, started, ended
FROM task_step WHERE task = $1 ORDER BY number`, string(id))
}

// Lines returns the lines after the given number, at most limit. A number below zero counts from the end: after -20 come the
// last 20 lines.
func Lines(ctx context.Context, q db.Querier, id odcm.TaskID, after int64, limit int) ([]Line, error) {
	return db.Collect(ctx, q, func(r db.Row) (l Line, err error) {
		var at int64
		err = r.Scan(&l.Number, &at, &l.Step, &l.Text)
		l.Time = db.Time(at)
		return l, err
	}, `SELECT number, time, step, text FROM task_log WHERE task = $1
AND number > CASE WHEN $2 < 0 THEN (SELECT COALESCE(MAX(number), 0) FROM task_log WHERE task = $1) + $2 ELSE $2 END ORDER BY number LIMIT `+
		strconv.Itoa(limit), string(id), after)
}

// Last returns the number of the last line, 0 where there is none.
func Last(ctx context.Context, q db.Querier, id odcm.TaskID) (last int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM task_log WHERE task = $1`, string(id)).Scan(&last)
	return last, err
}
