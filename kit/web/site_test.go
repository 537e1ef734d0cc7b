package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
)

// keys is an Authenticator with one session, "good", and bearer keys that are people's names.
type keys struct{}

func (keys) Authenticate(r *http.Request) (odcm.Principal, error) {
	if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && name != "bad" {
		return odcm.Principal{User: odcm.UserID("user-" + name), Name: name, Via: "api-key"}, nil
	}
	if web.SessionToken(r, false) == "good" {
		return odcm.Principal{User: "user-barry", Name: "Barry Infrastructure", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}, nil
	}
	return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "identity.no-session", "Sign in first.")
}

type world struct {
	*web.Site
	log      *bytes.Buffer
	changed  int // how often POST /change or POST /api/v1/things did its work
	onCreate func()
}

type thing struct {
	Name string `json:"name" minLength:"1" maxLength:"10"`
}

func newWorld(t *testing.T, o web.Options) *world {
	t.Helper()
	w := &world{log: &bytes.Buffer{}}
	o.Authenticator = keys{}
	o.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Site = web.New(o)
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop(context.Background()) })
	w.AddNav(
		web.NavItem{ID: "spaces", Label: "Spaces", Icon: "layers", Href: "/spaces", Order: 2},
		web.NavItem{ID: "home", Label: "Home", Icon: "home", Href: "/", Order: 1},
		web.NavItem{ID: "secret", Label: "Only for auditors", Href: "/x", Show: func(p odcm.Principal) bool { return p.Has(odcm.Auditor) }},
	)
	w.Handle("GET /page", func(rw http.ResponseWriter, r *http.Request) error {
		return w.Render(rw, r, http.StatusOK, web.Page{Title: "A <page>", Nav: "spaces", Body: templ.Raw("<p>body</p>")})
	})
	w.Handle("POST /change", func(rw http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return err
		}
		if r.PostFormValue("name") == "taken" {
			return odcm.E(odcm.Exists, "space.name-taken", "That name is taken.").OnField("name")
		}
		w.changed++
		w.Flash(rw, r, "success", "Changed; «well».")
		web.Redirect(rw, r, "/page")
		return nil
	})
	w.HandlePublic("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("secret of the inside") })
	w.HandlePublic("GET /fail", func(http.ResponseWriter, *http.Request) error { return errors.New("secret of the inside") })
	w.HandlePublic("POST /callback", func(rw http.ResponseWriter, r *http.Request) error { w.changed++; return nil })
	w.AcceptCrossSite("POST /callback")
	web.Register(w.API(), huma.Operation{OperationID: "create-thing", Method: "POST", Path: "/things", DefaultStatus: 201},
		func(ctx context.Context, in *struct{ Body thing }) (*struct {
			ETag string `header:"ETag"`
			Body thing
		}, error) {
			switch in.Body.Name {
			case "taken":
				return nil, odcm.E(odcm.Exists, "thing.taken", "There is one of that name.").OnField("name")
			case "busy":
				return nil, odcm.E(odcm.Unavailable, "thing.busy", "Wait.").Because(inAMoment{})
			case "broken":
				return nil, errors.New("secret of the inside")
			}
			if w.onCreate != nil {
				w.onCreate()
			}
			w.changed++
			out := &struct {
				ETag string `header:"ETag"`
				Body thing
			}{ETag: web.ETag(int64(w.changed)), Body: in.Body}
			out.Body.Name += " by " + web.Principal(ctx).Name
			return out, nil
		})
	web.Register(w.API(), huma.Operation{OperationID: "get-public", Method: "GET", Path: "/public", Security: web.Public},
		func(context.Context, *struct{}) (*struct{ Body thing }, error) {
			return &struct{ Body thing }{thing{"open"}}, nil
		})
	return w
}

type call struct {
	method, path, body string
	header             map[string]string
	anonymous          bool
}

