package alerthttp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
	"odcm/manager/alert"
	"odcm/manager/alert/alerthttp"
	"odcm/manager/alert/alerttest"
	"odcm/manager/alert/delivery"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/receiver"
	"odcm/manager/alert/watch"
)

// roles signs in whoever says a role.
type roles struct{}

func (roles) Authenticate(r *http.Request) (odcm.Principal, error) {
	role := r.Header.Get("Role")
	if role == "" {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "test.nobody", "Sign in.")
	}
	return odcm.Principal{User: odcm.UserID("user-" + role), Name: role, Roles: []odcm.Role{odcm.Role(role)}, Via: "session"}, nil
}

// table decides as the product does.
type table struct{}

func (table) Authorize(_ context.Context, p odcm.Principal, action odcm.Action, _ string) error {
	switch {
	case p.Has(odcm.Administrator), action == desk.ActionRead, p.Has(odcm.Auditor) && action == desk.ActionList:
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "no")
}

// access lets the space-administrator and the member see Space a alone.
type access struct{}

func (access) Reach(_ context.Context, p odcm.Principal) (bool, []odcm.SpaceID, error) {
	return p.Has(odcm.Administrator) || p.Has(odcm.Auditor), []odcm.SpaceID{"space-a"}, nil
}

func (access) Administers(_ context.Context, p odcm.Principal, id odcm.SpaceID) bool {
	return p.Has(odcm.SpaceAdministrator) && id == "space-a"
}

type site struct {
	t *testing.T
	*web.Site
	w *alerttest.World
}

