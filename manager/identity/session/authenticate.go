package session

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// Secret is what a request brought to prove who sent it. At most one of the two is set.
type Secret struct {
	Session string // from the cookie
	APIKey  string // from the header Authorization
}

// Authentication is who sent a request, and by which session where it was one.
type Authentication struct {
	Principal odcm.Principal
	Session   ID
}

// Authenticate tells who the secret belongs to: odcm.Unauthenticated "identity.not-signed-in" where it is missing, ended,
// revoked, or its user disabled.
func (s *Service) Authenticate(ctx context.Context, secret Secret, address string) (_ Authentication, err error) {
	now := s.now()
	text, kind := secret.Session, "session"
	if secret.APIKey != "" {
		text, kind = secret.APIKey, "api-key"
	}
	if !wellFormed(text, kind) { // nobody's: not worth a query
		return Authentication{}, person.NotSignedIn()
	}
	token := tokenOf(text)
	g, ok := s.cache.get(kind+token, now)
	if !ok {
		if g, err = s.look(ctx, kind, token, now); err != nil {
			return Authentication{}, err
		}
		s.cache.put(kind+token, g, now)
	}
	s.touch(ctx, kind+token, g, address, now)
	a := Authentication{Principal: g.user.Principal(kind, address), Session: g.session.ID}
	return a, nil
}

// look asks the database.
func (s *Service) look(ctx context.Context, kind, token string, now time.Time) (g grant, err error) {
	g.epoch = s.cache.now()
	if kind == "session" {
		g.session, g.user, err = s.store.SessionByToken(ctx, token)
		g.seen, g.until = g.session.Seen, earlier(g.session.Expires, g.session.Seen.Add(s.idle))
	} else {
		g.key, g.user, err = s.store.KeyByToken(ctx, token)
		g.seen, g.until = g.key.Used, g.key.Expires
	}
	switch {
	case odcm.KindOf(err) == odcm.NotFound:
		return grant{}, person.NotSignedIn()
	case err != nil:
		return grant{}, err
	case g.user.Disabled || !g.until.IsZero() && !now.Before(g.until):
		return grant{}, person.NotSignedIn()
	}
	return g, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// touch writes that the secret was used, at most once a minute. That it could not be written keeps nobody out.
func (s *Service) touch(ctx context.Context, entry string, g grant, address string, now time.Time) {
	if now.Sub(g.seen) < touchEvery || !s.cache.claim(entry, now) {
		return
	}
	var err error
	if g.session.ID != "" {
		err = s.store.TouchSession(ctx, g.session.ID, now, address)
	} else {
		err = s.store.TouchKey(ctx, g.key.ID, now)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("last use was not written", "error", err)
	}
}
