package ssohttp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"odcm/manager/sso"
)

// TestRedirectURIsThatNearlyMatch: none of them may be answered, not even with an error.
func TestRedirectURIsThatNearlyMatch(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, func(p *sso.Party) {
		p.RedirectURIs = []string{"https://rp.example.com/api/users/authenticatedToken/Okta"}
	})
	native := begin(t, p, func(p *sso.Party) {
		p.Kind, p.Auth, p.RedirectURIs = sso.KindNative, sso.AuthNone, []string{"http://127.0.0.1/callback", "com.example.app:/back"}
	})
	const good = "https://rp.example.com/api/users/authenticatedToken/Okta"
	for name, uri := range map[string]string{
		"case of the path":          "https://rp.example.com/api/users/authenticatedtoken/Okta",
		"case of the host":          "https://RP.example.com/api/users/authenticatedToken/Okta",
		"case of the scheme":        "HTTPS://rp.example.com/api/users/authenticatedToken/Okta",
		"plain http":                "http://rp.example.com/api/users/authenticatedToken/Okta",
		"slash at the end":          good + "/",
		"path added":                good + "/x",
		"path shortened":            "https://rp.example.com/api/users",
		"traversal":                 good + "/../Okta",
		"traversal, encoded":        good + "/%2e%2e/Okta",
		"double slash":              "https://rp.example.com//api/users/authenticatedToken/Okta",
		"percent-encoded letter":    "https://rp.example.com/api/users/authenticatedToken/%4fkta",
		"query added":               good + "?x=1",
		"empty query":               good + "?",
		"fragment":                  good + "#x",
		"port":                      "https://rp.example.com:443/api/users/authenticatedToken/Okta",
		"other port":                "https://rp.example.com:8443/api/users/authenticatedToken/Okta",
		"user info":                 "https://rp.example.com@evil.example/api/users/authenticatedToken/Okta",
		"user info of the host":     "https://evil@rp.example.com/api/users/authenticatedToken/Okta",
		"sub-domain":                "https://evil.rp.example.com/api/users/authenticatedToken/Okta",
		"domain that begins alike":  "https://rp.example.com.evil.example/api/users/authenticatedToken/Okta",
		"dot at the host's end":     "https://rp.example.com./api/users/authenticatedToken/Okta",
		"unicode look-alike":        "https://rр.example.com/api/users/authenticatedToken/Okta",
		"full-width dot":            "https://rp．example.com/api/users/authenticatedToken/Okta",
		"backslash":                 "https://rp.example.com\\@evil.example/api/users/authenticatedToken/Okta",
		"tab":                       "https://rp.example.com\t/api/users/authenticatedToken/Okta",
		"line break":                good + "\r\nX-Evil: 1",
		"space before":              " " + good,
		"script":                    "javascript:alert(1)//" + good,
		"data":                      "data:text/html,x",
		"relative":                  "/api/users/authenticatedToken/Okta",
		"no scheme":                 "//rp.example.com/api/users/authenticatedToken/Okta",
		"loopback of another party": "http://127.0.0.1/callback",
	} {
		t.Run(name, func(t *testing.T) {
			if a := c.with(t).authorize(map[string]string{"redirect_uri": uri}); a.to != "" || a.status < 400 {
				t.Errorf("%q: %d to %s", uri, a.status, a.to)
			}
		})
	}
	for uri, want := range map[string]bool{
		"http://127.0.0.1:51004/callback": true, "http://127.0.0.1/callback": true, "com.example.app:/back": true,
		"http://127.0.0.1:51004/callback/": false, "http://127.0.0.1:51004/Callback": false, "http://127.0.0.1:51004/callback?x": false,
		"http://localhost:51004/callback": false, "http://127.0.0.2:51004/callback": false, "https://127.0.0.1:51004/callback": false,
		"http://127.0.0.1:051004/callback": false, "http://127.0.0.1:/callback": false, "http://x@127.0.0.1:5/callback": false, "http://[::1]:5/callback": false,
		"com.example.app:/back/": false, "http://127.0.0.1:51004/callback#": false, "http://2130706433:5/callback": false,
	} {
		_, challenge := verifier()
		a := native.authorize(map[string]string{"redirect_uri": uri, "code_challenge": challenge, "code_challenge_method": "S256"})
		if got := a.values.Has("code"); got != want {
			t.Errorf("native application at %q: %v, want %v (%d %s)", uri, got, want, a.status, a.to)
		}
	}
}

