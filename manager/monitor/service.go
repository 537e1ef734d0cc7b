package monitor

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"odcm"
)

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// TopicVantage is what the bus says when replicas ask each other whether they reach a server.
const TopicVantage = "vantage"

// Topics are the nouns whose hints [Service.Run] wants.
func Topics() []string { return []string{"space", TopicVantage} }

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
	Ballots    Ballots          // where there may be several replicas; nil where there is one
	Vantages   Vantages         // other places to look from; nil if none
	Machines   Machines         // nil where no agents are
	Replica    string           // its name among the replicas; "This replica" if empty
	Logger     *slog.Logger     // slog.Default if nil
	Now        func() time.Time // time.Now if nil

	Every          time.Duration // between two pings of a target; 10 s if zero
	Timeout        time.Duration // of a probe, the second ping included that confirms a first one that failed; half of Every if zero
	InspectEvery   time.Duration // between two looks at what a server says of itself; 60 s if zero
	InspectTimeout time.Duration // of one; 20 s if zero
	Retention      time.Duration // of single changes; 400 days if zero. Sums of days stay for three years
}

// Service is the room's door.
type Service struct {
	o      Options
	quorum *quorum // nil without ballots
	meter  *meter
	board  board
	looks  *rate.Limiter // of inspections begun

	mu      sync.Mutex
	watches map[odcm.InstanceID]*watch
	ending  map[odcm.InstanceID]bool // a probe runs of what is not watched any more, or watched anew
	slots   [][]*watch               // by when in the interval they are due, a burst apart
	origin  time.Time                // when slot 0 was due first
	urgent  []*watch                 // to be probed as soon as there is a place
	running int                      // urgent probes under way
	looking int                      // targets that are asked about themselves
	all     targetsByID              // all that is watched anywhere, where other replicas may ask about it
	refresh chan struct{}            // the targets may have changed
	probes  sync.WaitGroup

	pending map[odcm.SpaceID]Change
	before  []Change      // to be written before pending
	more    chan struct{} // something is pending
	tallies []Tally       // of days that are over and of targets that are gone
}

type targetsByID map[odcm.InstanceID]Target

// New makes the service. It does nothing until [Service.Run].
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Replica == "" {
		o.Replica = "This replica"
	}
	o.Every = or(o.Every, 10*time.Second)
	o.Timeout = or(o.Timeout, o.Every/2)
	o.InspectEvery = or(o.InspectEvery, time.Minute)
	o.InspectTimeout = or(o.InspectTimeout, 20*time.Second)
	o.Retention = or(o.Retention, 400*24*time.Hour)
	s := &Service{
		o: o, meter: newMeter(), looks: rate.NewLimiter(looksAtLeast, looksBurst), watches: map[odcm.InstanceID]*watch{}, ending: map[odcm.InstanceID]bool{},
		slots: make([][]*watch, max(1, o.Every/burst)), origin: time.Now(),
		pending: map[odcm.SpaceID]Change{}, more: make(chan struct{}, 1), refresh: make(chan struct{}, 1),
	}
	if o.Ballots != nil {
		s.quorum = newQuorum(o, s.pingForOthers)
	}
	return s
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
func (s *Service) Refresh() { poke(s.refresh) }

// Run watches until ctx ends. Hints are what Bus.Subscribe gives for [Topics]: each is a reason to look again.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follow(ctx, hints) })
	g.Go(func() error { return s.schedule(ctx) })
	g.Go(func() error { return s.write(ctx) })
	g.Go(func() error { return s.keepTargets(ctx) })
	g.Go(func() error { return s.o.Prober.Watch(ctx, func(id odcm.InstanceID) { s.lost(ctx, id) }) })
	if s.quorum != nil {
		g.Go(func() error { return s.quorum.run(ctx) })
	}
	return g.Wait()
}

// follow passes hints on.
func (s *Service) follow(ctx context.Context, hints <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				<-ctx.Done()
				return ctx.Err()
			}
			noun, id, _ := strings.Cut(topic, "/")
			if s.quorum != nil {
				poke(s.quorum.hint)
			}
			if noun == TopicVantage {
				continue
			}
			s.board.hint(odcm.SpaceID(id))
			s.Refresh()
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
