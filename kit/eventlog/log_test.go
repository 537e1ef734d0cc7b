package eventlog_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
)

// open opens the log as one replica would.
func open(t testing.TB, d *db.DB) *eventlog.Log {
	t.Helper()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	l, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func event(typ, subject string) odcm.Event {
	return odcm.NewEvent(odcm.Principal{User: "user-ann", Name: "Ann", Via: "session", Address: "192.0.2.7"}, typ, subject, "Name of "+subject, nil, map[string]int{"n": 1})
}

func appendTo(t testing.TB, l *eventlog.Log, d *db.DB, events ...odcm.Event) []odcm.Event {
	t.Helper()
	if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return l.Append(t.Context(), tx, events...) }); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestAppendAndList(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		before := time.Now().Add(-time.Second)
		sent := appendTo(t, l, d, event("space.enlisted", "space-1"))
		got, err := l.List(t.Context(), eventlog.Filter{})
		if err != nil || len(got) != 1 {
			t.Fatalf("List: %v, %v", got, err)
		}
		e := got[0]
		if e.ID != 1 || e.ID != sent[0].ID || !e.Time.Equal(sent[0].Time) || e.Time.Before(before) || e.Time.Location() != time.UTC {
			t.Errorf("id or time: got %+v, sent %+v", e, sent[0])
		}
		if e.Type != "space.enlisted" || e.Subject != "space-1" || e.Name != "Name of space-1" || e.Actor != "user-ann" || e.By != "Ann" ||
			e.Via != "session" || e.Address != "192.0.2.7" || e.Before != nil || string(e.After) != `{"n":1}` {
			t.Errorf("read back %+v", e)
		}
	})
}

func TestAppendNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		appendTo(t, l, d)
		if last, err := l.Last(t.Context()); last != 0 || err != nil {
			t.Errorf("Last = %d, %v", last, err)
		}
	})
}

// More events than one statement takes, and text that PostgreSQL would refuse: NUL and broken UTF-8 from outside must not
// make the change itself fail.
func TestAppendManyAndOdd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		many := make([]odcm.Event, 234)
		for i := range many {
			many[i] = event("space.probed", fmt.Sprint(i))
		}
		appendTo(t, l, d, many...)
		odd := event("space.renamed", "space-1")
		odd.Name, odd.Address = "a\x00b\xff'c", "\x00"
		appendTo(t, l, d, odd)
		got, err := l.List(t.Context(), eventlog.Filter{Limit: 2})
		if err != nil || len(got) != 2 || got[0].ID != 235 || got[1].Subject != "233" || got[0].Name != "ab\uFFFD'c" || got[0].Address != "" {
			t.Errorf("List: %+v, %v", got, err)
		}
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		other := event("task.done", "task-1")
		other.Actor, other.By, other.Name = "user-bob", "Bob", "100% of A_B"
		appendTo(t, l, d, event("space.enlisted", "space-1"), event("space.delisted", "space-1"), event("space.enlisted", "space-2"), other)
		all, _ := l.List(t.Context(), eventlog.Filter{})
		now := all[0].Time
		for name, c := range map[string]struct {
			f    eventlog.Filter
			want []odcm.EventID
		}{
			"everything, newest first":     {eventlog.Filter{}, []odcm.EventID{4, 3, 2, 1}},
			"limit":                        {eventlog.Filter{Limit: 2}, []odcm.EventID{4, 3}},
			"before":                       {eventlog.Filter{Before: 3}, []odcm.EventID{2, 1}},
			"types":                        {eventlog.Filter{Types: []string{"space.delisted", "task.done"}}, []odcm.EventID{4, 2}},
			"subject":                      {eventlog.Filter{Subject: "space-1"}, []odcm.EventID{2, 1}},
			"actor":                        {eventlog.Filter{Actor: "user-bob"}, []odcm.EventID{4}},
			"text in the name, any case":   {eventlog.Filter{Text: "NAME OF SPACE-2"}, []odcm.EventID{3}},
			"text in the actor's name":     {eventlog.Filter{Text: "bob"}, []odcm.EventID{4}},
			"text in the type":             {eventlog.Filter{Text: "delist"}, []odcm.EventID{2}},
			"percent is not a wildcard":    {eventlog.Filter{Text: "100%"}, []odcm.EventID{4}},
			"percent alone":                {eventlog.Filter{Text: "%1"}, nil},
			"underscore is not a wildcard": {eventlog.Filter{Text: "a_b"}, []odcm.EventID{4}},
			"from is included":             {eventlog.Filter{From: now, Limit: 1}, []odcm.EventID{4}},
			"from the future":              {eventlog.Filter{From: now.Add(time.Hour)}, nil},
			"to is excluded":               {eventlog.Filter{To: now}, nil},
			"all at once": {eventlog.Filter{Before: 4, Types: []string{"space.enlisted"}, Subject: "space-2", Actor: "user-ann",
				Text: "space", From: now.Add(-time.Hour), To: now.Add(time.Hour)}, []odcm.EventID{3}},
		} {
			got, err := l.List(t.Context(), c.f)
			if err != nil || !slices.Equal(ids(got), c.want) {
				t.Errorf("%s: %v, %v; want %v", name, ids(got), err, c.want)
			}
		}
	})
}

