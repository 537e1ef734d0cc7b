package identityhttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
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
	"odcm/manager/identity/identityhttp"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

const password = "correct horse"

// bundle is a site with nothing but this room on it, and a browser that keeps cookies.
type bundle struct {
	t       *testing.T
	site    *web.Site
	service *identity.Service
	auth    *identityhttp.Authenticator
	bob     odcm.Principal
	cookies map[string]string
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
	store, err := identitysql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := identity.New(identity.Options{Store: store, Bus: bus, Authorizer: role.NewAuthorizer(), Logger: quiet})
	auth := &identityhttp.Authenticator{Service: s, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	site := web.New(web.Options{Authenticator: auth, Logger: quiet})
	site.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, "home of "+web.Principal(r.Context()).Name)
		return err
	})
	identityhttp.Register(identityhttp.Options{Site: site, Authenticator: auth})
	u, err := s.Create(ctx, odcm.System, identity.NewUser{Username: "bob", DisplayName: "Bob Specialist", Password: password, Roles: []odcm.Role{odcm.Member}})
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{t: t, site: site, service: s, auth: auth, cookies: map[string]string{},
		bob: odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: "session"}}
}

func (b *bundle) send(r *http.Request) *httptest.ResponseRecorder {
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

func (b *bundle) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "text/html")
	return b.send(r)
}

func (b *bundle) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

func (b *bundle) signIn() {
	b.t.Helper()
	if w := b.post("/sign-in", credentials(password, "/")); w.Code != http.StatusSeeOther {
		b.t.Fatalf("sign-in: %d %s", w.Code, w.Body)
	}
}

func credentials(password, target string) url.Values {
	return url.Values{"username": {"bob"}, "password": {password}, "return": {target}}
}

func (b *bundle) call(method, path, key string, body, into any) *httptest.ResponseRecorder {
	b.t.Helper()
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			b.t.Fatal(err)
		}
	}
	r := httptest.NewRequest(method, "/api/v1"+path, &in)
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	b.site.ServeHTTP(w, r)
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			b.t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w
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

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.get("/settings?tab=1")
	want(t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != "/sign-in?return=%2Fsettings%3Ftab%3D1" {
		t.Errorf("sent to %q", got)
	}
	want(t, b.get(w.Header().Get("Location")), http.StatusOK, `name="return" value="/settings?tab=1"`, `autocomplete="current-password"`)

	w = b.post("/sign-in", credentials("wrong password", "/settings"))
	want(t, w, http.StatusUnauthorized, "The username or the password is not right", `value="bob"`, `value="/settings"`)
	if strings.Contains(w.Body.String(), "wrong password") || len(b.cookies) != 0 {
		t.Error("the password came back, or a cookie came")
	}
	w = b.post("/sign-in", credentials(password, "/settings"))
	want(t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != "/settings" {
		t.Errorf("sent to %q", got)
	}
	c := w.Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 || c.Expires.IsZero() {
		t.Errorf("cookie %v", c)
	}
	want(t, b.get("/"), http.StatusOK, "home of bob")
	want(t, b.get("/sign-in"), http.StatusSeeOther)

	before := b.cookies["odcm-session"]
	b.signIn() // again: the browser's old session must not live on
	fresh := b.cookies["odcm-session"]
	b.cookies["odcm-session"] = before
	want(t, b.get("/"), http.StatusSeeOther)
	b.cookies["odcm-session"] = fresh

	want(t, b.post("/sign-out", nil), http.StatusSeeOther)
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.cookies)
	}
	b.cookies["odcm-session"] = fresh
	want(t, b.get("/"), http.StatusSeeOther)
	want(t, b.post("/sign-out", nil), http.StatusSeeOther) // not an error
}

func TestReturnStaysOnThisSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{
		"https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "javascript:alert(1)",
		"/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "///evil.example", "http:/evil.example", "evil.example",
		"", "?next=//evil.example", "data:text/html,x", "%2f%2fevil.example",
	} {
		w := b.get("/sign-in?return=" + url.QueryEscape(target))
		want(t, w, http.StatusOK, `name="return" value="/"`)
		w = b.post("/sign-in", credentials(password, target))
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/" {
			t.Errorf("return %q after the form: %d to %q", target, w.Code, got)
		}
		w = b.get("/sign-in?return=" + url.QueryEscape(target))
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/" {
			t.Errorf("return %q when signed in: %d to %q", target, w.Code, got)
		}
		want(t, b.post("/sign-out", nil), http.StatusSeeOther)
	}
	w := b.post("/sign-in", credentials(password, "/spaces/space-1?tab=log#end"))
	if got := w.Header().Get("Location"); got != "/spaces/space-1?tab=log#end" {
		t.Errorf("a local address became %q", got)
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn()
	forms := map[string]url.Values{
		"/sign-in": credentials(password, "/"), "/sign-out": nil, "/settings": {"displayName": {"Eve"}, "revision": {"1"}},
		"/settings/password":          {"current": {password}, "password": {"another password"}, "again": {"another password"}},
		"/settings/api-keys":          {"purpose": {"evil"}, "days": {"0"}},
		"/settings/api-keys/x/delete": nil,
		"/settings/sessions/x/end":    nil,
	}
	for path, form := range forms {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header, value)
			if w := b.send(r); w.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %s answered %d", path, header, value, w.Code)
			}
		}
	}
	want(t, b.get("/settings"), http.StatusOK, "Bob Specialist") // nothing happened
}

func TestABadKeyIsNotTheCookiesOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn()
	for _, header := range []string{"Bearer ", "Bearer", "bearer odcm_" + strings.Repeat("x", 43), "BEARER x", "Bearer  "} {
		r := httptest.NewRequest("GET", "/api/v1/me", nil)
		r.Header.Set("Authorization", header)
		want(t, b.send(r), http.StatusUnauthorized, "identity.not-signed-in")
	}
	r := httptest.NewRequest("GET", "/api/v1/me", nil)
	r.Header.Set("Authorization", "Basic cHJveHk6c2VjcmV0") // a proxy's: not ours to judge
	want(t, b.send(r), http.StatusOK, `"username":"bob"`)
}

func TestTooManyTries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		want(t, b.post("/sign-in", credentials("wrong", "/")), http.StatusUnauthorized)
	}
	w := b.post("/sign-in", credentials(password, "/"))
	want(t, w, http.StatusTooManyRequests, "Wait 1 seconds")
	if w.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
	w = b.call("POST", "/sign-in", "", api.SignIn{Username: "bob", Password: password}, nil)
	want(t, w, http.StatusTooManyRequests, "identity.too-many-attempts")
	if w.Header().Get("Retry-After") != "1" {
		t.Errorf("REST: Retry-After %q", w.Header().Get("Retry-After"))
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn()
	want(t, b.get("/profile"), http.StatusSeeOther)
	want(t, b.get("/settings"), http.StatusOK, "Bob Specialist", `aria-current="page"`, "member")
	want(t, b.post("/settings", url.Values{"displayName": {"Robert"}, "revision": {"1"}}), http.StatusSeeOther)
	want(t, b.get("/settings"), http.StatusOK, "Robert", "Your profile was saved.")
	want(t, b.post("/settings", url.Values{"displayName": {"Bobby"}, "revision": {"1"}}), http.StatusConflict, "changed by someone else", "Robert")
	want(t, b.post("/settings", url.Values{"displayName": {"Bobby"}}), http.StatusBadRequest)

	change := func(current, new, again string) *httptest.ResponseRecorder {
		return b.post("/settings/password", url.Values{"current": {current}, "password": {new}, "again": {again}})
	}
	want(t, change("wrong", "another password", "another password"), http.StatusUnprocessableEntity, "current password is not right")
	want(t, change(password, "another password", "a different one"), http.StatusUnprocessableEntity, "not the same")
	want(t, change(password, "short", "short"), http.StatusUnprocessableEntity, "at least 8")
	want(t, change(password, "another password", "another password"), http.StatusSeeOther)
	want(t, b.get("/settings"), http.StatusOK, "Your password was changed")
}

func TestKeysPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn()
	want(t, b.get("/settings/api-keys"), http.StatusOK, "No API keys")
	want(t, b.post("/settings/api-keys", url.Values{"purpose": {" "}, "days": {"30"}}), http.StatusUnprocessableEntity, "Say what the key is for")
	want(t, b.post("/settings/api-keys", url.Values{"purpose": {"x"}, "days": {"-1"}}), http.StatusUnprocessableEntity)
	w := b.post("/settings/api-keys", url.Values{"purpose": {"<b>build</b>"}, "days": {"30"}})
	want(t, w, http.StatusOK, "&lt;b&gt;build&lt;/b&gt;")
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page with the secret may be kept")
	}
	secret := regexp.MustCompile(`odcm_[A-Za-z0-9_-]{43}`).FindString(w.Body.String())
	want(t, b.call("GET", "/me", secret, nil, nil), http.StatusOK, `"via":"api-key"`)
	w = b.get("/settings/api-keys")
	want(t, w, http.StatusOK, secret[:11]+"…")
	if strings.Contains(w.Body.String(), secret) {
		t.Error("the secret is shown again")
	}
	id := regexp.MustCompile(`apikey-[0-9a-f-]{36}`).FindString(w.Body.String())
	want(t, b.post("/settings/api-keys/"+id+"/delete", nil), http.StatusSeeOther)
	want(t, b.call("GET", "/me", secret, nil, nil), http.StatusUnauthorized)
	want(t, b.post("/settings/api-keys/"+id+"/delete", nil), http.StatusNotFound)
}

func TestSessionsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.signIn()
	other := &bundle{t: t, site: b.site, cookies: map[string]string{}}
	other.signIn()
	w := b.get("/settings/sessions")
	want(t, w, http.StatusOK, "This browser")
	ends := regexp.MustCompile(`/settings/sessions/session-[0-9a-f-]{36}/end`).FindAllString(w.Body.String(), -1)
	if len(ends) != 1 {
		t.Fatalf("%d sessions can be ended, want the other one", len(ends))
	}
	want(t, b.post(ends[0], nil), http.StatusSeeOther)
	want(t, other.get("/"), http.StatusSeeOther)
	want(t, b.get("/"), http.StatusOK)
}

func TestREST(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want(t, b.call("GET", "/me", "", nil, nil), http.StatusUnauthorized, "identity.not-signed-in")
	want(t, b.call("POST", "/sign-in", "", api.SignIn{Username: "bob", Password: "wrong"}, nil), http.StatusUnauthorized, "identity.sign-in-failed")
	var login api.CreatedAPIKey
	want(t, b.call("POST", "/sign-in", "", api.SignIn{Username: "BOB", Password: password}, &login), http.StatusCreated)
	if login.Expires == nil || time.Until(*login.Expires) > identity.LoginKeyLife || login.Purpose != "odcm login" {
		t.Errorf("login key %+v", login)
	}
	var me api.Me
	want(t, b.call("GET", "/me", login.Key, nil, &me), http.StatusOK)
	if me.Username != "bob" || me.DisplayName != "Bob Specialist" || len(me.Roles) != 1 || me.Roles[0] != "member" {
		t.Errorf("me %+v", me)
	}
	var made [3]api.CreatedAPIKey
	for i := range made {
		want(t, b.call("POST", "/api-keys", login.Key, api.NewAPIKey{Purpose: "build"}, &made[i]), http.StatusCreated)
	}
	past := time.Now().Add(-time.Hour)
	want(t, b.call("POST", "/api-keys", login.Key, api.NewAPIKey{Purpose: "late", Expires: &past}, nil), http.StatusUnprocessableEntity, "identity.expiry-invalid", "body.expires")
	want(t, b.call("POST", "/api-keys", login.Key, map[string]string{"purpose": "x", "user": "someone"}, nil), http.StatusUnprocessableEntity)

	var ids []string
	path := "/api-keys?limit=3"
	for path != "" {
		var page api.Page[api.APIKey]
		want(t, b.call("GET", path, login.Key, nil, &page), http.StatusOK)
		for _, k := range page.Items {
			ids = append(ids, k.ID)
		}
		path = ""
		if page.Next != "" {
			path = "/api-keys?limit=3&cursor=" + page.Next
		}
	}
	if got, want := strings.Join(ids, " "), strings.Join([]string{made[2].ID, made[1].ID, made[0].ID, login.ID}, " "); got != want {
		t.Errorf("pages hold %s, want %s", got, want)
	}
	want(t, b.call("GET", "/api-keys?cursor=%21", login.Key, nil, nil), http.StatusUnprocessableEntity, "request.cursor")
	want(t, b.call("DELETE", "/api-keys/"+made[0].ID, login.Key, nil, nil), http.StatusNoContent)
	want(t, b.call("DELETE", "/api-keys/"+made[0].ID, login.Key, nil, nil), http.StatusNotFound, "identity.api-key-not-found")
	want(t, b.call("GET", "/me", made[0].Key, nil, nil), http.StatusUnauthorized)

	b.signIn()
	var sessions api.Page[api.Session]
	want(t, b.call("GET", "/sessions", login.Key, nil, &sessions), http.StatusOK)
	if len(sessions.Items) != 1 || sessions.Items[0].Address != "192.0.2.1" {
		t.Errorf("sessions %+v", sessions)
	}
	want(t, b.call("DELETE", "/sessions/"+sessions.Items[0].ID, login.Key, nil, nil), http.StatusNoContent)
	want(t, b.get("/"), http.StatusSeeOther)
}

