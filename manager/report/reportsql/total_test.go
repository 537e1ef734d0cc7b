package reportsql_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reporttest"
)

// grouped adds counts up by some dimensions.
func grouped(counts []report.Count, by ...report.Dimension) map[string][2]int64 {
	sums := map[string][2]int64{}
	for _, c := range counts {
		key := string(c.Outcome)
		for _, d := range by {
			key += fmt.Sprint("/", map[report.Dimension]any{report.BySpace: c.Space, report.ByProject: c.Project, report.ByEnvironment: c.Environment, report.ByTenant: c.Tenant, report.ByPeriod: c.Period}[d])
		}
		sums[key] = [2]int64{sums[key][0] + c.N, sums[key][1] + int64(c.Took)}
	}
	return sums
}

// What is kept for long times says what the single deployments say, whatever became of them, and whatever was summed up.
func TestTotalsSayWhatTheFactsSay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			w := reporttest.NewWorld(t, d)
			n++
			here, there := odcm.SpaceID(fmt.Sprintf("space-%d-a", n)), odcm.SpaceID(fmt.Sprintf("space-%d-b", n))
			for range rapid.IntRange(1, 6).Draw(rt, "commits") {
				b := collect.Batch{Space: collect.Space{ID: rapid.SampledFrom([]odcm.SpaceID{here, there}).Draw(rt, "space")}, Names: reporttest.Names()}
				for range rapid.IntRange(0, 12).Draw(rt, "facts") {
					outcome := rapid.SampledFrom([]report.Outcome{report.Queued, report.Running, report.Succeeded, report.Failed, report.Canceled}).Draw(rt, "outcome")
					at := reporttest.Now.Add(-time.Duration(rapid.IntRange(0, 90*24*60).Draw(rt, "minutes ago")) * time.Minute)
					b.Facts = append(b.Facts, reporttest.Run(b.Space.ID, rapid.IntRange(1, 15).Draw(rt, "which"), rapid.IntRange(1, 2).Draw(rt, "project"), rapid.IntRange(1, 2).Draw(rt, "environment"), outcome, at))
				}
				w.Commit(b)
				if rapid.IntRange(1, 3).Draw(rt, "summed up") == 1 {
					if _, err := w.Store.RollUp(context.Background(), reporttest.Now.AddDate(0, 0, -rapid.IntRange(20, 90).Draw(rt, "days kept")), 1000); err != nil {
						rt.Fatal(err)
					}
				}
			}
			ask := func(sc report.Scope, bounds []time.Time, by ...report.Dimension) []report.Count {
				counts, err := w.Store.Counts(context.Background(), sc, by, bounds)
				if err != nil {
					rt.Fatal(err)
				}
				return counts
			}
			from := reporttest.Now.AddDate(0, 0, -rapid.IntRange(1, 100).Draw(rt, "from")).Truncate(24 * time.Hour)
			for _, sc := range []report.Scope{{Spaces: []odcm.SpaceID{here, there}}, {Spaces: []odcm.SpaceID{here}, From: from, To: reporttest.Now.AddDate(0, 0, 1)},
				{Spaces: []odcm.SpaceID{here, there}, Kind: report.Deployments, From: from, To: from.AddDate(0, 0, 40)}} {
				single := ask(sc, nil, report.BySpace, report.ByProject, report.ByEnvironment) // which no total serves
				for _, by := range [][]report.Dimension{{}, {report.BySpace}, {report.BySpace, report.ByProject}, {report.BySpace, report.ByEnvironment}, {report.ByProject}} {
					if got, want := grouped(ask(sc, nil, by...), by...), grouped(single, by...); !maps.Equal(got, want) {
						rt.Fatalf("%+v by %v: %v, the facts say %v", sc, by, got, want)
					}
				}
				sc.Production = true
				if got, want := grouped(ask(sc, nil, report.BySpace), report.BySpace), grouped(ask(sc, nil, report.BySpace, report.ByProject), report.BySpace); !maps.Equal(got, want) {
					rt.Fatalf("%+v in production: %v, the facts say %v", sc, got, want)
				}
			}
			bounds := []time.Time{from, from.AddDate(0, 0, 3), from.AddDate(0, 0, 30), from.AddDate(0, 0, 101)}
			got, want := grouped(ask(report.Scope{}, bounds, report.ByPeriod), report.ByPeriod), grouped(ask(report.Scope{}, bounds, report.ByPeriod, report.BySpace), report.ByPeriod)
			if !maps.Equal(got, want) {
				rt.Fatalf("by period: %v, the facts say %v", got, want)
			}
		})
	})
}
