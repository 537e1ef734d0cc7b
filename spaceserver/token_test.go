package spaceserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"odcm/kit/db/dbtest"
	"odcm/octopus"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/signin/issuertest"
)

// trusting is a server whose service accounts may trust issuers on this computer.
func trusting(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url string) { f(t, start(t, spaceserver.Options{Database: url, PlainIssuers: true})) })
}

// serviceAccount makes a service account that may look at environments.
func (w *world) serviceAccount(name string) octopus.Object {
	w.t.Helper()
	user := w.create("/api/users", fields{"Username": name, "DisplayName": name, "IsService": true})
	team := w.create("/api/teams", fields{"Name": "Team of " + name, "MemberUserIds": []string{user.Text("Id")}})
	w.create("/api/scopeduserroles", fields{"UserRoleId": "userroles-environmentviewer", "TeamId": team.Text("Id"), "SpaceId": "Spaces-1"})
	return user
}

const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	tokenTypeJWT  = "urn:ietf:params:oauth:token-type:jwt"
)

// bearer sends a request with an access token.
func (w *world) bearer(token, path string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = got.Body.Close()
	return got.StatusCode
}

func TestAServiceAccountExchangesATokenOfItsIssuer(t *testing.T) {
	t.Parallel()
	trusting(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "unused", "unused")
		account := w.serviceAccount("pipeline")
		identities := "/api/serviceaccounts/" + account.Text("Id") + "/oidcidentities/"
		made := w.create(identities+"create/v1", fields{"Name": "Builds", "Issuer": i.URL, "Subject": "repo:acme/*:ref:refs/heads/mai?", "ServiceAccountId": account.Text("Id")})
		listed := w.get(identities + "v1")
		external := listed.Text("ExternalId")
		if len(external) != 36 || listed.Int("Count") != 1 || listed.Objects("OidcIdentities")[0].Text("Id") != made.Text("Id") || listed.Text("ServerUrl") != w.url {
			t.Fatalf("listed: %v", listed)
		}
		about := w.as("").get("/.well-known/openid-configuration")
		if about.Text("issuer") != w.url || about.Text("token_endpoint") == "" || about.Text("jwks_uri") == "" {
			t.Fatalf("discovery: %v", about)
		}
		endpoint := strings.TrimPrefix(about.Text("token_endpoint"), w.url)
		subject := func(audience string, change fields) string {
			claims := i.Claims(audience)
			claims["sub"] = "repo:acme/web:ref:refs/heads/main"
			for name, value := range change {
				claims[name] = value
			}
			return i.Sign(claims, i.KID())
		}
		request := func(token string) fields {
			return fields{"grant_type": exchangeGrant, "audience": external, "subject_token_type": tokenTypeJWT, "subject_token": token}
		}
		got := w.as("").want(http.StatusOK, http.MethodPost, endpoint, request(subject(external, nil)))
		token := got.Text("access_token")
		if got.Text("token_type") != "Bearer" || got.Int("expires_in") != 3600 || got.Text("issued_token_type") != "urn:ietf:params:oauth:token-type:access_token" {
			t.Errorf("answered %v", got)
		}
		if me := w.bearer(token, "/api/Spaces-1/environments"); me != http.StatusOK {
			t.Errorf("with the token: %d", me)
		}
		if got := w.bearer(token, "/api/users"); got != http.StatusForbidden {
			t.Errorf("beyond the account's permissions: %d", got)
		}
		if got := w.bearer(token[:len(token)-4]+"AAAA", "/api/users/me"); got != http.StatusUnauthorized {
			t.Errorf("with a changed token: %d", got)
		}
		checkKeys(t, w, about.Text("jwks_uri"), token)

		t.Run("as a form", func(t *testing.T) {
			form := url.Values{}
			for name, value := range request(subject(external, nil)) {
				form.Set(name, value.(string))
			}
			answer, err := http.PostForm(w.url+endpoint, form)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("status %d", answer.StatusCode)
			}
		})
		for name, change := range map[string]fields{
			"another audience":      {"audience": "somebody"},
			"another grant":         {"grant_type": "password"},
			"another kind of token": {"subject_token_type": "x"},
			"no token":              {"subject_token": ""},
			"another subject":       {"subject_token": subject(external, fields{"sub": "repo:evil/web:ref:refs/heads/main"})},
			"a subject too short":   {"subject_token": subject(external, fields{"sub": "repo:acme/web:ref:refs/heads/mai"})},
			"for somebody else":     {"subject_token": subject("https://somebody", nil)},
			"another issuer":        {"subject_token": subject(external, fields{"iss": "https://elsewhere.invalid"})},
			"expired":               {"subject_token": subject(external, fields{"exp": time.Now().Add(-time.Minute).Unix()})},
			"not signed":            {"subject_token": i.Unsigned(i.Claims(external))},
			"signed by another": {"subject_token": i.SignWith(jose.SigningKey{Algorithm: jose.RS256, Key: issuertest.Foreign(t)}, func() fields {
				c := i.Claims(external)
				c["sub"] = "repo:acme/web:ref:refs/heads/main"
				return c
			}(), i.KID())},
			"a token of our own": {"subject_token": token},
		} {
			body := request(subject(external, nil))
			for member, value := range change {
				body[member] = value
			}
			status, text := w.as("").send(http.MethodPost, endpoint, body)
			refused, err := octopus.ParseObject(text)
			if status != http.StatusBadRequest || err != nil || refused.Text("error") != "invalid_request" || refused.Text("error_description") == "" {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}

		t.Run("an audience of its own", func(t *testing.T) {
			w.want(http.StatusOK, http.MethodPut, identities+made.Text("Id")+"/v1", fields{"Name": "Builds", "Issuer": i.URL, "Subject": "*", "Audience": "api://custom"})
			w.as("").want(http.StatusOK, http.MethodPost, endpoint, request(subject("api://custom", nil)))
			w.as("").want(http.StatusBadRequest, http.MethodPost, endpoint, request(subject(external, nil)))
		})
		t.Run("no longer active", func(t *testing.T) {
			user := w.get("/api/users/" + account.Text("Id"))
			user.Set("IsActive", false)
			w.want(http.StatusOK, http.MethodPut, "/api/users/"+account.Text("Id"), user)
			if got := w.bearer(token, "/api/users/me"); got != http.StatusUnauthorized {
				t.Errorf("the token of a disabled account: %d", got)
			}
			w.as("").want(http.StatusBadRequest, http.MethodPost, endpoint, request(subject("api://custom", nil)))
		})
		w.want(http.StatusOK, http.MethodDelete, identities+made.Text("Id")+"/v1", nil)
		if got := w.get(identities + "v1").Int("Count"); got != 0 {
			t.Errorf("%d identities are left", got)
		}
	})
}

