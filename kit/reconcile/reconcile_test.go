package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/kit/reconcile"
)

// aspect is a function with a name.
type aspect struct {
	name string
	f    func(ctx context.Context, key string) error
}

func (a aspect) Name() string                                    { return a.name }
func (a aspect) Reconcile(ctx context.Context, key string) error { return a.f(ctx, key) }

// journal notes what ran and when, in seconds since the start of the bubble.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

func (j *journal) aspect(name string) aspect {
	return aspect{name, func(_ context.Context, key string) error {
		j.note("%s %s", key, name)
		return nil
	}}
}

func keys(all ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return all, nil }
}

// bubble runs f beside a running reconciler, on a clock of its own: when f sleeps no time passes outside.
func bubble(t *testing.T, o reconcile.Options, f func(t *testing.T, r *reconcile.Reconciler), aspects ...reconcile.Aspect) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := reconcile.New(o, aspects...)
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	f(t, r)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
}

func expect(t *testing.T, j *journal, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := j.take(); !slices.Equal(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestEveryKeyRunsAtTheStartInAspectOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bubble(t, reconcile.Options{Keys: keys("a", "b"), Workers: 1}, func(t *testing.T, r *reconcile.Reconciler) {
			got := j.take()
			slices.SortStableFunc(got, func(x, y string) int { return int(x[0]) - int(y[0]) })
			if want := []string{"a one", "a two", "a three", "b one", "b two", "b three"}; !slices.Equal(got, want) {
				t.Errorf("ran %q", got)
			}
			if r.Len() != 2 {
				t.Errorf("Len = %d", r.Len())
			}
		}, j.aspect("one"), j.aspect("two"), j.aspect("three"))
	})
}

func TestWakeRunsNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bubble(t, reconcile.Options{Keys: keys("a")}, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "a x")
			r.Wake("a")
			expect(t, &j, "a x")
			r.Wake("new") // nobody listed it yet
			expect(t, &j, "new x")
		}, j.aspect("x"))
	})
}

func TestWakesDuringARunAreOneMoreRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		slow := aspect{"slow", func(_ context.Context, key string) error {
			j.note("%s", key)
			time.Sleep(10 * time.Second)
			return nil
		}}
		bubble(t, reconcile.Options{Keys: keys("a")}, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "a")
			for range 5 {
				r.Wake("a")
			}
			expect(t, &j) // one worker per key
			if s, _ := r.State("a"); !s.Running {
				t.Error("State does not say that it runs")
			}
			time.Sleep(10 * time.Second)
			expect(t, &j, "a")
			time.Sleep(time.Minute)
			expect(t, &j)
		}, slow)
	})
}

func TestResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bubble(t, reconcile.Options{Keys: keys("a"), Resync: time.Hour}, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "a x")
			for range 3 {
				s, _ := r.State("a")
				wait := time.Until(s.Next)
				if wait < 54*time.Minute || wait > 66*time.Minute {
					t.Errorf("next run in %v", wait)
				}
				time.Sleep(wait - time.Nanosecond)
				expect(t, &j)
				time.Sleep(time.Nanosecond)
				expect(t, &j, "a x")
			}
		}, j.aspect("x"))
	})
}

