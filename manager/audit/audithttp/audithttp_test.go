package audithttp

import (
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
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
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/audit"
)

var (
	barry = odcm.Principal{User: "user-barry", Name: "barry", Roles: []odcm.Role{odcm.Administrator}, Via: "session", Address: "192.0.2.7"}
	lisa  = odcm.Principal{User: "user-lisa", Name: "lisa", Roles: []odcm.Role{odcm.Member}, Via: "api-key", Address: "192.0.2.8"}
)

// bundle is a site with nothing but this room on it, over a real log.
type bundle struct {
	t    *testing.T
	d    *db.DB
	log  *eventlog.Log
	site *web.Site
}

// as signs in whoever the header names.
type as struct{}

func (as) Authenticate(r *http.Request) (odcm.Principal, error) {
	switch r.Header.Get("As") {
	case "barry":
		return barry, nil
	case "lisa":
		return lisa, nil
	}
	return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "who?")
}

type administrators struct{}

func (administrators) Authorize(_ context.Context, p odcm.Principal, _ odcm.Action, _ string) error {
	if !p.Has(odcm.Administrator) {
		return odcm.E(odcm.Denied, "identity.role-missing", "no")
	}
	return nil
}

func setup(t *testing.T, wrap ...func(audit.Log) audit.Log) *bundle {
	t.Helper()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	site := web.New(web.Options{Authenticator: as{}, Logger: quiet})
	var l audit.Log = log
	for _, f := range wrap {
		l = f(l)
	}
	Register(site, audit.New(audit.Options{Log: l, Authorizer: administrators{}, Logger: quiet}), nil)
	return &bundle{t, d, log, site}
}

func (b *bundle) append(events ...odcm.Event) {
	b.t.Helper()
	err := b.d.Tx(b.t.Context(), func(tx *sql.Tx) error { return b.log.Append(b.t.Context(), tx, events...) })
	if err != nil {
		b.t.Fatal(err)
	}
}

// many appends n events, the first named "event 1".
func (b *bundle) many(n int) {
	events := make([]odcm.Event, n)
	for i := range events {
		events[i] = odcm.NewEvent(barry, "space.enlisted", "space-"+fmt.Sprint(i+1), fmt.Sprintf("event %d", i+1), nil, nil)
	}
	b.append(events...)
}

func (b *bundle) get(who, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("As", who)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	return w
}

