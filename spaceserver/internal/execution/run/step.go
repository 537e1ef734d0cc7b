package run

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/variable"
)

// step runs one step over its targets.
func (r *Runner) step(ctx context.Context, w *plan.Work, before string) (waiting bool) {
	if r.Journal.ended(w.Number) || ctx.Err() != nil {
		return false
	}
	log := r.Log.Child("step-"+w.Step.ID, title(w))
	if w.Skip != "" {
		log.Write(activity.Info, "The step is skipped because "+w.Skip+".")
		return r.endStep(w, log, Status{Code: "Skipped"})
	}
	s := &stepRun{runner: r, work: w, log: log, before: before}
	if w.PerTarget {
		s.targets = r.remaining(w)
	} else {
		s.targets = []*plan.Machine{nil}
	}
	s.roll(ctx)
	switch {
	case ctx.Err() != nil:
		log.End(activity.Canceled)
		return false
	case s.waiting:
		return true
	case s.failed != "":
		return r.endStep(w, log, Status{Code: "Failed", Error: s.failed})
	case !s.ran:
		return r.endStep(w, log, Status{Code: "Skipped"})
	case s.warned:
		return r.endStep(w, log, Status{Code: "SucceededWithWarning"})
	}
	return r.endStep(w, log, Status{Code: "Succeeded"})
}

// endStep closes the step; it waits for nobody.
func (r *Runner) endStep(w *plan.Work, log *activity.Log, s Status) (waiting bool) {
	switch s.Code {
	case "Skipped":
		log.End(activity.Skipped)
	case "Failed":
		log.End(activity.Failed)
	case "SucceededWithWarning":
		s.Code = "Succeeded"
		log.End(activity.SuccessWithWarning)
	default:
		log.End(activity.Success)
	}
	s.Name = w.Step.Name
	r.Journal.end(w.Number, s)
	r.Log.Progress(r.Journal.percent(r.Plan), title(w))
	return false
}

// remaining are the step's targets that people did not take out.
func (r *Runner) remaining(w *plan.Work) []*plan.Machine {
	var targets []*plan.Machine
	for i := range w.Targets {
		if !r.Journal.excludes(w.Targets[i].ID) || r.Journal.entry(key("step "+w.Step.ID, &w.Targets[i])).State != "" {
			targets = append(targets, &w.Targets[i])
		}
	}
	return targets
}

// stepRun is a step on its way.
type stepRun struct {
	runner  *Runner
	work    *plan.Work
	log     *activity.Log
	before  string // the deployment's error when the group began
	targets []*plan.Machine

	mu      sync.Mutex
	next    int
	failed  string   // the first failure
	spared  []string // names of targets that were not begun after it
	ran     bool
	warned  bool
	waiting bool
}

// roll runs the actions target by target, as many targets at a time as the window is wide (docs: deployments/patterns/
// rolling-deployments). A target about which people are asked keeps its place in the window; after a failure no further
// target is begun.
func (s *stepRun) roll(ctx context.Context) {
	var wg sync.WaitGroup
	for range min(max(s.work.Window, 1), len(s.targets)) {
		wg.Go(func() {
			for {
				target, more := s.take(ctx)
				if !more || s.chain(ctx, target) {
					return
				}
			}
		})
	}
	wg.Wait()
	if len(s.spared) > 0 && ctx.Err() == nil && !s.waiting {
		s.log.Write(activity.Warning, "The step was not begun on "+strings.Join(s.spared, ", ")+" because it had failed before.")
	}
}

// take gives the next target. What was begun before a question is ended, also after a failure elsewhere.
func (s *stepRun) take(ctx context.Context) (*plan.Machine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil && s.next < len(s.targets) {
		m := s.targets[s.next]
		s.next++
		if s.failed == "" || s.runner.Journal.entry(s.key(m)).State != "" {
			return m, true
		}
		s.spared = append(s.spared, m.Name)
	}
	return nil, false
}

// key is the journal's name for the step at a place.
func (s *stepRun) key(m *plan.Machine) string { return key("step "+s.work.Step.ID, m) }

