package grouphttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/grouphttp"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
)

// world is a site with nothing but this room's groups on it; whoever asks is who.
type world struct {
	t      testing.TB
	site   *web.Site
	groups *group.Service
	people *identity.Service
	who    odcm.Principal
	ids    map[string]odcm.UserID
}

var (
	admin   = odcm.Principal{User: "user-admin", Name: "admin", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}
	auditor = odcm.Principal{User: "user-auditor", Name: "auditor", Roles: []odcm.Role{odcm.Auditor}, Via: "session"}
	member  = odcm.Principal{User: "user-member", Name: "member", Roles: []odcm.Role{odcm.Member}, Via: "session"}
)

func (w *world) Authenticate(*http.Request) (odcm.Principal, error) { return w.who, nil }

func (w *world) Sources(context.Context) ([]group.Source, error) {
	return []group.Source{{ID: "provider-a", Name: "Contoso", Picks: true, Synced: time.Now().Add(-200 * time.Minute), Error: "The directory did not answer within 10 seconds."}}, nil
}

func (w *world) FindGroups(context.Context, odcm.ProviderID, string, int) ([]person.ExternalGroup, error) {
	return []person.ExternalGroup{{ID: "guid-7", Name: "Developers of Contoso"}}, nil
}

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
	log, err := eventlog.New(ctx, d, bus)
	fail(err)
	users, err := identitysql.New(ctx, d, log)
	fail(err)
	store, err := groupsql.New(ctx, d, log)
	fail(err)
	w := &world{t: t, who: admin, ids: map[string]odcm.UserID{}}
	auth := role.NewAuthorizer()
	w.groups = group.New(group.Options{Store: store, Log: log, Bus: bus, Authorizer: auth, Pickers: w, Logger: quiet})
	w.people = identity.New(identity.Options{Store: users, Bus: bus, Authorizer: auth, Groups: w.groups, Logger: quiet})
	w.site = web.New(web.Options{Authenticator: w, Logger: quiet, DB: d, Bus: bus})
	grouphttp.Register(grouphttp.Options{Site: w.site, Groups: w.groups})
	fail(w.site.Start(ctx))
	t.Cleanup(func() { _ = w.site.Stop(context.Background()) })
	return w
}

func (w *world) user(name, shown string) odcm.UserID {
	w.t.Helper()
	u, err := w.people.Create(w.t.Context(), odcm.System, identity.NewUser{Username: name, DisplayName: shown})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ids[name] = u.ID
	return u.ID
}

func (w *world) send(method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	kind := "application/x-www-form-urlencoded"
	if strings.HasPrefix(body, "{") {
		kind = "application/json"
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.site.ServeHTTP(rec, r)
	return rec
}

// call sends a REST request and decodes the answer.
func call[T any](w *world, status int, method, path, body string, header ...string) (out T, tag string) {
	w.t.Helper()
	rec := w.send(method, "/api/v1"+path, body, header...)
	if rec.Code != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, rec.Code, rec.Body, status)
	}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out, rec.Header().Get("ETag")
}