// checkKeys checks an access token with the keys that the server publishes, as anybody else might.
func checkKeys(t *testing.T, w *world, uri, token string) {
	t.Helper()
	_, text := w.as("").send(http.MethodGet, strings.TrimPrefix(uri, w.url), nil)
	if strings.Contains(string(text), `"d":`) {
		t.Fatal("the private key is public")
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(keys.Key(parsed.Headers[0].KeyID)[0], &claims); err != nil || claims.Issuer != w.url {
		t.Errorf("the published keys do not check the token: %v, %+v", err, claims)
	}
}

func TestOIDCIdentitiesAreForServiceAccountsAndHTTPS(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	account := w.serviceAccount("pipeline")
	person := w.create("/api/users", fields{"Username": "ada", "DisplayName": "Ada", "Password": "a long password"})
	body := fields{"Name": "x", "Issuer": "https://issuer.example.com", "Subject": "x"}
	w.want(http.StatusBadRequest, http.MethodPost, "/api/serviceaccounts/"+person.Text("Id")+"/oidcidentities/create/v1", body)
	for _, issuer := range []string{"http://127.0.0.1:1", "x", "", "https://a?b"} {
		body["Issuer"] = issuer
		w.want(http.StatusBadRequest, http.MethodPost, "/api/serviceaccounts/"+account.Text("Id")+"/oidcidentities/create/v1", body)
	}
	body["Issuer"] = "https://issuer.example.com"
	w.create("/api/serviceaccounts/"+account.Text("Id")+"/oidcidentities/create/v1", body)
	key := w.create("/api/users/"+person.Text("Id")+"/apikeys", fields{"Purpose": "x"}).Text("ApiKey")
	w.as(key).want(http.StatusForbidden, http.MethodPost, "/api/serviceaccounts/"+account.Text("Id")+"/oidcidentities/create/v1", body)
}

func TestAPIKeysEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ada := w.create("/api/users", fields{"Username": "ada", "DisplayName": "Ada", "Password": "a long password"})
		keys := "/api/users/" + ada.Text("Id") + "/apikeys"
		soon := w.create(keys, fields{"Purpose": "soon", "Expires": time.Now().Add(1500 * time.Millisecond)})
		if got := w.as(soon.Text("ApiKey")).get("/api/users/me").Text("Username"); got != "ada" {
			t.Errorf("the key is that of %q", got)
		}
		if shown := w.get(keys + "/" + soon.Text("Id")); shown.Text("LastUsed") == "" {
			t.Errorf("a key that was used says nothing of it: %v", shown)
		}
		w.want(http.StatusBadRequest, http.MethodPost, keys, fields{"Purpose": "past", "Expires": "2020-01-01T00:00:00Z"})
		w.want(http.StatusBadRequest, http.MethodPost, keys, fields{"Purpose": "never", "Expires": "soon"})
		hour := w.create(keys, fields{"Purpose": "hour", "Expires": time.Now().Add(time.Hour)})
		with := w.as(hour.Text("ApiKey"))
		with.want(http.StatusBadRequest, http.MethodPost, "/api/users/me/apikeys", fields{"Purpose": "longer", "Expires": time.Now().Add(2 * time.Hour)})
		if made := with.create("/api/users/me/apikeys", fields{"Purpose": "as long"}); made.Text("Expires") == "" {
			t.Errorf("a key that ends made one that does not: %v", made)
		}
		w.configure("authentication", fields{"ApiKeyMaxExpiryDays": 10})
		refused := w.want(http.StatusBadRequest, http.MethodPost, keys, fields{"Purpose": "long", "Expires": time.Now().AddDate(0, 0, 11)})
		if !strings.Contains(refused.Texts("Errors")[0], "10 days") {
			t.Errorf("refused with %v", refused)
		}
		if made := w.create(keys, fields{"Purpose": "none said"}); octopus.As[time.Time](made, "Expires").After(time.Now().AddDate(0, 0, 11)) || made.Text("Expires") == "" {
			t.Errorf("a key without a date: %v", made)
		}
		w.configure("authentication", fields{"UserApiKeysEnabled": false})
		w.want(http.StatusBadRequest, http.MethodPost, keys, fields{"Purpose": "disabled"})
		bot := w.create("/api/users", fields{"Username": "bot", "DisplayName": "Bot", "IsService": true})
		w.create("/api/users/"+bot.Text("Id")+"/apikeys", fields{"Purpose": "of a service account"})
		with.get("/api/users/me") // keys that are there go on
		await(t, "the key to end", func() bool {
			status, text := w.as(soon.Text("ApiKey")).send(http.MethodGet, "/api/users/me", nil)
			return status == http.StatusUnauthorized && strings.Contains(string(text), "expired")
		})
		ada = w.get("/api/users/" + ada.Text("Id"))
		ada.Set("IsActive", false)
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+ada.Text("Id"), ada)
		with.want(http.StatusUnauthorized, http.MethodGet, "/api/users/me", nil)
	})
}

