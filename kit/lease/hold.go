package lease

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"odcm"
)

// Hold waits for the lease, runs f while it is held, and releases it when f returns; the result is f's. When the lease is
// lost, because another took it or because it could not be renewed in two thirds of its time, the context of f ends (its
// cause has the code "lease.lost") a third of the time before another can have it; once f has returned, Hold waits for the
// lease again and runs f anew. A database that does not answer is waited for like a lease that another holds; any other
// error ends the wait, and the context's error when that ends.
func (s *Store) Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l Lease) error) error {
	for {
		sent := time.Now()
		l, err := s.Acquire(ctx, name, owner, ttl)
		switch {
		case err == nil:
			if again, err := s.run(ctx, l, sent, ttl, f); !again {
				return err
			}
		case odcm.KindOf(err) != odcm.Conflict && odcm.KindOf(err) != odcm.Unavailable:
			return err
		}
		if err := wait(ctx, retry(ttl)); err != nil {
			return err
		}
	}
}

// retry is how soon to ask again for a lease that another holds: soon enough for a released one, with jitter so that
// campaigners spread.
func retry(ttl time.Duration) time.Duration {
	d := max(min(ttl/3, time.Second), time.Millisecond)
	return d/2 + rand.N(d/2+1)
}

// run runs f once while the lease is renewed, and tells whether to campaign again.
func (s *Store) run(ctx context.Context, l Lease, sent time.Time, ttl time.Duration, f func(context.Context, Lease) error) (again bool, err error) {
	held, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { s.keep(held, cancel, l, sent, ttl) })
	defer func() { // also when f panics
		cancel(context.Canceled)
		renewing.Wait()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), ttl/3)
		defer stop()
		_ = s.Release(last, l) // where the database does not answer the lease expires; f has done its work
	}()
	err = f(held, l)
	return ctx.Err() == nil && odcm.CodeOf(context.Cause(held)) == "lease.lost", err
}

// keep renews the lease until the context ends, and ends it when the lease is lost. The timer does so even while a renewal
// hangs.
func (s *Store) keep(held context.Context, cancel context.CancelCauseFunc, l Lease, sent time.Time, ttl time.Duration) {
	giveUp := time.AfterFunc(time.Until(sent.Add(ttl*2/3)), func() { cancel(lost(l.Name)) })
	defer giveUp.Stop()
	for pause := ttl / 3; wait(held, pause) == nil; {
		sent := time.Now()
		switch _, err := s.Renew(held, l, ttl); {
		case err == nil:
			giveUp.Reset(time.Until(sent.Add(ttl * 2 / 3)))
			pause = ttl / 3
		case odcm.CodeOf(err) == "lease.lost":
			cancel(err)
		default:
			pause = ttl / 20
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
