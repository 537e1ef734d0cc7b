package spaceserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"odcm/octopus"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/signin/issuertest"
)

// configure sets a section of the configuration.
func (w *world) configure(id string, values fields) octopus.Object {
	w.t.Helper()
	return w.want(http.StatusOK, http.MethodPut, "/api/configuration/"+id+"/values", values)
}

// trust sets a slot up for the provider.
func (w *world) trust(section string, i *issuertest.Issuer, more fields) {
	w.t.Helper()
	values := fields{"IsEnabled": true, "Issuer": i.URL, "ClientId": i.ClientID}
	if i.ClientSecret != "" {
		values["ClientSecret"] = fields{"HasValue": true, "NewValue": i.ClientSecret}
	}
	for name, value := range more {
		values[name] = value
	}
	w.configure(section, values)
}

const clientSecret = "a secret of the client"

func TestEverySlotSignsPeopleIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, slot := range []struct {
			route, section, name, secret string
			more                         fields
		}{
			{"Okta", "authentication-od", "Okta", clientSecret, nil},
			{"AzureAD", "authentication-aad", "Azure AD", "", nil},
			{"GoogleApps", "authentication-googleapps", "Google Apps", clientSecret, fields{"HostedDomain": "example.com"}},
			{"GenericOidc", "authentication-generic-oidc", "Generic OIDC", clientSecret, fields{"DisplayName": "Corporate", "RoleClaimType": "grp", "Scopes": []string{"openid", "email"}}},
		} {
			i := issuertest.New(t, "space-server", slot.secret)
			name := strings.ToLower(slot.route)
			i.Set(map[string]any{"sub": name, "email": name + "@example.com", "upn": name, "preferred_username": name, "name": "The " + slot.name, "hd": "example.com",
				"groups": []string{"g-" + name}, "roles": "r-" + name, "grp": []string{"x"}})
			w.trust(slot.section, i, slot.more)
			b := w.browser()
			got := b.signIn(slot.route, "/app/dashboard?x=1")
			if got.status != http.StatusFound || got.location != "/app/dashboard?x=1" {
				t.Fatalf("%s: %d to %q: %s", slot.route, got.status, got.location, got.body)
			}
			want := name
			if slot.route == "GoogleApps" {
				want = name + "@example.com"
			}
			if me := b.me(); me != want {
				t.Errorf("%s: signed in as %q, want %q", slot.route, me, want)
			}
			user := w.get("/api/users/" + url.PathEscape(want))
			identity := user.Objects("Identities")[0]
			if identity.Text("IdentityProviderName") != slot.name || identity.Object("Claims").Object("eid").Text("Value") != name ||
				!identity.Object("Claims").Object("email").Bool("IsIdentifyingClaim") || identity.Object("Claims").Object("dn").Text("Value") != "The "+slot.name {
				t.Errorf("%s: identity %v", slot.route, identity)
			}
			for _, asked := range i.Asked() {
				if asked.Get("client_secret") != clientSecret || asked.Get("code_verifier") == "" {
					t.Errorf("%s: asked for the token with %v", slot.route, asked)
				}
			}
			// The second time it is the same user, and nothing is asked of the provider that is known.
			if got := w.browser().signIn(slot.route, "/"); got.status != http.StatusFound {
				t.Errorf("%s again: %d %s", slot.route, got.status, got.body)
			}
			if discovery, keys := i.Fetched(); discovery != 1 || keys != 1 {
				t.Errorf("%s: discovery was asked for %d times, keys %d times", slot.route, discovery, keys)
			}
		}
		listed := w.as("").get("/api/authentication").Objects("AuthenticationProviders")
		if len(listed) != 5 || listed[1].Text("Name") != "Okta" || listed[1].Text("IdentityType") != "OAuth" || listed[1].Object("Links").Text("Authenticate") != "/users/authenticate/Okta" {
			t.Errorf("listed: %v", listed)
		}
	})
}

