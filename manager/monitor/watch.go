package monitor

import (
	"context"
	"reflect"
	"time"
)

// watch is what is known of one target. Only the goroutine that made it busy touches what is below that. There are thousands.
type watch struct {
	target Target
	slot   int

	// Guarded by Service.mu.
	gone    bool
	waits   bool // in Service.urgent
	again   bool // probe it once more
	cut     bool // its connection was lost: it may have been started anew
	looking bool // it is being asked about itself
	losses  int8 // of its connection in this interval
	busy    bool

	slowness int8     // up to slowTimes while pings are slow, down to 0 while they are quick
	found    *finding // guarded by Service.mu

	// When to do what next, since the start: by a clock that is never set.
	inspectAt, fullAt, wholeAt time.Duration
	asked                      time.Duration // when other vantage points were asked last; 0 is never
	sums                       sums          // since they were kept last
	machine                    *Machine
	last                       known // as it was recorded last
	observation
}

// known is a Health whose details are shared with the observation's as long as they are the same.
type known struct {
	status         Status
	reason         string
	since, checked time.Time
	detail         *Detail
}

func (k known) health() Health {
	return Health{Status: k.status, Reason: k.reason, Since: k.since, Checked: k.checked, Detail: *k.detail}
}

// sums are of the answers of one day.
type sums struct {
	day         Day
	pings, slow int32
	took, max   time.Duration
}

// finding is what a server said of itself.
type finding struct {
	detail Detail
	err    error
}

const (
	// fullEvery and wholeEvery are how often a server is asked for what changes rarely, besides after each time that it was away.
	fullEvery  = 10 * time.Minute
	wholeEvery = time.Hour
	// Inspections begin at most at this rate, or at twice what the number of targets needs, and so many at once: after a start or
	// an outage of all they are spread.
	looksAtLeast = 50
	looksBurst   = 50
	looksAtOnce  = 256
)

// probe pings the target, asks it about itself where that is due, and records what is different. That its connection was cut
// tells that it may be another version by now.
func (s *Service) probe(ctx context.Context, w *watch, cut bool) {
	pong, err := s.ping(ctx, w.target)
	if ctx.Err() != nil {
		return
	}
	changed := (err == nil) != (w.failed == nil) || pong.Code != w.code || pong.Page != w.page || w.last.status == Unknown
	w.code, w.page, w.to, w.failed = pong.Code, pong.Page, pong.To, err
	switch {
	case err != nil:
		w.verdict = s.judgement(ctx, w)
	default:
		w.verdict = nil
		s.count(w, pong)
		s.lookWhereDue(ctx, w, changed, cut)
	}
	if ctx.Err() == nil {
		s.settle(w)
	}
}

// ping asks once, and where that fails once more, at once: a lost packet or a closed connection is no outage. A first
// question without an answer takes half of the time, so that a server that hangs shows within it.
func (s *Service) ping(ctx context.Context, t Target) (pong Pong, err error) {
	began := time.Now()
	defer func() { s.meter.took(time.Since(began)) }()
	first, stop := context.WithTimeout(ctx, s.o.Timeout/2)
	pong, err = s.o.Prober.Ping(first, t)
	if stop(); err != nil && ctx.Err() == nil {
		second, stop := context.WithDeadline(ctx, began.Add(s.o.Timeout))
		defer stop()
		pong, err = s.o.Prober.Ping(second, t)
	}
	return pong, err
}

// lookWhereDue asks the server about itself, beside the pings, which must not wait for that. Where something is new the probe
// waits a little, so that what is told first is right.
func (s *Service) lookWhereDue(ctx context.Context, w *watch, changed, cut bool) {
	now := time.Since(s.origin)
	if changed {
		w.inspectAt = now
	}
	if changed || cut {
		w.fullAt = now
	}
	look := Quick
	if now >= w.fullAt {
		look = Full
	}
	if now >= w.wholeAt {
		look = Whole
	}
	if now < w.inspectAt || !s.mayLook(w) {
		return
	}
	w.inspectAt = now + s.o.InspectEvery
	if look >= Full {
		w.fullAt = now + fullEvery
	}
	if look == Whole {
		w.wholeAt = now + wholeEvery
	}
	done := make(chan struct{})
	target, was := w.target, *w.detail
	s.probes.Go(func() {
		s.look(ctx, w, target, was, look)
		close(done)
	})
	if !changed {
		return
	}
	t := time.NewTimer(s.o.Every - s.o.Timeout)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-ctx.Done():
	}
}

// mayLook takes a place among those that are asked about themselves.
func (s *Service) mayLook(w *watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.looking || w.gone || s.looking >= looksAtOnce || !s.looks.Allow() {
		return false
	}
	w.looking = true
	s.looking++
	return true
}

