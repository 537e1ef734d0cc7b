package reportsql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/reportsql"
)

// BenchmarkYear asks for a year of 2,000 Spaces with a million deployments: go test -bench Year -benchtime 3x ./manager/report/reportsql
func BenchmarkYear(b *testing.B) {
	for name, open := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "PostgreSQL": dbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) { year(b, dbtest.Open(b, open(b))) })
	}
}

var yearEnd = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// A Space has five projects and three environments; one in ten deployments fails.
func fillYear(t testing.TB, d *db.DB) *reportsql.Store {
	t.Helper()
	s, err := reportsql.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	var months []string
	for at := yearEnd.AddDate(-1, 0, 0); at.Before(yearEnd); at = at.AddDate(0, 1, 0) {
		months = append(months, fmt.Sprintf("(CAST(%d AS BIGINT), CAST(%d AS BIGINT))", at.UnixMilli(), at.AddDate(0, 1, 0).UnixMilli()))
	}
	byMonth := func(dimension, id string) string {
		return `INSERT INTO report_month WITH m (since, until) AS (VALUES ` + strings.Join(months, ", ") + `) SELECT '` + dimension + `', kind, since, space_id, ` + id + `, outcome, count(*), sum(took)
			FROM report_deployment JOIN m ON at >= since AND at < until GROUP BY kind, since, space_id, ` + id + `, outcome`
	}
	for _, statement := range []string{
		`INSERT INTO report_deployment SELECT 'space-' || (n % 2000), 'deployment', 'Deployments-' || n, 'ServerTasks-' || n, 'Projects-' || (n / 2000 % 5),
			'Environments-' || (n / 10000 % 3), '', '', '', 'Releases-' || (n / 30000), '1.0', 'bob', CASE WHEN n / 2000 % 10 = 0 THEN 'failed' ELSE 'succeeded' END,
			at - 60000, at - 50000, at, at - 86400000, TRUE, at, 50000, at
			FROM (SELECT n, CAST(1775001600000 AS BIGINT) - (CAST(n AS BIGINT) * 2654435761) % 31536000000 - 1 AS at FROM
			(WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 999999) SELECT n FROM c) numbers) rows`,
		`INSERT INTO report_total SELECT kind, at - at % 900000, outcome, count(*), sum(took) FROM report_deployment GROUP BY kind, at - at % 900000, outcome`,
		byMonth("space", "substr(space_id, 1, 0)"), byMonth("project", "project_id"), byMonth("environment", "environment_id"), byMonth("tenant", "tenant_id"),
		`INSERT INTO report_name SELECT 'space-' || (n % 2000), 'Projects-' || (n / 2000), 'project', 'Project ' || (n / 2000) FROM
			(WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 9999) SELECT n FROM c) numbers`,
		`INSERT INTO report_name SELECT 'space-' || (n % 2000), 'Environments-' || (n / 2000), 'environment', CASE n / 2000 WHEN 0 THEN 'Test' WHEN 1 THEN 'Staging' ELSE 'Production' END FROM
			(WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < 5999) SELECT n FROM c) numbers`,
		`ANALYZE`,
	} {
		if _, err := d.Write().ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func year(b *testing.B, d *db.DB) {
	s := fillYear(b, d)
	scope := report.Scope{Kind: report.Deployments, From: yearEnd.AddDate(-1, 0, 0), To: yearEnd}
	within := scope
	within.From, within.To = scope.From.AddDate(0, 0, -15), scope.To.AddDate(0, 0, -15)
	production := scope
	production.Production = true
	few := scope
	few.Spaces = []odcm.SpaceID{"space-1", "space-2", "space-3"}
	var weeks []time.Time
	for at := scope.From; at.Before(scope.To); at = at.AddDate(0, 0, 7) {
		weeks = append(weeks, at)
	}
	weeks = append(weeks, scope.To)
	var failed error
	count := func(sc report.Scope, by []report.Dimension, bounds []time.Time) func() int {
		return func() int {
			all, err := s.Counts(context.Background(), sc, by, bounds)
			failed = err
			return len(all)
		}
	}
	for _, q := range []struct {
		name string
		ask  func() int
	}{
		{"all", count(scope, nil, nil)},
		{"all, from a day within a month", count(within, nil, nil)},
		{"by Space, from a day within a month", count(within, []report.Dimension{report.BySpace}, nil)},
		{"by Space", count(scope, []report.Dimension{report.BySpace}, nil)},
		{"by project", count(scope, []report.Dimension{report.BySpace, report.ByProject}, nil)},
		{"by environment", count(scope, []report.Dimension{report.BySpace, report.ByEnvironment}, nil)},
		{"by week", count(scope, []report.Dimension{report.ByPeriod}, weeks)},
		{"by week, three Spaces", count(few, []report.Dimension{report.ByPeriod}, weeks)},
		{"production by Space", count(production, []report.Dimension{report.BySpace}, nil)},
		{"production by week", count(production, []report.Dimension{report.ByPeriod}, weeks)},
		{"leads", func() int { all, err := s.Leads(context.Background(), production); failed = err; return len(all) }},
		{"changes", func() (n int) {
			for _, err := range s.Changes(context.Background(), production) {
				failed = err
				n++
			}
			return n
		}},
		{"list", func() int {
			all, err := s.List(context.Background(), scope, report.Position{}, 50)
			failed = err
			return len(all)
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				if n := q.ask(); n == 0 || failed != nil {
					b.Fatalf("%d rows: %v", n, failed)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms")
		})
	}
}