func TestListPagesThroughAll(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		appendTo(t, l, d, slices.Repeat([]odcm.Event{event("a.b", "x")}, 703)...)
		var all []odcm.EventID
		for f := (eventlog.Filter{Limit: 100_000}); ; {
			page, err := l.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			all = append(all, ids(page)...)
			f.Before = page[len(page)-1].ID
		}
		if len(all) != 703 || all[0] != 703 || all[702] != 1 || !slices.IsSortedFunc(all, func(a, b odcm.EventID) int { return int(b - a) }) {
			t.Errorf("%d events", len(all))
		}
	})
}

func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		no := errors.New("no")
		err := d.Tx(t.Context(), func(tx *sql.Tx) error { return errors.Join(l.Append(t.Context(), tx, event("a.b", "x")), no) })
		if !errors.Is(err, no) {
			t.Fatal(err)
		}
		if sent := appendTo(t, l, d, event("a.b", "y")); sent[0].ID != 1 {
			t.Errorf("a rolled back append used up a position: %d", sent[0].ID)
		}
	})
}

// Nothing carries hints between processes that share an SQLite file: followers look by themselves.
func TestFollowLooksWithoutHints(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	d := dbtest.Open(t, url)
	writer, reader := open(t, d), open(t, dbtest.Open(t, url))
	time.AfterFunc(10*time.Millisecond, func() { appendTo(t, writer, d, event("a.b", "x")) })
	for e, err := range reader.Follow(t.Context(), 0) {
		if err != nil || e.Subject != "x" {
			t.Errorf("got %+v, %v", e, err)
		}
		break
	}
}

// Every follower sees exactly the committed events, in one order, while several writers on two replicas commit and roll
// back at random.
func TestFollowSeesEveryCommitOnce(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		type replica struct {
			d *db.DB
			l *eventlog.Log
		}
		d := dbtest.Open(t, url)
		l := open(t, d)
		replicas := []replica{{d, l}, {d, l}}
		if d.Postgres() {
			d := dbtest.Open(t, url)
			replicas[1] = replica{d, open(t, d)}
		}
		rapid.Check(t, func(rt *rapid.T) {
			writers := rapid.IntRange(1, 6).Draw(rt, "writers")
			each := rapid.IntRange(1, 12).Draw(rt, "transactions")
			seed := rapid.Uint64().Draw(rt, "seed")
			start, err := replicas[0].l.Last(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()

			const followers = 3
			seen := make([]chan odcm.Event, followers)
			var following sync.WaitGroup
			for i := range followers {
				seen[i] = make(chan odcm.Event, 10_000)
				following.Go(func() {
					for e, err := range replicas[i%2].l.Follow(ctx, start) {
						if err != nil {
							return
						}
						seen[i] <- e
					}
				})
			}
			var mu sync.Mutex
			committed := map[string]bool{}
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(w)))
					for n := range each {
						events := make([]odcm.Event, 1+r.IntN(3))
						for i := range events {
							events[i] = event("a.b", fmt.Sprintf("%d/%d/%d", w, n, i))
						}
						abort := r.IntN(3) == 0
						err := replicas[w%2].d.Tx(ctx, func(tx *sql.Tx) error {
							if err := replicas[w%2].l.Append(ctx, tx, events...); err != nil {
								return err
							}
							time.Sleep(time.Duration(r.IntN(2)) * time.Millisecond) // widen the race between append and commit
							if abort {
								return context.Canceled
							}
							return nil
						})
						if !abort && err != nil {
							rt.Errorf("append: %v", err)
							return
						}
						if !abort {
							mu.Lock()
							for _, e := range events {
								committed[e.Subject] = true
							}
							mu.Unlock()
						}
					}
				})
			}
			writing.Wait()
			var first []odcm.Event
			for i := range followers {
				var got []odcm.Event
				for len(got) < len(committed) {
					select {
					case e := <-seen[i]:
						got = append(got, e)
					case <-ctx.Done():
						rt.Fatalf("follower %d saw %d of %d events", i, len(got), len(committed))
					}
				}
				for n, e := range got {
					if !committed[e.Subject] || e.ID != start+odcm.EventID(n)+1 {
						rt.Fatalf("follower %d at %d: %+v", i, n, e)
					}
				}
				if i == 0 {
					first = got
				} else if !slices.EqualFunc(got, first, func(a, b odcm.Event) bool { return a.ID == b.ID && a.Subject == b.Subject }) {
					rt.Fatalf("follower %d saw another order", i)
				}
			}
			cancel()
			following.Wait()
			for i := range followers {
				if len(seen[i]) != 0 {
					rt.Fatalf("follower %d saw %d events too many", i, len(seen[i]))
				}
			}
		})
	})
}

