package spaceserver_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser is somebody at a browser: it keeps cookies, follows links when it is told to, and takes pages.
type browser struct {
	t    *testing.T
	w    *world
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w.t, w, &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what a browser got.
type answer struct {
	status   int
	location string
	body     string
	header   http.Header
}

func (b *browser) do(method, target string, form url.Values) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	if strings.HasPrefix(target, "/") {
		target = b.w.url + target
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header.Get("Location"), string(text), got.Header}
}

// signIn goes the way through the provider and returns the answer of this server's own redirect address.
func (b *browser) signIn(route, back string) answer {
	b.t.Helper()
	got := b.do("GET", "/signin/"+route+"?return="+url.QueryEscape(back), nil)
	if got.status != http.StatusFound {
		return got
	}
	got = b.do("GET", got.location, nil)
	if got.status == http.StatusFound {
		return b.do("GET", got.location, nil)
	}
	return b.post(got)
}

var (
	formTo    = regexp.MustCompile(`action="([^"]+)"`)
	formField = regexp.MustCompile(`name="([^"]+)" value="([^"]*)"`)
)

// post sends the form that a provider answered.
func (b *browser) post(page answer) answer {
	b.t.Helper()
	to := formTo.FindStringSubmatch(page.body)
	if to == nil {
		b.t.Fatalf("no form: %d %s", page.status, page.body)
	}
	form := url.Values{}
	for _, field := range formField.FindAllStringSubmatch(page.body, -1) {
		form.Set(field[1], unescape(field[2]))
	}
	return b.do("POST", unescape(to[1]), form)
}

func unescape(s string) string {
	return strings.NewReplacer("&#34;", `"`, "&#43;", "+", "&amp;", "&", "&#39;", "'").Replace(s)
}

// me is who the browser is, "" for nobody.
func (b *browser) me() string {
	b.t.Helper()
	got := b.do("GET", "/api/users/me", nil)
	var user struct{ Username string }
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &user); err != nil {
			b.t.Fatal(err)
		}
	}
	return user.Username
}

// await waits until f holds.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
