package signal_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/signal"
)

func open(t testing.TB, d *db.DB) *signal.Bus {
	t.Helper()
	b, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// replicas opens two buses on one database, or one bus twice on SQLite, which one process has to itself.
func replicas(t *testing.T, url string) (*signal.Bus, *signal.Bus, *db.DB) {
	d := dbtest.Open(t, url)
	here := open(t, d)
	if !d.Postgres() {
		return here, here, d
	}
	return here, open(t, dbtest.Open(t, url)), d
}

// expect reads the topics in this order. A test that would wait in vain fails instead of hanging.
func expect(t testing.TB, s *signal.Subscription, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got, ok := <-s.C:
			if !ok || got != w {
				t.Fatalf("got %q (open %v), want %q", got, ok, w)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("waited in vain for %q", w)
		}
	}
}

func TestSubscribersGetTheirNouns(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		here, there, _ := replicas(t, url)
		all, spaces, both := there.Subscribe(), there.Subscribe("space"), there.Subscribe("event", "task")
		for _, topic := range []string{"space/1", "event", "spaceship/1", "task/1", "space/2"} {
			here.Publish(topic)
			expect(t, all, topic)
		}
		expect(t, spaces, "space/1", "space/2")
		expect(t, both, "event", "task/1")
	})
}

// A hint comes once to who published it, although the database sends it back too: notifications come in the order of
// commits, so an echo of ours would come before the answer of the other replica.
func TestOwnHintsComeOnce(t *testing.T) {
	t.Parallel()
	here, there, _ := replicas(t, dbtest.PostgreSQL(t))
	ours, theirs := here.Subscribe(), there.Subscribe()
	for i := range 5 {
		topic := fmt.Sprintf("space/%d", i)
		here.Publish(topic)
		expect(t, ours, topic)
		expect(t, theirs, topic)
		there.Publish("answer")
		expect(t, theirs, "answer")
		expect(t, ours, "answer")
	}
}

func TestPublishTxFollowsTheTransaction(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		here, there, d := replicas(t, url)
		ours, theirs := here.Subscribe(), there.Subscribe()
		no := errors.New("no")
		err := d.Tx(t.Context(), func(tx *sql.Tx) error { return errors.Join(here.PublishTx(t.Context(), tx, "undone"), no) })
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		err = d.Tx(t.Context(), func(tx *sql.Tx) error {
			if err := here.PublishTx(t.Context(), tx, "space/1", "space/2"); err != nil {
				return err
			}
			here.Publish("before the commit")
			expect(t, ours, "before the commit")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, ours, "space/1", "space/2")
		if there != here { // the plain hint went by another way and may come before or after
			got := map[string]bool{}
			for range 3 {
				got[<-theirs.C] = true
			}
			if !got["space/1"] || !got["space/2"] || !got["before the commit"] {
				t.Errorf("the other replica got %v", got)
			}
		}
	})
}

func TestLostConnectionMeansLookAtEverything(t *testing.T) {
	t.Parallel()
	here, there, d := replicas(t, dbtest.PostgreSQL(t))
	s := there.Subscribe("space")
	for i := range 2 {
		_, err := d.Write().ExecContext(t.Context(),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()`)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, signal.All)
		topic := fmt.Sprintf("space/%d", i)
		here.Publish(topic) // by a connection of the pool that was cut as well
		expect(t, s, topic)
	}
}

// A burst is gathered: it costs far fewer statements than topics, and whatever is too much becomes All.
func TestBurstReachesTheOtherReplica(t *testing.T) {
	t.Parallel()
	here, there, _ := replicas(t, dbtest.PostgreSQL(t))
	s := there.Subscribe()
	const n = 3000
	for i := range n {
		here.Publish(fmt.Sprintf("space/space-0198c0de-0000-7000-8000-%012d", i))
	}
	got := map[string]bool{}
	for len(got) < n {
		select {
		case topic := <-s.C:
			if topic == signal.All {
				return
			}
			got[topic] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d topics came", len(got), n)
		}
	}
}

func TestNewFailsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.PostgreSQL(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := signal.New(ctx, d); err == nil {
		b.Close()
		t.Error("New succeeded with an ended context")
	}
}

// The rest is about one process: no database is needed, and the clock of synctest shows when every pump is at rest.
func inProcess(t *testing.T, f func(t *testing.T, b *signal.Bus)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, err := signal.New(t.Context(), &db.DB{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		f(t, b)
	})
}

func TestWaitingHintsCoalesce(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		s := b.Subscribe()
		b.Publish("a")
		synctest.Wait() // a is offered
		b.Publish("b", "c", "b")
		b.Publish("c", "b")
		expect(t, s, "a", "b", "c")
		b.Publish("end")
		expect(t, s, "end")
	})
}

// Who looks when the hint comes may look too early for the next change: that one must hint again.
func TestHintDuringALookComesAgain(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		s := b.Subscribe()
		b.Publish("a")
		synctest.Wait() // a is offered and not taken
		b.Publish("a")
		expect(t, s, "a", "a")
	})
}

func TestSlowSubscriberGetsAll(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		slow, fast := b.Subscribe(), b.Subscribe("last")
		b.Publish("first")
		synctest.Wait()
		for i := range 100_000 { // would hang if Publish blocked
			b.Publish(fmt.Sprintf("space/%d", i))
		}
		b.Publish("last")
		expect(t, fast, "last")
		expect(t, slow, "first", signal.All)
		synctest.Wait()
		b.Publish("again")
		expect(t, slow, "again")
	})
}

func TestAllReplacesWhatWaits(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		s := b.Subscribe("space")
		b.Publish("space/1")
		synctest.Wait()
		b.Publish("space/2", signal.All, "space/3")
		expect(t, s, "space/1", signal.All)
		synctest.Wait()
		b.Publish("space/4")
		expect(t, s, "space/4")
	})
}

func TestClosedSubscriptionEnds(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		s, other := b.Subscribe(), b.Subscribe()
		s.Close()
		s.Close()
		if topic, ok := <-s.C; ok {
			t.Errorf("got %q", topic)
		}
		b.Publish("a")
		expect(t, other, "a")
	})
}

func TestClosedBusEndsEverySubscription(t *testing.T) {
	inProcess(t, func(t *testing.T, b *signal.Bus) {
		before := b.Subscribe()
		b.Close()
		b.Close()
		after := b.Subscribe()
		b.Publish("a")
		for _, s := range []*signal.Subscription{before, after} {
			if topic, ok := <-s.C; ok {
				t.Errorf("got %q", topic)
			}
			s.Close()
		}
	})
}

func TestCloseLeavesNothingRunning(t *testing.T) { // not parallel: it counts goroutines
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Write().PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := goleak.IgnoreCurrent()
		b, err := signal.New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		b.Subscribe()
		b.Publish("a")
		b.Close()
		goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
	})
}
