package userhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	"odcm/manager/identity/identityhttp"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
	"odcm/manager/identity/userhttp"
)

// bundle is a site with users on it.
type bundle struct {
	t      *testing.T
	site   *web.Site
	people *identity.Service
	groups *group.Service
	keys   map[odcm.Role]string
	ids    map[odcm.Role]odcm.UserID
}

// joiner puts into real groups, as the manager does.
type joiner struct{ groups *group.Service }

func (j joiner) Join(ctx context.Context, by odcm.Principal, user odcm.UserID, groups []odcm.GroupID) error {
	for _, id := range groups {
		if _, err := j.groups.Edit(ctx, by, id, group.Edit{AddUsers: []odcm.UserID{user}}); err != nil {
			return err
		}
	}
	return nil
}

// providers have one name.
type providers struct{}

func (providers) Enabled(context.Context) ([]provider.Provider, error) {
	return []provider.Provider{{ID: "provider-ad", Name: "Corporate directory"}}, nil
}

func setup(t *testing.T) *bundle {
	t.Helper()
	ctx := t.Context()
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
	store, err := identitysql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	quiet, auth := slog.New(slog.DiscardHandler), role.NewAuthorizer()
	b := &bundle{t: t, keys: map[odcm.Role]string{}, ids: map[odcm.Role]odcm.UserID{}}
	members, err := groupsql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	b.groups = group.New(group.Options{Store: members, Log: log, Bus: bus, Authorizer: auth, Logger: quiet})
	b.people = identity.New(identity.Options{Store: store, Bus: bus, Authorizer: auth, Logger: quiet})
	authenticator := &identityhttp.Authenticator{Service: b.people}
	b.site = web.New(web.Options{Authenticator: authenticator, Logger: quiet})
	letters := letter.New(letter.Options{People: b.people, Store: store.Letters(nil), Authorizer: auth, Groups: joiner{b.groups}, PublicURL: func() string { return "https://odcm.example.com" }, Logger: quiet})
	merges := merge.New(merge.Options{People: b.people, Store: store, Authorizer: auth, Bus: bus})
	userhttp.Register(userhttp.Options{Site: b.site, People: b.people, Letters: letters, Merges: merges, Authorizer: auth, Providers: providers{}, Groups: b.groups})
	for _, role := range person.Roles() {
		u, err := b.people.Create(ctx, odcm.System, identity.NewUser{Username: string(role), Roles: []odcm.Role{role}, Email: string(role) + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		b.ids[role] = u.ID
		b.keys[role], _, err = b.people.CreateKey(ctx, odcm.Principal{User: u.ID, Roles: u.Roles}, session.NewKey{Purpose: "test"})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (b *bundle) ask(role odcm.Role, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Authorization", "Bearer "+b.keys[role])
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	return w
}

func (b *bundle) page(path string) string {
	b.t.Helper()
	w := b.ask(odcm.Administrator, "GET", path, nil)
	if w.Code != http.StatusOK {
		b.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

func (b *bundle) post(path string, form url.Values) {
	b.t.Helper()
	if w := b.ask(odcm.Administrator, "POST", path, form); w.Code != http.StatusSeeOther {
		b.t.Fatalf("%s %v: %d %s", path, form, w.Code, w.Body)
	}
}

func (b *bundle) call(role odcm.Role, method, path string, in, out any) *httptest.ResponseRecorder {
	b.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			b.t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, "/api/v1"+path, &body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.keys[role])
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	return w
}

// somebody is a user to act on.
func (b *bundle) somebody() api.User {
	b.t.Helper()
	var i api.Invited
	if w := b.call(odcm.Administrator, "POST", "/invitations", api.Invitation{Email: "geoff@consult.example", DisplayName: "Geoff <Outsider>"}, &i); w.Code != http.StatusCreated {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return i.User
}

// TestWhoMay walks every page, form and operation with every role.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.somebody()
	page := "/people/" + u.ID
	const (
		administrators = "administrator"
		auditors       = "administrator auditor"
	)
	for _, c := range []struct{ method, path, may string }{
		{"GET", "/people", auditors}, {"GET", "/people/alike", auditors}, {"GET", "/people/mail", auditors}, {"GET", page, auditors},
		{"GET", "/people/new", administrators}, {"GET", "/people/invite", administrators},
		{"POST", "/people/new", administrators}, {"POST", "/people/invite", administrators}, {"POST", "/people/alike", administrators},
		{"POST", "/people/mail/test", administrators}, {"POST", "/people/guest", administrators}, {"POST", page, administrators},
		{"POST", page + "/state", administrators}, {"POST", page + "/delete", administrators}, {"POST", page + "/invitation", administrators},
		{"POST", page + "/password", administrators}, {"POST", page + "/emails", administrators}, {"POST", page + "/sessions/end", administrators},
		{"POST", page + "/identities/identity-1", administrators},
		{"GET", "/api/v1/users", auditors}, {"GET", "/api/v1/users/geoff@consult.example", auditors}, {"GET", "/api/v1/users/" + u.ID, auditors},
		{"GET", "/api/v1/users/" + u.ID + "/sessions", auditors}, {"GET", "/api/v1/merge-proposals", auditors}, {"GET", "/api/v1/guest", auditors},
		{"DELETE", "/api/v1/users/" + u.ID + "/sessions", administrators}, {"DELETE", "/api/v1/users/" + u.ID, administrators},
		{"POST", "/api/v1/users/" + u.ID + "/invitation", administrators}, {"POST", "/api/v1/users/" + u.ID + "/password-link", administrators},
		{"DELETE", "/api/v1/users/" + u.ID + "/identities/x", administrators}, {"DELETE", "/api/v1/users/" + u.ID + "/emails/a@b.example", administrators},
	} {
		for _, role := range person.Roles() {
			form := url.Values{"revision": {"1"}, "do": {"merge"}, "keep": {"user-a"}, "gone": {"user-b"}, "email": {"x"}}
			if strings.HasSuffix(c.path, "/emails") {
				form.Set("do", "verify")
			}
			w := b.ask(role, c.method, c.path, form)
			may := strings.Contains(" "+c.may+" ", " "+string(role)+" ")
			if (w.Code == http.StatusForbidden) == may {
				t.Errorf("%s %s as %s: %d, may %v", c.method, c.path, role, w.Code, may)
			}
			if may && w.Code >= 500 && !strings.Contains(c.path, "mail/test") {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, role, w.Code, w.Body)
			}
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/people/new", "/people/invite", "/people/alike", "/people/mail/test", "/people/guest", "/people/x", "/people/x/state", "/people/x/delete",
		"/people/x/invitation", "/people/x/password", "/people/x/emails", "/people/x/sessions/end", "/people/x/identities/y"} {
		r := httptest.NewRequest("POST", path, strings.NewReader("a=b"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.AddCookie(&http.Cookie{Name: "odcm-session", Value: strings.Repeat("x", 43)})
		w := httptest.NewRecorder()
		b.site.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestAUsersLifeOnThePages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.ask(odcm.Administrator, "POST", "/people/invite", url.Values{"email": {"geoff@consult.example"}, "displayName": {"Geoff <Outsider>"}, "roles": {"member"}})
	link := regexp.MustCompile(`https://odcm\.example\.com/invitation\?link=[A-Za-z0-9_-]{43}`).FindString(w.Body.String())
	if w.Code != http.StatusOK || link == "" || !strings.Contains(w.Body.String(), "Geoff &lt;Outsider&gt;") || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	who, err := b.people.FindPerson(t.Context(), "geoff@consult.example")
	if err != nil {
		t.Fatal(err)
	}
	at := "/people/" + string(who.ID)
	if page := b.page("/people"); !strings.Contains(page, "Geoff &lt;Outsider&gt;") || !strings.Contains(page, "Not yet") || !strings.Contains(page, "Corporate directory") {
		t.Errorf("list: %s", page)
	}
	if page := b.page("/people?q=nobody+like+that"); !strings.Contains(page, "Nobody like that") {
		t.Errorf("empty list: %s", page)
	}
	if page := b.page(at); !strings.Contains(page, "Has not come yet") || strings.Contains(page, "link=") {
		t.Errorf("page: %s", page)
	}
	revision := func() string {
		t.Helper()
		u, err := b.people.Get(t.Context(), odcm.System, who.ID)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(u.Revision)
	}
	b.post(at, url.Values{"revision": {revision()}, "username": {"geoff"}, "displayName": {"Geoff"}, "roles": {"auditor", "member"}})
	b.post(at+"/emails", url.Values{"do": {"verify"}, "email": {"geoff@consult.example"}})
	if u, _ := b.people.Person(t.Context(), odcm.System, who.ID); u.Username != "geoff" || len(u.Roles) != 2 || u.Email().Verified.IsZero() {
		t.Errorf("%+v", u)
	}
	if w := b.ask(odcm.Administrator, "POST", at+"/delete", url.Values{"revision": {revision()}}); w.Code != http.StatusConflict {
		t.Errorf("deleting an active user: %d", w.Code)
	}
	b.post(at+"/state", url.Values{"revision": {revision()}, "disabled": {"true"}})
	if page := b.page(at); !strings.Contains(page, "Deactivated") {
		t.Errorf("deactivated: %s", page)
	}
	b.post(at+"/delete", url.Values{"revision": {revision()}})
	if page := b.page(at); !strings.Contains(page, "stays in the audit") {
		t.Errorf("deleted: %s", page)
	}
	if page := b.page("/people?state=deleted"); !strings.Contains(page, "Geoff") {
		t.Errorf("deleted ones: %s", page)
	}
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 7 {
		if _, err := b.people.Create(t.Context(), odcm.System, identity.NewUser{Username: fmt.Sprintf("bob%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for cursor := ""; ; {
		var page api.Page[api.User]
		b.call(odcm.Auditor, "GET", "/users?q=bob&limit=3&cursor="+url.QueryEscape(cursor), nil, &page)
		for _, u := range page.Items {
			names = append(names, u.Username)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "bob0 bob1 bob2 bob3 bob4 bob5 bob6" {
		t.Errorf("%s", got)
	}
}

func TestTheAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.somebody()
	if w := b.call(odcm.Member, "GET", "/users/"+string(b.ids[odcm.Member]), nil, nil); w.Code != http.StatusOK {
		t.Errorf("oneself: %d %s", w.Code, w.Body)
	}
	if known, unknown := b.call(odcm.Member, "GET", "/users/geoff@consult.example", nil, nil).Code, b.call(odcm.Member, "GET", "/users/nobody@example.com", nil, nil).Code; known != unknown {
		t.Errorf("a member learns who is known: %d, %d", known, unknown)
	}
	name, off := "Geoff", true
	var changed api.User
	w := b.call(odcm.Administrator, "PATCH", "/users/geoff@consult.example", api.UserChange{DisplayName: &name, Disabled: &off}, &changed)
	if w.Code != http.StatusOK || changed.State != "disabled" || changed.DisplayName != "Geoff" || w.Header().Get("ETag") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var problem api.Problem
	roles := []string{"member"}
	if w := b.call(odcm.Administrator, "PATCH", "/users/administrator", api.UserChange{Roles: &roles}, &problem); w.Code != http.StatusConflict || problem.Code != "identity.last-administrator" {
		t.Errorf("the last administrator: %d %s", w.Code, w.Body)
	}
	if w := b.call(odcm.Administrator, "PUT", "/guest", api.Guest{On: true}, nil); w.Code != http.StatusOK {
		t.Errorf("guest: %d %s", w.Code, w.Body)
	}
	if w := b.call(odcm.Administrator, "DELETE", "/users/"+u.ID, nil, nil); w.Code != http.StatusNoContent {
		t.Errorf("delete: %d %s", w.Code, w.Body)
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for _, name := range []string{"bob", "rob"} {
		u, err := b.people.Create(t.Context(), odcm.System, identity.NewUser{Username: name, Email: "bob@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(u.ID))
	}
	if page := b.page("/people/alike"); !strings.Contains(page, "Same address, not verified") || !strings.Contains(page, "Keep this one") {
		t.Errorf("%s", page)
	}
	b.post("/people/alike", url.Values{"do": {"merge"}, "keep": {ids[0]}, "gone": {ids[1]}})
	if page := b.page("/people/" + ids[1]); !strings.Contains(page, "the same person as") {
		t.Errorf("%s", page)
	}
	if page := b.page("/people/alike"); !strings.Contains(page, "Nobody looks alike") {
		t.Errorf("%s", page)
	}
}

func TestInvitedIntoGroups(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if page := b.page("/people/invite"); strings.Contains(page, `name="groups"`) {
		t.Error("without groups the form asks for them")
	}
	var ids []odcm.GroupID
	for _, name := range []string{"Developers", "Testers <1>"} {
		g, err := b.groups.Create(t.Context(), odcm.System, group.NewGroup{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, g.ID)
	}
	if _, err := b.groups.Remember(t.Context(), "provider-ad", []person.ExternalGroup{{ID: "1", Name: "Of the directory"}}); err != nil {
		t.Fatal(err)
	}
	page := b.page("/people/invite")
	if n := strings.Count(page, `name="groups"`); n != 2 || !strings.Contains(page, "Testers &lt;1&gt;") || strings.Contains(page, "Of the directory") {
		t.Errorf("%d groups are offered: %s", n, page)
	}
	w := b.ask(odcm.Administrator, "POST", "/people/invite", url.Values{"email": {"geoff@consult.example"}, "groups": {string(ids[0]), string(ids[1])}})
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	who, err := b.people.FindPerson(t.Context(), "geoff@consult.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		all, _, err := b.groups.Members(t.Context(), odcm.System, id, group.Position{}, 10)
		if err != nil || len(all) != 1 || all[0].User == nil || all[0].User.ID != who.ID {
			t.Errorf("in %s are %+v, %v", id, all, err)
		}
	}
	// What the form does not offer is refused, and leaves nobody behind.
	w = b.ask(odcm.Administrator, "POST", "/people/invite", url.Values{"email": {"kim@consult.example"}, "groups": {"group-gone"}})
	if w.Code != http.StatusNotFound {
		t.Errorf("a group that is gone: %d %s", w.Code, w.Body)
	}
	if _, err := b.people.FindPerson(t.Context(), "kim@consult.example"); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("kim is there: %v", err)
	}
}

func TestListShowsFaces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ids[odcm.Auditor]
	p := odcm.Principal{User: id, Name: "auditor", Roles: []odcm.Role{odcm.Auditor}}
	jpeg := []byte("drawn here")
	if err := b.people.SetPicture(t.Context(), p, id, jpeg); err != nil {
		t.Fatal(err)
	}
	if _, err := b.people.Create(t.Context(), odcm.System, identity.NewUser{Username: "geoff", DisplayName: "Geoff van der Meer"}); err != nil {
		t.Fatal(err)
	}
	page := b.page("/people")
	src := regexp.MustCompile(`<img class="avatar" src="(/people/[^"]+/picture\?v=[0-9a-f]+)" alt="" width="30" height="30" loading="lazy"`).FindStringSubmatch(page)
	if src == nil || !strings.Contains(src[1], string(id)) || strings.Count(page, "<img ") != 1 {
		t.Fatalf("the one picture is %q in %s", src, page)
	}
	if !strings.Contains(page, `<span class="avatar" aria-hidden="true">GV</span>`) {
		t.Error("who has no picture has no initials")
	}
	// Another picture has another address, so that no browser shows the one of before.
	if err := b.people.SetPicture(t.Context(), p, id, []byte("drawn anew")); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.page("/people"), src[1]) {
		t.Error("the address of another picture is the same")
	}
}
