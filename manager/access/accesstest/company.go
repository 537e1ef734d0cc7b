package accesstest

import (
	"testing"
	"time"

	"odcm/manager/access"
	"odcm/manager/access/admit"
)

// Company is the world of the product's people: Bob is three groups below those who may enter Payments, which Lisa
// administers; Geoff is a consultant for a month.
func Company(t testing.TB, change func(*access.Options)) (*World, *Memory, Rooms) {
	t.Helper()
	w, store := NewWorld(), NewMemory()
	w.AddPeople("Barry", "Audrey", "Lisa", "Bob", "Carol", "Geoff")
	w.AddGroup("Payments Team", "Bob", "Carol")
	w.AddGroup("Developers", "Payments Team")
	w.AddGroup("Engineering", "Developers")
	w.AddGroup("On Call", "Bob")
	w.AddPlace("Payments", "instance-1", access.Team{ID: "Teams-21", Name: "Deploy to Dev"})
	w.AddPlace("Ledger", "instance-1")
	w.AddPlace("Web Shop", "instance-2")
	o := w.Options(store, time.Now)
	if change != nil {
		change(&o)
	}
	s, err := w.Open(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []admit.NewGrant{
		{Space: "payments", Group: "Engineering"}, {Space: "payments", User: "lisa", Steward: true},
		{Space: "payments", User: "geoff", Expires: o.Now().Add(30 * 24 * time.Hour)}, {Space: "web-shop", Group: "On Call"},
	} {
		if _, err := s.Grants.Grant(t.Context(), Barry, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Grants.Map(t.Context(), Barry, "payments", access.Team{ID: "Deploy to Dev"}, "Developers"); err != nil {
		t.Fatal(err)
	}
	return w, store, s
}
