package reportsql_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reportsql"
	"odcm/manager/report/reporttest"
)

var every = []report.Dimension{report.BySpace, report.ByProject, report.ByEnvironment, report.ByTenant, report.ByPeriod}

// quarters part some days into quarters of an hour: the finest that is ever asked.
func quarters(from time.Time, n int) []time.Time {
	bounds := make([]time.Time, n+1)
	for i := range bounds {
		bounds[i] = from.Add(time.Duration(i) * report.Quarter)
	}
	return bounds
}

func counts(t testing.TB, s *reportsql.Store, scope report.Scope, by []report.Dimension, bounds []time.Time) map[report.Count]bool {
	t.Helper()
	all, err := s.Counts(context.Background(), scope, by, bounds)
	if err != nil {
		t.Fatal(err)
	}
	set := map[report.Count]bool{}
	for _, c := range all {
		if set[c] {
			t.Fatalf("twice: %+v", c)
		}
		set[c] = true
	}
	return set
}

// What is summed up says the same as the single facts did, in every grouping, and is not counted again when it is read again.
func TestSumsEqualWhatTheySumUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		w.Busy()
		start := reporttest.Now.AddDate(0, 0, -30).Truncate(24 * time.Hour)
		bounds := quarters(start, 31*96/24) // of the first days only: the number of periods is bounded
		before := counts(t, w.Store, report.Scope{}, every[:4], nil)
		fine := counts(t, w.Store, report.Scope{}, every, bounds)
		facts := map[odcm.SpaceID][]report.Deployment{}
		for _, l := range list(t, w.Store, report.Scope{}) {
			facts[l.Space] = append(facts[l.Space], l.Deployment)
		}
		rapid.Check(t, func(rt *rapid.T) {
			days := rapid.IntRange(0, 29).Draw(rt, "days kept")
			for {
				n, err := w.Store.RollUp(context.Background(), reporttest.Now.AddDate(0, 0, -days), rapid.IntRange(1, 40).Draw(rt, "at once"))
				if err != nil {
					rt.Fatal(err)
				}
				if n == 0 {
					break
				}
			}
			if rapid.Bool().Draw(rt, "read again") { // as after a restored server
				for space, all := range facts {
					w.Commit(collect.Batch{Space: collect.Space{ID: space}, Facts: all})
				}
			}
			if got := counts(t, w.Store, report.Scope{}, every[:4], nil); !maps.Equal(got, before) {
				rt.Fatalf("after summing up:\n%v\nbefore:\n%v", got, before)
			}
			if got := counts(t, w.Store, report.Scope{}, every, bounds); !maps.Equal(got, fine) {
				rt.Fatal("quarters of an hour differ")
			}
		})
		if n := len(list(t, w.Store, report.Scope{})); n >= len(before)*10 {
			t.Errorf("%d facts are left", n)
		}
	})
}

func list(t testing.TB, s *reportsql.Store, scope report.Scope) (all []report.Listed) {
	t.Helper()
	for after := (report.Position{}); ; {
		page, err := s.List(context.Background(), scope, after, 37)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(page) < 37 {
			return all
		}
		after = page[len(page)-1].Position
	}
}

func TestTheListIsPaged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		w.Busy()
		all := list(t, w.Store, report.Scope{})
		seen := map[string]bool{}
		for i, l := range all {
			key := string(l.Space) + l.ID
			if seen[key] || i > 0 && l.Position.At > all[i-1].Position.At {
				t.Fatalf("%s comes twice, or later than it should", key)
			}
			seen[key] = true
		}
		total := int64(0)
		for c := range counts(t, w.Store, report.Scope{}, nil, nil) {
			total += c.N
		}
		if int64(len(all)) != total || all[0].ProjectName == "" || all[0].EnvironmentName == "" {
			t.Errorf("%d in the list, %d counted; first %+v", len(all), total, all[0])
		}
		if none := list(t, w.Store, report.Scope{Spaces: []odcm.SpaceID{}}); len(none) != 0 {
			t.Errorf("who may see nothing sees %d", len(none))
		}
	})
}

func TestOneReplicaCommits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		ctx, space := t.Context(), collect.Space{ID: reporttest.Payments, Name: "Payments"}
		for revision := range int64(3) {
			b := collect.Batch{Space: space, Next: collect.State{Revision: revision, Cursor: 10 + revision, Since: reporttest.Now}, Now: reporttest.Now, Requests: 2}
			if got, err := w.Store.Commit(ctx, b); err != nil || got != revision+1 {
				t.Fatalf("%d, %v", got, err)
			}
			b.Facts = []report.Deployment{reporttest.Run(space.ID, 1, 1, 1, report.Succeeded, reporttest.Now)}
			if _, err := w.Store.Commit(ctx, b); odcm.CodeOf(err) != "report.overtaken" {
				t.Fatalf("overtaken: %v", err)
			}
		}
		if all := list(t, w.Store, report.Scope{}); len(all) != 0 {
			t.Errorf("what was refused is there: %v", all)
		}
		state, err := w.Store.State(ctx, space.ID)
		standings, err2 := w.Store.Standings(ctx, nil)
		if err != nil || err2 != nil || state.Cursor != 12 || state.Revision != 3 || len(standings) != 1 || standings[0].Requests != 6 || standings[0].Name != "Payments" {
			t.Errorf("%+v %v %+v %v", state, err, standings, err2)
		}
	})
}

