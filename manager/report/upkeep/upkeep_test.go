package upkeep_test

import (
	"context"
	"database/sql"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/signal"
	"odcm/manager/report"
	"odcm/manager/report/reporttest"
	"odcm/manager/report/upkeep"
)

func TestSignInsAndOldDeployments(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.SQLite(t))
	w := reporttest.NewWorld(t, d)
	w.Busy()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	// The world counted up to event 9.
	var events []odcm.Event
	for i := range 1200 {
		typ := "identity.signed-in"
		if i%2 == 1 {
			typ = "identity.signed-out"
		}
		events = append(events, odcm.NewEvent(odcm.Principal{User: "user-bob", Name: "Bob"}, typ, "user-bob", "Bob", nil, nil))
	}
	if err := d.Tx(t.Context(), func(tx *sql.Tx) error { return log.Append(t.Context(), tx, events...) }); err != nil {
		t.Fatal(err)
	}
	u := upkeep.Upkeep{Keeper: w.Store, Events: log, Keep: 10 * 24 * time.Hour, Now: func() time.Time { return reporttest.Now }}
	for range 2 { // the second time nothing is new
		if err := u.CountSignIns(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := u.RollUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.Store.SignIns(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	var n int64
	for _, in := range all {
		n += in.N
	}
	if err != nil || n != 600-5 { // of the first nine events, five were sign-ins
		t.Errorf("%d sign-ins, %v", n, err)
	}
	left, err := w.Store.List(t.Context(), report.Scope{}, report.Position{}, 1000)
	if err != nil || len(left) == 0 || left[len(left)-1].Ended.Before(reporttest.Now.Add(-10*24*time.Hour).Truncate(report.Quarter)) {
		t.Errorf("%d are left, %v", len(left), err)
	}
	counts, err := w.Store.Counts(t.Context(), report.Scope{}, nil, nil)
	var total int64
	for _, c := range counts {
		total += c.N
	}
	if err != nil || total != 210 {
		t.Errorf("%d counted, %v", total, err)
	}
}

type meter struct{ used report.Usage }

func (m *meter) Usage() map[string]report.Usage {
	m.used.Background += 10
	return map[string]report.Usage{"https://a.example": m.used}
}

// keeper counts what it is given, and fails the second time.
type keeper struct {
	report.Keeper
	calls int
	total report.Usage
}

func (k *keeper) Read(_ context.Context, _ time.Time, used map[string]report.Usage) error {
	if k.calls++; k.calls == 2 {
		return odcm.E(odcm.Unavailable, "db.unreachable", "away")
	}
	k.total = k.total.Add(used["https://a.example"])
	return nil
}

func (*keeper) SignInsAfter(context.Context) (odcm.EventID, error)          { return 0, nil }
func (*keeper) RollUp(context.Context, time.Time, int) (int, error)         { return 0, nil }
func (*keeper) List(context.Context, eventlog.Filter) ([]odcm.Event, error) { return nil, nil }

func (*keeper) Hold(ctx context.Context, _, _ string, _ time.Duration, f func(context.Context, lease.Lease) error) error {
	return f(ctx, lease.Lease{})
}

func TestWhatServersWereAskedIsCountedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, m := &keeper{}, &meter{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- upkeep.Upkeep{Keeper: k, Meter: m, Events: k, Leases: k, Replica: "a"}.Run(ctx) }()
		time.Sleep(time.Hour)
		cancel()
		<-done
		if k.calls < 9 || k.total.Background != m.used.Background {
			t.Errorf("%d of %d after %d readings", k.total.Background, m.used.Background, k.calls)
		}
	})
}