func TestGroupsOfAProviderMakeMembers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		w.trust("authentication-od", i, nil)
		team := w.create("/api/teams", fields{"Name": "Engineers", "ExternalSecurityGroups": []fields{{"Id": "ENGINEERS", "DisplayName": "Engineers"}}})
		w.create("/api/scopeduserroles", fields{"UserRoleId": "userroles-environmentmanager", "TeamId": team.Text("Id"), "SpaceId": "Spaces-1"})
		b := w.browser()
		b.signIn("Okta", "/")
		if got := b.do("GET", "/api/Spaces-1/environments", nil); got.status != http.StatusOK {
			t.Fatalf("a member through a group may not look: %d %s", got.status, got.body)
		}
		memberships := b.do("GET", "/api/teammembership", nil).body
		if !strings.Contains(memberships, `"IsDirectlyAssigned":false`) || !strings.Contains(memberships, `"Id":"ENGINEERS"`) {
			t.Errorf("memberships: %s", memberships)
		}
		i.Set(map[string]any{"groups": []string{"Other"}})
		if w.browser().signIn("Okta", "/"); b.do("GET", "/api/Spaces-1/environments", nil).status != http.StatusForbidden {
			t.Error("who left the group is still let in, in another session too")
		}
		i.Set(map[string]any{"groups": "engineers"}) // one of them, as text
		if w.browser().signIn("Okta", "/"); b.do("GET", "/api/Spaces-1/environments", nil).status != http.StatusOK {
			t.Error("who came back to the group is not let in")
		}
		w.want(http.StatusOK, http.MethodPut, "/api/teams/"+team.Text("Id"), fields{"Name": "Engineers", "ExternalSecurityGroups": []fields{}})
		if got := b.do("GET", "/api/Spaces-1/environments", nil); got.status != http.StatusForbidden {
			t.Errorf("the team names the group no more: %d", got.status)
		}
	})
}

func TestWhoIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		w.trust("authentication-od", i, fields{"AllowAutoUserCreation": false})
		refused := func(words string) {
			t.Helper()
			b := w.browser()
			got := b.signIn("Okta", "/")
			if got.status != http.StatusBadRequest || !strings.Contains(got.body, words) || !strings.Contains(got.header.Get("Content-Type"), "text/html") || b.me() != "" {
				t.Errorf("%d, want a refusal with %q: %s", got.status, words, got.body)
			}
		}
		refused("auto user creation is not enabled")
		bot := w.create("/api/users", fields{"Username": "bot", "DisplayName": "Bot", "IsService": true, "EmailAddress": "Ada@example.com"})
		refused("service account")
		w.want(http.StatusOK, http.MethodDelete, "/api/users/"+bot.Text("Id"), nil)
		ada := w.create("/api/users", fields{"Username": "lovelace", "DisplayName": "Ada", "EmailAddress": "ada@example.com"})
		b := w.browser()
		if got := b.signIn("Okta", "/"); got.status != http.StatusFound || b.me() != "lovelace" {
			t.Fatalf("by e-mail address: %d %s", got.status, got.body)
		}
		ada = w.get("/api/users/" + ada.Text("Id"))
		ada.Set("IsActive", false)
		w.want(http.StatusOK, http.MethodPut, "/api/users/"+ada.Text("Id"), ada)
		if b.me() != "" {
			t.Error("the session of a disabled user goes on")
		}
		refused("disabled by an administrator")
		w.create("/api/users", fields{"Username": "x1", "DisplayName": "X", "EmailAddress": "twice@example.com"})
		w.create("/api/users", fields{"Username": "x2", "DisplayName": "X", "EmailAddress": "twice@example.com"})
		i.Set(map[string]any{"sub": "other", "email": "twice@example.com"})
		refused("multiple users")
		i.Set(map[string]any{"email_verified": false})
		refused("auto user creation is not enabled") // an unproven address finds nobody
		events := w.get("/api/events?eventCategories=LoginFailed")
		if events.Int("TotalResults") != 5 || !strings.Contains(events.Objects("Items")[0].Text("Message"), "Okta") {
			t.Errorf("events of refusals: %v", events)
		}
		w.configure("authentication-od", fields{"IsEnabled": false})
		if got := w.browser().signIn("Okta", "/"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "disabled") {
			t.Errorf("a disabled provider: %d %s", got.status, got.body)
		}
	})
}

