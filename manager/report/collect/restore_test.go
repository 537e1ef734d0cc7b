package collect_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
)

// history is everything that ever was on a server, across restores, which give identifiers again.
type history struct {
	*world
	open, ended []report.Deployment
	ever        map[happened]map[report.Outcome]bool // how each was at any time
	restored    time.Time                            // when it last was
	pruned      bool
}

// happened names a run for good: its identifier may be another's later.
type happened struct {
	kind    report.Kind
	id      string
	created time.Time
}

func runOf(d report.Deployment) happened {
	id, _, _ := strings.Cut(d.ID, "@")
	return happened{d.Kind, id, d.Created}
}

// told finds the run of which only its end was told, because all else was deleted before it was read.
func (h *history) told(d report.Deployment) happened {
	for r, ever := range h.ever {
		if r.id == d.ID && r.kind == d.Kind && (ever[d.Outcome] || ever[report.TimedOut]) {
			return r
		}
	}
	return runOf(d)
}

func (h *history) was(d report.Deployment, o report.Outcome) {
	key := runOf(d)
	if h.ever[key] == nil {
		h.ever[key] = map[report.Outcome]bool{}
	}
	h.ever[key][o] = true
}

// happen lets one thing happen on the server.
func (h *history) happen(rt *rapid.T) {
	h.pass(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second)
	what := rapid.IntRange(0, 7).Draw(rt, "what")
	if what <= 2 || len(h.open) == 0 {
		kind := rapid.SampledFrom([]report.Kind{report.Deployments, report.Deployments, report.RunbookRuns}).Draw(rt, "kind")
		d := h.Queue(h.clock(), kind, "Projects-1", "Environments-2", "Releases-1")
		h.open = append(h.open, d)
		h.was(d, report.Queued)
		return
	}
	i := rapid.IntRange(0, len(h.open)-1).Draw(rt, "which")
	switch d := h.open[i]; {
	case what <= 4:
		h.Begin(h.clock(), d)
		h.was(d, report.Running)
	case what <= 6:
		outcome := rapid.SampledFrom([]report.Outcome{report.Succeeded, report.Failed, report.Canceled, report.TimedOut}).Draw(rt, "outcome")
		h.End(h.clock(), d, outcome)
		h.was(d, outcome)
		h.open, h.ended = slices.Delete(slices.Clone(h.open), i, i+1), append(slices.Clone(h.ended), d)
	case len(h.ended) > 0:
		i := rapid.IntRange(0, len(h.ended)-1).Draw(rt, "deleted")
		h.Delete(h.ended[i])
		h.ended = slices.Delete(slices.Clone(h.ended), i, i+1)
	}
}

// backup returns what restores the server, and what the test knows of it, to how they are now.
func (h *history) backup() (restore func()) {
	server, open, ended := h.Backup(), h.open, h.ended
	return func() {
		server()
		h.open, h.ended = open, ended
		h.pass(10 * time.Minute) // for which it was away
		h.restored = h.clock()
	}
}

// holds checks what was counted against what was.
func (h *history) holds(rt *rapid.T) {
	facts, err := h.store.List(context.Background(), report.Scope{}, report.Position{}, 100_000)
	if err != nil {
		rt.Fatal(err)
	}
	counted := map[happened]report.Outcome{}
	for _, f := range facts {
		key := runOf(f.Deployment)
		if f.Created.IsZero() {
			key = h.told(f.Deployment)
		}
		if _, twice := counted[key]; twice {
			rt.Fatalf("counted twice: %+v", f.Deployment)
		}
		counted[key] = f.Outcome
		ever := h.ever[key]
		// A run whose documents were deleted before they were read is known by its events, which do not tell of cancelling, and call
		// a time-out a failure.
		if !ever[f.Outcome] && f.Outcome != report.Lost && !(f.Outcome == report.Failed && ever[report.TimedOut]) {
			rt.Fatalf("it never was so: %+v was %v", f.Deployment, ever)
		}
	}
	for _, kind := range []report.Kind{report.Deployments, report.RunbookRuns} {
		runs, _, err := h.List(context.Background(), kind, 0, 100_000)
		if err != nil {
			rt.Fatal(err)
		}
		for _, d := range runs {
			tasks, err := h.Tasks(context.Background(), []string{d.Task})
			if err != nil {
				rt.Fatal(err)
			}
			got, ok := counted[runOf(d)]
			if !ok {
				rt.Fatalf("not counted: %+v", d)
			}
			if want := tasks[d.Task].Outcome; d.Created.After(h.restored) && got != want {
				rt.Fatalf("%+v is %s on the server, and counted as %s", d, want, got)
			}
		}
	}
}

// all checks that nothing is missing.
func (h *history) all(rt *rapid.T) {
	var counted int64
	for _, n := range h.counted() {
		counted += n
	}
	if made := int64(len(h.ever)); counted != made {
		rt.Fatalf("%d runs were made, %d are counted", made, counted)
	}
}

// Whatever is deleted, restored or unreachable: what is on the server is counted as it is, what was counted stays so, nothing
// counts twice, and nothing that never was.
func TestRestoresAndDeletions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d, err := db.Open(context.Background(), dbtest.SQLite(t), db.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer d.Close()
		h := &history{world: newWorld(t, d), ever: map[happened]map[report.Outcome]bool{}}
		chance := func(what string, odds int) bool { return rapid.IntRange(1, odds).Draw(rt, what) == 1 }
		h.Most = rapid.SampledFrom([]int{0, 0, 7, 30}).Draw(rt, "page size")
		fresh := rapid.Bool().Draw(rt, "known from the beginning")
		if fresh { // otherwise what was deleted before is not known
			h.until()
		}
		events := rapid.Bool().Draw(rt, "events are deleted too")
		restore := h.backup()
		for range rapid.IntRange(1, 10).Draw(rt, "episodes") {
			for range rapid.IntRange(0, 40).Draw(rt, "happenings") {
				h.happen(rt)
			}
			switch {
			case chance("a backup is made", 3):
				restore = h.backup()
			case chance("it is restored", 5):
				restore()
			case events && chance("events are deleted", 4):
				h.PruneEvents(rapid.IntRange(0, 20).Draw(rt, "events kept"))
				h.pruned = true
			}
			h.Fail = func(what string) error {
				if chance(what+" fails", 8) {
					return odcm.E(odcm.Unavailable, "octopus.unavailable", "The server is down.")
				}
				return nil
			}
			h.seen = flaky{h.store, chance}
			for range rapid.IntRange(0, 5).Draw(rt, "rounds") {
				_, _ = h.collector().Round(context.Background(), payments)
			}
			h.Fail, h.seen = nil, h.store
		}
		h.pass(11 * time.Minute)
		h.Most = 0
		for range 50 {
			more, err := h.collector().Round(context.Background(), payments)
			if err != nil {
				rt.Fatal(err)
			}
			if !more {
				break
			}
		}
		h.holds(rt)
		if fresh && h.restored.IsZero() && !h.pruned {
			h.all(rt)
		}
	})
}
