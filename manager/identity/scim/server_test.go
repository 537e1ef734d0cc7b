package scim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
	"odcm/manager/identity/scim"
	"odcm/manager/identity/scim/scimsql"
	"odcm/manager/identity/session"
)

var admin = odcm.Principal{User: "user-admin", Name: "admin", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}

// world is the whole identity room with a directory that may push.
type world struct {
	t        testing.TB
	people   *identity.Service
	groups   *group.Service
	scim     *scim.Service
	handler  http.Handler
	provider odcm.ProviderID
	token    string
	now      time.Time
}

func open(t testing.TB, d *db.DB) *world {
	t.Helper()
	ctx, quiet := t.Context(), slog.New(slog.DiscardHandler)
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	bus, err := signal.New(ctx, d)
	fail(err)
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	fail(err)
	users, err := identitysql.New(ctx, d, log)
	fail(err)
	groups, err := groupsql.New(ctx, d, log)
	fail(err)
	pushed, err := scimsql.New(ctx, d, log)
	fail(err)
	w := &world{t: t, now: time.Now()}
	auth := role.NewAuthorizer()
	w.groups = group.New(group.Options{Store: groups, Log: log, Bus: bus, Authorizer: auth, Logger: quiet})
	w.people = identity.New(identity.Options{Store: users, Bus: bus, Authorizer: auth, Groups: w.groups, Logger: quiet})
	w.scim = scim.New(scim.Options{Store: pushed, People: scim.PeopleOf(w.people), Groups: w.groups, Authorizer: auth, Logger: quiet,
		PublicURL: func() string { return "https://odcm.example.com" }, Now: func() time.Time { return w.now }})
	w.handler = w.scim.Handler()
	dir, err := w.scim.CreateDirectory(ctx, admin, scim.Directory{Name: "Contoso", Prefix: "tenant/", TrustEmail: true})
	fail(err)
	w.provider = dir.Provider
	w.token, _, err = w.scim.CreateToken(ctx, admin, dir.Provider, "provisioning", time.Time{})
	fail(err)
	return w
}

// result is an answer with its body read.
type result struct {
	status int
	header http.Header
	body   map[string]any
}

// at goes down the body: at("emails", 0, "value").
func (r result) at(path ...any) any {
	var v any = r.body
	for _, step := range path {
		switch s := step.(type) {
		case string:
			o, _ := v.(map[string]any)
			v = o[s]
		case int:
			all, _ := v.([]any)
			if s >= len(all) {
				return nil
			}
			v = all[s]
		}
	}
	return v
}

func (w *world) send(method, path, body string, header ...string) result {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "/scim/v2"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	out := result{status: rec.Code, header: rec.Header()}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out.body); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, rec.Body)
		}
	}
	return out
}

// want sends a request and checks the status.
func (w *world) want(status int, method, path, body string, header ...string) result {
	w.t.Helper()
	r := w.send(method, path, body, header...)
	if r.status != status {
		w.t.Fatalf("%s %s: %d %v, want %d", method, path, r.status, r.body, status)
	}
	return r
}

