package reportoctopus_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reportoctopus"
	"odcm/manager/report/reportsql"
	"odcm/octopus/octoclient"
)

// all is a place where every Space belongs to this replica.
type all struct{ spaces []collect.Space }

func (a all) Spaces(context.Context) ([]collect.Space, error) { return a.spaces, nil }
func (all) Owns(string) bool                                  { return true }
func (all) Changed() <-chan struct{}                          { return nil }

// Several Spaces deploy, the second half while nobody collects, and the figures are theirs. The same with many, through a manager,
// is measured in test/bench.
func TestSomeSpaces(t *testing.T) {
	t.Parallel()
	const spaces, runs = 3, 90
	store, err := reportsql.New(context.Background(), dbtest.Open(t, dbtest.SQLite(t)))
	if err != nil {
		t.Fatal(err)
	}
	budgets := octoclient.NewBudgets(octoclient.Limits{}) // as a manager has them
	servers := make([]*server, spaces)
	deploys := make([]func(int, bool), spaces)
	clients := map[odcm.SpaceID]*octoclient.Client{}
	var fleet all
	for i := range servers {
		servers[i] = serve(t, t.TempDir())
		deploys[i] = servers[i].furnish()
		id := odcm.SpaceID(fmt.Sprintf("space-%02d", i))
		clients[id] = dial(t, servers[i].client.URL(), budgets)
		fleet.spaces = append(fleet.spaces, collect.Space{ID: id, Name: string(id)})
	}
	var sources sync.Map
	connect := func(_ context.Context, id odcm.SpaceID) (collect.Source, error) {
		s := reportoctopus.New(clients[id], "Spaces-1")
		sources.Store(s, true)
		return s, nil
	}
	deploy := func(n int) {
		var wg sync.WaitGroup
		for i, s := range servers {
			wg.Go(func() {
				deploys[i](n-n/10, false)
				deploys[i](n/10, true)
				s.settle()
			})
		}
		wg.Wait()
	}
	// collected runs a collector until the figures of every Space are those of its server.
	collected := func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		c := collect.New(collect.Options{Store: store, Connect: connect, Spaces: fleet, Owner: fleet, Logger: slog.New(slog.DiscardHandler), Every: 2 * time.Second})
		go func() { done <- c.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for i, s := range servers {
			want := s.count()
			for deadline := time.Now().Add(5 * time.Minute); ; {
				got := of(t, store, fleet.spaces[i].ID)
				if maps.Equal(got, want) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: counted %v, the server says %v", fleet.spaces[i].ID, got, want)
				}
				timer := time.NewTimer(200 * time.Millisecond)
				<-timer.C
			}
		}
	}
	each := runs / spaces
	deploy(each / 2)
	collected()
	deploy(each - each/2) // nobody collects
	collected()

	var asked int64
	sources.Range(func(s, _ any) bool { asked += s.(*reportoctopus.Source).Asked(); return true })
	var total int64
	for i, s := range servers {
		want := s.count()
		if got := of(t, store, fleet.spaces[i].ID); !maps.Equal(got, want) {
			t.Errorf("%s: counted %v, the server says %v", fleet.spaces[i].ID, got, want)
		}
		for _, n := range want {
			total += n
		}
		if u := clients[fleet.spaces[i].ID].Budget().Usage(); u.Interactive != 0 || u.Limited != 0 {
			t.Errorf("%s: %+v", fleet.spaces[i].ID, u)
		}
	}
	if total != int64(each*spaces) {
		t.Errorf("the servers count %d, %d were made", total, each*spaces)
	}
	if asked > 40*spaces {
		t.Errorf("%d requests for %d deployments of %d Spaces", asked, runs, spaces)
	}
}

func of(t testing.TB, store *reportsql.Store, id odcm.SpaceID) map[report.Outcome]int64 {
	t.Helper()
	counts, err := store.Counts(context.Background(), report.Scope{Spaces: []odcm.SpaceID{id}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	by := map[report.Outcome]int64{}
	for _, c := range counts {
		by[c.Outcome] = c.N
	}
	return by
}