// chain runs the step's actions one after the other at one place, and tells whether it waits for people.
func (s *stepRun) chain(ctx context.Context, m *plan.Machine) (waiting bool) {
	k := s.key(m)
	e := s.runner.Journal.entry(k)
	if e.State != "" && e.State != Begun {
		s.note(e)
		return false
	}
	c := &chain{stepRun: s, machine: m, log: s.log}
	if m != nil {
		c.log = s.log.Child(m.ID, m.Name)
	}
	if e.State == "" {
		switch e = s.decide(k, m); e.State {
		case Skipped:
			c.log.Write(activity.Info, "The step is skipped because "+unmet(s.work.Step.Condition)+".")
		case Failed:
			c.log.Write(activity.Fatal, e.Error)
		}
		if e.State != Begun {
			c.end(ctx, e)
			s.note(e)
			return false
		}
	}
	for i := range s.work.Actions {
		if c.action(ctx, &s.work.Actions[i]); c.waiting {
			s.mu.Lock()
			s.waiting = true
			s.mu.Unlock()
			return true
		}
		if c.excluded || ctx.Err() != nil {
			break
		}
	}
	e = c.entry()
	c.end(ctx, e)
	if ctx.Err() == nil {
		s.runner.Journal.keep(k, e)
	}
	s.note(e)
	return false
}

// note adds what became of one place to what becomes of the step.
func (s *stepRun) note(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran = s.ran || e.State != Skipped
	s.warned = s.warned || e.Warned
	if e.State == Failed && s.failed == "" {
		s.failed = e.Error
	}
}

// decide tells whether the step's run condition lets it run at a place, once for each place: what happens meanwhile must
// not change it when the execution goes on after a question.
func (s *stepRun) decide(k string, m *plan.Machine) Entry {
	runs, err := s.runner.holds(s.work.Step.Condition, s.before, func() (string, *variable.Collection, error) {
		c, err := s.runner.variables(&Piece{Work: s.work, Job: s.first(), Machine: m, runner: s.runner})
		return expression(s.work.Step.Properties), c, err
	})
	e := Entry{State: Skipped}
	switch {
	case err != nil:
		e = Entry{State: Failed, Error: s.blame(m, err)}
		s.runner.Journal.fail(e.Error)
	case runs:
		e = Entry{State: Begun}
	}
	s.runner.Journal.keep(k, e)
	return e
}

// first is the first action that is not left out: the step's own condition is evaluated with its variables.
func (s *stepRun) first() *plan.Job {
	for i := range s.work.Actions {
		if s.work.Actions[i].Skip == "" {
			return &s.work.Actions[i]
		}
	}
	return &s.work.Actions[0]
}

// holds evaluates a run condition (docs: projects/steps/conditions#run-condition). An expression decides alone: it can ask
// for Octopus.Deployment.Error itself.
func (r *Runner) holds(condition, failed string, with func() (string, *variable.Collection, error)) (bool, error) {
	switch condition {
	case "Always":
		return true, nil
	case "Failure":
		return failed != "", nil
	case "Variable":
		text, c, err := with()
		if err != nil {
			return false, err
		}
		holds, err := c.Truthy(text)
		if err != nil {
			return false, fmt.Errorf("its run condition cannot be evaluated: %w", err)
		}
		return holds, nil
	}
	return failed == "", nil
}

// unmet says why a condition does not hold.
func unmet(condition string) string {
	switch condition {
	case "Failure":
		return "nothing failed before it"
	case "Variable":
		return "its run condition is not true"
	}
	return "a step before it failed"
}

// expression is the text of a condition: clients write it under either name.
func expression(p plan.Properties) string {
	if text := p.Get("Octopus.Step.ConditionVariableExpression"); text != "" {
		return text
	}
	return p.Get("Octopus.Action.ConditionVariableExpression")
}

// blame says step, target and reason.
func (s *stepRun) blame(m *plan.Machine, err error) string {
	if m == nil {
		return fmt.Sprintf("%s failed: %s", title(s.work), reason(err))
	}
	return fmt.Sprintf("%s failed on %s: %s", title(s.work), m.Name, reason(err))
}

// reason is an error's text for people. Rules of the server speak of requests, which a step is not.
func reason(err error) string {
	return strings.ReplaceAll(err.Error(), problem.Invalid().Message+" ", "")
}
