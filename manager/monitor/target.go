package monitor

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"odcm"
)

const (
	refreshEvery = 30 * time.Second
	refreshRest  = 500 * time.Millisecond // between two looks at least: hints come in crowds
	refreshShare = 20                     // and so many times as long as a look takes: with thousands of targets it takes a while
	refreshPause = 5 * time.Second        // but no longer: a look may have been slow for other reasons
	refreshAgain = time.Second            // after a look that failed
	touchEvery   = time.Minute
	// stale is how old the last look may be before the time since then counts as not watched.
	stale = 3 * touchEvery
)

// keepTargets brings the watches in line with the targets: on [Service.Refresh], when this replica's share changed, and every
// half minute.
func (s *Service) keepTargets(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := s.o.Owner.Changed()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.refresh:
		case <-changed:
		}
		began, next := time.Now(), refreshEvery
		if err := s.takeTargets(ctx); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("read what to monitor", "error", err)
			next = refreshAgain
		}
		pause(ctx, min(max(refreshRest, refreshShare*time.Since(began)), refreshPause))
		timer.Reset(next)
	}
}

// takeTargets starts to watch what is new here, and stops what is gone or watched by another replica.
func (s *Service) takeTargets(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "take targets")
	targets, err := s.o.Targets.Targets(ctx)
	if err != nil {
		return err
	}
	wanted, all := make(map[odcm.InstanceID]*Target, len(targets)), targetsByID{}
	for i, t := range targets {
		if s.quorum != nil {
			all[t.Instance] = t
		}
		if s.o.Owner.Owns(string(t.Instance)) {
			wanted[t.Instance] = &targets[i]
		}
	}
	stopped := s.part(wanted)
	dropped := s.dropped(stopped, targets)
	s.mu.Lock()
	s.all = all
	s.mu.Unlock()
	if len(dropped) > 0 {
		if err := s.o.Store.Forget(ctx, dropped, s.now()); err != nil {
			return err
		}
		s.board.drop(dropped)
	}
	started := make([]Target, 0, len(wanted))
	for _, t := range wanted {
		started = append(started, *t)
	}
	return s.start(ctx, started)
}

// part stops watches and returns their targets, and takes out of wanted what is watched already.
func (s *Service) part(wanted map[odcm.InstanceID]*Target) (stopped []Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, w := range s.watches {
		t, ok := wanted[id]
		if ok && t.Revision == w.target.Revision && t.URL == w.target.URL && slices.Equal(t.Spaces, w.target.Spaces) {
			delete(wanted, id)
			continue
		}
		stopped = append(stopped, w.target)
		w.gone = true
		delete(s.watches, id)
		s.slots[w.slot] = slices.DeleteFunc(s.slots[w.slot], func(other *watch) bool { return other == w })
		if w.busy {
			s.ending[id] = true
		} else {
			s.keepTally(w)
		}
		if !ok {
			s.o.Prober.Forget(id)
		}
	}
	return stopped
}

// dropped lists the Spaces of what was stopped that nobody watches any more.
func (s *Service) dropped(stopped, targets []Target) (ids []odcm.SpaceID) {
	if len(stopped) == 0 {
		return nil
	}
	watched := map[odcm.SpaceID]bool{}
	for _, t := range targets {
		for _, sp := range t.Spaces {
			watched[sp.ID] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range stopped {
		for _, sp := range t.Spaces {
			if !watched[sp.ID] {
				ids = append(ids, sp.ID)
				delete(s.pending, sp.ID)
			}
		}
	}
	return ids
}

// start watches targets, beginning with what the database knows of them.
func (s *Service) start(ctx context.Context, targets []Target) error {
	var ids []odcm.SpaceID
	for _, t := range targets {
		for _, sp := range t.Spaces {
			ids = append(ids, sp.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	stored, err := s.o.Store.HealthOf(ctx, ids)
	if err != nil {
		return err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range targets {
		if len(t.Spaces) == 0 {
			continue
		}
		was := stored[t.Spaces[0].ID]
		detail := was.Detail // without the rest
		w := &watch{target: t, slot: s.place(i, len(targets)), observation: observation{code: 200, detail: &detail}}
		w.last = known{was.Status, was.Reason, was.Since, was.Checked, w.detail}
		if was.Status == Offline {
			w.failed = errors.New("it was offline")
		}
		if was.Status != Unknown && now.Sub(was.Checked) > stale {
			w.last = known{Unknown, "ODCM did not watch.", was.Checked, was.Checked, w.detail}
			s.pend(w, Change{Health: w.last.health()})
		}
		for _, sp := range t.Spaces { // a Space that is new on a known instance has nothing recorded yet
			if _, ok := stored[sp.ID]; !ok {
				w.last = known{detail: w.detail}
			}
		}
		s.watches[t.Instance] = w
		s.slots[w.slot] = append(s.slots[w.slot], w)
	}
	s.looks.SetLimit(rate.Limit(max(looksAtLeast, 2*float64(len(s.watches))/s.o.InspectEvery.Seconds())))
	return nil
}

// pingForOthers looks at a server that another replica watches.
func (s *Service) pingForOthers(ctx context.Context, id odcm.InstanceID) (up, known bool) {
	s.mu.Lock()
	t, known := s.all[id]
	mine := s.watches[id] != nil
	s.mu.Unlock()
	if !known {
		return false, false
	}
	_, err := s.o.Prober.Ping(ctx, t)
	if !mine {
		s.o.Prober.Forget(id)
	}
	return err == nil, true
}
