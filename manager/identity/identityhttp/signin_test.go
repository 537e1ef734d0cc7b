package identityhttp_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/identityhttp"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/role"
)

// partner is a provider that knows one person.
type partner struct {
	mu    sync.Mutex
	begun []provider.Flow
	who   person.Assertion
	err   error
}

func (u *partner) Test(context.Context, func(provider.Finding)) {}
func (u *partner) Close() error                                 { return nil }

func (u *partner) Begin(_ context.Context, f provider.Flow) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun = append(u.begun, f)
	return "https://login.contoso.example/authorize?" + url.Values{"state": {f.State}}.Encode(), u.err
}

func (u *partner) Finish(_ context.Context, f provider.Flow, got url.Values) (person.Assertion, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return person.Assertion{}, u.err
	}
	if got.Get("state") != f.State || !slices.Contains(u.begun, f) {
		return person.Assertion{}, errors.New("a flow that was not begun")
	}
	return u.who, nil
}

// tickets is a directory whose Kerberos tickets are the word "ticket".
type tickets struct{ partner }

func (u *tickets) Begin() {} // it does not redirect

func (u *tickets) Accept(_ context.Context, token []byte, _ string) (person.Assertion, []byte, error) {
	if string(token) != "ticket" {
		return person.Assertion{}, nil, odcm.E(odcm.Unauthenticated, "kerberos.ticket-invalid", "The ticket is not right.")
	}
	return u.who, []byte("welcome"), nil
}

type ways struct {
	list    []provider.Provider
	sources map[odcm.ProviderID]provider.Source
}

func (w *ways) Enabled(context.Context) ([]provider.Provider, error) { return w.list, nil }

func (w *ways) Source(_ context.Context, id odcm.ProviderID) (provider.Source, error) {
	if s, ok := w.sources[id]; ok {
		return s, nil
	}
	return nil, odcm.E(odcm.NotFound, "provider.not-found", "There is none.")
}

type signInBundle struct {
	*bundle
	contoso *partner
	ways    *ways
	events  *eventlog.Log
	clock   *atomic.Int64 // ahead of time, in nanoseconds
}

// setupSignIn is a site with a provider that redirects, one that is not there any more, and one that takes tickets.
func setupSignIn(t testing.TB) *signInBundle {
	t.Helper()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := identitysql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.Open(ctx, d, seal.Options{KeyBase64: base64.StdEncoding.EncodeToString(make([]byte, 32))})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := identity.New(identity.Options{Store: store, Bus: bus, Authorizer: role.NewAuthorizer(), Logger: quiet})
	auth := &identityhttp.Authenticator{Service: s, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	site := web.New(web.Options{Authenticator: auth, Logger: quiet})
	site.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, "home of "+web.Principal(r.Context()).Name)
		return err
	})
	b := &signInBundle{events: log, contoso: &partner{}, clock: new(atomic.Int64)}
	b.contoso.who = person.Assertion{Provider: "provider-contoso", Subject: "t/geoff", Method: "oidc", Username: "geoff", DisplayName: "Geoff Outsider",
		Email: "geoff@contoso.example", Admit: true}
	windows := &tickets{}
	windows.who = person.Assertion{Provider: "provider-ad", Subject: "guid", Method: "kerberos", Username: "alice", DisplayName: "Alice", Admit: true}
	b.ways = &ways{
		list: []provider.Provider{{ID: "provider-contoso", Kind: provider.EntraID, Name: "Contoso"}, {ID: "provider-ad", Kind: provider.ActiveDirectory, Name: "Example"},
			{ID: "provider-broken", Kind: provider.OpenID, Name: "Broken"}},
		sources: map[odcm.ProviderID]provider.Source{"provider-contoso": b.contoso, "provider-ad": windows},
	}
	now := func() time.Time { return time.Now().Add(time.Duration(b.clock.Load())) }
	identityhttp.Register(identityhttp.Options{Site: site, Authenticator: auth, Now: now, SignIn: identityhttp.SignIn{Providers: b.ways, Sealer: sealer, Logger: quiet,
		Onward: func(_ context.Context, path string) (identityhttp.Destination, bool) {
			return identityhttp.Destination{Name: "Space Payments", Origin: "https://payments.example"}, strings.HasPrefix(path, "/authorize")
		}}})
	u, err := s.Create(ctx, odcm.System, identity.NewUser{Username: "bob", DisplayName: "Bob Specialist", Password: password, Roles: []odcm.Role{odcm.Member}})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := t.(*testing.T) // a fuzz test has none, and needs none
	b.bundle = &bundle{t: one, site: site, service: s, auth: auth, cookies: map[string]string{},
		bob: odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: "session"}}
	return b
}

