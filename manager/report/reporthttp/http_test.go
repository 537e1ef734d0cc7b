package reporthttp_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/mail"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/report/reporthttp"
	"odcm/manager/report/reporttest"
	"odcm/manager/report/schedule"
	"odcm/manager/report/schedule/schedulesql"
)

// who takes the principal from a header, Barry where there is none.
type who struct{}

func (who) Authenticate(r *http.Request) (odcm.Principal, error) {
	for _, p := range []odcm.Principal{reporttest.Lisa, reporttest.Bob} {
		if strings.EqualFold(p.Name, r.Header.Get("X-Who")) {
			return p, nil
		}
	}
	return reporttest.Barry, nil
}

type post struct{}

func (post) Ready() bool                                                 { return true }
func (post) Put(context.Context, *sql.Tx, mail.Message, time.Time) error { return nil }

type site struct {
	t *testing.T
	http.Handler
	*reporttest.World
}

func serve(t *testing.T, busy bool) *site {
	t.Helper()
	return serveOn(t, dbtest.Open(t, dbtest.SQLite(t)), busy)
}

func serveOn(t *testing.T, d *db.DB, busy bool) *site {
	t.Helper()
	w := reporttest.NewWorld(t, d)
	if busy {
		w.Busy()
	}
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := schedulesql.New(t.Context(), d, log, post{})
	if err != nil {
		t.Fatal(err)
	}
	pages := web.New(web.Options{Authenticator: who{}, DB: d, Bus: bus, Version: "test", Logger: slog.New(slog.DiscardHandler), Gallery: true})
	reporthttp.Register(reporthttp.Options{Site: pages, Reports: w.Reports, Schedules: schedule.New(schedule.Options{Store: store, Reports: w.Reports, People: w, Post: post{}, Authorizer: w,
		PublicURL: func() string { return "https://odcm.example" }, Now: func() time.Time { return reporttest.Now }})})
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	return &site{t, pages, w}
}

func (s *site) ask(method, path, body, by string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Who", by)
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s *site) want(status int, method, path, body, by string, parts ...string) string {
	s.t.Helper()
	w := s.ask(method, path, body, by)
	if w.Code != status {
		s.t.Fatalf("%s %s by %s: %d, want %d: %s", method, path, by, w.Code, status, w.Body)
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			s.t.Errorf("%s %s: %q is missing in %s", method, path, part, w.Body)
		}
	}
	return w.Body.String()
}

func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t, true)
	s.want(200, "GET", "/reports", "", "barry", "Deployments", "/reports/delivery", "/reports/people", `media="(prefers-color-scheme: dark)"`)
	if page := s.want(200, "GET", "/reports", "", "bob"); strings.Contains(page, "/reports/people") || strings.Contains(page, "Payments") {
		t.Error("Bob is shown what he may not see")
	}
	for _, name := range []string{"deployments", "delivery", "inventory", "versions", "people", "requests", "licences"} {
		page := s.want(200, "GET", "/reports/"+name, "", "barry", "What this is computed from", "<table", "/reports/"+name+"/csv")
		for _, m := range regexp.MustCompile(`src="(/reports/[^"]*chart[^"]*)"`).FindAllStringSubmatch(page, -1) {
			if svg := s.want(200, "GET", strings.ReplaceAll(m[1], "&amp;", "&"), "", "barry"); !strings.HasPrefix(strings.TrimSpace(svg), "<svg") {
				t.Errorf("%s: %.60s", m[1], svg)
			}
		}
		w := s.ask("GET", "/reports/"+name+"/csv", "", "barry")
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) < 2 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
			t.Errorf("%s as CSV: %v %v", name, rows, err)
		}
	}
	s.want(200, "GET", "/reports/deployments?by=project&sort=-failed&environment=Production&zone=Europe/Berlin", "", "barry", `aria-sort="descending"`, "Web Shop", "Days are those of Europe/Berlin")
	s.want(200, "GET", "/reports/deployments?project=nothing", "", "barry", "Nothing to count")
	s.want(404, "GET", "/reports/nothing", "", "barry")
	s.want(403, "GET", "/reports/people", "", "bob")
	s.want(403, "GET", "/reports/people/chart?n=0", "", "bob")
	s.want(403, "GET", "/reports/people/csv", "", "bob")
	s.want(404, "GET", "/reports/deployments?space=payments", "", "bob")
	s.want(404, "GET", "/reports/deployments/chart?n=9", "", "barry")
	s.want(404, "GET", "/reports/deployments/chart?n=x", "", "barry")
	for _, bad := range []string{"zone=Mars", "from=x", "sort=x", "last=99999d", "offset=-1"} {
		s.want(422, "GET", "/reports/deployments?"+bad, "", "barry")
	}
	picture := s.ask("GET", "/reports/deployments/chart?n=0&format=png", "", "barry")
	if _, err := png.Decode(bytes.NewReader(picture.Body.Bytes())); err != nil {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	s := serve(t, false)
	s.want(200, "GET", "/reports", "", "barry")
	for _, name := range []string{"deployments", "delivery", "inventory", "people"} {
		s.want(200, "GET", "/reports/"+name, "", "barry", "Nothing to count", "2 Spaces have not been read yet")
	}
	s.want(200, "GET", "/report-schedules", "", "barry", "No report is sent by e-mail")
}

