package explain_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/explain"
)

func TestExplanations(t *testing.T) {
	t.Parallel()
	w, store, s := accesstest.Company(t, nil)
	ctx := context.Background()
	ask := func(user, space string) explain.Explanation {
		t.Helper()
		e, err := s.Explain.Explain(ctx, accesstest.Barry, user, space)
		if err != nil {
			t.Fatal(err)
		}
		if e.Enter != s.May(e.Person.ID, e.Place.Space) {
			t.Errorf("explained otherwise than decided: %+v", e)
		}
		return e
	}
	ways := func(e explain.Explanation) string {
		var all []string
		for _, way := range e.Ways {
			var names []string
			for _, g := range way.Path {
				names = append(names, g.Name)
			}
			all = append(all, strings.Join(names, ">"))
		}
		return strings.Join(all, " ")
	}
	if e := ask("bob", "payments"); ways(e) != "Payments Team>Developers>Engineering" || len(e.Teams) != 1 || e.Teams[0].Team.Name != "Deploy to Dev" || len(e.Teams[0].Ways[0]) != 2 {
		t.Errorf("Bob: %s %+v", ways(e), e.Teams)
	}
	// Every other way is told too, the shortest first.
	w.Join("user-bob", "group-engineering", true)
	w.Nest("group-on-call", "group-developers", true)
	if e := ask("bob", "payments"); ways(e) != "Engineering On Call>Developers>Engineering Payments Team>Developers>Engineering" {
		t.Errorf("Bob has the ways %s", ways(e))
	}
	if e := ask("geoff", "payments"); !e.Enter || len(e.Ways) != 1 || len(e.Ways[0].Path) != 0 || len(e.Teams) != 0 {
		t.Errorf("Geoff: %+v", e)
	}
	if e := ask("carol", "web-shop"); e.Enter || !strings.Contains(e.Missing, "On Call") {
		t.Errorf("Carol: %+v", e)
	}
	if e := ask("carol", "ledger"); e.Enter || !strings.Contains(e.Missing, "No group may enter Ledger") {
		t.Errorf("Carol: %+v", e)
	}
	past := access.Grant{ID: "grant-past", Space: "space-ledger", Holder: access.Holder{Group: "group-payments-team"}, Expires: time.Now().Add(-time.Hour), Ended: true}
	if err := store.PutGrant(ctx, past, odcm.Event{}); err != nil {
		t.Fatal(err)
	}
	if e := ask("carol", "ledger"); e.Enter || !strings.Contains(e.Missing, "Payments Team, in which Carol is, expired on") {
		t.Errorf("Carol: %s", e.Missing)
	}
	w.Disable("user-bob")
	if e := ask("bob", "payments"); e.Enter || !strings.Contains(e.Missing, "disabled") {
		t.Errorf("Bob: %s", e.Missing)
	}
}

// TestManyWays shows that groups nested crosswise, which make ways beyond count, are answered at once.
func TestManyWays(t *testing.T) {
	t.Parallel()
	w, _, s := accesstest.Company(t, nil)
	for level := range 20 {
		for _, side := range []string{"a", "b"} {
			for _, below := range []string{"a", "b"} {
				w.Nest(odcm.GroupID(below+string(rune('a'+level))), odcm.GroupID(side+string(rune('b'+level))), true)
			}
			w.Group(odcm.GroupID(side + string(rune('a'+level))))
		}
	}
	w.Group("au")
	w.Nest("au", "group-engineering", true)
	w.Join("user-audrey", "aa", true)
	w.Nest("bb", "group-engineering", true)
	began := time.Now()
	e, err := s.Explain.Explain(context.Background(), accesstest.Barry, "audrey", "payments")
	if err != nil || len(e.Ways) != 50 || len(e.Ways[0].Path) != 3 || time.Since(began) > 5*time.Second {
		t.Errorf("%d ways in %v: %v", len(e.Ways), time.Since(began), err)
	}
}
