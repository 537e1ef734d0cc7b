package ssohttp_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// The checks that the OpenID Foundation's conformance suite makes of a provider, under the suite's own names: those of the
// plans basic, config, form post, RP-initiated logout and back-channel logout. Each is a test of this project that checks the
// same; the suite itself is not run. A check that does not apply says why, and checks that the metadata says so as well.
type check struct {
	name string
	run  func(t *testing.T, c client, m mode)
}

// mode is how the provider answers: the form post plan repeats the basic one.
type mode map[string]string

func (m mode) and(params map[string]string) map[string]string {
	all := map[string]string{}
	for _, from := range []map[string]string{m, params} {
		for k, v := range from {
			all[k] = v
		}
	}
	return all
}

// idToken signs in and returns the claims.
func (c client) idToken(m mode, params map[string]string) map[string]any {
	c.t.Helper()
	return c.claims(c.signIn(m.and(params)).text("id_token"))
}

func succeeds(params map[string]string) func(*testing.T, client, mode) {
	return func(t *testing.T, c client, m mode) { c.idToken(m, params) }
}

// scoped checks which claims userinfo has.
func scoped(scope string, want ...string) func(*testing.T, client, mode) {
	return func(t *testing.T, c client, m mode) {
		info := c.userinfo(c.signIn(m.and(map[string]string{"scope": scope})).text("access_token"))
		for _, name := range []string{"name", "preferred_username", "updated_at", "email", "email_verified", "address", "phone_number"} {
			if _, has := info.body[name]; has != slices.Contains(want, name) {
				t.Errorf("userinfo of %q: %s", scope, info.raw)
			}
		}
	}
}

// unsupported checks that a request by reference is refused, and that the metadata says that it will be.
func unsupported(parameter, metadata, code string) func(*testing.T, client, mode) {
	return func(t *testing.T, c client, m mode) {
		c.wantBack(t, c.authorize(m.and(map[string]string{parameter: "eyJhbGciOiJub25lIn0.e30."})), code)
		if on, _ := discover(t, c)[metadata].(bool); on {
			t.Errorf("the metadata says that %s is supported", parameter)
		}
	}
}

func reuse(after time.Duration) func(*testing.T, client, mode) {
	return func(t *testing.T, c client, m mode) {
		code := c.authorize(m).values.Get("code")
		first := c.exchange(code, nil)
		c.World.Pass(after)
		wantError(t, c.exchange(code, nil), 400, "invalid_grant")
		if info := c.userinfo(first.text("access_token")); info.status != http.StatusUnauthorized {
			t.Errorf("the access token of a code that was used twice: %d", info.status)
		}
	}
}

var profile, email = []string{"name", "preferred_username", "updated_at"}, []string{"email", "email_verified"}

