package octoclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"odcm"
)

func TestBudgetIsATokenBucket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(Limits{PerSecond: 10, Burst: 5, Concurrency: 100, Reserved: 1})
		start := time.Now()
		for range 25 {
			release, err := b.Acquire(t.Context(), Interactive)
			if err != nil {
				t.Fatal(err)
			}
			release()
		}
		if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+10*time.Millisecond {
			t.Errorf("25 requests with 5 at once and 10 a second took %v, want 2 s", took)
		}
		time.Sleep(time.Hour)
		start = time.Now()
		for range 5 {
			release, _ := b.Acquire(t.Context(), Interactive)
			release()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a burst after a quiet time took %v", took)
		}
	})
}

func TestPeopleGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(Limits{PerSecond: 1000, Burst: 1000, Concurrency: 1, Reserved: 1})
		hold, _ := b.Acquire(t.Context(), Interactive)
		var mu sync.Mutex
		var order []string
		for _, w := range []struct {
			name string
			p    Priority
		}{{"background 1", Background}, {"background 2", Background}, {"person 1", Interactive}, {"person 2", Interactive}} {
			go func() {
				release, err := b.Acquire(t.Context(), w.p)
				if err != nil {
					return
				}
				mu.Lock()
				order = append(order, w.name)
				mu.Unlock()
				release()
			}()
			synctest.Wait() // so that they queue in this order
		}
		if u := b.Usage(); u.InFlight != 1 || u.Waiting != 4 {
			t.Errorf("%+v", u)
		}
		time.Sleep(time.Second)
		hold()
		synctest.Wait()
		want := []string{"person 1", "person 2", "background 1", "background 2"}
		if !slices.Equal(order, want) {
			t.Errorf("%q", order)
		}
		if u := b.Usage(); u.Interactive != 3 || u.Background != 2 || u.InFlight != 0 || u.Waiting != 0 || u.Waited != 4*time.Second {
			t.Errorf("%+v", u)
		}
	})
}

func TestBackgroundLeavesPlacesForPeople(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(Limits{PerSecond: 1000, Burst: 1000, Concurrency: 4, Reserved: 1})
		for range 10 {
			go func() { _, _ = b.Acquire(t.Context(), Background) }()
		}
		synctest.Wait()
		if u := b.Usage(); u.InFlight != 3 || u.Waiting != 7 {
			t.Errorf("%+v", u)
		}
		start := time.Now()
		release, err := b.Acquire(t.Context(), Interactive)
		if err != nil || time.Since(start) != 0 {
			t.Errorf("a person waited %v: %v", time.Since(start), err)
		}
		release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Acquire(ctx, Background); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("background took the place of people: %v", err)
		}
		// The ones that wait end with the bubble's context.
		for range 10 {
			b.mu.Lock()
			if b.background > 0 {
				b.end(Background)
			}
			b.mu.Unlock()
			synctest.Wait()
		}
	})
}

func TestNobodyAsksWhileTheServerSaysNo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(Limits{})
		b.limited(20 * time.Second)
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := b.Acquire(short, Interactive); odcm.CodeOf(err) != "octopus.limited" || time.Since(start) != 0 {
			t.Errorf("who cannot wait is told %v after %v", err, time.Since(start))
		}
		release, err := b.Acquire(t.Context(), Interactive)
		if err != nil || time.Since(start) != 20*time.Second {
			t.Errorf("waited %v: %v", time.Since(start), err)
		}
		release()
		b.limited(24 * time.Hour)
		start = time.Now()
		if release, _ = b.Acquire(t.Context(), Interactive); time.Since(start) != longestPause {
			t.Errorf("a server can stop everybody for %v", time.Since(start))
		}
		release()
		if u := b.Usage(); u.Limited != 2 {
			t.Errorf("%+v", u)
		}
	})
}