func TestFailuresBackOffAspectByAspect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var failing atomic.Bool
		failing.Store(true)
		broken := errors.New("broken")
		flaky := aspect{"flaky", func(context.Context, string) error {
			j.note("flaky")
			if failing.Load() {
				return broken
			}
			return nil
		}}
		o := reconcile.Options{Keys: keys("a"), Resync: 24 * time.Hour, MinBackoff: time.Second, MaxBackoff: time.Minute}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "flaky", "a good") // the one that fails does not stop the other
			bound := time.Second
			for attempt := 1; attempt <= 10; attempt++ {
				s, ok := r.State("a")
				f := s.Aspects[0]
				if !ok || f.Attempts != attempt || f.Err != broken || !f.Applied.IsZero() || f.Tried != time.Now() || f.Next != s.Next || s.Running {
					t.Fatalf("attempt %d: %+v", attempt, s)
				}
				if g := s.Aspects[1]; g.Name != "good" || g.Attempts != 0 || g.Err != nil || g.Applied.IsZero() {
					t.Fatalf("the good aspect: %+v", g)
				}
				wait := time.Until(s.Next)
				if wait < bound/2 || wait > bound {
					t.Errorf("after %d failures it waits %v, want %v to %v", attempt, wait, bound/2, bound)
				}
				bound = min(2*bound, time.Minute)
				time.Sleep(wait)
				expect(t, &j, "flaky") // and the good one does not run with it
			}
			failing.Store(false)
			r.Wake("a") // does not wait for the backoff
			expect(t, &j, "flaky", "a good")
			if s, _ := r.State("a"); s.Aspects[0].Attempts != 0 || s.Aspects[0].Err != nil || s.Aspects[0].Applied != time.Now() {
				t.Errorf("after it worked: %+v", s)
			}
		}, flaky, j.aspect("good"))
	})
}

func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all []string
		for i := range 50 {
			all = append(all, fmt.Sprint(i))
		}
		var now, most, done atomic.Int32
		slow := aspect{"slow", func(context.Context, string) error {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			done.Add(1)
			return nil
		}}
		start := time.Now()
		bubble(t, reconcile.Options{Keys: keys(all...), Workers: 5}, func(t *testing.T, r *reconcile.Reconciler) {
			for done.Load() < 50 {
				time.Sleep(100 * time.Millisecond)
			}
			if took := time.Since(start).Round(time.Second); most.Load() != 5 || took != 10*time.Second {
				t.Errorf("%d at once, %v for 50 keys of a second", most.Load(), took)
			}
		}, slow)
	})
}

// ownership that tests change.
type ownership struct {
	mu      sync.Mutex
	not     map[string]bool
	changed chan struct{}
}

func (o *ownership) Owns(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.not[key]
}

func (o *ownership) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

func (o *ownership) set(key string, owned bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.not[key] = !owned
	close(o.changed)
	o.changed = make(chan struct{})
}

func TestLostKeysStopAndGainedKeysRun(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"told of changes": true, "looking by itself": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				own := &ownership{not: map[string]bool{"b": true}, changed: make(chan struct{})}
				o := reconcile.Options{Keys: keys("a", "b"), Owns: own.Owns, Resync: time.Hour}
				if told {
					o.Changed = own.Changed
				}
				var j journal
				long := aspect{"long", func(ctx context.Context, key string) error {
					j.note("%s begins", key)
					<-ctx.Done()
					j.note("%s ends", key)
					return ctx.Err()
				}}
				bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
					expect(t, &j, "a begins")
					r.Wake("b")
					expect(t, &j) // another's
					if _, ok := r.State("b"); ok {
						t.Error("it has state for another's key")
					}
					own.set("a", false)
					if !told {
						time.Sleep(time.Second)
					}
					expect(t, &j, "a ends")
					if _, ok := r.State("a"); ok {
						t.Error("it has state for a key that it lost")
					}
					own.set("a", true)
					if !told {
						time.Sleep(2 * time.Hour)
					}
					expect(t, &j, "a begins")
				}, long)
			})
		})
	}
}

func TestKeyThatIsLostDuringItsLastRunIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		own := &ownership{not: map[string]bool{}, changed: make(chan struct{})}
		deaf := aspect{"deaf", func(context.Context, string) error { time.Sleep(10 * time.Second); return nil }}
		o := reconcile.Options{Keys: keys("a"), Owns: own.Owns, Changed: own.Changed, Resync: time.Hour}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			own.set("a", false)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if s, ok := r.State("a"); ok {
				t.Errorf("still known: %+v", s)
			}
		}, deaf)
	})
}

