package document

import (
	"database/sql"
	"sync"

	"odcm/octopus"
)

// cache keeps what documents say that were read: a deployment reads the same few again and again. There is one on SQLite
// only, where every change is made by this process. A document that a transaction changes is not kept until the transaction
// has ended, however it ends; meanwhile everyone reads it from the database.
type cache struct {
	mu         sync.Mutex
	young, old map[place]kept // what was not read while the young filled up is forgotten with the old
	size       int            // of the young
	changing   map[place]int  // how many transactions that have not ended change it
	open       map[*sql.Tx][]place
	ended      int // transactions that changed anything
}

type place struct{ kind, id, space string }

// everything is what the deletion of a space changes.
var everything = place{}

// kept is what a document says; who reads it gets a copy.
type kept struct {
	object octopus.Object
	size   int
}

// Bounds of a cache, in bytes of documents. Twice as many are kept.
const (
	mostKept    = 1 << 20
	longestKept = 64 << 10
	aroundKept  = 1 << 10 // what a document costs besides its text
)

// find gives what a document says, or what [cache.keep] wants to know when it was read from the database.
func (c *cache) find(p place) (o octopus.Object, ok bool, since int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.young[p]
	if !ok {
		if k, ok = c.old[p]; ok {
			c.add(p, k)
		}
	}
	if !ok {
		return o, false, c.ended
	}
	return k.object.Clone(), true, c.ended
}

// keep keeps what a document says, unless a transaction may have changed it since it was looked for.
func (c *cache) keep(p place, o octopus.Object, size, since int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since == c.ended && c.changing[p]+c.changing[everything] == 0 && size <= longestKept {
		c.add(p, kept{o.Clone(), size + aroundKept})
	}
}

func (c *cache) add(p place, k kept) {
	if c.size += k.size; c.size > mostKept || c.young == nil {
		c.old, c.young, c.size = c.young, map[place]kept{}, k.size
	}
	c.young[p] = k
}

// change forgets a document that a transaction changes.
func (c *cache) change(tx *sql.Tx, p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changing == nil {
		c.changing, c.open = map[place]int{}, map[*sql.Tx][]place{}
	}
	c.changing[p]++
	c.open[tx] = append(c.open[tx], p)
	if p == everything {
		c.young, c.old, c.size = nil, nil, 0
		return
	}
	delete(c.young, p)
	delete(c.old, p)
}

// end lets what a transaction changed be kept again: it is committed or rolled back.
func (c *cache) end(tx *sql.Tx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := c.open[tx]
	if len(changed) == 0 {
		return
	}
	c.ended++
	delete(c.open, tx)
	for _, p := range changed {
		if c.changing[p]--; c.changing[p] == 0 {
			delete(c.changing, p)
		}
	}
}
