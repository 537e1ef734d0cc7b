package sso

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"odcm"
)

// Lives of what is given out.
const (
	codeLife    = time.Minute
	accessLife  = time.Hour
	idLife      = time.Hour
	refreshLife = 30 * 24 * time.Hour // of a whole family
	ticketLife  = 10 * time.Minute    // of a page that asks for consent or to sign out
	skew        = time.Minute         // by which clocks of others may differ
)

// Options are what a [Service] needs. Logger and Now have defaults; Backchannel may be nil where nothing is delivered.
type Options struct {
	Store       Store
	Keys        Keys
	People      People
	Access      Access
	Authorizer  odcm.Authorizer
	Bus         Bus
	Backchannel Backchannel
	Entrants    Entrants      // nil: Spaces get no snapshots of entitlements
	Issuer      func() string // ODCM's public URL, without a path
	Logger      *slog.Logger
	Now         func() time.Time
}

// Service holds the rules of the OpenID Provider.
type Service struct {
	o        Options
	parties  *memo[PartyID, registered]
	people   *memo[odcm.UserID, Person]
	sessions *memo[string, Session]
	refusals *rate.Limiter // bounds events about requests that were refused: anybody may cause them
	tries    tries
	due      chan struct{} // a logout token waits
}

// registered is a relying party with what proves that it is.
type registered struct {
	Party
	Secrets
}

// New makes the service. Run [Service.Run] beside it.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{o: o, parties: newMemo[PartyID, registered](), people: newMemo[odcm.UserID, Person](), sessions: newMemo[string, Session](),
		refusals: rate.NewLimiter(1, 30), due: make(chan struct{}, 1)}
}

// now is the time as it is stored: UTC, in milliseconds.
func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Issuer is what stands as iss in every token.
func (s *Service) Issuer() string { return s.o.Issuer() }

// party returns a relying party for a request of the protocol.
func (s *Service) party(ctx context.Context, id PartyID) (registered, error) {
	return s.parties.get(id, s.now(), func() (registered, error) {
		p, secrets, err := s.o.Store.Party(ctx, id)
		return registered{p, secrets}, err
	})
}

// person returns who may stand in a token, and [odcm.Denied] for one who is disabled or gone.
func (s *Service) person(ctx context.Context, id odcm.UserID) (Person, error) {
	p, err := s.people.get(id, s.now(), func() (Person, error) { return s.o.People.Person(ctx, id) })
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.Disabled {
		return p, odcm.E(odcm.Denied, "sso.user-disabled", "This account is disabled: ask an administrator.")
	}
	return p, err
}

// session returns a session of ODCM, [odcm.NotFound] for one that has ended.
func (s *Service) session(ctx context.Context, id string) (Session, error) {
	found, err := s.sessions.get(id, s.now(), func() (Session, error) { return s.o.People.Session(ctx, id) })
	if err == nil && !s.now().Before(found.Expires) {
		err = odcm.E(odcm.NotFound, "sso.session-ended", "The session has ended.")
	}
	return found, err
}

// refused writes that a request was refused for a reason that an administrator should know of.
func (s *Service) refused(ctx context.Context, party PartyID, user odcm.UserID, reason string) {
	s.o.Logger.InfoContext(ctx, "sign-on refused", "party", party, "user", user, "reason", reason)
	if !s.refusals.AllowN(s.now(), 1) {
		return
	}
	who := odcm.Principal{User: user, Via: "sso"}
	if err := s.o.Store.Record(ctx, odcm.NewEvent(who, "party.refused", string(party), "", nil, map[string]string{"reason": reason})); err != nil {
		s.o.Logger.WarnContext(ctx, "a refusal was not written", "error", err)
	}
}

// memoLife is how long an answer of the database is believed where no hint says otherwise, memoSize how many are kept; past it
// all are forgotten at once, which costs a query each.
const (
	memoLife = 5 * time.Second
	memoSize = 10_000
)

// memo remembers what the database answered for a few seconds. An answer that was read before a change and arrives after its
// hint is not kept: forgets tells.
type memo[K comparable, V any] struct {
	mu      sync.RWMutex
	known   map[K]known[V]
	forgets uint64
}

type known[V any] struct {
	value V
	until time.Time
}

func newMemo[K comparable, V any]() *memo[K, V] { return &memo[K, V]{known: map[K]known[V]{}} }

func (m *memo[K, V]) get(k K, now time.Time, load func() (V, error)) (V, error) {
	m.mu.RLock()
	have, ok := m.known[k]
	epoch := m.forgets
	m.mu.RUnlock()
	if ok && now.Before(have.until) {
		return have.value, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if epoch == m.forgets {
		if len(m.known) >= memoSize {
			clear(m.known)
		}
		m.known[k] = known[V]{v, now.Add(memoLife)}
	}
	return v, nil
}

func (m *memo[K, V]) forget(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	delete(m.known, k)
}

func (m *memo[K, V]) forgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	clear(m.known)
}