func (w *world) do(c call) *http.Response {
	r := httptest.NewRequest(c.method, "http://odcm.example"+c.path, strings.NewReader(c.body))
	if !c.anonymous {
		r.AddCookie(&http.Cookie{Name: "odcm-session", Value: "good"})
	}
	if c.method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if strings.HasPrefix(c.path, "/api/") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var browser = map[string]string{"Accept": "text/html"}

func TestPagesHaveAFrame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	r := w.do(call{method: "GET", path: "/page", header: browser})
	html := text(t, r)
	for _, want := range []string{"<h1>A &lt;page&gt;</h1>", "<p>body</p>", `href="/spaces" aria-current="page"`, "Barry Infrastructure", `data-since="`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in the page", want)
		}
	}
	if strings.Contains(html, "auditors") {
		t.Error("shows an entry of the side bar that is not for this person")
	}
	if strings.Index(html, ">Home<") > strings.Index(html, ">Spaces<") {
		t.Error("the side bar is not in order")
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q: a person's page may be kept", got)
	}
}

func TestStrangersAreSentToSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	r := w.do(call{method: "GET", path: "/page?a=1&b=2", header: browser, anonymous: true})
	if got := r.Header.Get("Location"); r.StatusCode != 303 || got != "/sign-in?return=%2Fpage%3Fa%3D1%26b%3D2" {
		t.Errorf("%d to %q", r.StatusCode, got)
	}
	for name, c := range map[string]call{
		"script":  {method: "GET", path: "/page", header: map[string]string{"X-Odcm-Fetch": "1"}, anonymous: true},
		"program": {method: "GET", path: "/page", header: map[string]string{"Accept": "application/json"}, anonymous: true},
		"form":    {method: "POST", path: "/change", header: browser, anonymous: true},
		"REST":    {method: "POST", path: "/api/v1/things", body: `{"name":"a"}`, header: map[string]string{"Authorization": "Bearer bad"}, anonymous: true},
		"stream":  {method: "GET", path: "/live?topic=space/1", anonymous: true, header: map[string]string{"Accept": "text/event-stream"}},
	} {
		if r := w.do(c); r.StatusCode != 401 || r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	if w.changed != 0 {
		t.Error("a stranger changed something")
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	for _, path := range []string{"/page", "/nothing", "/fail", "/panic", "/api/v1/public", "/api/v1/openapi.json", "/api/v1/docs", "/assets/none.js"} {
		h := w.do(call{method: "GET", path: path, header: browser}).Header
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "script-src 'self' 'nonce-"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: no %s in %q", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: Strict-Transport-Security without TLS would lock people out", path)
		}
	}
	if h := newWorld(t, web.Options{Secure: true}).do(call{method: "GET", path: "/fail"}).Header; h.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security behind TLS")
	}
}

func TestAllowAddsToOneDirective(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Security-Policy", "form-action 'self'; frame-ancestors 'none'")
	web.Allow(rec, "form-action", "https://a.example")
	web.Allow(rec, "frame-ancestors", "https://b.example")
	if got := rec.Header().Get("Content-Security-Policy"); got != "form-action 'self' https://a.example; frame-ancestors https://b.example" {
		t.Error(got)
	}
}

