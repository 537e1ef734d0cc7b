// Package upstream runs other organisations' identity providers for tests: npm's oidc-provider in the shape of Entra ID, of
// Google, or of neither, and stand-ins for Microsoft Graph and for Google's Directory API.
package upstream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed provider
var files embed.FS

// Client is an application that is registered with the provider.
type Client struct {
	ID       string   `json:"client_id"`
	Secret   string   `json:"client_secret"`
	Redirect []string `json:"redirect_uris"`
	Auth     string   `json:"token_endpoint_auth_method,omitempty"`
	LoggedTo []string `json:"post_logout_redirect_uris,omitempty"`
}

// User is a person whom the provider knows, with what its tokens say.
type User struct {
	Password string         `json:"password"`
	Claims   map[string]any `json:"claims"`
}

// Settings say how a provider is to be.
type Settings struct {
	Path    string          `json:"path"` // of the issuer: "/TENANT/v2.0"
	Clients []Client        `json:"clients"`
	Users   map[string]User `json:"users"`
	// Sparse keeps all but the subject out of the ID token: it is in userinfo, as OpenID Connect Core section 5.4 has it.
	Sparse bool `json:"sparse"`
	// ApplicationPath gives applications tokens of their own by client credentials: ApplicationToken.
	ApplicationPath  string `json:"applicationPath,omitempty"`
	ApplicationToken string `json:"applicationToken,omitempty"`
}

// Provider is one that runs until the test ends.
type Provider struct {
	t      testing.TB
	Issuer string
	Origin string // of the issuer: Entra ID's "authority"
}

// Tenant is the one of a provider in the shape of Entra ID.
const Tenant = "11111111-2222-3333-4444-555555555555"

// Entra is a provider in the shape of Entra ID; graph's token is what its applications get.
func Entra(t testing.TB, graph *Graph, users map[string]User, clients ...Client) *Provider {
	t.Helper()
	for i := range clients {
		clients[i].Auth = "client_secret_post"
	}
	s := Settings{Path: "/" + Tenant + "/v2.0", Users: users, Clients: clients, ApplicationPath: "/" + Tenant + "/oauth2/v2.0/token"}
	if graph != nil {
		s.ApplicationToken = graph.Token
	}
	return Start(t, s)
}

// EntraClaims are those of a person in the tenant.
func EntraClaims(name, object string, groups ...string) map[string]any {
	claims := map[string]any{"sub": "pairwise-" + name, "oid": object, "tid": Tenant, "name": strings.ToUpper(name[:1]) + name[1:],
		"preferred_username": name + "@contoso.example", "email": name + "@contoso.example"}
	if groups != nil {
		claims["groups"] = groups
	}
	return claims
}

// Google is a provider in the shape of Google.
func Google(t testing.TB, users map[string]User, clients ...Client) *Provider {
	t.Helper()
	for i := range clients {
		clients[i].Auth = "client_secret_post"
	}
	return Start(t, Settings{Users: users, Clients: clients})
}

// GoogleClaims are those of a person of the hosted domain, "" for a private account.
func GoogleClaims(name, subject, domain string) map[string]any {
	claims := map[string]any{"sub": subject, "name": strings.ToUpper(name[:1]) + name[1:], "email": name + "@" + domain, "email_verified": true, "hd": domain}
	if domain == "" {
		delete(claims, "hd")
		claims["email"] = name + "@mail.example"
	}
	return claims
}

// Start runs a provider. Where node or npm are missing the test is skipped with the reason, or fails where CI is set.
func Start(t testing.TB, s Settings) *Provider {
	t.Helper()
	folder := installed(t)
	settings, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(folder, "provider.mjs"))
	cmd.Env = append(os.Environ(), "UPSTREAM="+string(settings))
	var said lines
	cmd.Stderr = &said
	in, err := cmd.StdinPipe() // its end tells the process that the test is gone, however it went
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the provider said:\n%s", said.String())
		}
	})
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not start: %v\n%s", err, said.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	issuer := strings.TrimSpace(first)
	u, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	return &Provider{t: t, Issuer: issuer, Origin: u.Scheme + "://" + u.Host}
}

// SetUsers replaces everybody whom the provider knows.
func (p *Provider) SetUsers(users map[string]User) {
	p.t.Helper()
	body, err := json.Marshal(users)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, p.Origin+"/control/users", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		p.t.Fatalf("set users: %s", res.Status)
	}
}

// Visit goes to the address as a browser would, signs in with the form, and returns where the provider sends the browser in the
// end: an address that is not its own. An empty username says no.
func (p *Provider) Visit(target, username, password string) *url.URL {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	var left *url.URL
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Scheme+"://"+r.URL.Host != p.Origin {
			left = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := browser.Get(target)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	if left != nil {
		return left
	}
	form := url.Values{"username": {username}, "password": {password}}
	if username == "" {
		form.Set("deny", "1")
	}
	if res, err = browser.PostForm(res.Request.URL.String(), form); err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if left == nil {
		b, _ := io.ReadAll(res.Body)
		p.t.Fatalf("the provider does not send the browser back: %s\n%s", res.Status, b)
	}
	return left
}

// installed returns a folder with the provider's script and its package, of exactly the versions that are locked.
func installed(t testing.TB) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, "%s is not installed (make deps)", program)
		}
	}
	folder, err := install()
	if err != nil {
		missing(t, "%v", err)
	}
	return folder
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// install makes the folder once for each content of the embedded files. Processes may do it at the same time: each makes a
// folder of its own, and the first to be ready has it.
var install = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	name, err := fingerprint()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "odcm-test", "oidc-provider-"+name)
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", err
	}
	making, err := os.MkdirTemp(filepath.Dir(folder), "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	for _, f := range embedded {
		b, err := files.ReadFile("provider/" + f)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(making, f), b, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--prefix", making, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	cmd.Dir = making
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm cannot install the provider: %w: %s", err, out)
	}
	if err := os.Rename(making, folder); err != nil && !exists(folder) {
		return "", err
	}
	return folder, nil
})

var embedded = []string{"package.json", "package-lock.json", "provider.mjs"}

// fingerprint tells one content of the embedded files from another.
func fingerprint() (string, error) {
	sum := sha256.New()
	for _, f := range embedded {
		b, err := files.ReadFile("provider/" + f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", f, len(b), b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func exists(folder string) bool {
	_, err := os.Stat(folder)
	return err == nil
}

// lines keeps the end of what a process says.
type lines struct {
	mu  sync.Mutex
	buf []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	if most := 16 << 10; len(l.buf) > most {
		l.buf = l.buf[len(l.buf)-most:]
	}
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