func (w *world) user(name, external string) string {
	w.t.Helper()
	r := w.want(201, "POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"externalId":%q,"active":true,"displayName":"The %s"}`, name, external, name))
	return r.at("id").(string)
}

// person is who a pushed user is here.
func (w *world) person(name string) person.Person {
	w.t.Helper()
	p, err := w.people.FindPerson(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// in tells whether the user is in the external group.
func (w *world) in(name, external string) bool {
	w.t.Helper()
	g, err := w.groups.Graph(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range g.GroupsOf(w.person(name).ID) {
		if x, err := w.groups.Get(w.t.Context(), admin, id); err == nil && x.External == (group.External{Provider: w.provider, ID: external}) {
			return true
		}
	}
	return false
}

// TestEntraID plays the requests that Entra ID's provisioning service documents: tests the connection, looks for a person,
// creates, reads, changes and disables him; groups likewise, with its capitals and its booleans in quotes.
func TestEntraID(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := open(t, d)
		none := w.want(200, "GET", `/Users?filter=userName+eq+%227f2b1a4e-0d5c-4a42-9df9-6bd7f0a0f8a1%22`, "")
		if none.at("totalResults") != 0.0 || none.at("Resources") == nil {
			t.Errorf("looking for nobody: %v", none.body)
		}
		made := w.want(201, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
			"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"kim@contoso.example","active":true,"displayName":"Kim Lee",
			"emails":[{"primary":true,"type":"work","value":"kim.lee@contoso.example"}],"name":{"formatted":"Kim Lee","familyName":"Lee","givenName":"Kim"},"roles":[]}`)
		id := made.at("id").(string)
		if made.header.Get("Location") != "https://odcm.example.com/scim/v2/Users/"+id || made.at("meta", "location") != made.header.Get("Location") || made.header.Get("ETag") != `W/"1"` {
			t.Errorf("created: %v, %v", made.header, made.at("meta"))
		}
		kim := w.person("kim@contoso.example")
		if kim.DisplayName != "Kim Lee" || len(kim.Identities) != 1 || kim.Identities[0].Subject != "tenant/0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef" || kim.Identities[0].Email != "kim.lee@contoso.example" {
			t.Errorf("became %+v", kim)
		}
		found := w.want(200, "GET", `/Users?filter=userName+eq+%22KIM@contoso.example%22`, "")
		if found.at("totalResults") != 1.0 || found.at("Resources", 0, "id") != id || found.at("Resources", 0, "name", "familyName") != "Lee" {
			t.Errorf("found %v", found.body)
		}
		w.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
			{"op":"Replace","path":"emails[type eq \"work\"].value","value":"kim2@contoso.example"},{"op":"Replace","path":"name.familyName","value":"Park"},
			{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Finance"}]}`)
		got := w.want(200, "GET", "/Users/"+id, "")
		if got.at("emails", 0, "value") != "kim2@contoso.example" || got.at("name", "familyName") != "Park" || got.at("name", "givenName") != "Kim" ||
			got.at("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "department") != "Finance" || got.header.Get("ETag") != `W/"2"` {
			t.Errorf("changed to %v", got.body)
		}

		group := w.want(201, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159","displayName":"Finance","members":[]}`)
		gid := group.at("id").(string)
		byName := w.want(200, "GET", `/Groups?excludedAttributes=members&filter=displayName+eq+%22finance%22`, "")
		if byName.at("totalResults") != 1.0 || byName.at("Resources", 0, "members") != nil {
			t.Errorf("found %v", byName.body)
		}
		w.want(200, "PATCH", "/Groups/"+gid, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"members","value":[{"$ref":null,"value":"`+id+`"}]}]}`)
		if !w.in("kim@contoso.example", "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159") {
			t.Error("the member is not in the external group")
		}
		asked := w.want(200, "GET", `/Groups?excludedAttributes=members&filter=id+eq+%22`+gid+`%22+and+members+eq+%22`+id+`%22`, "")
		if asked.at("totalResults") != 1.0 {
			t.Errorf("asked for a member: %v", asked.body)
		}
		other := w.user("lou@contoso.example", "lou")
		w.want(200, "PATCH", "/Groups/"+gid, `{"Operations":[{"op":"Add","path":"members","value":[{"value":"`+other+`"}]}]}`)
		w.want(200, "PATCH", "/Groups/"+gid, `{"Operations":[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"`+id+`"}]}]}`)
		if w.in("kim@contoso.example", "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159") || !w.in("lou@contoso.example", "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159") {
			t.Error("the wrong one was taken out")
		}

		w.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`)
		if off := w.want(200, "GET", `/Users?filter=userName+eq+%22kim@contoso.example%22`, ""); off.at("Resources", 0, "active") != false {
			t.Errorf("a disabled user reads %v", off.body)
		}
		if !w.person("kim@contoso.example").Disabled {
			t.Error("he may still sign in")
		}
		w.want(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"Replace","path":"active","value":"True"}]}`)
		if w.person("kim@contoso.example").Disabled {
			t.Error("who is active again may not sign in")
		}
		w.want(204, "DELETE", "/Groups/"+gid, "")
		w.want(404, "GET", "/Groups/"+gid, "")
		w.want(204, "DELETE", "/Users/"+id, "")
		w.want(404, "GET", "/Users/"+id, "")
		if !w.person("kim@contoso.example").Disabled {
			t.Error("a deleted person may still sign in")
		}
	})
}

// TestOkta plays the requests that Okta documents: it pages through lists, replaces people by PUT, and switches them off and
// renames groups without a path.
func TestOkta(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := open(t, d)
		if r := w.want(200, "GET", "/Users?startIndex=1&count=2", ""); r.at("itemsPerPage") != 0.0 || r.at("startIndex") != 1.0 {
			t.Errorf("an empty list: %v", r.body)
		}
		w.want(200, "GET", "/Groups?startIndex=1&count=100", "")
		w.want(200, "GET", `/Users?filter=userName%20eq%20%22ann%40okta.example%22&startIndex=1&count=100`, "")
		made := w.want(201, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ann@okta.example","name":{"givenName":"Ann","familyName":"Test"},
			"emails":[{"primary":true,"value":"ann@okta.example","type":"work"}],"displayName":"Ann Test","locale":"en-US","externalId":"00u1dhhb1fkIGP7RL1d8","groups":[],"password":"1mz050nq","active":true}`)
		id := made.at("id").(string)
		if made.at("password") != nil || made.at("locale") != "en-US" {
			t.Errorf("created %v", made.body)
		}
		w.want(200, "PUT", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"`+id+`","userName":"ann@okta.example","name":{"givenName":"Anna","middleName":"Excited","familyName":"Test"},
			"emails":[{"primary":true,"value":"ann@okta.example","type":"work","display":"ann@okta.example"}],"active":true,"groups":[],"meta":{"resourceType":"User"}}`)
		if got := w.want(200, "GET", "/Users/"+id, ""); got.at("name", "middleName") != "Excited" || got.at("displayName") != nil || got.at("externalId") != nil {
			t.Errorf("replaced by %v", got.body)
		}
		if p := w.person("ann@okta.example"); len(p.Identities) != 1 || p.Identities[0].Subject != "tenant/00u1dhhb1fkIGP7RL1d8" {
			t.Errorf("the identity must stay: %+v", p.Identities)
		}
		group := w.want(201, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Test SCIM","members":[{"value":"`+id+`","display":"ann@okta.example"}]}`)
		gid := group.at("id").(string)
		if group.at("members", 0, "value") != id || group.at("members", 0, "$ref") != "https://odcm.example.com/scim/v2/Users/"+id || !w.in("ann@okta.example", gid) {
			t.Errorf("created %v", group.body)
		}
		w.want(200, "PATCH", "/Groups/"+gid, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"id":"`+gid+`","displayName":"Renamed"}}]}`)
		if g, err := w.groups.Find(t.Context(), "renamed"); err != nil || g.External.ID != gid {
			t.Errorf("renamed: %+v, %v", g, err)
		}
		w.want(200, "PATCH", "/Groups/"+gid, `{"Operations":[{"op":"remove","path":"members[value eq \"`+id+`\"]"},{"op":"add","path":"members","value":[{"value":"`+id+`"},{"value":"scim-gone"}]}]}`)
		if g := w.want(200, "GET", "/Groups/"+gid, ""); len(g.at("members").([]any)) != 1 {
			t.Errorf("members %v", g.at("members"))
		}
		w.want(200, "PUT", "/Groups/"+gid, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"`+gid+`","displayName":"Renamed","members":[]}`)
		if w.in("ann@okta.example", gid) {
			t.Error("a member who is not in a PUT stays")
		}
		w.want(200, "PATCH", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`)
		if !w.person("ann@okta.example").Disabled {
			t.Error("he may still sign in")
		}
	})
}

func TestDeactivationEndsSessionsAtOnce(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	id := w.user("bob", "ext-bob")
	secret, _, err := w.people.SignInBy(t.Context(), person.Assertion{Provider: w.provider, Subject: "tenant/ext-bob", Method: "oidc"}, session.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.people.Authenticate(t.Context(), session.Secret{Session: secret}, ""); err != nil {
		t.Fatal(err)
	}
	w.want(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","value":{"active":false}}]}`)
	if _, err := w.people.Authenticate(t.Context(), session.Secret{Session: secret}, ""); odcm.KindOf(err) != odcm.Unauthenticated {
		t.Errorf("the session lives: %v", err)
	}
	if _, _, err := w.people.SignInBy(t.Context(), person.Assertion{Provider: w.provider, Subject: "tenant/ext-bob", Method: "oidc"}, session.Client{}); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("he signs in again: %v", err)
	}
}