// serve is a company in which Spaces a and b are offline.
func serve(t *testing.T) site {
	t.Helper()
	w := alerttest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	w.Offline(nil)
	w.AddReceiver("hook")
	w.Set(alerttest.Space("a", "offline", "host-1", time.Now()), alerttest.Space("b", "offline", "host-2", time.Now()), alerttest.Space("c", "online", "host-2", time.Now()))
	quiet := slog.New(slog.DiscardHandler)
	courier := delivery.New(delivery.Options{Store: w.Store, Sender: w, Sealer: alerttest.Sealer{}, Logger: quiet})
	watcher := watch.New(watch.Options{Source: w, Log: w.Log, Leases: w.Leases, Store: w.Store, Owner: "test", Logger: quiet, PollEvery: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { _ = watcher.Run(ctx, nil); done <- struct{}{} }()
	go func() { _ = courier.Run(ctx, nil); done <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-done; <-done })
	d := desk.New(desk.Options{Store: w.Store, Authorizer: table{}, Access: access{}, Source: w, Teller: courier, Sealer: alerttest.Sealer{}, Logger: quiet})
	pages := web.New(web.Options{Authenticator: roles{}, Logger: quiet, DB: w.DB, Bus: w.Bus, Version: "test"})
	alerthttp.Register(alerthttp.Options{Site: pages, Desk: d})
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	w.Wait("both fire and are told", func() bool { return len(w.Told()) == 2 })
	return site{t, pages, w}
}

func (s site) do(status int, method, path, role, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Role", role)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != status {
		s.t.Errorf("%s %s as %s: status %d, want %d: %s", method, path, role, w.Code, status, text(w))
	}
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

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func (s site) has(w *httptest.ResponseRecorder, parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) && !strings.Contains(text(w), part) {
			s.t.Errorf("%q is missing in: %s", part, text(w))
		}
	}
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.has(s.do(200, "GET", "/alerts", "administrator", ""), "Offline: a", "Offline: b", "2 firing", "critical", "1 told")
	mine := s.do(200, "GET", "/alerts", "member", "")
	if s.has(mine, "Offline: a"); strings.Contains(text(mine), "Offline: b") || strings.Contains(text(mine), "Receivers") {
		t.Errorf("a member sees: %s", text(mine))
	}
	byName := map[string]string{}
	for _, i := range decode[api.Page[api.Incident]](t, s.do(200, "GET", "/api/v1/alerts/incidents?state=firing", "administrator", "")).Items {
		byName[i.Name] = i.ID
	}
	a, b := byName["a"], byName["b"]
	s.do(404, "GET", "/alerts/incidents/"+b, "member", "")
	s.do(404, "POST", "/alerts/incidents/"+b+"/acknowledge", "space-administrator", "")
	s.do(403, "POST", "/alerts/incidents/"+a+"/acknowledge", "member", "")
	s.do(403, "POST", "/alerts/incidents/"+a+"/acknowledge", "auditor", "")
	s.has(s.do(200, "GET", "/alerts/incidents/"+a, "space-administrator", ""), "Take it on", "hook", "Who was told", "a is offline.")
	s.do(303, "POST", "/alerts/incidents/"+a+"/acknowledge", "space-administrator", "note=I+look")
	s.do(409, "POST", "/api/v1/alerts/incidents/"+a+"/acknowledge", "administrator", "{}")
	s.has(s.do(200, "GET", "/alerts/incidents/"+a, "member", ""), "space-administrator has taken it on. I look")
	s.do(303, "POST", "/alerts/incidents/"+a+"/silence", "space-administrator", "hours=4&comment=known")
	s.do(403, "POST", "/api/v1/alerts/silences", "space-administrator", `{"matchers":"name=b","until":"2099-01-01T00:00:00Z","comment":"x"}`)
	s.w.Wait("it is quiet", func() bool {
		i, err := s.w.Store.Incident(t.Context(), a)
		return err == nil && i.Quiet == "silenced"
	})
	detail := decode[api.IncidentDetail](t, s.do(200, "GET", "/api/v1/alerts/incidents/"+a, "auditor", ""))
	if detail.Acknowledged == nil || detail.Quiet == "" || len(detail.Deliveries) != 1 || detail.Deliveries[0].State != "sent" || len(detail.Timeline) < 4 {
		t.Errorf("detail %+v", detail)
	}
	silences := decode[api.Page[api.Silence]](t, s.do(200, "GET", "/api/v1/alerts/silences", "auditor", ""))
	if len(silences.Items) != 1 || silences.Items[0].Space != "space-a" || !silences.Items[0].Active {
		t.Fatalf("silences %+v", silences)
	}
	s.do(204, "DELETE", "/api/v1/alerts/silences/"+silences.Items[0].ID, "space-administrator", "")
	s.has(s.do(200, "GET", "/alerts/silences?ended=true", "administrator", ""), "known")
	s.has(s.do(200, "GET", "/alerts/history?q=B&state=open", "administrator", ""), "Offline: b")
	s.has(s.do(200, "GET", "/alerts/history?q=nobody", "administrator", ""), "Nothing is found")
	page := decode[api.Page[api.Incident]](t, s.do(200, "GET", "/api/v1/alerts/incidents?limit=1", "administrator", ""))
	rest := decode[api.Page[api.Incident]](t, s.do(200, "GET", "/api/v1/alerts/incidents?limit=1&cursor="+url.QueryEscape(page.Next), "administrator", ""))
	if len(page.Items) != 1 || len(rest.Items) != 1 || page.Items[0].ID == rest.Items[0].ID || rest.Next != "" {
		t.Errorf("pages %+v, %+v", page, rest)
	}
	s.do(303, "GET", "/alerts", "", "")
	s.has(s.do(200, "GET", "/alerts/deliveries", "auditor", ""), "hook", "sent")
	s.do(403, "GET", "/alerts/deliveries", "space-administrator", "")
}

