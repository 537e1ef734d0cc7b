// Package limit keeps one caller from taking the server away from the others: token buckets for each user and each address,
// as Octopus's rate limiting policies describe them (administration/managing-infrastructure/rate-limiting in its
// documentation), and narrower ones for attempts to sign in.
//
// Every node counts for itself, as there. Memory is bounded: beyond a number of callers the one that was heard of longest
// ago is forgotten.
package limit

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Policy is one policy: RequestsPerMinute fill a bucket that holds Burst.
type Policy struct {
	ID, Name          string
	Enabled           bool
	RequestsPerMinute int
	Burst             int
	// AuditMode lets everything through and only tells.
	AuditMode bool
}

// Policies are the policies by whom they are for.
type Policies struct{ Unauthenticated, Human, Agent Policy }

// SignIn bounds attempts to sign in from one address, behind which there may be a whole company.
func SignIn() Policy {
	return Policy{ID: "sign-in", Name: "Sign-in attempts", Enabled: true, RequestsPerMinute: 300, Burst: 300}
}

// SignInAs bounds attempts to sign in under one name from one address: a person mistypes a few times, a program guesses.
// It is not by the name alone, or anybody could keep somebody else out.
func SignInAs() Policy {
	return Policy{ID: "sign-in-as", Name: "Sign-in attempts", Enabled: true, RequestsPerMinute: 30, Burst: 30}
}

// Verdict is what becomes of a request.
type Verdict struct {
	Refused bool
	After   time.Duration // when to try again
	// Tell says that the policy was exceeded and that this was not told of the caller for a while: leave an event.
	Tell bool
}

// mostCallers bounds how many buckets are kept.
const mostCallers = 10_000

// An exceeded policy is told of once in this time for each caller; sooner in audit mode.
const (
	tellAgain      = 15 * time.Minute
	tellAgainAudit = 5 * time.Minute
)

// Limiter holds the buckets of this node.
type Limiter struct {
	now  func() time.Time
	most int

	mu      sync.Mutex
	buckets map[string]*list.Element
	recent  *list.List // of *bucket, the last heard of first
}

type bucket struct {
	key    string
	limit  *rate.Limiter
	perMin int
	burst  int
	told   time.Time
}

// New makes a limiter.
func New(now func() time.Time) *Limiter {
	return &Limiter{now: now, most: mostCallers, buckets: map[string]*list.Element{}, recent: list.New()}
}

// Take takes one token of the caller's bucket under the policy.
func (l *Limiter) Take(p Policy, caller string) Verdict {
	if !p.Enabled {
		return Verdict{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	b := l.bucket(p, p.ID+"/"+caller)
	reserved := b.limit.ReserveN(now, 1)
	wait := reserved.DelayFrom(now)
	if reserved.OK() && wait == 0 {
		return Verdict{}
	}
	reserved.CancelAt(now)
	if !reserved.OK() { // a burst of none lets nothing through
		wait = time.Minute
	}
	again := tellAgain
	if p.AuditMode {
		again = tellAgainAudit
	}
	v := Verdict{Refused: !p.AuditMode, After: wait, Tell: b.told.IsZero() || now.Sub(b.told) >= again}
	if v.Tell {
		b.told = now
	}
	return v
}

// bucket finds or makes the caller's bucket, with the limits that the policy has now.
func (l *Limiter) bucket(p Policy, key string) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(e)
		b := e.Value.(*bucket)
		if b.perMin != p.RequestsPerMinute || b.burst != p.Burst {
			b.perMin, b.burst = p.RequestsPerMinute, p.Burst
			b.limit.SetLimitAt(l.now(), perMinute(p))
			b.limit.SetBurstAt(l.now(), p.Burst)
		}
		return b
	}
	if l.recent.Len() >= l.most {
		l.drop(l.recent.Back())
	}
	b := &bucket{key: key, limit: rate.NewLimiter(perMinute(p), p.Burst), perMin: p.RequestsPerMinute, burst: p.Burst}
	l.buckets[key] = l.recent.PushFront(b)
	return b
}

func (l *Limiter) drop(e *list.Element) {
	delete(l.buckets, e.Value.(*bucket).key)
	l.recent.Remove(e)
}

// Len is how many callers are remembered.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent.Len()
}

func perMinute(p Policy) rate.Limit { return rate.Limit(float64(p.RequestsPerMinute) / 60) }

// Seconds is a time to wait as the header Retry-After takes it (RFC 9110 section 10.2.3): whole seconds, at least one.
func Seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