// Whatever comes and goes, and gives up while it waits: never more at once than allowed, nobody is forgotten, and at the
// end nothing is held.
func TestBudgetHoldsUnderAnyTraffic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{
			PerSecond: rapid.Float64Range(0.5, 1000).Draw(rt, "rate"), Burst: rapid.IntRange(1, 10).Draw(rt, "burst"),
			Concurrency: rapid.IntRange(1, 5).Draw(rt, "concurrency"), Reserved: rapid.IntRange(1, 5).Draw(rt, "reserved"),
		}
		type visit struct{ arrive, patience, stay, priority int }
		visits := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) visit {
			return visit{rapid.IntRange(0, 5000).Draw(rt, "arrive"), rapid.IntRange(1, 20000).Draw(rt, "patience"),
				rapid.IntRange(0, 2000).Draw(rt, "stay"), rapid.IntRange(0, 1).Draw(rt, "priority")}
		}), 1, 30).Draw(rt, "visits")
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(limits)
			var mu sync.Mutex
			var wg sync.WaitGroup
			inside, most, served, gaveUp := 0, 0, 0, 0
			for _, v := range visits {
				wg.Go(func() {
					time.Sleep(time.Duration(v.arrive) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(v.patience)*time.Millisecond)
					defer cancel()
					release, err := b.Acquire(ctx, Priority(v.priority))
					mu.Lock()
					if err != nil {
						gaveUp++
						mu.Unlock()
						return
					}
					served++
					inside++
					most = max(most, inside)
					mu.Unlock()
					time.Sleep(time.Duration(v.stay) * time.Millisecond)
					mu.Lock()
					inside--
					mu.Unlock()
					release()
					release() // twice is once
				})
			}
			wg.Wait()
			u := b.Usage()
			if most > b.rules.Concurrency || served+gaveUp != len(visits) || u.InFlight != 0 || u.Waiting != 0 || b.background != 0 {
				rt.Fatalf("at once %d of %d, served %d, gave up %d of %d: %+v", most, b.rules.Concurrency, served, gaveUp, len(visits), u)
			}
		})
	})
}

func TestServersHaveBudgetsOfTheirOwn(t *testing.T) {
	t.Parallel()
	budgets := NewBudgets(Limits{})
	address := func(s string) *url.URL {
		u, err := ParseURL(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	a, same, other := budgets.For(address("https://A.example/app#/x")), budgets.For(address("https://a.example:443")), budgets.For(address("https://b.example"))
	if a != same || a == other {
		t.Error("budgets are not by server")
	}
	a.Pinged()
	if u := budgets.Usage(); len(u) != 2 || u["https://a.example"].Pings != 1 {
		t.Errorf("%+v", u)
	}
	budgets.Forget(address("https://a.example"))
	if budgets.For(address("https://a.example")) == a {
		t.Error("not forgotten")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after, date string
		want        time.Duration
		ok          bool
	}{
		{"0", "", 0, true},
		{"120", "", 2 * time.Minute, true},
		{" 7 ", "", 7 * time.Second, true},
		{now.Add(30 * time.Second).Format(http.TimeFormat), "", 30 * time.Second, true},
		{now.Add(-time.Hour).Format(http.TimeFormat), "", 0, true},
		{now.Add(time.Hour).Format(http.TimeFormat), now.Add(time.Hour - 5*time.Second).Format(http.TimeFormat), 5 * time.Second, true}, // the server's clock is off
		{"", "", 0, false},
		{"-1", "", 0, false},
		{"soon", "", 0, false},
		{"99999999999999999999", "", 0, false},
	} {
		h := http.Header{"Retry-After": {c.after}, "Date": {c.date}}
		if d, ok := retryAfter(h, now); d != c.want || ok != c.ok {
			t.Errorf("%q at %q: %v %v", c.after, c.date, d, ok)
		}
	}
}

func TestBackoffGrowsAndIsRandom(t *testing.T) {
	t.Parallel()
	different := map[time.Duration]bool{}
	for attempt := 1; attempt <= 100; attempt++ {
		d := backoff(attempt)
		different[d] = true
		if ceiling := min(250*time.Millisecond<<min(attempt-1, 10), 8*time.Second); d < ceiling/2 || d >= ceiling {
			t.Errorf("attempt %d waits %v", attempt, d)
		}
	}
	if len(different) < 50 {
		t.Error("not random: all would come back together")
	}
}

func TestCleanKeepsMessagesFitToShow(t *testing.T) {
	t.Parallel()
	if got := clean("a\r\n\x1b[31mb\tc  d", 100); got != "a [31mb c d" {
		t.Errorf("%q", got)
	}
	if got := clean(fmt.Sprintf("%05000d", 0), 10); got != "0000000000…" {
		t.Errorf("%q", got)
	}
}
