package monitor

import (
	"context"
	"slices"
	"time"

	"odcm"
)

// burst is how far apart two sendings of due probes are.
const burst = 100 * time.Millisecond

const (
	// urgentAtOnce bounds the probes under way because connections were lost: when a network fails, all are lost at once.
	urgentAtOnce = 256
	// urgentTimes is how often in an interval a lost connection is a reason to probe: a server that hangs up after every answer
	// must not be asked without end.
	urgentTimes = 2
)

// schedule sends what is due, burst by burst. When a slot is due comes from the time that has passed, which no clock that is
// set changes: ticks that come late or not at all delay nothing but themselves.
func (s *Service) schedule(ctx context.Context) error {
	defer s.wait()
	tick := time.NewTicker(burst)
	defer tick.Stop()
	last := s.turns()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := s.turns()
		// After a pause longer than an interval, as of a machine that slept, each target is due once.
		last = max(last, now-len(s.slots))
		for ; last < now; last++ {
			s.send(ctx, last+1)
		}
	}
}

// wait returns when no probe runs any more; its context is over.
func (s *Service) wait() {
	s.mu.Lock()   // who begins a probe does it under the lock and looks at the context before
	s.mu.Unlock() //nolint:staticcheck // that is all that it is for
	s.probes.Wait()
}

// turns counts the bursts since the start.
func (s *Service) turns() int { return int(time.Since(s.origin) / burst) }

// send starts the probes of one turn. A target whose last probe still runs is left out: it is late itself.
func (s *Service) send(ctx context.Context, turn int) {
	due := s.origin.Add(time.Duration(turn) * burst)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.slots[turn%len(s.slots)] {
		w.losses = 0
		if w.busy || ctx.Err() != nil || !s.mine(w) {
			continue
		}
		cut := w.begin()
		s.probes.Go(func() {
			s.meter.late(time.Since(due))
			s.probe(ctx, w, cut)
			s.finish(ctx, w)
		})
	}
}

// mine tells whether the target is to be probed here: also not while a probe runs that began before it was watched anew.
func (s *Service) mine(w *watch) bool {
	return !s.ending[w.target.Instance] && s.o.Owner.Owns(string(w.target.Instance))
}

// begin makes the target busy and tells whether its connection was cut since. It wants the lock held.
func (w *watch) begin() (cut bool) {
	w.busy = true
	cut, w.cut = w.cut, false
	return cut
}

// place gives n new targets their slots. They begin with the next turn, so that a new Space is looked at at once, and are
// spread over most of an interval, so that a start with thousands is as even as what follows.
func (s *Service) place(i, n int) int {
	spread := len(s.slots) * 8 / 10
	return (s.turns() + 2 + i*spread/n) % len(s.slots)
}

// lost makes a probe of a target whose connection was lost: the connection tells nothing, the probe decides.
func (s *Service) lost(ctx context.Context, id odcm.InstanceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.watches[id]; w != nil && w.losses < urgentTimes {
		w.losses++
		w.cut = true
		s.hurry(ctx, w)
	}
}

// hurry wants the lock held.
func (s *Service) hurry(ctx context.Context, w *watch) {
	switch {
	case w.busy:
		w.again = true // the probe that runs may have asked before
	case w.gone || ctx.Err() != nil || !s.mine(w):
	case s.running >= urgentAtOnce:
		if !w.waits {
			w.waits = true
			s.urgent = append(s.urgent, w)
		}
	default:
		s.running++
		cut := w.begin()
		s.probes.Go(func() {
			s.probe(ctx, w, cut)
			s.mu.Lock()
			s.running--
			s.mu.Unlock()
			s.finish(ctx, w)
		})
	}
}

// finish ends a probe, and begins the next urgent one.
func (s *Service) finish(ctx context.Context, w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.found != nil && !w.gone && ctx.Err() == nil { // it came while the probe ended
		s.probes.Go(func() {
			s.settle(w)
			s.finish(ctx, w)
		})
		return
	}
	w.busy = false
	if w.gone {
		s.keepTally(w)
		delete(s.ending, w.target.Instance)
	}
	if w.again {
		w.again = false
		s.hurry(ctx, w)
	}
	for len(s.urgent) > 0 && s.running < urgentAtOnce {
		next := s.urgent[0]
		s.urgent = slices.Delete(s.urgent, 0, 1)
		next.waits = false
		s.hurry(ctx, next)
	}
}
