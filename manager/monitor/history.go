package monitor

import (
	"context"
	"time"

	"odcm"
)

// ActionRead is what looking at statuses needs.
const ActionRead odcm.Action = "monitor.read"

// Period is a stretch of time in one status.
type Period struct {
	From, To time.Time
	Status   Status
	Reason   string
}

// History is how a Space was doing over a time.
type History struct {
	Periods []Period // without gaps, oldest first; Unknown where nobody watched
	// Uptime is the part of the watched time in which the server answered, 0 to 1; Watched is that time.
	Uptime  float64
	Watched time.Duration
}

// Bounds of one look at the history.
const (
	maxHistory     = 400 * 24 * time.Hour
	maxTransitions = 5000
)

// History tells how the Space that ref names was doing from one time to another; to is at most now.
func (s *Service) History(ctx context.Context, p odcm.Principal, ref string, from, to time.Time) (_ History, err error) {
	defer odcm.Wrap(&err, "history of %s", ref)
	space, from, to, err := s.period(ctx, p, ref, from, to)
	if err != nil {
		return History{}, err
	}
	transitions, err := s.o.Store.History(ctx, space, from, to, maxTransitions)
	if err != nil {
		return History{}, err
	}
	return summarise(transitions, from, to), nil
}

// summarise turns transitions into periods that fill the time, and sums them up.
func summarise(transitions []Transition, from, to time.Time) (h History) {
	at := Period{From: from, To: to}
	for _, t := range transitions {
		if t.Time.After(from) {
			h.Periods = extend(h.Periods, Period{at.From, t.Time, at.Status, at.Reason})
			at.From = t.Time
		}
		at.Status, at.Reason = t.Status, t.Reason
	}
	h.Periods = extend(h.Periods, at)
	var up time.Duration
	for _, p := range h.Periods {
		d := p.To.Sub(p.From)
		if p.Status != Unknown {
			h.Watched += d
		}
		if p.Status.Up() {
			up += d
		}
	}
	if h.Watched > 0 {
		h.Uptime = float64(up) / float64(h.Watched)
	}
	return h
}

// extend appends the period, unless it is empty.
func extend(all []Period, p Period) []Period {
	if !p.To.After(p.From) {
		return all
	}
	return append(all, p)
}
