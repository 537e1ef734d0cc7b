package run

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/variable"
)

// What people can choose about a failure (docs: releases/guided-failures).
const (
	Fail    = "Fail"
	Retry   = "Retry"
	Ignore  = "Ignore"
	Exclude = "Exclude"
)

// chain is the actions of a step at one place.
type chain struct {
	*stepRun
	machine  *plan.Machine
	log      *activity.Log
	failed   string // the first failure
	ran      bool
	warned   bool
	waiting  bool
	excluded bool
}

// action runs one action, or takes what the journal says of it.
func (c *chain) action(ctx context.Context, job *plan.Job) {
	if job.Skip != "" {
		if len(c.work.Actions) > 1 && c.runner.Journal.entry(key(job.Action.ID, c.machine)).State == "" {
			c.skip(c.open(job), job, job.Skip)
		}
		return
	}
	p := &Piece{Work: c.work, Job: job, Machine: c.machine, runner: c.runner}
	e := c.runner.Journal.entry(p.Key())
	if e.State == "" || e.State == Waiting {
		p.Log = c.open(job)
		if e = c.piece(ctx, p, e); e.State == Waiting {
			c.waiting = true
			c.runner.waitsFor(e.Interruption)
			return
		}
	}
	c.note(e)
}

// open opens the log of an action: its own below the place's where there are several.
func (c *chain) open(job *plan.Job) *activity.Log {
	if len(c.work.Actions) == 1 {
		return c.log
	}
	return c.log.Child(job.Action.ID, fmt.Sprintf("Step %d.%d: %s", c.work.Number, job.Number, job.Action.Name))
}

// condition is that of a child step: it looks at what became of the children before it, at this place.
func (c *chain) condition(p *Piece) (bool, error) {
	return c.runner.holds(p.Job.Action.Condition, c.failed, func() (string, *variable.Collection, error) {
		v, err := c.runner.variables(p)
		return expression(p.Job.Action.Properties), v, err
	})
}

func (c *chain) skip(log *activity.Log, job *plan.Job, why string) Entry {
	log.Write(activity.Info, "The step is skipped because "+why+".")
	if len(c.work.Actions) > 1 {
		log.End(activity.Skipped)
	}
	e := Entry{State: Skipped}
	c.runner.Journal.keep(key(job.Action.ID, c.machine), e)
	return e
}

// note adds what became of an action to what becomes of the chain.
func (c *chain) note(e Entry) {
	c.ran = c.ran || e.State != Skipped
	c.warned = c.warned || e.Warned
	c.excluded = c.excluded || e.State == Excluded
	if e.State == Failed && c.failed == "" {
		c.failed = e.Error
	}
}

// entry is what becomes of the chain as a whole.
func (c *chain) entry() Entry {
	switch {
	case c.failed != "":
		return Entry{State: Failed, Error: c.failed, Warned: c.warned}
	case c.excluded:
		return Entry{State: Excluded, Warned: true}
	case !c.ran:
		return Entry{State: Skipped}
	}
	return Entry{State: Succeeded, Warned: c.warned}
}

// end closes the target's node in the log; the step's own is closed by the step.
func (c *chain) end(ctx context.Context, e Entry) {
	if c.machine != nil {
		c.log.End(ending(ctx, e))
	}
}

// ending is the state of a log's node for what became of its work.
func ending(ctx context.Context, e Entry) activity.Status {
	switch {
	case ctx.Err() != nil:
		return activity.Canceled
	case e.State == Failed:
		return activity.Failed
	case e.State == Skipped:
		return activity.Skipped
	case e.Warned:
		return activity.SuccessWithWarning
	}
	return activity.Success
}

// variables are those of a piece, with what earlier pieces left.
func (r *Runner) variables(p *Piece) (*variable.Collection, error) {
	c, err := r.Work.Variables(p)
	if err != nil {
		return nil, err
	}
	r.Journal.apply(c, p.Where())
	return c, nil
}

// piece does a piece of work, asks people where that is due, and keeps what became of it.
func (c *chain) piece(ctx context.Context, p *Piece, e Entry) Entry {
	var answer *Answer
	if e.State == Waiting {
		var err error
		if answer, err = c.runner.People.Answer(ctx, e.Interruption); err != nil {
			return c.finish(ctx, p, Entry{State: Failed, Error: c.blame(c.machine, err)})
		}
		if answer == nil {
			return e
		}
	} else if runs, err := c.condition(p); err != nil {
		p.Log.Write(activity.Fatal, reason(err))
		return c.finish(ctx, p, Entry{State: Failed, Error: c.blame(c.machine, err)})
	} else if !runs {
		return c.skip(p.Log, p.Job, unmet(p.Job.Action.Condition))
	}
	if e.Guided && answer.Choice != Retry {
		return c.guided(ctx, p, e, answer)
	}
	if !e.Guided {
		p.Answer = answer
	}
	err := c.attempts(ctx, p)
	var q *Question
	switch {
	case ctx.Err() != nil:
		return c.finish(ctx, p, Entry{State: Failed, Error: context.Cause(ctx).Error()})
	case errors.As(err, &q):
		return c.ask(ctx, p, *q, "")
	case err != nil && c.runner.Guided && p.Job.Action.ActionType != plan.Manual:
		p.Log.Write(activity.Error, reason(err))
		return c.ask(ctx, p, c.guidance(p, err), c.blame(c.machine, err))
	case err != nil:
		p.Log.Write(activity.Fatal, reason(err))
		return c.finish(ctx, p, Entry{State: Failed, Error: c.blame(c.machine, err)})
	}
	return c.finish(ctx, p, Entry{State: Succeeded, Warned: p.warned})
}

