package session

import (
	"log/slog"
	"strings"
	"time"

	"odcm"
	"odcm/kit/signal"
)

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// Options are what a [Service] needs, all of them.
type Options struct {
	Store      Store
	Bus        Bus
	Authorizer odcm.Authorizer
	Logger     *slog.Logger
	Now        func() time.Time // in UTC and whole milliseconds, as it is stored
	Idle, Life time.Duration    // a session not used for so long ends; it ends after this in any case
}

// Service is every rule about sessions and API keys.
type Service struct {
	store      Store
	bus        Bus
	auth       odcm.Authorizer
	log        *slog.Logger
	now        func() time.Time
	cache      *cache
	idle, life time.Duration
}

// New makes the service, and the right to issue what it knows again. Pass the service the hints about users ([Service.Heed]).
func New(o Options) (*Service, *Issuer) {
	s := &Service{store: o.Store, bus: o.Bus, auth: o.Authorizer, log: o.Logger, now: o.Now, cache: newCache(), idle: o.Idle, life: o.Life}
	return s, &Issuer{s}
}

// SessionLife is how long a session lasts at most; its cookie lasts as long.
func (s *Service) SessionLife() time.Duration { return s.life }

// Forget makes this and every other replica ask the database about the user again.
func (s *Service) Forget(id odcm.UserID) {
	s.cache.forget(id)
	s.bus.Publish(topic(id))
}

// Heed forgets whom a hint of the bus names.
func (s *Service) Heed(hint string) {
	if id, ok := strings.CutPrefix(hint, topic("")); ok {
		s.cache.forget(odcm.UserID(id))
	} else if hint == signal.All {
		s.cache.forgetAll()
	}
}

// topic is where changes of a user are hinted on the bus.
func topic(id odcm.UserID) string { return "user/" + string(id) }
