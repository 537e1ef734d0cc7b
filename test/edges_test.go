package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"odcm/manager"
)

// visitor is somebody at a browser, signed in by the form.
type visitor struct {
	o       *office
	cookies []*http.Cookie
}

func (o *office) visit() *visitor {
	o.t.Helper()
	v := &visitor{o: o}
	if r := v.post("/sign-in", url.Values{"username": {"admin"}, "password": {"Watch-it-2026"}, "return": {"/"}}, nil); r.status != 303 {
		o.t.Fatalf("sign-in: %d %s", r.status, r.body)
	}
	return v
}

func (v *visitor) send(method, path, body string, headers map[string]string) reply {
	v.o.t.Helper()
	h := map[string]string{"Authorization": "-", "Accept": "text/html"}
	maps.Copy(h, headers)
	for _, c := range v.cookies {
		h["Cookie"] = strings.TrimPrefix(h["Cookie"]+"; "+c.Name+"="+c.Value, "; ")
	}
	r := v.o.ask(method, path, body, h)
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		v.cookies = slices.DeleteFunc(v.cookies, func(old *http.Cookie) bool { return old.Name == c.Name })
		if c.MaxAge >= 0 {
			v.cookies = append(v.cookies, c)
		}
	}
	return r
}

func (v *visitor) get(path string) reply { return v.send("GET", path, "", nil) }

func (v *visitor) post(path string, form url.Values, headers map[string]string) reply {
	h := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
	maps.Copy(h, headers)
	return v.send("POST", path, form.Encode(), h)
}

var (
	hrefs   = regexp.MustCompile(`\shref="(/[^"#]*)`)
	forms   = regexp.MustCompile(`(?s)<form\b[^>]*>`)
	action  = regexp.MustCompile(`\saction="([^"]*)"`)
	scripts = regexp.MustCompile(`(?s)<(script|style)\b([^>]*)>`)
	inline  = regexp.MustCompile(`(?i)\s(on[a-z]+|style)="|javascript:`)
	foreign = regexp.MustCompile(`(?i)\s(src|href|action)="(https?:)?//[^"]*"`)
)

// TestEveryPage follows every link of the site from its first page, wants each page safe, and each form refused where
// another site sends it.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	theirs := &fakeOctopus{installation: "theirs"}
	there := serve(t, theirs.ServeHTTP)
	r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": `Ship<script>alert(1)</script>"'`}}}))
	o.ends(r.field("task"), "succeeded")
	v := o.visit()

	pages, found := []string{"/", "/spaces/new", "/spaces/enlist", "/settings", "/settings/api-keys", "/settings/sessions", "/audit", "/servers", "/tasks", "/switch", "/nowhere"},
		map[string]bool{}
	actions := map[string]bool{"/theme": true, "/sign-in": true, "/hooks/spaces/space-x": true}
	for i := 0; i < len(pages); i++ {
		path := pages[i]
		r := v.get(path)
		if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") && r.status != 303 {
			continue // a file
		}
		body := string(r.body)
		safePage(t, path, r.header, body)
		if strings.Contains(body, "<script>alert(1)") {
			t.Errorf("%s runs what somebody called a Space", path)
		}
		for _, m := range foreign.FindAllString(body, -1) {
			if !strings.Contains(m, strings.TrimPrefix(there, "http:")) {
				t.Errorf("%s leads elsewhere: %s", path, m)
			}
		}
		for _, form := range forms.FindAllString(body, -1) {
			if !strings.Contains(form, `method="post"`) {
				continue
			}
			to := strings.Split(path, "?")[0]
			if m := action.FindStringSubmatch(form); m != nil && m[1] != "" {
				to = strings.ReplaceAll(m[1], "&amp;", "&")
			}
			actions[to] = true
		}
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			to := strings.ReplaceAll(m[1], "&amp;", "&")
			bare, _, _ := strings.Cut(to, "?")
			if !found[bare] && !strings.HasPrefix(to, "/assets/") && !strings.HasPrefix(to, "//") && !strings.HasPrefix(to, "/api/") && len(pages) < 200 {
				found[bare] = true
				pages = append(pages, to)
			}
		}
	}
	if len(pages) < 15 || len(actions) < 12 {
		t.Errorf("only %d pages and %d forms were found: %q", len(pages), len(actions), slices.Sorted(maps.Keys(actions)))
	}
	before := o.tables()
	for to := range actions {
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			headers := map[string]string{header: value}
			if header == "Origin" { // an old browser
				headers["Sec-Fetch-Site"] = "-"
			}
			if r := v.post(to, url.Values{"on": {"true"}, "confirm": {"x"}, "theme": {"dark"}}, headers); r.status != 403 {
				t.Errorf("%s with %s %s: %d", to, header, value, r.status)
			}
		}
	}
	if after := o.tables(); !maps.Equal(before, after) {
		t.Errorf("forms of another site wrote: before %v, after %v", before, after)
	}
	t.Logf("%d pages, %d forms", len(pages), len(actions))
}

