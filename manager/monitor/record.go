package monitor

import (
	"context"
	"maps"
	"slices"
	"time"

	"odcm"
)

// record queues the health of the target's Spaces to be written.
func (s *Service) record(w *watch, c Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.gone {
		s.pend(w, c)
	}
}

// pend queues under the lock. A status or reason that waits is written before the next one, so that nothing is missing in the
// history; and where it is told that only figures changed, the one before may have said more.
func (s *Service) pend(w *watch, c Change) {
	for _, sp := range w.target.Spaces {
		next := Change{sp, c.Health, c.Quiet}
		if old, ok := s.pending[sp.ID]; ok {
			if len(s.before) < keepUnwritten && (old.Health.Status != next.Health.Status || old.Health.Reason != next.Health.Reason) {
				s.before = append(s.before, old)
			}
			next.Quiet = next.Quiet && old.Quiet
		}
		s.pending[sp.ID] = next
	}
	poke(s.more)
}

// keepUnwritten bounds what waits while the database is away; beyond it only the latest of each Space is kept.
const keepUnwritten = 100_000

// gather is how long a change waits for others to share its transaction: what falls together is often thousands.
const gather = 20 * time.Millisecond

const (
	// tallyEvery is how often sums of answers are written. Those since then are lost with a process that is killed; times in each
	// status are not, since they come from the history.
	tallyEvery = 5 * time.Minute
	rollEvery  = time.Hour
)

// write commits what is pending, all that came together in one transaction, and now and then the time of the last looks and sums.
func (s *Service) write(ctx context.Context) error {
	tick := time.NewTicker(touchEvery)
	defer tick.Stop()
	began := time.Now()
	tallied, rolled := began, began.Add(rollAfterStart-rollEvery)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.try(last, "write the last statuses", s.save)
			s.try(last, "write the last sums", s.total)
			return ctx.Err()
		case <-s.more:
			pause(ctx, gather)
			if !s.try(ctx, "write statuses", s.save) {
				pause(ctx, time.Second)
				poke(s.more)
			}
		case <-tick.C:
			s.try(ctx, "write when Spaces were probed", s.touch)
			s.try(ctx, "read about machines", s.readMachines)
			if time.Since(tallied) >= tallyEvery && s.try(ctx, "write sums of answers", s.total) {
				tallied = time.Now()
			}
			if time.Since(rolled) >= rollEvery && s.o.Owner.Owns("monitor/prune") && s.try(ctx, "roll up days", s.rollUp) {
				rolled = time.Now()
			}
		}
	}
}

// try does something and logs that it failed, unless that is because the work ends.
func (s *Service) try(ctx context.Context, what string, f func(context.Context) error) bool {
	err := f(ctx)
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Error(what, "error", err)
	}
	return err == nil
}

// save writes what is pending; what could not be written waits again, before what came since.
func (s *Service) save(ctx context.Context) error {
	s.mu.Lock()
	before, pending := s.before, s.pending
	s.before, s.pending = nil, map[odcm.SpaceID]Change{}
	s.mu.Unlock()
	batch := slices.AppendSeq(before, maps.Values(pending))
	if len(batch) == 0 {
		return nil
	}
	changed, err := s.o.Store.Save(ctx, batch)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, c := range pending {
			if _, newer := s.pending[id]; newer {
				before = append(before, c)
			} else {
				s.pending[id] = c
			}
		}
		s.before = append(before, s.before...)
		return err
	}
	s.board.apply(changed)
	var topics []string
	for _, c := range changed {
		if !c.Quiet {
			topics = append(topics, "space/"+string(c.Space.ID))
		}
	}
	if len(topics) > 0 {
		s.o.Bus.Publish(topics...)
	}
	return nil
}

// touch writes when the Spaces of this replica were probed: one time for all, the oldest of them that is still fresh.
func (s *Service) touch(ctx context.Context) error {
	s.mu.Lock()
	var ids []odcm.SpaceID
	for _, w := range s.watches {
		if !w.busy && !w.last.checked.IsZero() {
			for _, sp := range w.target.Spaces {
				ids = append(ids, sp.ID)
			}
		}
	}
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	return s.o.Store.Touch(ctx, ids, s.now().Add(-s.o.Every))
}

// keepTally wants the lock held, and a target that is not busy or the goroutine that made it so.
func (s *Service) keepTally(w *watch) {
	n := w.sums
	if n.pings == 0 {
		return
	}
	for _, sp := range w.target.Spaces {
		s.tallies = append(s.tallies, Tally{Space: sp.ID, Day: n.day, Pings: int64(n.pings), Slow: int64(n.slow), Sum: n.took, Max: n.max})
	}
	w.sums = sums{day: n.day}
}

// total writes the sums of answers.
func (s *Service) total(ctx context.Context) error {
	s.mu.Lock()
	for _, w := range s.watches {
		if !w.busy {
			s.keepTally(w)
		}
	}
	tallies := s.tallies
	s.tallies = nil
	s.mu.Unlock()
	if len(tallies) == 0 {
		return nil
	}
	err := s.o.Store.Count(ctx, tallies)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tallies = append(s.tallies, tallies...)
	}
	return err
}

// readMachines asks what agents tell of the machines.
func (s *Service) readMachines(ctx context.Context) error {
	if s.o.Machines == nil {
		return nil
	}
	s.mu.Lock()
	ids := slices.Collect(maps.Keys(s.watches))
	s.mu.Unlock()
	found, err := s.o.Machines.Of(ctx, ids)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, m := range found {
		if w := s.watches[id]; w != nil && !w.busy {
			w.machine = &m
		}
	}
	return nil
}