// text is what a person reads of a page.
func text(w *httptest.ResponseRecorder) string {
	_, main, ok := strings.Cut(w.Body.String(), "<main")
	if !ok {
		return w.Body.String()
	}
	return strings.Join(strings.Fields(regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString("<main"+main, " ")), " ")
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, text(w))
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) && !strings.Contains(text(w), part) {
			t.Errorf("%q is missing in: %s", part, text(w))
		}
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want(t, b.get("barry", "/audit"), http.StatusOK, "Nothing has happened yet", "400 days")
	b.append(
		odcm.NewEvent(barry, "space.enlisted", "space-1", "Pay<b>ments", nil, map[string]any{"url": "https://octopus.example"}),
		odcm.NewEvent(lisa, "space.renamed", "space-1", "Payments", map[string]any{"name": "Pay"}, map[string]any{"name": "Payments"}),
	)
	w := b.get("barry", "/audit")
	want(t, w, http.StatusOK, "barry enlisted Space Pay&lt;b&gt;ments", "lisa renamed Space Payments", `href="/spaces/space-1"`, "<del>Pay</del>", "<ins>Payments</ins>",
		"https://octopus.example", "API key 192.0.2.8", `data-live-region="event"`)
	if strings.Contains(w.Body.String(), "Pay<b>") {
		t.Error("a name became markup")
	}
	for query, found := range map[string][2]bool{ // whether the first and the second event are shown
		"q=LISA": {false, true}, "q=enlist": {true, false}, "type=space.renamed": {false, true}, "actor=user-barry": {true, false},
		"subject=space-1": {true, true}, "q=nothing": {false, false}, "to=2001-01-01": {false, false}, "from=2001-01-01": {true, true},
		"from=" + time.Now().UTC().Format(time.DateOnly) + "&to=" + time.Now().UTC().Format(time.DateOnly): {true, true},
	} {
		got := text(b.get("barry", "/audit?"+query))
		if strings.Contains(got, "enlisted Space") != found[0] || strings.Contains(got, "lisa renamed Space") != found[1] {
			t.Errorf("%s: %s", query, got)
		}
	}
	want(t, b.get("barry", "/audit?q=nothing"), http.StatusOK, "No event matches")
	for _, bad := range []string{"from=yesterday", "to=2026-13-01", "before=x", "before=-1", "from=2026-02-01&to=2026-01-01", "q=" + strings.Repeat("x", 201)} {
		want(t, b.get("barry", "/audit?"+bad), http.StatusUnprocessableEntity)
	}
	want(t, b.get("lisa", "/audit"), http.StatusForbidden)
	want(t, b.get("", "/audit"), http.StatusSeeOther)
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.many(120)
	path, names := "/audit?type=space.enlisted", []string{}
	next := regexp.MustCompile(`href="(/audit\?[^"]*before=[^"]*)"[^>]*rel="next"|rel="next"[^>]*href="(/audit\?[^"]*)"`)
	for pages := 0; path != "" && pages < 5; pages++ {
		w := b.get("barry", path)
		names = append(names, regexp.MustCompile(`event \d+`).FindAllString(w.Body.String(), -1)...)
		path = ""
		if m := next.FindStringSubmatch(w.Body.String()); m != nil {
			path = strings.ReplaceAll(m[1]+m[2], "&amp;", "&")
		}
		if path != "" && !strings.Contains(path, "seen=120") {
			t.Errorf("the next page does not know what was seen: %s", path)
		}
		if strings.Contains(text(w), "newer events") {
			t.Error("nothing is newer")
		}
	}
	if len(names) != 120 || names[0] != "event 120" || names[119] != "event 1" {
		t.Errorf("%d names: %v", len(names), names)
	}
	second := "/audit?before=71&seen=120&type=space.enlisted"
	b.append(odcm.NewEvent(barry, "space.renamed", "space-1", "x", nil, nil))
	if strings.Contains(text(b.get("barry", second)), "newer events") {
		t.Error("an event that does not match is announced")
	}
	b.many(1)
	want(t, b.get("barry", second), http.StatusOK, "There are newer events")
}

func TestListEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.many(25)
	var ids []int64
	path := "/api/v1/audit/events?limit=10&type=space.enlisted&type=space.renamed"
	for cursor := ""; ; {
		w := b.get("barry", path+cursor)
		var page api.Page[api.Event]
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	if len(ids) != 25 || ids[0] != 25 || ids[24] != 1 {
		t.Errorf("ids %v", ids)
	}
	want(t, b.get("lisa", path), http.StatusForbidden, "identity.role-missing")
	want(t, b.get("", path), http.StatusUnauthorized)
	want(t, b.get("barry", "/api/v1/audit/events?from="+url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))), http.StatusOK, `"items":[]`)
	for _, bad := range []string{"limit=501", "limit=0", "from=yesterday", "cursor=x", "color=red"} {
		if w := b.get("barry", "/api/v1/audit/events?"+bad); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.many(600)
	formula := odcm.NewEvent(barry, "space.renamed", "space-1", `=HYPERLINK("https://evil.example","x")`, nil, map[string]string{"name": "a,b\n\"c\""})
	b.append(formula)

	w := b.get("barry", "/api/v1/audit/export?format=csv")
	want(t, w, http.StatusOK)
	if d := w.Header().Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="odcm-audit-`) || !strings.HasSuffix(d, `.csv"`) {
		t.Errorf("Content-Disposition %q", d)
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 602 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0][0] != "id" || rows[1][4] != "'"+formula.Name || rows[1][10] != `{"name":"a,b\n\"c\""}` || rows[601][0] != "1" {
		t.Errorf("rows %q, %q, %q", rows[0], rows[1], rows[601])
	}
	w = b.get("barry", "/api/v1/audit/export?format=jsonl&text=event+11")
	want(t, w, http.StatusOK)
	lines := strings.Split(strings.TrimSuffix(w.Body.String(), "\n"), "\n")
	if len(lines) != 11 { // 11, 110 to 119
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		var e api.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasPrefix(e.Name, "event 11") {
			t.Errorf("%s: %v", line, err)
		}
	}
	want(t, b.get("lisa", "/api/v1/audit/export"), http.StatusForbidden, "identity.role-missing")
	want(t, b.get("barry", "/api/v1/audit/export?format=xml"), http.StatusUnprocessableEntity)
}

// breaks fails every query but the first.
type breaks struct{ audit.Log }

func (l breaks) List(ctx context.Context, f eventlog.Filter) ([]odcm.Event, error) {
	if f.Before != 0 {
		return nil, errors.New("the disk is gone")
	}
	return l.Log.List(ctx, f)
}

func TestABrokenExportIsCut(t *testing.T) {
	t.Parallel()
	b := setup(t, func(l audit.Log) audit.Log { return breaks{l} })
	b.many(600)
	server := httptest.NewServer(b.site)
	defer server.Close()
	r, _ := http.NewRequest("GET", server.URL+"/api/v1/audit/export?format=jsonl", nil)
	r.Header.Set("As", "barry")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	d := json.NewDecoder(answer.Body)
	for err == nil {
		err = d.Decode(new(api.Event))
	}
	if err.Error() != "unexpected EOF" {
		t.Errorf("the client thinks that it has the whole: %v", err)
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	d := newDescriber()
	for want, e := range map[string]odcm.Event{
		"barry enlisted Space Payments":       odcm.NewEvent(barry, "space.enlisted", "space-1", "Payments", nil, nil),
		"Space Payments is now offline":       odcm.NewEvent(odcm.System, "monitor.status-changed", "space-1", "Payments", nil, map[string]string{"status": "offline"}),
		"Space Payments is now different":     odcm.NewEvent(odcm.System, "monitor.status-changed", "space-1", "Payments", nil, 7),
		"A sign-in as an unknown user failed": odcm.NewEvent(odcm.Principal{}, "identity.sign-in-failed", "", "an unknown user", nil, nil),
		"ODCM started instance i1":            odcm.NewEvent(odcm.System, "fleet.instance-started", "instance-1", "i1", nil, nil),
		"barry archived Space space-1":        odcm.NewEvent(barry, "space.archived", "space-1", "", nil, nil),
		"Someone painted big red shed s":      odcm.NewEvent(odcm.Principal{}, "garden.big-red-shed-painted", "s", "", nil, nil),
		"barry: strange s":                    odcm.NewEvent(barry, "strange", "s", "", nil, nil),
	} {
		var got strings.Builder
		for _, p := range d.sentence(e) {
			got.WriteString(p.Text)
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q", e.Type, got.String(), want)
		}
	}
	for id, want := range map[string]string{"space-1": "/spaces/space-1", "task-1": "/tasks/task-1", "server-1": "/servers/server-1",
		"user-1": "", "": "", "space-/../x": "", "space-1?x": ""} {
		if got := pageOf(id); got != want {
			t.Errorf("page of %q: %q, want %q", id, got, want)
		}
	}
}

func FuzzGuard(f *testing.F) {
	for _, s := range []string{"", "a", "=1+1", "+1", "-1", "@SUM", "\t=1", "＝1", "'=1", " =1", "\r\n=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := guard(s)
		if got != s && got != "'"+s {
			t.Fatalf("%q becomes %q", s, got)
		}
		if got != "" && strings.ContainsRune("=+-@\t\r\n", rune(got[0])) {
			t.Fatalf("%q is left as %q", s, got)
		}
	})
}

func FuzzDifferences(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":[1,{"d":null}]}}`, `{"a":12345678901234567890,"b":{}}`)
	f.Add(`[]`, `"x"`)
	f.Add(strings.Repeat(`{"a":`, 50)+"1"+strings.Repeat("}", 50), `{`)
	f.Fuzz(func(t *testing.T, before, after string) {
		all := differences(odcm.Event{Before: json.RawMessage(before), After: json.RawMessage(after)})
		if len(all) > maxDifferences {
			t.Fatalf("%d differences", len(all))
		}
		for _, d := range all {
			if len([]rune(d.Before)) > maxValue+1 || len([]rune(d.After)) > maxValue+1 {
				t.Fatalf("endless value at %q", d.Path)
			}
		}
	})
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	got := differences(odcm.Event{
		Before: json.RawMessage(`{"name":"Pay","roles":["a"],"limit":12345678901234567890,"old":null}`),
		After:  json.RawMessage(`{"name":"Payments","roles":["a","b"],"limit":12345678901234567890}`),
	})
	want := []difference{{"limit", "12345678901234567890", "12345678901234567890", false}, {"name", "Pay", "Payments", true}, {"old", "none", "", true},
		{"roles[0]", "a", "a", false}, {"roles[1]", "", "b", true}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
