package summary_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reporttest"
	"odcm/manager/report/summary"
)

func ask(t *testing.T, query string) summary.Request {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	r, err := summary.ParseRequest(q, reporttest.Now)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return r
}

func read(t *testing.T, w *reporttest.World, p odcm.Principal, name, query string) *summary.Report {
	t.Helper()
	r, err := w.Reports.Report(t.Context(), p, name, ask(t, query))
	if err != nil {
		t.Fatalf("%s?%s: %v", name, query, err)
	}
	return r
}

// table is the report's rows as people read them.
func table(r *summary.Report) string {
	var b strings.Builder
	for _, row := range r.Rows {
		for i, c := range r.Columns {
			b.WriteString(c.Show(row.Cells[i]) + " | ")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	w := reporttest.NewWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	at := time.Date(2026, 3, 10, 23, 30, 0, 0, time.UTC) // the 11th in Berlin
	w.Commit(collect.Batch{Space: collect.Space{ID: reporttest.Payments}, Names: reporttest.Names(), Facts: []report.Deployment{
		reporttest.Run(reporttest.Payments, 1, 1, 1, report.Succeeded, at), reporttest.Run(reporttest.Payments, 2, 1, 2, report.Failed, at), reporttest.Run(reporttest.Payments, 3, 2, 2, report.TimedOut, at),
		reporttest.Run(reporttest.Payments, 4, 2, 2, report.Canceled, at), reporttest.Run(reporttest.Payments, 5, 2, 2, report.Queued, at)}})
	w.Commit(collect.Batch{Space: collect.Space{ID: reporttest.WebShop}, Names: reporttest.Names(), Facts: []report.Deployment{reporttest.Run(reporttest.WebShop, 1, 1, 1, report.Succeeded, at)}})

	r := read(t, w, reporttest.Barry, "deployments", "sort=space")
	if got, want := table(r), "Payments | 5 | 1 | 2 | 1 | 1 | 33.3 % | 1 min | \nWeb Shop | 1 | 1 | 0 | 0 | 0 | 100 % | 1 min | \n"; got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
	if r := read(t, w, reporttest.Barry, "deployments", "by=project&space=payments&sort=-total"); len(r.Rows) != 2 || !strings.HasPrefix(table(r), "=cmd") {
		t.Errorf("by project:\n%s", table(r))
	}
	if r := read(t, w, reporttest.Barry, "deployments", "environment=PRODUCTION&project=Web"); r.Total != 1 || !strings.HasPrefix(table(r), "Payments | 1 | 0 | 1 |") {
		t.Errorf("filtered:\n%s", table(r))
	}
	for query, day := range map[string]string{"": "10 Mar", "zone=Europe/Berlin": "11 Mar", "zone=America/New_York": "10 Mar"} {
		c := read(t, w, reporttest.Barry, "deployments", query).Charts[0]
		for i, label := range c.Labels {
			want := 0.0
			if label == day {
				want = 2
			}
			if c.Series[0].Values[i] != want {
				t.Errorf("%s: %s has %v, want %v", query, label, c.Series[0].Values[i], want)
			}
		}
	}
	// Nobody is told of Spaces that he may not see.
	if r := read(t, w, reporttest.Bob, "deployments", ""); r.Total != 1 || r.Figures[0].Value != "1" || strings.Contains(table(r), "Payments") {
		t.Errorf("Bob sees\n%s", table(r))
	}
	if _, err := w.Reports.Report(t.Context(), reporttest.Bob, "deployments", ask(t, "space=payments")); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("Bob asks for Payments: %v", err)
	}
	if _, err := w.Reports.Report(t.Context(), reporttest.Lisa, "people", ask(t, "")); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("Lisa asks who signed in: %v", err)
	}
	if _, err := w.Reports.Report(t.Context(), reporttest.Barry, "deployments", ask(t, "sort=nothing")); odcm.CodeOf(err) != "report.request-invalid" {
		t.Errorf("no such column: %v", err)
	}
	var csv bytes.Buffer
	if err := read(t, w, reporttest.Barry, "deployments", "by=project").WriteCSV(&csv); err != nil || strings.Contains(csv.String(), "\n=cmd") || !strings.Contains(csv.String(), "'=cmd") {
		t.Errorf("%v: a spreadsheet would run %s", err, csv.String())
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	w := reporttest.NewWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	run := func(n int, environment int, outcome report.Outcome, release string, after time.Duration) report.Deployment {
		d := reporttest.Run(reporttest.Payments, n, 1, environment, outcome, at.Add(after))
		d.Release, d.Released = release, at.Add(-time.Hour)
		return d
	}
	w.Commit(collect.Batch{Space: collect.Space{ID: reporttest.Payments}, Names: reporttest.Names(), Facts: []report.Deployment{
		run(1, 1, report.Succeeded, "Releases-1", -30*time.Minute), // not in production
		run(2, 2, report.Failed, "Releases-1", 0),
		run(3, 2, report.Failed, "Releases-1", time.Hour), // still the same trouble
		run(4, 2, report.Succeeded, "Releases-1", 3*time.Hour),
		run(5, 2, report.Succeeded, "Releases-1", 5*time.Hour), // the same release again: no lead time
		run(6, 2, report.Succeeded, "Releases-2", 7*time.Hour),
	}})
	r := read(t, w, reporttest.Barry, "delivery", "from=2026-03-09&to=2026-03-18")
	// Three succeeded in 9.6 days; lead times of 4 and 8 hours; 2 of 5 failed; restored after 3 hours.
	if got, want := table(r), "Payments | 3 | 0.31 | 6 h | 40 % | 3 h | \n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	if r := read(t, w, reporttest.Barry, "delivery", "from=2026-03-11&to=2026-03-18"); r.Total != 0 {
		t.Errorf("a release that was there before:\n%s", table(r))
	}
}

