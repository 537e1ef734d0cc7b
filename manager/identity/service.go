package identity

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/time/rate"

	"odcm"
	"odcm/manager/identity/password"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Options are what a [Service] needs. Store, Bus and Authorizer are required.
type Options struct {
	Store      Store
	Bus        session.Bus
	Authorizer odcm.Authorizer

	Directories Directories       // none if nil
	Groups      Groups            // what providers say of groups is dropped if nil
	Breached    password.Breached // no list if nil

	Logger *slog.Logger     // slog.Default if nil
	Now    func() time.Time // time.Now if nil
	Cores  int              // half of them hash passwords; all of the machine's if zero

	IdleLife    time.Duration // a session not used for so long ends; 12 hours if zero
	SessionLife time.Duration // a session ends after this in any case; 7 days if zero
}

// Directories checks a username and a password with every provider that can. Package provider fills it.
type Directories interface {
	// Verify returns odcm.Unauthenticated "identity.sign-in-failed" where no provider knows the two, odcm.Unavailable where
	// one that might could not be asked.
	Verify(ctx context.Context, username, password string) (person.Assertion, error)
}

// Groups takes what a provider says a person's groups are. Package group fills it.
type Groups interface {
	// Assert replaces the person's memberships in groups of this provider, and of no other.
	Assert(ctx context.Context, user odcm.UserID, provider odcm.ProviderID, groups []person.ExternalGroup) error
}

// Service is the room's door: every rule about users, and with [session.Service] about their sessions and API keys.
type Service struct {
	*session.Service
	issuer    *session.Issuer
	passwords *password.Keeper

	store  Store
	auth   odcm.Authorizer
	log    *slog.Logger
	clock  func() time.Time
	idle   time.Duration
	failed *rate.Limiter // bounds events of failed sign-ins

	directories Directories
	groups      Groups
}

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cores == 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.IdleLife == 0 {
		o.IdleLife = 12 * time.Hour
	}
	if o.SessionLife == 0 {
		o.SessionLife = 7 * 24 * time.Hour
	}
	s := &Service{store: o.Store, auth: o.Authorizer, log: o.Logger, clock: o.Now, idle: o.IdleLife, failed: rate.NewLimiter(1, 30),
		directories: o.Directories, groups: o.Groups}
	s.Service, s.issuer = session.New(session.Options{Store: o.Store, Bus: o.Bus, Authorizer: o.Authorizer, Logger: o.Logger, Now: s.now,
		Idle: o.IdleLife, Life: o.SessionLife})
	s.passwords = password.New(password.Options{Failures: o.Store, Breached: o.Breached, Logger: o.Logger, Now: s.now, Cores: o.Cores})
	return s
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

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
			s.Heed(t)
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
	return s.store.Prune(ctx, now, now.Add(-s.idle), now.AddDate(0, -1, 0), now.Add(-password.ForgiveAfter))
}