// Ten events one after another, each waited for, come sooner than one poll of the log: hints work, in the process that
// commits and in another replica.
func TestFollowWakesAfterCommit(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		t.Parallel()
		d := dbtest.Open(t, url)
		writer := open(t, d)
		reader := writer
		if d.Postgres() {
			reader = open(t, dbtest.Open(t, url))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got := make(chan odcm.Event)
		go func() {
			for e, err := range reader.Follow(ctx, 0) {
				if err != nil {
					return
				}
				got <- e
			}
		}()
		appendTo(t, writer, d, event("a.b", "first"))
		<-got // now it waits for more
		var slowest, total time.Duration
		for range 10 {
			appendTo(t, writer, d, event("a.b", "x"))
			start := time.Now()
			<-got
			took := time.Since(start)
			slowest, total = max(slowest, took), total+took
		}
		t.Logf("mean %v, slowest %v", total/10, slowest)
		if total > time.Second {
			t.Errorf("ten events took %v: followers poll", total)
		}
	})
}

func TestFollowTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		for i := range 3 {
			appendTo(t, l, d, slices.Repeat([]odcm.Event{event("a.b", fmt.Sprint(i))}, 400)...)
		}
		if n, err := l.Prune(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("pruned %d young events, %v", n, err)
		}
		if n, err := l.Prune(t.Context(), time.Now().Add(time.Hour)); n != 1200 || err != nil {
			t.Errorf("pruned %d of 1200, %v", n, err)
		}
		if last, err := l.Last(t.Context()); last != 1200 || err != nil {
			t.Errorf("Last after Prune: %d, %v", last, err)
		}
		sent := appendTo(t, l, d, event("a.b", "after"))
		if sent[0].ID != 1201 {
			t.Errorf("a position was given twice: %d", sent[0].ID)
		}
		next := func(after odcm.EventID) (odcm.Event, error) {
			for e, err := range l.Follow(t.Context(), after) {
				return e, err
			}
			return odcm.Event{}, errors.New("ended")
		}
		for _, after := range []odcm.EventID{0, 1200} {
			if e, err := next(after); err != nil || e.ID != 1201 {
				t.Errorf("after %d: %v, %v", after, e, err)
			}
		}
		if _, err := next(7); odcm.CodeOf(err) != "event.pruned" {
			t.Errorf("behind retention: %v", err)
		}
		if _, err := next(1202); odcm.CodeOf(err) != "event.unknown" {
			t.Errorf("beyond the end: %v", err)
		}
	})
}

func TestPruneStopsAtTheFirstYoungEvent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		appendTo(t, l, d, slices.Repeat([]odcm.Event{event("a.b", "x")}, 10)...)
		err := d.Tx(t.Context(), func(tx *sql.Tx) error { // a clock that was set back after the sixth
			_, err := tx.ExecContext(t.Context(), `UPDATE event SET time = CASE WHEN id = 6 THEN 9000 ELSE id END`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := l.Prune(t.Context(), time.UnixMilli(5)); n != 4 || err != nil {
			t.Errorf("pruned %d, %v; want 4", n, err)
		}
		if n, err := l.Prune(t.Context(), time.UnixMilli(100)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v; want 1", n, err)
		}
		left, err := l.List(t.Context(), eventlog.Filter{})
		if err != nil || len(left) != 5 {
			t.Errorf("left %v, %v", ids(left), err)
		}
	})
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		l := open(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		n := 0
		for _, err := range l.Follow(ctx, 0) {
			n++
			if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "follow events") {
				t.Errorf("ended with %v", err)
			}
		}
		if n != 1 {
			t.Errorf("yielded %d times", n)
		}
	})
}

func ids(events []odcm.Event) []odcm.EventID {
	var all []odcm.EventID
	for _, e := range events {
		all = append(all, e.ID)
	}
	return all
}

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // a check here writes for milliseconds, not microseconds
		_ = f.Value.Set("15")
	}
	os.Exit(m.Run())
}