func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	id := w.user("bob", "ext-bob")
	const schema = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		typ                any
	}{
		"taken name":              {"POST", "/Users", `{` + schema + `,"userName":"BOB"}`, 409, "uniqueness"},
		"taken externalId":        {"POST", "/Users", `{` + schema + `,"userName":"rob","externalId":"ext-bob"}`, 409, "uniqueness"},
		"no name":                 {"POST", "/Users", `{` + schema + `}`, 400, "invalidValue"},
		"name of spaces":          {"POST", "/Users", `{` + schema + `,"userName":"  "}`, 400, "invalidValue"},
		"name that is no text":    {"POST", "/Users", `{` + schema + `,"userName":7}`, 400, "invalidValue"},
		"active that is no truth": {"POST", "/Users", `{` + schema + `,"userName":"x","active":"maybe"}`, 400, "invalidValue"},
		"emails of numbers":       {"POST", "/Users", `{` + schema + `,"userName":"x","emails":[1]}`, 400, "invalidValue"},
		"zero byte":               {"POST", "/Users", `{` + schema + `,"userName":"x\u0000"}`, 400, "invalidValue"},
		"nested too deep":         {"POST", "/Users", `{` + schema + `,"userName":"x","a":[[[[[[[[[[[[]]]]]]]]]]]]}`, 400, "invalidValue"},
		"another schema":          {"POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"userName":"x"}`, 400, "invalidSyntax"},
		"no JSON":                 {"POST", "/Users", `{`, 400, "invalidSyntax"},
		"two bodies":              {"POST", "/Users", `{` + schema + `,"userName":"x"} {}`, 400, "invalidSyntax"},
		"null":                    {"POST", "/Users", `null`, 400, "invalidSyntax"},
		"a list":                  {"POST", "/Users", `[]`, 400, "invalidSyntax"},
		"too large":               {"POST", "/Users", `{` + schema + `,"userName":"x","a":"` + strings.Repeat("x", 70_000) + `"}`, 413, nil},
		"far too large":           {"POST", "/Users", strings.Repeat(" ", scim.MaxBody+1), 413, nil},
		"wrong filter":            {"GET", "/Users?filter=userName+is+1", "", 400, "invalidFilter"},
		"unknown user":            {"GET", "/Users/scim-none", "", 404, nil},
		"a group by a user's id":  {"GET", "/Groups/" + id, "", 404, nil},
		"no operations":           {"PATCH", "/Users/" + id, `{"Operations":[]}`, 400, "invalidSyntax"},
		"fixed attribute":         {"PATCH", "/Users/" + id, `{"Operations":[{"op":"replace","path":"id","value":"x"}]}`, 400, "mutability"},
		"name is taken away":      {"PATCH", "/Users/" + id, `{"Operations":[{"op":"remove","path":"userName"}]}`, 400, "invalidValue"},
		"member without a value":  {"POST", "/Groups", `{"displayName":"g","members":[{"display":"x"}]}`, 400, "invalidValue"},
		"bulk":                    {"POST", "/Bulk", `{}`, 501, nil},
		"me":                      {"GET", "/Me", ``, 501, nil},
		"unknown address":         {"GET", "/Nothing", "", 404, nil},
		"method":                  {"PUT", "/Users", "{}", 404, nil},
	} {
		r := w.send(c.method, c.path, c.body)
		if r.status != c.status || r.at("scimType") != c.typ || r.at("status") != fmt.Sprint(c.status) || r.at("schemas", 0) != "urn:ietf:params:scim:api:messages:2.0:Error" {
			t.Errorf("%s: %d %v", name, r.status, r.body)
		}
	}
	if got := w.want(200, "GET", "/Users", ""); got.at("totalResults") != 1.0 {
		t.Errorf("something of a refused request was kept: %v", got.body)
	}
	if all, err := w.people.List(t.Context(), admin, person.Filter{}, "", 10); err != nil || len(all) != 1 {
		t.Errorf("a refused request made somebody: %d, %v", len(all), err)
	}
}

