package identity

import (
	"context"
	"sync"
	"time"

	"odcm"
)

// Secret is what a request brought to prove who sent it. At most one of the two is set.
type Secret struct {
	Session string // from the cookie
	APIKey  string // from the header Authorization
}

// Authentication is who sent a request, and by which session where it was one.
type Authentication struct {
	Principal odcm.Principal
	Session   SessionID
}

// Bounds of an API key's length: operators may set one of their own making.
const (
	minKey = 16
	maxKey = 256
)

// cacheFor is how long an answer is believed where no hint says otherwise.
const cacheFor = 5 * time.Second

// Authenticate tells who the secret belongs to: odcm.Unauthenticated "identity.not-signed-in" where it is missing, ended,
// revoked, or its user disabled.
func (s *Service) Authenticate(ctx context.Context, secret Secret, address string) (_ Authentication, err error) {
	now := s.now()
	text, kind := secret.Session, "session"
	if secret.APIKey != "" {
		text, kind = secret.APIKey, "api-key"
	}
	if !wellFormed(text, kind) { // nobody's: not worth a query
		return Authentication{}, notSignedIn()
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
	a := Authentication{Principal: principal(g.user, kind, address), Session: g.session.ID}
	return a, nil
}

func notSignedIn() error {
	return odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "Sign in, or send an API key as \"Authorization: Bearer odcm_...\".")
}

func wellFormed(text, kind string) bool {
	if kind == "session" && len(text) != secretLength || len(text) < minKey || len(text) > maxKey {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
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
		return grant{}, notSignedIn()
	case err != nil:
		return grant{}, err
	case g.user.Disabled || !g.until.IsZero() && !now.Before(g.until):
		return grant{}, notSignedIn()
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

// grant is a cached answer: the user that a secret stands for.
type grant struct {
	user    User
	session Session // of one of these two the identifier is set
	key     APIKey
	seen    time.Time // as stored
	until   time.Time // the secret's end; zero: none
	fresh   time.Time // believed until then
	epoch   uint64    // of the cache when the database was asked
}

// cache remembers who secrets belong to, for a few seconds. An answer that was read before a revocation and arrives after
// it is not kept: epoch tells.
type cache struct {
	mu      sync.RWMutex
	grants  map[string]grant
	forgets uint64
}

// cacheSize bounds the cache; past it everything is forgotten at once, which costs a query each.
const cacheSize = 10_000

func newCache() *cache { return &cache{grants: map[string]grant{}} }

func (c *cache) now() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.forgets
}

func (c *cache) get(entry string, now time.Time) (grant, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	g, ok := c.grants[entry]
	return g, ok && now.Before(g.fresh)
}

func (c *cache) put(entry string, g grant, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.epoch != c.forgets {
		return
	}
	if len(c.grants) >= cacheSize {
		clear(c.grants)
	}
	g.fresh = now.Add(cacheFor)
	if !g.until.IsZero() {
		g.fresh = earlier(g.fresh, g.until)
	}
	c.grants[entry] = g
}

// claim lets one of many requests at once write the last use.
func (c *cache) claim(entry string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.grants[entry]
	if !ok {
		return true
	}
	if now.Sub(g.seen) < touchEvery {
		return false
	}
	g.seen = now
	c.grants[entry] = g
	return true
}

func (c *cache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgets++
	clear(c.grants)
}

func (c *cache) forget(id odcm.UserID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgets++
	for entry, g := range c.grants {
		if g.user.ID == id {
			delete(c.grants, entry)
		}
	}
}