var basic = []check{
	{"oidcc-server", func(t *testing.T, c client, m mode) {
		a := c.authorize(m.and(map[string]string{"nonce": "n"}))
		form := url.Values{"grant_type": {"authorization_code"}, "code": {a.values.Get("code")}, "redirect_uri": {c.party.RedirectURIs[0]}}
		r, _ := http.NewRequest(http.MethodPost, c.URL+"/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(url.QueryEscape(string(c.party.ID)), url.QueryEscape(c.secret))
		got := c.do(r)
		claims := c.claims(got.text("id_token"))
		issued, expires := claims["iat"].(float64), claims["exp"].(float64)
		if claims["iss"] != c.URL || claims["nonce"] != "n" || claims["sub"] != "user-ann" || claims["at_hash"] == nil || expires <= issued || claims["auth_time"].(float64) > issued {
			t.Errorf("%v", claims)
		}
		if got.text("token_type") != "Bearer" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" {
			t.Errorf("%v %s", got.header, got.raw)
		}
	}},
	{"oidcc-response-type-missing", func(t *testing.T, c client, m mode) {
		c.wantBack(t, c.authorize(m.and(map[string]string{"response_type": "-"})), "invalid_request")
	}},
	{"oidcc-idtoken-signature", func(t *testing.T, c client, m mode) { c.idToken(m, nil) }}, // claims finds the key by its kid
	{"oidcc-idtoken-unsigned", func(t *testing.T, c client, _ mode) {
		// Does not apply: a party registers RS256 or ES256, and "none" is refused.
		p := c.party
		p.Algorithm = "none"
		if _, err := c.Update(t.Context(), admin, p); err == nil {
			t.Error("an unsigned ID token may be registered")
		}
	}},
	{"oidcc-userinfo-get", func(t *testing.T, c client, m mode) {
		if info := c.userinfo(c.signIn(m).text("access_token")); info.status != 200 || info.text("sub") != "user-ann" {
			t.Error(info.raw)
		}
	}},
	{"oidcc-userinfo-post-header", func(t *testing.T, c client, m mode) {
		r, _ := http.NewRequest(http.MethodPost, c.URL+"/oauth2/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+c.signIn(m).text("access_token"))
		if info := c.do(r); info.text("sub") != "user-ann" {
			t.Error(info.raw)
		}
	}},
	{"oidcc-userinfo-post-body", func(t *testing.T, c client, m mode) {
		info := c.post("/oauth2/userinfo", map[string]string{"client_id": "-", "client_secret": "-", "access_token": c.signIn(m).text("access_token")})
		if info.text("sub") != "user-ann" {
			t.Error(info.raw)
		}
	}},
	{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", succeeds(nil)},
	{"oidcc-scope-profile", scoped("openid profile", profile...)},
	{"oidcc-scope-email", scoped("openid email", email...)},
	{"oidcc-scope-address", scoped("openid address")}, // does not apply: ODCM knows no addresses; the scope is left out, not refused
	{"oidcc-scope-phone", scoped("openid phone")},     // nor telephone numbers
	{"oidcc-scope-all", scoped("openid profile email address phone", append(profile, email...)...)},
	{"oidcc-alternate-happy-flow", scoped("email openid", email...)},
	{"oidcc-display-page", succeeds(map[string]string{"display": "page"})},
	{"oidcc-display-popup", succeeds(map[string]string{"display": "popup"})},
	{"oidcc-prompt-login", func(t *testing.T, c client, m mode) {
		before := c.idToken(m, nil)["auth_time"].(float64)
		c.World.Pass(5 * time.Second)
		if after := c.idToken(m, map[string]string{"prompt": "login"})["auth_time"].(float64); after <= before {
			t.Errorf("signed in at %v, and with prompt=login at %v", before, after)
		}
	}},
	{"oidcc-prompt-none-not-logged-in", func(t *testing.T, c client, m mode) {
		c.browser = c.Browser("")
		c.wantBack(t, c.authorize(m.and(map[string]string{"prompt": "none"})), "login_required")
	}},
	{"oidcc-prompt-none-logged-in", func(t *testing.T, c client, m mode) {
		first := c.idToken(m, nil)
		if second := c.idToken(m, map[string]string{"prompt": "none"}); second["sub"] != first["sub"] || second["auth_time"] != first["auth_time"] {
			t.Errorf("%v, then %v", first, second)
		}
	}},
	{"oidcc-max-age-1", func(t *testing.T, c client, m mode) {
		before := c.idToken(m, nil)["auth_time"].(float64)
		c.World.Pass(3 * time.Second)
		if after := c.idToken(m, map[string]string{"max_age": "1"})["auth_time"].(float64); after <= before {
			t.Errorf("auth_time %v, then %v", before, after)
		}
	}},
	{"oidcc-max-age-10000", func(t *testing.T, c client, m mode) {
		before := c.idToken(m, nil)["auth_time"]
		c.World.Pass(3 * time.Second)
		if after := c.idToken(m, map[string]string{"max_age": "10000"})["auth_time"]; after != before {
			t.Errorf("auth_time %v, then %v", before, after)
		}
	}},
	{"oidcc-ensure-request-with-unknown-parameter-succeeds", succeeds(map[string]string{"extra": "foobar"})},
	{"oidcc-id-token-hint", func(t *testing.T, c client, m mode) {
		hint := c.signIn(m).text("id_token")
		if got := c.idToken(m, map[string]string{"prompt": "none", "id_token_hint": hint}); got["sub"] != "user-ann" {
			t.Errorf("%v", got)
		}
	}},
	{"oidcc-login-hint", func(t *testing.T, c client, m mode) {
		c.browser = c.Browser("")
		if got := c.idToken(m, map[string]string{"login_hint": "user-bob"}); got["sub"] != "user-bob" { // the test's page signs in whom it is told
			t.Errorf("%v", got)
		}
	}},
	{"oidcc-ui-locales", succeeds(map[string]string{"ui_locales": "se"})},
	{"oidcc-claims-locales", succeeds(map[string]string{"claims_locales": "se"})},
	{"oidcc-ensure-request-with-acr-values-succeeds", succeeds(map[string]string{"acr_values": "1 2"})},
	{"oidcc-codereuse", reuse(0)},
	{"oidcc-codereuse-30seconds", reuse(30 * time.Second)},
	{"oidcc-ensure-registered-redirect-uri", func(t *testing.T, c client, m mode) {
		wantPage(t, c.authorize(m.and(map[string]string{"redirect_uri": "https://rp.example.com/back/other"})), 422, "not registered")
	}},
	{"oidcc-ensure-post-request-succeeds", func(t *testing.T, c client, m mode) {
		if a := c.visit(http.MethodPost, c.URL+"/oauth2/authorize", c.query(m)); a.values.Get("code") == "" {
			t.Errorf("%+v", a)
		}
	}},
	{"oidcc-server-client-secret-post", succeeds(nil)},
	{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", unsupported("request_uri", "request_uri_parameter_supported", "request_uri_not_supported")},
	{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", unsupported("request", "request_parameter_supported", "request_not_supported")},
	{"oidcc-claims-essential", succeeds(map[string]string{"claims": `{"userinfo":{"name":{"essential":true}}}`})}, // claims_parameter_supported is not said: it is left out
	{"oidcc-ensure-request-object-with-redirect-uri", func(t *testing.T, c client, m mode) {
		// Does not apply: request objects are refused, whatever address they name.
		c.wantBack(t, c.authorize(m.and(map[string]string{"request": "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9."})), "request_not_supported")
	}},
	{"oidcc-refresh-token", func(t *testing.T, c client, m mode) {
		first := c.signIn(m.and(map[string]string{"scope": "openid offline_access", "prompt": "consent"}))
		second := c.refresh(first.text("refresh_token"))
		one, two := c.claims(first.text("id_token")), c.claims(second.text("id_token"))
		if one["sub"] != two["sub"] || one["auth_time"] != two["auth_time"] || first.text("access_token") == second.text("access_token") {
			t.Errorf("%v, then %v", one, two)
		}
		other := begin(t, c.Provider, nil)
		wantError(t, other.refresh(second.text("refresh_token")), 400, "invalid_grant")
	}},
	{"oidcc-ensure-request-with-valid-pkce-succeeds", func(t *testing.T, c client, m mode) {
		v, challenge := verifier()
		a := c.authorize(m.and(map[string]string{"code_challenge": challenge, "code_challenge_method": "S256"}))
		if got := c.exchange(a.values.Get("code"), map[string]string{"code_verifier": v}); got.status != 200 {
			t.Error(got.raw)
		}
	}},
}

// hint is a sign-in to sign out of.
func hint(c client) string { return c.signIn(nil).text("id_token") }

func (c client) signOut(params map[string]string) answer {
	c.t.Helper()
	q := url.Values{}
	for k, v := range params {
		q.Set(k, v)
	}
	return c.visit(http.MethodGet, c.URL+"/oauth2/sign-out?"+q.Encode(), nil)
}

// in tells whether the browser still has a session.
func (c client) in() bool {
	return c.authorize(map[string]string{"prompt": "none"}).values.Has("code")
}

var logout = []check{
	{"oidcc-rp-initiated-logout-discovery-endpoint-verification", func(t *testing.T, c client, _ mode) {
		if discover(t, c)["end_session_endpoint"] != c.URL+"/oauth2/sign-out" {
			t.Error("no end_session_endpoint")
		}
	}},
	{"oidcc-rp-initiated-logout", func(t *testing.T, c client, _ mode) {
		a := c.signOut(map[string]string{"id_token_hint": hint(c), "post_logout_redirect_uri": "https://rp.example.com/bye", "state": "x y"})
		if a.to != "https://rp.example.com/bye" || a.values.Get("state") != "x y" || c.in() {
			t.Errorf("%+v", a)
		}
	}},
	{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func(t *testing.T, c client, _ mode) {
		wantPage(t, c.signOut(map[string]string{"id_token_hint": hint(c), "post_logout_redirect_uri": "https://evil.example/bye", "state": "x"}), 422, "not registered")
	}},
	{"oidcc-rp-initiated-logout-modified-id-token-hint", func(t *testing.T, c client, _ mode) {
		h := hint(c)
		parts := strings.Split(h, ".")
		parts[1] = parts[1][:len(parts[1])-2] + "AA"
		wantPage(t, c.signOut(map[string]string{"id_token_hint": strings.Join(parts, "."), "post_logout_redirect_uri": "https://rp.example.com/bye"}), 422, "not ODCM")
		if !c.in() {
			t.Error("signed out all the same")
		}
	}},
	{"oidcc-rp-initiated-logout-no-id-token-hint", func(t *testing.T, c client, _ mode) {
		a := c.signOut(map[string]string{"post_logout_redirect_uri": "https://rp.example.com/bye", "state": "x", "client_id": string(c.party.ID)})
		if wantPage(t, a, 200, "Sign out?"); !c.in() {
			t.Fatal("signed out without being asked")
		}
		a = c.visit(http.MethodPost, c.URL+"/oauth2/sign-out/confirm", url.Values{"ticket": fields(a.page)["ticket"], "answer": {"sign-out"}})
		if a.to != "https://rp.example.com/bye" || a.values.Get("state") != "x" || c.in() {
			t.Errorf("%+v", a)
		}
	}},
	{"oidcc-rp-initiated-logout-no-params", func(t *testing.T, c client, _ mode) { wantPage(t, c.signOut(nil), 200, "Sign out?") }},
	{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func(t *testing.T, c client, _ mode) {
		wantPage(t, c.signOut(map[string]string{"id_token_hint": hint(c), "state": "x"}), 200, "You are signed out")
	}},
	{"oidcc-rp-initiated-logout-no-state", func(t *testing.T, c client, _ mode) {
		a := c.signOut(map[string]string{"id_token_hint": hint(c), "post_logout_redirect_uri": "https://rp.example.com/bye"})
		if a.to != "https://rp.example.com/bye" || a.values.Has("state") {
			t.Errorf("%+v", a)
		}
	}},
	{"oidcc-rp-initiated-logout-only-state", func(t *testing.T, c client, _ mode) {
		wantPage(t, c.signOut(map[string]string{"state": "x"}), 200, "Sign out?")
	}},
	{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(t *testing.T, c client, _ mode) {
		wantPage(t, c.signOut(map[string]string{"id_token_hint": hint(c), "post_logout_redirect_uri": "https://rp.example.com/bye?foo=bar"}), 422, "not registered")
	}},
	{"oidcc-rp-initiated-logout-bad-id-token-hint", func(t *testing.T, c client, _ mode) {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(c.secret)}, nil) // as the suite does: with the client's secret
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := json.Marshal(map[string]any{"iss": c.URL, "aud": c.party.ID, "sub": "user-ann"})
		jws, _ := s.Sign(payload)
		forged, _ := jws.CompactSerialize()
		for _, bad := range []string{forged, "1"} {
			wantPage(t, c.signOut(map[string]string{"id_token_hint": bad, "post_logout_redirect_uri": "https://rp.example.com/bye"}), 422, "not ODCM")
		}
	}},
}

var backchannel = []check{
	{"oidcc-backchannel-logout-discovery-endpoint-verification", func(t *testing.T, c client, _ mode) {
		m := discover(t, c)
		if m["backchannel_logout_supported"] != true || m["backchannel_logout_session_supported"] != true {
			t.Errorf("%v", m)
		}
	}},
	{"oidcc-backchannel-rp-initiated-logout", func(t *testing.T, c client, _ mode) {
		token := c.signIn(nil).text("id_token")
		before := len(c.World.Told())
		c.signOut(map[string]string{"id_token_hint": token, "post_logout_redirect_uri": "https://rp.example.com/bye", "state": "x"})
		eventually(t, func() bool { return len(c.World.Told()) > before })
		told := c.World.Told()[before]
		jws, err := jose.ParseSignedCompact(told.Token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.party.Algorithm)})
		if err != nil || jws.Signatures[0].Protected.ExtraHeaders["typ"] != "logout+jwt" || told.URI != c.party.LogoutURI {
			t.Fatalf("%v to %s: %v", jws, told.URI, err)
		}
		was, is := c.claims(token), c.claims(told.Token)
		_, event := is["events"].(map[string]any)["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
		if is["sid"] != was["sid"] || is["sub"] != was["sub"] || is["iss"] != was["iss"] || !event || is["nonce"] != nil || is["jti"] == nil || is["exp"] == nil {
			t.Errorf("%v after %v", is, was)
		}
	}},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	p := start(t)
	space := func(party *sso.Party) {
		party.Algorithm, party.LogoutURI = sso.RS256, "https://rp.example.com/logged-out"
	}
	for _, plan := range []struct {
		name   string
		mode   mode
		checks []check
	}{
		{"oidcc-basic-certification-test-plan", nil, basic},
		{"oidcc-formpost-basic-certification-test-plan", mode{"response_mode": "form_post"}, basic},
		{"oidcc-config-certification-test-plan", nil, []check{{"oidcc-discovery-endpoint-verification", verifyDiscovery}}},
		{"oidcc-rp-initiated-logout-certification-test-plan", nil, logout},
		{"oidcc-backchannel-rp-initiated-logout-certification-test-plan", nil, backchannel},
	} {
		t.Run(plan.name, func(t *testing.T) {
			for _, check := range plan.checks {
				t.Run(check.name, func(t *testing.T) { check.run(t, begin(t, p, space), plan.mode) })
			}
		})
	}
}

func discover(t *testing.T, c client) map[string]any {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, c.URL+"/.well-known/openid-configuration", nil)
	return c.with(t).do(r).body
}

