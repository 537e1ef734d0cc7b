package lease_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/lease"
)

const (
	shardTTL = 600 * time.Millisecond
	shardN   = 16
)

type replica struct {
	name   string
	shards *lease.Shards
	stop   func() // gives everything back
}

func join(t *testing.T, s *lease.Store, name string) replica {
	t.Helper()
	sh := lease.NewShards(s, "spaces", name, shardN, shardTTL)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sh.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	}()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return replica{name, sh, stop}
}

var keys = func() (all []string) {
	for i := range 500 {
		all = append(all, fmt.Sprintf("space-%d", i))
	}
	return all
}()

// settle waits until the replicas own every key, each one exactly, and every replica has some.
func settle(t *testing.T, within time.Duration, replicas ...replica) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		owners, all := make([]int, len(replicas)), 0
		for _, key := range keys {
			for i, r := range replicas {
				if r.shards.Owns(key) {
					owners[i]++
					all++
				}
			}
		}
		good := all == len(keys)
		for _, n := range owners {
			good = good && n > 0
		}
		if good {
			return time.Since(start)
		}
		if time.Since(start) > within {
			t.Fatalf("after %v the replicas own %v of %d keys", within, owners, len(keys))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// watch fails the test if a key ever has two owners, seen at the same moment.
func watch(t *testing.T, replicas *sync.Map) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for _, key := range keys[:50] {
				var owner string
				replicas.Range(func(_, v any) bool {
					r := v.(replica)
					// Ask again: the first answer may be from before the other's.
					if r.shards.Owns(key) {
						if owner != "" && owned(replicas, owner, key) {
							t.Errorf("%s and %s both own %s", owner, r.name, key)
						}
						owner = r.name
					}
					return true
				})
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-stopped }
}

func owned(replicas *sync.Map, name, key string) bool {
	r, ok := replicas.Load(name)
	return ok && r.(replica).shards.Owns(key)
}

func TestShardsMoveWithReplicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		var live sync.Map
		defer watch(t, &live)()

		a := join(t, s, "a")
		live.Store("a", a)
		changed := a.shards.Changed()
		settle(t, 5*time.Second, a)
		select {
		case <-changed:
		default:
			t.Error("Changed stayed silent")
		}
		b, c := join(t, s, "b"), join(t, s, "c")
		live.Store("b", b)
		live.Store("c", c)
		t.Logf("two joined: %v", settle(t, 5*time.Second, a, b, c))

		l, ok := ownerOf(keys[0], a, b, c)
		if !ok {
			t.Fatal("no lease for an owned key")
		}
		if err := check(t, d, s, l); err != nil {
			t.Errorf("the lease of an owned shard: %v", err)
		}
		b.stop()
		t.Logf("one left: %v", settle(t, 5*time.Second, a, c))
	})
}

func ownerOf(key string, replicas ...replica) (lease.Lease, bool) {
	for _, r := range replicas {
		if l, ok := r.shards.Lease(key); ok {
			return l, true
		}
	}
	return lease.Lease{}, false
}

// A replica that ends without a word: its database is closed under it. Its shards move after its time, and it knows
// before that it owns nothing.
func TestShardsOfADeadReplicaMove(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		a := join(t, open(t, dbtest.Open(t, url)), "a")
		dying, err := db.Open(t.Context(), url, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := join(t, open(t, dying), "b")
		settle(t, 5*time.Second, a, b)
		changed := b.shards.Changed()
		if err := dying.Close(); err != nil {
			t.Fatal(err)
		}
		took := settle(t, 5*time.Second, a)
		t.Logf("moved after %v at a ttl of %v", took, shardTTL)
		for _, key := range keys {
			if b.shards.Owns(key) {
				t.Fatalf("the dead replica still owns %s", key)
			}
		}
		select {
		case <-changed:
		default:
			t.Error("the dead replica was not told")
		}
	})
}

func TestNobodyOwnsBeforeRun(t *testing.T) {
	t.Parallel()
	s := lease.NewShards(open(t, dbtest.Open(t, dbtest.SQLite(t))), "spaces", "a", shardN, 0)
	for _, key := range keys {
		if s.Owns(key) {
			t.Fatalf("owns %s", key)
		}
	}
}

func BenchmarkOwns(b *testing.B) {
	s := lease.NewShards(open(b, dbtest.Open(b, dbtest.SQLite(b))), "spaces", "a", shardN, 0)
	for b.Loop() {
		s.Owns("space-0198c0de-0000-7000-8000-000000000000")
	}
}
