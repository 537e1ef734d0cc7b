package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/lease"
)

func TestHoldRunsAndReleases(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		want := errors.New("my own end")
		err := s.Hold(t.Context(), "leader", "a", time.Minute, func(_ context.Context, l lease.Lease) error {
			if err := check(t, d, s, l); err != nil {
				t.Errorf("while held: %v", err)
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("Hold returned %v", err)
		}
		acquire(t, s, "leader", "b", time.Minute)
	})
}

func TestHoldKeepsLongerThanTheLease(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		const ttl = 900 * time.Millisecond
		err := s.Hold(t.Context(), "leader", "a", ttl, func(ctx context.Context, l lease.Lease) error {
			for end := time.Now().Add(3 * ttl / 2); time.Now().Before(end); time.Sleep(ttl / 20) {
				if _, err := s.Acquire(ctx, "leader", "b", ttl); odcm.CodeOf(err) != "lease.held" {
					return fmt.Errorf("taken while it was held: %w", err)
				}
			}
			return ctx.Err()
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestHoldEndsWorkWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		const ttl = 150 * time.Millisecond
		var fences []int64
		err := s.Hold(t.Context(), "leader", "a", ttl, func(ctx context.Context, l lease.Lease) error {
			fences = append(fences, l.Fence)
			if len(fences) == 2 {
				return nil
			}
			if err := s.Release(ctx, l); err != nil { // as if another had taken it, and given it back
				return err
			}
			select {
			case <-ctx.Done():
				if odcm.CodeOf(context.Cause(ctx)) != "lease.lost" {
					t.Errorf("cause: %v", context.Cause(ctx))
				}
			case <-time.After(10 * time.Second):
				t.Error("f went on without a lease")
			}
			return ctx.Err()
		})
		if err != nil || len(fences) != 2 || fences[1] <= fences[0] {
			t.Errorf("Hold: %v, fences %v", err, fences)
		}
	})
}

// A database that hangs: the context of f ends before another can have the lease.
func TestHoldEndsWorkInTime(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		d := dbtest.Open(t, url)
		s, other := open(t, d), open(t, dbtest.Open(t, url))
		const ttl = 600 * time.Millisecond
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var lost, taken time.Time
		err := s.Hold(ctx, "leader", "a", ttl, func(held context.Context, l lease.Lease) error {
			unblock := make(chan struct{})
			var blocking sync.WaitGroup
			blocking.Go(func() { // every renewal waits for this transaction, which a takeover does not need
				_ = d.Tx(context.Background(), func(tx *sql.Tx) error {
					if d.Postgres() {
						_, err := tx.Exec(`SELECT pg_sleep(0) FROM lease WHERE name = 'leader' FOR UPDATE`)
						if err != nil {
							t.Error(err)
						}
					}
					<-unblock
					return nil
				})
			})
			<-held.Done()
			lost = time.Now()
			close(unblock)
			blocking.Wait()
			for {
				if _, err := other.Acquire(ctx, "leader", "b", time.Minute); err == nil {
					taken = time.Now()
					cancel()
					return nil
				}
			}
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if margin := taken.Sub(lost); margin < ttl/6 {
			t.Errorf("the work ended %v before another had the lease", margin)
		}
	})
}

func TestHoldTakesTurns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		var inside, most atomic.Int32
		var campaigners sync.WaitGroup
		for i := range 4 {
			campaigners.Go(func() {
				err := s.Hold(t.Context(), "leader", fmt.Sprint(i), 2*time.Second, func(context.Context, lease.Lease) error {
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(5 * time.Millisecond)
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		campaigners.Wait()
		if most.Load() != 1 {
			t.Errorf("%d at once", most.Load())
		}
	})
}

func TestHoldEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		acquire(t, s, "leader", "other", time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := s.Hold(ctx, "leader", "a", time.Minute, func(context.Context, lease.Lease) error {
			t.Error("ran without the lease")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Hold returned %v", err)
		}
	})
}

// A database that is away for a while: who waits for a lease goes on waiting, and has it once the database is back.
func TestHoldWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	server := dbtest.Private(t)
	d := dbtest.Open(t, server.URL)
	s := open(t, d)
	first := acquire(t, s, "leader", "a", 2*time.Second)
	type outcome struct {
		fence int64
		err   error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		o.err = s.Hold(t.Context(), "leader", "b", 2*time.Second, func(_ context.Context, l lease.Lease) error {
			o.fence = l.Fence
			return nil
		})
		ended <- o
	}()
	server.Stop(t)
	select {
	case o := <-ended:
		t.Fatalf("ended without a database: %+v", o)
	case <-time.After(2500 * time.Millisecond): // it asks every second at the latest
	}
	server.Start(t)
	if o := <-ended; o.err != nil || o.fence <= first.Fence {
		t.Errorf("%+v after %+v", o, first)
	}
}
