// Package signal carries hints: "this changed, look again". A hint names a topic, "space/space-0198…" or "event", and
// nothing else. It may be lost with a process and it may come twice; whoever must not miss anything keeps a position in
// kit/eventlog, or looks again from time to time, and uses hints only to look sooner.
package signal

import (
	"context"
	"database/sql"
	"strings"
	"sync"

	"odcm/kit/db"
)

// All is the topic that means "look at everything again": hints may have been lost.
const All = "*"

// Bus brings topics from publishers to subscribers: inside the process, and on PostgreSQL between all processes that use
// the same database.
type Bus struct {
	d *db.DB

	mu     sync.Mutex
	subs   map[*Subscription]struct{}
	closed bool

	wire *wire // to the other replicas; nil on SQLite
}

// New starts a bus. On PostgreSQL it listens before it returns, on a connection of its own.
func New(ctx context.Context, d *db.DB) (*Bus, error) {
	b := &Bus{d: d, subs: map[*Subscription]struct{}{}}
	if d.Postgres() {
		w, err := startWire(ctx, d.Pool, b.deliver)
		if err != nil {
			return nil, err
		}
		b.wire = w
	}
	return b, nil
}

// Close sends what waits, ends every subscription and disconnects.
func (b *Bus) Close() {
	b.mu.Lock()
	subs := b.subs
	b.subs, b.closed = nil, true
	b.mu.Unlock()
	for s := range subs {
		s.stop()
	}
	if b.wire != nil {
		b.wire.close()
	}
}

// Publish hints that the topics changed. It never blocks: subscribers here get the hint at once, those of other replicas
// some milliseconds later. Publish after the commit of the change, or use [Bus.PublishTx]: who looks before sees nothing.
func (b *Bus) Publish(topics ...string) {
	b.deliver(topics...)
	if b.wire != nil {
		b.wire.send(topics...)
	}
}

// PublishTx publishes the topics when the transaction commits, and not at all when it rolls back. The transaction must be
// one of [db.DB.Tx] on SQLite. On PostgreSQL transactions that notify commit one after another, so a change of many rows a
// second should publish after commit instead.
func (b *Bus) PublishTx(ctx context.Context, tx *sql.Tx, topics ...string) error {
	if b.wire == nil {
		b.d.AfterCommit(tx, func() { b.deliver(topics...) })
		return nil
	}
	for _, payload := range payloads("", topics) {
		if _, err := tx.ExecContext(ctx, `SELECT pg_notify($1, $2)`, channel, payload); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) deliver(topics ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		for _, t := range topics {
			if s.wants(t) {
				s.put(t)
			}
		}
	}
}

// Subscribe gives the topics that are published from now on. With nouns only "noun" and "noun/…" come, and [All] always.
func (b *Bus) Subscribe(nouns ...string) *Subscription {
	c := make(chan string)
	s := &Subscription{C: c, nouns: nouns, bus: b, queued: map[string]bool{}, more: make(chan struct{}, 1), done: make(chan struct{})}
	b.mu.Lock()
	if b.closed {
		s.stop()
	} else {
		b.subs[s] = struct{}{}
	}
	b.mu.Unlock()
	go s.pump(c)
	return s
}

// Subscription is one listener's view of the bus.
type Subscription struct {
	// C gives topics in the order of their first hint. It is closed with the subscription or the bus.
	C <-chan string

	nouns []string
	bus   *Bus

	mu     sync.Mutex
	queue  []string
	queued map[string]bool // the topics in queue: a hint that waits already is not queued again
	more   chan struct{}
	once   sync.Once
	done   chan struct{}
}

// queueLimit bounds what waits for a slow subscriber; beyond it everything becomes one [All].
const queueLimit = 4096

func (s *Subscription) wants(topic string) bool {
	if len(s.nouns) == 0 || topic == All {
		return true
	}
	noun, _, _ := strings.Cut(topic, "/")
	for _, n := range s.nouns {
		if n == noun {
			return true
		}
	}
	return false
}

func (s *Subscription) put(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued[All] || s.queued[topic] {
		return
	}
	if topic == All || len(s.queue) == queueLimit {
		s.queue, topic = s.queue[:0], All
		clear(s.queued)
	}
	s.queue = append(s.queue, topic)
	s.queued[topic] = true
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// take removes the topic before it is offered: a hint that comes while the subscriber already looks must come again.
func (s *Subscription) take() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return "", false
	}
	topic := s.queue[0]
	s.queue = s.queue[1:]
	delete(s.queued, topic)
	return topic, true
}

func (s *Subscription) pump(c chan<- string) {
	defer close(c)
	for {
		topic, ok := s.take()
		if !ok {
			select {
			case <-s.more:
				continue
			case <-s.done:
				return
			}
		}
		select {
		case c <- topic:
		case <-s.done:
			return
		}
	}
}

// Close ends the subscription; C is closed soon after.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	delete(s.bus.subs, s)
	s.bus.mu.Unlock()
	s.stop()
}

func (s *Subscription) stop() { s.once.Do(func() { close(s.done) }) }