func (s *Service) look(ctx context.Context, w *watch, t Target, was Detail, look Look) {
	bounded, cancel := context.WithTimeout(ctx, s.o.InspectTimeout)
	defer cancel()
	d, err := s.o.Prober.Inspect(bounded, t, was, look)
	s.mu.Lock()
	s.looking--
	w.looking = false
	if ctx.Err() != nil || w.gone {
		s.mu.Unlock()
		return
	}
	w.found = &finding{d, err}
	idle := !w.busy
	w.busy = true
	s.mu.Unlock()
	if idle { // else the probe that runs takes it in
		s.settle(w)
		s.finish(ctx, w)
	}
}

// settle takes in what the server said of itself, and records what is different.
func (s *Service) settle(w *watch) {
	s.mu.Lock()
	found := w.found
	w.found = nil
	s.mu.Unlock()
	if found != nil {
		w.inspected = found.err
		if found.err != nil {
			w.misses = min(w.misses+1, inspectTimes)
			if w.detail.Maintenance { // it may be over, and would hide what is wrong
				w.edit(func(d *Detail) { d.Maintenance = false })
			}
			w.wholeAt, w.fullAt = 0, 0
		} else {
			w.misses = 0
			d := found.detail
			d.Certificate, d.Skew = w.detail.Certificate, w.detail.Skew // pings know better
			w.detail = &d
		}
	}
	s.note(w, found != nil)
}

// edit changes the details where they are not shared.
func (w *watch) edit(change func(*Detail)) {
	d := *w.detail
	change(&d)
	w.detail = &d
}

// count takes an answer into the sums.
func (s *Service) count(w *watch, p Pong) {
	if p.Took > slowAfter {
		w.slowness = min(w.slowness+1, slowTimes)
	} else {
		w.slowness = max(w.slowness-1, 0)
	}
	switch w.slowness {
	case slowTimes:
		w.slow = true
	case 0:
		w.slow = false
	}
	if day := DayAt(s.now()); w.sums.day != day {
		s.mu.Lock()
		s.keepTally(w)
		s.mu.Unlock()
		w.sums.day = day
	}
	w.sums.pings++
	w.sums.took += p.Took
	w.sums.max = max(w.sums.max, p.Took)
	if p.Took > slowAfter {
		w.sums.slow++
	}
	w.clock(p)
}

// clockSlack is how far a server's clock seems to wander because answers tell whole seconds only.
const clockSlack = 2 * time.Second

// clock takes what every answer shows into the details.
func (w *watch) clock(p Pong) {
	if p.Skew != nil && (*p.Skew-w.detail.Skew).Abs() >= clockSlack {
		w.edit(func(d *Detail) { d.Skew = p.Skew.Round(time.Second) })
	}
	if p.Certificate != w.detail.Certificate {
		w.edit(func(d *Detail) { d.Certificate = p.Certificate })
	}
}

// note records the target's health where it is not what was recorded last; looked tells that details may be different.
// A clock that was set back must not bring the history out of order.
func (s *Service) note(w *watch, looked bool) {
	now, last := s.now(), &w.last
	if now.Before(last.since) {
		now = last.since.Add(time.Millisecond)
	}
	if w.machine != nil && w.machine != w.detail.Machine {
		w.edit(func(d *Detail) { d.Machine = w.machine })
	}
	next := known{since: last.since, checked: now, detail: w.detail}
	next.status, next.reason = judge(&w.observation)
	if next.status != last.status || last.since.IsZero() {
		next.since = now
	}
	quiet := next.status == last.status && next.reason == last.reason && (w.detail == last.detail || reflect.DeepEqual(steady(*w.detail), steady(*last.detail)))
	if quiet {
		last.checked = now
		if !looked || w.detail == last.detail {
			return
		}
		if reflect.DeepEqual(figures(*w.detail), figures(*last.detail)) {
			last.detail = w.detail
			return
		}
	}
	w.last = next
	s.record(w, Change{Health: next.health(), Quiet: quiet})
}

// steady leaves out what changes all the time: it is not worth that everybody looks.
func steady(d Detail) Detail {
	d = figures(d)
	for i := range d.Nodes {
		d.Nodes[i].Tasks = 0
	}
	d.Queue, d.Machine = nil, nil
	return d
}

// figures leaves out what changes at every look: it is not worth a write.
func figures(d Detail) Detail {
	nodes := make([]Node, len(d.Nodes))
	for i, n := range d.Nodes {
		n.LastSeen = time.Time{}
		nodes[i] = n
	}
	d.Nodes = nodes
	if m := d.Machine; m != nil { // by percents
		d.Machine = &Machine{DiskTotal: m.DiskTotal, DiskFree: percents(m.DiskFree, m.DiskTotal), MemoryTotal: m.MemoryTotal, MemoryFree: percents(m.MemoryFree, m.MemoryTotal)}
	}
	return d
}

func percents(part, of uint64) uint64 {
	if of == 0 {
		return 0
	}
	return uint64(float64(part) / float64(of) * 100)
}