// begin goes to the provider and returns what it would send the browser back with.
func (b *signInBundle) begin(query string) url.Values {
	b.t.Helper()
	w := b.get("/sign-in/with/provider-contoso" + query)
	want(b.t, w, http.StatusSeeOther)
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || u.Host != "login.contoso.example" {
		b.t.Fatalf("sent to %s", w.Header().Get("Location"))
	}
	return url.Values{"state": {u.Query().Get("state")}, "code": {"right"}}
}

const callback = "/sign-in/callback/provider-contoso?"

func location(w *httptest.ResponseRecorder) string { return w.Header().Get("Location") }

func (b *signInBundle) signedInAs(name string) {
	b.t.Helper()
	if name == "" {
		want(b.t, b.get("/"), http.StatusSeeOther)
		return
	}
	want(b.t, b.get("/"), http.StatusOK, "home of "+name)
}

func TestSignInWithProvider(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	back := b.begin("?return=" + url.QueryEscape("/authorize?client_id=a&state=b"))
	w := b.get(callback + back.Encode())
	want(t, w, http.StatusSeeOther)
	if location(w) != "/authorize?client_id=a&state=b" {
		t.Errorf("led on to %s", location(w))
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Error("the address with the code may go on as referrer")
	}
	b.signedInAs("geoff")
	page := b.get("/sign-in?again=1").Body.String()
	if !strings.Contains(page, "last used") || strings.Index(page, "Contoso") > strings.Index(page, "Password") {
		t.Error("the way that was used last does not stand first")
	}
}

func TestAnswersOfProvidersCountOnceAndHere(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	back := b.begin("")
	mine := b.cookies
	for name, c := range map[string]struct {
		cookies map[string]string
		path    string
	}{
		"another browser":     {map[string]string{}, callback + back.Encode()},
		"another provider":    {mine, "/sign-in/callback/provider-broken?" + back.Encode()},
		"another state":       {mine, callback + url.Values{"code": {"right"}, "state": {back.Get("state")[:8] + "AAAAAAAAAAAAAAAAAA"}}.Encode()},
		"no state":            {mine, callback + "code=right"},
		"short state":         {mine, callback + "code=right&state=" + back.Get("state")[:8]},
		"nothing":             {mine, strings.TrimSuffix(callback, "?")},
		"provider that never": {mine, "/sign-in/callback/..%2f?" + back.Encode()},
	} {
		b.cookies = map[string]string{}
		for k, v := range c.cookies {
			b.cookies[k] = v
		}
		w := b.get(c.path)
		if w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), "right") && strings.Contains(w.Body.String(), "code=") {
			t.Errorf("%s: %d %s", name, w.Code, location(w))
		}
		b.signedInAs("")
	}
	b.cookies = mine
	want(t, b.get(callback+back.Encode()), http.StatusSeeOther)
	b.signedInAs("geoff")
	want(t, b.get(callback+back.Encode()), http.StatusUnprocessableEntity, "Begin again")
}

func TestSeveralTabsMaySignInAtOnce(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	var backs []url.Values
	for range 6 {
		backs = append(backs, b.begin(""))
	}
	flows := 0
	for name := range b.cookies {
		if strings.HasPrefix(name, "odcm-flow-") {
			flows++
		}
	}
	if flows > 4 {
		t.Errorf("%d flows are kept", flows)
	}
	want(t, b.get(callback+backs[5].Encode()), http.StatusSeeOther)
	b.signedInAs("geoff")
}

func TestProviderFailuresAreShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"said no":        {odcm.E(odcm.Denied, "sign-in.denied", "The provider did not let you in, or you said no there."), 403, "did not let you in"},
		"slow":           {odcm.E(odcm.Unavailable, "egress.timeout", "10.0.0.5:443 did not answer."), 503, "Contoso does not answer in time"},
		"away":           {odcm.E(odcm.Unavailable, "egress.refused", "10.0.0.5:443 refused."), 503, "Contoso cannot be reached"},
		"not set up":     {odcm.E(odcm.Invalid, "provider.issuer-differs", "The provider calls itself https://internal."), 422, "Contoso is not set up well"},
		"egress refuses": {odcm.E(odcm.Invalid, "egress.denied", "ODCM does not connect to 10.0.0.5."), 422, "Contoso is not set up well"},
		"not believed":   {odcm.E(odcm.Unauthenticated, "sign-in.nonce", "The sign-in was refused: the token belongs to another sign-in."), 401, "another sign-in"},
		"a defect":       {errors.New("token=abc"), 500, "Something went wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupSignIn(t)
			back := b.begin("?return=/authorize")
			b.contoso.err = fmt.Errorf("finish: %w", c.err)
			w := b.get(callback + back.Encode())
			want(t, w, c.status, c.says)
			page := w.Body.String()
			for _, leak := range []string{"10.0.0.5", "internal.", "token=abc"} {
				if strings.Contains(page, leak) {
					t.Errorf("the page shows %s", leak)
				}
			}
			if c.status != 500 && (!strings.Contains(page, `name="password"`) || !strings.Contains(page, `value="/authorize"`)) {
				t.Error("the page does not offer the other ways to go on")
			}
			b.signedInAs("")
			events, err := b.events.List(t.Context(), eventlog.Filter{Limit: 10})
			if err != nil || !slices.ContainsFunc(events, func(e odcm.Event) bool { return e.Type == "identity.sign-in-failed" }) {
				t.Errorf("no event: %v", err)
			}
		})
	}
}

func TestFormPostAnswerIsTurned(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	back := b.begin("")
	back.Set("id_token", "not for the address")
	r := httptest.NewRequest("POST", strings.TrimSuffix(callback, "?"), strings.NewReader(back.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://login.contoso.example")
	w := httptest.NewRecorder() // a browser sends no cookies with another site's post
	b.site.ServeHTTP(w, r)
	want(t, w, http.StatusSeeOther)
	if strings.Contains(location(w), "id_token") {
		t.Errorf("turned to %s", location(w))
	}
	want(t, b.get(location(w)), http.StatusSeeOther)
	b.signedInAs("geoff")
}

func TestReturnStaysHere(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	for _, evil := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\tevil", "javascript:alert(1)"} {
		if w := b.get(callback + b.begin("?return="+url.QueryEscape(evil)).Encode()); location(w) != "/" {
			t.Errorf("%q led to %s", evil, location(w))
		}
	}
	long := "/oauth2/authorize?" + strings.Repeat("a=b&", 550)
	if w := b.get(callback + b.begin("?return="+url.QueryEscape(long)).Encode()); location(w) != long {
		t.Errorf("a long address led to %s", location(w))
	}
	w := b.get("/sign-in/with/provider-contoso?return=" + url.QueryEscape("/"+strings.Repeat("x", 5000)))
	want(t, w, http.StatusUnprocessableEntity, "too long")
}

func TestSignInAgain(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	for want, got := range map[string]string{
		"/sign-in":                                    identityhttp.SignInURL("//evil.example", false, ""),
		"/sign-in?return=%2Fa%3Fb%3D1%26c":            identityhttp.SignInURL("/a?b=1&c", false, ""),
		"/sign-in?again=1&login_hint=bob&return=%2Fa": identityhttp.SignInURL("/a", true, "bob"),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b.signIn()
	old := b.cookies["odcm-session"]
	if w := b.get("/sign-in?return=/authorize"); location(w) != "/authorize" {
		t.Errorf("who is signed in is led to %q", location(w))
	}
	w := b.get("/sign-in?again=1&return=" + url.QueryEscape("/authorize?prompt=login"))
	want(t, w, http.StatusOK, "Sign in again", `value="bob"`, "Space Payments", "again=1", `value="/authorize?prompt=login"`)
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://payments.example") {
		t.Error(csp)
	}
	form := credentials(password, "/authorize?prompt=login")
	form.Set("again", "1")
	w = b.post("/sign-in", form)
	want(t, w, http.StatusSeeOther)
	if location(w) != "/authorize?prompt=login" || b.cookies["odcm-session"] == old {
		t.Errorf("led to %s, new session %v", location(w), b.cookies["odcm-session"] != old)
	}
	b.begin("?again=1&login_hint=bob%40contoso.example")
	if f := b.contoso.begun[len(b.contoso.begun)-1]; !f.Again || f.LoginHint != "bob@contoso.example" {
		t.Errorf("%+v", f)
	}
}

func TestSignInByTicket(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	want(t, b.get("/sign-in"), http.StatusOK, "Windows (Example)", "/sign-in/windows/provider-ad")
	w := b.get("/sign-in/windows/provider-ad?return=/authorize")
	want(t, w, http.StatusUnauthorized, `name="password"`, "sent no ticket")
	if w.Header().Get("WWW-Authenticate") != "Negotiate" {
		t.Errorf("asked by %q", w.Header().Get("WWW-Authenticate"))
	}
	bring := func(token string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/sign-in/windows/provider-ad?return=/authorize", nil)
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString([]byte(token)))
		return b.send(r)
	}
	want(t, bring("NTLMSSP"), http.StatusUnauthorized, "not right")
	b.signedInAs("")
	w = bring("ticket")
	want(t, w, http.StatusSeeOther)
	if location(w) != "/authorize" || w.Header().Get("WWW-Authenticate") != "Negotiate "+base64.StdEncoding.EncodeToString([]byte("welcome")) {
		t.Errorf("%v", w.Header())
	}
	b.signedInAs("alice")
}

