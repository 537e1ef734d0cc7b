package access_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
	"odcm/manager/identity/group/graph"
)

// directory gives the graph of the moment.
type directory func() access.Graph

func (d directory) Graph(context.Context) (access.Graph, error) { return d(), nil }

// plain hides that a graph knows in whom it differs from an earlier one.
type plain struct{ access.Graph }

// TestDifferencesAreTakenFromTheGraph holds what the product's own graph says of its differences to comparing everybody.
func TestDifferencesAreTakenFromTheGraph(t *testing.T) {
	t.Parallel()
	ctx, r := context.Background(), rand.New(rand.NewPCG(5, 6))
	users, groups := many[odcm.UserID]("user", 9), many[odcm.GroupID]("group", 9)
	facts := graph.Facts{Users: map[odcm.UserID][]odcm.GroupID{}, Groups: map[odcm.GroupID][]odcm.GroupID{}}
	for i, g := range groups {
		facts.Groups[g] = nil
		if i > 0 {
			facts.Groups[g] = []odcm.GroupID{groups[r.IntN(i)]}
		}
	}
	now := graph.Build(facts, 1)
	w, store := accesstest.NewWorld(), accesstest.NewMemory()
	open := func(d directory) *access.Service {
		o := w.Options(store, nil)
		o.Directory = d
		s, err := access.New(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	quick, slow := open(func() access.Graph { return now }), open(func() access.Graph { return plain{now} })
	for i, g := range groups {
		space := odcm.SpaceID("space-" + string(rune('a'+i%4)))
		if err := store.PutGrant(ctx, access.Grant{ID: string(g), Space: space, Holder: access.Holder{Group: g}}, odcm.Event{}); err != nil {
			t.Fatal(err)
		}
	}
	for at := int64(2); at < 500; at++ {
		u := users[r.IntN(len(users))]
		switch _, known := facts.Users[u]; {
		case known && r.IntN(4) == 0:
			delete(facts.Users, u)
		default:
			facts.Users[u] = []odcm.GroupID{groups[r.IntN(len(groups))]}
		}
		next, ok := now.Advance(facts, []odcm.UserID{u}, nil, at)
		if !ok {
			next = graph.Build(facts, at)
		}
		now = next
		a, b := listen(quick), listen(slow)
		if err := quick.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if err := slow.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if got, want := a(), b(); !slices.Equal(got, want) {
			t.Fatalf("at %d: told of %v, want %v", at, got, want)
		}
		for _, u := range users {
			_, got := quick.Reach(ctx, odcm.Principal{User: u})
			if _, want := slow.Reach(ctx, odcm.Principal{User: u}); !slices.Equal(got, want) {
				t.Fatalf("at %d: %s reaches %v, want %v", at, u, got, want)
			}
		}
	}
}

// TestALateGraphIsLookedAtAgain is a graph that hears of a change half a second after this room did.
func TestALateGraphIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hints, late := make(chan string, 1), time.Now().Add(time.Hour)
		w := accesstest.NewWorld()
		w.AddPeople("Bob")
		w.AddGroup("Developers")
		w.AddPlace("Payments", "instance-1")
		before, _ := w.Graph(ctx)
		o := w.Options(nil, time.Now)
		o.Directory = directory(func() access.Graph {
			if time.Now().Before(late) {
				return before
			}
			g, _ := w.Graph(ctx)
			return g
		})
		s, err := w.Open(ctx, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Grants.Grant(ctx, accesstest.Barry, admit.NewGrant{Space: "payments", Group: "Developers"}); err != nil {
			t.Fatal(err)
		}
		go s.Run(ctx, hints)
		w.Join("user-bob", "group-developers", true)
		late = time.Now().Add(500 * time.Millisecond)
		hints <- "group/group-developers"
		time.Sleep(time.Second)
		if !s.May("user-bob", "space-payments") {
			t.Error("Bob may not enter after a second")
		}
		cancel()
		synctest.Wait()
	})
}