func TestRedirectURIsThatMayNotBeRegistered(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, uri := range []string{"http://rp.example.com/", "https://rp.example.com/#x", "https://a:b@rp.example.com/", "https://rp.example.com/../x", "javascript:alert(1)",
		"https://*.example.com/", "https:///x", "ftp://rp.example.com/", "/x", "", "https://rp.example.com/\\x", "https://rp.example.com/%2E%2e/x", "com.example:/x", "http://127.0.0.1/x"} {
		party := sso.Party{Name: "X", Kind: sso.KindApplication, Algorithm: sso.ES256, Auth: sso.AuthSecret, RedirectURIs: []string{uri}}
		if _, _, err := p.Create(t.Context(), admin, party); err == nil {
			t.Errorf("%q was registered", uri)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, nil)
	v, challenge := verifier()
	pkce := map[string]string{"code_challenge": challenge, "code_challenge_method": "S256"}
	refused := func(name string, attack func(t *testing.T) tokens) {
		t.Run(name, func(t *testing.T) { wantError(t, attack(t), 400, "invalid_grant") })
	}
	refused("wrong code", func(*testing.T) tokens { return c.exchange("x", nil) })
	refused("changed code", func(*testing.T) tokens {
		code := []byte(c.authorize(nil).values.Get("code"))
		code[len(code)/2] ^= 1
		return c.exchange(string(code), nil)
	})
	refused("oversized code", func(*testing.T) tokens { return c.exchange(strings.Repeat("A", 40_000), nil) })
	refused("access token as code", func(*testing.T) tokens { return c.exchange(c.signIn(nil).text("access_token"), nil) })
	refused("another redirect URI", func(*testing.T) tokens {
		return c.exchange(c.authorize(nil).values.Get("code"), map[string]string{"redirect_uri": "https://rp.example.com/back/"})
	})
	refused("mixed-up client: a code injected into another's callback", func(t *testing.T) tokens {
		return begin(t, p, nil).exchange(c.authorize(nil).values.Get("code"), nil)
	})
	refused("PKCE: no verifier", func(*testing.T) tokens { return c.exchange(c.authorize(pkce).values.Get("code"), nil) })
	refused("PKCE: wrong verifier", func(*testing.T) tokens {
		other, _ := verifier()
		return c.exchange(c.authorize(pkce).values.Get("code"), map[string]string{"code_verifier": other})
	})
	refused("PKCE: the challenge as verifier", func(*testing.T) tokens {
		return c.exchange(c.authorize(pkce).values.Get("code"), map[string]string{"code_verifier": challenge})
	})
	refused("PKCE downgrade: challenge taken out on the way", func(*testing.T) tokens {
		return c.exchange(c.authorize(nil).values.Get("code"), map[string]string{"code_verifier": v})
	})
	refused("code of a session that ended", func(t *testing.T) tokens {
		own := begin(t, p, nil)
		code := own.authorize(nil).values.Get("code")
		own.signOut(map[string]string{"id_token_hint": hint(own)})
		return own.exchange(code, nil)
	})
	refused("code of a person who was disabled", func(t *testing.T) tokens {
		own := begin(t, p, nil)
		own.browser = own.Browser("user-eve")
		code := own.authorize(nil).values.Get("code")
		own.World.Change("user-eve", func(p *sso.Person) { p.Disabled = true })
		if err := own.SignedOut(t.Context(), "user-eve"); err != nil {
			t.Fatal(err)
		}
		return own.exchange(code, nil)
	})
	t.Run("a wrong try leaves the code to its owner", func(t *testing.T) {
		code := c.authorize(pkce).values.Get("code")
		c.exchange(code, nil)
		begin(t, p, nil).exchange(code, nil)
		if got := c.exchange(code, map[string]string{"code_verifier": v}); got.status != 200 {
			t.Error(got.raw)
		}
	})
	t.Run("replay ends every token", func(t *testing.T) {
		code := c.authorize(map[string]string{"scope": "openid offline_access"}).values.Get("code")
		first := c.exchange(code, nil)
		wantError(t, c.exchange(code, nil), 400, "invalid_grant")
		wantError(t, c.refresh(first.text("refresh_token")), 400, "invalid_grant")
	})
	t.Run("expired code", func(t *testing.T) {
		code := c.authorize(nil).values.Get("code")
		c.World.Pass(61 * time.Second)
		wantError(t, c.exchange(code, nil), 400, "invalid_grant")
	})
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, nil)
	public := begin(t, p, func(p *sso.Party) { p.Auth = sso.AuthNone })
	quiet := begin(t, p, func(p *sso.Party) { p.Front = false })
	_, challenge := verifier()
	for name, try := range map[string]struct {
		c      client
		params map[string]string
		want   string
	}{
		"no openid scope":                  {c, map[string]string{"scope": "profile"}, "invalid_scope"},
		"no scope":                         {c, map[string]string{"scope": "-"}, "invalid_scope"},
		"id_token without nonce":           {c, map[string]string{"response_type": "id_token", "response_mode": "form_post"}, "invalid_request"},
		"hybrid without nonce":             {c, map[string]string{"response_type": "code id_token", "response_mode": "form_post"}, "invalid_request"},
		"tokens in the browser":            {c, map[string]string{"response_type": "token"}, "unsupported_response_type"},
		"id_token in a query":              {c, map[string]string{"response_type": "id_token", "response_mode": "query", "nonce": "n"}, "invalid_request"},
		"front channel not allowed":        {quiet, map[string]string{"response_type": "id_token", "nonce": "n"}, "unauthorized_client"},
		"public client without PKCE":       {public, nil, "invalid_request"},
		"PKCE downgrade: plain":            {c, map[string]string{"code_challenge": challenge, "code_challenge_method": "plain"}, "invalid_request"},
		"PKCE downgrade: method left out":  {c, map[string]string{"code_challenge": challenge}, "invalid_request"},
		"PKCE: method without challenge":   {c, map[string]string{"code_challenge_method": "S256"}, "invalid_request"},
		"PKCE: short challenge":            {c, map[string]string{"code_challenge": "abc", "code_challenge_method": "S256"}, "invalid_request"},
		"prompt=none with another":         {c, map[string]string{"prompt": "none login"}, "invalid_request"},
		"unknown prompt":                   {c, map[string]string{"prompt": "dance"}, "invalid_request"},
		"max_age that is no number":        {c, map[string]string{"max_age": "-1"}, "invalid_request"},
		"unknown response_mode":            {c, map[string]string{"response_mode": "web_message"}, "invalid_request"},
		"oversized nonce":                  {c, map[string]string{"nonce": strings.Repeat("n", 2000)}, "invalid_request"},
		"registration":                     {c, map[string]string{"registration": "{}"}, "registration_not_supported"},
		"somebody else's hint, and silent": {c, map[string]string{"prompt": "none", "id_token_hint": hintOf(t, c, "user-bob")}, "login_required"},
	} {
		t.Run(name, func(t *testing.T) { try.c.with(t).wantBack(t, try.c.with(t).authorize(try.params), try.want) })
	}
	twice := func(name, value string) answer {
		q := c.query(nil)
		q.Add(name, value)
		return c.visit(http.MethodGet, c.URL+"/oauth2/authorize?"+q.Encode(), nil)
	}
	t.Run("a parameter twice", func(t *testing.T) { c.wantBack(t, twice("scope", "openid"), "invalid_request") })
	t.Run("redirect_uri twice", func(t *testing.T) { wantPage(t, twice("redirect_uri", "https://evil.example/"), 422, "each once") })
	t.Run("client_id twice", func(t *testing.T) { wantPage(t, twice("client_id", "x"), 422, "each once") })
	t.Run("unknown client", func(t *testing.T) {
		wantPage(t, c.authorize(map[string]string{"client_id": "x"}), 422, "does not know")
	})
	t.Run("oversized request", func(t *testing.T) {
		wantPage(t, c.authorize(map[string]string{"x": strings.Repeat("x", 20_000)}), 422, "more words")
	})
	t.Run("oversized state", func(t *testing.T) {
		if a := c.authorize(map[string]string{"state": strings.Repeat("x", 5000)}); a.values.Get("error") != "invalid_request" || a.values.Has("state") {
			t.Errorf("%+v", a)
		}
	})
	t.Run("unknown kid in id_token_hint", func(t *testing.T) {
		wantPage(t, c.authorize(map[string]string{"id_token_hint": forge(t, c, jose.ES256, "other")}), 422, "not ODCM")
	})
	t.Run("oversized id_token_hint", func(t *testing.T) {
		if a := c.authorize(map[string]string{"id_token_hint": strings.Repeat("a.", 5500)}); a.to != "" || a.status != 422 {
			t.Errorf("%d %s", a.status, a.to)
		}
	})
	t.Run("hint of another client", func(t *testing.T) {
		wantPage(t, c.authorize(map[string]string{"id_token_hint": hint(begin(t, p, nil))}), 422, "not ODCM")
	})
	t.Run("disabled client", func(t *testing.T) {
		off := begin(t, p, func(p *sso.Party) { p.Disabled = true })
		wantPage(t, off.authorize(nil), 422, "does not know")
		wantError(t, off.exchange("x", nil), 401, "invalid_client")
	})
}