// safePage wants what keeps a page from running or loading what is not ours, even where somebody smuggled it in.
func safePage(t *testing.T, path string, h http.Header, body string) {
	t.Helper()
	policy := h.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self' 'nonce-", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s: the policy lacks %s: %s", path, part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" || h.Get("Cache-Control") != "no-store" && body != "" && h.Get("Location") == "" {
		t.Errorf("%s: headers %v", path, h)
	}
	for _, m := range scripts.FindAllStringSubmatch(body, -1) {
		if !strings.Contains(m[2], "src=") && !strings.Contains(m[2], "nonce=") {
			t.Errorf("%s: <%s%s> stands in the page without a nonce", path, m[1], m[2])
		}
	}
	for _, m := range inline.FindAllString(body, -1) {
		t.Errorf("%s has %q in the page, which the policy forbids", path, m)
	}
}

// TestSessions wants that a session cannot be planted, and that its cookie keeps to itself.
func TestSessions(t *testing.T) {
	t.Parallel()
	for scheme, public := range map[string]string{"http": "", "https": "https://odcm.example.com"} {
		o := open(t, func(o *manager.Options) { o.PublicURL = public })
		name := map[string]string{"http": "odcm-session", "https": "__Host-odcm-session"}[scheme]
		planted := strings.Repeat("A", 43)
		v := &visitor{o: o, cookies: []*http.Cookie{{Name: name, Value: planted}, {Name: "odcm-session", Value: planted}}}
		r := v.post("/sign-in", url.Values{"username": {"admin"}, "password": {"Watch-it-2026"}, "return": {"https://evil.example/"}}, nil)
		if r.status != 303 || r.header.Get("Location") != "/" {
			t.Errorf("%s: got %d to %q", scheme, r.status, r.header.Get("Location"))
		}
		i := slices.IndexFunc(v.cookies, func(c *http.Cookie) bool { return c.Name == name })
		if i < 0 {
			t.Fatalf("%s: cookies %v", scheme, v.cookies)
		}
		c := v.cookies[i]
		if c.Value == planted || len(c.Value) < 40 || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != (scheme == "https") {
			t.Errorf("%s: cookie %v", scheme, c)
		}
		if hsts := r.header.Get("Strict-Transport-Security"); (hsts != "") != (scheme == "https") {
			t.Errorf("%s: HSTS %q", scheme, hsts)
		}
		if r := v.get("/settings"); r.status != 200 {
			t.Errorf("%s: signed in, got %d", scheme, r.status)
		}
		// The old session of the same browser ends with a new sign-in, and with signing out.
		before := slices.Clone(v.cookies)
		v.post("/sign-in", url.Values{"username": {"admin"}, "password": {"Watch-it-2026"}}, nil)
		if r := (&visitor{o: o, cookies: before}).get("/settings"); r.status != 303 {
			t.Errorf("%s: the session before a new sign-in lives on: %d", scheme, r.status)
		}
		before = slices.Clone(v.cookies)
		v.post("/sign-out", nil, nil)
		if r := (&visitor{o: o, cookies: before}).get("/settings"); r.status != 303 {
			t.Errorf("%s: the session lives on after signing out: %d", scheme, r.status)
		}
		if r := o.ask("POST", "/theme", "theme=dark&return=//evil.example", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}); r.header.Get("Location") != "/" {
			t.Errorf("%s: the theme's form leads to %q", scheme, r.header.Get("Location"))
		}
	}
}

