package access_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
)

func TestReach(t *testing.T) {
	t.Parallel()
	_, _, s := accesstest.Company(t, nil)
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
	w, _, s := accesstest.Company(t, nil)
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
	w, _, s := accesstest.Company(t, nil)
	w.AddPeople("Nora")
	w.Join("user-nora", "group-developers", true) // no hint has come of it
	if got, err := s.GroupsIn(context.Background(), "user-nora", "instance-1"); err != nil || !slices.Contains(got, "group-developers") {
		t.Errorf("she has %v: %v", got, err)
	}
}

func TestAFailedReadingLetsNobodyOutOrIn(t *testing.T) {
	t.Parallel()
	w, _, s := accesstest.Company(t, nil)
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
		w, store, s := accesstest.Company(t, func(o *access.Options) { o.Now, o.Bus = time.Now, both(heard) })
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

		if _, err := s.Grants.Grant(ctx, accesstest.Barry, admit.NewGrant{Space: "ledger", User: "carol", Expires: time.Now().Add(time.Hour)}); err != nil {
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
		if grants, _, err := s.Grants.Grants(ctx, accesstest.Barry, admit.Filter{}); err != nil || len(grants) != 2 {
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
