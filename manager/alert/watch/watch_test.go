package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/alert"
	"odcm/manager/alert/alerttest"
	"odcm/manager/alert/delivery"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
	"odcm/manager/alert/watch"
)

var replica atomic.Int64

// start runs a replica that evaluates and delivers; kill ends it.
func start(t *testing.T, w *alerttest.World, change func(*watch.Options)) (kill func()) {
	t.Helper()
	o := watch.Options{Source: w, Log: w.Log, Leases: w.Leases, Store: w.Store, Owner: fmt.Sprint("replica-", replica.Add(1)), Logger: slog.New(slog.DiscardHandler),
		PollEvery: 200 * time.Millisecond, ProbeEvery: 100 * time.Millisecond, LeaseFor: 4 * time.Second}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		hints := w.Bus.Subscribe("alert-setting", "incident")
		defer hints.Close()
		_ = watch.New(o).Run(ctx, hints.C)
	})
	work.Go(func() {
		hints := w.Bus.Subscribe("notification")
		defer hints.Close()
		c := delivery.New(delivery.Options{Store: w.Store, Sender: w, Sealer: alerttest.Sealer{}, Logger: slog.New(slog.DiscardHandler), Look: 200 * time.Millisecond, First: 50 * time.Millisecond})
		_ = c.Run(ctx, hints.C)
	})
	kill = func() { cancel(); work.Wait() }
	t.Cleanup(kill)
	return kill
}

// began waits until a replica has taken a first step.
func began(t *testing.T, w *alerttest.World) {
	t.Helper()
	w.Wait("a first step", func() bool {
		parts, err := w.Store.Load(t.Context())
		return err == nil && len(parts) > 0
	})
}

func titles(told []alerttest.Told) (all []string) {
	for _, m := range told {
		all = append(all, m.Title)
	}
	return all
}

func TestOutage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.Offline(nil)
		w.AddReceiver("hook")
		w.Save(desk.KindReceiver, "receiver-mail", receiver.Receiver{ID: "receiver-mail", Name: "mail", Kind: receiver.Email, To: []string{"a@example.com"}, Default: true, Enabled: true})
		w.Set(alerttest.Space("a", "online", "h", time.Now()))
		start(t, w, nil)
		began(t, w)
		w.Change(t.Context(), alerttest.Space("a", "offline", "h", time.Now()))
		w.Wait("it fires", func() bool { return len(w.Told()) == 1 && len(w.Outbox.Sent()) == 1 })
		w.Change(t.Context(), alerttest.Space("a", "online", "h", time.Now()))
		w.Wait("it is over", func() bool { return len(w.Told()) == 2 && len(w.Outbox.Sent()) == 2 })
		if got := titles(w.Told()); !slices.Equal(got, []string{"Offline: a", "Resolved: Offline: a"}) {
			t.Errorf("told %q", got)
		}
		if m := w.Outbox.Sent()[0]; m.To != "a@example.com" || m.Subject != "Offline: a" {
			t.Errorf("mail %+v", m)
		}
		all, err := w.Store.Incidents(t.Context(), desk.IncidentFilter{All: true, Limit: 10})
		if err != nil || len(all) != 1 || all[0].Phase != alert.Resolved {
			t.Fatalf("incidents %+v, %v", all, err)
		}
		w.Wait("deliveries are noted", func() bool {
			told, err := w.Store.Deliveries(t.Context(), desk.DeliveryFilter{Incident: all[0].ID, Limit: 10})
			return err == nil && len(told) == 4 && !slices.ContainsFunc(told, func(d desk.Delivery) bool { return d.State != "sent" && d.State != "handed-over" })
		})
	})
}

// breaking fails the k-th commit with something in it to tell, before or after it is done.
type breaking struct {
	watch.Store
	mu    sync.Mutex
	at    int
	after bool
}

func (b *breaking) Commit(ctx context.Context, c watch.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(c.Outcome.Notes)+len(c.Deliveries) == 0 {
		return b.Store.Commit(ctx, c)
	}
	b.at--
	broken := errors.New("the replica died")
	if b.at == 0 && !b.after {
		return broken
	}
	if err := b.Store.Commit(ctx, c); err != nil || b.at != 0 {
		return err
	}
	return broken
}

// TestCrashAtEveryCommit kills the evaluation at each commit of an outage, before and after it.
func TestCrashAtEveryCommit(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		fresh := dbtest.SQLite
		if strings.HasPrefix(url, "postgres") {
			fresh = dbtest.PostgreSQL
		}
		for k := range 3 {
			for _, after := range []bool{false, true} {
				w := alerttest.New(t, dbtest.Open(t, fresh(t)))
				w.Offline(nil)
				w.AddReceiver("hook")
				w.Set(alerttest.Space("a", "online", "h", time.Now()))
				start(t, w, func(o *watch.Options) { o.Store = &breaking{Store: w.Store, at: k + 1, after: after} })
				began(t, w)
				w.Change(t.Context(), alerttest.Space("a", "offline", "h", time.Now()))
				w.Wait("it fires", func() bool { return len(w.Told()) >= 1 })
				w.Change(t.Context(), alerttest.Space("a", "online", "h", time.Now()))
				w.Wait("it is over", func() bool { return len(w.Told()) >= 2 })
				if got := titles(w.Told()); !slices.Equal(got, []string{"Offline: a", "Resolved: Offline: a"}) {
					t.Errorf("commit %d, after %v: told %q", k, after, got)
				}
			}
		}
	})
}

