package monitor

import (
	"context"
	"reflect"
	"time"
)

// watch is what is known of one target. Only the goroutine that probes it touches what is below busy.
type watch struct {
	target Target
	slot   int

	// Guarded by Service.mu.
	busy bool
	gone bool

	inspectAt time.Time // when it is asked about itself next
	slow      int       // up to slowTimes while pings are slow, down to 0 while they are quick
	wasSlow   bool
	observation
	health Health // as it was recorded last
}

// probe pings the target, asks it about itself where that is due, and records what is different.
func (s *Service) probe(ctx context.Context, w *watch) {
	pong, err := s.ping(ctx, w.target)
	if err != nil {
		pong, err = s.ping(ctx, w.target) // at once: a lost packet or a closed connection is no outage
	}
	if ctx.Err() != nil {
		return
	}
	changed := (err == nil) != (w.failed == nil) || pong.Code != w.pong.Code
	w.pong, w.failed = pong, err
	w.pace()
	due := err == nil && (changed || !s.now().Before(w.inspectAt))
	if due {
		w.inspectAt = s.now().Add(s.o.InspectEvery)
		s.inspect(ctx, w)
		if ctx.Err() != nil {
			return
		}
	}
	s.note(w, due)
}

func (s *Service) ping(ctx context.Context, t Target) (Pong, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	return s.o.Prober.Ping(ctx, t)
}

func (s *Service) inspect(ctx context.Context, w *watch) {
	ctx, cancel := context.WithTimeout(ctx, s.o.InspectTimeout)
	defer cancel()
	d, err := s.o.Prober.Inspect(ctx, w.target)
	if w.inspected = err; err != nil {
		w.misses++
		w.detail.Maintenance = false // it may be over, and would hide what is wrong
		return
	}
	w.misses, w.detail = 0, d
}

// pace counts slow and quick pings.
func (w *watch) pace() {
	if w.failed != nil {
		return
	}
	if w.pong.Took > slowAfter {
		w.slow = min(w.slow+1, slowTimes)
	} else {
		w.slow = max(w.slow-1, 0)
	}
	switch w.slow {
	case slowTimes:
		w.wasSlow = true
	case 0:
		w.wasSlow = false
	}
	w.observation.slow = w.wasSlow
}

// note records the target's health where it is not what was recorded last; inspected tells that details may be different.
func (s *Service) note(w *watch, inspected bool) {
	now := s.now()
	h := Health{Since: w.health.Since, Checked: now, Detail: w.detail}
	h.Status, h.Reason = judge(w.observation)
	if h.Status != w.health.Status || h.Since.IsZero() {
		h.Since = now
	}
	same := h.Status == w.health.Status && h.Reason == w.health.Reason &&
		(!inspected || reflect.DeepEqual(steady(h.Detail), steady(w.health.Detail)))
	w.health = h
	if !same {
		s.record(w, h)
	}
}

// steady leaves out what changes at every look: it is not worth a write.
func steady(d Detail) Detail {
	nodes := make([]Node, len(d.Nodes))
	for i, n := range d.Nodes {
		n.LastSeen = time.Time{}
		nodes[i] = n
	}
	d.Nodes = nodes
	return d
}