func TestMergedFacts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		ctx, space := t.Context(), collect.Space{ID: reporttest.Payments}
		ended := reporttest.Run(space.ID, 1, 1, 1, report.Succeeded, reporttest.Now.Add(-time.Hour))
		open := ended
		open.Outcome, open.Ended = report.Running, time.Time{}
		odd := reporttest.Run(space.ID, 2, 1, 1, report.Queued, reporttest.Now.Add(-time.Hour))
		odd.Version, odd.By = "1.0\x00\xff", "b\x00b"
		w.Commit(collect.Batch{Space: space, Facts: []report.Deployment{open, odd}})
		waiting, err := w.Store.Open(ctx, space.ID, reporttest.Now.Add(time.Second), 10)
		if err != nil || len(waiting) != 2 {
			t.Fatalf("%v %v", waiting, err)
		}
		w.Commit(collect.Batch{Space: space, Facts: []report.Deployment{ended}})
		w.Commit(collect.Batch{Space: space, Facts: []report.Deployment{open}}) // an older look
		known, err := w.Store.Known(ctx, space.ID, report.Deployments, []string{"Deployments-1", "Deployments-2", "Deployments-3"})
		if err != nil || !maps.Equal(known, map[string]report.Outcome{"Deployments-1": report.Succeeded, "Deployments-2": report.Queued}) {
			t.Errorf("%v %v", known, err)
		}
		if unnamed, err := w.Store.Unnamed(ctx, space.ID); err != nil || !unnamed {
			t.Errorf("unnamed: %v %v", unnamed, err)
		}
		w.Commit(collect.Batch{Space: space, Names: reporttest.Names(), Gap: &report.Gap{Space: space.ID, From: reporttest.Now.Add(-time.Hour), To: reporttest.Now, Reason: "x"}})
		if unnamed, err := w.Store.Unnamed(ctx, space.ID); err != nil || unnamed {
			t.Errorf("named: %v %v", unnamed, err)
		}
		names, err := w.Store.Names(ctx, []odcm.SpaceID{space.ID}, "environment", 10)
		gaps, err2 := w.Store.Gaps(ctx, nil, reporttest.Now.Add(-30*time.Minute), reporttest.Now)
		if err != nil || err2 != nil || !slices.Equal(names, []string{"Production", "Test"}) || len(gaps) != 1 {
			t.Errorf("%v %v %v %v", names, err, gaps, err2)
		}
	})
}

func TestSignInsAndUsageAreCountedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		ctx := t.Context()
		in := []report.SignIn{{At: reporttest.Now, User: "user-bob", Name: "Bob", N: 1}, {At: reporttest.Now.Add(time.Minute), User: "user-bob", Name: "Bob", N: 1}}
		for _, step := range []struct{ from, to odcm.EventID }{{0, 7}, {0, 7}, {7, 9}, {7, 9}, {8, 12}} {
			if err := w.Store.CountSignIns(ctx, step.from, step.to, in); err != nil {
				t.Fatal(err)
			}
		}
		after, err := w.Store.SignInsAfter(ctx)
		all, err2 := w.Store.SignIns(ctx, reporttest.Now.Add(-time.Hour), reporttest.Now.Add(time.Hour))
		if err != nil || err2 != nil || after != 9 || len(all) != 1 || all[0].N != 4 {
			t.Errorf("%v %v %+v %v", after, err, all, err2)
		}
		for range 2 {
			if err := w.Store.Read(ctx, reporttest.Now, map[string]report.Usage{"https://a.example": {People: 1, Background: 2, Pings: 3, Retries: 4, Limited: 5}}); err != nil {
				t.Fatal(err)
			}
		}
		used, err := w.Store.Readings(ctx, reporttest.Now.Add(-time.Hour), reporttest.Now.Add(time.Hour))
		if err != nil || len(used) != 1 || used[0].Usage != (report.Usage{People: 2, Background: 4, Pings: 6, Retries: 8, Limited: 10}) {
			t.Errorf("%+v %v", used, err)
		}
	})
}

func TestReportsOnBothDatabases(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := reporttest.NewWorld(t, d)
		w.Busy()
		leads, err := w.Store.Leads(t.Context(), report.Scope{Production: true, From: reporttest.Now.AddDate(0, 0, -10), To: reporttest.Now})
		if err != nil || len(leads) == 0 || leads[0].Deployed.Sub(leads[0].Released) != 24*time.Hour {
			t.Errorf("%v %v", leads, err)
		}
		n := 0
		for _, err := range w.Store.Changes(t.Context(), report.Scope{Production: true, Spaces: []odcm.SpaceID{reporttest.Payments}}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		samples, err := w.Store.Samples(t.Context(), nil, []string{report.Projects}, reporttest.Now.AddDate(0, 0, -3), reporttest.Now)
		if err != nil || n == 0 || len(samples) != 6 {
			t.Errorf("%d changes, %d samples, %v", n, len(samples), err)
		}
	})
}