// TestFence lets a replica that lost its lease try to commit.
func TestFence(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		old, err := w.Leases.Acquire(t.Context(), "alert", "old", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Leases.Release(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Leases.Acquire(t.Context(), "alert", "new", time.Minute); err != nil {
			t.Fatal(err)
		}
		c := watch.Change{Lease: old, Put: []alert.Part{{Part: "clock", Body: "{}"}}, Wall: time.Now()}
		if err := w.Store.Commit(t.Context(), c); odcm.CodeOf(err) != "lease.lost" {
			t.Errorf("a replica without the lease committed: %v", err)
		}
		if parts, err := w.Store.Load(t.Context()); err != nil || len(parts) != 0 {
			t.Errorf("something was kept: %v, %v", parts, err)
		}
	})
}

// TestReplicas kills replicas at random while Spaces flap, and compares what was told with what happened.
func TestReplicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const spaces, rounds = 12, 25
		w := alerttest.New(t, d)
		w.Offline(nil)
		w.AddReceiver("hook")
		outages := make([]int, spaces)
		down := make([]bool, spaces)
		space := func(i int) alert.Reading {
			return alerttest.Space(fmt.Sprint(i), map[bool]string{true: "offline", false: "online"}[down[i]], fmt.Sprint("host-", i), time.Now())
		}
		for i := range spaces {
			w.Set(space(i))
		}
		kills := []func(){start(t, w, nil), start(t, w, nil), start(t, w, nil)}
		began(t, w)
		for range rounds {
			for range rand.IntN(5) {
				i := rand.IntN(spaces)
				if down[i] = !down[i]; down[i] {
					outages[i]++
				}
				w.Change(t.Context(), space(i))
			}
			if rand.IntN(3) == 0 {
				k := rand.IntN(len(kills))
				kills[k]()
				kills[k] = start(t, w, nil)
			}
		}
		for i := range spaces {
			if down[i] {
				down[i] = false
				w.Change(t.Context(), space(i))
			}
		}
		total := 0
		for _, n := range outages {
			total += n
		}
		w.Wait("everything is told", func() bool {
			queued, err := w.Store.Deliveries(t.Context(), desk.DeliveryFilter{State: "queued", Limit: 1})
			open, err2 := w.Store.Incidents(t.Context(), desk.IncidentFilter{All: true, Limit: 1000})
			return err == nil && err2 == nil && len(queued) == 0 && len(open) == total &&
				!slices.ContainsFunc(open, func(i alert.Incident) bool { return i.Phase != alert.Resolved })
		})
		fired, over, keys := map[string]int{}, map[string]int{}, map[string]bool{}
		for _, m := range w.Told() {
			if keys[m.ID] {
				continue // sent again with its key: the receiver knows it
			}
			keys[m.ID] = true
			for _, l := range m.Lines {
				if m.Kind == alert.Fires {
					fired[l.Incident.ID]++
				}
				if l.Over {
					if over[l.Incident.ID]++; fired[l.Incident.ID] == 0 {
						t.Errorf("%s was told to be over before it was told to fire", l.Incident.Name)
					}
				}
			}
		}
		if len(fired) != total || len(over) != total {
			t.Errorf("%d outages, %d told of, %d told to be over", total, len(fired), len(over))
		}
		for id := range fired {
			if fired[id] != 1 || over[id] != 1 {
				t.Errorf("%s was told %d times, and %d times to be over", id, fired[id], over[id])
			}
		}
	})
}

// TestBeginsAnew lets the log lose what was not read yet: what is now is read instead.
func TestBeginsAnew(t *testing.T) {
	t.Parallel()
	w := alerttest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.Offline(nil)
	w.AddReceiver("hook")
	w.Set(alerttest.Space("a", "online", "h", time.Now()))
	kill := start(t, w, nil)
	began(t, w)
	kill()
	for range 5 {
		w.Change(t.Context(), alerttest.Space("a", "offline", "h", time.Now()))
		w.Change(t.Context(), alerttest.Space("b", "online", "h", time.Now()))
	}
	if _, err := w.Log.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.Change(t.Context(), alerttest.Space("b", "online", "h", time.Now()))
	start(t, w, nil)
	w.Wait("it fires", func() bool { return len(w.Told()) == 1 })
	if got := titles(w.Told()); got[0] != "Offline: a" {
		t.Errorf("told %q", got)
	}
}

// late is a source whose readings are older than the log when they arrive.
type late struct {
	*alerttest.World
	meanwhile chan func() // what happens while it is read
}

func (l *late) Readings(ctx context.Context) ([]alert.Reading, error) {
	all, err := l.World.Readings(ctx)
	select {
	case f := <-l.meanwhile:
		f()
	default:
	}
	return all, err
}

// TestLateReadings lets a Space go offline while everything is read, twice: the readings say online when the log says offline.
func TestLateReadings(t *testing.T) {
	t.Parallel()
	w := alerttest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.Offline(nil)
	w.AddReceiver("hook")
	space := func(status string) { w.Change(t.Context(), alerttest.Space("a", status, "h", time.Now())) }
	w.Set(alerttest.Space("a", "online", "h", time.Now()))
	source := &late{w, make(chan func())}
	start(t, w, func(o *watch.Options) { o.Source = source })
	began(t, w)
	looks := func(f func()) { // while it is looked the next time
		done := make(chan bool)
		source.meanwhile <- func() { f(); close(done) }
		<-done
	}
	looks(func() { space("offline") })
	space("online")
	looks(func() { space("offline") })
	for range 5 {
		looks(func() {})
	}
	all, err := w.Store.Incidents(t.Context(), desk.IncidentFilter{All: true, Limit: 10})
	if err != nil || len(all) != 2 || all[0].Phase != alert.Firing || all[1].Phase != alert.Resolved {
		t.Errorf("incidents %+v, %v", all, err)
	}
}
