package providerhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/ldap"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/provider/providerhttp"
	"odcm/manager/identity/provider/providersql"
	"odcm/manager/identity/role"
)

// nobody is linked to anything.
type nobody struct{}

func (nobody) Linked(context.Context, odcm.ProviderID, string, int) ([]string, error) {
	return nil, nil
}

func (nobody) Observe(context.Context, odcm.ProviderID, []person.Observation) (identity.Observed, error) {
	return identity.Observed{}, nil
}

// who signs in by the header Test-Role, or by any API key.
type who struct{}

func (who) Authenticate(r *http.Request) (odcm.Principal, error) {
	role := odcm.Role(r.Header.Get("Test-Role"))
	if r.Header.Get("Authorization") != "" {
		role = odcm.Administrator
	}
	if role == "" {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "no")
	}
	return odcm.Principal{User: "user-1", Name: "Kim", Roles: []odcm.Role{role}, Via: "session"}, nil
}

// bundle is a site with nothing but this room on it.
type bundle struct {
	t       *testing.T
	site    *web.Site
	service *provider.Service
	store   *providersql.Store
	people  *identitysql.Store
	role    odcm.Role
}

func setup(t *testing.T) *bundle {
	t.Helper()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	people, err := identitysql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := groupsql.New(ctx, d, log); err != nil {
		t.Fatal(err)
	}
	store, err := providersql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.Open(ctx, d, seal.Options{KeyFile: t.TempDir() + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := provider.New(provider.Options{Store: store, Sealer: sealer, Authorizer: role.NewAuthorizer(), Bus: bus, People: nobody{},
		Connectors: ldap.Connectors(ldap.Options{Logger: quiet}), Logger: quiet})
	t.Cleanup(func() { _ = s.Close() })
	site := web.New(web.Options{Authenticator: who{}, Logger: quiet, Bus: bus})
	providerhttp.Register(providerhttp.Options{Site: site, Providers: s})
	return &bundle{t: t, site: site, service: s, store: store, people: people, role: odcm.Administrator}
}

func (b *bundle) send(method, path, kind string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Test-Role", string(b.role))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	return w
}

func (b *bundle) get(path string) *httptest.ResponseRecorder { return b.send("GET", path, "", nil) }

// post sends a form as browsers do that upload files; fields whose names begin with @ are files.
func (b *bundle) post(path string, fields map[string]string) *httptest.ResponseRecorder {
	b.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for name, value := range fields {
		part, err := m.CreateFormField(name)
		if file, ok := strings.CutPrefix(name, "@"); ok {
			part, err = m.CreateFormFile(file, "file")
		}
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := io.WriteString(part, value); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.send("POST", path, m.FormDataContentType(), &body)
}

func (b *bundle) call(method, path string, in, out any) int {
	b.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			b.t.Fatal(err)
		}
	}
	w := b.send(method, "/api/v1"+path, "application/json", &body)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	return w.Code
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, text(w))
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("%q is missing in: %s", part, text(w))
		}
	}
}

// text is what a person reads of an answer.
func text(w *httptest.ResponseRecorder) string {
	_, main, ok := strings.Cut(w.Body.String(), "<main")
	if !ok {
		return w.Body.String()
	}
	return strings.Join(strings.Fields(regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString("<main"+main, " ")), " ")
}

func directory() map[string]string {
	return map[string]string{"kind": "active-directory", "name": "Corp", "domain": "corp.test", "netbios": "CORP", "servers": "127.0.0.1:1", "security": "ldaps",
		"bindUser": "reader@corp.test", "bindPassword": "s3cret-of-reader", "admit": "on", "order": "3", "syncEvery": "30"}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want(t, b.get("/providers"), http.StatusOK, "Only local passwords so far")
	want(t, b.get("/providers/new"), http.StatusOK, "Active Directory", "kind=ldap")
	want(t, b.get("/providers/new?kind=active-directory"), http.StatusOK, `name="bindPassword"`, `type="password"`, `enctype="multipart/form-data"`, `type="file"`)

	bad := directory()
	bad["servers"] = "http://dc1"
	w := b.post("/providers", bad)
	want(t, w, http.StatusUnprocessableEntity, "is no server", `value="reader@corp.test"`)
	if strings.Contains(w.Body.String(), "s3cret") {
		t.Error("the password came back")
	}
	w = b.post("/providers", directory())
	want(t, w, http.StatusSeeOther)
	page := w.Header().Get("Location")
	w = b.get(page)
	want(t, w, http.StatusOK, "Corp", "Not tested yet", "Switch on", "Set. Leave empty to keep it.", `value="30"`, `data-live-region="provider/`)
	if strings.Contains(w.Body.String(), "s3cret") {
		t.Error("the password is shown")
	}
	want(t, b.get("/providers"), http.StatusOK, "Corp", "Disabled")

	change := directory()
	change["bindPassword"], change["name"], change["revision"] = "", "Corporation", "1"
	want(t, b.post(page, change), http.StatusSeeOther)
	want(t, b.post(page, change), http.StatusConflict, "changed by someone else")
	delete(change, "admit")
	change["revision"], change["kerberos"], change["@keytab"] = "2", "on", "no keytab"
	want(t, b.post(page, change), http.StatusUnprocessableEntity, "The file is no keytab")

	want(t, b.post(page+"/enable", nil), http.StatusSeeOther)
	want(t, b.post(page+"/test", nil), http.StatusSeeOther)
	if err := b.service.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, b.get(page), http.StatusOK, "Connect to 127.0.0.1:1", "Nothing listens", "Switch off", "Read now")
	want(t, b.post(page+"/sync", nil), http.StatusSeeOther)
	want(t, b.post(page+"/disable", nil), http.StatusSeeOther)
	want(t, b.post(page+"/delete", nil), http.StatusSeeOther)
	want(t, b.get(page), http.StatusNotFound)
}

func TestTroublesAreShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	page := b.post("/providers", directory()).Header().Get("Location")
	want(t, b.post(page+"/enable", nil), http.StatusSeeOther)
	id := odcm.ProviderID(strings.TrimPrefix(page, "/providers/"))
	now := time.Now().UTC().Truncate(time.Second)
	for _, c := range []struct {
		sync  provider.Sync
		parts []string
	}{
		{provider.Sync{Succeeded: now, Tried: now, People: 1, Groups: 2}, []string{"Enabled", "1 person, 2 groups"}},
		{provider.Sync{Succeeded: now.Add(-5 * time.Hour), Tried: now.Add(-5 * time.Hour), People: 3, Groups: 1}, []string{"Warnings"}},
		{provider.Sync{Succeeded: now.Add(-5 * time.Hour), Tried: now, Error: "dc1 did not answer.", People: 3}, []string{"Unavailable", "dc1 did not answer.", "What is known is 5 h 0 min old."}},
		{provider.Sync{Succeeded: now, Tried: now, Held: "9 of 10 are gone.", People: 10}, []string{"Needs a person", "9 of 10 are gone.", "let it count", `name="accept" value="true"`}},
	} {
		if err := b.store.SetSync(t.Context(), id, c.sync); err != nil {
			t.Fatal(err)
		}
		want(t, b.get(page), http.StatusOK, c.parts...)
		want(t, b.get("/providers"), http.StatusOK, c.parts[0])
	}
	want(t, b.send("POST", page+"/sync", "application/x-www-form-urlencoded", strings.NewReader("accept=true")), http.StatusSeeOther)
	if p, err := b.store.Provider(t.Context(), id); err != nil || !p.Sync.Accepted {
		t.Errorf("%+v, %v", p.Sync, err)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	page := b.post("/providers", directory()).Header().Get("Location")
	for role, c := range map[odcm.Role]struct{ read, edit int }{
		odcm.Auditor: {http.StatusOK, http.StatusForbidden}, odcm.SpaceAdministrator: {http.StatusForbidden, http.StatusForbidden}, odcm.Member: {http.StatusForbidden, http.StatusForbidden},
	} {
		b.role = role
		for _, path := range []string{"/providers", page, "/api/v1/providers", "/api/v1" + page, "/api/v1/provider-kinds"} {
			if w := b.get(path); w.Code != c.read {
				t.Errorf("%s reads %s: %d", role, path, w.Code)
			}
		}
		for _, path := range []string{"/providers", page, page + "/enable", page + "/disable", page + "/test", page + "/sync", page + "/delete"} {
			if w := b.post(path, directory()); w.Code != c.edit {
				t.Errorf("%s posts %s: %d %s", role, path, w.Code, text(w))
			}
		}
		if w := b.get("/providers/new"); w.Code != c.edit {
			t.Errorf("%s adds: %d", role, w.Code)
		}
	}
	b.role = odcm.Auditor
	if body := b.get(page).Body.String(); strings.Contains(body, "bindUser") || strings.Contains(body, "Test connection") {
		t.Error("an auditor is offered what would be refused")
	}
}

