package monitor

import (
	"context"
	"maps"
	"slices"
	"time"

	"odcm"
)

// record queues the health of the target's Spaces to be written.
func (s *Service) record(w *watch, h Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.gone {
		s.pend(w, h)
	}
}

// pend queues under the lock. A Space that was not watched for a while gets that into its history first: what comes next
// waits in the same place and is written after it.
func (s *Service) pend(w *watch, h Health) {
	for _, sp := range w.target.Spaces {
		if old, ok := s.pending[sp.ID]; ok && old.Health.Status == Unknown && h.Status != Unknown {
			s.before = append(s.before, old)
		}
		s.pending[sp.ID] = Change{sp, h}
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// gather is how long a change waits for others to share its transaction: what falls together is often thousands.
const gather = 20 * time.Millisecond

// write commits what is pending, all that came together in one transaction, and once a minute the time of the last looks.
func (s *Service) write(ctx context.Context) error {
	tick := time.NewTicker(touchEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.save(last); err != nil {
				s.o.Logger.Error("write the last statuses", "error", err)
			}
			return ctx.Err()
		case <-s.more:
			pause(ctx, gather)
			if err := s.save(ctx); err != nil && ctx.Err() == nil {
				s.o.Logger.Error("write statuses", "error", err)
				pause(ctx, time.Second)
				s.wake()
			}
		case now := <-tick.C:
			if err := s.touch(ctx); err != nil && ctx.Err() == nil {
				s.o.Logger.Error("write when Spaces were probed", "error", err)
			}
			if now.Sub(pruned) > 24*time.Hour && s.o.Owner.Owns("monitor/prune") {
				pruned = now
				if err := s.o.Store.Prune(ctx, s.now().Add(-s.o.Retention)); err != nil && ctx.Err() == nil {
					s.o.Logger.Error("delete old history", "error", err)
				}
			}
		}
	}
}

func (s *Service) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// save writes what is pending; what could not be written waits again, unless something newer waits already.
func (s *Service) save(ctx context.Context) (err error) {
	s.mu.Lock()
	before, pending := s.before, s.pending
	s.before, s.pending = nil, map[odcm.SpaceID]Change{}
	s.mu.Unlock()
	defer func() {
		if err == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.before = append(before, s.before...)
		for id, c := range pending {
			if _, ok := s.pending[id]; !ok {
				s.pending[id] = c
			}
		}
	}()
	for _, batch := range [][]Change{before, slices.Collect(maps.Values(pending))} {
		if len(batch) == 0 {
			continue
		}
		changed, err := s.o.Store.Save(ctx, batch)
		if err != nil {
			return err
		}
		if before = nil; len(changed) == 0 {
			continue
		}
		topics := make([]string, len(changed))
		for i, id := range changed {
			topics[i] = "space/" + string(id)
		}
		s.board.forget()
		s.o.Bus.Publish(topics...)
	}
	return nil
}

// touch writes when the Spaces of this replica were probed: one time for all, the oldest of them that is still fresh.
func (s *Service) touch(ctx context.Context) error {
	s.mu.Lock()
	var ids []odcm.SpaceID
	for _, w := range s.watches {
		if !w.busy && !w.health.Checked.IsZero() {
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