// A key that is lost and won back before its run ended: what a wake asked for is not forgotten.
func TestStoppedRunIsRunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		own := &ownership{not: map[string]bool{}, changed: make(chan struct{})}
		var j journal
		var slowly atomic.Bool
		first := aspect{"first", func(ctx context.Context, _ string) error {
			j.note("first")
			if slowly.Load() {
				<-ctx.Done()
				time.Sleep(time.Second)
			}
			return ctx.Err()
		}}
		o := reconcile.Options{Keys: keys("a"), Owns: own.Owns, Changed: own.Changed, Resync: time.Hour}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "first", "a second")
			slowly.Store(true)
			r.Wake("a")
			expect(t, &j, "first")
			own.set("a", false)
			synctest.Wait()
			own.set("a", true)
			slowly.Store(false)
			time.Sleep(time.Second)
			expect(t, &j, "first", "a second")
			if s, _ := r.State("a"); s.Aspects[0].Attempts != 0 {
				t.Errorf("being stopped counts as a failure: %+v", s)
			}
		}, first, j.aspect("second"))
	})
}

func TestKeysThatAreGoneAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var list atomic.Value
		list.Store([]string{"a", "b"})
		o := reconcile.Options{Resync: time.Hour, Keys: func(context.Context) ([]string, error) { return list.Load().([]string), nil }}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			list.Store([]string{"b", "c"})
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if _, ok := r.State("a"); ok {
				t.Error("a is still known")
			}
			for _, key := range []string{"b", "c"} {
				if _, ok := r.State(key); !ok {
					t.Errorf("%s is not known", key)
				}
			}
		}, j.aspect("x"))
	})
}

// A key that is made while a listing is under way is not in it, and is not forgotten for that.
func TestWokenKeySurvivesAnOlderListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		o := reconcile.Options{Resync: time.Hour, Keys: func(context.Context) ([]string, error) {
			time.Sleep(time.Minute)
			return nil, nil
		}}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			time.Sleep(time.Second)
			r.Wake("new")
			time.Sleep(2 * time.Minute)
			expect(t, &j, "new x")
			if _, ok := r.State("new"); !ok {
				t.Error("it was forgotten")
			}
		}, j.aspect("x"))
	})
}

func TestListingIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var tries atomic.Int32
		o := reconcile.Options{Keys: func(context.Context) ([]string, error) {
			if tries.Add(1) < 4 {
				return nil, errors.New("the database is away")
			}
			return []string{"a"}, nil
		}}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j)
			time.Sleep(7 * time.Second) // 1, 2 and 4 at most
			expect(t, &j, "a x")
		}, j.aspect("x"))
	})
}

func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bad := aspect{"bad", func(context.Context, string) error { panic("oh no") }}
		bubble(t, reconcile.Options{Keys: keys("a")}, func(t *testing.T, r *reconcile.Reconciler) {
			expect(t, &j, "a x")
			s, _ := r.State("a")
			if err := s.Aspects[0].Err; odcm.CodeOf(err) != "reconcile.panic" || !strings.Contains(err.Error(), "oh no") {
				t.Errorf("got %v", err)
			}
		}, bad, j.aspect("x"))
	})
}

func TestObserveIsToldOfEveryRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		bad := errors.New("bad")
		slow := aspect{"slow", func(context.Context, string) error { time.Sleep(3 * time.Second); return bad }}
		o := reconcile.Options{Keys: keys("a"), Observe: func(key, aspect string, took time.Duration, err error) {
			j.note("%s %s %v %v", key, aspect, took, err)
		}}
		bubble(t, o, func(t *testing.T, r *reconcile.Reconciler) {
			time.Sleep(3 * time.Second)
			expect(t, &j, "a slow 3s bad")
		}, slow)
	})
}

func TestRunWaitsForItsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		slow := aspect{"slow", func(ctx context.Context, _ string) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			j.note("cleaned up")
			return ctx.Err()
		}}
		bubble(t, reconcile.Options{Keys: keys("a")}, func(*testing.T, *reconcile.Reconciler) {}, slow)
		expect(t, &j, "cleaned up")
	})
}