func TestTokensThatDoNotStandTheCheck(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	i := issuertest.New(t, "space-server", clientSecret)
	w.trust("authentication-od", i, nil)
	foreign := issuertest.Foreign(t)
	with := func(name string, value any) func(map[string]any) string {
		return func(c map[string]any) string { c[name] = value; return i.Sign(c, i.KID()) }
	}
	for name, forge := range map[string]func(map[string]any) string{
		"for another audience": with("aud", "somebody-else"),
		"of another issuer":    with("iss", "https://elsewhere.example.com"),
		"expired":              with("exp", time.Now().Add(-time.Minute).Unix()),
		"of the future":        with("nbf", time.Now().Add(time.Hour).Unix()),
		"that never ends":      func(c map[string]any) string { delete(c, "exp"); return i.Sign(c, i.KID()) },
		"that names no user":   func(c map[string]any) string { delete(c, "sub"); return i.Sign(c, i.KID()) },
		"not signed":           i.Unsigned,
		"signed by another key": func(c map[string]any) string {
			return i.SignWith(jose.SigningKey{Algorithm: jose.RS256, Key: foreign}, c, i.KID())
		},
		"with a key nobody has": func(c map[string]any) string {
			return i.SignWith(jose.SigningKey{Algorithm: jose.RS256, Key: foreign}, c, "unknown")
		},
		"that does not name a key": func(c map[string]any) string { return i.Sign(c, "") },
		"with the public key as a secret": func(c map[string]any) string {
			return i.SignWith(jose.SigningKey{Algorithm: jose.HS256, Key: i.PublicPEM()}, c, i.KID())
		},
		"with the client's secret": func(c map[string]any) string {
			return i.SignWith(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat(clientSecret, 2))}, c, i.KID())
		},
		"too large":  with("padding", strings.Repeat("x", 100<<10)),
		"not one":    func(map[string]any) string { return "a.b.c" },
		"endless":    func(map[string]any) string { return strings.Repeat("A", 5<<20) },
		"in a shape": with("sub", map[string]any{"deep": 1}),
	} {
		t.Run(name, func(t *testing.T) {
			i.Forge(forge)
			defer i.Forge(nil)
			b := &browser{t, w, w.browser().http}
			got := b.signIn("Okta", "/")
			if got.status != http.StatusBadRequest || b.me() != "" {
				t.Errorf("%d to %q: %s", got.status, got.location, got.body)
			}
			if strings.Contains(got.body, clientSecret) || strings.Contains(got.body, "eyJ") {
				t.Errorf("the page tells secrets: %s", got.body)
			}
		})
	}
	if n := w.get("/api/users").Int("TotalResults"); n != 1 {
		t.Errorf("%d users", n)
	}
	t.Run("a new key is fetched once", func(t *testing.T) {
		_, before := i.Fetched()
		i.Rotate("second")
		if got := (&browser{t, w, w.browser().http}).signIn("Okta", "/"); got.status != http.StatusFound {
			t.Errorf("%d %s", got.status, got.body)
		}
		if _, after := i.Fetched(); after != before+1 {
			t.Errorf("keys were fetched %d times", after-before)
		}
	})
}

