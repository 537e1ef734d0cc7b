package access

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"odcm"
	"odcm/kit/signal"
)

// Options are what a [Service] needs. All but the last two are required.
type Options struct {
	Store      Store
	Directory  Directory
	People     People
	Places     Places
	Authorizer odcm.Authorizer
	Bus        Bus

	Logger *slog.Logger     // slog.Default if nil
	Now    func() time.Time // time.Now if nil
}

// Service is the room's door. Run [Service.Run] beside it.
type Service struct {
	o   Options
	log *slog.Logger

	index  atomic.Pointer[Index]
	mu     sync.Mutex // who makes the next index
	dueAt  chan struct{}
	places placeCache

	listening sync.Mutex
	listeners map[*listener]struct{}
}

// New makes the service and reads what the store has.
func New(ctx context.Context, o Options) (_ *Service, err error) {
	defer odcm.Wrap(&err, "open access")
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{o: o, log: o.Logger.With("room", "access"), dueAt: make(chan struct{}, 1), listeners: map[*listener]struct{}{}}
	s.index.Store(newIndex())
	return s, s.Refresh(ctx)
}

// Now is the time as it is stored: UTC, in milliseconds.
func (s *Service) Now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Topics are the nouns whose hints [Service.Run] wants.
func Topics() []string { return []string{"grant", "group", "user", "spaces"} }

// Topic is the hint that grants or mappings of a Space changed.
func Topic(id odcm.SpaceID) string { return "grant/" + string(id) }

const (
	lookAgain = time.Minute            // how long a lost hint may go unnoticed
	gather    = 10 * time.Millisecond  // hints of so long are one look: a thousand may come at once
	settle    = 600 * time.Millisecond // after a hint about groups: who reads them may hear of it later than this room
)

// Run keeps the index up to date by hints (what Bus.Subscribe(Topics()...) gives) and ends grants when they expire, until
// ctx ends or hints closes.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var soon, settled <-chan time.Time
	moved := false // Spaces came, went or were renamed
	if s.index.Load().overdue {
		s.try(ctx, "end grants", s.endGrants)
	}
	for {
		due := time.NewTimer(s.untilDue())
		select {
		case <-ctx.Done():
		case <-s.dueAt: // another time is due
		case <-due.C:
			s.try(ctx, "end grants", s.endGrants)
		case <-tick.C:
			s.places.forget()
			s.look(ctx)
			if s.index.Load().overdue {
				s.try(ctx, "end grants", s.endGrants)
			}
		case <-soon:
			soon = nil
			s.look(ctx)
		case <-settled:
			settled = nil
			s.look(ctx)
			if moved {
				moved = false
				s.try(ctx, "forget Spaces", s.forgetGone)
			}
		case topic, ok := <-hints:
			if !ok {
				return nil
			}
			noun, _, _ := strings.Cut(topic, "/")
			if noun == "spaces" || topic == signal.All {
				s.places.forget()
				moved = true
			}
			if soon == nil {
				soon = time.After(gather)
			}
			if noun != "grant" {
				settled = time.After(settle)
			}
		}
		due.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (s *Service) look(ctx context.Context) { s.try(ctx, "refresh access", s.Refresh) }

// try logs what fails in the background; the next hint or look does it again.
func (s *Service) try(ctx context.Context, what string, f func(context.Context) error) {
	if err := f(ctx); err != nil && ctx.Err() == nil {
		s.log.Error(what, "error", err)
	}
}

// Refresh brings the index up to date with the store and the graph, and names the Spaces that this touches to those who
// listen. Where graph or store cannot be read the index stays as it is: a failed reading never lets anybody in or out.
func (s *Service) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.index.Load()
	graph, err := s.o.Directory.Graph(ctx)
	if err != nil {
		return err
	}
	revision, err := s.o.Store.Revision(ctx)
	if err != nil {
		return err
	}
	var contents []Content
	if revision != old.revision {
		if contents, revision, err = s.o.Store.Load(ctx, old.revision); err != nil {
			return err
		}
	}
	now := s.Now()
	if old.graph != nil && graph.Revision() == old.graph.Revision() && revision == old.revision && !old.isDue(now) {
		return nil
	}
	next, touched := old.next(graph, contents, revision, now)
	s.index.Store(next)
	if old.graph != nil { // at the start everybody looks at everything anyway
		s.tell(touched)
	}
	if !next.due.Equal(old.due) {
		select {
		case s.dueAt <- struct{}{}:
		default:
		}
	}
	return nil
}

// untilDue is how long to wait for the next grant that expires.
func (s *Service) untilDue() time.Duration {
	const never = 24 * time.Hour
	due := s.index.Load().due
	if due.IsZero() {
		return never
	}
	return min(never, max(0, due.Sub(s.o.Now())))
}

// endGrants marks what expired, each with its event, and takes it out of the index.
func (s *Service) endGrants(ctx context.Context) error {
	if err := s.Refresh(ctx); err != nil { // at once: the event may wait for the database, the grant may not
		return err
	}
	all, err := s.allPlaces(ctx)
	if err != nil {
		return err
	}
	names := Names{}
	for _, e := range s.index.Load().spaces {
		if e.overdue {
			if err := s.NameHolders(ctx, names, e.Grants...); err != nil {
				return err
			}
		}
	}
	const batch = 100
	for {
		ended, err := s.o.Store.EndGrants(ctx, s.Now(), batch, func(g Grant) odcm.Event {
			return all.named(g.Space).Event(odcm.System, "access.expired", g.Said(names), nil)
		})
		if err != nil {
			return err
		}
		for _, g := range ended {
			s.o.Bus.Publish(Topic(g.Space))
		}
		if len(ended) < batch {
			return s.Refresh(ctx)
		}
	}
}

// Committed makes a change that the store has count here before the caller is told, and hints to all replicas.
func (s *Service) Committed(ctx context.Context, space odcm.SpaceID) error {
	s.o.Bus.Publish(Topic(space))
	return s.Refresh(ctx)
}
