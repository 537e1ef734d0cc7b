package ssohttp_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/ssokey"
	"odcm/manager/sso/ssotest"
)

const callback = "https://rp.example.com/api/users/authenticatedToken/Okta"

// octopus is an unmodified server's relying party, as pointing it at ODCM makes it.
func octopus(t *testing.T, p *ssotest.Provider, secret bool) client {
	t.Helper()
	party, text, err := p.EnsureForInstance(t.Context(), odcm.NewID[odcm.InstanceID]("instance"), "Octopus", []string{callback}, sso.RS256, secret)
	if err != nil {
		t.Fatal(err)
	}
	return client{p, t, party, text, p.Browser("user-ann"), "user-ann"}
}

// TestOctopus behaves as the Okta provider of an unmodified server does.
func TestOctopus(t *testing.T) {
	t.Parallel()
	p := start(t)
	hasAll := func(t *testing.T, claims map[string]any) {
		t.Helper()
		groups, _ := claims["groups"].([]any)
		if !slices.Equal(groups, []any{"group-developers", "group-operators"}) || claims["email"] != "user-ann@example.com" || claims["name"] != "Ann Example" ||
			claims["preferred_username"] != "user-ann" || claims["sub"] != "user-ann" {
			t.Errorf("%v", claims)
		}
	}
	t.Run("code and PKCE with a secret in the form, no nonce, a flat answer", func(t *testing.T) {
		c := octopus(t, p, true)
		v, challenge := verifier()
		state := `{"RequestId":"a b/c+d","RedirectAfterLoginTo":"/app"}`
		a := c.authorize(map[string]string{"scope": "openid profile email", "state": state, "code_challenge": challenge, "code_challenge_method": "S256"})
		if a.to != callback || a.values.Get("state") != state {
			t.Fatalf("%+v", a)
		}
		got := c.exchange(a.values.Get("code"), map[string]string{"code_verifier": v})
		for name, value := range got.body {
			switch value.(type) {
			case string, float64, bool:
			default:
				t.Errorf("%s is not a scalar: %v", name, value)
			}
		}
		var flat map[string]json.RawMessage
		if err := json.Unmarshal([]byte(got.raw), &flat); err != nil {
			t.Fatal(err)
		}
		hasAll(t, c.claims(got.text("id_token")))
	})
	for _, responseType := range []string{"code id_token", "id_token"} {
		t.Run("older servers without a secret: "+responseType, func(t *testing.T) {
			c := octopus(t, p, false)
			a := c.authorize(map[string]string{"response_type": responseType, "response_mode": "form_post", "scope": "openid profile email", "nonce": "n", "state": "s"})
			if a.mode != "form_post" || a.to != callback || a.values.Get("state") != "s" {
				t.Fatalf("%+v", a)
			}
			claims := c.claims(a.values.Get("id_token"))
			if hasAll(t, claims); claims["nonce"] != "n" || (claims["c_hash"] != nil) != a.values.Has("code") {
				t.Errorf("%v", claims)
			}
			if a.values.Has("code") { // the server lets it go; whoever finds it has no PKCE to show
				wantError(t, c.exchange(a.values.Get("code"), nil), 400, "invalid_grant")
			}
		})
	}
	t.Run("hybrid with a secret: the code is good once", func(t *testing.T) {
		c := octopus(t, p, true)
		a := c.authorize(map[string]string{"response_type": "code id_token", "response_mode": "form_post", "nonce": "n"})
		code := a.values.Get("code")
		if got := c.exchange(code, nil); got.status != 200 || c.claims(got.text("id_token"))["nonce"] != "n" {
			t.Error(got.raw)
		}
		wantError(t, c.exchange(code, nil), 400, "invalid_grant")
	})
	t.Run("errors go by form_post as well", func(t *testing.T) {
		c := octopus(t, p, false)
		c.browser = c.Browser("")
		a := c.authorize(map[string]string{"response_type": "id_token", "response_mode": "form_post", "nonce": "n", "prompt": "none"})
		if c.wantBack(t, a, "login_required"); a.mode != "form_post" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("who may not enter is told whom to ask, and nothing goes back", func(t *testing.T) {
		c := octopus(t, p, true)
		c.browser = c.Browser("user-mallory")
		c.World.Bar("user-mallory")
		wantPage(t, c.authorize(nil), 403, "ask its administrators")
		c.wantBack(t, c.authorize(map[string]string{"prompt": "none"}), "access_denied")
	})
	t.Run("pointing again makes a new secret and keeps the old for a while", func(t *testing.T) {
		c := octopus(t, p, true)
		party, secret, err := p.EnsureForInstance(t.Context(), c.party.Instance, "Octopus", []string{callback}, sso.RS256, true)
		if err != nil || party.ID != c.party.ID || secret == "" || secret == c.secret {
			t.Fatalf("%+v, %v", party, err)
		}
		c.signIn(nil)
		c.secret = secret
		c.signIn(nil)
		if err := p.RemoveForInstance(t.Context(), c.party.Instance); err != nil {
			t.Fatal(err)
		}
		wantError(t, c.exchange("x", nil), 401, "invalid_client")
		if err := p.RemoveForInstance(t.Context(), c.party.Instance); err != nil {
			t.Errorf("the second time: %v", err)
		}
	})
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, nil)
	kid := func() string {
		t.Helper()
		token := c.signIn(nil).text("id_token")
		c.claims(token)
		return header(t, token)["kid"].(string)
	}
	c.signIn(nil)
	other := ssokey.New(ssokey.Options{Store: p.Store, Sealer: ssotest.NewSealer(), Now: p.World.Now})
	if _, _, err := other.Set(t.Context()); err == nil {
		t.Error("keys open with another key")
	}
	old, first := kid(), c.signIn(map[string]string{"scope": "openid offline_access"})
	if err := p.RotateKeys(t.Context(), admin, sso.ES256); err != nil {
		t.Fatal(err)
	}
	if err := p.RotateKeys(t.Context(), admin, sso.ES256); odcm.KindOf(err) != odcm.Conflict {
		t.Errorf("rotating twice: %v", err)
	}
	if now := kid(); now != old {
		t.Error("the next key signs before relying parties can know it")
	}
	p.World.Pass(ssokey.Lead + time.Second)
	if now := kid(); now == old {
		t.Error("the old key signs on")
	}
	if c.claims(first.text("id_token"))["sub"] != "user-ann" {
		t.Error("what the old key signed is not good any more")
	}
	keys, err := p.SigningKeys(t.Context(), admin)
	if err != nil || len(keys) != 3 || keys[0].State(p.World.Now()) != "signing" || keys[1].State(p.World.Now()) != "retired" {
		t.Errorf("%+v, %v", keys, err)
	}
}

func header(t *testing.T, token string) (h map[string]any) {
	t.Helper()
	if err := json.Unmarshal(decode(t, token), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestDevices(t *testing.T) {
	t.Parallel()
	p := start(t)
	cli := begin(t, p, func(p *sso.Party) {
		p.Kind, p.Auth, p.Device, p.RedirectURIs, p.PostLogoutURIs = sso.KindNative, sso.AuthNone, true, nil, nil
	})
	ask := func(code string) tokens {
		return cli.post("/oauth2/token", map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code})
	}
	begin := func() tokens {
		d := cli.post("/oauth2/device", map[string]string{"scope": "openid profile offline_access"})
		if d.status != 200 || d.body["interval"] != 5.0 || d.body["expires_in"] != 600.0 {
			t.Fatal(d.raw)
		}
		return d
	}
	answer := func(d tokens, what string) answer {
		return cli.visit(http.MethodPost, cli.URL+"/device", map[string][]string{"code": {d.text("user_code")}, "answer": {what}})
	}
	d := begin()
	wantError(t, ask(d.text("device_code")), 400, "authorization_pending")
	wantError(t, ask(d.text("device_code")), 400, "slow_down")
	wantPage(t, cli.visit(http.MethodGet, d.text("verification_uri_complete"), nil), 200, d.text("user_code"))
	wantPage(t, answer(d, ""), 200, "asks to act as you")
	wantPage(t, answer(d, "allow"), 200, "The device is in")
	wantPage(t, answer(d, "allow"), 422, "No device shows this code")
	got := ask(d.text("device_code"))
	if got.status != 200 || cli.claims(got.text("id_token"))["sub"] != "user-ann" || cli.refresh(got.text("refresh_token")).status != 200 {
		t.Error(got.raw)
	}
	wantError(t, ask(d.text("device_code")), 400, "invalid_grant")
	wantError(t, ask("x"), 400, "invalid_grant")
	p.World.Pass(time.Minute) // codes may be typed five times at once
	d = begin()
	wantPage(t, answer(d, "deny"), 200, "turned away")
	wantError(t, ask(d.text("device_code")), 400, "access_denied")
	d = begin()
	p.World.Pass(11 * time.Minute)
	wantError(t, ask(d.text("device_code")), 400, "expired_token")
	for range 5 {
		wantPage(t, cli.visit(http.MethodPost, cli.URL+"/device", map[string][]string{"code": {"BCDF-GHJK"}}), 422, "No device shows this code")
	}
	wantPage(t, cli.visit(http.MethodPost, cli.URL+"/device", map[string][]string{"code": {"BCDF-GHJK"}}), 503, "Too many codes")
}

func TestConsentIsAskedOnce(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, func(p *sso.Party) { p.Consent = true })
	answer := func(a answer, what string) answer {
		t.Helper()
		wantPage(t, a, 200, "know who you are?")
		return c.visit(http.MethodPost, c.URL+"/oauth2/consent", map[string][]string{"ticket": fields(a.page)["ticket"], "answer": {what}})
	}
	c.wantBack(t, c.authorize(map[string]string{"prompt": "none"}), "consent_required")
	c.wantBack(t, answer(c.authorize(nil), "deny"), "access_denied")
	if a := answer(c.authorize(nil), "allow"); c.exchange(a.values.Get("code"), nil).status != 200 {
		t.Errorf("%+v", a)
	}
	c.signIn(nil)
	answer(c.authorize(map[string]string{"scope": "openid email"}), "allow") // more than before
	c.signIn(map[string]string{"scope": "openid email"})
	if err := p.Revoke(t.Context(), odcm.Principal{User: "user-ann"}, "user-ann", c.party.ID); err != nil {
		t.Fatal(err)
	}
	answer(c.authorize(nil), "allow")
}

func TestWhatPeopleHaveIsTheirs(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := begin(t, p, func(p *sso.Party) { p.LogoutURI = "https://rp.example.com/logged-out" })
	ann, eve := odcm.Principal{User: "user-ann"}, odcm.Principal{User: "user-eve"}
	got := c.signIn(map[string]string{"scope": "openid offline_access"})
	c.signIn(nil)
	all, err := p.Sessions(t.Context(), ann, "user-ann", "", 10)
	if err != nil || len(all) != 2 || all[0].Party.Name != "Payments" || all[0].Offline || !all[1].Offline {
		t.Fatalf("%+v, %v", all, err)
	}
	if page, err := p.Sessions(t.Context(), admin, "user-ann", all[0].ID, 10); err != nil || len(page) != 1 || page[0].ID != all[1].ID {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := p.Sessions(t.Context(), eve, "user-ann", "", 10); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("Eve looks: %v", err)
	}
	if err := p.Revoke(t.Context(), eve, "user-ann", c.party.ID); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("Eve revokes: %v", err)
	}
	p.World.Deafen(2)
	if err := p.Revoke(t.Context(), ann, "user-ann", c.party.ID); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.refresh(got.text("refresh_token")), 400, "invalid_grant")
	if all, err := p.Sessions(t.Context(), ann, "user-ann", "", 10); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	p := start(t)
	c, other := begin(t, p, nil), begin(t, p, nil)
	public := begin(t, p, func(p *sso.Party) { p.Auth = sso.AuthNone })
	got := c.signIn(map[string]string{"scope": "openid email offline_access"})
	introspect := func(c client, token string) tokens {
		return c.post("/oauth2/introspect", map[string]string{"token": token})
	}
	for _, token := range []string{got.text("access_token"), got.text("refresh_token")} {
		if mine := introspect(c, token); mine.body["active"] != true || mine.text("sub") != "user-ann" || mine.text("scope") != "openid email offline_access" {
			t.Error(mine.raw)
		}
		if theirs := introspect(other, token); theirs.raw != `{"active":false}` {
			t.Error(theirs.raw)
		}
		wantError(t, introspect(public, token), 401, "invalid_client")
	}
	wantError(t, other.post("/oauth2/revoke", map[string]string{"token": got.text("refresh_token")}), 400, "invalid_grant")
	if gone := c.post("/oauth2/revoke", map[string]string{"token": "x"}); gone.status != 200 {
		t.Error(gone.raw)
	}
	if gone := c.post("/oauth2/revoke", map[string]string{"token": got.text("access_token")}); gone.status != 200 {
		t.Error(gone.raw)
	}
	if after := introspect(c, got.text("refresh_token")); after.raw != `{"active":false}` {
		t.Error(after.raw)
	}
	wantError(t, c.userinfo(got.text("access_token")), 401, "invalid_token")
	wantError(t, c.userinfo(got.text("id_token")), 401, "invalid_token")
	narrowed := c.signIn(map[string]string{"scope": "openid email offline_access"})
	less := c.post("/oauth2/token", map[string]string{"grant_type": "refresh_token", "refresh_token": narrowed.text("refresh_token"), "scope": "openid"})
	if less.text("scope") != "openid" || c.claims(less.text("id_token"))["email"] != nil {
		t.Error(less.raw)
	}
	wantError(t, c.post("/oauth2/token", map[string]string{"grant_type": "refresh_token", "refresh_token": less.text("refresh_token"), "scope": "openid profile"}), 400, "invalid_scope")
}

