package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"odcm"
	"odcm/kit/task/journal"
	"odcm/kit/task/queue"
)

// ErrCanceled is what a step returns where the task was canceled. Test for it with errors.Is; a handler that returns it
// ends its task in the state [Canceled].
var ErrCanceled error = odcm.E(odcm.Conflict, "task.canceled", "the task was canceled")

// Run is a task that is being run: what its handler gets. Logf, Progress and Canceled may be called from any goroutine,
// the steps only from the handler's own.
type Run struct {
	e       *Engine
	ctx     queue.Context
	task    Task
	input   string
	journal *journal.Journal
	undoing error // the first error of an Undo step

	stepping sync.Mutex // held while a step runs
	number   int        // of the step that began last

	mu          sync.Mutex
	canceled    bool
	interrupted bool
	step        string // its name while one runs
	undo        bool   // whether it belongs to the roll-back
	end         context.CancelFunc
}

// Task returns the task as it was when this run began.
func (r *Run) Task() Task { return r.task }

// Input decodes the input of the request into v, a pointer.
func (r *Run) Input(v any) error {
	if err := json.Unmarshal([]byte(r.input), v); err != nil {
		return odcm.E(odcm.Internal, "task.input", "the input of the task does not fit its handler").Because(err)
	}
	return nil
}

// Key returns a key that is the same whenever the named step of this task runs: an idempotency key for other systems.
func (r *Run) Key(step string) string { return string(r.task.ID) + "/" + step }

// Logf adds a line to the task's log, which people read: no secrets. It never blocks on the database. A line outside
// steps is written again when the handler runs again.
func (r *Run) Logf(format string, args ...any) {
	r.mu.Lock()
	step := r.step
	r.mu.Unlock()
	r.journal.Line(step, fmt.Sprintf(format, args...))
}

// Progress says how far the task is, in percent, and what it is doing now. It never blocks on the database.
func (r *Run) Progress(percent int, doing string) { r.journal.Progress(percent, doing) }

// Canceled tells whether someone asked to cancel the task. Steps need it only to tell it from other ends of their context.
func (r *Run) Canceled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.canceled
}

// askedToCancel also looks at the task's row: somebody may have asked at another replica, whose hint is still on its way.
func (r *Run) askedToCancel(ctx context.Context) bool {
	if r.Canceled() {
		return true
	}
	// Where the row cannot be read the step runs: what it returns could not be stored either.
	ctx, enough := context.WithTimeout(ctx, r.e.o.HeartbeatEvery)
	defer enough()
	if t, err := r.e.Get(ctx, r.task.ID); err == nil && t.State == Canceling {
		r.cancel()
	}
	return r.Canceled()
}

// cancel ends the step that is running, unless it belongs to the roll-back.
func (r *Run) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canceled = true
	if r.end != nil && !r.undo {
		r.end()
	}
}

// interrupt ends the run as a crash would: nothing more is stored, and it goes on at the same step, here or elsewhere.
func (r *Run) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted = true
	if r.end != nil {
		r.end()
	}
}

func (r *Run) isInterrupted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interrupted
}

// interruption is the panic that leaves a handler which must not go on: as an error it would make the handler roll back.
// net/http's ErrAbortHandler is the precedent.
type interruption struct{ cause error }

// outcome is what is stored of a step. An error is stored as its public part, and handed on as that also by the run that
// made it, so that a handler decides the same way in every run.
type outcome struct {
	Value    json.RawMessage   `json:"value,omitempty"`
	Failure  *Failure          `json:"failure,omitempty"`
	Fields   []odcm.FieldError `json:"fields,omitempty"`
	Canceled bool              `json:"canceled,omitempty"`
}

// state is what people see of it.
func (o outcome) state() (state StepState, message string) {
	switch {
	case o.Canceled:
		return StepCanceled, ""
	case o.Failure != nil:
		return StepFailed, o.Failure.Message
	}
	return StepSucceeded, ""
}

// Step runs f once, stores what it returns and returns that whenever the handler runs again. It runs f again only where
// the replica died before f's result was stored. T must survive JSON. An error comes back as an [odcm.Error] of the same
// kind, code, message and fields; the cause goes to the log, and an error that has no public part becomes [odcm.Internal].
// Once the task is canceled Step returns [ErrCanceled] instead, without running f or by ending its context.
func Step[T any](r *Run, name string, f func(ctx context.Context) (T, error)) (T, error) {
	return step(r, name, false, f)
}

