package lease

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"odcm"
	"odcm/kit/db"
)

// Shards divides keys among the live replicas. A key belongs to one of a fixed number of shards, and each shard is a lease
// that belongs to the live replica with the highest hash for it (rendezvous hashing), so that a replica that joins or
// leaves moves only its share. Replicas that share a name must agree on the number of shards and their time.
type Shards struct {
	s     *Store
	name  string
	owner string
	names []string // of the shards' leases, sorted as the shards are
	ttl   time.Duration

	view atomic.Pointer[view]

	mu      sync.Mutex
	changed chan struct{}
}

// view is which shards are owned, and until when that is sure.
type view struct {
	leases []Lease // by shard; the zero Lease where it is not owned
	until  time.Time
}

// NewShards makes the replica's part in the division; owner is a name of this process alone. The ttl is 6 seconds where
// it is zero: the shards of a replica that was killed move within 10. It does nothing until [Shards.Run].
func NewShards(s *Store, name, owner string, count int, ttl time.Duration) *Shards {
	if ttl == 0 {
		ttl = 6 * time.Second
	}
	sh := &Shards{s: s, name: name, owner: owner, ttl: ttl, changed: make(chan struct{})}
	for i := range count {
		sh.names = append(sh.names, fmt.Sprintf("%s/%05d", name, i))
	}
	sh.view.Store(&view{leases: make([]Lease, count)})
	return sh
}

// Owns tells whether this replica owns the key now. It costs a hash and the time.
func (s *Shards) Owns(key string) bool {
	_, ok := s.Lease(key)
	return ok
}

// Lease returns the lease of the key's shard, for guarding writes with [Store.Check], false where it is not owned.
func (s *Shards) Lease(key string) (Lease, bool) {
	v := s.view.Load()
	l := v.leases[shard(key, len(v.leases))]
	return l, l.Fence != 0 && time.Now().Before(v.until)
}

// Changed returns a channel that is closed when the owned shards change next. Take the channel first, then look at Owns,
// then wait for it, and take a new one.
func (s *Shards) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Run takes part in the division until the context ends, then gives everything back at once: stop the work on the keys
// before. It survives a database that is away: after two thirds of the ttl nothing is owned, and Run goes on trying.
func (s *Shards) Run(ctx context.Context) error {
	expiry := time.AfterFunc(time.Hour, func() { s.set(&view{leases: make([]Lease, len(s.names))}) })
	defer func() {
		expiry.Stop()
		s.leave(context.WithoutCancel(ctx))
	}()
	var leaving []Lease
	for {
		sent := time.Now()
		owned, missing, err := s.turn(ctx, leaving)
		pause := s.ttl / 3
		if err == nil {
			leaving = s.leaving(owned)
			until := sent.Add(s.ttl * 2 / 3)
			s.set(&view{leases: owned, until: until})
			expiry.Reset(time.Until(until))
		}
		if err != nil || missing > 0 || len(leaving) > 0 {
			pause = s.ttl / 12
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// turn releases what was left in the turn before, says that this replica lives, and takes or renews the shards that the
// live members want it to have. It returns those by shard, and how many it could not have yet.
func (s *Shards) turn(ctx context.Context, leaving []Lease) (owned []Lease, missing int, err error) {
	defer odcm.Wrap(&err, "shards of %s", s.name)
	ctx, cancel := context.WithTimeout(ctx, s.ttl/3)
	defer cancel()
	for _, l := range leaving {
		if err := s.s.Release(ctx, l); err != nil {
			return nil, 0, err
		}
	}
	err = s.s.d.Tx(ctx, func(tx *sql.Tx) error {
		owned, missing = make([]Lease, len(s.names)), 0
		members, err := s.members(ctx, tx)
		if err != nil {
			return err
		}
		var want []string
		for _, name := range s.names {
			if best(members, name) == s.owner {
				want = append(want, name)
			}
		}
		if len(want) == 0 {
			return nil
		}
		got, err := s.s.acquire(ctx, tx, want, s.owner, s.ttl)
		for _, l := range got {
			i, _ := slices.BinarySearch(s.names, l.Name)
			owned[i] = l
		}
		missing = len(want) - len(got)
		return err
	})
	return owned, missing, err
}

// leaving returns what is owned now and not in the next view. It is released only in the next turn: until then work on it
// can end, while nobody else can begin.
func (s *Shards) leaving(next []Lease) []Lease {
	var all []Lease
	for i, l := range s.view.Load().leases {
		if l.Fence != 0 && next[i].Fence == 0 {
			all = append(all, l)
		}
	}
	return all
}

// set makes the view the current one and tells who waits for a change.
func (s *Shards) set(next *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.view.Swap(next)
	same := slices.EqualFunc(last.leases, next.leases, func(a, b Lease) bool { return a.Fence == b.Fence })
	if !same || time.Now().After(last.until) && slices.ContainsFunc(next.leases, func(l Lease) bool { return l.Fence != 0 }) {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

// leave gives everything back. Where the database does not answer, the rows expire.
func (s *Shards) leave(ctx context.Context) {
	s.set(&view{leases: make([]Lease, len(s.names))})
	ctx, cancel := context.WithTimeout(ctx, s.ttl/3)
	defer cancel()
	_ = s.s.d.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM lease_member WHERE shards = $1 AND member = $2`, s.name, s.owner)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE lease SET owner = '', expires_at = 0 WHERE owner = $1 AND name IN `+db.In(2, len(s.names)),
			append([]any{s.owner}, db.Args(s.names)...)...)
		return err
	})
}

// members renews this replica's row and returns the members that live, itself among them.
func (s *Shards) members(ctx context.Context, tx *sql.Tx) ([]string, error) {
	now := s.s.now()
	if _, err := tx.ExecContext(ctx, `INSERT INTO lease_member (shards, member, expires_at) VALUES ($1, $2, `+now+` + $3)
ON CONFLICT (shards, member) DO UPDATE SET expires_at = excluded.expires_at`, s.name, s.owner, s.ttl.Milliseconds()); err != nil {
		return nil, err
	}
	// Long after their end only: a replica that comes back would wait for the row that this deletes, and the other way round.
	if _, err := tx.ExecContext(ctx, `DELETE FROM lease_member WHERE shards = $1 AND expires_at < `+now+` - 3600000`, s.name); err != nil {
		return nil, err
	}
	return db.Collect(ctx, tx, func(r db.Row) (m string, err error) { return m, r.Scan(&m) },
		`SELECT member FROM lease_member WHERE shards = $1 AND expires_at > `+now+` ORDER BY member`, s.name)
}

// shard says to which of count shards the key belongs.
func shard(key string, count int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return int(mix(h.Sum64()) % uint64(count))
}

// best is the member that should have the shard: the one with the highest hash for it.
func best(members []string, name string) string {
	var winner string
	var highest uint64
	for _, m := range members {
		h := fnv.New64a()
		_, _ = h.Write([]byte(m + "\x00" + name))
		if score := mix(h.Sum64()); winner == "" || score > highest {
			winner, highest = m, score
		}
	}
	return winner
}

// mix spreads what FNV leaves alike for texts that differ in their last bytes (the finalizer of splitmix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
