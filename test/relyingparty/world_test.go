package relyingparty_test

import (
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"odcm/kit/db/dbtest"
	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// missing skips the test, or fails it where everything must be there.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func provider(t *testing.T) *ssotest.Provider {
	t.Helper()
	return ssotest.New(t, dbtest.Open(t, dbtest.SQLite(t)))
}

// party registers one that comes back to the address.
func party(p *ssotest.Provider, redirect string, f func(*sso.Party)) (sso.Party, string) {
	return p.Party(func(p *sso.Party) {
		p.RedirectURIs, p.PostLogoutURIs, p.PlainHTTP = []string{redirect}, []string{redirect}, true
		if f != nil {
			f(p)
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

// arrive goes to the address as a browser does, as far as the relying party's own: the address, or the form that is posted there.
func arrive(t *testing.T, browser *http.Client, visit, redirect string) (at, form string) {
	t.Helper()
	c := *browser
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirect) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := c.Get(visit)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if to := res.Header.Get("Location"); to != "" {
		return to, ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(b), `action="`+redirect+`"`) {
		t.Fatalf("%s: %s %s, %v", visit, res.Status, b, err)
	}
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(string(b), -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	return "", v.Encode()
}