// ask raises an interruption and keeps what the piece waits for.
func (c *chain) ask(ctx context.Context, p *Piece, q Question, failure string) Entry {
	q.Node = p.Log.ID()
	if p.Machine != nil {
		q.Machine = p.Machine.ID
	}
	id, err := c.runner.People.Ask(ctx, q)
	if err != nil {
		return c.finish(ctx, p, Entry{State: Failed, Error: c.blame(c.machine, err)})
	}
	p.Log.Write(activity.Wait, "Waiting for people: "+q.Title)
	e := Entry{State: Waiting, Interruption: id, Guided: q.Guided, Blocks: q.Blocks, Error: failure}
	c.runner.Journal.keep(p.Key(), e)
	return e
}

// guidance is the question about a failure. What must not be skipped cannot be ignored either.
func (c *chain) guidance(p *Piece, err error) Question {
	q := Question{Title: "Guidance is needed: " + c.blame(c.machine, err), Guided: true, Options: []string{Fail, Retry},
		Instructions: fmt.Sprintf("%s\n\nFail ends the deployment, Retry tries the step again.", c.blame(c.machine, err))}
	if !p.Job.Action.Required() {
		q.Options = append(q.Options, Ignore)
		q.Instructions += " Ignore goes on as if it had succeeded."
		if p.Machine != nil {
			q.Options = append(q.Options, Exclude)
			q.Instructions += " Exclude takes the target out of the rest of the deployment."
		}
	}
	return q
}

// guided does what people said about a failure.
func (c *chain) guided(ctx context.Context, p *Piece, e Entry, a *Answer) Entry {
	said := fmt.Sprintf("%s chose %s.", a.DisplayName, a.Choice)
	if a.Notes != "" {
		said += " " + a.Notes
	}
	p.Log.Write(activity.Warning, said)
	switch {
	case a.Choice == Ignore && !p.Job.Action.Required():
		return c.finish(ctx, p, Entry{State: Ignored, Warned: true})
	case a.Choice == Exclude && p.Machine != nil && !p.Job.Action.Required():
		c.runner.Journal.exclude(p.Machine.ID)
		return c.finish(ctx, p, Entry{State: Excluded, Warned: true})
	}
	return c.finish(ctx, p, Entry{State: Failed, Error: e.Error})
}

// finish keeps what became of a piece, and lets others see what it set.
func (c *chain) finish(ctx context.Context, p *Piece, e Entry) Entry {
	j := c.runner.Journal
	for _, o := range p.outputs {
		j.output(o)
	}
	s := Status{Code: "Succeeded"}
	if e.State == Failed {
		s = Status{Code: "Failed", Error: e.Error}
		j.fail(e.Error)
	}
	if e.Warned {
		j.warn()
	}
	j.status(p.Job.Action.Name, s)
	j.keep(p.Key(), e)
	if len(c.work.Actions) > 1 {
		p.Log.End(ending(ctx, e))
	}
	return e
}

// attempts does a piece, again where it fails and its settings say so, each time within its time (docs: projects/steps/
// conditions#retries; Octopus.Action.AutoRetry.MaximumCount, .MinimumBackoff in seconds, Octopus.Action.ExecutionTimeout.Minutes).
func (c *chain) attempts(ctx context.Context, p *Piece) error {
	unlock, err := c.lock(ctx, p)
	if err != nil {
		return err
	}
	defer unlock()
	for n := 0; ; n++ {
		p.outputs, p.warned = nil, false
		if p.Variables, err = c.runner.variables(p); err != nil {
			return err
		}
		err := c.attempt(ctx, p)
		var q *Question
		if err == nil || ctx.Err() != nil || errors.As(err, &q) || p.Job.Action.ActionType == plan.Manual {
			return err
		}
		retries := min(int(setting(p, "Octopus.Action.AutoRetry.MaximumCount")), 10)
		if n >= retries {
			return err
		}
		pause := time.Duration(setting(p, "Octopus.Action.AutoRetry.MinimumBackoff") * float64(time.Second))
		p.Log.Write(activity.Warning, fmt.Sprintf("%s Retry %d of %d begins in %s.", sentence(err), n+1, retries, pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

func (c *chain) attempt(ctx context.Context, p *Piece) error {
	if minutes := setting(p, "Octopus.Action.ExecutionTimeout.Minutes"); minutes > 0 && p.Job.Action.ActionType != plan.Manual {
		var cancel context.CancelFunc
		over := plan.Refusal(fmt.Sprintf("it did not end within its %g minutes", minutes))
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(minutes*float64(time.Minute)), over)
		defer cancel()
	}
	err := c.runner.Work.Do(ctx, p)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // whatever the work made of it
	}
	return err
}

// setting reads a number of the action, which may be an expression; 0 where there is none.
func setting(p *Piece, name string) float64 {
	text := p.Job.Action.Properties.Get(name)
	if strings.Contains(text, "#{") {
		if expanded, err := p.Variables.Expand(text); err == nil {
			text = expanded.Text
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func sentence(err error) string { return strings.TrimSuffix(reason(err), ".") + "." }

func (c *chain) lock(ctx context.Context, p *Piece) (func(), error) {
	if p.Job.On != plan.Target || p.Machine == nil || c.runner.Lock == nil {
		return func() {}, nil
	}
	return c.runner.Lock(ctx, p.Machine.ID)
}