func TestASignInBelongsToOneBrowserAndHappensOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		w.trust("authentication-od", i, nil)
		mine, other := w.browser(), w.browser()
		back := mine.do("GET", mine.do("GET", "/signin/Okta", nil).location, nil).location
		if got := other.do("GET", back, nil); got.status != http.StatusBadRequest || other.me() != "" {
			t.Errorf("another browser came back with it: %d", got.status)
		}
		if strings.Contains(back, "code_verifier") || !strings.Contains(back, "RequestId") {
			t.Errorf("what goes through the browser: %s", back)
		}
		if got := mine.do("GET", back, nil); got.status != http.StatusFound {
			t.Fatalf("the browser that began it: %d %s", got.status, got.body)
		}
		if got := mine.do("GET", back, nil); got.status != http.StatusBadRequest {
			t.Errorf("a second time: %d", got.status)
		}
		if n := len(i.Asked()); n != 1 {
			t.Errorf("the provider was asked for %d tokens", n)
		}
		// The same with the state of one sign-in and the cookie of another, and with an error of the provider.
		start := mine.do("GET", "/signin/Okta", nil).location
		target, err := url.Parse(start)
		if err != nil {
			t.Fatal(err)
		}
		state := target.Query().Get("state")
		got := mine.do("GET", "/api/users/authenticatedToken/Okta?"+url.Values{"error": {"access_denied<script>"}, "error_description": {"<b>"}, "state": {state}}.Encode(), nil)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "access_denied") || strings.Contains(got.body, "<script>") || strings.Contains(got.body, "<b>") {
			t.Errorf("an error of the provider: %d %s", got.status, got.body)
		}
		for _, bad := range []string{"", "state=x&code=y", "state=" + url.QueryEscape(state+" ") + "&code=y", "code=y"} {
			if got := mine.do("GET", "/api/users/authenticatedToken/Okta?"+bad, nil); got.status != http.StatusBadRequest {
				t.Errorf("%q: %d", bad, got.status)
			}
		}
		hybrid := issuertest.New(t, "space-server", "")
		w.trust("authentication-aad", hybrid, nil)
		page := mine.do("GET", mine.do("GET", "/signin/AzureAD", nil).location, nil)
		hybrid.Forge(func(c map[string]any) string { c["nonce"] = "of another"; return hybrid.Sign(c, hybrid.KID()) })
		if got := mine.post(mine.do("GET", mine.do("GET", "/signin/AzureAD", nil).location, nil)); got.status != http.StatusBadRequest || !strings.Contains(got.body, "another sign-in") {
			t.Errorf("a token of another sign-in: %d %s", got.status, got.body)
		}
		hybrid.Forge(nil)
		if got := other.post(page); got.status != http.StatusBadRequest {
			t.Errorf("another browser posted it: %d", got.status)
		}
	})
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	i := issuertest.New(t, "space-server", clientSecret)
	w.trust("authentication-od", i, nil)
	w.configure("authentication", fields{"TrustedRedirectUrls": []string{"https://portal.example.com/odcm"}})
	for target, want := range map[string]int{
		"/": 200, "/app/x": 200, "https://portal.example.com/odcm": 200, "https://portal.example.com/odcm/a?b": 200,
		"//evil.example.com": 400, `/\evil.example.com`: 400, "https://evil.example.com": 400, "https://portal.example.com/odcmevil": 400,
		"https://portal.example.com.evil.example.com/odcm": 400, "https://portal.example.com@evil.example.com": 400, "javascript:alert(1)": 400, "\t//evil.example.com": 400, "x": 400,
	} {
		got, text := w.as("").send(http.MethodPost, "/users/authenticate/Okta", fields{"ApiAbsUrl": w.url, "State": fields{"RedirectAfterLoginTo": target, "UsingSecureConnection": false}})
		if got != want {
			t.Errorf("%q: %d, want %d: %s", target, got, want, text)
		}
	}
	for _, base := range []string{"x", "ftp://a", "https://a:b@c", "javascript:1"} {
		w.as("").want(http.StatusBadRequest, http.MethodPost, "/users/authenticate/Okta", fields{"ApiAbsUrl": base})
	}
	w.as("").want(http.StatusNotFound, http.MethodPost, "/users/authenticate/Nobody", fields{"ApiAbsUrl": w.url})
	asked := w.as("").want(http.StatusOK, http.MethodPost, "/users/authenticate/okta", fields{"ApiAbsUrl": w.url + "/", "State": nil})
	to, err := url.Parse(asked.Text("ExternalAuthenticationUrl"))
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	if q.Get("redirect_uri") != w.url+"/api/users/authenticatedToken/Okta" || q.Get("scope") != "openid profile email groups" || q.Get("response_type") != "code" || q.Has("nonce") || q.Has("response_mode") {
		t.Errorf("asked with %v", q)
	}
}

func TestASlowProviderHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{})
	i := issuertest.New(t, "space-server", clientSecret)
	w.trust("authentication-od", i, nil)
	release := i.Stall()
	defer release()
	b := w.browser()
	done := make(chan answer, 1)
	back := b.do("GET", b.do("GET", "/signin/Okta", nil).location, nil).location
	go func() { done <- b.do("GET", back, nil) }()
	await(t, "the provider to be asked", func() bool { return len(i.Asked()) == 1 })
	w.create("/api/Spaces-1/environments", fields{"Name": "Meanwhile"}) // the database is not held
	release()
	if got := <-done; got.status != http.StatusFound {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestSecretsOfTheConfigurationStay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		i := issuertest.New(t, "space-server", clientSecret)
		w.trust("authentication-od", i, nil)
		for _, path := range []string{"/api/configuration/authentication-od/values", "/api/events", "/api/configuration", "/api/configuration/authentication-od/metadata"} {
			if _, text := w.send(http.MethodGet, path, nil); strings.Contains(string(text), clientSecret) {
				t.Errorf("%s tells the secret: %s", path, text)
			}
		}
		read := w.get("/api/configuration/authentication-od/values")
		if !read.Object("ClientSecret").Bool("HasValue") || read.Text("Id") != "authentication-od" {
			t.Errorf("read: %v", read)
		}
		// What was read and sent back keeps the secret; so does leaving it out.
		w.want(http.StatusOK, http.MethodPut, "/api/configuration/authentication-od/values", read)
		w.configure("authentication-od", fields{"RoleClaimType": "groups"})
		if got := w.browser().signIn("Okta", "/"); got.status != http.StatusFound {
			t.Errorf("afterwards: %d %s", got.status, got.body)
		}
		for _, bad := range []fields{{"IsEnabled": true, "Issuer": "x"}, {"IsEnabled": true, "ClientId": ""}, {"IsEnabled": "yes"}} {
			w.want(http.StatusBadRequest, http.MethodPut, "/api/configuration/authentication-od/values", bad)
		}
		w.want(http.StatusBadRequest, http.MethodPut, "/api/configuration/authentication/values", fields{"SessionTimeoutInSeconds": 0})
		w.want(http.StatusNotFound, http.MethodGet, "/api/configuration/nothing/values", nil)
	})
}

func TestGuestsAreLetInWhereTheyAreWelcome(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		login := func() int {
			status, _ := w.as("").send(http.MethodPost, "/api/users/login", fields{"Username": "guest", "Password": ""})
			return status
		}
		if got := login(); got != http.StatusBadRequest {
			t.Errorf("unasked: %d", got)
		}
		w.configure("authentication-guest", fields{"IsEnabled": true})
		if got := login(); got != http.StatusOK {
			t.Errorf("guest: %d", got)
		}
		b := w.browser()
		if got := b.do("GET", "/signin/Guest?return=/app", nil); got.status != http.StatusFound || got.location != "/app" || b.me() != "guest" {
			t.Errorf("by the link: %d, as %q", got.status, b.me())
		}
		w.configure("authentication-usernamepassword", fields{"IsEnabled": false})
		if got, text := w.as("").send(http.MethodPost, "/api/users/login", fields{"Username": "admin", "Password": adminPassword}); got != http.StatusBadRequest || !strings.Contains(string(text), "disabled") {
			t.Errorf("with a password: %d %s", got, text)
		}
	})
}
