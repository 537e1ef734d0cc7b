package accesshttp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db/dbtest"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/access"
	"odcm/manager/access/accesshttp"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// who takes the principal from a header, Barry where there is none.
type who struct{}

func (who) Authenticate(r *http.Request) (odcm.Principal, error) {
	for _, p := range []odcm.Principal{accesstest.Audrey, accesstest.Lisa, accesstest.Bob} {
		if strings.EqualFold(p.Name, r.Header.Get("X-Who")) {
			return p, nil
		}
	}
	return accesstest.Barry, nil
}

// arrived tells what the Spaces acknowledged.
type arrived struct{}

func (arrived) Arrivals(_ context.Context, _ odcm.SpaceID, users []odcm.UserID) (map[odcm.UserID]access.Arrival, error) {
	all := map[odcm.UserID]access.Arrival{}
	for _, id := range users {
		all[id] = access.Arrival{State: access.Applied}
		if id == "user-dana" {
			all[id] = access.Arrival{State: access.Failed, Reason: "Two accounts have her address."}
		}
	}
	return all, nil
}

func (arrived) Standing(context.Context, odcm.SpaceID) (access.Standing, error) {
	return access.Standing{Failed: 1, Revoke: 840 * time.Millisecond, Checked: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}, nil
}

type site struct {
	http.Handler
	access accesstest.Rooms
	world  *accesstest.World
}

