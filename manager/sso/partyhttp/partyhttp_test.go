package partyhttp_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
	"odcm/manager/sso"
	"odcm/manager/sso/partyhttp"
	"odcm/manager/sso/ssotest"
)

type roles struct{}

func (roles) Authenticate(r *http.Request) (odcm.Principal, error) {
	role := r.Header.Get("Role")
	if role == "" {
		return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "test.nobody", "Sign in.")
	}
	return odcm.Principal{User: "user-ann", Name: "Ann", Roles: []odcm.Role{odcm.Role(role)}, Via: "session"}, nil
}

type site struct {
	t *testing.T
	*web.Site
	p *ssotest.Provider
}

func open(t *testing.T) site {
	t.Helper()
	p := ssotest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
	s := web.New(web.Options{Authenticator: roles{}, Logger: slog.New(slog.DiscardHandler)})
	partyhttp.Register(partyhttp.Options{Service: p.Service, Site: s, Now: p.World.Now})
	return site{t, s, p}
}

func (s site) do(method, path, role, body, kind string, head ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Role", role)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	if !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "text/html")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s site) call(method, path, role, body string, out any, head ...string) int {
	s.t.Helper()
	w := s.do(method, "/api/v1"+path, role, body, "application/json", head...)
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			s.t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	return w.Code
}

func (s site) form(path string, v url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.do(http.MethodPost, path, "administrator", v.Encode(), "application/x-www-form-urlencoded")
}

const wiki = `{"name":"Wiki","redirectUris":["https://wiki.example.com/back"]}`