func hintOf(t *testing.T, c client, user string) string {
	c = c.with(t)
	c.browser = c.Browser("")
	return c.signIn(map[string]string{"login_hint": user}).text("id_token")
}

// forge signs a hint with a key of the attacker's own.
func forge(t *testing.T, c client, alg jose.SignatureAlgorithm, kid string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, alg, key, kid, map[string]any{"iss": c.URL, "aud": c.party.ID, "sub": "user-ann", "exp": time.Now().Add(time.Hour).Unix()})
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(claims)
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := jws.CompactSerialize()
	return text
}

// TestAlgorithmConfusion: the type of the key says how it signs, never the token.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, func(p *sso.Party) { p.Algorithm = sso.RS256 })
	good := hint(c)
	var set jose.JSONWebKeySet
	r, _ := http.NewRequest(http.MethodGet, c.URL+"/oauth2/keys", nil)
	if err := json.Unmarshal([]byte(c.do(r).raw), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range map[string][]byte{"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der} {
			forged := sign(t, jose.HS256, secret, key.KeyID, map[string]any{"iss": c.URL, "aud": c.party.ID, "sub": "user-ann"})
			wantPage(t, c.authorize(map[string]string{"id_token_hint": forged}), 422, "not ODCM")
			_ = name
		}
	}
	parts := strings.Split(good, ".")
	for name, forged := range map[string]string{
		"alg none":       "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"no signature":   parts[0] + "." + parts[1] + ".",
		"two signatures": parts[0] + "." + parts[1] + "." + parts[2] + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			wantPage(t, c.with(t).authorize(map[string]string{"id_token_hint": forged}), 422, "not ODCM")
		})
	}
}