// TestForgery is the attack: a page of another site makes the browser of someone who is signed in send a form.
func TestForgery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header map[string]string
		path   string
		want   int
	}{
		"own page":                       {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://odcm.example"}, "/change", 303},
		"typed address":                  {map[string]string{"Sec-Fetch-Site": "none"}, "/change", 303},
		"program without headers":        {nil, "/change", 303},
		"another site":                   {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, "/change", 403},
		"another subdomain":              {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://evil.odcm.example"}, "/change", 403},
		"another site, old browser":      {map[string]string{"Origin": "https://evil.example"}, "/change", 403},
		"no origin, old browser":         {map[string]string{"Origin": "null"}, "/change", 403},
		"another site to REST by cookie": {map[string]string{"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}, "/api/v1/things", 403},
		"basic authorization":            {map[string]string{"Sec-Fetch-Site": "cross-site", "Authorization": "Basic eA=="}, "/change", 403},
		"a route that expects it":        {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://login.example"}, "/callback", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, web.Options{})
			r := w.do(call{method: "POST", path: c.path, body: "name=a", header: c.header})
			if r.StatusCode != c.want {
				t.Errorf("answered %d, want %d", r.StatusCode, c.want)
			}
			if (w.changed == 1) != (c.want < 400) {
				t.Errorf("changed %d times", w.changed)
			}
		})
	}
}

func TestFormsAnswerTheScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	script := map[string]string{"X-Odcm-Fetch": "1"}
	r := w.do(call{method: "POST", path: "/change", body: "name=taken", header: script})
	var p web.Problem
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.StatusCode != 409 || p.Code != "space.name-taken" || len(p.Errors) != 1 || p.Errors[0].Location != "body.name" {
		t.Errorf("%d %+v, %v", r.StatusCode, p, err)
	}
	r = w.do(call{method: "POST", path: "/change", body: "name=a", header: script})
	if r.StatusCode != 204 || r.Header.Get("X-Odcm-Location") != "/page" {
		t.Errorf("%d, go to %q", r.StatusCode, r.Header.Get("X-Odcm-Location"))
	}
	flash := r.Header.Get("Set-Cookie")
	if !strings.Contains(flash, "HttpOnly") || !strings.Contains(flash, "SameSite=Lax") {
		t.Errorf("cookie %q", flash)
	}
	value, _, _ := strings.Cut(flash, ";")
	cookies := "odcm-session=good; " + value
	if part := w.do(call{method: "GET", path: "/page", header: map[string]string{"Cookie": cookies, "X-Odcm-Fetch": "1"}}); strings.Contains(text(t, part), "«well»") {
		t.Error("a part of a page took the message away from the next page")
	}
	shown := w.do(call{method: "GET", path: "/page", header: map[string]string{"Cookie": cookies}})
	if !strings.Contains(text(t, shown), "Changed; «well».") || !strings.Contains(shown.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Error("the message was not shown once")
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{MaxBody: 100})
	large := "name=" + strings.Repeat("a", 200)
	for name, r := range map[string]*http.Response{
		"form": w.do(call{method: "POST", path: "/change", body: large}),
		"REST": w.do(call{method: "POST", path: "/api/v1/things", body: `{"name":"` + large + `"}`}),
	} {
		if b := text(t, r); r.StatusCode != 413 || !strings.Contains(b, "request.too-large") {
			t.Errorf("%s: %d %s", name, r.StatusCode, b)
		}
	}
	r := httptest.NewRequest("POST", "/change", io.MultiReader(strings.NewReader(large))) // length unknown
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "odcm-session", Value: "good"})
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	if rec.Code != 413 {
		t.Errorf("unknown length: %d", rec.Code)
	}
}

func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	if r := w.do(call{method: "GET", path: "/nothing", header: browser}); r.StatusCode != 404 || !strings.Contains(text(t, r), "<h1>Not found</h1>") {
		t.Errorf("page: %d", r.StatusCode)
	}
	if r := w.do(call{method: "GET", path: "/api/v1/nothing", header: browser}); r.StatusCode != 404 || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("REST: %d %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	if r := w.do(call{method: "DELETE", path: "/page"}); r.StatusCode != 405 || r.Header.Get("Allow") != "GET" {
		t.Errorf("method: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestDefectsShowNothingOfTheInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	for _, c := range []call{
		{method: "GET", path: "/panic", header: browser}, {method: "GET", path: "/fail", header: browser},
		{method: "GET", path: "/fail", header: map[string]string{"Accept": "application/json"}},
		{method: "POST", path: "/api/v1/things", body: `{"name":"broken"}`},
	} {
		r := w.do(c)
		body := text(t, r)
		if r.StatusCode != 500 || strings.Contains(body, "secret") || !strings.Contains(body, r.Header.Get("X-Request-Id")) {
			t.Errorf("%s: %d %s", c.path, r.StatusCode, body)
		}
		if !strings.Contains(w.log.String(), "secret of the inside") || !strings.Contains(w.log.String(), r.Header.Get("X-Request-Id")) {
			t.Errorf("%s: the log does not have the cause", c.path)
		}
		w.log.Reset()
	}
}

func TestLogAndMetricsHaveNoQuery(t *testing.T) {
	t.Parallel()
	metrics := prometheus.NewRegistry()
	w := newWorld(t, web.Options{Metrics: metrics})
	w.do(call{method: "GET", path: "/page?token=secret"})
	w.do(call{method: "BREW", path: "/page"})
	w.do(call{method: "GET", path: "/api/v1/public"})
	if strings.Contains(w.log.String(), "secret") || !strings.Contains(w.log.String(), `route="GET /page"`) {
		t.Error(w.log)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				found[f.GetName()+" "+l.GetName()+"="+l.GetValue()] = true
			}
		}
	}
	for _, want := range []string{"odcm_http_requests_total route=GET /page", "odcm_http_requests_total route=GET /api/v1/public", "odcm_http_requests_total status=2xx", "odcm_http_requests_total method=other", "odcm_http_request_seconds route=GET /page"} {
		if !found[want] {
			t.Errorf("no %s in %v", want, found)
		}
	}
}