func TestRules(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.has(s.do(200, "GET", "/alerts/rules", "auditor", ""), "Disk nearly full", "Certificate near expiry", "The default receivers")
	s.do(403, "GET", "/alerts/rules", "member", "")
	s.do(403, "GET", "/alerts/rules/new", "auditor", "")
	s.has(s.do(200, "GET", "/alerts/rules/rule-offline", "administrator", ""), "would fire now for 2", "Preview")
	form := url.Values{"revision": {"0"}, "name": {"Mine"}, "signal": {"status"}, "is": {"offline"}, "severity": {"info"}, "failureThreshold": {"2"}, "successThreshold": {"1"},
		"matchers": {"server=host-2"}, "groupWait": {"5s"}, "enabled": {"on"}, "do": {"preview"}}
	s.has(s.do(200, "POST", "/alerts/rules/new", "administrator", form.Encode()), "would fire now for b", "b is offline.")
	form.Del("do")
	form.Set("groupWait", "soon")
	form.Set("matchers", "=")
	s.has(s.do(422, "POST", "/alerts/rules/new", "administrator", form.Encode()), "Write a time as", "does not begin with the name of a label")
	form.Set("groupWait", "5s")
	form.Set("matchers", "server=host-2")
	s.do(303, "POST", "/alerts/rules/new", "administrator", form.Encode())
	s.do(403, "POST", "/alerts/rules/new", "auditor", form.Encode())
	var mine api.AlertRule
	for _, r := range decode[api.Page[api.AlertRule]](t, s.do(200, "GET", "/api/v1/alerts/rules", "administrator", "")).Items {
		if r.Name == "Mine" {
			mine = r
		}
	}
	if mine.Matchers != "server=host-2" || mine.GroupWaitSeconds != 5 || mine.FailureThreshold != 2 {
		t.Fatalf("kept %+v", mine)
	}
	got := s.do(200, "GET", "/api/v1/alerts/rules/"+mine.ID, "administrator", "")
	tag := got.Header().Get("ETag")
	mine.Severity = "warning"
	body, _ := json.Marshal(mine.AlertRuleSettings)
	put := func(tag string) int {
		r := httptest.NewRequest("PUT", "/api/v1/alerts/rules/"+mine.ID, strings.NewReader(string(body)))
		r.Header.Set("Role", "administrator")
		r.Header.Set("If-Match", tag)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	if first, second := put(tag), put(tag); first != 200 || second != 412 {
		t.Errorf("changes with the same tag: %d, %d", first, second)
	}
	for _, bad := range []string{`{"name":"x","signal":"status","is":"online","severity":"info","enabled":true}`, `{"name":"","signal":"disk","op":"<","threshold":5,"severity":"info","enabled":true}`,
		`{"name":"x","signal":"status","is":"offline","severity":"info","receivers":["nobody"],"enabled":true}`, `{"name":"x","signal":"status","is":"offline","severity":"info","escalateAfterSeconds":5,"enabled":true}`} {
		s.do(422, "POST", "/api/v1/alerts/rules", "administrator", bad)
	}
	preview := decode[api.AlertPreview](t, s.do(200, "POST", "/api/v1/alerts/rules/preview", "auditor", `{"name":"x","signal":"status","is":"offline","severity":"info","enabled":true}`))
	if preview.Total != 2 {
		t.Errorf("preview %+v", preview)
	}
	s.do(303, "POST", "/alerts/rule/"+mine.ID+"/delete", "administrator", "")
	s.do(404, "GET", "/api/v1/alerts/rules/"+mine.ID, "administrator", "")
	s.do(404, "POST", "/alerts/silence/"+mine.ID+"/delete", "administrator", "")
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const secret = "hooks.example.com/services/T0/B0/s3cr3t"
	form := url.Values{"revision": {"0"}, "name": {"Chat"}, "kind": {"slack"}, "url": {"https://" + secret}, "enabled": {"on"}}
	s.do(303, "POST", "/alerts/receivers/new", "administrator", form.Encode())
	s.do(403, "POST", "/alerts/receivers/new", "auditor", form.Encode())
	page := s.do(200, "GET", "/alerts/receivers", "auditor", "")
	s.has(page, "Chat", "https://hooks.example.com", "Slack")
	all := s.do(200, "GET", "/api/v1/alerts/receivers", "auditor", "")
	var chat api.AlertReceiver
	for _, r := range decode[api.Page[api.AlertReceiver]](t, all).Items {
		if r.Name == "Chat" {
			chat = r
		}
	}
	one := s.do(200, "GET", "/alerts/receivers/"+chat.ID, "administrator", "")
	events, err := s.w.Log.Last(t.Context())
	if err != nil || events == 0 {
		t.Fatal(err)
	}
	for e, err := range s.w.Log.Follow(t.Context(), 0) {
		if err != nil || strings.Contains(string(e.After)+string(e.Before), "s3cr3t") {
			t.Errorf("event %s: %s, %v", e.Type, e.After, err)
		}
		if e.ID >= events {
			break
		}
	}
	for _, shown := range []*httptest.ResponseRecorder{page, all, one} {
		if strings.Contains(shown.Body.String(), "s3cr3t") {
			t.Error("a secret is shown")
		}
	}
	s.do(303, "POST", "/alerts/receivers/"+chat.ID+"/test", "administrator", "")
	s.do(403, "POST", "/api/v1/alerts/receivers/"+chat.ID+"/test", "auditor", "")
	if told := s.w.Told(); !slices.ContainsFunc(told, func(m alerttest.Told) bool { return m.Kind == alert.Tests && m.Receiver == "Chat" }) {
		t.Errorf("told %+v", told)
	}
	s.w.SetFail(func(receiver.Receiver, receiver.Message) error {
		return odcm.E(odcm.Unavailable, "alert.receiver-busy", "The receiver answered with status 503.")
	})
	s.has(s.do(503, "POST", "/api/v1/alerts/receivers/"+chat.ID+"/test", "administrator", ""), "status 503")
	made := decode[api.AlertReceiver](t, s.do(201, "POST", "/api/v1/alerts/receivers", "administrator", `{"name":"Hook","kind":"webhook","url":"https://h.example.com/x","enabled":true}`))
	if !strings.HasPrefix(made.Key, "whsec_") {
		t.Errorf("made %+v", made)
	}
	if again := decode[api.AlertReceiver](t, s.do(200, "GET", "/api/v1/alerts/receivers/"+made.ID, "administrator", "")); again.Key != "" {
		t.Error("the key is shown again")
	}
	changed := decode[api.AlertReceiver](t, s.do(200, "PUT", "/api/v1/alerts/receivers/"+made.ID, "administrator", `{"name":"Hook 2","enabled":true,"default":true}`))
	if changed.Shown != "https://h.example.com" || changed.Kind != "webhook" || !changed.Default {
		t.Errorf("changed %+v", changed)
	}
	for _, bad := range []string{`{"name":"x","kind":"webhook","url":"ftp://x","enabled":true}`, `{"name":"x","kind":"email","to":["nobody"],"enabled":true}`,
		`{"name":"x","kind":"pagerduty","key":"short","enabled":true}`, `{"name":"x","kind":"email","enabled":true}`} {
		s.do(422, "POST", "/api/v1/alerts/receivers", "administrator", bad)
	}
	s.do(204, "DELETE", "/api/v1/alerts/receivers/"+made.ID, "administrator", "")
}

func TestWindows(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.has(s.do(200, "GET", "/alerts/windows", "auditor", ""), "No maintenance is planned")
	form := url.Values{"revision": {"0"}, "name": {"Night"}, "schedule": {"0 22 * * 6"}, "zone": {"Europe/Berlin"}, "lasts": {"4h"}, "matchers": {"server=host-1"}, "enabled": {"on"}}
	s.do(303, "POST", "/alerts/windows/new", "administrator", form.Encode())
	s.has(s.do(200, "GET", "/alerts/windows", "auditor", ""), "Night", "0 22 * * 6 (Europe/Berlin), for 4 h", "server=host-1")
	all := decode[api.Page[api.MaintenanceWindow]](t, s.do(200, "GET", "/api/v1/alerts/windows", "administrator", ""))
	if len(all.Items) != 1 || all.Items[0].Next == nil || all.Items[0].LastsSeconds != 4*3600 {
		t.Fatalf("windows %+v", all)
	}
	s.has(s.do(200, "GET", "/alerts/windows/"+all.Items[0].ID, "administrator", ""), "Europe/Berlin")
	form.Set("zone", "Mars/Olympus")
	s.has(s.do(422, "POST", "/alerts/windows/new", "administrator", form.Encode()), "There is no time zone of this name")
	form.Set("zone", "UTC")
	form.Set("schedule", "whenever")
	s.has(s.do(422, "POST", "/alerts/windows/new", "administrator", form.Encode()), "The schedule is not minute")
	s.do(204, "DELETE", "/api/v1/alerts/windows/"+all.Items[0].ID, "administrator", "")
	for _, path := range []string{"/alerts/silences/new", "/alerts/windows/new", "/alerts/receivers/new", "/alerts/rules/new"} {
		s.do(200, "GET", path, "administrator", "")
		s.do(403, "GET", path, "auditor", "")
	}
	s.do(303, "POST", "/alerts/silences", "administrator", url.Values{"matchers": {"rule=Offline"}, "until": {time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04")}, "comment": {"x"}}.Encode())
	s.do(422, "POST", "/alerts/silences", "administrator", url.Values{"until": {"2099-01-01T00:00"}, "comment": {"x"}}.Encode())
}