func TestRESTLifeOfAGroup(t *testing.T) {
	t.Parallel()
	w := open(t)
	bob := w.user("bob", "Bob")
	g, tag := call[api.Group](w, 201, "POST", "/groups", `{"name":"Developers","description":"They develop"}`)
	if g.Name != "Developers" || tag != `"1"` || g.External != nil {
		t.Errorf("made %+v, %s", g, tag)
	}
	call[api.Group](w, 201, "POST", "/groups", `{"name":"Core"}`)
	call[api.Problem](w, 409, "POST", "/groups", `{"name":"core"}`)
	g, tag = call[api.Group](w, 200, "PATCH", "/groups/developers/members", `{"add":["bob","Core"]}`, "If-Match", tag)
	if tag != `"2"` {
		t.Errorf("after an edit: %s", tag)
	}
	call[api.Problem](w, 412, "PATCH", "/groups/developers/members", `{"remove":["bob"]}`, "If-Match", `"1"`)
	call[api.Problem](w, 404, "PATCH", "/groups/developers/members", `{"add":["nobody"]}`)
	if p, _ := call[api.Problem](w, 409, "PATCH", "/groups/Core/members", `{"add":["Developers"]}`, "If-Match", `"1"`); p.Code != "group.cycle" {
		t.Errorf("a cycle: %+v", p)
	}
	call[api.Group](w, 200, "PATCH", "/groups/Core/members", `{"add":["`+string(bob)+`"]}`)
	members, _ := call[api.Page[api.GroupMember]](w, 200, "GET", "/groups/"+g.ID+"/members?limit=1", "")
	if len(members.Items) != 1 || members.Items[0].Name != "Core" || members.Next == "" {
		t.Errorf("members %+v", members)
	}
	members, _ = call[api.Page[api.GroupMember]](w, 200, "GET", "/groups/"+g.ID+"/members?cursor="+members.Next, "")
	if len(members.Items) != 1 || members.Items[0].Detail != "bob" || members.Next != "" {
		t.Errorf("second page %+v", members)
	}
	all, _ := call[api.Page[api.GroupUser]](w, 200, "GET", "/groups/"+g.ID+"/users", "")
	if len(all.Items) != 1 || all.Items[0].Username != "bob" || len(all.Items[0].Path) != 1 {
		t.Errorf("users %+v", all)
	}
	of, _ := call[api.Page[api.UserGroup]](w, 200, "GET", "/users/"+string(bob)+"/groups", "")
	if len(of.Items) != 2 || of.Items[0].Name != "Core" {
		t.Errorf("groups of bob %+v", of)
	}
	list, _ := call[api.Page[api.Group]](w, 200, "GET", "/groups?q=dev&kind=own", "")
	if len(list.Items) != 1 || *list.Items[0].Counts != (api.GroupCounts{Users: 1, Groups: 1}) {
		t.Errorf("list %+v", list)
	}
	g, _ = call[api.Group](w, 200, "PATCH", "/groups/"+g.ID, `{"name":"Makers"}`, "If-Match", tag)
	if g.Name != "Makers" || g.Description != "They develop" {
		t.Errorf("renamed %+v", g)
	}
	call[api.Problem](w, 409, "DELETE", "/groups/Core", "")
	call[struct{}](w, 204, "DELETE", "/groups/Core?force=true", "")
	call[api.Problem](w, 404, "GET", "/groups/Core", "")
	call[api.Problem](w, 422, "GET", "/groups?cursor=!", "")
}

func TestRolesOfRESTAndPages(t *testing.T) {
	t.Parallel()
	w := open(t)
	g, _ := call[api.Group](w, 201, "POST", "/groups", `{"name":"Developers"}`)
	for _, c := range []struct {
		method, path, body string
		admin, audit, none int
	}{
		{"GET", "/api/v1/groups", "", 200, 200, 403},
		{"GET", "/api/v1/groups/Developers", "", 200, 200, 403},
		{"GET", "/api/v1/groups/Nothing", "", 404, 404, 403},
		{"GET", "/api/v1/groups/Developers/members", "", 200, 200, 403},
		{"GET", "/api/v1/groups/Developers/users", "", 200, 200, 403},
		{"GET", "/api/v1/users/user-x/groups", "", 200, 200, 403},
		{"POST", "/api/v1/groups", `{"name":"developers"}`, 409, 403, 403},
		{"PATCH", "/api/v1/groups/Developers", `{"name":"Developers"}`, 200, 403, 403},
		{"PATCH", "/api/v1/groups/Developers/members", `{}`, 200, 403, 403},
		{"DELETE", "/api/v1/groups/Developers", "", 412, 403, 403},
		{"GET", "/groups", "", 200, 200, 403},
		{"GET", "/groups/new", "", 200, 403, 403},
		{"POST", "/groups", "name=developers", 409, 403, 403},
		{"GET", "/groups/" + g.ID, "", 200, 200, 403},
		{"GET", "/groups/" + g.ID + "/everyone", "", 200, 200, 403},
		{"GET", "/groups/" + g.ID + "/nesting", "", 200, 200, 403},
		{"GET", "/groups/" + g.ID + "/add?q=x", "", 200, 403, 403},
		{"POST", "/groups/" + g.ID, "revision=9&name=x", 409, 403, 403},
		{"POST", "/groups/" + g.ID + "/members", "add=nobody", 404, 403, 403},
		{"POST", "/groups/group-none/delete", "", 404, 403, 403},
	} {
		for p, want := range map[*odcm.Principal]int{&admin: c.admin, &auditor: c.audit, &member: c.none} {
			w.who = *p
			match := ""
			if c.method == http.MethodDelete {
				match = `"99"` // so that it stays for the next
			}
			if rec := w.send(c.method, c.path, c.body, "If-Match", match); rec.Code != want {
				t.Errorf("%s %s as %s: %d, want %d", c.method, c.path, p.Name, rec.Code, want)
			}
		}
	}
}

func TestPagesShowAndChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.user("bob", "Bob <b>Builder</b>")
	shows := func(path string, texts ...string) {
		t.Helper()
		rec := w.send("GET", path, "")
		if rec.Code != 200 {
			t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		for _, text := range texts {
			if !strings.Contains(rec.Body.String(), text) {
				t.Errorf("%s does not show %q", path, text)
			}
		}
	}
	shows("/groups", "No groups yet", "Contoso could not be read", "3 hours old")
	rec := w.send("POST", "/groups", url.Values{"name": {"Developers"}, "description": {"They develop"}}.Encode())
	at := strings.TrimSuffix(rec.Header().Get("Location"), "/add")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(at, "/groups/group-") {
		t.Fatalf("%d, %s", rec.Code, rec.Header())
	}
	if rec := w.send("POST", "/groups", "name=developers"); rec.Code != 409 || !strings.Contains(rec.Body.String(), "There is a group developers already") {
		t.Errorf("the form again: %d", rec.Code)
	}
	shows(at, "Nobody is in it", "They develop")
	shows(at+"/add?q=dev", "Developers of Contoso", "external:provider-a:guid-7")
	shows(at+"/add?q=bob", "Bob &lt;b&gt;Builder")
	rec = w.send("POST", at+"/members", url.Values{"add": {string(w.ids["bob"]), "external:provider-a:guid-7:Developers+of+Contoso"}}.Encode())
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	shows(at, "Bob &lt;b&gt;Builder", "Developers of Contoso", "Group of a provider", "Remove")
	shows(at+"/everyone", "Bob &lt;b&gt;Builder", "directly", "1 user")
	shows(at+"/nesting", "Developers of Contoso", "It is in no other group")
	shows("/groups?provider=provider-a", "Developers of Contoso", "Contoso")
	shows("/groups?q=nothing", "No group is like that")
	if rec := w.send("POST", at+"/members", "remove="+string(w.ids["bob"])); rec.Code != http.StatusSeeOther {
		t.Errorf("%d", rec.Code)
	}
	shows(at+"/everyone", "Nobody is in it")
	if rec := w.send("POST", at, "name=Makers&description=&revision=1"); rec.Code != 409 {
		t.Errorf("a stale edit: %d", rec.Code)
	}
	if rec := w.send("POST", at+"/delete", ""); rec.Code != http.StatusSeeOther {
		t.Errorf("%d", rec.Code)
	}
	if rec := w.send("GET", at, ""); rec.Code != 404 {
		t.Errorf("%d", rec.Code)
	}
	for i := range 60 {
		if _, err := w.groups.Create(t.Context(), admin, group.NewGroup{Name: fmt.Sprintf("Group %02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	shows("/groups", "Group 48", "cursor=")
}