// serve is a company: Bob is three groups below those who may enter Payments, which Lisa administers.
func serve(t *testing.T) site {
	t.Helper()
	w := accesstest.NewWorld()
	w.AddPeople("Barry", "Audrey", "Lisa", "Bob", "Carol", "Dana", "Geoff")
	w.AddGroup("Payments Team", "Bob", "Carol")
	w.AddGroup("Developers", "Payments Team", "Dana")
	w.AddGroup("Engineering", "Developers")
	w.AddGroup("Auditors", "Audrey")
	w.AddPlace("Payments", "instance-1", access.Team{ID: "Teams-21", Name: "Deploy to Dev"}, access.Team{ID: "Teams-22", Name: "Viewers"})
	w.AddPlace("Web Shop", "instance-2")
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	o := w.Options(nil, nil)
	o.Bus = bus
	s, err := w.Open(t.Context(), o, arrived{})
	if err != nil {
		t.Fatal(err)
	}
	pages := web.New(web.Options{Authenticator: who{}, DB: d, Bus: bus, Version: "test", Logger: slog.New(slog.DiscardHandler), Gallery: true})
	accesshttp.Register(accesshttp.Options{Site: pages, Access: s.Service, Grants: s.Grants, Explain: s.Explain})
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	made := site{pages, s, w}
	for _, n := range []admit.NewGrant{
		{Space: "payments", Group: "Engineering", Note: "All who build"}, {Space: "payments", User: "lisa", Steward: true},
		{Space: "payments", User: "geoff", Expires: time.Now().Add(30 * 24 * time.Hour), Note: "Consultant until the audit is over"}, {Space: "web-shop", Group: "Auditors"},
	} {
		if _, err := s.Grants.Grant(t.Context(), accesstest.Barry, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Grants.Map(t.Context(), accesstest.Lisa, "payments", access.Team{ID: "Deploy to Dev"}, "Developers"); err != nil {
		t.Fatal(err)
	}
	return made
}

func (s site) ask(t *testing.T, method, path, body, by string) *httptest.ResponseRecorder {
	t.Helper()
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

func (s site) want(t *testing.T, status int, method, path, body, by string) *httptest.ResponseRecorder {
	t.Helper()
	w := s.ask(t, method, path, body, by)
	if w.Code != status {
		t.Fatalf("%s %s by %s: %d, want %d: %s", method, path, by, w.Code, status, w.Body)
	}
	return w
}

func read[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

func TestREST(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const v1 = "/api/v1"

	made := read[api.AccessGrant](t, s.want(t, 201, "POST", v1+"/access/grants", `{"space":"Payments","user":"dana@example.com","note":"stand-in"}`, ""))
	if made.Holder != "Dana" || made.People != 1 || made.SpaceName != "Payments" || made.By != "user-barry" {
		t.Errorf("granted %+v", made)
	}
	s.want(t, 422, "POST", v1+"/access/grants", `{"space":"payments","user":"bob","group":"Developers"}`, "")
	s.want(t, 422, "POST", v1+"/access/grants", `{"space":"payments","user":"bob","expires":"2020-01-01T00:00:00Z"}`, "")
	s.want(t, 404, "POST", v1+"/access/grants", `{"space":"payments","user":"nobody"}`, "")
	s.want(t, 403, "POST", v1+"/access/grants", `{"space":"payments","user":"bob"}`, "Lisa")
	s.want(t, 404, "POST", v1+"/access/grants", `{"space":"web-shop","user":"bob"}`, "Lisa")

	var names []string
	for cursor, pages := "", 0; ; pages++ {
		page := read[api.Page[api.AccessGrant]](t, s.want(t, 200, "GET", v1+"/access/grants?limit=2&cursor="+cursor, "", "Audrey"))
		for _, g := range page.Items {
			names = append(names, g.SpaceName+" "+g.Holder)
		}
		if cursor = page.Next; cursor == "" || pages > 5 {
			break
		}
	}
	if got := strings.Join(names, ", "); got != "Payments Engineering, Payments Lisa, Payments Geoff, Payments Dana, Web Shop Auditors" {
		t.Errorf("listed %s", got)
	}
	if page := read[api.Page[api.AccessGrant]](t, s.want(t, 200, "GET", v1+"/access/grants", "", "Lisa")); len(page.Items) != 4 {
		t.Errorf("Lisa sees %+v", page.Items)
	}
	if page := read[api.Page[api.AccessGrant]](t, s.want(t, 200, "GET", v1+"/access/grants?q=consult", "", "")); len(page.Items) != 1 {
		t.Errorf("found %+v", page.Items)
	}
	s.want(t, 403, "GET", v1+"/access/grants", "", "Bob")

	s.want(t, 204, "POST", v1+"/access/mappings", `{"space":"payments","team":"Viewers","group":"Engineering"}`, "Lisa")
	s.want(t, 404, "POST", v1+"/access/mappings", `{"space":"payments","team":"Nowhere","group":"Engineering"}`, "Lisa")
	s.want(t, 404, "POST", v1+"/access/mappings", `{"space":"web-shop","team":"Viewers","group":"Engineering"}`, "Lisa")
	mapped := read[api.Page[api.AccessMapping]](t, s.want(t, 200, "GET", v1+"/spaces/payments/mappings", "", "Lisa"))
	if len(mapped.Items) != 2 || mapped.Items[0].TeamName != "Deploy to Dev" || mapped.Items[0].People != 3 || mapped.Items[0].Groups[0].Name != "Developers" {
		t.Errorf("mapped %+v", mapped.Items)
	}
	if teams := read[api.Page[api.AccessTeam]](t, s.want(t, 200, "GET", v1+"/spaces/payments/teams", "", "Lisa")); len(teams.Items) != 2 {
		t.Errorf("teams %+v", teams.Items)
	}
	s.want(t, 204, "DELETE", v1+"/access/mappings?space=payments&team=Teams-22&group=Engineering", "", "Lisa")
	s.want(t, 404, "DELETE", v1+"/access/mappings?space=payments&team=Teams-22&group=Engineering", "", "Lisa")

	e := read[api.AccessExplanation](t, s.want(t, 200, "GET", v1+"/access/explain?user=bob&space=payments", "", "Audrey"))
	if !e.MayEnter || len(e.Ways) != 1 || len(e.Ways[0].Path) != 3 || e.Ways[0].Path[1].Name != "Developers" || len(e.Teams) != 1 || e.Arrival.State != "applied" {
		t.Errorf("explained %+v", e)
	}
	s.want(t, 200, "GET", v1+"/access/explain?space=payments", "", "Bob")
	s.want(t, 404, "GET", v1+"/access/explain?space=web-shop", "", "Bob")
	s.want(t, 403, "GET", v1+"/access/explain?space=payments&user=carol", "", "Bob")
	s.want(t, 403, "GET", v1+"/access/explain?space=payments&user=nobody-at-all", "", "Bob")

	d := read[api.AccessDifference](t, s.want(t, 200, "POST", v1+"/access/what-if", `{"changes":[{"kind":"revoke","space":"payments","group":"Engineering"}]}`, ""))
	if d.Lose != 2 || d.Leave != 2 || d.Gain != 0 || d.People != 2 || d.Items[0].Kind != "loses-entry" || d.Items[0].Name != "Bob" {
		t.Errorf("what if %+v", d)
	}
	s.want(t, 422, "POST", v1+"/access/what-if", `{"changes":[]}`, "")
	s.want(t, 403, "POST", v1+"/access/what-if", `{"changes":[{"kind":"disable-user","user":"bob"}]}`, "Lisa")
	s.want(t, 200, "POST", v1+"/access/what-if", `{"changes":[{"kind":"unmap","space":"payments","team":"Teams-21","group":"Developers"}]}`, "Lisa")

	people := read[api.Page[api.AccessEntrant]](t, s.want(t, 200, "GET", v1+"/spaces/payments/entrants", "", "Lisa"))
	if len(people.Items) != 5 || people.Items[0].Name != "Bob" || people.Items[0].By[0] != "Engineering" || people.Items[0].Teams[0].Name != "Deploy to Dev" {
		t.Errorf("entrants %+v", people.Items)
	}
	s.want(t, 204, "DELETE", v1+"/access/grants/"+made.ID, "", "")
	s.want(t, 404, "DELETE", v1+"/access/grants/"+made.ID, "", "")
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	page := func(path, by string, wants ...string) string {
		t.Helper()
		body := s.want(t, 200, "GET", path, "", by).Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s by %s lacks %q", path, by, want)
			}
		}
		return body
	}
	page("/access", "", "Engineering", "Consultant until", "Web Shop", "Administers")
	page("/access?kind=user", "Audrey", "Geoff")
	if body := page("/access", "Lisa", "Engineering"); strings.Contains(body, "Web Shop") {
		t.Error("Lisa reads of a Space that is not hers")
	}
	s.want(t, 403, "GET", "/access", "", "Bob")

	page("/spaces/payments/access", "", "May enter", "840 ms", "1 refused there", "Deploy to Dev", "Two accounts have her address.", "/access/review?kind=revoke", "Let in")
	if body := page("/spaces/payments/access", "Lisa", "Map a group"); strings.Contains(body, "Let in<") || strings.Contains(body, "kind=revoke") {
		t.Error("Lisa is offered to grant")
	}
	if body := page("/spaces/payments/access", "Audrey"); strings.Contains(body, "Map a group") {
		t.Error("an auditor is offered to map")
	}
	s.want(t, 403, "GET", "/spaces/payments/access", "", "Bob")
	s.want(t, 404, "GET", "/spaces/web-shop/access", "", "Lisa")

	page("/spaces/payments/access/grant?q=au", "", "Auditors", "Audrey", "See what happens")
	page("/spaces/payments/access/map?q=dev", "Lisa", "Developers", "Deploy to Dev")
	page("/spaces/payments/access/review?kind=grant&holder=group:group-auditors&administer=on", "", "Let Auditors in?", "Audrey", "May enter", "will administer")
	s.want(t, 422, "GET", "/spaces/payments/access/review?kind=grant&holder=group:group-auditors&until=tomorrow", "", "")

	send := func(status int, by string, form url.Values) {
		t.Helper()
		s.want(t, status, "POST", "/spaces/payments/access", form.Encode(), by)
	}
	send(303, "", url.Values{"kind": {"grant"}, "holder": {"group:group-auditors"}, "until": {"2099-12-31"}, "note": {"<b>why</b>"}})
	if !s.access.May("user-audrey", "space-payments") {
		t.Error("Audrey may not enter")
	}
	page("/spaces/payments/access", "", "&lt;b&gt;why")
	send(403, "Lisa", url.Values{"kind": {"grant"}, "holder": {"user:user-bob"}})
	send(422, "", url.Values{"kind": {"grant"}})
	send(303, "Lisa", url.Values{"kind": {"unmap"}, "team": {"Teams-21"}, "group": {"group-developers"}})

	page("/access/what-if", "Audrey", "What if somebody joined")
	page("/access/what-if?kind=remove-member&group=Payments+Team&user=carol", "", "Carol", "Loses entry", "Payments")
	page(accesshttp.WhatIf(explain.Change{Kind: explain.ToDisable, User: "bob"}), "", "Bob", "Loses entry", "1 person")
	s.want(t, 404, "GET", "/access/what-if?kind=disable-user&user=nobody", "", "")
	s.want(t, 403, "GET", "/access/what-if", "", "Lisa")
	s.want(t, 403, "GET", "/access/what-if?kind=disable-user&user=bob", "", "Bob")

	page("/access/explain?user=bob&space=payments", "", "Bob may enter Payments", "Payments Team", "Developers", "Engineering")
	page("/access/explain?user=carol&space=web-shop", "", "may not enter", "Auditors")
	page("/access/explain?space=payments", "Bob", "Bob may enter Payments")
	s.want(t, 404, "GET", "/access/explain?space=web-shop", "", "Bob")
}

// TestClient calls what the command line calls, over the wire.
func TestClient(t *testing.T) {
	t.Parallel()
	s := serve(t)
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := apiclient.New(apiclient.Options{URL: server.URL, APIKey: "odcm_test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	g, err := c.Grant(ctx, api.NewAccessGrant{Space: "web-shop", Group: "Engineering"}, "")
	if err != nil || g.People != 3 {
		t.Fatalf("granted %+v: %v", g, err)
	}
	if all, err := apiclient.Collect(c.Grants(ctx, apiclient.GrantFilter{Space: "web-shop"}), 0); err != nil || len(all) != 2 {
		t.Errorf("listed %+v: %v", all, err)
	}
	if e, err := c.Explain(ctx, "bob", "Web Shop"); err != nil || !e.MayEnter || len(e.Ways[0].Path) != 3 {
		t.Errorf("explained %+v: %v", e, err)
	}
	if d, err := c.WhatIf(ctx, []api.AccessChange{{Kind: "remove-member", Group: "Engineering", Member: "Developers"}}, 0); err != nil || d.Lose != 6 || len(d.Items) != 9 {
		t.Errorf("what if %+v: %v", d, err)
	}
	if err := c.Map(ctx, api.NewAccessMapping{Space: "payments", Team: "Viewers", Group: "Payments Team"}); err != nil {
		t.Error(err)
	}
	if all, err := apiclient.Collect(c.Entrants(ctx, "payments", "car"), 0); err != nil || len(all) != 1 || len(all[0].Teams) != 2 {
		t.Errorf("entrants %+v: %v", all, err)
	}
	if err := c.Unmap(ctx, api.NewAccessMapping{Space: "payments", Team: "Viewers", Group: "Payments Team"}); err != nil {
		t.Error(err)
	}
	if mapped, err := c.Mappings(ctx, "payments"); err != nil || len(mapped) != 1 {
		t.Errorf("mapped %+v: %v", mapped, err)
	}
	if teams, err := c.OctopusTeams(ctx, "payments"); err != nil || len(teams) != 2 {
		t.Errorf("teams %+v: %v", teams, err)
	}
	if err := c.Revoke(ctx, g.ID); err != nil {
		t.Error(err)
	}
	if err := c.Revoke(ctx, g.ID); odcm.CodeOf(err) != "access.grant-not-found" {
		t.Errorf("revoked twice: %v", err)
	}
}

// TestWhatEndsSomethingSaysWhat is for phones, where the word is all there is room for, and for who does not see the row.
func TestWhatEndsSomethingSaysWhat(t *testing.T) {
	t.Parallel()
	html := serve(t).want(t, 200, "GET", "/spaces/payments/access", "", "").Body.String()
	for name, word := range map[string]string{"Take away the grant of Engineering": "Take away", "Take away the grant of Geoff": "Take away", "Unmap Developers from the team Deploy to Dev": "Unmap"} {
		_, button, found := strings.Cut(html, `aria-label="`+name+`"`)
		if button, _, _ = strings.Cut(button, "</a>"); !found || !strings.HasSuffix(button, word) && !strings.Contains(button, ">"+word+"<") {
			t.Errorf("no button is %q and shows %q: %.200s", name, word, button)
		}
	}
}