func TestSessionsAreRevokedOnEveryNode(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		w := start(t, spaceserver.Options{Database: url, AdminPassword: adminPassword})
		other := w
		if strings.HasPrefix(url, "postgres") {
			other = start(t, spaceserver.Options{Database: url, Data: w.data, Name: "second"})
		}
		b := w.browser()
		if got := b.do("POST", "/api/users/login", nil); got.status != http.StatusBadRequest {
			t.Fatalf("an empty login: %d", got.status)
		}
		cookies := b.login("admin", adminPassword)
		for _, node := range []*world{w, other} {
			if got := node.cookie(cookies, http.MethodGet, "/api/users/me"); got != http.StatusOK {
				t.Fatalf("with the session: %d", got)
			}
		}
		me := w.get("/api/users/me").Text("Id")
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+me+"/revoke-sessions", nil)
		for _, node := range []*world{w, other} {
			if got := node.cookie(cookies, http.MethodGet, "/api/users/me"); got != http.StatusUnauthorized {
				t.Errorf("after it was revoked: %d", got)
			}
		}
		// A limit that is lowered ends what is longer.
		cookies = b.login("admin", adminPassword)
		w.configure("authentication", fields{"MaximumSessionDurationInSeconds": 60})
		if got := w.cookie(cookies, http.MethodGet, "/api/users/me"); got != http.StatusUnauthorized {
			t.Errorf("beyond the longest: %d", got)
		}
	})
}

