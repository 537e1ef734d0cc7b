package identity

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"odcm"
	"odcm/kit/signal"
)

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// Options are what a [Service] needs. Store, Bus and Authorizer are required.
type Options struct {
	Store      Store
	Bus        Bus
	Authorizer odcm.Authorizer

	Directories Directories // none if nil
	Groups      Groups      // what providers say of groups is dropped if nil
	Breached    Breached    // no list if nil

	Logger *slog.Logger     // slog.Default if nil
	Now    func() time.Time // time.Now if nil
	Cores  int              // half of them hash passwords; all of the machine's if zero

	IdleLife    time.Duration // a session not used for so long ends; 12 hours if zero
	SessionLife time.Duration // a session ends after this in any case; 7 days if zero
}

// Service is the room's door: every rule about users, sessions and API keys.
type Service struct {
	store   Store
	bus     Bus
	auth    odcm.Authorizer
	log     *slog.Logger
	clock   func() time.Time
	hashing *hashing
	cost    cost // of new password hashes
	cache   *cache
	failed  *rate.Limiter // bounds events of failed sign-ins

	directories Directories
	groups      Groups
	breached    Breached

	idle, life time.Duration
}

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	s := &Service{store: o.Store, bus: o.Bus, auth: o.Authorizer, log: o.Logger, clock: o.Now, cache: newCache(),
		cost: currentCost(), failed: rate.NewLimiter(1, 30), idle: o.IdleLife, life: o.SessionLife,
		directories: o.Directories, groups: o.Groups, breached: o.Breached}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if o.Cores == 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if s.idle == 0 {
		s.idle = 12 * time.Hour
	}
	if s.life == 0 {
		s.life = 7 * 24 * time.Hour
	}
	s.hashing = newHashing(o.Cores)
	return s
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// SessionLife is how long a session lasts at most; its cookie lasts as long.
func (s *Service) SessionLife() time.Duration { return s.life }

// Run forgets cached sessions and keys of users whom hints name (what Bus.Subscribe("user") gives), and deletes what
// has expired once an hour, until ctx ends or hints closes.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	const every = time.Hour
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t, ok := <-hints:
			if !ok {
				return nil
			}
			if id, ok := strings.CutPrefix(t, "user/"); ok {
				s.cache.forget(odcm.UserID(id))
			} else if t == signal.All {
				s.cache.forgetAll()
			}
		case <-tick.C:
			if err := s.Prune(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("prune sessions", "error", err)
			}
		}
	}
}

// Prune deletes ended sessions, keys that ended a month ago and forgotten failures. Replicas may do it at the same time.
func (s *Service) Prune(ctx context.Context) (err error) {
	defer odcm.Wrap(&err, "prune sessions and keys")
	now := s.now()
	return s.store.Prune(ctx, now, now.Add(-s.idle), now.AddDate(0, -1, 0), now.Add(-forgiveAfter))
}

// forget makes this and every other replica ask the database about the user again.
func (s *Service) forget(id odcm.UserID) {
	s.cache.forget(id)
	s.bus.Publish(topic(id))
}

// authorizeFor permits people what concerns themselves, and asks the authorizer about others.
func (s *Service) authorizeFor(ctx context.Context, p odcm.Principal, a odcm.Action, id odcm.UserID) error {
	if p.User != "" && p.User == id && id != Guest {
		return nil
	}
	return s.auth.Authorize(ctx, p, a, string(id))
}