func TestEstate(t *testing.T) {
	t.Parallel()
	w := reporttest.NewWorld(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.Busy()
	for name, want := range map[string]string{
		"inventory": "Payments | 10 | 2 | 20 | 0 | 2 | – | – | 4 | – | \nWeb Shop | 10 | 2 | 20 | 0 | 2 | – | – | 4 | – | \n",
		"versions":  "2026.1.2 | 1 | 50 % | Web Shop | \n2025.4.1 | 1 | 50 % | Payments | \n",
		"people":    "Bob | 2 | 17 Mar 2026 | \nLisa | 1 | 18 Mar 2026 | \n",
		"requests":  "https://payments.example | 1 | 7 | 90 | 8\u202f000 | 0 | 1 | 0 % | 12 | \nhttps://shop.example | 1 | 0 | 60 | 0 | 0 | 0 | 0 % | 12 | \n",
		"licences":  "https://payments.example | CommercialLicense | Projects | 9 | 10 | 90 % | 30 | \nhttps://payments.example | CommercialLicense | Users | 4 | – | – | 30 | \n",
	} {
		query := ""
		if name == "versions" {
			query = "sort=-version"
		}
		if got := table(read(t, w, reporttest.Barry, name, query)); got != want {
			t.Errorf("%s: got\n%s want\n%s", name, got, want)
		}
	}
	if got := table(read(t, w, reporttest.Lisa, "requests", "")); strings.Contains(got, "shop") {
		t.Errorf("Lisa sees\n%s", got)
	}
}

func TestTimesThatAreAskedFor(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{ // now is Wednesday, 18 March 2026, 15:00 UTC
		"":                        "2026-02-17T00:00:00Z 2026-03-19T00:00:00Z day",
		"last=week":               "2026-03-09T00:00:00Z 2026-03-16T00:00:00Z day",
		"last=month":              "2026-02-01T00:00:00Z 2026-03-01T00:00:00Z day",
		"last=12m":                "2025-03-19T00:00:00Z 2026-03-19T00:00:00Z week",
		"last=1d&zone=Asia/Tokyo": "2026-03-19T00:00:00+09:00 2026-03-20T00:00:00+09:00 day",
		"from=2020-01-01":         "2020-01-01T00:00:00Z 2026-03-19T00:00:00Z month",
		"to=2026-01-31":           "2026-01-02T00:00:00Z 2026-02-01T00:00:00Z day",
		"from=2026-03-29&to=2026-03-29&zone=Europe/Berlin":     "2026-03-29T00:00:00+01:00 2026-03-30T00:00:00+02:00 day", // a day of 23 hours
		"from=2018-11-04&to=2018-11-04&zone=America/Sao_Paulo": "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00 day", // without a midnight
	} {
		r := ask(t, query)
		if got := r.From.Format(time.RFC3339) + " " + r.To.Format(time.RFC3339) + " " + r.Period; got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"last=0d", "last=30", "last=soon", "from=2026-02-30", "from=2026-03-02&to=2026-03-01", "from=1999-01-01", "zone=Mars/Olympus", "zone=Local", "zone=../../etc/passwd", "by=planet",
		"kind=x", "period=hour", "offset=-1", "offset=x", "from=2001-01-01&period=day", "project=" + strings.Repeat("x", 201), "project=a%00b", "last=week&kind=%ff"} {
		q, err := url.ParseQuery(query)
		if err != nil {
			continue
		}
		if _, err := summary.ParseRequest(q, reporttest.Now); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// Whatever an address says, it is refused, or is a time whose parts fill it, and means the same when it is written and read
// again.
func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{"", "last=week&zone=Europe/Berlin", "from=2026-03-29&to=2026-10-25&period=day&zone=America/Sao_Paulo", "last=12m&by=project&sort=-failed&limit=7", "last=120m&period=week", "zone=Pacific/Apia&from=2011-12-25&to=2012-01-05"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		r, err := summary.ParseRequest(q, reporttest.Now)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Fatal(err)
			}
			return
		}
		if !r.From.Before(r.To) || r.Limit < 1 {
			t.Fatalf("%q: %+v", s, r)
		}
		again, err := summary.ParseRequest(r.Query(), reporttest.Now)
		if err != nil || !again.From.Equal(r.From) || !again.To.Equal(r.To) || again.Period != r.Period || again.By != r.By || again.Kind != r.Kind || again.Sort != r.Sort {
			t.Fatalf("%q became %q: %v, %+v and %+v", s, r.Query().Encode(), err, r, again)
		}
	})
}

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", -1234: "-1\u202f234", 0.5: "0.50"} {
		if got := summary.Thousands(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 s", 1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1 min 30 s", 2 * time.Hour: "2 h", 50 * time.Hour: "2 d 2 h"} {
		if got := summary.Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
