package limit

import (
	"fmt"
	"testing"
	"time"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newLimiter() (*Limiter, *clock) {
	c := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	return New(c.now), c
}

func TestABucketEmptiesAndFillsAgain(t *testing.T) {
	t.Parallel()
	l, c := newLimiter()
	p := Policy{ID: "p", Enabled: true, RequestsPerMinute: 120, Burst: 3}
	for i := range 3 {
		if v := l.Take(p, "a"); v.Refused {
			t.Fatalf("request %d was refused: %+v", i, v)
		}
	}
	v := l.Take(p, "a")
	if !v.Refused || v.After != 500*time.Millisecond || !v.Tell {
		t.Fatalf("the fourth: %+v, want a refusal for half a second that is told", v)
	}
	if v := l.Take(p, "a"); !v.Refused || v.Tell || v.After != 500*time.Millisecond {
		t.Errorf("the fifth: %+v, want the same wait, for a refused request takes nothing, and no word of it", v)
	}
	if v := l.Take(p, "b"); v.Refused {
		t.Error("another caller paid for it")
	}
	c.at = c.at.Add(500 * time.Millisecond)
	if v := l.Take(p, "a"); v.Refused {
		t.Errorf("after the wait: %+v", v)
	}
	if v := l.Take(p, "a"); !v.Refused {
		t.Error("a single token let two through")
	}
	c.at = c.at.Add(16 * time.Minute)
	for range 3 {
		l.Take(p, "a")
	}
	if v := l.Take(p, "a"); !v.Tell {
		t.Error("a quarter of an hour later it was not told again")
	}
}

func TestAuditModeOnlyTells(t *testing.T) {
	t.Parallel()
	l, c := newLimiter()
	p := Policy{ID: "p", Enabled: true, RequestsPerMinute: 60, Burst: 1, AuditMode: true}
	l.Take(p, "a")
	if v := l.Take(p, "a"); v.Refused || !v.Tell {
		t.Errorf("beyond the limit: %+v", v)
	}
	c.at = c.at.Add(5*time.Minute + time.Second)
	l.Take(p, "a")
	if v := l.Take(p, "a"); v.Refused || !v.Tell {
		t.Errorf("five minutes later: %+v", v)
	}
	p.Enabled, p.AuditMode = false, false
	for range 10 {
		if v := l.Take(p, "a"); v != (Verdict{}) {
			t.Fatalf("a disabled policy: %+v", v)
		}
	}
}

func TestAChangedPolicyHoldsAtOnce(t *testing.T) {
	t.Parallel()
	l, c := newLimiter()
	p := Policy{ID: "p", Enabled: true, RequestsPerMinute: 1, Burst: 1}
	l.Take(p, "a")
	if !l.Take(p, "a").Refused {
		t.Fatal("not limited")
	}
	p.RequestsPerMinute, p.Burst = 6000, 100
	l.Take(p, "a")
	c.at = c.at.Add(100 * time.Millisecond)
	if l.Take(p, "a").Refused {
		t.Error("the old limit holds")
	}
	p.Burst = 0
	if v := l.Take(p, "a"); !v.Refused || v.After <= 0 {
		t.Errorf("a bucket that holds nothing: %+v", v)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter()
	l.most = 100
	p := Policy{ID: "p", Enabled: true, RequestsPerMinute: 1, Burst: 1}
	l.Take(p, "kept")
	for i := range 1000 {
		l.Take(p, fmt.Sprint(i))
		l.Take(p, "kept")
	}
	if l.Len() != 100 {
		t.Errorf("%d buckets", l.Len())
	}
	if !l.Take(p, "kept").Refused {
		t.Error("whoever came all the time was forgotten")
	}
}

func TestSecondsAreWhole(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int{0: 1, time.Millisecond: 1, time.Second: 1, 1001 * time.Millisecond: 2} {
		if got := Seconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}
