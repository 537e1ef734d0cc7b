package relyingparty_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/sso"
)

const apacheConfiguration = `
ServerRoot /usr/lib/apache2
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
Mutex file:%[1]s
Listen 127.0.0.1:%[2]s
ServerName 127.0.0.1
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_openidc_module modules/mod_auth_openidc.so
LoadModule dir_module modules/mod_dir.so
LoadModule mime_module modules/mod_mime.so
LoadModule include_module modules/mod_include.so
LoadModule filter_module modules/mod_filter.so
TypesConfig /etc/mime.types
DocumentRoot %[1]s/htdocs
DirectoryIndex index.html
OIDCProviderMetadataURL %[3]s/.well-known/openid-configuration
OIDCClientID %[4]s
OIDCClientSecret %[5]s
OIDCRedirectURI http://127.0.0.1:%[2]s/callback
OIDCCryptoPassphrase only-for-this-test
OIDCScope "openid profile email"
OIDCRemoteUserClaim preferred_username
%[6]s
<Location />
  AuthType openid-connect
  Require valid-user
  Options +Includes
  SetOutputFilter INCLUDES
</Location>
<Location /operators>
  Require claim groups:group-operators
</Location>
<Location /nobody>
  Require claim groups:group-nobody
</Location>
`

// TestApache is mod_auth_openidc, by code with PKCE and by the hybrid flow with form_post.
func TestApache(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/lib/apache2/modules/mod_auth_openidc.so"); err != nil {
		missing(t, "apache2 with libapache2-mod-auth-openidc is not installed (make deps)")
	}
	for name, settings := range map[string]string{
		"code with PKCE":        "OIDCPKCEMethod S256",
		"hybrid by form_post":   "OIDCResponseType \"code id_token\"\nOIDCResponseMode form_post",
		"ID token by form_post": "OIDCResponseType \"id_token\"\nOIDCResponseMode form_post",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, port := provider(t), freePort(t)
			at := "http://127.0.0.1:" + port
			server, secret, err := p.EnsureForInstance(t.Context(), odcm.NewID[odcm.InstanceID]("instance"), "Apache", []string{at + "/callback"}, sso.RS256, true)
			if err != nil {
				t.Fatal(err)
			}
			apache(t, port, p.URL, string(server.ID), secret, settings)
			jar, _ := cookiejar.New(nil)
			browser := &http.Client{Jar: jar, Transport: person{}}
			if status, page := visit(t, browser, at+"/operators/"); status != http.StatusOK || !strings.Contains(page, "user=user-ann") {
				t.Errorf("%d %s", status, page)
			}
			if status, _ := visit(t, browser, at+"/nobody/"); status != http.StatusUnauthorized && status != http.StatusForbidden {
				t.Errorf("a page for another group: %d", status)
			}
		})
	}
}

// person says that he wants pages: Apache sends nobody else to sign in.
type person struct{}

// RoundTrip implements http.RoundTripper.
func (person) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", "text/html")
	return http.DefaultTransport.RoundTrip(r)
}

// visit goes there as a browser does that runs the one script of a form_post page.
func visit(t *testing.T, browser *http.Client, at string) (status int, page string) {
	t.Helper()
	res, err := browser.Get(at)
	for range 3 {
		if err != nil {
			t.Fatal(err)
		}
		b, err2 := io.ReadAll(res.Body)
		res.Body.Close()
		if status, page = res.StatusCode, string(b); err2 != nil || !strings.Contains(page, `id="reply"`) {
			return status, page
		}
		form := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(page, -1) {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
		_, rest, _ := strings.Cut(page, `action="`)
		action, _, _ := strings.Cut(rest, `"`)
		res, err = browser.PostForm(action, form)
	}
	return status, page
}

// apache runs one with a configuration of its own.
func apache(t *testing.T, port, issuer, id, secret, settings string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "apache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, folder := range []string{"htdocs/operators", "htdocs/nobody"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, folder, "index.html"), []byte(`user=<!--#echo var="REMOTE_USER" -->`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := user.Lookup("www-data"); err == nil && os.Geteuid() == 0 { // root's Apache serves as somebody else
		settings += "\nUser www-data\nGroup www-data"
		uid, _ := strconv.Atoi(u.Uid)
		if err := os.Chown(dir, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, apacheConfiguration, dir, port, issuer, id, secret, settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/apache2", "-D", "FOREGROUND", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("%s", log)
		}
	})
	for end := time.Now().Add(10 * time.Second); ; {
		res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://127.0.0.1:" + port + "/nobody/")
		if err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Fatalf("Apache does not answer: %v: %s", err, log)
		}
		<-time.After(20 * time.Millisecond)
	}
}