func TestREST(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var kinds []api.ProviderKind
	if code := b.call("GET", "/provider-kinds", nil, &kinds); code != http.StatusOK || len(kinds) != 2 || len(kinds[0].Fields) < 10 {
		t.Fatalf("%d %+v", code, kinds)
	}
	n := api.NewProvider{Kind: "ldap", Name: "Staff", Settings: map[string]string{"servers": "127.0.0.1:1", "bindUser": "cn=reader,dc=x", "base": "dc=x"}, Secrets: map[string]string{"bindPassword": "s3cret"}}
	var p api.Provider
	if code := b.call("POST", "/providers", n, &p); code != http.StatusCreated || p.Name != "Staff" || len(p.Secrets) != 1 || p.SyncEvery != 3600 {
		t.Fatalf("%d %+v", code, p)
	}
	if code := b.call("POST", "/providers", n, nil); code != http.StatusConflict {
		t.Errorf("twice: %d", code)
	}
	on, order := true, 5
	var changed api.Provider
	if code := b.call("PATCH", "/providers/"+p.ID, api.ProviderUpdate{Enabled: &on, Order: &order, Settings: map[string]string{"security": "starttls"}}, &changed); code != http.StatusOK ||
		!changed.Enabled || changed.Order != 5 || changed.Settings["security"] != "starttls" || changed.Settings["base"] != "dc=x" || len(changed.Secrets) != 1 {
		t.Errorf("%d %+v", code, changed)
	}
	if code := b.call("PATCH", "/providers/"+p.ID, api.ProviderUpdate{Secrets: map[string]*string{"bindPassword": nil}}, nil); code != http.StatusUnprocessableEntity {
		t.Errorf("a required secret was forgotten: %d", code)
	}
	var found api.ProviderTest
	if code := b.call("POST", "/providers/"+p.ID+"/test", nil, &found); code != http.StatusOK || found.OK || len(found.Findings) != 1 {
		t.Errorf("%d %+v", code, found)
	}
	if code := b.call("POST", "/providers/"+p.ID+"/sync", api.ProviderSyncRequest{Accept: true}, nil); code != http.StatusAccepted {
		t.Errorf("sync: %d", code)
	}
	if code := b.call("GET", "/providers/"+p.ID+"/groups?q="+url.QueryEscape("*)(x=*"), nil, nil); code != http.StatusServiceUnavailable {
		t.Errorf("groups of a directory that does not answer: %d", code)
	}
	var all api.Page[api.Provider]
	if code := b.call("GET", "/providers", nil, &all); code != http.StatusOK || len(all.Items) != 1 || all.Items[0].Test == nil {
		t.Errorf("%d %+v", code, all)
	}
	if code := b.call("DELETE", "/providers/"+p.ID, nil, nil); code != http.StatusNoContent {
		t.Errorf("delete: %d", code)
	}
}

func TestDeletionSaysWhatGoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p api.Provider
	n := api.NewProvider{Kind: "ldap", Name: "Consultants", Settings: map[string]string{"servers": "127.0.0.1:1", "base": "dc=x", "bindUser": "cn=reader,dc=x"},
		Secrets: map[string]string{"bindPassword": "s3cret"}}
	if code := b.call("POST", "/providers", n, &p); code != http.StatusCreated {
		t.Fatalf("create: %d", code)
	}
	page := "/providers/" + p.ID
	want(t, b.get(page), http.StatusOK, "0 linked accounts")
	u := person.User{ID: "user-geoff", Username: "geoff", DisplayName: "Geoff", Revision: 1, Created: time.Now(), Updated: time.Now()}
	i := person.Identity{ID: "identity-1", User: u.ID, Provider: odcm.ProviderID(p.ID), Subject: "1", Username: "geoff@consult.example", Linked: time.Now()}
	if err := b.people.CreateLinked(t.Context(), u, "geoff", i); err != nil {
		t.Fatal(err)
	}
	want(t, b.get(page), http.StatusOK, "1 linked account by which people sign in and 0 groups", "1 person would have no way left to sign in: geoff.", "Delete all the same")
	var l api.ProviderLeaving
	if code := b.call("GET", page+"/leaving", nil, &l); code != http.StatusOK || l.Accounts != 1 || len(l.Stranded) != 1 || l.Stranded[0] != "geoff" {
		t.Errorf("leaving: %d %+v", code, l)
	}
	want(t, b.post(page+"/delete", nil), http.StatusConflict, "geoff")
	var refused struct{ Code, Detail string }
	if code := b.call("DELETE", page, nil, &refused); code != http.StatusConflict || refused.Code != "provider.last-way-in" || !strings.Contains(refused.Detail, "geoff") {
		t.Errorf("unconfirmed: %d %+v", code, refused)
	}
	for _, role := range []odcm.Role{odcm.Auditor, odcm.SpaceAdministrator, odcm.Member} {
		b.role = role
		if code := b.call("GET", page+"/leaving", nil, nil); code != http.StatusForbidden {
			t.Errorf("%s is told what would go: %d", role, code)
		}
	}
	b.role = odcm.Administrator
	if code := b.call("DELETE", page+"?confirmed=true", nil, nil); code != http.StatusNoContent {
		t.Errorf("confirmed: %d", code)
	}
	want(t, b.get(page), http.StatusNotFound)
	if _, _, err := b.people.IdentityBySubject(t.Context(), odcm.ProviderID(p.ID), "1"); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("the account is still linked: %v", err)
	}
}