func TestAddressBehindProxies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                   {"192.0.2.7:1234", nil, "192.0.2.7"},
		"direct, forged":           {"192.0.2.7:1234", []string{"198.51.100.1"}, "192.0.2.7"},
		"one proxy":                {"10.0.0.1:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		"one proxy, forged first":  {"10.0.0.1:1234", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		"two proxies":              {"10.0.0.1:1234", []string{"192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		"two proxies, two headers": {"10.0.0.1:1234", []string{"198.51.100.1, 192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"proxy without the header": {"10.0.0.1:1234", nil, "10.0.0.1"},
		"proxy with nonsense":      {"10.0.0.1:1234", []string{"192.0.2.7, bob"}, "10.0.0.1"},
		"IPv4 in IPv6":             {"[::ffff:10.0.0.1]:1234", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"IPv6 with a zone":         {"[fe80::1%eth0]:1234", nil, "fe80::1"},
		"no address":               {"@", nil, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		secret, _, err := b.service.CreateKey(t.Context(), b.bob, session.NewKey{Purpose: name})
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		p, err := b.auth.Authenticate(r)
		if err != nil || p.Address != c.want {
			t.Errorf("%s: %q, %v; want %q", name, p.Address, err, c.want)
		}
	}
}

// Whatever a request holds, only the right secret in the right place signs in.
func FuzzAuthenticate(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer odcm_x", "bearer\todcm_x", "Basic x", "Bearer odcm_x, odcm_y", "Bearer \xff\xfe", "odcm-session=x; odcm-session=y"} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, authorization, cookie, forwarded string) {
		a := &identityhttp.Authenticator{Service: nobody(), Proxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"], r.Header["Cookie"], r.Header["X-Forwarded-For"] = []string{authorization}, []string{cookie}, []string{forwarded}
		if p, err := a.Authenticate(r); odcm.KindOf(err) != odcm.Unauthenticated || p.User != "" {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

// nobody is a service in which nobody is known.
func nobody() *identity.Service {
	return identity.New(identity.Options{Store: empty{}})
}

type empty struct{ identity.Store }

func (empty) SessionByToken(context.Context, string) (session.Session, person.User, error) {
	return session.Session{}, person.User{}, odcm.E(odcm.NotFound, "", "")
}

func (empty) KeyByToken(context.Context, string) (session.APIKey, person.User, error) {
	return session.APIKey{}, person.User{}, odcm.E(odcm.NotFound, "", "")
}
