package logout

import (
	"context"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/manager/sso"
)

// Logout is a logout token that is to be delivered.
type Logout struct {
	ID       string
	Party    sso.PartyID
	User     odcm.UserID
	Session  string
	Attempts int // so far, this one included
	Expires  time.Time
}

// Store keeps logout tokens, which the end of grants puts there.
type Store interface {
	// Logouts takes some that are due and hides them until the time given; next is when another will be due.
	Logouts(ctx context.Context, at, hide time.Time, limit int) (due []Logout, next time.Time, err error)
	// RetryLogout and EndLogout say how a delivery went.
	RetryLogout(ctx context.Context, id string, at time.Time) error
	EndLogout(ctx context.Context, id string, e *odcm.Event) error
}

// retries say how long after each attempt the next one is made; after the last the relying party stays untold, and an event
// says so.
var retries = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}

// Run delivers logout tokens until ctx ends or hints (what Bus.Subscribe(sso.TopicLogout) gives) closes. Replicas may all run it.
func (s *Service) Run(ctx context.Context, hints <-chan string) error {
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-hints:
			if !ok {
				return nil
			}
			due.Reset(0)
		case <-due.C:
			if next := s.deliverDue(ctx); !next.IsZero() {
				due.Reset(max(0, next.Sub(s.now())))
			}
		}
	}
}

// deliverDue delivers what is due, some at once, and returns when to look again.
func (s *Service) deliverDue(ctx context.Context) (next time.Time) {
	const together, within = 16, 30 * time.Second
	due, next, err := s.o.Store.Logouts(ctx, s.now(), s.now().Add(2*within), together)
	if err != nil {
		if ctx.Err() == nil {
			s.o.Logger.ErrorContext(ctx, "logout tokens", "error", err)
		}
		return s.now().Add(within)
	}
	var all sync.WaitGroup
	for _, l := range due {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			s.deliver(ctx, l)
		})
	}
	all.Wait()
	if len(due) == together {
		return s.now()
	}
	for _, l := range due { // those that failed come back sooner than what was known before
		if l.Attempts <= len(retries) {
			if again := s.now().Add(retries[l.Attempts-1]); next.IsZero() || again.Before(next) {
				next = again
			}
		}
	}
	return next
}

// deliver sends one logout token and writes how it went.
func (s *Service) deliver(ctx context.Context, l Logout) {
	p, err := s.o.Provider.Lookup(ctx, l.Party)
	if odcm.KindOf(err) == odcm.NotFound || err == nil && p.LogoutURI == "" {
		s.ended(ctx, l, nil)
		return
	}
	var token string
	if err == nil {
		now := s.now()
		token, err = s.o.Keys.Sign(ctx, p.Algorithm, "logout+jwt", &oidc.LogoutTokenClaims{
			Issuer: s.o.Provider.Issuer(), Subject: string(l.User), Audience: oidc.Audience{string(l.Party)}, SessionID: l.Session, JWTID: odcm.NewID[string]("logout"),
			IssuedAt: oidc.FromTime(now), Expiration: oidc.FromTime(now.Add(2 * time.Minute)),
			Events: map[string]any{"http://schemas.openid.net/event/backchannel-logout": struct{}{}},
		})
	}
	if err == nil {
		err = s.o.Backchannel.Deliver(ctx, p.LogoutURI, token)
	}
	switch {
	case err == nil:
		s.ended(ctx, l, nil)
	case l.Attempts > len(retries):
		e := odcm.NewEvent(odcm.System, "party.logout-undelivered", string(l.Party), p.Name, nil, map[string]string{"user": string(l.User)})
		s.ended(ctx, l, &e)
	default:
		s.o.Logger.WarnContext(ctx, "a relying party was not told that somebody signed out", "party", l.Party, "attempt", l.Attempts, "error", err)
		if err := s.o.Store.RetryLogout(context.WithoutCancel(ctx), l.ID, s.now().Add(retries[l.Attempts-1])); err != nil {
			s.o.Logger.ErrorContext(ctx, "logout token", "error", err)
		}
	}
}

func (s *Service) ended(ctx context.Context, l Logout, e *odcm.Event) {
	if err := s.o.Store.EndLogout(context.WithoutCancel(ctx), l.ID, e); err != nil {
		s.o.Logger.ErrorContext(ctx, "logout token", "error", err)
	}
}
