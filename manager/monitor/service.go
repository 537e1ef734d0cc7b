package monitor

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm"
)

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// Access knows which Spaces a principal may see: their health is told to nobody else.
type Access interface {
	// Find returns the Space that ref names, by identifier or slug; NotFound where there is none that the principal may see.
	Find(ctx context.Context, p odcm.Principal, ref string) (odcm.SpaceID, error)
	// Reach tells whether the principal may see all Spaces, and which where not.
	Reach(ctx context.Context, p odcm.Principal) (all bool, these []odcm.SpaceID, err error)
}

// Options are what a [Service] needs. Store, Prober, Targets, Owner, Bus, Authorizer and Access are required.
type Options struct {
	Store      Store
	Prober     Prober
	Targets    Targets
	Owner      Owner
	Bus        Bus
	Authorizer odcm.Authorizer
	Access     Access
	Logger     *slog.Logger     // slog.Default if nil
	Now        func() time.Time // time.Now if nil

	Every          time.Duration // between two pings of a target; 10 s if zero
	Timeout        time.Duration // of a ping; a quarter of Every if zero, so that two of them and the wait stay within 1.5 x Every
	InspectEvery   time.Duration // between two looks at what a server says of itself; 60 s if zero
	InspectTimeout time.Duration // of one; 20 s if zero
	Retention      time.Duration // of the history; 400 days if zero
}

// Service is the room's door.
type Service struct {
	o    Options
	seed maphash.Seed

	mu      sync.Mutex
	watches map[odcm.InstanceID]*watch
	slots   [][]*watch // by when in the interval they are due, a burst apart
	pending map[odcm.SpaceID]Change
	before  []Change      // to be written before pending
	more    chan struct{} // something is pending
	refresh chan struct{} // the targets may have changed
	probes  sync.WaitGroup

	board board
}

// burst is how far apart two sendings of due probes are.
const burst = 100 * time.Millisecond

const (
	refreshEvery = 30 * time.Second
	refreshRest  = 500 * time.Millisecond // between two looks: hints come in crowds
	touchEvery   = time.Minute
	// stale is how old the last look may be before the time since then counts as not watched.
	stale = 3 * touchEvery
)

// New makes the service. It does nothing until [Service.Run].
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Every = or(o.Every, 10*time.Second)
	o.Timeout = or(o.Timeout, o.Every/4)
	o.InspectEvery = or(o.InspectEvery, time.Minute)
	o.InspectTimeout = or(o.InspectTimeout, 20*time.Second)
	o.Retention = or(o.Retention, 400*24*time.Hour)
	return &Service{
		o: o, seed: maphash.MakeSeed(), watches: map[odcm.InstanceID]*watch{}, slots: make([][]*watch, max(1, o.Every/burst)),
		pending: map[odcm.SpaceID]Change{}, more: make(chan struct{}, 1), refresh: make(chan struct{}, 1),
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func asError(err error) (e *odcm.Error, ok bool) { return e, errors.As(err, &e) }

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Refresh makes the service look at its targets again soon.
func (s *Service) Refresh() {
	select {
	case s.refresh <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends. Hints are what Bus.Subscribe("space") gives: each is a reason to look again.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follow(ctx, hints) })
	g.Go(func() error { return s.schedule(ctx) })
	g.Go(func() error { return s.write(ctx) })
	g.Go(func() error { return s.keepTargets(ctx) })
	err := g.Wait()
	s.probes.Wait()
	return err
}

// follow passes hints on.
func (s *Service) follow(ctx context.Context, hints <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-hints:
			if !ok {
				<-ctx.Done()
				return ctx.Err()
			}
			s.board.forget()
			s.Refresh()
		}
	}
}

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
		if err := s.takeTargets(ctx); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("read what to monitor", "error", err)
		}
		pause(ctx, refreshRest)
		timer.Reset(refreshEvery)
	}
}

