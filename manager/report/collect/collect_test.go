package collect_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reportsql"
	"odcm/manager/report/reporttest"
)

var payments = collect.Space{ID: "space-1", Name: "Payments"}

// world is a server, the collection from it, and a clock.
type world struct {
	t     testing.TB
	db    *db.DB
	store *reportsql.Store
	seen  collect.Store // what the collector sees of the store
	*reporttest.Server
	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB, d *db.DB) *world {
	t.Helper()
	store, err := reportsql.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, db: d, store: store, seen: store, Server: reporttest.NewServer(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// collector is one that starts anew.
func (w *world) collector() *collect.Collector {
	return collect.New(collect.Options{Store: w.seen, Now: w.clock, Connect: func(context.Context, odcm.SpaceID) (collect.Source, error) { return w.Server, nil }})
}

// until collects until nothing is left.
func (w *world) until() {
	w.t.Helper()
	for range 200 {
		more, err := w.collector().Round(context.Background(), payments)
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return
		}
	}
	w.t.Fatal("it never comes to an end")
}

// counted is what the store has, by outcome.
func (w *world) counted() map[report.Outcome]int64 {
	w.t.Helper()
	counts, err := w.store.Counts(context.Background(), report.Scope{}, nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	by := map[report.Outcome]int64{}
	for _, c := range counts {
		by[c.Outcome] += c.N
	}
	return by
}

func (w *world) same() {
	w.t.Helper()
	if got, want := w.counted(), w.Count(); !maps.Equal(got, want) {
		w.t.Fatalf("counted %v, the server says %v", got, want)
	}
}

func (w *world) gaps() []report.Gap {
	gaps, err := w.store.Gaps(context.Background(), nil, time.Time{}, w.clock().Add(time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return gaps
}

// deploy runs so many deployments to their end.
func (w *world) deploy(n int, outcome report.Outcome) {
	for range n {
		w.pass(time.Minute)
		d := w.Queue(w.clock(), report.Deployments, "Projects-1", "Environments-1", "Releases-1")
		w.Begin(w.clock(), d)
		w.pass(10 * time.Second)
		w.End(w.clock(), d, outcome)
	}
}

func TestWhatWasBeforeAndWhatComes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.deploy(250, report.Succeeded)
		w.until()
		w.same()
		open := w.Queue(w.clock(), report.RunbookRuns, "Projects-1", "Environments-1", "")
		w.deploy(700, report.Failed) // more events than a page has
		w.until()
		w.same()
		w.End(w.clock(), open, report.Canceled)
		w.until()
		w.same()
		before := w.Asked()
		for range 10 {
			w.pass(5 * time.Minute)
			w.until()
		}
		if asked := w.Asked() - before; asked > 10 {
			t.Errorf("%d requests where nothing happened ten times", asked)
		}
		if gaps := w.gaps(); len(gaps) != 0 {
			t.Errorf("gaps: %v", gaps)
		}
	})
}

func TestEventsThatAreGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.deploy(20, report.Succeeded)
	open := w.Queue(w.clock(), report.Deployments, "Projects-1", "Environments-1", "Releases-1")
	w.until()
	w.deploy(300, report.Succeeded)
	w.End(w.clock(), open, report.TimedOut)
	w.pass(100 * 24 * time.Hour)
	w.deploy(3, report.Failed)
	w.PruneEvents(2)
	w.until()
	w.same()
	if gaps := w.gaps(); len(gaps) != 1 || gaps[0].Space != payments.ID {
		t.Errorf("gaps: %+v", gaps)
	}
}

func TestARestoredServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.deploy(20, report.Succeeded)
	restore := w.Backup()
	w.until()
	w.deploy(10, report.Succeeded)
	lost := w.Queue(w.clock(), report.Deployments, "Projects-1", "Environments-1", "Releases-1")
	w.until()
	restore()
	w.pass(time.Hour)
	w.deploy(15, report.Failed) // under identifiers that were given before
	w.until()
	w.pass(time.Hour)
	w.until()
	// What happened before the restore did happen: it counts beside what came after, and nothing counts twice.
	want := map[report.Outcome]int64{report.Succeeded: 30, report.Failed: 15, report.Lost: 1}
	if got := w.counted(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v (lost is %s)", got, want, lost.ID)
	}
	if len(w.gaps()) != 1 {
		t.Errorf("gaps: %+v", w.gaps())
	}
}

func TestWithoutThePermissionToSeeEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.NoEvents = true
	w.deploy(20, report.Succeeded)
	w.until()
	for range 5 {
		w.deploy(30, report.Failed)
		open := w.Queue(w.clock(), report.Deployments, "Projects-1", "Environments-1", "Releases-1")
		w.pass(10 * time.Minute)
		w.until()
		w.same()
		w.End(w.clock(), open, report.Succeeded)
		w.pass(11 * time.Minute)
		w.until()
		w.same()
	}
	w.NoEvents = false
	w.pass(25 * time.Hour)
	w.deploy(30, report.Failed)
	w.until()
	w.same()
}

// A server whose totals are too high, or that shows the same page for ever, costs some requests and no more.
func TestPagesThatDoNotFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.deploy(20, report.Succeeded)
	w.until()
	store := w.seen
	stuck := collect.New(collect.Options{Store: store, Now: w.clock, Connect: func(context.Context, odcm.SpaceID) (collect.Source, error) { return repeating{w.Server}, nil }})
	before := w.Asked()
	for range 20 {
		w.pass(5 * time.Minute)
		_, err := stuck.Round(t.Context(), payments)
		if err != nil && odcm.CodeOf(err) != "report.events-stuck" {
			t.Fatal(err)
		}
	}
	if asked := w.Asked() - before; asked > 20*60 {
		t.Errorf("%d requests in 20 rounds", asked)
	}
	w.pass(25 * time.Hour)
	w.until()
	w.same()
}

type repeating struct{ *reporttest.Server }

func (r repeating) Events(ctx context.Context, q collect.EventQuery) (collect.EventPage, error) {
	q.Skip, q.From, q.To = 0, 0, 0
	page, err := r.Server.Events(ctx, q)
	page.Total = 1 << 40
	return page, err
}

// flaky is a store that fails sometimes, before or after it did what it was asked to.
type flaky struct {
	collect.Store
	draw func(what string, odds int) bool
}

func (f flaky) Commit(ctx context.Context, b collect.Batch) (int64, error) {
	if f.draw("commit fails", 8) {
		return 0, errors.New("the database is away")
	}
	n, err := f.Store.Commit(ctx, b)
	if err == nil && f.draw("commit is not heard of", 8) {
		return 0, errors.New("the connection broke")
	}
	return n, err
}

// Whatever happens to the server, to ODCM and between them, in the end the figures are those of the server.
func TestFiguresEqualTheServersCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d, err := db.Open(context.Background(), dbtest.SQLite(t), db.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer d.Close()
		w := newWorld(t, d)
		chance := func(what string, odds int) bool { return rapid.IntRange(1, odds).Draw(rt, what) == 1 }
		w.Most = rapid.SampledFrom([]int{0, 0, 7, 30}).Draw(rt, "page size")
		var open []report.Deployment
		for range rapid.IntRange(1, 12).Draw(rt, "episodes") {
			// ODCM may be down for some of them.
			for range rapid.IntRange(0, 60).Draw(rt, "happenings") {
				w.pass(time.Duration(rapid.IntRange(1, 3600).Draw(rt, "seconds")) * time.Second)
				switch rapid.IntRange(0, 2).Draw(rt, "what") {
				case 0:
					kind := rapid.SampledFrom([]report.Kind{report.Deployments, report.Deployments, report.RunbookRuns}).Draw(rt, "kind")
					open = append(open, w.Queue(w.clock(), kind, "Projects-1", "Environments-2", "Releases-1"))
				case 1:
					if len(open) > 0 {
						w.Begin(w.clock(), open[rapid.IntRange(0, len(open)-1).Draw(rt, "which")])
					}
				case 2:
					if len(open) > 0 {
						i := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
						w.End(w.clock(), open[i], rapid.SampledFrom([]report.Outcome{report.Succeeded, report.Failed, report.Canceled, report.TimedOut}).Draw(rt, "outcome"))
						open = append(open[:i], open[i+1:]...)
					}
				}
			}
			if chance("events are deleted", 5) {
				w.PruneEvents(rapid.IntRange(0, 20).Draw(rt, "events kept"))
			}
			w.Fail = func(what string) error {
				if chance(what+" fails", 6) {
					return odcm.E(odcm.Unavailable, "octopus.unavailable", "The server is down.")
				}
				return nil
			}
			w.seen = flaky{w.store, chance}
			for range rapid.IntRange(0, 6).Draw(rt, "rounds") {
				_, _ = w.collector().Round(context.Background(), payments)
			}
			w.Fail, w.seen = nil, w.store
		}
		w.pass(11 * time.Minute)
		for range 50 {
			more, err := w.collector().Round(context.Background(), payments)
			if err != nil {
				rt.Fatal(err)
			}
			if !more {
				break
			}
		}
		if got, want := w.counted(), w.Count(); !maps.Equal(got, want) {
			rt.Fatalf("counted %v, the server says %v", got, want)
		}
	})
}
