package ssohttp_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// client is a relying party in a test, with a browser that is signed in.
type client struct {
	*ssotest.Provider
	t       *testing.T
	party   sso.Party
	secret  string
	browser *http.Client
	user    odcm.UserID
}

func start(t *testing.T) *ssotest.Provider {
	t.Helper()
	return ssotest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
}

// begin registers a relying party and signs Ann in.
func begin(t *testing.T, p *ssotest.Provider, f func(*sso.Party)) client {
	t.Helper()
	party, secret := p.Party(f)
	return client{p, t, party, secret, p.Browser("user-ann"), "user-ann"}
}

func (c client) with(t *testing.T) client { c.t = t; return c }

// answer is what came of an authorization request.
type answer struct {
	status int
	values url.Values // that came back to the relying party
	to     string     // where, without them
	mode   string
	page   string
	at     string // the page's own address
}

// query is an authorization request, with its defaults; "-" as a value leaves a parameter out.
func (c client) query(params map[string]string) url.Values {
	q := url.Values{"client_id": {string(c.party.ID)}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s/t +1"}}
	if len(c.party.RedirectURIs) > 0 {
		q.Set("redirect_uri", c.party.RedirectURIs[0])
	}
	for k, v := range params {
		if q.Set(k, v); v == "-" {
			q.Del(k)
		}
	}
	return q
}

func (c client) authorize(params map[string]string) answer {
	c.t.Helper()
	return c.visit(http.MethodGet, c.URL+"/oauth2/authorize?"+c.query(params).Encode(), nil)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)"`)

// visit goes there as the browser does, and reads what goes back to the relying party.
func (c client) visit(method, to string, form url.Values) (a answer) {
	c.t.Helper()
	r, err := http.NewRequest(method, to, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("Accept", "text/html")
	res, err := c.browser.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a.status, a.page, a.at = res.StatusCode, string(b), res.Request.URL.String()
	if target := res.Header.Get("Location"); target != "" {
		u, err := url.Parse(target)
		if err != nil {
			c.t.Fatal(err)
		}
		a.mode, a.values = "query", u.Query()
		if u.Fragment != "" {
			a.mode = "fragment"
			if a.values, err = url.ParseQuery(u.EscapedFragment()); err != nil {
				c.t.Fatal(err)
			}
		}
		u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
		a.to = u.String()
	} else if strings.Contains(a.page, `id="reply"`) {
		a.mode, a.values = "form_post", fields(a.page)
		a.to = regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(a.page)[1]
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "form-action https://rp.example.com;") ||
			res.Header.Get("Cache-Control") != "no-store" || !strings.Contains(a.page, "<noscript>") {
			c.t.Errorf("the form_post page: %v\n%s", res.Header, a.page)
		}
	}
	return a
}

func fields(page string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Add(m[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(m[2]))
	}
	return v
}

// verifier is a PKCE pair.
func verifier() (verifier, challenge string) {
	verifier = rand.Text() + rand.Text()
	return verifier, oidc.NewSHACodeChallenge(verifier)
}

type tokens struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (t tokens) text(name string) string { s, _ := t.body[name].(string); return s }

// post sends a form to an endpoint as the client, by client_secret_post where it has a secret.
func (c client) post(path string, form map[string]string) tokens {
	c.t.Helper()
	v := url.Values{"client_id": {string(c.party.ID)}}
	if c.secret != "" {
		v.Set("client_secret", c.secret)
	}
	for k, val := range form {
		if v.Set(k, val); val == "-" {
			v.Del(k)
		}
	}
	r, _ := http.NewRequest(http.MethodPost, c.URL+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r)
}

func (c client) do(r *http.Request) tokens {
	c.t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	t := tokens{status: res.StatusCode, header: res.Header, raw: string(b)}
	if len(b) > 0 {
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&t.body); err != nil {
			c.t.Fatalf("%v: %s", err, b)
		}
	}
	return t
}

func (c client) exchange(code string, form map[string]string) tokens {
	c.t.Helper()
	all := map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": c.party.RedirectURIs[0]}
	for k, v := range form {
		all[k] = v
	}
	return c.post("/oauth2/token", all)
}

func (c client) refresh(token string) tokens {
	c.t.Helper()
	return c.post("/oauth2/token", map[string]string{"grant_type": "refresh_token", "refresh_token": token})
}

// signIn goes the whole way.
func (c client) signIn(params map[string]string) tokens {
	c.t.Helper()
	a := c.authorize(params)
	if a.values.Get("code") == "" {
		c.t.Fatalf("no code: %d %v %s", a.status, a.values, a.page)
	}
	t := c.exchange(a.values.Get("code"), nil)
	if t.status != http.StatusOK {
		c.t.Fatalf("%d %s", t.status, t.raw)
	}
	return t
}

// claims checks the signature with the published keys and returns what was signed.
func (c client) claims(token string) map[string]any {
	c.t.Helper()
	res, err := http.Get(c.URL + "/oauth2/keys")
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		c.t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.party.Algorithm)})
	if err != nil {
		c.t.Fatalf("%v: %s", err, token)
	}
	keys := set.Key(jws.Signatures[0].Header.KeyID)
	if len(keys) != 1 {
		c.t.Fatalf("kid %q is not among the published keys", jws.Signatures[0].Header.KeyID)
	}
	payload, err := jws.Verify(keys[0])
	if err != nil {
		c.t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		c.t.Fatal(err)
	}
	return claims
}

func (c client) userinfo(access string) tokens {
	c.t.Helper()
	r, _ := http.NewRequest(http.MethodGet, c.URL+"/oauth2/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	return c.do(r)
}

// wantError checks an error of the token endpoint.
func wantError(t *testing.T, got tokens, status int, code string) {
	t.Helper()
	if got.status != status || got.text("error") != code {
		t.Errorf("got %d %s, want %d %s", got.status, got.raw, status, code)
	}
}

// wantBack checks an error that went back to the relying party, with state and issuer.
func (c client) wantBack(t *testing.T, a answer, code string) {
	t.Helper()
	if a.values.Get("error") != code || a.values.Get("state") != "s/t +1" || a.values.Get("iss") != c.URL || a.values.Has("code") || a.values.Has("id_token") {
		t.Errorf("got %d %v %.300s, want the error %s", a.status, a.values, a.page, code)
	}
}

// wantPage checks that the person was told, and nothing sent anywhere.
func wantPage(t *testing.T, a answer, status int, text string) {
	t.Helper()
	if a.status != status || a.to != "" || !strings.Contains(a.page, text) {
		t.Errorf("got %d to %q, %s; want a page of %d with %q", a.status, a.to, a.page, status, text)
	}
}

func filter(typ string) eventlog.Filter { return eventlog.Filter{Types: []string{typ}, Limit: 100} }

// decode returns the header of a signed token.
func decode(t *testing.T, token string) []byte {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
