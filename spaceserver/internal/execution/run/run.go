// Package run carries out a plan: groups of steps in their order, steps over their targets by rolling windows, conditions,
// retries, and questions to people. What a piece of work does is none of its business; see [Work].
package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/variable"
)

// ErrWaiting says that nothing more can be done before people answer.
var ErrWaiting = errors.New("the execution waits for people")

// Work does what a plan says.
type Work interface {
	// Variables resolves the variables of a piece, without what earlier pieces set.
	Variables(p *Piece) (*variable.Collection, error)
	// Do does one piece of work. A [*Question] as error is asked, and Do called again with the answer. Any other error is
	// a failure; its text is read by people.
	Do(ctx context.Context, p *Piece) error
	// Acquire makes the packages of the plan ready.
	Acquire(ctx context.Context, log *activity.Log) error
}

// People are asked what to do.
type People interface {
	// Ask raises an interruption and returns its id.
	Ask(ctx context.Context, q Question) (string, error)
	// Answer returns the answer to an interruption, nil while there is none.
	Answer(ctx context.Context, id string) (*Answer, error)
}

// Question is what people are asked. It is an error so that work can end in it.
type Question struct {
	Title, Instructions string
	Guided              bool     // what to do about a failure, or else a manual intervention
	Options             []string // of what they can choose
	Teams               []string // who may answer; everybody who may deploy if empty
	Node                string   // id of the log's node: the interruption's correlation
	Machine             string   // id of the target that it is about, "" for none
	Blocks              bool     // other deployments to the same place wait for the answer too
}

func (q *Question) Error() string { return "people are asked: " + q.Title }

// Answer is what they said.
type Answer struct {
	Choice, Notes                               string
	UserID, Username, DisplayName, EmailAddress string
}

// Piece is one action at one place.
type Piece struct {
	Work      *plan.Work
	Job       *plan.Job
	Machine   *plan.Machine // the target that it runs on, or on behalf of; nil where it runs once
	Variables *variable.Collection
	Log       *activity.Log
	Answer    *Answer // of its question; nil before

	outputs []Output
	warned  bool
	runner  *Runner
}

// Key names the piece within its execution.
func (p *Piece) Key() string { return key(p.Job.Action.ID, p.Machine) }

func key(id string, m *plan.Machine) string {
	if m == nil {
		return id
	}
	return id + "/" + m.ID
}

// Where is the name of the machine, "" where the piece runs once.
func (p *Piece) Where() string {
	if p.Machine == nil {
		return ""
	}
	return p.Machine.Name
}

// Output sets an output variable. The piece sees it at once, others when the piece has ended.
func (p *Piece) Output(name, value string, sensitive bool) {
	if sensitive && p.runner.Mask != nil {
		p.runner.Mask(value)
	}
	o := Output{Action: p.Job.Action.Name, Machine: p.Where(), Name: name, Value: value, Sensitive: sensitive}
	p.outputs = append(p.outputs, o)
	o.set(p.Variables, p.Where())
}

// Warn makes the result a success with warnings.
func (p *Piece) Warn() { p.warned = true }

// set makes an output a variable of somewhere (docs: projects/variables/output-variables#multiple-target-output): with its
// target in the name everywhere; without it, the target's own value wins over others'.
func (o Output) set(c *variable.Collection, here string) {
	prefix := "Octopus.Action[" + o.Action + "].Output"
	if o.Machine != "" {
		c.Set(prefix+"["+o.Machine+"]."+o.Name, o.Value, o.Sensitive)
	}
	plain := prefix + "." + o.Name
	if _, there := c.Lookup(plain); !there || o.Machine == here || o.Machine == "" {
		c.Set(plain, o.Value, o.Sensitive)
	}
}

// Runner runs one execution.
type Runner struct {
	Plan    plan.Plan
	Work    Work
	People  People
	Journal *Journal
	Log     *activity.Log // the task's root
	Guided  bool          // people are asked about failures
	Mask    func(secrets ...string)
	// Lock keeps a target for one piece of work at a time, of all executions (docs: administration/managing-infrastructure/
	// run-multiple-processes-on-a-target-simultaneously); nil does not.
	Lock func(ctx context.Context, machine string) (unlock func(), err error)

	mu    sync.Mutex
	asked []string // the interruptions that this pass over the plan waits for
}

// Run goes as far as it can: to the end, with the first failure as error, or to where only people can help, with
// [ErrWaiting]. An ended context stops everything; its cause is the error.
func (r *Runner) Run(ctx context.Context) error {
	for {
		r.asked = nil
		waiting := r.groups(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !waiting {
			return r.result()
		}
		// Somebody may have answered while other pieces still ran.
		if answered, err := r.answered(ctx); err != nil || !answered {
			return errors.Join(err, ErrWaiting)
		}
	}
}

func (r *Runner) result() error {
	if r.Journal.Error != "" {
		return plan.Refusal(r.Journal.Error)
	}
	return nil
}

// groups runs what is left. Failures of work are in the journal.
func (r *Runner) groups(ctx context.Context) (waiting bool) {
	for i := range r.Plan.Groups {
		r.acquire(ctx, i)
		if r.group(ctx, i) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return false
}

// acquire fetches packages where the plan says so. A package that is not to be had fails the deployment there.
func (r *Runner) acquire(ctx context.Context, group int) {
	if group != r.Plan.Acquire || r.Journal.Acquired || ctx.Err() != nil {
		return
	}
	r.Journal.Acquired = true
	log := r.Log.Child("acquire", "Acquire packages")
	err := r.Work.Acquire(ctx, log)
	switch {
	case ctx.Err() != nil:
		log.End(activity.Canceled)
	case err != nil:
		log.Write(activity.Fatal, reason(err))
		log.End(activity.Failed)
		r.Journal.fail("The packages could not be acquired: " + reason(err))
	default:
		log.End(activity.Success)
	}
}

// group runs steps side by side, as many at a time as the plan allows.
func (r *Runner) group(ctx context.Context, i int) (waiting bool) {
	before := r.Journal.begin(i)
	steps := r.Plan.Groups[i].Steps
	if len(steps) == 1 {
		return r.step(ctx, &steps[0], before)
	}
	var (
		wg    sync.WaitGroup
		waits atomic.Bool
		slots = make(chan struct{}, max(r.Plan.Parallel, 1))
	)
	for s := range steps {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if r.step(ctx, &steps[s], before) {
				waits.Store(true)
			}
		})
	}
	wg.Wait()
	return waits.Load()
}

// waitsFor notes what a piece waits for.
func (r *Runner) waitsFor(interruption string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, interruption)
}

// answered tells whether any of the questions that the execution waits for has an answer.
func (r *Runner) answered(ctx context.Context) (bool, error) {
	for _, id := range r.asked {
		answer, err := r.People.Answer(ctx, id)
		if err != nil || answer != nil {
			return answer != nil, err
		}
	}
	return false, nil
}

// title is what the log calls a step.
func title(w *plan.Work) string { return fmt.Sprintf("Step %d: %s", w.Number, w.Step.Name) }
