package session

import (
	"sync"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// cacheFor is how long an answer is believed where no hint says otherwise.
const cacheFor = 5 * time.Second

// grant is a cached answer: the user that a secret stands for.
type grant struct {
	user    person.User
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