func TestLinkingNeedsTheSessionThatAsked(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	b.signIn()
	link := func() url.Values {
		w := b.post("/settings/identities", url.Values{"way": {"/sign-in/with/provider-contoso"}})
		if w.Code >= 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return b.begin("")
	}
	back := link()
	session := b.cookies["odcm-session"]
	delete(b.cookies, "odcm-session")
	want(t, b.get(callback+back.Encode()), http.StatusForbidden, "not signed in any more")
	b.signedInAs("")
	b.cookies["odcm-session"] = session
	back = link()
	b.contoso.err = odcm.E(odcm.Denied, "sign-in.denied", "You said no there.")
	if w := b.get(callback + back.Encode()); location(w) != "/settings/identities" {
		t.Errorf("%d, led to %q", w.Code, location(w))
	}
	want(t, b.get("/settings/identities"), http.StatusOK, "You said no there.")
	b.contoso.err = nil
	back = link()
	want(t, b.get(callback+back.Encode()), http.StatusSeeOther)
	who, err := b.service.Person(t.Context(), b.bob, b.bob.User)
	if err != nil || len(who.Identities) != 1 || who.Identities[0].Subject != "t/geoff" {
		t.Errorf("%+v %v", who.Identities, err)
	}
}

func TestFlowsEnd(t *testing.T) {
	t.Parallel()
	b := setupSignIn(t)
	back := b.begin("")
	b.clock.Store(int64(11 * time.Minute))
	want(t, b.get(callback+back.Encode()), http.StatusUnprocessableEntity, "took too long")
}

func FuzzCallback(f *testing.F) {
	b := setupSignIn(f)
	for _, seed := range []string{"code=a&state=b", "state=%00", "error=access_denied&state=AAAAAAAAAAAAAAAAAAAAAAAAAA", "state=;", "%zz", "state=a&state=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/sign-in/callback/provider-contoso", nil)
		r.URL.RawQuery = query
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		b.site.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%q: %d", query, w.Code)
		}
		for _, c := range w.Result().Cookies() {
			if c.Name == "odcm-session" {
				t.Errorf("%q signed in", query)
			}
		}
	})
}