func verifyDiscovery(t *testing.T, c client, _ mode) {
	m := discover(t, c)
	if m["issuer"] != c.URL {
		t.Errorf("issuer %v", m["issuer"])
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint",
		"device_authorization_endpoint", "end_session_endpoint"} {
		if at, _ := m[name].(string); !strings.HasPrefix(at, c.URL+"/oauth2/") {
			t.Errorf("%s is %q", name, at)
		}
	}
	for name, want := range map[string][]string{"scopes_supported": {"openid", "groups"}, "response_types_supported": {"code", "id_token", "code id_token"},
		"response_modes_supported": {"query", "form_post"}, "subject_types_supported": {"public"}, "id_token_signing_alg_values_supported": {"RS256", "ES256"},
		"token_endpoint_auth_methods_supported": {"client_secret_post", "client_secret_basic", "private_key_jwt", "none"}, "code_challenge_methods_supported": {"S256"},
		"claims_supported": {"sub", "groups", "sid"}, "grant_types_supported": {"authorization_code", "refresh_token"}} {
		all, _ := m[name].([]any)
		for _, one := range want {
			if !slices.Contains(all, any(one)) {
				t.Errorf("%s is %v, without %s", name, all, one)
			}
		}
	}
	if m["authorization_response_iss_parameter_supported"] != true || m["request_uri_parameter_supported"] != false {
		t.Errorf("%v", m)
	}
	r, _ := http.NewRequest(http.MethodGet, c.URL+"/oauth2/keys", nil)
	keys := c.do(r)
	var kinds []string
	for _, k := range keys.body["keys"].([]any) {
		key := k.(map[string]any)
		kinds = append(kinds, key["kty"].(string))
		if key["kid"] == "" || key["use"] != "sig" || key["d"] != nil || key["kty"] == "RSA" && (key["n"] == nil || key["e"] == nil || key["x5c"] == nil) {
			t.Errorf("%v", key)
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"EC", "RSA"}) {
		t.Errorf("keys %v", kinds)
	}
	if cache := keys.header.Get("Cache-Control"); cache != "public, max-age=300" {
		t.Errorf("Cache-Control %q", cache)
	}
	r.Header.Set("If-None-Match", keys.header.Get("ETag"))
	if again := c.do(r); again.status != http.StatusNotModified {
		t.Errorf("the same entity tag: %d", again.status)
	}
}

// eventually waits for what happens in the background.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal("it did not happen within 10 s")
		}
		<-time.After(5 * time.Millisecond)
	}
}

var admin = ssotest.Admin