func TestSwitcher(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	w.SetSwitcher(func(_ context.Context, p odcm.Principal, q string) ([]design.Choice, error) {
		return []design.Choice{{Group: "Spaces", Label: p.Name + " " + q, Href: "/spaces/1", Status: "online"}}, nil
	})
	part := text(t, w.do(call{method: "GET", path: "/switch?q=spa", header: map[string]string{"X-Odcm-Fetch": "1"}}))
	if strings.Contains(part, "<html") || !strings.Contains(part, "Barry Infrastructure spa") || !strings.Contains(part, `href="/spaces"`) || strings.Contains(part, "auditors") {
		t.Error(part)
	}
	if whole := text(t, w.do(call{method: "GET", path: "/switch?q=spa", header: browser})); !strings.Contains(whole, "<html") || !strings.Contains(whole, `value="spa"`) {
		t.Error("no page for a browser without script")
	}
}

func TestPaletteOffersWhatOneDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	w.AddNav(web.NavItem{Label: "Create a Space", Icon: "plus", Href: "/spaces/new", PaletteOnly: true},
		web.NavItem{Label: "Create an auditor", Href: "/y", PaletteOnly: true, Show: func(p odcm.Principal) bool { return p.Has(odcm.Auditor) }})
	if side := text(t, w.do(call{method: "GET", path: "/page", header: browser})); strings.Contains(side, "/spaces/new") {
		t.Error("an action stands in the side bar")
	}
	found := func(query string) string {
		return text(t, w.do(call{method: "GET", path: "/switch?q=" + query, header: map[string]string{"X-Odcm-Fetch": "1"}}))
	}
	if got := found("crte+space"); !strings.Contains(got, `href="/spaces/new"`) || strings.Contains(got, `href="/y"`) || strings.Contains(got, "theme") {
		t.Error(got)
	}
	if got := found("dark"); !strings.Contains(got, `name="theme" value="dark"`) || strings.Contains(got, "href") {
		t.Error(got)
	}
}

func TestOnlyFailuresAreLoudInTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, web.Options{})
	w.Handle("GET /broken", func(http.ResponseWriter, *http.Request) error { return errors.New("out of paper") })
	for _, path := range []string{"/page", "/nothing", "/broken"} {
		w.do(call{method: "GET", path: path, header: browser})
	}
	for path, level := range map[string]string{"/page": "DEBUG", "/nothing": "DEBUG", "/broken": "WARN"} {
		if want := regexp.MustCompile(`level=` + level + ` msg=request .*path=` + path + ` `); !want.Match(w.log.Bytes()) {
			t.Errorf("%s is not logged as %s:\n%s", path, level, w.log)
		}
	}
}

func TestReturnPathStaysHere(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/spaces?a=1": "/spaces?a=1", "": "/", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "/a\r\nSet-Cookie: x": "/", "/%zz": "/",
	} {
		if got := web.ReturnPath(target); got != want {
			t.Errorf("ReturnPath(%q) = %q, want %q", target, got, want)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	for secure, name := range map[bool]string{false: "odcm-session", true: "__Host-odcm-session"} {
		w := newWorld(t, web.Options{Secure: secure})
		rec := httptest.NewRecorder()
		w.SetSession(rec, httptest.NewRequest("GET", "http://odcm.example/", nil), "token", time.Now().Add(time.Hour))
		c := rec.Result().Cookies()[0]
		if c.Name != name || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("secure %v: %s", secure, c)
		}
		r := httptest.NewRequest("GET", "http://odcm.example/", nil)
		r.AddCookie(c)
		if got := web.SessionToken(r, secure); got != "token" {
			t.Errorf("secure %v: read %q", secure, got)
		}
		if got := web.SessionToken(r, !secure); got != "" {
			t.Errorf("secure %v: a cookie of the other kind was taken: %q", secure, got)
		}
		rec = httptest.NewRecorder()
		w.ClearSession(rec, r)
		if gone := rec.Result().Cookies()[0]; gone.Name != name || gone.MaxAge >= 0 {
			t.Errorf("secure %v: not cleared: %s", secure, gone)
		}
	}
}
