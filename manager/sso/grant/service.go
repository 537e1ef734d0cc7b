package grant

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"odcm"
	"odcm/manager/sso"
)

// Lives of what is given out.
const (
	codeLife    = time.Minute
	accessLife  = time.Hour
	idLife      = time.Hour
	refreshLife = 30 * 24 * time.Hour // of a whole family
	ticketLife  = 10 * time.Minute    // of a page that asks for consent
)

// Options are what a [Service] needs. Logger and Now have defaults.
type Options struct {
	Store      Store
	Keys       sso.Keys
	People     sso.People
	Access     sso.Access
	Authorizer odcm.Authorizer
	Bus        sso.Bus
	Entrants   sso.Entrants  // nil: Spaces get no snapshots of entitlements
	Issuer     func() string // ODCM's public URL, without a path
	Logger     *slog.Logger
	Now        func() time.Time
}

// Service holds the rules of the OpenID Provider, for the relying parties of its registry.
type Service struct {
	*sso.Registry
	o        Options
	people   *sso.Memo[odcm.UserID, sso.Person]
	sessions *sso.Memo[string, sso.Session]
}

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	registry := sso.NewRegistry(sso.RegistryOptions{Store: o.Store, Authorizer: o.Authorizer, Bus: o.Bus, Issuer: o.Issuer, Logger: o.Logger, Now: o.Now})
	return &Service{Registry: registry, o: o, people: sso.NewMemo[odcm.UserID, sso.Person](), sessions: sso.NewMemo[string, sso.Session]()}
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// person returns who may stand in a token, and [odcm.Denied] for one who is disabled or gone.
func (s *Service) person(ctx context.Context, id odcm.UserID) (sso.Person, error) {
	p, err := s.people.Get(id, s.now(), func() (sso.Person, error) { return s.o.People.Person(ctx, id) })
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.Disabled {
		return p, odcm.E(odcm.Denied, "sso.user-disabled", "This account is disabled: ask an administrator.")
	}
	return p, err
}

// Session returns a session of ODCM, [odcm.NotFound] for one that has ended.
func (s *Service) Session(ctx context.Context, id string) (sso.Session, error) {
	found, err := s.sessions.Get(id, s.now(), func() (sso.Session, error) { return s.o.People.Session(ctx, id) })
	if err == nil && !s.now().Before(found.Expires) {
		err = odcm.E(odcm.NotFound, "sso.session-ended", "The session has ended.")
	}
	return found, err
}

// Run drops what hints name from memory (what Bus.Subscribe("party", "user") gives), and deletes hourly what has expired, until
// ctx ends or hints closes. Replicas may all run it.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	prune := time.NewTicker(time.Hour)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case topic, ok := <-hints:
			if !ok {
				return nil
			}
			s.heard(topic)
		case <-prune.C:
			if err := s.o.Store.Prune(ctx, s.now()); err != nil && ctx.Err() == nil {
				s.o.Logger.ErrorContext(ctx, "prune grants", "error", err)
			}
		}
	}
}

// heard acts on a hint.
func (s *Service) heard(topic string) {
	if id, ok := strings.CutPrefix(topic, "party/"); ok {
		s.ForgetParty(sso.PartyID(id))
	} else if id, ok := strings.CutPrefix(topic, "user/"); ok {
		s.people.Forget(odcm.UserID(id))
		s.sessions.ForgetAll()
	} else { // all: hints may have been lost
		s.ForgetParties()
		s.people.ForgetAll()
		s.sessions.ForgetAll()
	}
}
