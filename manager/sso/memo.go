package sso

import (
	"sync"
	"time"
)

// memoLife is how long an answer of the database is believed where no hint says otherwise, memoSize how many are kept; past it
// all are forgotten at once, which costs a query each.
const (
	memoLife = 5 * time.Second
	memoSize = 10_000
)

// Memo remembers what the database answered for a few seconds. An answer that was read before a change and arrives after its
// hint is not kept: forgets tells.
type Memo[K comparable, V any] struct {
	mu      sync.RWMutex
	known   map[K]known[V]
	forgets uint64
}

type known[V any] struct {
	value V
	until time.Time
}

// NewMemo makes an empty one.
func NewMemo[K comparable, V any]() *Memo[K, V] { return &Memo[K, V]{known: map[K]known[V]{}} }

// Get returns what is known of k, else what load returns. Errors are not kept.
func (m *Memo[K, V]) Get(k K, now time.Time, load func() (V, error)) (V, error) {
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

// Forget drops what is known of k.
func (m *Memo[K, V]) Forget(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	delete(m.known, k)
}

// ForgetAll drops everything.
func (m *Memo[K, V]) ForgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgets++
	clear(m.known)
}
