package signin_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/kit/seal"
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/signin"
	"odcm/spaceserver/internal/signin/issuertest"
)

// clock is a time that the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time       { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// sealer makes its key when it is first needed.
type sealer struct {
	*seal.Sealer
}

func (sealer) Ready() error { return nil }

// rig is the service on a database, at a time of its own.
type rig struct {
	*signin.Service
	service *collection.Service
	clock   *clock
}

func each(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		ctx := t.Context()
		d, err := db.Open(ctx, url, db.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		store, err := document.Open(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		s, err := seal.Open(ctx, d, seal.Options{KeyFile: filepath.Join(t.TempDir(), "key")})
		if err != nil {
			t.Fatal(err)
		}
		c := &clock{at: time.Now()}
		people := identity.New(store, c.now)
		service, err := collection.New(collection.Options{Store: store, Sealer: sealer{s}, Now: c.now, Decided: people.Forget, Kinds: []*collection.Kind{
			{Name: "Users", Type: "User", Route: "users", Scope: collection.InSystem, Title: "Username", Decides: true,
				Template: `{"Username":"","DisplayName":"","EmailAddress":"","IsActive":true,"IsService":false,"Identities":[{"IdentityProviderName":"","Claims":{}}]}`},
		}})
		if err != nil {
			t.Fatal(err)
		}
		guard := egress.New(egress.Policy{}, egress.Limits{})
		t.Cleanup(guard.CloseIdle)
		f(t, &rig{signin.New(signin.Options{Service: service, Identity: people, Egress: guard, Installation: func() string { return "6bbd2c5e-7b1c-4b8c-9c3e-0d6a2f6f0001" }, Now: c.now, PlainIssuers: true}), service, c})
	})
}

// okta sets the slot up for the provider.
func (r *rig) okta(t *testing.T, i *issuertest.Issuer) {
	t.Helper()
	var o octopus.Object
	o.Set("IsEnabled", true)
	o.Set("Issuer", i.URL)
	o.Set("ClientId", i.ClientID)
	o.Set("ClientSecret", map[string]any{"HasValue": true, "NewValue": i.ClientSecret})
	section, _ := configuration.Find("authentication-od")
	values, err := section.Accept(octopus.Object{}, o)
	if err != nil {
		t.Fatal(err)
	}
	err = r.service.Transact(t.Context(), collection.Request{Principal: permission.System()}, func(c *collection.Change) error {
		text, err := c.Conceal(configuration.Setting(section.ID), values)
		if err != nil {
			return err
		}
		c.Decides()
		return r.service.Store.Set(t.Context(), c.Tx, configuration.Setting(section.ID), string(text))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// there goes to the provider and back.
func there(t *testing.T, start signin.Start) signin.Reply {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Get(start.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	_, _ = io.Copy(io.Discard, got.Body)
	back, err := url.Parse(got.Header.Get("Location"))
	if err != nil || got.StatusCode != http.StatusFound {
		t.Fatalf("the provider answered %d: %v", got.StatusCode, err)
	}
	reply := signin.Reply{Code: back.Query().Get("code"), State: back.Query().Get("state")}
	for _, c := range start.Cookies {
		if c.Name == signin.StateCookie {
			reply.StateHash = c.Value
		}
	}
	return reply
}

func TestAVerifierLivesFiveMinutes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, r *rig) {
		i := issuertest.New(t, "space-server", "a secret")
		r.okta(t, i)
		// The provider's clock is not the test's: its tokens last.
		i.Forge(func(c map[string]any) string {
			c["exp"] = time.Now().Add(24 * time.Hour).Unix()
			return i.Sign(c, i.KID())
		})
		for _, after := range []time.Duration{4*time.Minute + 50*time.Second, 5 * time.Minute, time.Hour} {
			start, err := r.Begin(t.Context(), "Okta", "https://octopus.example.com/", signin.State{RedirectAfterLoginTo: "/app", UsingSecureConnection: true})
			if err != nil {
				t.Fatal(err)
			}
			if c := start.Cookies[0]; !c.HttpOnly || !c.Secure || c.Name != "s" || c.Expires.Sub(r.clock.now()) != 20*time.Minute || strings.Contains(start.URL, c.Value) {
				t.Errorf("cookie %v", c)
			}
			reply := there(t, start)
			r.clock.pass(after)
			done, err := r.Finish(t.Context(), "Okta", reply)
			if after < 5*time.Minute {
				if err != nil || done.Return != "/app" || !done.Secure {
					t.Errorf("after %v: %+v, %v", after, done, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "too long ago") {
				t.Errorf("after %v: %v", after, err)
			}
		}
		if n := len(i.Asked()); n != 1 {
			t.Errorf("the provider was asked for %d tokens", n)
		}
	})
}

func TestAnAccessTokenLivesOneHour(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, r *rig) {
		var user octopus.Object
		err := r.service.Transact(t.Context(), collection.Request{Principal: permission.System()}, func(c *collection.Change) (err error) {
			var o octopus.Object
			o.Set("Username", "bot")
			o.Set("DisplayName", "bot")
			o.Set("IsService", true)
			user, err = c.Create("Users", o)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		token, err := signin.Issue(t.Context(), r.Service, user.Text("Id"), "https://octopus.example.com")
		if err != nil {
			t.Fatal(err)
		}
		r.clock.pass(59 * time.Minute)
		_, atFirst := r.Bearer(t.Context(), token.AccessToken)
		r.clock.pass(2 * time.Minute)
		_, afterwards := r.Bearer(t.Context(), token.AccessToken)
		if atFirst != nil || !errors.Is(afterwards, identity.ErrUnknown) {
			t.Errorf("after 59 minutes %v, after 61 %v", atFirst, afterwards)
		}
		for _, bad := range []string{"", "a.b.c", "..", token.AccessToken + "x", strings.Repeat("A", 1<<20)} {
			if _, err := r.Bearer(t.Context(), bad); !errors.Is(err, identity.ErrUnknown) {
				t.Errorf("%.20q: %v", bad, err)
			}
		}
	})
}

func TestSubjectsMayHaveWildcards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"", "", true}, {"", "x", false}, {"a", "a", true}, {"a", "A", false}, {"*", "", true}, {"*", "anything", true}, {"?", "", false}, {"?", "é", true}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"repo:acme/*:ref:*", "repo:acme/web:ref:refs/heads/main", true}, {"repo:acme/*", "repo:evil/x", false}, {"*x*y*", "axbyc", true}, {"*x*y*", "aybxc", false}, {"a**b", "ab", true},
		{"[a-z]", "b", false}, {".*", "x", false}, {"a*", "a\nb", true},
	} {
		if got := signin.Like(c.pattern, c.subject); got != c.want {
			t.Errorf("%q fits %q: %v", c.subject, c.pattern, got)
		}
	}
}

func FuzzLike(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("***", "")
	f.Add("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, pattern, subject string) {
		if len(pattern) > 30 || len(subject) > 100 || !utf8.ValidString(pattern+subject) {
			return
		}
		expression := regexp.QuoteMeta(pattern)
		expression = strings.ReplaceAll(strings.ReplaceAll(expression, `\*`, `.*`), `\?`, `.`)
		want, err := regexp.MatchString(`(?s)\A`+expression+`\z`, subject)
		if err != nil {
			return
		}
		if got := signin.Like(pattern, subject); got != want {
			t.Errorf("%q fits %q: %v, want %v", subject, pattern, got, want)
		}
	})
}
