package journal

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"odcm"
	"odcm/kit/db"
)

const (
	// flushEvery bounds how often a run's progress, log and steps are written: a handler that logs each of 10,000 things
	// costs ten transactions a second and not 10,000. A crash loses what was gathered since.
	flushEvery = 100 * time.Millisecond
	textLimit  = 8 << 10 // bytes of one line
	lineChunk  = 500     // lines in one INSERT
)

// Journal gathers what people see of a run and writes it in the background, so that neither the handler nor a transaction
// that it holds ever waits for it.
type Journal struct {
	ctx context.Context // of the run
	o   Options

	mu       sync.Mutex
	percent  int
	doing    string
	advanced bool // percent and doing are not written yet
	last     int64
	lines    []Line // not written yet
	steps    map[int]Step
	changed  map[int]bool // steps that are not written yet

	wake chan struct{}
	quit chan struct{}
	done chan struct{}
}

// Options say whose journal it is, and what becomes of it.
type Options struct {
	Task    odcm.TaskID
	Attempt int // of the run; the fence: only the run that counted last may write
	Percent int // as the last run left it
	Doing   string
	Tx      func(ctx context.Context, f func(tx *sql.Tx) error) error
	Written func() // called when something was written, for those who look
	Lost    func() // called when a later run of the task has begun elsewhere
	Log     *slog.Logger
}

// ErrLost says that a later run of the task has begun elsewhere.
var ErrLost = errors.New("the task is run by another replica")

// Open goes on after the last line and the steps of former runs, as [Last] and [Steps] give them. It writes in the
// background until Close.
func Open(ctx context.Context, o Options, last int64, before []Step) *Journal {
	j := &Journal{
		ctx: ctx, o: o, percent: o.Percent, doing: o.Doing, last: last,
		steps: map[int]Step{}, changed: map[int]bool{},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	for _, s := range before {
		j.steps[s.Number] = s
	}
	go j.run()
	return j
}

// run writes what was gathered, at once after a quiet time and every flushEvery in a busy one.
func (j *Journal) run() {
	defer close(j.done)
	for {
		select {
		case <-j.quit:
			return
		case <-j.wake:
		}
		wait := flushEvery
		switch err := j.Flush(j.ctx); {
		case errors.Is(err, ErrLost):
			j.o.Lost()
			return
		case err != nil:
			j.o.Log.Debug("progress of a task could not be written yet", "task", j.o.Task, "error", err)
			wait = time.Second
			j.kick()
		}
		select {
		case <-j.quit:
			return
		case <-time.After(wait):
		}
	}
}

func (j *Journal) kick() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Close ends the writing in the background; what is not written yet waits for [Journal.Write] or [Journal.Flush].
func (j *Journal) Close() {
	close(j.quit)
	<-j.done
}

// Line adds a line to the log.
func (j *Journal) Line(step, text string) {
	j.mu.Lock()
	j.last++
	j.lines = append(j.lines, Line{Number: j.last, Time: now(), Step: step, Text: Clean(text)})
	j.mu.Unlock()
	j.kick()
}

// Progress notes how far the task is.
func (j *Journal) Progress(percent int, doing string) {
	j.mu.Lock()
	// It never falls: a handler that runs again passes where it was before.
	percent, doing = max(j.percent, min(percent, 100)), Clean(doing)
	changed := percent != j.percent || doing != j.doing
	j.percent, j.doing, j.advanced = percent, doing, j.advanced || changed
	j.mu.Unlock()
	if changed {
		j.kick()
	}
}

// StepBegan notes that a step runs.
func (j *Journal) StepBegan(number int, name string, undo bool) {
	j.mu.Lock()
	s := j.steps[number]
	s.Number, s.Name, s.Undo, s.State, s.Error, s.Ended = number, name, undo, Running, "", time.Time{}
	s.Attempts++
	if s.Started.IsZero() {
		s.Started = now()
	}
	j.set(s)
	j.mu.Unlock()
	j.kick()
}

// StepEnded notes the outcome, also of a step that ended in an earlier run which died before it had written so.
func (j *Journal) StepEnded(number int, name string, undo bool, state State, message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.steps[number]
	if s.State == state {
		return
	}
	s.Number, s.Name, s.Undo, s.State, s.Error, s.Ended = number, name, undo, state, Clean(message), now()
	if s.Started.IsZero() {
		s.Started = s.Ended
	}
	j.set(s)
	j.kick()
}

func (j *Journal) set(s Step) {
	j.steps[s.Number] = s
	j.changed[s.Number] = true
}

// batch is what waits to be written.
type batch struct {
	percent int
	doing   string
	lines   []Line
	steps   []Step
}

func (j *Journal) waiting() (b batch, empty bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b = batch{percent: j.percent, doing: j.doing, lines: slices.Clone(j.lines)}
	for _, n := range slices.Sorted(maps.Keys(j.changed)) {
		b.steps = append(b.steps, j.steps[n])
	}
	return b, !j.advanced && len(b.lines) == 0 && len(b.steps) == 0
}

// written forgets the batch; what changed since it was taken waits on.
func (j *Journal) written(b batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = j.lines[len(b.lines):]
	j.advanced = j.percent != b.percent || j.doing != b.doing
	for _, s := range b.steps {
		if j.steps[s.Number] == s {
			delete(j.changed, s.Number)
		}
	}
}

// Flush writes what waits, in a transaction of its own.
func (j *Journal) Flush(ctx context.Context) error {
	b, empty := j.waiting()
	if empty {
		return nil
	}
	if err := j.o.Tx(ctx, func(tx *sql.Tx) error { return j.store(ctx, tx, b) }); err != nil {
		return err
	}
	j.written(b)
	j.o.Written()
	return nil
}

// Write stores what waits in the transaction that ends the run.
func (j *Journal) Write(ctx context.Context, tx *sql.Tx) error {
	b, _ := j.waiting()
	return j.store(ctx, tx, b)
}

func (j *Journal) store(ctx context.Context, tx *sql.Tx, b batch) error {
	id := string(j.o.Task)
	// The fence first: only the current run of the task may write.
	res, err := tx.ExecContext(ctx, `UPDATE task SET percent = $3, doing = $4
WHERE id = $1 AND attempts = $2 AND state IN ('running', 'canceling')`, id, j.o.Attempt, b.percent, b.doing)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return ErrLost
	}
	for chunk := range slices.Chunk(b.lines, lineChunk) {
		const width = 5
		values, args := make([]string, len(chunk)), make([]any, 0, width*len(chunk))
		for i, l := range chunk {
			values[i] = db.In(i*width+1, width)
			args = append(args, id, l.Number, db.Millis(l.Time), l.Step, l.Text)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO task_log (task, number, time, step, text) VALUES `+strings.Join(values, ","), args...); err != nil {
			return err
		}
	}
	for _, s := range b.steps {
		if _, err := tx.ExecContext(ctx, `INSERT INTO task_step (task, number, name, is_undo, state, attempts, error, started, ended)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (task, number) DO UPDATE SET
  name = excluded.name, is_undo = excluded.is_undo, state = excluded.state, attempts = excluded.attempts,
  error = excluded.error, started = excluded.started, ended = excluded.ended`,
			id, s.Number, s.Name, s.Undo, string(s.State), s.Attempts, s.Error, db.Millis(s.Started), db.Millis(s.Ended)); err != nil {
			return err
		}
	}
	return nil
}

// Clean makes outside text fit for a TEXT column of either database: valid UTF-8 without zero bytes, of bounded length.
func Clean(s string) string {
	if len(s) > textLimit {
		s = s[:textLimit] + " …"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// now is when something happened, for people.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
