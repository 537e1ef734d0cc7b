package admit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
)

func TestGrantsAreReplacedNotDoubled(t *testing.T) {
	t.Parallel()
	_, store, s := accesstest.Company(t, nil)
	ctx := context.Background()
	before, _, _ := s.Grants.Grants(ctx, accesstest.Barry, admit.Filter{Space: "payments", User: "geoff"})
	again, err := s.Grants.Grant(ctx, accesstest.Barry, admit.NewGrant{Space: "payments", User: "geoff", Note: "for good", Steward: true})
	if err != nil || again.ID != before[0].ID || !again.Expires.IsZero() || again.Note != "for good" || again.People != 1 || again.Name != "Geoff" {
		t.Errorf("granted again %+v: %v", again, err)
	}
	last := store.Events[len(store.Events)-1]
	if last.Type != "access.granted" || !strings.Contains(string(last.Before), "expires") || !strings.Contains(string(last.After), "for good") {
		t.Errorf("event %s before %s after %s", last.Type, last.Before, last.After)
	}
	for _, n := range []admit.NewGrant{
		{Space: "payments"}, {Space: "payments", User: "geoff", Note: strings.Repeat("x", 501)}, {Space: "payments", User: "geoff", Expires: time.Now().Add(-time.Minute)},
	} {
		if _, err := s.Grants.Grant(ctx, accesstest.Barry, n); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
