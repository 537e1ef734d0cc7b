package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
	"odcm/spaceserver/internal/variable"
)

// world is a place where work is only told: what was done, in which order, and how it was to end.
type world struct {
	mu      sync.Mutex
	done    []string
	does    func(ctx context.Context, p *run.Piece, name string) error
	asked   map[string]run.Question
	answers map[string]*run.Answer
}

func (w *world) Variables(p *run.Piece) (*variable.Collection, error) {
	c := variable.Resolve(variable.Sets{}, variable.Place{})
	if p.Machine != nil {
		c.Set("Octopus.Machine.Name", p.Machine.Name, false)
	}
	return c, nil
}

func (w *world) Do(ctx context.Context, p *run.Piece) error {
	name := p.Job.Action.Name
	if p.Machine != nil {
		name += "@" + p.Machine.Name
	}
	w.note(name)
	if w.does == nil {
		return nil
	}
	return w.does(ctx, p, name)
}

func (w *world) note(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, name)
}

func (w *world) Acquire(context.Context, *activity.Log) error { w.note("acquire"); return nil }

func (w *world) Ask(_ context.Context, q run.Question) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked == nil {
		w.asked = map[string]run.Question{}
	}
	id := fmt.Sprint("Interruptions-", len(w.asked)+1)
	w.asked[id] = q
	return id, nil
}

func (w *world) Answer(_ context.Context, id string) (*run.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers[id], nil
}

func (w *world) answer(id, choice string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers == nil {
		w.answers = map[string]*run.Answer{}
	}
	w.answers[id] = &run.Answer{Choice: choice, DisplayName: "Ann"}
}

// runner makes a runner of steps; a step is a plan.Work with the least that is needed.
func (w *world) runner(groups ...plan.Group) *run.Runner {
	return &run.Runner{Plan: plan.Plan{Groups: groups, Acquire: -1, Parallel: 10}, Work: w, People: w, Journal: run.NewJournal(), Log: activity.Discard().Root("test")}
}

// one is a step with an action of the same name.
func one(name string, edits ...func(w *plan.Work)) plan.Work {
	w := plan.Work{Step: plan.Step{ID: "step-" + name, Name: name}, Window: 10}
	w.Actions = []plan.Job{{Number: 1, Action: plan.Action{ID: name, Name: name, Properties: plan.Properties{}}}}
	for _, edit := range edits {
		edit(&w)
	}
	return w
}

func when(condition string) func(w *plan.Work) {
	return func(w *plan.Work) { w.Step.Condition = condition }
}

func expression(text string) func(w *plan.Work) {
	return func(w *plan.Work) {
		w.Step.Condition = "Variable"
		w.Step.Properties = plan.Properties{"Octopus.Step.ConditionVariableExpression": {Text: text}}
	}
}

func on(window int, names ...string) func(w *plan.Work) {
	return func(w *plan.Work) {
		w.PerTarget, w.Window = true, window
		for _, name := range names {
			w.Targets = append(w.Targets, plan.Machine{ID: "Machines-" + name, Name: name})
		}
		for i := range w.Actions {
			w.Actions[i].On = plan.Target
		}
	}
}

func with(setting, value string) func(w *plan.Work) {
	return func(w *plan.Work) { w.Actions[0].Action.Properties[setting] = plan.Property{Text: value} }
}

func children(conditions ...string) func(w *plan.Work) {
	return func(w *plan.Work) {
		w.Actions = nil
		for i, c := range conditions {
			name := fmt.Sprint("c", i+1)
			w.Actions = append(w.Actions, plan.Job{Number: i + 1, Action: plan.Action{ID: name, Name: name, Condition: c, Properties: plan.Properties{}}})
		}
	}
}

// then puts steps one behind the other.
func then(works ...plan.Work) []plan.Group {
	groups := make([]plan.Group, len(works))
	for i := range works {
		works[i].Number = i + 1
		groups[i].Steps = works[i : i+1]
	}
	return groups
}