func TestREST(t *testing.T) {
	t.Parallel()
	s := open(t)
	var made api.RelyingPartySecret
	if status := s.call("POST", "/relying-parties", "administrator", wiki, &made); status != http.StatusCreated || made.Secret == "" || made.Algorithm != "ES256" || made.Kind != "application" {
		t.Fatalf("%d %+v", status, made)
	}
	path := "/relying-parties/" + made.ID
	w := s.do("GET", "/api/v1"+path, "auditor", "", "")
	if w.Code != 200 || strings.Contains(w.Body.String(), made.Secret) || w.Header().Get("ETag") != `"1"` {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	var changed api.RelyingParty
	if status := s.call("PUT", path, "administrator", strings.Replace(wiki, "Wiki", "Our wiki", 1), &changed, "If-Match", `"1"`); status != 200 || changed.Name != "Our wiki" || changed.Revision != 2 {
		t.Errorf("%d %+v", status, changed)
	}
	if status := s.call("PUT", path, "administrator", wiki, nil, "If-Match", `"1"`); status != http.StatusPreconditionFailed {
		t.Errorf("a stale change: %d", status)
	}
	var again api.RelyingPartySecret
	if status := s.call("POST", path+"/secret", "administrator", "", &again); status != 200 || again.Secret == "" || again.Secret == made.Secret || again.OldSecretUntil == nil {
		t.Errorf("%d %+v", status, again)
	}
	var page api.Page[api.RelyingParty]
	s.call("POST", "/relying-parties", "administrator", strings.Replace(wiki, "Wiki", "Board", 1), nil)
	if s.call("GET", "/relying-parties?limit=1", "administrator", "", &page); len(page.Items) != 1 || page.Items[0].ID != made.ID {
		t.Errorf("%+v", page)
	}
	var rest api.Page[api.RelyingParty]
	if s.call("GET", "/relying-parties?limit=1&cursor="+page.Next, "administrator", "", &rest); len(rest.Items) != 1 || rest.Items[0].Name != "Board" || rest.Next != "" {
		t.Errorf("%+v", rest)
	}
	if status := s.call("POST", "/signing-keys/ES256/rotate", "administrator", "", nil); status != http.StatusNoContent {
		t.Errorf("rotate: %d", status)
	}
	var keys api.Page[api.SigningKey]
	if s.call("GET", "/signing-keys", "auditor", "", &keys); len(keys.Items) == 0 || strings.Contains(string(mustJSON(keys)), "sealed") {
		t.Errorf("%+v", keys)
	}
	if status := s.call("DELETE", path, "administrator", "", nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	for name, c := range map[string]struct {
		method, path, role, body string
		status                   int
		code                     string
	}{
		"a member who lists":            {"GET", "/relying-parties", "member", "", 403, "denied"},
		"an auditor's change":           {"POST", "/relying-parties", "auditor", wiki, 403, "denied"},
		"what is gone":                  {"GET", path, "administrator", "", 404, "party.unknown"},
		"a redirect URI that is not":    {"POST", "/relying-parties", "administrator", `{"name":"x","redirectUris":["javascript:alert(1)"]}`, 422, "party.uri"},
		"plain http":                    {"POST", "/relying-parties", "administrator", `{"name":"x","redirectUris":["http://wiki.example.com/"]}`, 422, "party.uri"},
		"no redirect URI":               {"POST", "/relying-parties", "administrator", `{"name":"x"}`, 422, "party.redirect-missing"},
		"a private key":                 {"POST", "/relying-parties", "administrator", `{"name":"x","auth":"private_key_jwt","redirectUris":["https://a.example/"],"keys":"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}]}"}`, 422, "party.keys"},
		"a native program with secrets": {"POST", "/relying-parties", "administrator", `{"name":"x","kind":"native","redirectUris":["http://127.0.0.1/"]}`, 422, "party.native-secret"},
		"a Space's by hand":             {"POST", "/relying-parties", "administrator", `{"name":"x","kind":"space","redirectUris":["https://a.example/"]}`, 422, "request.invalid"},
		"an algorithm that is not":      {"POST", "/signing-keys/none/rotate", "administrator", "", 422, "request.invalid"},
	} {
		var p api.Problem
		if status := s.call(c.method, c.path, c.role, c.body, &p); status != c.status || p.Code != c.code {
			t.Errorf("%s: %d %+v, want %d %s", name, status, p, c.status, c.code)
		}
	}
}

func mustJSON(v any) []byte { b, _ := json.Marshal(v); return b }

func TestPages(t *testing.T) {
	t.Parallel()
	s := open(t)
	shows := func(w *httptest.ResponseRecorder, status int, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if w.Code != status || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%d, want %d with %q: %s", w.Code, status, text, w.Body)
			}
		}
	}
	get := func(path, role string) *httptest.ResponseRecorder { return s.do("GET", path, role, "", "") }
	shows(get("/relying-parties", "administrator"), 200, "No relying party yet", "Register one")
	shows(get("/relying-parties/new", "administrator"), 200, "Redirect URIs")
	shows(get("/relying-parties/new", "auditor"), 403, "for administrators")
	shows(s.form("/relying-parties", url.Values{"name": {"Wiki <1>"}, "kind": {"application"}, "auth": {"secret"}, "algorithm": {"ES256"}, "redirectUris": {"ftp://x/"}}), 422, "want https")
	made := s.form("/relying-parties", url.Values{"name": {"Wiki <1>"}, "kind": {"application"}, "auth": {"secret"}, "algorithm": {"ES256"}, "redirectUris": {"https://a.example/\nhttps://b.example/"}})
	shows(made, 200, "Client secret", "Wiki &lt;1&gt;")
	all, err := s.p.List(t.Context(), ssotest.Admin, "", 10)
	if err != nil || len(all) != 1 || len(all[0].RedirectURIs) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	at := "/relying-parties/" + string(all[0].ID)
	shows(get("/relying-parties", "auditor"), 200, "Wiki &lt;1&gt;", string(all[0].ID))
	shows(get(at, "administrator"), 200, "New secret", "https://b.example/", s.p.URL)
	if w := get(at, "auditor"); w.Code != 200 || strings.Contains(w.Body.String(), "New secret") {
		t.Errorf("an auditor is shown what he may not do: %d", w.Code)
	}
	shows(get(at, "member"), 403, "for administrators")
	shows(s.form(at+"/secret", nil), 200, "Client secret")
	saved := s.form(at, url.Values{"name": {"Wiki"}, "kind": {"application"}, "auth": {"secret"}, "algorithm": {"RS256"}, "redirectUris": {"https://a.example/"}, "revision": {"2"}})
	if p, err := s.p.Get(t.Context(), ssotest.Admin, all[0].ID); saved.Code != 303 || err != nil || p.Algorithm != sso.RS256 || p.Name != "Wiki" {
		t.Errorf("%d %s %+v %v", saved.Code, saved.Body, p, err)
	}
	shows(get("/signing-keys", "auditor"), 200, "Signing keys")
	if w := s.form("/signing-keys/RS256", nil); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	shows(get("/settings/applications", "member"), 200, "Signed in nowhere else")
	if w := s.form(at+"/delete", nil); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestApplications goes in at a relying party and out again.
func TestApplications(t *testing.T) {
	t.Parallel()
	s := open(t)
	p, _ := s.p.Party(func(p *sso.Party) { p.Front = true })
	browser := s.p.Browser("user-ann")
	q := url.Values{"client_id": {string(p.ID)}, "redirect_uri": {p.RedirectURIs[0]}, "response_type": {"id_token"}, "response_mode": {"form_post"}, "scope": {"openid"}, "nonce": {"n"}}
	res, err := browser.Get(s.p.URL + "/oauth2/authorize?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), "id_token") {
		t.Fatalf("%s, %v", b, err)
	}
	if w := s.do("GET", "/settings/applications", "member", "", ""); !strings.Contains(w.Body.String(), "Payments") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var page api.Page[api.Application]
	if s.call("GET", "/applications", "member", "", &page); len(page.Items) != 1 || page.Items[0].Name != "Payments" {
		t.Errorf("%+v", page)
	}
	if w := s.form("/settings/applications/"+string(p.ID)+"/revoke", nil); w.Code != 303 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if s.call("GET", "/applications", "member", "", &page); len(page.Items) != 0 {
		t.Errorf("%+v", page)
	}
}
