package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/execution/run"
)

// TestRandomProcessesRunAsTheRulesSay draws processes whose pieces fail at random, with people who choose at random what to do
// about it, and compares what ran with a model of a dozen lines: no windows, no journal, no waiting.
func TestRandomProcessesRunAsTheRulesSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		machines := []string{"m1", "m2", "m3"}[:rapid.IntRange(1, 3).Draw(t, "machines")]
		condition := rapid.SampledFrom([]string{"Success", "Failure", "Always"})
		var works []plan.Work
		for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
			w := one(fmt.Sprint("s", i), when(condition.Draw(t, "condition")))
			w.Actions = nil
			for j := range rapid.IntRange(1, 3).Draw(t, "actions") {
				name := fmt.Sprintf("s%da%d", i, j)
				w.Actions = append(w.Actions, plan.Job{Number: j + 1, Action: plan.Action{ID: name, Name: name, Condition: condition.Draw(t, "child"), Properties: plan.Properties{}}})
			}
			if rapid.Bool().Draw(t, "on targets") {
				on(1, machines...)(&w)
			}
			works = append(works, w)
		}
		guided := rapid.Bool().Draw(t, "guided")
		failing, choice := map[string]bool{}, map[string]string{}
		for _, w := range works {
			for _, j := range w.Actions {
				for _, m := range append([]string{""}, machines...) {
					name := strings.TrimSuffix(j.Action.Name+"@"+m, "@")
					failing[name] = rapid.IntRange(0, 3).Draw(t, name) == 0
					choice[name] = rapid.SampledFrom([]string{run.Fail, run.Ignore, run.Exclude, run.Retry}).Draw(t, "choice "+name)
					if m == "" && choice[name] == run.Exclude {
						choice[name] = run.Fail
					}
				}
			}
		}
		want, wantFailed := model(works, guided, failing, choice)

		w, tried := &world{}, map[string]bool{}
		w.does = func(_ context.Context, _ *run.Piece, name string) error {
			if failing[name] && !(tried[name] && choice[name] == run.Retry) {
				tried[name] = true
				return errors.New("boom")
			}
			return nil
		}
		r := w.runner(then(works...)...)
		r.Guided = guided
		err := r.Run(context.Background())
		for n := 0; errors.Is(err, run.ErrWaiting); n++ {
			if n > 100 {
				t.Fatal("it waits for ever")
			}
			for id := range w.asked {
				if w.answers[id] == nil {
					w.answer(id, choice[w.done[len(w.done)-1]])
				}
			}
			err = r.Run(context.Background())
		}
		if got := strings.Join(w.done, " "); got != strings.Join(want, " ") || (err != nil) != wantFailed {
			t.Fatalf("ran  %s (%v)\nwant %s (failed: %v)", got, err, strings.Join(want, " "), wantFailed)
		}
	})
}

// model says which pieces run, in their order, one target at a time.
func model(works []plan.Work, guided bool, failing map[string]bool, choice map[string]string) (ran []string, failed bool) {
	excluded := map[string]bool{}
	holds := func(condition string, failed bool) bool {
		return condition == "Always" || (condition == "Failure") == failed
	}
	for _, w := range works {
		if !holds(w.Step.Condition, failed) {
			continue
		}
		targets := []string{""}
		if w.PerTarget {
			targets = nil
			for _, m := range w.Targets {
				targets = append(targets, m.Name)
			}
		}
		stepFailed := false
		for _, m := range targets {
			if stepFailed || excluded[m] {
				continue
			}
			chainFailed := false
			for _, j := range w.Actions {
				if !holds(j.Action.Condition, chainFailed) {
					continue
				}
				name := strings.TrimSuffix(j.Action.Name+"@"+m, "@")
				ran = append(ran, name)
				if !failing[name] {
					continue
				}
				if guided && choice[name] == run.Retry {
					ran = append(ran, name)
					continue
				}
				if guided && choice[name] == run.Exclude {
					excluded[m] = true
					break
				}
				if !guided || choice[name] == run.Fail {
					chainFailed, stepFailed = true, true
				}
			}
		}
		failed = failed || stepFailed
	}
	return ran, failed
}
