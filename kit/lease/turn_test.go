package lease

import (
	"testing"
	"time"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
)

// Turn by turn: a shard that moves is first owned by nobody, then released, then the other's, without waiting for its
// time to end.
func TestTurnsHandOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s, err := New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		a, b := NewShards(s, "spaces", "a", 16, time.Hour), NewShards(s, "spaces", "b", 16, time.Hour)
		leaving := map[*Shards][]Lease{}
		turn := func(sh *Shards) (owned, missing int) {
			t.Helper()
			leases, missing, err := sh.turn(t.Context(), leaving[sh])
			if err != nil {
				t.Fatal(err)
			}
			leaving[sh] = sh.leaving(leases)
			sh.set(&view{leases: leases, until: time.Now().Add(time.Minute)})
			for _, l := range leases {
				if l.Fence != 0 {
					owned++
				}
			}
			return owned, missing
		}
		if owned, missing := turn(a); owned != 16 || missing != 0 {
			t.Fatalf("alone: owns %d, misses %d", owned, missing)
		}
		_, share := turn(b)
		if share < 2 || share > 14 {
			t.Fatalf("b misses %d of 16", share)
		}
		if owned, missing := turn(a); owned != 16-share || missing != 0 {
			t.Errorf("a owns %d and misses %d after b came", owned, missing)
		}
		if owned, missing := turn(b); owned != 0 || missing != share {
			t.Errorf("b owns %d and misses %d while a winds up", owned, missing)
		}
		turn(a)
		if owned, missing := turn(b); owned != share || missing != 0 {
			t.Errorf("b owns %d and misses %d after a released", owned, missing)
		}
		b.leave(t.Context())
		if owned, missing := turn(a); owned != 16 || missing != 0 {
			t.Errorf("a owns %d and misses %d after b left", owned, missing)
		}
	})
}

func TestRendezvousMovesOnlyTheShareOfWhoLeaves(t *testing.T) {
	t.Parallel()
	sh := NewShards(nil, "spaces", "a", 1000, time.Second)
	count := map[string]int{}
	for _, name := range sh.names {
		before := best([]string{"a", "b", "c"}, name)
		count[before]++
		if after := best([]string{"a", "c"}, name); before != "b" && after != before {
			t.Errorf("%s moved from %s to %s", name, before, after)
		}
	}
	for _, m := range []string{"a", "b", "c"} {
		if n := count[m]; n < 250 || n > 420 {
			t.Errorf("%s has %d of 1,000", m, n)
		}
	}
}
