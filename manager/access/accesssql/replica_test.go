package accesssql_test

import (
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/access"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
)

// TestReplicasAgreeWithinASecond grants on one replica and revokes on another, each with its own connections to one
// PostgreSQL.
func TestReplicasAgreeWithinASecond(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgreSQL(t)
	w := accesstest.NewWorld()
	w.AddPeople("Bob")
	w.AddGroup("Developers", "Bob")
	w.AddPlace("Payments", "instance-1")
	replica := func() accesstest.Rooms {
		d := dbtest.Open(t, url)
		bus, err := signal.New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bus.Close)
		log, err := eventlog.New(t.Context(), d, bus)
		if err != nil {
			t.Fatal(err)
		}
		store, err := accesssql.New(t.Context(), d, log)
		if err != nil {
			t.Fatal(err)
		}
		o := w.Options(store, time.Now)
		o.Bus = bus
		s, err := w.Open(t.Context(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		hints, ended := bus.Subscribe(access.Topics()...), make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Run(t.Context(), hints.C)
		}()
		t.Cleanup(func() { hints.Close(); <-ended })
		return s
	}
	a, b := replica(), replica()
	agree := func(s accesstest.Rooms, want bool) {
		t.Helper()
		began := time.Now()
		for tick := time.NewTicker(time.Millisecond); s.May("user-bob", "space-payments") != want; <-tick.C {
			if time.Since(began) > 5*time.Second { // ten machines' worth of load beside us
				t.Fatalf("the other replica still says %t", !want)
			}
		}
		t.Logf("the other replica says %t after %v", want, time.Since(began).Round(time.Millisecond))
	}
	g, err := a.Grants.Grant(t.Context(), accesstest.Barry, admit.NewGrant{Space: "payments", Group: "Developers"})
	if err != nil || !a.May("user-bob", "space-payments") {
		t.Fatal(g, err)
	}
	agree(b, true)
	if err := b.Grants.Revoke(t.Context(), accesstest.Barry, g.ID); err != nil || b.May("user-bob", "space-payments") {
		t.Fatal(err)
	}
	agree(a, false)
}