// login signs in by the API and returns the session's cookies.
func (b *browser) login(name, password string) []*http.Cookie {
	b.t.Helper()
	text, err := json.Marshal(fields{"Username": name, "Password": password, "RememberMe": true})
	if err != nil {
		b.t.Fatal(err)
	}
	got, err := http.Post(b.w.url+"/api/users/login", "application/json", strings.NewReader(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		b.t.Fatalf("login: %d", got.StatusCode)
	}
	return got.Cookies()
}

func (w *world) cookie(cookies []*http.Cookie, method, path string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = got.Body.Close()
	return got.StatusCode
}

func TestAnInvitationLetsOnePersonIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		team := w.create("/api/teams", fields{"Name": "Newcomers"})
		w.create("/api/scopeduserroles", fields{"UserRoleId": "userroles-environmentviewer", "TeamId": team.Text("Id"), "SpaceId": "Spaces-1"})
		code := w.create("/api/users/invitations", fields{"AddToTeamIds": []string{team.Text("Id")}}).Text("InvitationCode")
		nobody := w.as("")
		register := func(code, name, password string) (int, []byte) {
			return nobody.send(http.MethodPost, "/api/users/register", fields{"InvitationCode": code, "Username": name, "DisplayName": "Eve", "EmailAddress": "eve@example.com", "Password": password})
		}
		for _, bad := range []struct{ code, name, password string }{{"", "eve", "a long password"}, {strings.Repeat("A", 26), "eve", "a long password"}, {code, "eve", "short"}, {code, "", "a long password"}, {code, "admin", "a long password"}} {
			if got, text := register(bad.code, bad.name, bad.password); got != http.StatusBadRequest {
				t.Errorf("%v: %d %s", bad, got, text)
			}
		}
		if got, text := register(code, "eve", "a long password"); got != http.StatusOK || !strings.Contains(string(text), `"Username":"eve"`) {
			t.Fatalf("registered: %d %s", got, text)
		}
		if got := w.cookie(w.browser().login("eve", "a long password"), http.MethodGet, "/api/Spaces-1/environments"); got != http.StatusOK {
			t.Errorf("the newcomer is not in the team: %d", got)
		}
		if got, _ := register(code, "eve2", "a long password"); got != http.StatusBadRequest {
			t.Errorf("the code worked twice: %d", got)
		}
		// Who may invite may not so make administrators.
		host := w.create("/api/users", fields{"Username": "host", "DisplayName": "Host", "Password": "a long password"})
		role := w.create("/api/userroles", fields{"Name": "Host", "GrantedSystemPermissions": []string{"UserInvite", "UserView"}})
		hosts := w.create("/api/teams", fields{"Name": "Hosts", "MemberUserIds": []string{host.Text("Id")}})
		w.create("/api/scopeduserroles", fields{"UserRoleId": role.Text("Id"), "TeamId": hosts.Text("Id")})
		key := w.create("/api/users/"+host.Text("Id")+"/apikeys", fields{"Purpose": "x"}).Text("ApiKey")
		w.as(key).want(http.StatusForbidden, http.MethodPost, "/api/users/invitations", fields{"AddToTeamIds": []string{"teams-administrators"}})
		w.as(key).create("/api/users/invitations", fields{"AddToTeamIds": []string{}})
	})
}
