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
type Budget struct {
	limits Limits

	mu         sync.Mutex
	tokens     float64
	filled     time.Time // when tokens was right
	pausedTill time.Time
	inFlight   int
	background int // of inFlight
	queues     [2]list.List
	timer      *time.Timer
	usage      Usage
}

type waiter struct {
	priority Priority
	since    time.Time
	granted  chan struct{}
}

// NewBudget makes a full budget.
func NewBudget(limits Limits) *Budget {
	limits = limits.withDefaults()
	return &Budget{limits: limits, tokens: float64(limits.Burst), filled: time.Now()}
}

// Acquire waits for its turn and returns the function that ends it. The error is the context's, or octopus.limited where
// the turn cannot come before the context's deadline.
func (b *Budget) Acquire(ctx context.Context, p Priority) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{priority: p, since: time.Now(), granted: make(chan struct{})}
	b.mu.Lock()
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(b.pausedTill) {
		b.mu.Unlock()
		return nil, odcm.E(odcm.Unavailable, "octopus.limited", "The server limits how often it is asked. Try again later.")
	}
	place := b.queues[p].PushBack(w)
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
			b.queues[p].Remove(place)
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
	u := b.usage
	u.InFlight, u.Waiting = b.inFlight, b.queues[Interactive].Len()+b.queues[Background].Len()
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
	now := time.Now()
	b.tokens = min(float64(b.limits.Burst), b.tokens+now.Sub(b.filled).Seconds()*b.limits.PerSecond)
	b.filled = now
	for {
		queue := b.next()
		if queue == nil {
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
			b.usage.Background++
		} else {
			b.usage.Interactive++
		}
		b.usage.Waited += now.Sub(w.since)
		close(w.granted)
	}
}

// next is the queue whose turn it is, nil where nobody waits or no place is free.
func (b *Budget) next() *list.List {
	switch {
	case b.inFlight >= b.limits.Concurrency:
		return nil
	case b.queues[Interactive].Len() > 0:
		return &b.queues[Interactive]
	case b.queues[Background].Len() > 0 && b.background < b.limits.Concurrency-b.limits.Reserved:
		return &b.queues[Background]
	}
	return nil
}

func (b *Budget) waitFor(now time.Time) time.Duration {
	if pause := b.pausedTill.Sub(now); pause > 0 {
		return pause
	}
	if b.tokens >= 1 {
		return 0
	}
	// At least a microsecond, so that rounding down cannot wake us before the token is whole.
	return max(time.Duration((1-b.tokens)/b.limits.PerSecond*float64(time.Second)), time.Microsecond)
}

func (b *Budget) wakeIn(d time.Duration) {
	if b.timer != nil {
		b.timer.Reset(d)
		return
	}
	b.timer = time.AfterFunc(d, func() {
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
	b.usage.Limited++
	if till := time.Now().Add(min(wait, longestPause)); till.After(b.pausedTill) {
		b.pausedTill = till
	}
}

func (b *Budget) retried() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage.Retries++
}

func (b *Budget) pinged() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.usage.Pings++
}

// Budgets keeps one budget for each server. A program has one.
type Budgets struct {
	limits Limits

	mu       sync.Mutex
	byServer map[string]*Budget
}

// NewBudgets makes budgets with these limits for every server.
func NewBudgets(limits Limits) *Budgets {
	return &Budgets{limits: limits, byServer: map[string]*Budget{}}
}

// For returns the budget of the server at the address, as [ParseURL] gives it.
func (b *Budgets) For(server *url.URL) *Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	budget, ok := b.byServer[server.String()]
	if !ok {
		budget = NewBudget(b.limits)
		b.byServer[server.String()] = budget
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