// TestSignInTellsNoNames compares what a stranger is told of a name that exists and of one that does not. That both cost the
// same work is shown where the work is done, in package identity.
func TestSignInTellsNoNames(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	try := func(username string) reply {
		t.Helper()
		r := o.ask("POST", "/api/v1/sign-in", asJSON(map[string]string{"username": username, "password": "wrong horse"}), map[string]string{"Authorization": "-"})
		refusal{status: 401, code: "identity.sign-in-failed", says: "username or the password"}.check(t, r)
		return r
	}
	known, unknown := try("admin"), try("alice")
	// The identifier of the request is all that may differ.
	a, b := known.problem(), unknown.problem()
	a.Instance, b.Instance = "", ""
	if !reflect.DeepEqual(a, b) || len(known.body) != len(unknown.body) {
		t.Errorf("of a known name\n%s\nof an unknown one\n%s", known.body, unknown.body)
	}
	names := func(r reply) []string { return slices.Sorted(maps.Keys(r.header)) }
	if !slices.Equal(names(known), names(unknown)) {
		t.Errorf("headers %v and %v", known.header, unknown.header)
	}
	// Whoever guesses on is told when to come back.
	var r reply
	until(t, "guessing is slowed down", func() bool {
		r = o.ask("POST", "/api/v1/sign-in", asJSON(map[string]string{"username": "admin", "password": "wrong horse"}), map[string]string{"Authorization": "-"})
		return r.status != 401
	})
	refusal{status: 429, code: "identity.too-many-attempts", says: "try again in"}.check(t, r)
	if r.header.Get("Retry-After") == "" {
		t.Errorf("headers %v", r.header)
	}
}

// TestOpenDoors looks at what anybody may ask without a key.
func TestOpenDoors(t *testing.T) {
	t.Parallel()
	o := open(t, nil)
	theirs := &fakeOctopus{installation: "theirs"}
	there := serve(t, theirs.ServeHTTP)
	r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Secret project"}}}))
	o.ends(r.field("task"), "succeeded")
	nobody := map[string]string{"Authorization": "-"}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n", "/metrics": "odcm_http_requests_total"} {
		r := o.ask("GET", path, "", nobody)
		if r.status != 200 || !strings.Contains(string(r.body), want) || r.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		for _, private := range []string{"Secret project", "secret-project", there, "admin", o.data, r.field("task")} {
			if private != "" && strings.Contains(string(r.body), private) {
				t.Errorf("%s tells %s", path, private)
			}
		}
	}
	for _, path := range []string{"/spaces", "/live?topic=space-list", "/switch", "/api/v1/spaces", "/audit", "/servers"} {
		if r := o.ask("GET", path, "", nobody); r.status != 401 && r.status != 303 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	// The webhook's door: the same answer to every stranger, whether there is such a Space or not.
	var hook struct {
		EventNotificationSubscription struct{ WebhookURI, WebhookHeaderKey, WebhookHeaderValue string }
	}
	if err := json.Unmarshal(theirs.made[0], &hook); err != nil {
		t.Fatal(err)
	}
	h := hook.EventNotificationSubscription
	path := strings.TrimPrefix(h.WebhookURI, o.m.URL())
	knock := func(path, secret, body string) reply {
		return o.ask("POST", path, body, map[string]string{"Authorization": "-", h.WebhookHeaderKey: secret})
	}
	if r := knock(path, h.WebhookHeaderValue, `{}`); r.status != 204 {
		t.Errorf("the server's own call: %d %s", r.status, r.body)
	}
	wrong, unknown := knock(path, "wrong", `{}`).problem(), knock("/hooks/spaces/space-unknown", h.WebhookHeaderValue, `{}`).problem()
	if wrong.Status != 401 || unknown.Status != 401 || wrong.Code != unknown.Code || wrong.Detail != unknown.Detail {
		t.Errorf("a wrong secret %+v, an unknown Space %+v", wrong, unknown)
	}
	if r := knock(path, h.WebhookHeaderValue, strings.Repeat("x", 100<<10)); r.status != 413 {
		t.Errorf("a large call: %d", r.status)
	}
	if r := o.ask("GET", path, "", nobody); r.status != 405 {
		t.Errorf("another method: %d", r.status)
	}
}