func TestClientAssertions(t *testing.T) {
	t.Parallel()
	p := start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}
	keys, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	c := begin(t, p, func(p *sso.Party) { p.Auth, p.Keys = sso.AuthKey, string(keys) })
	claims := func(change func(map[string]any)) map[string]any {
		now := p.World.Now()
		m := map[string]any{"iss": c.party.ID, "sub": c.party.ID, "aud": c.URL + "/oauth2/token", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text()}
		if change != nil {
			change(m)
		}
		return m
	}
	send := func(c client, assertion string) tokens {
		return c.exchange(c.authorize(nil).values.Get("code"), map[string]string{"client_id": "-",
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": assertion})
	}
	t.Run("a good one", func(t *testing.T) {
		for _, aud := range []any{c.URL, c.URL + "/oauth2/token", []string{"x", c.URL}} {
			if got := send(c.with(t), sign(t, jose.RS256, key, "k1", claims(func(m map[string]any) { m["aud"] = aud }))); got.status != 200 {
				t.Errorf("aud %v: %s", aud, got.raw)
			}
		}
	})
	t.Run("clock skew of half a minute", func(t *testing.T) {
		for _, by := range []time.Duration{-30 * time.Second, 30 * time.Second} {
			now := p.World.Now().Add(by)
			got := send(c.with(t), sign(t, jose.RS256, key, "k1", claims(func(m map[string]any) { m["iat"], m["exp"] = now.Unix(), now.Add(10*time.Second).Unix() })))
			if got.status != 200 {
				t.Errorf("%s: %s", by, got.raw)
			}
		}
	})
	set := func(name string, value any) func(map[string]any) { return func(m map[string]any) { m[name] = value } }
	now := p.World.Now()
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	der, _ := x509.MarshalPKIXPublicKey(key.Public())
	once := sign(t, jose.RS256, key, "k1", claims(nil))
	send(c, once)
	for name, assertion := range map[string]string{
		"replay":                         once,
		"another key":                    sign(t, jose.RS256, other, "k1", claims(nil)),
		"unknown kid":                    sign(t, jose.RS256, key, "k2", claims(nil)),
		"no kid":                         sign(t, jose.RS256, key, "", claims(nil)),
		"algorithm confusion":            sign(t, jose.HS256, der, "k1", claims(nil)),
		"another algorithm of the key":   sign(t, jose.PS256, key, "k1", claims(nil)),
		"by another client":              sign(t, jose.RS256, key, "k1", claims(set("sub", "x"))),
		"mixed-up issuer":                sign(t, jose.RS256, key, "k1", claims(set("aud", "https://other.example"))),
		"expired":                        sign(t, jose.RS256, key, "k1", claims(set("exp", now.Add(-2*time.Minute).Unix()))),
		"of the future":                  sign(t, jose.RS256, key, "k1", claims(set("iat", now.Add(5*time.Minute).Unix()))),
		"not before the future":          sign(t, jose.RS256, key, "k1", claims(set("nbf", now.Add(5*time.Minute).Unix()))),
		"good for a year":                sign(t, jose.RS256, key, "k1", claims(set("exp", now.AddDate(1, 0, 0).Unix()))),
		"for ever":                       sign(t, jose.RS256, key, "k1", claims(func(m map[string]any) { delete(m, "exp") })),
		"without jti":                    sign(t, jose.RS256, key, "k1", claims(set("jti", ""))),
		"oversized":                      sign(t, jose.RS256, key, "k1", claims(set("x", strings.Repeat("x", 20_000)))),
		"no token at all":                "x.y.z",
		"an ID token of the same issuer": hint(begin(t, p, nil)),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, send(c.with(t), assertion), 401, "invalid_client") })
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, nil)
	for name, form := range map[string]map[string]string{
		"wrong secret":   {"client_secret": "x"},
		"no secret":      {"client_secret": "-"},
		"unknown client": {"client_id": "x"},
		"no client":      {"client_id": "-", "client_secret": "-"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, c.with(t).exchange(c.authorize(nil).values.Get("code"), form), 401, "invalid_client")
		})
	}
	t.Run("two ways at once", func(t *testing.T) {
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": {string(c.party.ID)}, "client_secret": {c.secret}}
		r, _ := http.NewRequest(http.MethodPost, c.URL+"/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(string(c.party.ID), c.secret)
		wantError(t, c.do(r), 400, "invalid_request")
	})
	t.Run("secret in the address", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodPost, c.URL+"/oauth2/token?client_secret="+c.secret, strings.NewReader("grant_type=authorization_code&client_id="+string(c.party.ID)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		wantError(t, c.do(r), 400, "invalid_request")
	})
	t.Run("a parameter twice", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodPost, c.URL+"/oauth2/token", strings.NewReader("grant_type=authorization_code&grant_type=refresh_token&client_id="+string(c.party.ID)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		wantError(t, c.do(r), 400, "invalid_request")
	})
	t.Run("a grant that there is not", func(t *testing.T) {
		wantError(t, c.with(t).post("/oauth2/token", map[string]string{"grant_type": "password", "username": "a", "password": "b"}), 400, "unsupported_grant_type")
	})
	t.Run("the old secret for a day", func(t *testing.T) {
		own := begin(t, p, nil)
		fresh, err := own.RotateSecret(t.Context(), admin, own.party.ID)
		if err != nil {
			t.Fatal(err)
		}
		own.signIn(nil)
		old := own.secret
		own.secret = fresh
		own.signIn(nil)
		own.secret = old
		own.World.Pass(25 * time.Hour)
		wantError(t, own.exchange("x", nil), 401, "invalid_client")
		own.secret = fresh
		own.signIn(nil)
	})
}