func fails(names ...string) func(context.Context, *run.Piece, string) error {
	return func(_ context.Context, _ *run.Piece, name string) error {
		if slices.Contains(names, name) {
			return errors.New("boom")
		}
		return nil
	}
}

func TestOrderAndConditions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		groups []plan.Group
		fails  []string
		want   string
		error  string
	}{
		"one after the other":                            {groups: then(one("a"), one("b")), want: "a b"},
		"nothing after a failure":                        {groups: then(one("a"), one("b")), fails: []string{"a"}, want: "a", error: "Step 1: a failed: boom"},
		"always":                                         {groups: then(one("a"), one("b", when("Always"))), fails: []string{"a"}, want: "a b", error: "Step 1: a failed: boom"},
		"on failure, and there was one":                  {groups: then(one("a"), one("b", when("Failure"))), fails: []string{"a"}, want: "a b", error: "Step 1: a failed: boom"},
		"on failure, and there was none":                 {groups: then(one("a"), one("b", when("Failure")), one("c")), want: "a c"},
		"the first failure is told":                      {groups: then(one("a"), one("b", when("Always"))), fails: []string{"a", "b"}, want: "a b", error: "Step 1: a failed: boom"},
		"a true expression":                              {groups: then(one("a", expression("#{if 1 == 1}True#{/if}"))), want: "a"},
		"a false expression":                             {groups: then(one("a", expression("No"))), want: ""},
		"an expression about the failure":                {groups: then(one("a"), one("b", expression("#{if Octopus.Deployment.Error}True#{/if}")), one("c", expression("#{unless Octopus.Deployment.Error}True#{/unless}"))), fails: []string{"a"}, want: "a b", error: "Step 1"},
		"an expression about a step":                     {groups: then(one("a"), one("b", when("Always"), expression(`#{if Octopus.Action[a].Status.Code == "Failed"}True#{/if}`))), fails: []string{"a"}, want: "a b", error: "Step 1"},
		"an expression about a step's state":             {groups: then(one("a"), one("b", expression(`#{if Octopus.Step[a].Status.Code == "Succeeded"}True#{/if}`))), want: "a b"},
		"an expression with an unknown filter":           {groups: then(one("a", expression("#{x}#{Octopus.Machine.Name | NoSuchFilter}"))), want: ""},
		"an expression for each machine":                 {groups: then(one("a", on(1, "m1", "m2"), expression(`#{if Octopus.Machine.Name == "m2"}True#{/if}`))), want: "a@m2"},
		"targets one by one":                             {groups: then(one("a", on(1, "m1", "m2"))), want: "a@m1 a@m2"},
		"no further target after failure":                {groups: then(one("a", on(1, "m1", "m2"))), fails: []string{"a@m1"}, want: "a@m1", error: "Step 1: a failed on m1: boom"},
		"children target by target":                      {groups: then(one("s", children("", ""), on(1, "m1", "m2"))), want: "c1@m1 c2@m1 c1@m2 c2@m2"},
		"children after a failure":                       {groups: then(one("s", children("Success", "Success", "Failure", "Always"))), fails: []string{"c1"}, want: "c1 c3 c4", error: "Step 1: s failed: boom"},
		"children without a failure":                     {groups: then(one("s", children("Success", "Failure", "Always"))), want: "c1 c3"},
		"children of a step that always runs begin anew": {groups: then(one("a"), one("s", when("Always"), children("Success", "Failure"))), fails: []string{"a"}, want: "a c1", error: "Step 1"},
		"a step that is left out":                        {groups: then(one("a", func(w *plan.Work) { w.Skip = "it is disabled" }), one("b")), want: "b"},
		"a child that is left out":                       {groups: then(one("s", children("", ""), func(w *plan.Work) { w.Actions[0].Skip = "it is disabled" })), want: "c2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{does: fails(c.fails...)}
			err := w.runner(c.groups...).Run(context.Background())
			if got := strings.Join(w.done, " "); got != c.want {
				t.Errorf("ran %q, want %q", got, c.want)
			}
			if c.error == "" && err != nil || c.error != "" && (err == nil || !strings.Contains(err.Error(), c.error)) {
				t.Errorf("got error %v, want %q", err, c.error)
			}
		})
	}
}

