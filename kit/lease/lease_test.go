package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/lease"
)

func open(t testing.TB, d *db.DB) *lease.Store {
	t.Helper()
	s, err := lease.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func acquire(t testing.TB, s *lease.Store, name, owner string, ttl time.Duration) lease.Lease {
	t.Helper()
	l, err := s.Acquire(t.Context(), name, owner, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func check(t testing.TB, d *db.DB, s *lease.Store, l lease.Lease) error {
	return d.Tx(t.Context(), func(tx *sql.Tx) error { return s.Check(t.Context(), tx, l) })
}

func TestOneOwnerAtATime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		a := acquire(t, s, "leader", "a", time.Minute)
		if a.Fence != 1 || a.Owner != "a" || a.Name != "leader" || time.Until(a.Expires) < 50*time.Second {
			t.Errorf("first lease: %+v", a)
		}
		if _, err := s.Acquire(t.Context(), "leader", "b", time.Minute); odcm.CodeOf(err) != "lease.held" || odcm.KindOf(err) != odcm.Conflict {
			t.Errorf("a second owner: %v", err)
		}
		if again := acquire(t, s, "leader", "a", time.Hour); again.Fence != a.Fence || !again.Expires.After(a.Expires) {
			t.Errorf("renewed by Acquire: %+v", again)
		}
		if renewed, err := s.Renew(t.Context(), a, 2*time.Hour); err != nil || renewed.Fence != a.Fence || time.Until(renewed.Expires) < time.Hour {
			t.Errorf("renewed: %+v, %v", renewed, err)
		}
		if other := acquire(t, s, "other", "b", time.Minute); other.Fence != 1 {
			t.Errorf("another name: %+v", other)
		}
	})
}

func TestReleaseHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		a := acquire(t, s, "leader", "a", time.Minute)
		if err := s.Release(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		b := acquire(t, s, "leader", "b", time.Minute)
		if b.Fence != a.Fence+1 {
			t.Errorf("fence %d after %d", b.Fence, a.Fence)
		}
		if err := s.Release(t.Context(), a); err != nil {
			t.Errorf("a late release: %v", err)
		}
		if err := check(t, d, s, b); err != nil {
			t.Errorf("a late release took another's lease: %v", err)
		}
		if err := check(t, d, s, a); odcm.CodeOf(err) != "lease.lost" {
			t.Errorf("an old fence passed: %v", err)
		}
		if _, err := s.Renew(t.Context(), a, time.Minute); odcm.CodeOf(err) != "lease.lost" {
			t.Errorf("an old lease was renewed: %v", err)
		}
	})
}

func TestAbandonedLeaseExpires(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		a := acquire(t, s, "leader", "a", 20*time.Millisecond)
		time.Sleep(30 * time.Millisecond)
		if err := check(t, d, s, a); err != nil {
			t.Errorf("nobody took it yet: %v", err)
		}
		if _, err := s.Renew(t.Context(), a, time.Minute); odcm.CodeOf(err) != "lease.lost" {
			t.Errorf("renewed after its end: %v", err)
		}
		if again := acquire(t, s, "leader", "a", time.Millisecond); again.Fence != a.Fence+1 {
			t.Errorf("its owner took it again with fence %d after %d", again.Fence, a.Fence)
		}
		if err := check(t, d, s, a); odcm.CodeOf(err) != "lease.lost" {
			t.Errorf("the owner's own old fence passed: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
		if b := acquire(t, s, "leader", "b", time.Minute); b.Fence != a.Fence+2 {
			t.Errorf("fence %d after %d", b.Fence, a.Fence+1)
		}
	})
}

// While a guarded transaction is open nobody else gets the lease, even when its time is over.
func TestCheckHoldsUntilTheTransactionEnds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		a := acquire(t, s, "leader", "a", 10*time.Millisecond)
		var committed time.Time
		taken := make(chan time.Time, 1)
		err := d.Tx(t.Context(), func(tx *sql.Tx) error {
			if err := s.Check(t.Context(), tx, a); err != nil {
				return err
			}
			go func() {
				for {
					if _, err := s.Acquire(context.Background(), "leader", "b", time.Minute); err == nil {
						taken <- time.Now()
						return
					}
				}
			}()
			time.Sleep(60 * time.Millisecond)
			committed = time.Now()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if at := <-taken; at.Before(committed) {
			t.Errorf("taken %v before the guarded transaction ended", committed.Sub(at))
		}
	})
}

