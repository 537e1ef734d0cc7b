package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
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

// queue commits notices as an evaluation does.
func queue(t *testing.T, w *alerttest.World, notices ...alert.Notice) {
	t.Helper()
	l, err := w.Leases.Acquire(t.Context(), "alert", "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := watch.Change{Lease: l, Wall: time.Now()}
	for _, n := range notices {
		c.Deliveries = append(c.Deliveries, watch.Delivery{Notice: n, Title: receiver.Say(n, "").Title})
	}
	if err := w.Store.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func notice(id, to string, kind alert.NoticeKind, incidents ...string) alert.Notice {
	n := alert.Notice{ID: id, Kind: kind, Receiver: "receiver-" + to, At: time.Now()}
	for _, name := range incidents {
		i := alert.Incident{ID: "incident-" + name, RuleName: "Offline", Name: name, Phase: alert.Firing, Summary: name + " is offline.", Since: time.Now()}
		if kind == alert.Resolves {
			i.Phase, i.Resolved = alert.Resolved, time.Now()
		}
		n.Incidents = append(n.Incidents, i)
	}
	return n
}

// run delivers until stop is called.
func run(t *testing.T, w *alerttest.World, change func(*delivery.Options)) (stop func()) {
	t.Helper()
	o := delivery.Options{Store: w.Store, Sender: w, Sealer: alerttest.Sealer{}, Logger: slog.New(slog.DiscardHandler), Look: 50 * time.Millisecond, First: 20 * time.Millisecond,
		Longest: 100 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = delivery.New(o).Run(ctx, nil) })
	stop = func() { cancel(); work.Wait() }
	t.Cleanup(stop)
	return stop
}

func states(t *testing.T, w *alerttest.World) map[string]string {
	t.Helper()
	all, err := w.Store.Deliveries(t.Context(), desk.DeliveryFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, d := range all {
		found[d.ID] = d.State
	}
	return found
}

func ids(told []alerttest.Told) (all []string) {
	for _, m := range told {
		all = append(all, m.ID)
	}
	return all
}

func busy(receiver.Receiver, receiver.Message) error {
	return odcm.E(odcm.Unavailable, "alert.receiver-busy", "It is down.")
}

// TestReceiverDown keeps a receiver down while something begins and ends: it hears both in one, and in order what else there is.
func TestReceiverDown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.AddReceiver("hook")
		w.SetFail(busy)
		queue(t, w, notice("1", "hook", alert.Fires, "a", "b"))
		stop := run(t, w, func(o *delivery.Options) { o.First, o.Longest = time.Hour, time.Hour }) // so that it is not stopped within an attempt
		w.Wait("it was tried", func() bool {
			all, err := w.Store.Deliveries(t.Context(), desk.DeliveryFilter{Limit: 1})
			return err == nil && len(all) == 1 && all[0].Attempts == 1 && all[0].Error == "It is down."
		})
		stop()
		queue(t, w, notice("2", "hook", alert.Resolves, "b"), notice("3", "hook", alert.Fires, "c"))
		queue(t, w, notice("1", "hook", alert.Fires, "a", "b")) // worked out again: it is there already
		w.SetFail(nil)
		run(t, w, func(o *delivery.Options) { o.Now = func() time.Time { return time.Now().Add(90 * time.Minute) } })
		w.Wait("all is told", func() bool { return len(w.Told()) == 2 })
		told := w.Told()
		if got := ids(told); !slices.Equal(got, []string{"1-over", "3"}) {
			t.Errorf("told %q", got)
		}
		if l := told[0].Lines; len(l) != 2 || l[0].Over || !l[1].Over {
			t.Errorf("said %+v", l)
		}
		w.Wait("that is noted", func() bool { return states(t, w)["3"] == "sent" })
		if got := fmt.Sprint(states(t, w)); got != "map[1:sent 2:merged 3:sent]" {
			t.Errorf("states %s", got)
		}
	})
}

