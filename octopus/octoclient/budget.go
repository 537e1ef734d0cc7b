package octoclient

import (
	"container/list"
	"context"
	"net/url"
	"sync"
	"time"

	"odcm"
)

// Priority says who waits for the answer.
type Priority int

// People first.
const (
	Interactive Priority = iota
	Background
)

// Limits are what ODCM as a whole asks of one server. Zero means the default in brackets.
type Limits struct {
	PerSecond   float64 // requests per second in the long run [50]
	Burst       int     // requests at once after a quiet time [100]
	Concurrency int     // requests under way [8]
	Reserved    int     // of those, kept for people [2]
}

func (l Limits) withDefaults() Limits {
	if l.PerSecond <= 0 {
		l.PerSecond = 50
	}
	if l.Burst <= 0 {
		l.Burst = 100
	}
	if l.Concurrency <= 0 {
		l.Concurrency = 8
	}
	if l.Reserved <= 0 {
		l.Reserved = 2
	}
	l.Reserved = min(l.Reserved, l.Concurrency-1) // background work must go on
	return l
}

// Usage counts what was asked of a server since the budget was made, and what is under way.
type Usage struct {
	Interactive int64         // requests sent for people
	Background  int64         // requests sent for ODCM itself
	Pings       int64         // probes, which the budget does not hold back
	Retries     int64         // of the requests, those sent again
	Limited     int64         // answers 429
	Waited      time.Duration // time that requests spent waiting for the budget, in all
	InFlight    int           // now
	Waiting     int           // now
}

// Budget is shared by all clients of one server: a token bucket and a number of requests at once, given to people first
// and within a priority in order of arrival. While the server says 429, nobody asks.
//
// There is one for each of thousands of servers, and hardly any has somebody waiting: times are counted from one beginning,
// and what waiting needs is there while somebody waits.
type Budget struct {
	rules *rules

	mu         sync.Mutex
	tokens     float64
	filled     time.Duration // when tokens was right
	pausedTill time.Duration
	inFlight   int32
	background int32    // of inFlight
	waiting    *waiting // nil where nobody does
	usage      counts
}

// rules are what the budgets of a program share.
type rules struct {
	Limits
	began time.Time
}

func (r *rules) now() time.Duration { return time.Since(r.began) }

// counts are those of Usage.
type counts struct {
	interactive, background, pings int64
	retries, limited               uint32
	waited                         time.Duration
}

// waiting is who waits, and what wakes them.
type waiting struct {
	queues [2]list.List
	timer  *time.Timer
}

type waiter struct {
	priority Priority
	since    time.Duration
	granted  chan struct{}
}

// NewBudget makes a full budget.
func NewBudget(limits Limits) *Budget {
	return newBudget(&rules{limits.withDefaults(), time.Now()})
}

func newBudget(r *rules) *Budget {
	return &Budget{rules: r, tokens: float64(r.Burst), filled: r.now()}
}

// Acquire waits for its turn and returns the function that ends it. The error is the context's, or octopus.limited where
// the turn cannot come before the context's deadline.
func (b *Budget) Acquire(ctx context.Context, p Priority) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{priority: p, since: b.rules.now(), granted: make(chan struct{})}
	b.mu.Lock()
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(b.rules.began) < b.pausedTill {
		b.mu.Unlock()
		return nil, odcm.E(odcm.Unavailable, "octopus.limited", "The server limits how often it is asked. Try again later.")
	}
	if b.waiting == nil {
		b.waiting = &waiting{}
	}
	place := b.waiting.queues[p].PushBack(w)
	b.dispatch()
	b.mu.Unlock()

	select {
	case <-w.granted:
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		select {
		case <-w.granted: // in the same moment
			b.end(p)
		default:
			b.waiting.queues[p].Remove(place) // it is there while w is in it
			b.rest()
		}
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.end(p)
	}), nil
}

// Usage returns the counters.
func (b *Budget) Usage() Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.usage
	u := Usage{Interactive: n.interactive, Background: n.background, Pings: n.pings, Retries: int64(n.retries), Limited: int64(n.limited),
		Waited: n.waited, InFlight: int(b.inFlight)}
	if w := b.waiting; w != nil {
		u.Waiting = w.queues[Interactive].Len() + w.queues[Background].Len()
	}
	return u
}

