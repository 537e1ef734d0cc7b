package scimhttp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/role"
	"odcm/manager/identity/scim"
	"odcm/manager/identity/scim/scimhttp"
	"odcm/manager/identity/scim/scimsql"
)

// world is a site with nothing but provisioning on it; whoever asks is who.
type world struct {
	t    testing.TB
	site *web.Site
	log  *eventlog.Log
	who  odcm.Principal
}

func (w *world) Authenticate(*http.Request) (odcm.Principal, error) { return w.who, nil }

func open(t testing.TB) *world {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, quiet := t.Context(), slog.New(slog.DiscardHandler)
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	fail(err)
	t.Cleanup(bus.Close)
	w := &world{t: t, who: odcm.Principal{User: "user-admin", Name: "admin", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}}
	w.log, err = eventlog.New(ctx, d, bus)
	fail(err)
	users, err := identitysql.New(ctx, d, w.log)
	fail(err)
	groups, err := groupsql.New(ctx, d, w.log)
	fail(err)
	pushed, err := scimsql.New(ctx, d, w.log)
	fail(err)
	auth := role.NewAuthorizer()
	g := group.New(group.Options{Store: groups, Log: w.log, Bus: bus, Authorizer: auth, Logger: quiet})
	people := identity.New(identity.Options{Store: users, Bus: bus, Authorizer: auth, Groups: g, Logger: quiet})
	s := scim.New(scim.Options{Store: pushed, People: scim.PeopleOf(people), Groups: g, Authorizer: auth, Logger: quiet, PublicURL: func() string { return "https://odcm.example.com" },
		Providers: func(context.Context) (map[odcm.ProviderID]string, error) {
			return map[odcm.ProviderID]string{"provider-entra": "Contoso's Entra ID"}, nil
		}})
	w.site = web.New(web.Options{Authenticator: w, Logger: quiet})
	scimhttp.Register(scimhttp.Options{Site: w.site, SCIM: s})
	return w
}

func (w *world) send(method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.site.ServeHTTP(rec, r)
	return rec
}

func TestPagesMakeAWayInOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	if rec := w.send("GET", "/provisioning", ""); rec.Code != 200 || !strings.Contains(rec.Body.String(), "No directory pushes here") || !strings.Contains(rec.Body.String(), "Contoso&#39;s Entra ID") {
		t.Fatalf("%d", rec.Code)
	}
	if rec := w.send("POST", "/provisioning", "name=+"); rec.Code != 422 || !strings.Contains(rec.Body.String(), "Give the directory a name") {
		t.Errorf("without a name: %d", rec.Code)
	}
	rec := w.send("POST", "/provisioning", url.Values{"name": {"Contoso"}, "prefix": {"tenant/"}, "trustEmail": {"on"}}.Encode())
	at := rec.Header().Get("Location")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/provisioning/provider-") {
		t.Fatalf("%d %s", rec.Code, at)
	}
	made := w.send("POST", at+"/tokens", "purpose=provisioning&days=90")
	secret := regexp.MustCompile(scim.TokenPrefix + `[A-Za-z0-9_-]{43}`).FindString(made.Body.String())
	if made.Code != 200 || secret == "" || made.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", made.Code, made.Header())
	}
	page := w.send("GET", at, "").Body.String()
	if strings.Contains(page, secret) || !strings.Contains(page, secret[:len(scim.TokenPrefix)+6]) || !strings.Contains(page, "https://odcm.example.com/scim/v2") {
		t.Error("the page shows the secret again, or not what is needed")
	}
	pushed := w.send("POST", "/scim/v2/Users", `{"userName":"bob","externalId":"1"}`, "Authorization", "Bearer "+secret)
	if pushed.Code != 201 || pushed.Header().Get("Content-Type") != "application/scim+json" {
		t.Fatalf("%d %s", pushed.Code, pushed.Body)
	}
	large := w.send("POST", "/scim/v2/Groups", `{"displayName":"g","members":[`+strings.Repeat(`{"value":"scim-x"},`, 90_000)+`{"value":"x"}]}`, "Authorization", "Bearer "+secret)
	if large.Code != 201 {
		t.Errorf("a large group: %d %.200s", large.Code, large.Body)
	}
	revoke := regexp.MustCompile(at + `/tokens/[^/"]+/revoke`).FindString(page)
	if rec := w.send("POST", revoke, ""); rec.Code != http.StatusSeeOther {
		t.Errorf("revoke at %q: %d", revoke, rec.Code)
	}
	if rec := w.send("GET", "/scim/v2/Users", "", "Authorization", "Bearer "+secret); rec.Code != 401 {
		t.Errorf("a revoked token: %d", rec.Code)
	}
	events, err := w.log.List(t.Context(), eventlog.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(events)
	for _, typ := range []string{"scim.directory-created", "scim.token-created", "scim.token-revoked", "identity.user-created"} {
		if !strings.Contains(string(b), typ) {
			t.Errorf("no event %s", typ)
		}
	}
	if strings.Contains(string(b), secret) {
		t.Error("an event tells the secret")
	}
}

func TestRESTAndRoles(t *testing.T) {
	t.Parallel()
	w := open(t)
	rec := w.send("POST", "/api/v1/scim-directories", `{"name":"Contoso"}`)
	var d api.DirectoryDetail
	if err := json.Unmarshal(rec.Body.Bytes(), &d); err != nil || rec.Code != 201 || d.Address != "https://odcm.example.com/scim/v2" || rec.Header().Get("ETag") != `"1"` {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.send("POST", "/api/v1/scim-directories", `{"name":"Entra","provider":"provider-entra"}`); rec.Code != 201 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	admin := w.who
	auditor := odcm.Principal{User: "user-a", Name: "a", Roles: []odcm.Role{odcm.Auditor}}
	for _, c := range []struct {
		method, path, body string
		admin, audit       int
	}{
		{"GET", "", "", 200, 200},
		{"GET", "/" + d.Provider, "", 200, 200},
		{"GET", "/provider-none", "", 404, 404},
		{"POST", "", `{"name":"x","provider":"provider-entra"}`, 409, 403},
		{"POST", "", `{"name":"x","provider":"provider-none"}`, 422, 403},
		{"PATCH", "/" + d.Provider, `{"prefix":"p/"}`, 200, 403},
		{"POST", "/" + d.Provider + "/tokens", `{"purpose":""}`, 422, 403},
		{"POST", "/" + d.Provider + "/tokens", `{"purpose":"x","expires":"2001-01-01T00:00:00Z"}`, 422, 403},
		{"POST", "/" + d.Provider + "/tokens", `{"purpose":"x"}`, 201, 403},
		{"DELETE", "/" + d.Provider + "/tokens/none", "", 404, 403},
	} {
		for p, want := range map[*odcm.Principal]int{&admin: c.admin, &auditor: c.audit} {
			w.who = *p
			if rec := w.send(c.method, "/api/v1/scim-directories"+c.path, c.body); rec.Code != want {
				t.Errorf("%s %s as %s: %d %s, want %d", c.method, c.path, p.Name, rec.Code, rec.Body, want)
			}
		}
	}
	w.who = admin
	if rec := w.send("PATCH", "/api/v1/scim-directories/"+d.Provider, `{"prefix":"q/"}`, "If-Match", `"1"`); rec.Code != 412 {
		t.Errorf("a stale change: %d", rec.Code)
	}
	if rec := w.send("DELETE", "/api/v1/scim-directories/"+d.Provider, ""); rec.Code != 204 {
		t.Errorf("%d", rec.Code)
	}
}