// The histories of concurrent owners, some of which abandon their leases or write with old ones, must be those of a
// register that only the holder of the newest fence can write.
func TestHistoriesAreLinearizable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		if _, err := d.Write().ExecContext(t.Context(), `CREATE TABLE register (id INTEGER PRIMARY KEY, value BIGINT NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write().ExecContext(t.Context(), `INSERT INTO register VALUES (1, 0)`); err != nil {
			t.Fatal(err)
		}
		const ttl = 15 * time.Millisecond
		var mu sync.Mutex
		var history []porcupine.Operation
		start := time.Now()
		record := func(client int, in input, do func() output) output {
			in.call = time.Since(start)
			out := do()
			out.ret = time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: int64(in.call), Output: out, Return: int64(out.ret)})
			return out
		}
		var clients sync.WaitGroup
		for client := range 5 {
			clients.Go(func() {
				r := rand.New(rand.NewPCG(42, uint64(client)))
				owner := fmt.Sprint(client)
				l := lease.Lease{Name: "x", Owner: owner}
				for op := range 60 {
					switch r.IntN(8) {
					case 0, 1, 2:
						got := record(client, input{op: "acquire", owner: owner, ttl: ttl}, func() output {
							l, err := s.Acquire(t.Context(), "x", owner, ttl)
							if err != nil && odcm.KindOf(err) != odcm.Conflict {
								t.Error(err)
							}
							return output{ok: err == nil, fence: l.Fence}
						})
						if got.ok {
							l.Fence = got.fence
						}
					case 3:
						record(client, input{op: "renew", owner: owner, fence: l.Fence, ttl: ttl}, func() output {
							_, err := s.Renew(t.Context(), l, ttl)
							return output{ok: err == nil}
						})
					case 4, 5:
						value := int64(client*1000 + op)
						record(client, input{op: "write", owner: owner, fence: l.Fence, value: value}, func() output {
							err := d.Tx(t.Context(), func(tx *sql.Tx) error {
								if err := s.Check(t.Context(), tx, l); err != nil {
									return err
								}
								_, err := tx.ExecContext(t.Context(), `UPDATE register SET value = $1`, value)
								return err
							})
							if err != nil && odcm.KindOf(err) != odcm.Conflict {
								t.Error(err)
							}
							return output{ok: err == nil}
						})
					case 6:
						record(client, input{op: "read"}, func() (out output) {
							if err := d.Read().QueryRowContext(t.Context(), `SELECT value FROM register`).Scan(&out.value); err != nil {
								t.Error(err)
							}
							return out
						})
					case 7:
						if r.IntN(2) == 0 { // a crash: the lease is abandoned, and someone new starts
							owner = fmt.Sprintf("%d.%d", client, op)
							l = lease.Lease{Name: "x", Owner: owner}
							continue
						}
						record(client, input{op: "release", owner: owner, fence: l.Fence}, func() output {
							if err := s.Release(t.Context(), l); err != nil {
								t.Error(err)
							}
							return output{}
						})
					}
					time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
				}
			})
		}
		clients.Wait()
		if result := porcupine.CheckOperationsTimeout(register, history, 30*time.Second); result != porcupine.Ok {
			t.Errorf("%d operations: %v", len(history), result)
		}
		won := 0
		for _, op := range history {
			if op.Input.(input).op == "acquire" && op.Output.(output).ok {
				won++
			}
		}
		if won < 10 {
			t.Errorf("only %d leases were acquired: the history says little", won)
		}
	})
}

type input struct {
	op, owner    string
	fence, value int64
	ttl          time.Duration
	call         time.Duration
}

type output struct {
	ok           bool
	fence, value int64
	ret          time.Duration
}

type state struct {
	owner    string
	fence    int64
	value    int64
	earliest time.Duration // when the lease may be over at the earliest and at the latest
	latest   time.Duration
}

// tick is how coarse the clock of the leases is, with room for two clocks that are read.
const tick = 3 * time.Millisecond

// register is the sequential model. Time enters as what is known of it: an operation took effect between its call and its
// return, so a lease of that operation ends between call+ttl and return+ttl.
var register = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(st, in, out any) (bool, any) {
		s, i, o := st.(state), in.(input), out.(output)
		holds := i.owner == s.owner && i.fence == s.fence && s.owner != ""
		mayBeOver := s.owner == "" || o.ret+tick >= s.earliest
		mayLive := s.owner != "" && i.call-tick <= s.latest
		took := func(fence int64) state {
			return state{i.owner, fence, s.value, i.call + i.ttl, o.ret + i.ttl}
		}
		switch i.op {
		case "acquire":
			switch {
			case !o.ok:
				return s.owner != i.owner && mayLive, s
			case o.fence == s.fence:
				return s.owner == i.owner && mayLive, took(s.fence)
			default:
				return o.fence == s.fence+1 && mayBeOver, took(o.fence)
			}
		case "renew":
			if o.ok {
				return holds && mayLive, took(s.fence)
			}
			return !holds || mayBeOver, s
		case "write":
			if o.ok {
				s.value = i.value
				return holds, s
			}
			return !holds, s
		case "release":
			if holds {
				s.owner = ""
			}
			return true, s
		default:
			return o.value == s.value, s
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

func TestModelRefusesTwoOwners(t *testing.T) {
	t.Parallel()
	op := func(client int, in input, out output, from, to time.Duration) porcupine.Operation {
		in.call, out.ret = from, to
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: int64(to)}
	}
	a := input{op: "acquire", owner: "a", ttl: time.Second}
	b := input{op: "acquire", owner: "b", ttl: time.Second}
	for name, history := range map[string][]porcupine.Operation{
		"taken before its end": {op(0, a, output{ok: true, fence: 1}, 0, 1), op(1, b, output{ok: true, fence: 2}, 2, 3)},
		"a fence twice":        {op(0, a, output{ok: true, fence: 1}, 0, 1), op(1, b, output{ok: true, fence: 1}, 2*time.Second, 2*time.Second+1)},
		"refused while free":   {op(0, a, output{}, 0, 1)},
		"a write with an old fence": {op(0, a, output{ok: true, fence: 1}, 0, 1), op(1, b, output{ok: true, fence: 2}, 2*time.Second, 2*time.Second+1),
			op(0, input{op: "write", owner: "a", fence: 1, value: 7}, output{ok: true}, 3*time.Second, 3*time.Second+1)},
	} {
		if porcupine.CheckOperations(register, history) {
			t.Errorf("%s: the model accepts it", name)
		}
	}
}

func TestAcquireFailsClearlyWithoutDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		s := open(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Acquire(ctx, "x", "a", time.Minute); !errors.Is(err, context.Canceled) || odcm.KindOf(err) == odcm.Conflict {
			t.Errorf("got %v", err)
		}
	})
}
