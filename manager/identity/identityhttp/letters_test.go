package identityhttp_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"image"
	"image/png"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/mail"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/identityhttp"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/role"
)

// box is where mail goes.
type box struct {
	got  []mail.Message
	down bool
}

func (b *box) Put(_ context.Context, _ *sql.Tx, m mail.Message, _ time.Time) error {
	b.got = append(b.got, m)
	return nil
}

func (b *box) Ready() bool { return !b.down }

type letterBundle struct {
	*bundle
	contoso *partner
	letters *letter.Service
	box     *box
}

// setupLetters is a site that can write to people, with a provider.
func setupLetters(t *testing.T) *letterBundle {
	t.Helper()
	ctx := t.Context()
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
	b := &letterBundle{contoso: &partner{who: person.Assertion{Provider: "provider-contoso", Subject: "t/geoff", Method: "oidc", Username: "geoff"}}, box: &box{}}
	b.letters = letter.New(letter.Options{People: s, Store: store.Letters(b.box), Authorizer: role.NewAuthorizer(), Outbox: b.box,
		PublicURL: func() string { return "https://odcm.example.com" }, Pace: time.Millisecond, Logger: quiet})
	auth := &identityhttp.Authenticator{Service: s}
	site := web.New(web.Options{Authenticator: auth, Logger: quiet})
	site.Handle("GET /{$}", func(w http.ResponseWriter, r *http.Request) error {
		_, err := w.Write([]byte("home of " + web.Principal(r.Context()).Name))
		return err
	})
	ways := &ways{list: []provider.Provider{{ID: "provider-contoso", Kind: provider.EntraID, Name: "Contoso"}},
		sources: map[odcm.ProviderID]provider.Source{"provider-contoso": b.contoso}}
	identityhttp.Register(identityhttp.Options{Site: site, Authenticator: auth, Letters: b.letters,
		SignIn: identityhttp.SignIn{Providers: ways, Sealer: sealer, Logger: quiet}})
	u, err := s.Create(ctx, odcm.System, identity.NewUser{Username: "bob", DisplayName: "Bob Specialist", Password: password, Email: "bob@example.com", Roles: []odcm.Role{odcm.Member}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.VerifyEmail(ctx, odcm.System, u.ID, "bob@example.com"); err != nil {
		t.Fatal(err)
	}
	b.bundle = &bundle{t: t, site: site, service: s, auth: auth, cookies: map[string]string{},
		bob: odcm.Principal{User: u.ID, Name: u.Username, Roles: u.Roles, Via: "session"}}
	return b
}

var mailed = regexp.MustCompile(`https?://[^\s]+\?link=([A-Za-z0-9_-]{43})`)

// link is the address and the secret of the last letter.
func (b *letterBundle) link() (address, secret string) {
	b.t.Helper()
	if len(b.box.got) == 0 {
		b.t.Fatal("nothing was mailed")
	}
	m := mailed.FindStringSubmatch(b.box.got[len(b.box.got)-1].Text)
	if m == nil {
		b.t.Fatalf("no link in %s", b.box.got[len(b.box.got)-1].Text)
	}
	return m[0], m[1]
}

func (b *letterBundle) invite() (user odcm.UserID, secret string) {
	b.t.Helper()
	admin := odcm.Principal{User: "user-admin", Name: "barry", Roles: []odcm.Role{odcm.Administrator}}
	u, _, err := b.letters.Invite(b.t.Context(), admin, letter.Invite{Email: "geoff@consult.example", DisplayName: "Geoff <Outsider>"})
	if err != nil {
		b.t.Fatal(err)
	}
	_, secret = b.link()
	return u.ID, secret
}

func TestAnInvitationIsTakenUpWithAPassword(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	_, secret := b.invite()
	w := b.get("/invitation?link=" + secret)
	want(t, w, http.StatusOK, "Geoff &lt;Outsider&gt;", "Contoso")
	if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the address of the page is told or kept: %v", w.Header())
	}
	want(t, b.post("/invitation", url.Values{"link": {secret}, "password": {password}, "again": {"another"}}), http.StatusUnprocessableEntity, "not the same")
	want(t, b.post("/invitation", url.Values{"link": {secret}, "password": {"short"}, "again": {"short"}}), http.StatusUnprocessableEntity, "at least 8")
	want(t, b.post("/invitation", url.Values{"link": {secret}, "password": {password}, "again": {password}}), http.StatusSeeOther)
	want(t, b.get("/"), http.StatusOK, "home of geoff@consult.example")
	want(t, b.get("/invitation?link="+secret), http.StatusNotFound, "used already")
	want(t, b.post("/invitation", url.Values{"link": {secret}, "password": {password}, "again": {password}}), http.StatusNotFound, "used already")
}

func TestAnInvitationIsTakenUpWithAnAccountAtAProvider(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	user, secret := b.invite()
	w := b.post("/invitation/way", url.Values{"link": {secret}, "way": {"/sign-in/with/provider-contoso"}})
	want(t, w, http.StatusOK, "Go to Contoso")
	w = b.get("/sign-in/with/provider-contoso")
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || to.Host != "login.contoso.example" || strings.Contains(to.String(), secret) {
		t.Fatalf("sent to %s", to)
	}
	answer := url.Values{"state": {to.Query().Get("state")}, "code": {"right"}}
	want(t, b.get(callback+answer.Encode()), http.StatusSeeOther)
	want(t, b.get("/"), http.StatusOK, "home of geoff@consult.example")
	if who, err := b.service.Person(t.Context(), odcm.System, user); err != nil || len(who.Identities) != 1 {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestOnlyWaysThatAreOfferedAreGone(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	b.signIn()
	for _, way := range []string{"https://evil.example", "//evil.example", "/sign-in/with/provider-none", "/sign-in/with/provider-contoso?return=//evil.example", ""} {
		if w := b.post("/settings/identities", url.Values{"way": {way}}); w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("way %q: %d, %s", way, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestAForgottenPassword(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	want(t, b.get("/sign-in"), http.StatusOK, `href="/forgot"`)
	known := b.post("/forgot", url.Values{"name": {"bob"}})
	unknown := b.post("/forgot", url.Values{"name": {"rob"}})
	nonce := regexp.MustCompile(`nonce="[^"]*"`)
	same := func(w *httptest.ResponseRecorder, name string) string {
		return strings.ReplaceAll(nonce.ReplaceAllString(w.Body.String(), ""), "<b>"+name+"</b>", "")
	}
	if known.Code != unknown.Code || same(known, "bob") != same(unknown, "rob") || len(known.Header()) != len(unknown.Header()) {
		t.Errorf("the answers differ: %d %s\n%d %s", known.Code, known.Body, unknown.Code, unknown.Body)
	}
	if len(b.box.got) != 1 {
		t.Fatalf("mailed %d", len(b.box.got))
	}
	_, secret := b.link()
	want(t, b.get("/reset?link="+secret), http.StatusOK, "bob")
	want(t, b.post("/reset", url.Values{"link": {secret}, "password": {"battery staple"}, "again": {"battery staple"}}), http.StatusSeeOther)
	want(t, b.post("/reset", url.Values{"link": {secret}, "password": {"battery staple"}, "again": {"battery staple"}}), http.StatusNotFound, "used already")
	want(t, b.post("/sign-in", url.Values{"username": {"bob"}, "password": {"battery staple"}}), http.StatusSeeOther)
	b.box.down = true
	want(t, b.get("/forgot"), http.StatusOK, "cannot send mail")
	want(t, b.post("/forgot", url.Values{"name": {"bob"}}), http.StatusServiceUnavailable, "administrator")
}

func TestLinksNeverLeadWhereAForgedHostSays(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	r := httptest.NewRequest("POST", "http://evil.example/forgot", strings.NewReader("name=bob"))
	r.Host = "evil.example"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("Forwarded", "host=evil.example")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.send(r)
	if address, _ := b.link(); !strings.HasPrefix(address, "https://odcm.example.com/reset?") || strings.Contains(b.box.got[0].HTML+b.box.got[0].Text, "evil") {
		t.Errorf("mailed %s", address)
	}
}

func TestAnAddressIsConfirmedByItsUserOnly(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	b.signIn()
	want(t, b.post("/settings/emails", url.Values{"do": {"add"}, "email": {"bob@work.example"}}), http.StatusSeeOther)
	_, secret := b.link()
	mine := b.cookies
	b.cookies = map[string]string{}
	want(t, b.get("/verification?link="+secret), http.StatusSeeOther) // to the sign-in page
	b.cookies = mine
	want(t, b.get("/verification?link="+secret), http.StatusOK, "bob@work.example")
	want(t, b.post("/verification", url.Values{"link": {secret}}), http.StatusSeeOther)
	want(t, b.post("/settings/emails", url.Values{"do": {"use"}, "email": {"bob@work.example"}}), http.StatusSeeOther)
	who, err := b.service.Person(t.Context(), odcm.System, b.bob.User)
	if err != nil || who.Email().Address != "bob@work.example" {
		t.Errorf("%+v, %v", who.Emails, err)
	}
	want(t, b.get("/settings"), http.StatusOK, "bob@work.example", "Main")
	want(t, b.post("/settings/emails", url.Values{"do": {"add"}, "email": {"a@b.example\r\nBcc: evil@example.com"}}), http.StatusUnprocessableEntity, "not an e-mail address")
}

func (b *letterBundle) upload(file []byte) *httptest.ResponseRecorder {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("picture", "../../etc/passwd.png")
	if err == nil {
		_, err = part.Write(file)
	}
	if err != nil || form.Close() != nil {
		b.t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/settings/picture", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(r)
}

func TestPicture(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	b.signIn()
	at := "/people/" + string(b.bob.User) + "/picture"
	want(t, b.get(at), http.StatusNotFound)
	want(t, b.upload([]byte("<svg onload=alert(1)>")), http.StatusUnprocessableEntity, "not a picture")
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 40, 20))); err != nil {
		t.Fatal(err)
	}
	want(t, b.upload(file.Bytes()), http.StatusSeeOther)
	w := b.get(at)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/jpeg" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	r := httptest.NewRequest("GET", at, nil)
	r.Header.Set("If-None-Match", w.Header().Get("ETag"))
	if again := b.send(r); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("again: %d, %d bytes", again.Code, again.Body.Len())
	}
	want(t, b.get("/settings"), http.StatusOK, `class="portrait"`)
	b.cookies = map[string]string{}
	if w := b.get(at); w.Code == http.StatusOK {
		t.Error("a stranger sees it")
	}
}

func TestGuestHasNoSettings(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	want(t, b.post("/sign-in/guest", nil), http.StatusForbidden, "not let in")
	if err := b.service.LetGuestIn(t.Context(), odcm.System, true); err != nil {
		t.Fatal(err)
	}
	want(t, b.get("/sign-in"), http.StatusOK, "/sign-in/guest")
	want(t, b.post("/sign-in/guest", nil), http.StatusSeeOther)
	want(t, b.get("/"), http.StatusOK, "home of guest")
	for path, form := range map[string]url.Values{"/settings": {"revision": {"1"}, "displayName": {"Mallory"}}, "/settings/password": {"current": {"x"}, "password": {password}, "again": {password}},
		"/settings/emails": {"do": {"add"}, "email": {"m@example.com"}}, "/settings/identities": {"way": {"/sign-in/with/provider-contoso"}},
		"/settings/api-keys": {"purpose": {"stay"}, "days": {"30"}}, "/settings/sessions/end": {}} {
		if w := b.post(path, form); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	want(t, b.get("/settings/sessions"), http.StatusForbidden)
}

func TestSignOutEverywhereElse(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	b.signIn()
	other := b.cookies["odcm-session"]
	delete(b.cookies, "odcm-session")
	b.signIn()
	want(t, b.get("/settings/sessions"), http.StatusOK, "Sign out everywhere else")
	want(t, b.post("/settings/sessions/end", nil), http.StatusSeeOther)
	want(t, b.get("/"), http.StatusOK, "home of bob")
	b.cookies["odcm-session"] = other
	want(t, b.get("/"), http.StatusSeeOther)
}

// TestEveryFormRefusesOtherSites walks all routes here that change something.
func TestEveryFormRefusesOtherSites(t *testing.T) {
	t.Parallel()
	b := setupLetters(t)
	b.signIn()
	for _, path := range []string{"/sign-in", "/sign-in/guest", "/sign-out", "/settings", "/settings/password", "/settings/api-keys", "/settings/api-keys/x/delete",
		"/settings/sessions/x/end", "/settings/sessions/end", "/settings/identities", "/settings/identities/x/unlink", "/settings/emails", "/settings/picture",
		"/invitation", "/invitation/way", "/forgot", "/reset", "/verification"} {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := httptest.NewRequest("POST", path, strings.NewReader("a=b"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header, value)
			if w := b.send(r); w.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, header, w.Code)
			}
		}
	}
	want(t, b.get("/"), http.StatusOK, "home of bob")
}
