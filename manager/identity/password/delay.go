package password

import (
	"context"
	"net/netip"
	"time"

	"odcm"
)

// Failures is how often in a row a sign-in went wrong for one user or one address.
type Failures struct {
	Count int
	Last  time.Time
}

// FailureStore counts wrong passwords.
type FailureStore interface {
	// Failures returns the zero value where nothing is known of the key.
	Failures(ctx context.Context, key string) (Failures, error)
	// SetFailures replaces old by new, all of them in one commit, and tells whether it did: where another request was first
	// with one, it replaces none. A new count of zero forgets the key.
	SetFailures(ctx context.Context, counts ...FailureCount) (bool, error)
}

// FailureCount replaces what is known of the key.
type FailureCount struct {
	Key      string
	Old, New Failures
}

// limit says how failures slow the next try down: some are free, then each doubles the wait up to the most.
type limit struct {
	free int
	most time.Duration
}

// userLimit is mild at its end: whoever guesses at a name must not keep its owner out for long. addressLimit allows an office
// behind one address its typing errors and then is strict.
func userLimit() limit    { return limit{free: 5, most: time.Minute} }
func addressLimit() limit { return limit{free: 20, most: 15 * time.Minute} }

// ForgiveAfter is how long after the last failure the count starts anew.
const ForgiveAfter = time.Hour

// wait is how long after now the next try is allowed; 0 where it is allowed.
func (l limit) wait(f Failures, now time.Time) time.Duration {
	if f.Count < l.free || now.Sub(f.Last) >= ForgiveAfter {
		return 0
	}
	delay := l.most
	if n := f.Count - l.free; n < 20 {
		delay = min(l.most, time.Second<<n)
	}
	// A clock that was set back must not lock for longer than the delay itself.
	return max(0, min(delay, f.Last.Add(delay).Sub(now)))
}

func (f Failures) next(now time.Time) Failures {
	if now.Sub(f.Last) >= ForgiveAfter {
		f.Count = 0
	}
	return Failures{Count: f.Count + 1, Last: now}
}

// gate is one counter that a sign-in passes.
type gate struct {
	key string
	limit
}

// Gates are the counters that a try passes.
type Gates []gate

// GatesOf are those of a sign-in: one of the user, known or not, and one of where it comes from.
func GatesOf(usernameKey, address string) Gates {
	return Gates{
		{key: "user " + usernameKey, limit: userLimit()},
		{key: "address " + network(address), limit: addressLimit()},
	}
}

// Throttle slows down what costs something and needs no proof, by where it comes from: a mail, a session of the guest.
func (k *Keeper) Throttle(ctx context.Context, what, address string) error {
	return k.pass(ctx, Gates{{key: what + " " + network(address), limit: addressLimit()}})
}

// network is what counts as one address: an IPv4 address, or the /64 that one IPv6 customer has to himself.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}

func tooMany(wait time.Duration) error {
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return odcm.E(odcm.Unavailable, "identity.too-many-attempts", "Too many failed sign-ins: try again in %d seconds.", int(wait.Seconds())).
		Because(retryAfter(wait))
}

// retryAfter is a cause that knows how long to wait: kit/web answers 429 with Retry-After.
type retryAfter time.Duration

func (r retryAfter) Error() string { return "allowed again in " + time.Duration(r).String() }

// RetryAfter tells how long to wait before trying again, in whole seconds.
func (r retryAfter) RetryAfter() time.Duration { return time.Duration(r) }

// Open tells whether every gate lets a try through now, without counting it.
func (k *Keeper) Open(ctx context.Context, gates Gates) error {
	for _, g := range gates {
		f, err := k.failures.Failures(ctx, g.key)
		if err != nil {
			return err
		}
		if w := g.wait(f, k.now()); w > 0 {
			return tooMany(w)
		}
	}
	return nil
}

// pass counts the try as failed at every gate, before the password is looked at: of many tries at once only as many pass as
// one after another would. Success takes it back.
func (k *Keeper) pass(ctx context.Context, gates Gates) error {
	return k.count(ctx, gates, func(_ int, g gate, f Failures) (Failures, error) {
		now := k.now()
		if w := g.wait(f, now); w > 0 {
			return f, tooMany(w)
		}
		return f.next(now), nil
	})
}

// Clear forgets the failures of the user, and takes this one try back from the address: one good account must not reset the
// count of someone who guesses at others from the same place.
func (k *Keeper) Clear(ctx context.Context, gates Gates) error {
	return k.count(ctx, gates, func(i int, _ gate, f Failures) (Failures, error) {
		if i > 0 && f.Count > 1 {
			return Failures{Count: f.Count - 1, Last: f.Last}, nil
		}
		return Failures{}, nil
	})
}

// count changes the counts of all gates in one commit, over again where another request was faster.
func (k *Keeper) count(ctx context.Context, gates Gates, change func(i int, g gate, f Failures) (Failures, error)) error {
	for {
		var counts []FailureCount
		for i, g := range gates {
			old, err := k.failures.Failures(ctx, g.key)
			if err != nil {
				return err
			}
			next, err := change(i, g, old)
			if err != nil {
				return err
			}
			if next != old {
				counts = append(counts, FailureCount{g.key, old, next})
			}
		}
		if len(counts) == 0 {
			return nil
		}
		if done, err := k.failures.SetFailures(ctx, counts...); err != nil || done {
			return err
		}
	}
}