func TestTokensLetInUntilTheyEnd(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	good := w.token
	other, err := w.scim.CreateDirectory(t.Context(), admin, scim.Directory{Name: "Fabrikam"})
	if err != nil {
		t.Fatal(err)
	}
	theirs, _, err := w.scim.CreateToken(t.Context(), admin, other.Provider, "x", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	id := w.user("bob", "1")
	for name, token := range map[string]string{"none": "", "nonsense": "x", "almost": good[:len(good)-1] + "?", "an API key": "odcm_abc", "huge": scim.TokenPrefix + strings.Repeat("x", 1e5)} {
		w.token = token
		if r := w.send("GET", "/Users", ""); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	w.token = theirs
	w.want(404, "GET", "/Users/"+id, "") // a directory sees its own
	w.want(404, "DELETE", "/Users/"+id, "")
	if r := w.want(200, "GET", `/Users?filter=id+eq+%22`+id+`%22`, ""); r.at("totalResults") != 0.0 {
		t.Errorf("another directory's user: %v", r.body)
	}
	expiring, made, err := w.scim.CreateToken(t.Context(), admin, w.provider, "for an hour", w.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.token = expiring
	w.want(200, "GET", "/Users", "")
	w.now = w.now.Add(2 * time.Hour)
	w.want(401, "GET", "/Users", "")
	w.token = good
	_, tokens, n, err := w.scim.Directory(t.Context(), admin, w.provider)
	if err != nil || len(tokens) != 2 || n.Users != 1 || tokens[0].ID != made.ID || tokens[0].Used.IsZero() {
		t.Fatalf("%+v, %+v, %v", tokens, n, err)
	}
	if err := w.scim.RevokeToken(t.Context(), admin, w.provider, tokens[1].ID); err != nil {
		t.Fatal(err)
	}
	w.want(401, "GET", "/Users", "")
	member := odcm.Principal{User: "user-m", Roles: []odcm.Role{odcm.Member}}
	if _, _, err := w.scim.CreateToken(t.Context(), member, w.provider, "x", time.Time{}); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("a member made a token: %v", err)
	}
	if err := w.scim.DeleteDirectory(t.Context(), admin, other.Provider); err != nil {
		t.Fatal(err)
	}
	w.token = theirs
	w.want(401, "GET", "/Users", "")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	id := w.user("bob", "1")
	path := "/Users/" + id
	w.want(304, "GET", path, "", "If-None-Match", `W/"1"`)
	w.want(200, "GET", path, "", "If-None-Match", `W/"2"`)
	patch := `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`
	w.want(412, "PATCH", path, patch, "If-Match", `W/"7"`)
	w.want(200, "PATCH", path, patch, "If-Match", `W/"1"`)
	w.want(412, "DELETE", path, "", "If-Match", `W/"1"`)
	w.want(204, "DELETE", path, "", "If-Match", `*`)
}

// TestChangesAtOnceAllCount adds members from many requests at once: each is tried again until it is there.
func TestChangesAtOnceAllCount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := open(t, d)
		var ids []string
		for i := range 4 {
			ids = append(ids, w.user(fmt.Sprint("u", i), fmt.Sprint(i)))
		}
		gid := w.want(201, "POST", "/Groups", `{"displayName":"g","externalId":"g"}`).at("id").(string)
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				for { // as clients do when they are told to try again
					if r := w.send("PATCH", "/Groups/"+gid, `{"Operations":[{"op":"add","path":"members","value":[{"value":"`+id+`"}]}]}`); r.status != 409 {
						if r.status != 200 {
							t.Errorf("%d %v", r.status, r.body)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		if g := w.want(200, "GET", "/Groups/"+gid, ""); len(g.at("members").([]any)) != len(ids) {
			t.Errorf("members %v", g.at("members"))
		}
		for i := range ids {
			if !w.in(fmt.Sprint("u", i), "g") {
				t.Errorf("u%d is not in the group", i)
			}
		}
	})
}

func TestListsArePagedAndFiltered(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	for i := range 5 {
		w.user(fmt.Sprintf("user%d", i), fmt.Sprint(i))
	}
	if r := w.want(200, "GET", "/Users?startIndex=4&count=10&attributes=userName", ""); r.at("totalResults") != 5.0 || len(r.at("Resources").([]any)) != 2 ||
		r.at("Resources", 0, "userName") != "user3" || r.at("Resources", 0, "displayName") != nil || r.at("Resources", 0, "id") == nil {
		t.Errorf("%v", r.body)
	}
	if r := w.want(200, "GET", `/Users?filter=userName+sw+%22USER%22+and+not+(externalId+eq+%221%22)&startIndex=2&count=2`, ""); r.at("totalResults") != 4.0 || r.at("Resources", 0, "userName") != "user2" {
		t.Errorf("%v", r.body)
	}
	if r := w.want(200, "GET", "/Users?count=0", ""); r.at("totalResults") != 5.0 || len(r.at("Resources").([]any)) != 0 {
		t.Errorf("%v", r.body)
	}
	if r := w.want(200, "GET", "/Users?startIndex=-3&count=-1", ""); r.at("startIndex") != 1.0 || len(r.at("Resources").([]any)) != 0 {
		t.Errorf("%v", r.body)
	}
	if r := w.want(200, "GET", `/Users?filter=displayName+eq+%22the+user2%22`, ""); r.at("totalResults") != 1.0 {
		t.Errorf("%v", r.body)
	}
}

func TestItSaysWhatItCanDo(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	if r := w.want(200, "GET", "/ServiceProviderConfig", ""); r.at("patch", "supported") != true || r.at("bulk", "supported") != false {
		t.Errorf("%v", r.body)
	}
	if r := w.want(200, "GET", "/ResourceTypes", ""); r.at("totalResults") != 2.0 || r.at("Resources", 0, "endpoint") != "/Users" {
		t.Errorf("%v", r.body)
	}
	w.want(200, "GET", "/ResourceTypes/Group", "")
	if r := w.want(200, "GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", ""); r.at("attributes") == nil {
		t.Errorf("%v", r.body)
	}
	w.want(404, "GET", "/Schemas/urn:x", "")
}

func TestAPersonWhoIsHereAlreadyIsLinked(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	known, err := w.people.Admit(t.Context(), person.Assertion{Provider: "provider-other", Subject: "1", Username: "carl", Email: "carl@example.com", EmailVerified: true, TrustEmail: true, Method: "oidc"})
	if err != nil {
		t.Fatal(err)
	}
	w.want(201, "POST", "/Users", `{"userName":"carl.c","externalId":"7","emails":[{"value":"carl@example.com"}]}`)
	owner, err := w.people.Owner(t.Context(), w.provider, "tenant/7")
	if err != nil || owner != known {
		t.Errorf("linked to %s, %v; want %s", owner, err, known)
	}
}

func TestAPersonWhoBecameAnotherStaysPushed(t *testing.T) {
	t.Parallel()
	w := open(t, dbtest.Open(t, dbtest.SQLite(t)))
	id := w.user("bob", "1")
	robert, err := w.people.Create(t.Context(), odcm.System, identity.NewUser{Username: "robert"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.scim.Move(t.Context(), w.person("bob").ID, robert.ID); err != nil {
		t.Fatal(err)
	}
	w.want(201, "POST", "/Groups", `{"displayName":"g","externalId":"g","members":[{"value":"`+id+`"}]}`)
	if !w.in("robert", "g") || w.in("bob", "g") {
		t.Error("the group went to who is no more")
	}
}

// FuzzBody sends anything: the server must answer in SCIM's form, and never with an error of its own.
func FuzzBody(f *testing.F) {
	f.Add("POST", "/Users", `{"userName":"x","emails":[{"value":"a@b"}],"name":{"givenName":"g"}}`)
	f.Add("PATCH", "/Users/ID", `{"Operations":[{"op":"Add","path":"emails[type eq \"work\"].value","value":"x"}]}`)
	f.Add("PUT", "/Groups/ID", `{"displayName":"x","members":[{"value":"y"}]}`)
	f.Add("POST", "/Groups", `{"displayName":"\u0000","members":{"value":["x"]}}`)
	f.Add("GET", "/Users", `userName eq "x" and (active pr)`)
	w := open(f, dbtest.Open(f, dbtest.SQLite(f)))
	user := w.user("bob", "1")
	g := w.want(201, "POST", "/Groups", `{"displayName":"g"}`).at("id").(string)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		target := map[string]string{"/Users": "/scim/v2/Users", "/Groups": "/scim/v2/Groups", "/Users/ID": "/scim/v2/Users/" + user, "/Groups/ID": "/scim/v2/Groups/" + g}[path]
		if target == "" || method != "GET" && method != "POST" && method != "PUT" && method != "PATCH" {
			return
		}
		r := httptest.NewRequestWithContext(context.Background(), method, target, bytes.NewReader([]byte(body)))
		if method == "GET" {
			q := r.URL.Query()
			q.Set("filter", body)
			r.URL.RawQuery = q.Encode()
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		var answer map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer["schemas"] == nil || rec.Code >= 500 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}