func TestStepsSideBySideAllSeeTheSameFailure(t *testing.T) {
	t.Parallel()
	a, b, c := one("a"), one("b"), one("c")
	a.Number, b.Number, c.Number = 1, 2, 3
	var both sync.WaitGroup
	both.Add(2)
	w := &world{does: func(_ context.Context, _ *run.Piece, name string) error {
		if name == "c" {
			return nil
		}
		both.Done()
		both.Wait() // neither ends before the other has begun
		return fails("a")(context.Background(), nil, name)
	}}
	err := w.runner(plan.Group{Steps: []plan.Work{a, b}}, plan.Group{Steps: []plan.Work{c}}).Run(context.Background())
	if slices.Sort(w.done); strings.Join(w.done, " ") != "a b" || err == nil {
		t.Errorf("ran %v with %v", w.done, err)
	}
}

func TestWindowBoundsTargetsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now, most := 0, 0
		w := &world{}
		w.does = func(ctx context.Context, _ *run.Piece, _ string) error {
			w.mu.Lock()
			now++
			most = max(most, now)
			w.mu.Unlock()
			<-time.After(time.Minute)
			w.mu.Lock()
			now--
			w.mu.Unlock()
			return nil
		}
		if err := w.runner(then(one("a", on(3, "1", "2", "3", "4", "5", "6", "7")))...).Run(t.Context()); err != nil || most != 3 || len(w.done) != 7 {
			t.Errorf("%d at a time, %d in all, %v", most, len(w.done), err)
		}
	})
}

func TestRetriesWithinTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		w := &world{does: func(ctx context.Context, p *run.Piece, _ string) error {
			switch tries++; tries {
			case 1:
				p.Output("Lost", "x", false)
				return errors.New("boom")
			case 2:
				<-ctx.Done() // hangs
				return errors.New("killed")
			}
			return nil
		}}
		r := w.runner(then(one("a", with("Octopus.Action.AutoRetry.MaximumCount", "2"), with("Octopus.Action.AutoRetry.MinimumBackoff", "15"), with("Octopus.Action.ExecutionTimeout.Minutes", "1")))...)
		begun := time.Now()
		if err := r.Run(t.Context()); err != nil || tries != 3 || time.Since(begun) != 15*time.Second+time.Minute+15*time.Second {
			t.Errorf("%d tries in %s: %v", tries, time.Since(begun), err)
		}
		if len(r.Journal.Outputs) != 0 {
			t.Errorf("what a failed try set stayed: %v", r.Journal.Outputs)
		}
		tries = 1
		r = w.runner(then(one("a", with("Octopus.Action.ExecutionTimeout.Minutes", "0.5")))...)
		if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "did not end within its 0.5 minutes") {
			t.Errorf("got %v", err)
		}
	})
}

