package report_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm/manager/report"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Looks at one run, in whatever order they come and however often, say in the end how it ended.
func TestMergeEndsWithTheEnd(t *testing.T) {
	t.Parallel()
	looks := []report.Deployment{
		{ID: "Deployments-1", Outcome: report.Queued, Created: noon, By: "bob"},
		{ID: "Deployments-1", Outcome: report.Running, Started: noon.Add(time.Minute), Project: "Projects-1"},
		{ID: "Deployments-1", Outcome: report.Running, Created: noon, Started: noon.Add(time.Minute), Whole: true, Version: "1.0"},
		{ID: "Deployments-1", Outcome: report.TimedOut, Created: noon, Started: noon.Add(time.Minute), Ended: noon.Add(time.Hour), Whole: true},
		{ID: "Deployments-1", Outcome: report.Failed, Ended: noon.Add(time.Hour)}, // as the event has it, which knows no time-outs
		{ID: "Deployments-1", Outcome: report.Lost, Ended: noon.Add(2 * time.Hour), Whole: true},
	}
	rapid.Check(t, func(rt *rapid.T) {
		order := append(rapid.Permutation(looks).Draw(rt, "order"), rapid.SliceOf(rapid.SampledFrom(looks)).Draw(rt, "again")...)
		d := report.Deployment{ID: "Deployments-1"}
		for _, look := range order {
			if !d.Same(look) {
				rt.Fatalf("%+v and %+v are not the same", d, look)
			}
			d = d.Merge(look)
		}
		if d.Outcome != report.TimedOut || !d.Ended.Equal(noon.Add(time.Hour)) || d.By != "bob" || d.Project != "Projects-1" || d.Version != "1.0" || !d.Whole || d.Took() != 59*time.Minute {
			rt.Fatalf("%+v", d)
		}
	})
}

func TestIdentifiersThatAreGivenAgain(t *testing.T) {
	t.Parallel()
	was := report.Deployment{ID: "Deployments-1", Outcome: report.Running, Created: noon}
	if was.Same(report.Deployment{ID: "Deployments-1", Created: noon.Add(time.Hour)}) || !was.Same(report.Deployment{ID: "Deployments-1", Created: noon.Add(time.Second)}) || !was.Same(report.Deployment{}) {
		t.Error("which are the same")
	}
	if e := was.Earlier(noon.Add(time.Hour)); e.ID == was.ID || e.Outcome != report.Lost || !e.Ended.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v", e)
	}
	was.Outcome, was.Ended = report.Succeeded, noon.Add(time.Minute)
	if e := was.Earlier(noon.Add(time.Hour)); e.Outcome != report.Succeeded || !e.Ended.Equal(was.Ended) {
		t.Errorf("%+v", e)
	}
}

// A server whose clock is ahead does not deploy in the future.
func TestAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ created, ended, want time.Time }{
		{noon, time.Time{}, noon}, {noon, noon.Add(time.Minute), noon.Add(time.Minute)}, {noon, noon.Add(48 * time.Hour), noon.Add(time.Hour)}, {time.Time{}, time.Time{}, noon.Add(time.Hour)},
	} {
		if got := (report.Deployment{Created: c.created, Ended: c.ended}).At(noon.Add(time.Hour)); !got.Equal(c.want) {
			t.Errorf("%v %v: %v", c.created, c.ended, got)
		}
	}
}