// Undo is [Step] for rolling back: it also runs where the task was canceled, and a cancel does not end its context. Where
// it fails the task ends in the state [Failed], whatever the handler returns with it.
func Undo[T any](r *Run, name string, f func(ctx context.Context) (T, error)) (T, error) {
	v, err := step(r, name, true, f)
	if err != nil && r.undoing == nil {
		r.undoing = err
	}
	return v, err
}

func step[T any](r *Run, name string, undo bool, f func(ctx context.Context) (T, error)) (v T, err error) {
	out, err := r.do(name, undo, func(ctx context.Context) (json.RawMessage, error) {
		v, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(v)
	})
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}

func (r *Run) do(name string, undo bool, f func(ctx context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	if !r.stepping.TryLock() {
		return nil, odcm.E(odcm.Internal, "task.step-in-step", "step %q began while another runs: steps follow one another", name)
	}
	defer r.stepping.Unlock()
	if r.isInterrupted() || r.e.draining.Load() {
		panic(interruption{})
	}
	r.number++
	number := r.number
	out, err := queue.Step(r.ctx, name, func(ctx context.Context) outcome { return r.perform(ctx, number, name, undo, f) })
	switch {
	case errors.Is(err, queue.ErrChanged):
		return nil, odcm.E(odcm.Internal, "task.steps-changed", "step %d is %q now, and was another when the task began", number, name).Because(err)
	case err != nil: // the step could not be stored, or another replica runs the task by now
		panic(interruption{err})
	}
	state, message := out.state()
	r.journal.StepEnded(number, name, undo, state, message)
	switch {
	case out.Canceled:
		return nil, ErrCanceled
	case out.Failure != nil:
		return nil, out.Failure.err(out.Fields)
	}
	return out.Value, nil
}

// perform runs a step that has no stored outcome, and returns the outcome to store.
func (r *Run) perform(ctx context.Context, number int, name string, undo bool, f func(ctx context.Context) (json.RawMessage, error)) outcome {
	if !undo && r.askedToCancel(ctx) {
		return outcome{Canceled: true}
	}
	r.journal.StepBegan(number, name, undo)
	ctx, end := context.WithCancel(ctx)
	defer end()
	r.enter(name, undo, end)
	r.e.o.Hook(r.task.Kind, name, false)
	v, err := protect(func() (json.RawMessage, error) { return f(ctx) })
	r.e.o.Hook(r.task.Kind, name, true)
	r.enter("", false, nil)
	switch {
	case err == nil:
		return outcome{Value: v}
	case r.isInterrupted():
		panic(interruption{err}) // what an interrupted step returns says nothing: it runs again
	case !undo && r.Canceled():
		return outcome{Canceled: true}
	}
	r.e.log.Warn("a step of a task failed", "task", r.task.ID, "kind", r.task.Kind, "step", name, "error", err)
	failure, fields := public(err)
	return outcome{Failure: failure, Fields: fields}
}

// enter notes which step runs and how to end it, and ends it at once where that was asked for in the meantime.
func (r *Run) enter(step string, undo bool, end context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step, r.undo, r.end = step, undo, end
	if end != nil && (r.interrupted || r.canceled && !undo) {
		end()
	}
}

// protect turns a panic of the room's code into an error, but lets an interruption pass.
func protect[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interruption:
			panic(p)
		default:
			err = odcm.E(odcm.Internal, "task.panic", "the task hit a defect").Because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return f()
}

// public returns what of the error may be stored and shown.
func public(err error) (*Failure, []odcm.FieldError) {
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind == odcm.Internal {
		return &Failure{Kind: odcm.Internal, Code: odcm.CodeOf(err), Message: "Something went wrong inside ODCM. Its log says what."}, nil
	}
	return &Failure{Kind: e.Kind, Code: odcm.CodeOf(err), Message: e.Message}, e.Fields
}

func (f *Failure) err(fields []odcm.FieldError) error {
	e := odcm.E(f.Kind, f.Code, "%s", f.Message)
	e.Fields = fields
	return e
}

// now is when something happened, for people.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
