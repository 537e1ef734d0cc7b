package ssohttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"odcm/manager/sso/ssotest"
)

// TestDirectAnswers: what stands before the site answers as the site does, but for headers that are for pages, and what it leaves
// to the site is judged once.
func TestDirectAnswers(t *testing.T) {
	t.Parallel()
	c := begin(t, start(t), nil)
	session := c.World.SignIn("user-ann")
	ask := func(door http.Handler, query string, signedIn bool) *http.Response {
		r := httptest.NewRequest(http.MethodGet, "/oauth2/authorize?"+query, nil)
		r.Header.Set("Accept", "text/html")
		if signedIn {
			r.AddCookie(&http.Cookie{Name: ssotest.Cookie, Value: session})
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Result()
	}
	good := c.query(nil).Encode()
	for name, q := range map[string]struct {
		query    string
		signedIn bool
	}{
		"a code":              {good, true},
		"an error":            {c.query(map[string]string{"scope": "profile"}).Encode(), true},
		"a fragment":          {c.query(map[string]string{"response_type": "id_token", "nonce": "n"}).Encode(), true},
		"a form":              {c.query(map[string]string{"response_mode": "form_post"}).Encode(), true},
		"nobody is signed in": {good, false},
		"an unknown client":   {c.query(map[string]string{"client_id": "party-none"}).Encode(), true},
		"another address":     {c.query(map[string]string{"redirect_uri": "https://evil.example/"}).Encode(), true},
		"a zero byte":         {good + "&nonce=%00", true},
		"no text":             {c.query(map[string]string{"client_id": "-"}).Encode() + "&client_id=%ff", true},
		"no query":            {"client_id=%zz", true},
	} {
		direct, site := ask(c.Door, q.query, q.signedIn), ask(c.Site, q.query, q.signedIn)
		if direct.StatusCode != site.StatusCode || where(t, direct) != where(t, site) {
			t.Errorf("%s: %s to %q, by the site %s to %q", name, direct.Status, where(t, direct), site.Status, where(t, site))
		}
		for _, header := range []string{"Cache-Control", "Referrer-Policy", "Content-Type"} {
			if direct.Header.Get(header) != site.Header.Get(header) {
				t.Errorf("%s: %s %q, by the site %q", name, header, direct.Header.Get(header), site.Header.Get(header))
			}
		}
	}
	before, err := c.Events.List(t.Context(), filter("party.refused"))
	if err != nil {
		t.Fatal(err)
	}
	if res := ask(c.Door, c.query(map[string]string{"client_id": "party-other"}).Encode(), true); res.StatusCode != http.StatusUnprocessableEntity || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("a page for a person: %s %v", res.Status, res.Header)
	}
	after, err := c.Events.List(t.Context(), filter("party.refused"))
	if err != nil || len(after) != len(before)+1 {
		t.Errorf("%d events of one refusal, %v", len(after)-len(before), err)
	}
}

// where a redirect leads, with what of its parameters stays the same.
func where(t *testing.T, res *http.Response) string {
	t.Helper()
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q, fragment := u.Query(), url.Values{}
	if u.Fragment != "" {
		if fragment, err = url.ParseQuery(u.EscapedFragment()); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []url.Values{q, fragment} {
		for _, differs := range []string{"code", "id_token", "return"} { // the last holds the time
			if v.Has(differs) {
				v.Set(differs, "some")
			}
		}
	}
	return u.Scheme + "://" + u.Host + u.Path + "?" + q.Encode() + "#" + fragment.Encode()
}