func TestOutputsAreSeenByLaterSteps(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	w := &world{}
	w.does = func(_ context.Context, p *run.Piece, name string) error {
		if p.Job.Action.Name == "a" {
			p.Output("X", p.Machine.Name, false)
			return nil
		}
		for _, v := range []string{"Octopus.Action[a].Output.X", "Octopus.Action[a].Output[m1].X", "Octopus.Action[a].Output[m2].X"} {
			text, _, _ := p.Variables.Get(v)
			got[name+" "+v] = text
		}
		return nil
	}
	if err := w.runner(then(one("a", on(1, "m1", "m2")), one("b", on(1, "m1", "m2")), one("c"))...).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"b@m1 Octopus.Action[a].Output.X": "m1", "b@m2 Octopus.Action[a].Output.X": "m2", "b@m1 Octopus.Action[a].Output[m2].X": "m2", "c Octopus.Action[a].Output[m1].X": "m1", "c Octopus.Action[a].Output.X": "m1"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// park runs until people are asked, and puts the journal through its text as the queue does.
func park(t *testing.T, r *run.Runner) {
	t.Helper()
	if err := r.Run(context.Background()); !errors.Is(err, run.ErrWaiting) {
		t.Fatalf("got %v, want to wait", err)
	}
	text, err := json.Marshal(r.Journal)
	if err != nil {
		t.Fatal(err)
	}
	r.Journal = run.NewJournal()
	if err := json.Unmarshal(text, r.Journal); err != nil {
		t.Fatal(err)
	}
}

func TestGuidedFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		choice   string
		required bool
		want     string
		error    bool
		warned   bool
	}{
		"Fail":                                  {choice: run.Fail, want: "a@m1", error: true},
		"Retry":                                 {choice: run.Retry, want: "a@m1 a@m1 a@m2 b@m1 b@m2"},
		"Ignore":                                {choice: run.Ignore, want: "a@m1 a@m2 b@m1 b@m2", warned: true},
		"Exclude":                               {choice: run.Exclude, want: "a@m1 a@m2 b@m2", warned: true},
		"what is required is not to be ignored": {choice: run.Ignore, required: true, want: "a@m1", error: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := false
			w := &world{does: func(_ context.Context, _ *run.Piece, name string) error {
				if name == "a@m1" && !failed {
					failed = true
					return errors.New("boom")
				}
				return nil
			}}
			r := w.runner(then(one("a", on(1, "m1", "m2"), func(w *plan.Work) { w.Actions[0].Action.IsRequired = c.required }), one("b", on(1, "m1", "m2")))...)
			r.Guided = true
			park(t, r)
			park(t, r) // woken without an answer: it waits on, and does nothing twice
			q := w.asked["Interruptions-1"]
			if len(w.asked) != 1 || !q.Guided || q.Machine != "Machines-m1" || slices.Contains(q.Options, run.Ignore) == c.required {
				t.Fatalf("asked %v", w.asked)
			}
			w.answer("Interruptions-1", c.choice)
			err := r.Run(context.Background())
			if got := strings.Join(w.done, " "); got != c.want || (err != nil) != c.error || r.Journal.Warned != c.warned {
				t.Errorf("ran %q, want %q; error %v, warned %v", got, c.want, err, r.Journal.Warned)
			}
		})
	}
}

func TestWhileOneTargetWaitsOthersGoOn(t *testing.T) {
	t.Parallel()
	w := &world{does: fails("a@m1")}
	r := w.runner(then(one("a", on(2, "m1", "m2", "m3")), one("b"))...)
	r.Guided = true
	park(t, r)
	if slices.Sort(w.done); strings.Join(w.done, " ") != "a@m1 a@m2 a@m3" {
		t.Fatalf("ran %v", w.done)
	}
	w.answer("Interruptions-1", run.Fail)
	if err := r.Run(context.Background()); err == nil || len(w.done) != 3 {
		t.Errorf("ran %v: %v", w.done, err)
	}
}

func TestWorkThatAsks(t *testing.T) {
	t.Parallel()
	w := &world{}
	w.does = func(_ context.Context, p *run.Piece, name string) error {
		if name != "ask" {
			return nil
		}
		if p.Answer == nil {
			return &run.Question{Title: "Go on?", Options: []string{"Proceed", "Abort"}}
		}
		p.Output("Manual.Approved", p.Answer.Choice, false)
		return nil
	}
	r := w.runner(then(one("a"), one("ask"), one("b"))...)
	park(t, r)
	w.answer("Interruptions-1", "Proceed")
	if err := r.Run(context.Background()); err != nil || strings.Join(w.done, " ") != "a ask ask b" {
		t.Errorf("ran %v: %v", w.done, err)
	}
	if len(r.Journal.Outputs) != 1 || r.Journal.Outputs[0].Value != "Proceed" {
		t.Errorf("outputs %v", r.Journal.Outputs)
	}
}

func TestATargetThatIsGoneIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := &world{does: fails("a@m1", "a@m2")}
	r := w.runner(then(one("a", on(2, "m1", "m2")))...)
	r.Guided = true
	park(t, r)
	for id, q := range w.asked {
		if q.Machine == "Machines-m1" {
			w.answer(id, run.Ignore)
		}
	}
	r.Plan.Groups[0].Steps[0].Targets = r.Plan.Groups[0].Steps[0].Targets[1:] // m1 was removed meanwhile
	park(t, r)
	if len(w.done) != 2 {
		t.Errorf("ran %v", w.done)
	}
}

func TestAQuestionMayBlockOthers(t *testing.T) {
	t.Parallel()
	for _, blocks := range []bool{true, false} {
		w := &world{does: func(_ context.Context, p *run.Piece, _ string) error {
			if p.Answer == nil {
				return &run.Question{Title: "Go on?", Blocks: blocks}
			}
			return nil
		}}
		r := w.runner(then(one("ask"))...)
		if park(t, r); r.Journal.Blocks() != blocks {
			t.Errorf("it blocks: %v", r.Journal.Blocks())
		}
		w.answer("Interruptions-1", "Proceed")
		if err := r.Run(context.Background()); err != nil || r.Journal.Blocks() {
			t.Errorf("it still blocks: %v", err)
		}
	}
}

func TestAnAnswerThatIsThereAlreadyIsTaken(t *testing.T) {
	t.Parallel()
	w := &world{does: fails("a")}
	w.answer("Interruptions-1", run.Ignore)
	r := w.runner(then(one("a"), one("b"))...)
	r.Guided = true
	if err := r.Run(context.Background()); err != nil || strings.Join(w.done, " ") != "a b" {
		t.Errorf("ran %v: %v", w.done, err)
	}
}

func TestCancelStopsEverything(t *testing.T) {
	t.Parallel()
	canceled := errors.New("the task was canceled")
	ctx, cancel := context.WithCancelCause(context.Background())
	w := &world{does: func(ctx context.Context, _ *run.Piece, name string) error {
		if name == "b" {
			cancel(canceled)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}}
	r := w.runner(then(one("a"), one("b"), one("c", when("Always")))...)
	r.Guided = true
	if err := r.Run(ctx); !errors.Is(err, canceled) || strings.Join(w.done, " ") != "a b" || len(w.asked) != 0 {
		t.Errorf("ran %v, asked %v: %v", w.done, w.asked, err)
	}
}

func TestPackagesAreAcquiredOnceAndBefore(t *testing.T) {
	t.Parallel()
	w := &world{does: fails("b")}
	r := w.runner(then(one("a"), one("b"), one("c"))...)
	r.Plan.Acquire, r.Guided = 1, true
	park(t, r)
	w.answer("Interruptions-1", run.Retry)
	park(t, r)
	if got := strings.Join(w.done, " "); got != "a acquire b b" {
		t.Errorf("ran %q", got)
	}
}

func TestATargetIsLockedForItsWork(t *testing.T) {
	t.Parallel()
	w := &world{}
	var order []string
	w.does = func(_ context.Context, _ *run.Piece, name string) error { order = append(order, name); return nil }
	r := w.runner(then(one("a", on(1, "m1")), one("b"))...)
	r.Lock = func(_ context.Context, machine string) (func(), error) {
		order = append(order, "lock "+machine)
		return func() { order = append(order, "unlock "+machine) }, nil
	}
	if err := r.Run(context.Background()); err != nil || strings.Join(order, ", ") != "lock Machines-m1, a@m1, unlock Machines-m1, b" {
		t.Errorf("%v: %v", order, err)
	}
}