// TestWhoComesIsWaitedForOnce shows that a sign-in waits for the account on the server, and that tokens do not.
func TestWhoComesIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := octopus(t, p, true)
	v, challenge := verifier()
	a := c.authorize(map[string]string{"scope": "openid profile email offline_access", "code_challenge": challenge, "code_challenge_method": "S256"})
	if n := p.World.Arrived(); n != 1 || a.values.Get("code") == "" {
		t.Errorf("waited %d times at the sign-in: %+v", n, a)
	}
	got := c.exchange(a.values.Get("code"), map[string]string{"code_verifier": v})
	again := c.refresh(got.text("refresh_token"))
	if info := c.userinfo(again.text("access_token")); info.status != http.StatusOK {
		t.Fatal(info.raw)
	}
	if n := p.World.Arrived(); n != 0 {
		t.Errorf("waited %d times for tokens", n)
	}
	c.authorize(map[string]string{"response_type": "code id_token", "response_mode": "form_post", "nonce": "n"})
	if n := p.World.Arrived(); n != 1 {
		t.Errorf("waited %d times where the ID token goes with the browser", n)
	}
	other := begin(t, p, func(*sso.Party) {}) // no server of a Space
	other.authorize(map[string]string{"scope": "openid", "nonce": "n"})
	if n := p.World.Arrived(); n != 0 {
		t.Errorf("waited %d times for an account at a wiki", n)
	}
}
