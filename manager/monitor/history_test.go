package monitor

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSummarise(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(h int) time.Time { return from.Add(time.Duration(h) * time.Hour) }
	h := summarise([]Transition{{at(-5), Online, ""}, {at(2), Offline, "gone"}, {at(3), Maintenance, ""}, {at(4), Unknown, ""}, {at(8), Online, ""}}, from, at(10))
	want := []Period{{from, at(2), Online, ""}, {at(2), at(3), Offline, "gone"}, {at(3), at(4), Maintenance, ""}, {at(4), at(8), Unknown, ""}, {at(8), at(10), Online, ""}}
	if len(h.Periods) != len(want) {
		t.Fatalf("periods %+v", h.Periods)
	}
	for i := range want {
		if h.Periods[i] != want[i] {
			t.Errorf("period %d: %+v, want %+v", i, h.Periods[i], want[i])
		}
	}
	if h.Watched != 6*time.Hour || h.Uptime != 5.0/6 {
		t.Errorf("up %v of %v", h.Uptime, h.Watched)
	}
	if h := summarise(nil, from, at(1)); len(h.Periods) != 1 || h.Periods[0].Status != Unknown || h.Uptime != 0 || h.Watched != 0 {
		t.Errorf("never watched: %+v", h)
	}
}

// Periods fill the time without gap or overlap, whatever the transitions.
func TestPeriodsFillTheTime(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		to := from.Add(time.Duration(rapid.Int64Range(1, 1000).Draw(t, "length")) * time.Minute)
		var all []Transition
		next := from.Add(-time.Minute)
		for range rapid.IntRange(0, 20).Draw(t, "transitions") {
			next = next.Add(time.Duration(rapid.Int64Range(0, 100).Draw(t, "gap")) * time.Minute)
			if next.Before(to) {
				all = append(all, Transition{Time: next, Status: rapid.SampledFrom([]Status{Online, Offline, Unknown}).Draw(t, "status")})
			}
		}
		h := summarise(all, from, to)
		at := from
		for _, p := range h.Periods {
			if !p.From.Equal(at) || !p.To.After(p.From) {
				t.Fatalf("period %+v does not follow %v", p, at)
			}
			at = p.To
		}
		if !at.Equal(to) || h.Uptime < 0 || h.Uptime > 1 || h.Watched > to.Sub(from) {
			t.Fatalf("ends at %v, want %v; %v of %v", at, to, h.Uptime, h.Watched)
		}
	})
}