// TestSlowReceiver lets one receiver hang: the other hears everything meanwhile.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.AddReceiver("slow")
		w.AddReceiver("quick")
		release := make(chan struct{})
		w.SetFail(func(r receiver.Receiver, _ receiver.Message) error {
			if r.Name == "slow" {
				<-release
			}
			return nil
		})
		for i := range 5 {
			queue(t, w, notice(fmt.Sprint("slow", i), "slow", alert.Fires, "a"), notice(fmt.Sprint("quick", i), "quick", alert.Fires, "a"))
		}
		run(t, w, nil)
		w.Wait("the quick one hears all", func() bool { return len(w.Told()) == 5 })
		close(release)
		w.Wait("the slow one too", func() bool { return len(w.Told()) == 10 })
		var slow []string
		for _, id := range ids(w.Told()) {
			if strings.HasPrefix(id, "slow") {
				slow = append(slow, id)
			}
		}
		if !slices.IsSorted(slow) {
			t.Errorf("out of order: %q", slow)
		}
	})
}

func TestParkedAndRetried(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.AddReceiver("hook")
		w.SetFail(func(_ receiver.Receiver, m receiver.Message) error {
			if m.ID == "1" {
				return odcm.E(odcm.Invalid, "alert.receiver-gone", "There is no such address.")
			}
			return nil
		})
		queue(t, w, notice("1", "hook", alert.Fires, "a"), notice("2", "hook", alert.Fires, "b"))
		run(t, w, nil)
		w.Wait("what comes after it is told", func() bool { return fmt.Sprint(states(t, w)) == "map[1:parked 2:sent]" })
		w.SetFail(nil)
		if err := w.Store.Retry(t.Context(), "1", time.Now()); err != nil {
			t.Fatal(err)
		}
		w.Wait("it is told", func() bool { return states(t, w)["1"] == "sent" })
		if err := w.Store.Retry(t.Context(), "1", time.Now()); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("what was sent is sent again: %v", err)
		}
	})
}

// dying loses the outcome of the first attempt, as a replica does that is killed between sending and noting.
type dying struct {
	delivery.Store
	died chan struct{}
	once sync.Once
}

func (s *dying) Finish(ctx context.Context, _ delivery.Job, _ delivery.Result) error {
	s.once.Do(func() { close(s.died) })
	<-ctx.Done()
	return ctx.Err()
}

func TestKilledBetweenSendAndNote(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.AddReceiver("hook")
		queue(t, w, notice("1", "hook", alert.Fires, "a"))
		dead := &dying{Store: w.Store, died: make(chan struct{})}
		stop := run(t, w, func(o *delivery.Options) { o.Store = dead })
		<-dead.died
		stop()
		run(t, w, nil) // the dead one holds it
		var ahead atomic.Int64
		run(t, w, func(o *delivery.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		if len(w.Told()) != 1 {
			t.Errorf("told %d times while it was held", len(w.Told()))
		}
		ahead.Store(int64(time.Minute)) // longer than a hold
		w.Wait("it is sent again", func() bool { return len(w.Told()) == 2 })
		if got := ids(w.Told()); got[0] != got[1] {
			t.Errorf("sent again with another key: %q", got)
		}
		w.Wait("it is noted", func() bool { return states(t, w)["1"] == "sent" })
	})
}

// TestPatience counts how long a receiver may be down before a notice is given up.
func TestPatience(t *testing.T) {
	t.Parallel()
	w := alerttest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.AddReceiver("hook")
	w.SetFail(busy)
	queue(t, w, notice("1", "hook", alert.Fires, "a"))
	var ahead atomic.Int64
	attempts := 0
	run(t, w, func(o *delivery.Options) {
		o.First, o.Longest = 0, 0 // as in production
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	for states(t, w)["1"] != "expired" {
		ahead.Add(int64(15 * time.Minute))
		if attempts++; attempts > 1000 {
			t.Fatal("it is never given up")
		}
		w.Wait("a look at it", func() bool {
			next, err := w.Store.Next(t.Context(), time.Now().Add(time.Duration(ahead.Load())))
			return err == nil && (next.IsZero() || next.After(time.Now().Add(time.Duration(ahead.Load()))))
		})
	}
	if down := time.Duration(ahead.Load()); down < 3*24*time.Hour {
		t.Errorf("given up after %v", down)
	}
}

func TestDeletedReceiver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := alerttest.New(t, d)
		w.AddReceiver("hook")
		queue(t, w, notice("1", "hook", alert.Fires, "a"))
		if err := w.Store.Delete(t.Context(), desk.KindReceiver, "receiver-hook", 0, odcm.NewEvent(odcm.System, "alert-receiver.deleted", "receiver-hook", "hook", nil, nil)); err != nil {
			t.Fatal(err)
		}
		if got := states(t, w)["1"]; got != "expired" {
			t.Errorf("the delivery is %s", got)
		}
	})
}
