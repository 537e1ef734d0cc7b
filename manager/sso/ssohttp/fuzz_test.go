package ssohttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"odcm/kit/db/dbtest"
	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// fuzzed is a provider with a relying party and a person, asked without the network.
type fuzzed struct {
	*ssotest.Provider
	party           sso.Party
	secret, session string
}

func fuzz(f *testing.F) fuzzed {
	f.Helper()
	p := ssotest.New(f, dbtest.Open(f, dbtest.SQLite(f)))
	party, secret := p.Party(func(p *sso.Party) { p.Device = true })
	return fuzzed{p, party, secret, p.World.SignIn("user-ann")}
}

func (f fuzzed) serve(r *http.Request) *httptest.ResponseRecorder {
	r.AddCookie(&http.Cookie{Name: ssotest.Cookie, Value: f.session})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	f.Site.ServeHTTP(w, r)
	return w
}

func (f fuzzed) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.serve(r)
}

// FuzzAuthorize: whatever is asked, the browser is sent to a registered address, to the sign-in page, or nowhere.
func FuzzAuthorize(f *testing.F) {
	p := fuzz(f)
	good := url.Values{"client_id": {string(p.party.ID)}, "redirect_uri": p.party.RedirectURIs, "response_type": {"code"}, "scope": {"openid"}}.Encode()
	for _, seed := range []string{good, good + "&prompt=none", good + "&redirect_uri=https://evil.example", good + "&max_age=1e9", good + "&response_mode=form_post&nonce=%00",
		good + "&id_token_hint=a.b.c", good + ";x=1", strings.Replace(good, "https", "HTTPS", 1), "client_id=%zz", good + "&state=%0d%0aX:1", good + "&prompt=login&odcm_after=9999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/oauth2/authorize", nil)
		r.URL.RawQuery = query
		w := p.serve(r)
		if w.Code >= 500 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		to := w.Header().Get("Location")
		if to != "" && !strings.HasPrefix(to, p.party.RedirectURIs[0]+"?") && !strings.HasPrefix(to, p.party.RedirectURIs[0]+"#") && !strings.HasPrefix(to, "/sign-in?") {
			t.Fatalf("sent to %q", to)
		}
		if page := w.Body.String(); strings.Contains(page, `id="reply"`) && !strings.Contains(page, `action="`+p.party.RedirectURIs[0]+`"`) {
			t.Fatal(page)
		}
	})
}

// FuzzRedirectURI: an address is good if it is registered, character by character.
func FuzzRedirectURI(f *testing.F) {
	p := fuzz(f)
	for _, seed := range []string{p.party.RedirectURIs[0], p.party.RedirectURIs[0] + "/", "https://rp.example.com/back?", "https://rp.example.com/%62ack", "HTTPS://rp.example.com/back", "https://rp.example.com@evil/back", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		q := url.Values{"client_id": {string(p.party.ID)}, "redirect_uri": {uri}, "response_type": {"code"}, "scope": {"openid"}}
		w := p.serve(httptest.NewRequest(http.MethodGet, "/oauth2/authorize?"+q.Encode(), nil))
		if in := w.Code == http.StatusSeeOther; in != slices.Contains(p.party.RedirectURIs, uri) || w.Code >= 500 {
			t.Fatalf("%q: %d to %q", uri, w.Code, w.Header().Get("Location"))
		}
	})
}

// FuzzTokens: nothing that was not given out here is good for anything, wherever it is put.
func FuzzTokens(f *testing.F) {
	p := fuzz(f)
	sealed, err := p.Ring.Seal("code", map[string]string{})
	if err != nil {
		f.Fatal(err)
	}
	signed, err := p.Ring.Sign(f.Context(), sso.ES256, "", map[string]any{"iss": "https://other.example", "sub": "user-ann", "aud": string(p.party.ID)})
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(signed, ".")
	for _, seed := range []string{sealed, signed, "", "a.b.c", "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[0] + "." + parts[1] + ".AAAA", strings.Repeat("A", 50_000), "..", "AAAA", "\x00", sealed + "=", sealed[:len(sealed)-1]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		client := func(more url.Values) url.Values {
			more.Set("client_id", string(p.party.ID))
			more.Set("client_secret", p.secret)
			return more
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"code":          p.post("/oauth2/token", client(url.Values{"grant_type": {"authorization_code"}, "code": {token}, "redirect_uri": p.party.RedirectURIs})),
			"refresh token": p.post("/oauth2/token", client(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})),
			"device code":   p.post("/oauth2/token", client(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {token}})),
			"access token":  p.post("/oauth2/userinfo", url.Values{"access_token": {token}}),
			"assertion":     p.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {"x"}, "client_assertion": {token}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}),
			"secret":        p.post("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {"x"}, "client_id": {string(p.party.ID)}, "client_secret": {token}}),
			"consent":       p.post("/oauth2/consent", url.Values{"ticket": {token}, "answer": {"allow"}}),
			"sign-out":      p.post("/oauth2/sign-out/confirm", url.Values{"ticket": {token}, "answer": {"sign-out"}}),
		} {
			if w.Code < 400 || w.Code >= 500 {
				t.Fatalf("as %s: %d %s", name, w.Code, w.Body)
			}
		}
		if token == "" {
			return
		}
		q := url.Values{"id_token_hint": {token}}
		if w := p.serve(httptest.NewRequest(http.MethodGet, "/oauth2/sign-out?"+q.Encode(), nil)); w.Code < 400 || w.Code >= 500 {
			t.Fatalf("as id_token_hint: %d %s", w.Code, w.Body)
		}
		w := p.post("/oauth2/introspect", client(url.Values{"token": {token}}))
		if w.Code >= 500 || w.Code == 200 && w.Body.String() != `{"active":false}` {
			t.Fatalf("introspected: %d %s", w.Code, w.Body)
		}
	})
}

// FuzzUserCode: no code that nobody shows lets anything in.
func FuzzUserCode(f *testing.F) {
	p := fuzz(f)
	for _, seed := range []string{"BCDF-GHJK", "bcdf ghjk", "", "AEIOU", strings.Repeat("B", 100), "\x00", "ﬀ", "<script>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		w := p.post("/device", url.Values{"code": {code}, "answer": {"allow"}})
		if w.Code != 422 && w.Code != 503 && (utf8.ValidString(code) || w.Code != 400) {
			t.Fatalf("%q: %d %s", code, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "<script>alert") {
			t.Fatal("the page runs what was typed")
		}
	})
}