// takeTargets starts to watch what is new here, and stops what is gone or watched by another replica.
func (s *Service) takeTargets(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "take targets")
	targets, err := s.o.Targets.Targets(ctx)
	if err != nil {
		return err
	}
	wanted := map[odcm.InstanceID]Target{}
	spaces := map[odcm.SpaceID]bool{}
	for _, t := range targets {
		for _, sp := range t.Spaces {
			spaces[sp.ID] = true
		}
		if s.o.Owner.Owns(string(t.Instance)) {
			wanted[t.Instance] = t
		}
	}
	started, dropped := s.part(wanted, spaces)
	if len(dropped) > 0 {
		if err := s.o.Store.Forget(ctx, dropped); err != nil {
			return err
		}
	}
	return s.start(ctx, started)
}

// part stops watches and returns the targets that are to be started, and the Spaces that nobody watches any more.
func (s *Service) part(wanted map[odcm.InstanceID]Target, spaces map[odcm.SpaceID]bool) (started []Target, dropped []odcm.SpaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, w := range s.watches {
		for _, sp := range w.target.Spaces {
			if !spaces[sp.ID] {
				dropped = append(dropped, sp.ID)
				delete(s.pending, sp.ID)
			}
		}
		t, ok := wanted[id]
		if ok && t.Revision == w.target.Revision && t.URL == w.target.URL && slices.Equal(t.Spaces, w.target.Spaces) {
			delete(wanted, id)
			continue
		}
		w.gone = true
		delete(s.watches, id)
		s.slots[w.slot] = slices.DeleteFunc(s.slots[w.slot], func(other *watch) bool { return other == w })
		s.o.Prober.Forget(id)
	}
	return slices.Collect(maps.Values(wanted)), dropped
}

// start watches targets, beginning with what the database knows of them. The first probe is due at once, spread over the
// bursts of two seconds so that a start with thousands of targets is no storm.
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
	known, err := s.o.Store.HealthOf(ctx, ids)
	if err != nil {
		return err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range targets {
		if len(t.Spaces) == 0 {
			continue
		}
		w := &watch{target: t, health: known[t.Spaces[0].ID], slot: int(maphash.String(s.seed, string(t.Instance)) % uint64(len(s.slots)))}
		w.detail = w.health.Detail
		if w.health.Status == Offline {
			w.failed = errors.New("it was offline")
		}
		w.pong.Code = 200
		if checked := w.health.Checked; w.health.Status != Unknown && now.Sub(checked) > stale {
			w.health = Health{Status: Unknown, Reason: "ODCM did not watch.", Since: checked, Checked: checked, Detail: w.detail}
			s.pend(w, w.health)
		}
		for _, sp := range t.Spaces { // a Space that is new on a known instance has nothing recorded yet
			if _, ok := known[sp.ID]; !ok {
				w.health = Health{}
			}
		}
		s.watches[t.Instance] = w
		s.slots[w.slot] = append(s.slots[w.slot], w)
		w.busy = true
		s.probes.Go(func() {
			pause(ctx, time.Duration(w.slot%20)*burst)
			s.finish(ctx, w)
		})
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// schedule sends what is due, burst by burst.
func (s *Service) schedule(ctx context.Context) error {
	tick := time.NewTicker(burst)
	defer tick.Stop()
	for at := 0; ; at = (at + 1) % len(s.slots) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			s.send(ctx, at)
		}
	}
}

// send starts the probes of one slot. A target whose last probe still runs is left out.
func (s *Service) send(ctx context.Context, slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.slots[slot] {
		if w.busy || !s.o.Owner.Owns(string(w.target.Instance)) {
			continue
		}
		w.busy = true
		s.probes.Go(func() { s.finish(ctx, w) })
	}
}

func (s *Service) finish(ctx context.Context, w *watch) {
	s.probe(ctx, w)
	s.mu.Lock()
	w.busy = false
	s.mu.Unlock()
}
