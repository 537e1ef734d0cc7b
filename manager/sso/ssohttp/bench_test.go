package ssohttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// BenchmarkSignIn is a sign-in with a session present, without the network: authorize with PKCE, code, tokens; many at once,
// as commits are grouped.
func BenchmarkSignIn(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"SQLite": dbtest.SQLite, "PostgreSQL": dbtest.PostgreSQL} {
		for _, alg := range []sso.Algorithm{sso.ES256, sso.RS256} {
			b.Run(name+"/"+string(alg), func(b *testing.B) { benchmarkSignIn(b, dbtest.Open(b, url(b)), alg) })
		}
	}
}

func benchmarkSignIn(b *testing.B, d *db.DB, alg sso.Algorithm) {
	p := ssotest.New(b, d)
	party, secret := p.Party(func(p *sso.Party) { p.Algorithm = alg })
	session := p.World.SignIn("user-ann")
	v, challenge := verifier()
	q := url.Values{"client_id": {string(party.ID)}, "redirect_uri": party.RedirectURIs, "response_type": {"code"}, "scope": {"openid profile email offline_access"}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodGet, "/oauth2/authorize?"+q.Encode(), nil)
			r.AddCookie(&http.Cookie{Name: ssotest.Cookie, Value: session})
			w := httptest.NewRecorder()
			p.Door.ServeHTTP(w, r)
			to, err := url.Parse(w.Header().Get("Location"))
			if err != nil || to.Query().Get("code") == "" {
				b.Errorf("%d %v", w.Code, w.Header())
				return
			}
			form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": party.RedirectURIs, "client_id": {string(party.ID)},
				"client_secret": {secret}, "code_verifier": {v}}
			r = httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w = httptest.NewRecorder()
			if p.Door.ServeHTTP(w, r); w.Code != http.StatusOK {
				text, _ := io.ReadAll(w.Body)
				b.Errorf("%d %s", w.Code, text)
				return
			}
		}
	})
}
