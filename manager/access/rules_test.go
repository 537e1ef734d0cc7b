package access_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

// company is the world of the product's people: Bob is three groups below those who may enter Payments, which Lisa
// administers; Geoff is a consultant for a month.
func company(t *testing.T, change func(*access.Options)) (*accesstest.World, *accesstest.Memory, *access.Service) {
	t.Helper()
	w, store := accesstest.NewWorld(), accesstest.NewMemory()
	w.AddPeople("Barry", "Audrey", "Lisa", "Bob", "Carol", "Geoff")
	w.AddGroup("Payments Team", "Bob", "Carol")
	w.AddGroup("Developers", "Payments Team")
	w.AddGroup("Engineering", "Developers")
	w.AddGroup("On Call", "Bob")
	w.AddPlace("Payments", "instance-1", access.Team{ID: "Teams-21", Name: "Deploy to Dev"})
	w.AddPlace("Ledger", "instance-1")
	w.AddPlace("Web Shop", "instance-2")
	o := w.Options(store, nil)
	if change != nil {
		change(&o)
	}
	s, err := access.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []access.NewGrant{
		{Space: "payments", Group: "Engineering"}, {Space: "payments", User: "lisa", Steward: true},
		{Space: "payments", User: "geoff", Expires: o.Now().Add(30 * 24 * time.Hour)}, {Space: "web-shop", Group: "On Call"},
	} {
		if _, err := s.Grant(t.Context(), accesstest.Barry, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Map(t.Context(), accesstest.Barry, "payments", access.Team{ID: "Deploy to Dev"}, "Developers"); err != nil {
		t.Fatal(err)
	}
	return w, store, s
}

func clock(o *access.Options) { o.Now = time.Now }

// TestWhoMayDoWhat is the table of the room.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	_, store, s := company(t, clock)
	ctx := context.Background()
	grants, _, err := s.Grants(ctx, accesstest.Barry, access.Filter{Space: "payments", Kind: "group"})
	if err != nil || len(grants) != 1 {
		t.Fatal(grants, err)
	}
	id := grants[0].ID
	acts := []struct {
		what string
		do   func(odcm.Principal) error
		// What Barry, Audrey, Lisa and Bob get: "" is permitted.
		want [4]string
	}{
		{"read the grants of her Space", func(p odcm.Principal) error {
			_, _, err := s.Grants(ctx, p, access.Filter{Space: "payments"})
			return err
		}, [4]string{"", "", "", "denied"}},
		{"read the grants of another", func(p odcm.Principal) error {
			_, _, err := s.Grants(ctx, p, access.Filter{Space: "ledger"})
			return err
		}, [4]string{"", "", "not-found", "denied"}},
		{"read who enters", func(p odcm.Principal) error {
			_, _, _, err := s.People(ctx, p, "payments", access.EntrantFilter{})
			return err
		}, [4]string{"", "", "", "denied"}},
		{"read the mappings", func(p odcm.Principal) error { _, err := s.Mappings(ctx, p, "payments"); return err }, [4]string{"", "", "", "denied"}},
		{"read of a Space that there is not", func(p odcm.Principal) error { _, err := s.Mappings(ctx, p, "nowhere"); return err }, [4]string{"not-found", "not-found", "not-found", "not-found"}},
		{"map in her Space", func(p odcm.Principal) error {
			return s.Map(ctx, p, "payments", access.Team{ID: "Teams-21"}, "Developers")
		}, [4]string{"", "denied", "", "denied"}},
		{"map in another", func(p odcm.Principal) error {
			return s.Map(ctx, p, "web-shop", access.Team{ID: "Teams-21"}, "Developers")
		}, [4]string{"not-found", "denied", "not-found", "denied"}},
		{"let in", func(p odcm.Principal) error {
			_, err := s.Grant(ctx, p, access.NewGrant{Space: "payments", Group: "Engineering"})
			return err
		}, [4]string{"", "denied", "denied", "denied"}},
		{"explain oneself", func(p odcm.Principal) error { _, err := s.Explain(ctx, p, "", "payments"); return err }, [4]string{"", "", "", ""}},
		{"explain another", func(p odcm.Principal) error { _, err := s.Explain(ctx, p, "carol", "payments"); return err }, [4]string{"", "", "", "denied"}},
		{"explain a Space out of reach", func(p odcm.Principal) error { _, err := s.Explain(ctx, p, "", "ledger"); return err }, [4]string{"", "", "not-found", "not-found"}},
		{"ask what a mapping would do", func(p odcm.Principal) error {
			_, err := s.WhatIf(ctx, p, []access.Change{{Kind: access.ToMap, Space: "payments", Team: "Teams-21", Group: "On Call"}}, 0, 0)
			return err
		}, [4]string{"", "", "", "denied"}},
		{"ask what a grant would do", func(p odcm.Principal) error {
			_, err := s.WhatIf(ctx, p, []access.Change{{Kind: access.ToGrant, Space: "payments", Group: "On Call"}}, 0, 0)
			return err
		}, [4]string{"", "", "denied", "denied"}},
		{"look for groups to map", func(p odcm.Principal) error { _, err := s.Candidates(ctx, p, "payments", "", true, 5); return err }, [4]string{"", "denied", "", "denied"}},
		{"look for people to let in", func(p odcm.Principal) error { _, err := s.Candidates(ctx, p, "payments", "", false, 5); return err }, [4]string{"", "denied", "denied", "denied"}},
		{"revoke", func(p odcm.Principal) error { return s.Revoke(ctx, p, id) }, [4]string{"", "denied", "denied", "denied"}},
	}
	for _, a := range acts {
		asking := []odcm.Principal{accesstest.Barry, accesstest.Audrey, accesstest.Lisa, accesstest.Bob}
		for i, p := range slices.Backward(asking) { // who may comes last: what is revoked is gone
			want := odcm.Kind(a.want[i])
			got := odcm.KindOf(a.do(p))
			if p.Name == "Bob" && want == "denied" && got == odcm.NotFound {
				continue // what Bob does not see is not there for him
			}
			if got != want {
				t.Errorf("%s: %s gets %q, want %q", a.what, p.Name, got, want)
			}
		}
	}
	for _, e := range store.Events {
		if !strings.HasPrefix(e.Type, "access.") || e.Subject == "" || e.Name == "" || e.By == "" {
			t.Errorf("event %+v", e)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	_, _, s := company(t, clock)
	for _, c := range []struct {
		p    odcm.Principal
		all  bool
		want []odcm.SpaceID
	}{
		{accesstest.Barry, true, nil}, {accesstest.Audrey, true, nil}, {odcm.System, true, nil},
		{accesstest.Lisa, false, []odcm.SpaceID{"space-payments"}}, {accesstest.Bob, false, []odcm.SpaceID{"space-payments", "space-web-shop"}},
		{odcm.Principal{}, false, nil},
	} {
		if all, got := s.Reach(context.Background(), c.p); all != c.all || !slices.Equal(got, c.want) {
			t.Errorf("%s reaches %t %v", c.p.Name, all, got)
		}
	}
}

func TestGroupsThatCountOnAnInstance(t *testing.T) {
	t.Parallel()
	w, _, s := company(t, clock)
	ctx := context.Background()
	if got, err := s.GroupsIn(ctx, "user-bob", "instance-1"); err != nil || !slices.Equal(got, []odcm.GroupID{"group-developers", "group-engineering"}) {
		t.Errorf("Bob has %v: %v", got, err)
	}
	if got, err := s.GroupsIn(ctx, "user-geoff", "instance-1"); err != nil || len(got) != 0 {
		t.Errorf("Geoff has %v: %v", got, err)
	}
	for _, user := range []odcm.UserID{"user-lisa", "user-nobody"} {
		if got, err := s.GroupsIn(ctx, user, "instance-2"); odcm.CodeOf(err) != "access.no-grant" || got != nil {
			t.Errorf("%s has %v: %v", user, got, err)
		}
	}
	if w.Asked != 1 {
		t.Errorf("the Spaces were read %d times", w.Asked)
	}
}

func TestNobodyIsSentAwayByOldKnowledge(t *testing.T) {
	t.Parallel()
	w, _, s := company(t, clock)
	w.AddPeople("Nora")
	w.Join("user-nora", "group-developers", true) // no hint has come of it
	if got, err := s.GroupsIn(context.Background(), "user-nora", "instance-1"); err != nil || !slices.Contains(got, "group-developers") {
		t.Errorf("she has %v: %v", got, err)
	}
}

func TestExplanations(t *testing.T) {
	t.Parallel()
	w, store, s := company(t, clock)
	ctx := context.Background()
	ask := func(user, space string) access.Explanation {
		t.Helper()
		e, err := s.Explain(ctx, accesstest.Barry, user, space)
		if err != nil {
			t.Fatal(err)
		}
		if e.Enter != s.May(e.Person.ID, e.Place.Space) {
			t.Errorf("explained otherwise than decided: %+v", e)
		}
		return e
	}
	ways := func(e access.Explanation) string {
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
	w, _, s := company(t, clock)
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
	e, err := s.Explain(context.Background(), accesstest.Barry, "audrey", "payments")
	if err != nil || len(e.Ways) != 50 || len(e.Ways[0].Path) != 3 || time.Since(began) > 5*time.Second {
		t.Errorf("%d ways in %v: %v", len(e.Ways), time.Since(began), err)
	}
}

func TestAFailedReadingLetsNobodyOutOrIn(t *testing.T) {
	t.Parallel()
	w, _, s := company(t, clock)
	w.Fail = errors.New("the directory does not answer")
	if err := s.Refresh(context.Background()); err == nil {
		t.Error("the failure is not told")
	}
	if !s.May("user-bob", "space-payments") || s.May("user-carol", "space-web-shop") {
		t.Error("decisions changed")
	}
}

// hints is a bus of two replicas.
type hints chan string

func (h hints) Publish(topics ...string) {
	for _, topic := range topics {
		h <- topic
	}
}

// TestReplicas shows that grants end by themselves, once, with an event, and that another replica hears of every change.
func TestReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		heard := [2]hints{make(hints, 100), make(hints, 100)}
		w, store, s := company(t, func(o *access.Options) { o.Now, o.Bus = time.Now, both(heard) })
		o := w.Options(store, time.Now)
		o.Bus = both(heard)
		other, err := access.New(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		times := map[odcm.SpaceID]int{}
		changed := other.Changed(ctx)
		go func() {
			for id := range changed {
				mu.Lock()
				times[id]++
				mu.Unlock()
			}
		}()
		touched := func(id odcm.SpaceID) int {
			mu.Lock()
			defer mu.Unlock()
			return times[id]
		}
		go s.Run(ctx, heard[0])
		go other.Run(ctx, heard[1])
		synctest.Wait()

		if _, err := s.Grant(ctx, accesstest.Barry, access.NewGrant{Space: "ledger", User: "carol", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !s.May("user-carol", "space-ledger") || !other.May("user-carol", "space-ledger") || touched("space-ledger") != 1 {
			t.Errorf("granted: %t %t, touched %d times", s.May("user-carol", "space-ledger"), other.May("user-carol", "space-ledger"), touched("space-ledger"))
		}
		time.Sleep(time.Hour - time.Second - time.Millisecond)
		synctest.Wait()
		if !other.May("user-carol", "space-ledger") {
			t.Error("ended before its time")
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if s.May("user-carol", "space-ledger") || other.May("user-carol", "space-ledger") || touched("space-ledger") != 2 {
			t.Errorf("not ended: %t %t, touched %d times", s.May("user-carol", "space-ledger"), other.May("user-carol", "space-ledger"), touched("space-ledger"))
		}
		ends := 0
		for _, e := range store.Events {
			if e.Type == "access.expired" {
				ends++
			}
		}
		if ends != 1 {
			t.Errorf("%d events of the end", ends)
		}

		w.Join("user-audrey", "group-developers", true)
		both(heard).Publish("group/group-developers")
		time.Sleep(time.Second)
		synctest.Wait()
		if !s.May("user-audrey", "space-payments") || touched("space-payments") != 1 {
			t.Errorf("Audrey joined; touched %d times", touched("space-payments"))
		}
		w.Disable("user-audrey")
		time.Sleep(time.Minute) // the hint is lost
		synctest.Wait()
		if s.May("user-audrey", "space-payments") || touched("space-payments") != 2 {
			t.Errorf("Audrey is disabled; touched %d times", touched("space-payments"))
		}

		w.RemovePlace("space-payments")
		both(heard).Publish("spaces/all")
		time.Sleep(time.Second)
		synctest.Wait()
		if s.May("user-bob", "space-payments") || other.May("user-bob", "space-payments") {
			t.Error("a Space that is gone can be entered")
		}
		if grants, _, err := s.Grants(ctx, accesstest.Barry, access.Filter{}); err != nil || len(grants) != 2 {
			t.Errorf("left are %+v: %v", grants, err)
		}
		cancel()
		synctest.Wait()
	})
}

// both publishes to two replicas.
func both(to [2]hints) access.Bus { return pair(to) }

type pair [2]hints

func (p pair) Publish(topics ...string) {
	p[0].Publish(topics...)
	p[1].Publish(topics...)
}

func TestGrantsAreReplacedNotDoubled(t *testing.T) {
	t.Parallel()
	_, store, s := company(t, clock)
	ctx := context.Background()
	before, _, _ := s.Grants(ctx, accesstest.Barry, access.Filter{Space: "payments", User: "geoff"})
	again, err := s.Grant(ctx, accesstest.Barry, access.NewGrant{Space: "payments", User: "geoff", Note: "for good", Steward: true})
	if err != nil || again.ID != before[0].ID || !again.Expires.IsZero() || again.Note != "for good" || again.People != 1 || again.Name != "Geoff" {
		t.Errorf("granted again %+v: %v", again, err)
	}
	last := store.Events[len(store.Events)-1]
	if last.Type != "access.granted" || !strings.Contains(string(last.Before), "expires") || !strings.Contains(string(last.After), "for good") {
		t.Errorf("event %s before %s after %s", last.Type, last.Before, last.After)
	}
	for _, n := range []access.NewGrant{
		{Space: "payments"}, {Space: "payments", User: "geoff", Note: strings.Repeat("x", 501)}, {Space: "payments", User: "geoff", Expires: time.Now().Add(-time.Minute)},
	} {
		if _, err := s.Grant(ctx, accesstest.Barry, n); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