// end and dispatch want the lock held.
func (b *Budget) end(p Priority) {
	b.inFlight--
	if p == Background {
		b.background--
	}
	b.dispatch()
}

func (b *Budget) dispatch() {
	now := b.rules.now()
	b.tokens = min(float64(b.rules.Burst), b.tokens+(now-b.filled).Seconds()*b.rules.PerSecond)
	b.filled = now
	for {
		queue := b.next()
		if queue == nil {
			b.rest()
			return
		}
		if wait := b.waitFor(now); wait > 0 {
			b.wakeIn(wait)
			return
		}
		w := queue.Remove(queue.Front()).(*waiter)
		b.tokens--
		b.inFlight++
		if w.priority == Background {
			b.background++
			b.usage.background++
		} else {
			b.usage.interactive++
		}
		b.usage.waited += now - w.since
		close(w.granted)
	}
}

// rest drops what waiting needs where nobody waits.
func (b *Budget) rest() {
	w := b.waiting
	if w == nil || w.queues[Interactive].Len()+w.queues[Background].Len() > 0 {
		return
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	b.waiting = nil
}

// next is the queue whose turn it is, nil where nobody waits or no place is free.
func (b *Budget) next() *list.List {
	w, inFlight := b.waiting, int(b.inFlight)
	switch {
	case w == nil || inFlight >= b.rules.Concurrency:
		return nil
	case w.queues[Interactive].Len() > 0:
		return &w.queues[Interactive]
	case w.queues[Background].Len() > 0 && int(b.background) < b.rules.Concurrency-b.rules.Reserved:
		return &w.queues[Background]
	}
	return nil
}

func (b *Budget) waitFor(now time.Duration) time.Duration {
	if pause := b.pausedTill - now; pause > 0 {
		return pause
	}
	if b.tokens >= 1 {
		return 0
	}
	// At least a microsecond, so that rounding down cannot wake us before the token is whole.
	return max(time.Duration((1-b.tokens)/b.rules.PerSecond*float64(time.Second)), time.Microsecond)
}

// wakeIn wants somebody waiting.
func (b *Budget) wakeIn(d time.Duration) {
	if t := b.waiting.timer; t != nil {
		t.Reset(d)
		return
	}
	b.waiting.timer = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.dispatch()
	})
}

// longestPause bounds what a server can make everybody wait by one answer.
const longestPause = 5 * time.Minute

// limited notes a 429: nobody asks before the time has passed.
func (b *Budget) limited(wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage.limited++
	b.pausedTill = max(b.pausedTill, b.rules.now()+min(wait, longestPause))
}

func (b *Budget) retried() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage.retries++
}

// Pinged counts a probe that was not sent by [Client.Ping].
func (b *Budget) Pinged() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage.pings++
}

// Budgets keeps one budget for each server. A program has one.
type Budgets struct {
	rules *rules

	mu       sync.Mutex
	byServer map[string]*Budget
}

// NewBudgets makes budgets with these limits for every server.
func NewBudgets(limits Limits) *Budgets {
	return &Budgets{rules: &rules{limits.withDefaults(), time.Now()}, byServer: map[string]*Budget{}}
}

// For returns the budget of the server at the address, as [ParseURL] gives it.
func (b *Budgets) For(server *url.URL) *Budget {
	name := server.String()
	b.mu.Lock()
	defer b.mu.Unlock()
	budget, ok := b.byServer[name]
	if !ok {
		budget = newBudget(b.rules)
		b.byServer[name] = budget
	}
	return budget
}

// Usage returns the counters of every server, by address.
func (b *Budgets) Usage() map[string]Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	usage := make(map[string]Usage, len(b.byServer))
	for server, budget := range b.byServer {
		usage[server] = budget.Usage()
	}
	return usage
}

// Forget drops the budget of a server that ODCM has nothing to do with any more.
func (b *Budgets) Forget(server *url.URL) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.byServer, server.String())
}