func TestREST(t *testing.T) {
	t.Parallel()
	s := serve(t, true)
	if all := read[api.Page[api.ReportKind]](t, s.want(200, "GET", "/api/v1/reports", "", "bob")); len(all.Items) != 6 {
		t.Errorf("%+v", all)
	}
	var rows int
	for offset := ""; ; {
		r := read[api.Report](t, s.want(200, "GET", "/api/v1/reports/deployments?by=project&limit=1&sort=space"+offset, "", "barry"))
		if rows += len(r.Rows); r.Total != 4 || len(r.Rows) != 1 || len(r.Rows[0]) != len(r.Columns) {
			t.Fatalf("%+v", r)
		}
		if r.Next == "" {
			break
		}
		offset = "&offset=" + r.Next
	}
	if rows != 4 {
		t.Errorf("%d rows", rows)
	}
	if text := s.want(200, "GET", "/api/v1/reports/deployments?by=project&format=csv", "", "barry", "project,space,total"); strings.Contains(text, "\n=cmd") || strings.Count(text, "\n") != 5 {
		t.Errorf("as CSV: %s", text)
	}
	seen := map[string]bool{}
	for cursor := ""; ; {
		page := read[api.Page[api.ReportedDeployment]](t, s.want(200, "GET", "/api/v1/reported-deployments?limit=40&last=90d"+cursor, "", "lisa"))
		for _, d := range page.Items {
			if d.Space != string(reporttest.Payments) || seen[d.ID] {
				t.Fatalf("%+v", d)
			}
			seen[d.ID] = true
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
	if len(seen) != 90 {
		t.Errorf("%d deployments", len(seen))
	}
	s.want(422, "GET", "/api/v1/reports/deployments?period=hour", "", "barry")
	s.want(422, "GET", "/api/v1/reported-deployments?cursor=x", "", "barry", "request.cursor")
	s.want(403, "GET", "/api/v1/reports/people", "", "lisa")
	s.want(404, "GET", "/api/v1/reports/x", "", "lisa")

	plan := `{"name":"Every Monday","report":"deployments","query":"last=week","every":"weekly","day":1,"hour":8,"zone":"Europe/Berlin","to":["lisa@example.com"]}`
	made := read[api.ReportSchedule](t, s.want(201, "POST", "/api/v1/report-schedules", plan, "lisa"))
	at := "/api/v1/report-schedules/" + made.ID
	s.want(403, "POST", "/api/v1/report-schedules", plan, "bob")
	s.want(200, "GET", at, "", "barry")
	s.want(403, "GET", at, "", "bob")
	if changed := read[api.ReportSchedule](t, s.want(200, "PUT", at, strings.Replace(plan, "weekly", "daily", 1), "lisa")); changed.Every != "daily" || changed.Revision != 2 {
		t.Errorf("%+v", changed)
	}
	if paused := read[api.ReportSchedule](t, s.want(200, "PUT", at+"/paused", `{"paused":true}`, "lisa")); !paused.Paused {
		t.Errorf("%+v", paused)
	}
	s.want(202, "POST", at+"/sendings", "", "lisa")
	if sent := read[api.Page[api.ReportSending]](t, s.want(200, "GET", at+"/sendings", "", "lisa")); len(sent.Items) != 1 || sent.Items[0].Recipients != 1 {
		t.Errorf("%+v", sent)
	}
	if all := read[api.Page[api.ReportSchedule]](t, s.want(200, "GET", "/api/v1/report-schedules", "", "lisa")); len(all.Items) != 1 {
		t.Errorf("%+v", all)
	}
	s.want(204, "DELETE", at, "", "lisa")
	s.want(404, "GET", at, "", "lisa")
	s.want(422, "POST", "/api/v1/report-schedules", strings.Replace(plan, "lisa@example.com", "x", 1), "lisa", "report.schedule-invalid")
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	s := serve(t, true)
	form := url.Values{"name": {"Every <Monday>"}, "report": {"deployments"}, "last": {"week"}, "space": {"payments"}, "every": {"weekly 1"}, "time": {"08:30"}, "zone": {"Europe/Berlin"}, "to": {"lisa@example.com\r\ngeoff@consult.example"}}
	s.want(200, "GET", "/report-schedules/new?report=delivery&last=month", "", "lisa", `value="month" selected`, `value="delivery" selected`, `value="payments">Payments`, `<option value="Production">`)
	s.want(200, "GET", "/report-schedules/new?report=deployments&from=2026-01-01&to=2026-01-31&sort=-failed&space=payments&project=Gone", "", "lisa", `value="2026-01-01..2026-01-31" selected`,
		`name="sort-deployments-" value="-failed"`, `value="payments" selected`, `value="Gone" selected`)
	s.want(403, "GET", "/report-schedules/new", "", "bob")
	w := s.ask("POST", "/report-schedules", form.Encode(), "lisa")
	to := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/report-schedules/schedule-") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	s.want(200, "GET", to, "", "lisa", "Every &lt;Monday&gt;", "Mondays at 08:30 (Europe/Berlin)", "geoff@consult.example", "Nothing was sent yet")
	s.want(200, "GET", "/report-schedules", "", "barry", "Every &lt;Monday&gt;", "Lisa")
	s.want(303, "POST", to+"/send", "", "lisa")
	s.want(200, "GET", to, "", "lisa", "Given to the mail server")
	s.want(303, "POST", to+"/pause", "", "lisa")
	s.want(200, "GET", "/report-schedules", "", "lisa", "Paused")
	s.want(303, "POST", to+"/resume", "", "lisa")
	form.Set("every", "monthly 31")
	form.Set("by", "project")
	form.Set("last", "2026-01-01..2026-01-31")
	s.want(303, "POST", to, form.Encode(), "lisa")
	s.want(200, "GET", to, "", "lisa", "Day 31 of the month at 08:30", `value="monthly 31" selected`, `value="2026-01-01..2026-01-31" selected`, `value="payments" selected`, `value="project" selected`)
	for field, value := range map[string]string{"to": "nobody", "time": "soon", "every": "weekly x", "last": "x", "period": "hour", "zone": "Mars", "name": ""} {
		bad := url.Values{}
		for name, values := range form {
			bad[name] = values
		}
		bad.Set(field, value)
		s.want(422, "POST", "/report-schedules", bad.Encode(), "lisa")
	}
	s.want(404, "POST", to+"/explode", "", "lisa")
	s.want(403, "POST", to+"/delete", "", "bob")
	s.want(303, "POST", to+"/delete", "", "lisa")
	s.want(404, "GET", to, "", "lisa")
}
