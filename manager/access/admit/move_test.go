package admit_test

import (
	"testing"
	"time"

	"odcm"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
)

// TestMove gives Geoff's grants to Lisa: both were found to be one person.
func TestMove(t *testing.T) {
	t.Parallel()
	_, _, s := accesstest.Company(t, nil)
	ctx := t.Context()
	for _, n := range []admit.NewGrant{{Space: "ledger", User: "geoff", Note: "audit"}, {Space: "payments", User: "geoff"}, {Space: "payments", User: "lisa", Steward: true, Expires: time.Now().Add(time.Hour)}} {
		if _, err := s.Grants.Grant(ctx, accesstest.Barry, n); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing left to do
		if err := s.Grants.Move(ctx, "user-geoff", "user-lisa"); err != nil {
			t.Fatal(err)
		}
	}
	held := map[string]admit.Listed{}
	all, _, err := s.Grants.Grants(ctx, odcm.System, admit.Filter{Kind: "user"})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if g.Holder.User != "user-lisa" {
			t.Errorf("%s still holds a grant in %s", g.Holder.User, g.Place.Name)
		}
		held[g.Place.Name] = g
	}
	if len(held) != 2 || held["Ledger"].Note != "audit" {
		t.Errorf("she holds %v", held)
	}
	if g := held["Payments"]; !g.Steward || !g.Expires.IsZero() {
		t.Errorf("of two grants in Payments the better parts are not kept: %+v", g.Grant)
	}
}