func TestForgery(t *testing.T) {
	t.Parallel()
	p := start(t)
	cross := func(c client, path string, form url.Values) int {
		r, _ := http.NewRequest(http.MethodPost, c.URL+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example")
		res, err := c.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	c := begin(t, p, func(p *sso.Party) { p.Consent = true })
	asked := c.authorize(nil)
	ticket := fields(asked.page)["ticket"]
	if len(ticket) != 1 {
		t.Fatalf("%+v", asked)
	}
	for name, try := range map[string]struct {
		path string
		form url.Values
	}{
		"consent":  {"/oauth2/consent", url.Values{"ticket": ticket, "answer": {"allow"}}},
		"sign-out": {"/oauth2/sign-out/confirm", url.Values{"ticket": fields(c.signOut(nil).page)["ticket"], "answer": {"sign-out"}}},
		"device":   {"/device", url.Values{"code": {"BCDFGHJK"}, "answer": {"allow"}}},
	} {
		if status := cross(c, try.path, try.form); status != http.StatusForbidden {
			t.Errorf("%s from another site: %d", name, status)
		}
	}
	other := begin(t, p, nil)
	other.browser = other.Browser("user-eve")
	for name, ticket := range map[string]string{"of another session": ticket[0], "for another use": fields(c.signOut(nil).page).Get("ticket"), "none": ""} {
		wantPage(t, other.visit(http.MethodPost, c.URL+"/oauth2/consent", url.Values{"ticket": {ticket}, "answer": {"allow"}}), 422, "not open any more")
		_ = name
	}
	p.World.Pass(11 * time.Minute)
	wantPage(t, c.visit(http.MethodPost, c.URL+"/oauth2/consent", url.Values{"ticket": ticket, "answer": {"allow"}}), 422, "not open any more")
}

// TestRefusalsAreAudited: who looks at the log learns of attacks, and nothing that an attacker could use.
func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, nil)
	code := c.authorize(nil).values.Get("code")
	c.exchange(code, nil)
	c.exchange(code, nil)
	c.exchange("x", map[string]string{"client_secret": "guess"})
	all, err := p.Events.List(t.Context(), filter("party.refused"))
	if err != nil || len(all) != 2 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	for _, e := range all {
		if text := string(e.After); strings.Contains(text, code) || strings.Contains(text, "guess") || strings.Contains(text, c.secret) {
			t.Errorf("it tells a secret: %s", text)
		}
	}
	if entered, err := p.Events.List(t.Context(), filter("party.entered")); err != nil || len(entered) != 1 || entered[0].Actor != "user-ann" || entered[0].Subject != string(c.party.ID) {
		t.Errorf("%+v, %v", entered, err)
	}
}
