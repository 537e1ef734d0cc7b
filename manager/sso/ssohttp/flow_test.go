package ssohttp_test

import (
	"net/http"
	"testing"

	"odcm/manager/sso"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, alg := range []sso.Algorithm{sso.ES256, sso.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			c := begin(t, p, func(p *sso.Party) { p.Algorithm = alg })
			v, challenge := verifier()
			a := c.authorize(map[string]string{"scope": "openid profile email offline_access", "nonce": "n1", "code_challenge": challenge, "code_challenge_method": "S256"})
			if a.status != http.StatusSeeOther || a.values.Get("state") != "s/t +1" || a.values.Get("iss") != c.URL {
				t.Fatalf("%+v", a)
			}
			got := c.exchange(a.values.Get("code"), map[string]string{"code_verifier": v})
			if got.status != http.StatusOK {
				t.Fatal(got.raw)
			}
			claims := c.claims(got.text("id_token"))
			for name, want := range map[string]any{"iss": c.URL, "sub": "user-ann", "azp": string(c.party.ID), "nonce": "n1", "name": "Ann Example",
				"preferred_username": "user-ann", "email": "user-ann@example.com", "email_verified": true} {
				if claims[name] != want {
					t.Errorf("%s is %v, want %v", name, claims[name], want)
				}
			}
			again := c.refresh(got.text("refresh_token"))
			if again.status != http.StatusOK || again.text("refresh_token") == got.text("refresh_token") {
				t.Fatal(again.raw)
			}
			if info := c.userinfo(again.text("access_token")); info.status != 200 || info.text("sub") != "user-ann" || info.text("name") != "Ann Example" {
				t.Error(info.raw)
			}
			wantError(t, c.refresh(got.text("refresh_token")), 400, "invalid_grant")
			wantError(t, c.refresh(again.text("refresh_token")), 400, "invalid_grant")
			if info := c.userinfo(again.text("access_token")); info.status != 401 {
				t.Errorf("the family was not revoked: %s", info.raw)
			}
		})
	}
}
