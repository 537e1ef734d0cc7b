package collect_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/report"
	"odcm/manager/report/collect"
)

// memory is a store that keeps only where collections stand.
type memory struct {
	mu     sync.Mutex
	states map[odcm.SpaceID]collect.State
}

func (m *memory) State(_ context.Context, id odcm.SpaceID) (collect.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states[id], nil
}

func (m *memory) Commit(_ context.Context, b collect.Batch) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b.Next.Revision++
	m.states[b.Space.ID] = b.Next
	return b.Next.Revision, nil
}

func (*memory) Known(context.Context, odcm.SpaceID, report.Kind, []string) (map[string]report.Outcome, error) {
	return nil, nil
}

func (*memory) Open(context.Context, odcm.SpaceID, time.Time, int) ([]report.Deployment, error) {
	return nil, nil
}
func (*memory) Unnamed(context.Context, odcm.SpaceID) (bool, error) { return false, nil }

// fleet is Spaces of which some hang, and who owns them.
type fleet struct {
	mu      sync.Mutex
	spaces  []collect.Space
	hangs   map[odcm.SpaceID]bool
	foreign map[odcm.SpaceID]bool
	asked   map[odcm.SpaceID][]time.Time
	changed chan struct{}
}

func (f *fleet) Spaces(context.Context) ([]collect.Space, error) { return f.spaces, nil }
func (f *fleet) Owns(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.foreign[odcm.SpaceID(key)]
}
func (f *fleet) Changed() <-chan struct{} { return f.changed }

func (f *fleet) times(id odcm.SpaceID) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[id]
}

// quiet is a server on which nothing happens.
type quiet struct {
	f  *fleet
	id odcm.SpaceID
}

func (q quiet) Events(ctx context.Context, e collect.EventQuery) (collect.EventPage, error) {
	q.f.mu.Lock()
	q.f.asked[q.id] = append(q.f.asked[q.id], time.Now())
	hangs := q.f.hangs[q.id]
	q.f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return collect.EventPage{}, odcm.E(odcm.Unavailable, "octopus.unreachable", "It hangs.")
	}
	return collect.EventPage{Events: []collect.Event{{Number: 7, Occurred: time.Unix(1e9, 0)}}, Total: 1}, nil
}
func (quiet) Runs(context.Context, report.Kind, []string) ([]report.Deployment, error) {
	return nil, nil
}
func (quiet) List(context.Context, report.Kind, int, int) ([]report.Deployment, int, error) {
	return nil, 0, nil
}
func (quiet) Tasks(context.Context, []string) (map[string]collect.Task, error)       { return nil, nil }
func (quiet) Releases(context.Context, []string) (map[string]collect.Release, error) { return nil, nil }
func (quiet) Names(context.Context) ([]report.Name, error)                           { return nil, nil }
func (quiet) Counts(context.Context) (map[string]int64, error)                       { return map[string]int64{}, nil }
func (quiet) Asked() int64                                                           { return 0 }

func run(t *testing.T, spaces int, f func(t *testing.T, fl *fleet, c *collect.Collector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fl := &fleet{hangs: map[odcm.SpaceID]bool{}, foreign: map[odcm.SpaceID]bool{}, asked: map[odcm.SpaceID][]time.Time{}, changed: make(chan struct{})}
		for i := range spaces {
			fl.spaces = append(fl.spaces, collect.Space{ID: odcm.SpaceID(fmt.Sprintf("space-%d", i))})
		}
		c := collect.New(collect.Options{Store: &memory{states: map[odcm.SpaceID]collect.State{}}, Spaces: fl, Owner: fl, AtOnce: 4, Logger: slog.New(slog.DiscardHandler),
			Connect: func(_ context.Context, id odcm.SpaceID) (collect.Source, error) { return quiet{fl, id}, nil }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		f(t, fl, c)
		go func() { done <- c.Run(ctx) }()
		defer func() { cancel(); <-done }()
		fl.follow(t, c)
	})
}

// follow is what happens in an hour, of which Space 0 is told something in the middle.
func (f *fleet) follow(t *testing.T, c *collect.Collector) {
	time.Sleep(30 * time.Minute)
	before := len(f.times("space-0"))
	c.Wake("space-0")
	c.Wake("space-unknown")
	time.Sleep(10 * time.Second)
	if f.Owns("space-0") && len(f.times("space-0")) == before {
		t.Error("it was not woken")
	}
	time.Sleep(30 * time.Minute)
}

func TestEverySpaceHasItsTurn(t *testing.T) {
	t.Parallel()
	run(t, 100, func(t *testing.T, f *fleet, _ *collect.Collector) {
		t.Cleanup(func() {
			for _, s := range f.spaces {
				n := len(f.times(s.ID))
				if n < 10 || n > 20 {
					t.Errorf("%s was asked %d times in an hour", s.ID, n)
				}
			}
		})
	})
}

func TestServersThatHangKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	run(t, 40, func(t *testing.T, f *fleet, _ *collect.Collector) {
		for i := 20; i < 40; i++ {
			f.hangs[f.spaces[i].ID] = true
		}
		t.Cleanup(func() {
			for i, s := range f.spaces {
				times := f.times(s.ID)
				if i < 20 && len(times) < 6 {
					t.Errorf("%s was asked %d times in an hour, since others hang", s.ID, len(times))
				}
				if i >= 20 && len(times) > 6 {
					t.Errorf("%s hangs and was asked %d times", s.ID, len(times))
				}
			}
		})
	})
}

func TestOthersSpacesAreLeftAlone(t *testing.T) {
	t.Parallel()
	run(t, 4, func(t *testing.T, f *fleet, _ *collect.Collector) {
		f.foreign["space-0"] = true
		t.Cleanup(func() {
			if n := len(f.times("space-0")); n != 0 {
				t.Errorf("asked %d times", n)
			}
			if n := len(f.times("space-1")); n == 0 {
				t.Error("its own was not asked")
			}
		})
	})
}
