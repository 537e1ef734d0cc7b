package oidc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/identity/oidc"
	"odcm/manager/identity/provider"
)

func TestSignInSucceeds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := i.open(map[string]string{"domains": "example.com"})
	a, err := i.signIn(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Provider != "provider-1" || a.Subject != "carol-1" || a.Method != "oidc" || a.Username != "carol" || a.DisplayName != "Carol" ||
		a.Email != "carol@example.com" || !a.EmailVerified || a.TrustEmail || !a.Admit || !a.GroupsKnown || len(a.Groups) != 2 || a.Groups[0].ID != "g1" {
		t.Errorf("%+v", a)
	}
	if _, err := i.signIn(s, nil); err != nil {
		t.Fatal(err)
	}
	if i.described != 1 || i.keysRead != 1 {
		t.Errorf("two sign-ins read the description %d times and the keys %d times", i.described, i.keysRead)
	}
}

// TestTokensAreRefused is every way in which a token can be somebody else's, or nobody's.
func TestTokensAreRefused(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		with func(*issuer)
		code string
		kind odcm.Kind
	}{
		"issuer of another":           {func(i *issuer) { i.claims["iss"] = "https://evil.example" }, "sign-in.issuer", ""},
		"issuer with a slash":         {func(i *issuer) { i.claims["iss"] = i.URL + "/" }, "sign-in.issuer", ""},
		"audience of another":         {func(i *issuer) { i.claims["aud"] = "another" }, "sign-in.token-malformed", ""},
		"audiences without azp":       {func(i *issuer) { i.claims["aud"] = []string{"odcm", "another"} }, "sign-in.audience", ""},
		"azp of another":              {func(i *issuer) { i.claims["azp"] = "another" }, "sign-in.audience", ""},
		"nonce of another":            {func(i *issuer) { i.claims["nonce"] = "stolen" }, "sign-in.nonce", ""},
		"nonce in other letters":      {func(i *issuer) { i.claims["Nonce"], i.claims["nonce"] = nil, "stolen" }, "sign-in.nonce", ""},
		"no nonce":                    {func(i *issuer) { i.claims["nonce"] = nil }, "sign-in.nonce", ""},
		"no subject":                  {func(i *issuer) { i.claims["sub"] = nil }, "sign-in.subject", ""},
		"subject that is too long":    {func(i *issuer) { i.claims["sub"] = strings.Repeat("x", 256) }, "sign-in.subject", ""},
		"subject with a line break":   {func(i *issuer) { i.claims["sub"] = "a\nb" }, "sign-in.subject", ""},
		"expired past the skew":       {func(i *issuer) { i.claims["exp"] = now.Add(-2 * time.Minute).Unix() }, "sign-in.expired", ""},
		"no expiry":                   {func(i *issuer) { i.claims["exp"] = nil }, "sign-in.token-malformed", ""},
		"expiry that is no number":    {func(i *issuer) { i.claims["exp"] = "soon" }, "sign-in.token-malformed", ""},
		"issued in the future":        {func(i *issuer) { i.claims["iat"] = now.Add(3 * time.Minute).Unix() }, "sign-in.not-yet", ""},
		"not yet valid":               {func(i *issuer) { i.claims["nbf"] = now.Add(3 * time.Minute).Unix() }, "sign-in.not-yet", ""},
		"at_hash of another token":    {func(i *issuer) { i.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, "sign-in.hash", ""},
		"c_hash of another code":      {func(i *issuer) { i.claims["c_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, "sign-in.hash", ""},
		"no token":                    {func(i *issuer) { i.answer["id_token"] = nil }, "sign-in.token-missing", ""},
		"token that is none":          {func(i *issuer) { i.answer["id_token"] = "a.b.c" }, "sign-in.token-malformed", ""},
		"token that is too large":     {func(i *issuer) { i.claims["junk"] = strings.Repeat("x", 70_000) }, "sign-in.token-too-large", odcm.Denied},
		"too many groups":             {func(i *issuer) { i.claims["groups"] = many(5_001); i.metadata["x"] = 1 }, "sign-in.too-many-groups", odcm.Denied},
		"signed by another":           {func(i *issuer) { i.token = func(b []byte) string { return i.sign(b, jose.RS256, other, "one", "") } }, "sign-in.signature", ""},
		"unknown kid":                 {func(i *issuer) { i.token = func(b []byte) string { return i.sign(b, jose.RS256, other, "two", "") } }, "sign-in.key-unknown", ""},
		"algorithm of another family": {func(i *issuer) { i.token = func(b []byte) string { return i.sign(b, jose.ES256, curve, "one", "") } }, "sign-in.token-malformed", ""},
		"an access token": {func(i *issuer) {
			i.token = func(b []byte) string { return i.sign(b, jose.RS256, i.key, "one", "at+jwt") }
		}, "sign-in.token-type", ""},
		"a logout token": {func(i *issuer) {
			i.token = func(b []byte) string { return i.sign(b, jose.RS256, i.key, "one", "logout+jwt") }
		}, "sign-in.token-type", ""},
		"alg none": {func(i *issuer) {
			i.token = func(b []byte) string { return unsigned(`{"alg":"none"}`, b, "") }
		}, "sign-in.token-malformed", ""},
		"alg none in other letters": {func(i *issuer) {
			i.token = func(b []byte) string { return unsigned(`{"alg":"nOnE","kid":"one"}`, b, "") }
		}, "sign-in.token-malformed", ""},
		"HS256 with the public key": {func(i *issuer) {
			i.token = func(b []byte) string { return i.sign(b, jose.HS256, publicPEM(t, &i.key.PublicKey), "one", "") }
		}, "sign-in.token-malformed", ""},
		"HS256 with the client secret": {func(i *issuer) {
			i.token = func(b []byte) string { return i.sign(b, jose.HS256, bytes.Repeat([]byte("secret"), 6), "", "") }
		}, "sign-in.token-malformed", ""},
		"a key that it brings itself": {func(i *issuer) {
			i.token = func(b []byte) string {
				signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: other}, &jose.SignerOptions{EmbedJWK: true})
				if err != nil {
					t.Error(err)
					return ""
				}
				signed, _ := signer.Sign(b)
				text, _ := signed.CompactSerialize()
				return text
			}
		}, "sign-in.signature", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			c.with(i)
			kind := c.kind
			if kind == "" {
				kind = odcm.Unauthenticated
			}
			_, err := i.signIn(i.open(nil), nil)
			wantCode(t, err, kind, c.code)
		})
	}
}

func many(n int) []string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = fmt.Sprintf("g%d", i)
	}
	return groups
}

func publicPEM(t *testing.T, key *rsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Error(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestTokensWithinTheSkewAreTaken(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]map[string]any{
		"expired a moment ago":  {"exp": time.Now().Add(-30 * time.Second).Unix()},
		"issued in a moment":    {"iat": time.Now().Add(30 * time.Second).Unix()},
		"two audiences, for us": {"aud": []string{"odcm", "another"}, "azp": "odcm"},
		"time with a fraction":  {"iat": float64(time.Now().UnixMilli()) / 1000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.claims = claims
			if _, err := i.signIn(i.open(nil), nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnswersAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer url.Values
		kind   odcm.Kind
		code   string
	}{
		"state of another":         {url.Values{"state": {"stolen"}}, odcm.Invalid, "sign-in.state"},
		"no state":                 {url.Values{"state": nil}, odcm.Invalid, "sign-in.state"},
		"two states":               {url.Values{"state": {"a", "b"}}, odcm.Unauthenticated, "sign-in.answer-malformed"},
		"two codes":                {url.Values{"code": {"right", "wrong"}}, odcm.Unauthenticated, "sign-in.answer-malformed"},
		"no code":                  {url.Values{"code": nil}, odcm.Unauthenticated, "sign-in.answer-malformed"},
		"code that is too long":    {url.Values{"code": {strings.Repeat("x", 9000)}}, odcm.Unauthenticated, "sign-in.answer-malformed"},
		"wrong or expired code":    {url.Values{"code": {"wrong"}}, odcm.Unauthenticated, "sign-in.code"},
		"issuer of another":        {url.Values{"iss": {"https://evil.example"}}, odcm.Unauthenticated, "sign-in.issuer-mixed-up"},
		"person said no":           {url.Values{"code": nil, "error": {"access_denied"}}, odcm.Denied, "sign-in.denied"},
		"error beside a code":      {url.Values{"error": {"access_denied"}}, odcm.Denied, "sign-in.denied"},
		"provider has a problem":   {url.Values{"code": nil, "error": {"server_error"}}, odcm.Unavailable, "provider.unreachable"},
		"provider refuses scopes":  {url.Values{"code": nil, "error": {"invalid_scope"}, "error_description": {"<script>"}}, odcm.Unavailable, "provider.refused-request"},
		"error from another place": {url.Values{"code": nil, "error": {"access_denied"}, "iss": {"https://evil.example"}}, odcm.Unauthenticated, "sign-in.issuer-mixed-up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			_, err := i.signIn(i.open(nil), c.answer)
			wantCode(t, err, c.kind, c.code)
			if strings.Contains(err.Error(), "secret detail") || strings.Contains(err.Error(), "<script>") {
				t.Errorf("the error leaks: %v", err)
			}
			if strings.HasPrefix(c.code, "sign-in.") && c.code != "sign-in.code" && i.exchanged > 0 {
				t.Error("the code was sent on")
			}
		})
	}
}

func TestAnswerMustNameItsIssuerWhereThatIsAnnounced(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.metadata["authorization_response_iss_parameter_supported"] = true
	s := i.open(nil)
	_, err := i.signIn(s, nil)
	wantCode(t, err, odcm.Unauthenticated, "sign-in.issuer-missing")
	if _, err := i.signIn(s, url.Values{"iss": {i.URL}}); err != nil {
		t.Error(err)
	}
}

func TestDescriptionsAreRefused(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	const known = "/.well-known/openid-configuration"
	for name, c := range map[string]struct {
		with func(*issuer)
		code string
	}{
		"it names another issuer":  {func(i *issuer) { i.metadata["issuer"] = "https://evil.example" }, "provider.issuer-differs"},
		"its issuer has a slash":   {func(i *issuer) { i.metadata["issuer"] = i.URL + "/" }, "provider.issuer-differs"},
		"tokens come without TLS":  {func(i *issuer) { i.metadata["token_endpoint"] = "http://login.example.com/token" }, "provider.endpoint-unsafe"},
		"keys come from a file":    {func(i *issuer) { i.metadata["jwks_uri"] = "file:///etc/passwd" }, "provider.endpoint-unsafe"},
		"a script is its sign-in":  {func(i *issuer) { i.metadata["authorization_endpoint"] = "javascript:alert(1)" }, "provider.endpoint-unsafe"},
		"it has no token endpoint": {func(i *issuer) { i.metadata["token_endpoint"] = "" }, "provider.endpoint-unsafe"},
		"it redirects elsewhere":   {func(i *issuer) { i.serve[known] = http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP }, "egress.redirect"},
		"it is a page": {func(i *issuer) {
			i.serve[known] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }
		}, "provider.answer-malformed"},
		"it is not JSON":           {func(i *issuer) { i.serve[known] = jsonText("{") }, "provider.answer-malformed"},
		"it is far too long":       {func(i *issuer) { i.serve[known] = jsonText(`{"x":"` + strings.Repeat("x", 5<<20) + `"}`) }, "provider.answer-too-large"},
		"it is not found":          {func(i *issuer) { i.serve[known] = http.NotFound }, "provider.unreachable"},
		"it fails again and again": {func(i *issuer) { i.serve[known] = status(http.StatusBadGateway) }, "provider.unreachable"},
		"its keys are no keys":     {func(i *issuer) { i.serve["/keys"] = jsonText(`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"one"}]}`) }, "provider.no-keys"},
		"its keys redirect":        {func(i *issuer) { i.serve["/keys"] = http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP }, "egress.redirect"},
		"its token answer is HTML": {func(i *issuer) {
			i.serve["/token"] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }
		}, "sign-in.answer-malformed"},
		"its tokens redirect": {func(i *issuer) {
			i.serve["/token"] = http.RedirectHandler("/keys", http.StatusTemporaryRedirect).ServeHTTP
		}, "egress.redirect"},
		"it wants another client":  {func(i *issuer) { i.serve["/token"] = refusal(http.StatusUnauthorized, "invalid_client") }, "provider.client-refused"},
		"tokens fail for a moment": {func(i *issuer) { i.serve["/token"] = status(http.StatusServiceUnavailable) }, "provider.unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			c.with(i)
			_, err := i.signIn(i.open(nil), nil)
			if got := odcm.CodeOf(err); got != c.code {
				t.Errorf("%s: %v, want %s", got, err, c.code)
			}
		})
	}
}

func jsonText(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, text)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func refusal(code int, name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":%q}`, name)
	}
}

func TestSlowAndDrippingAnswersEndInTime(t *testing.T) {
	t.Parallel()
	for name, drip := range map[string]bool{"slow": false, "dripping": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			i.serve["/token"] = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-over:
						return
					case <-r.Context().Done():
						return
					case <-tick.C:
						if drip {
							fmt.Fprint(w, " ")
							_ = http.NewResponseController(w).Flush()
						}
					}
				}
			}
			s := i.open(nil).(provider.Redirects)
			f := newFlow()
			if _, err := s.Begin(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // as the ten seconds of Finish, only sooner
			defer cancel()
			_, err := s.Finish(ctx, f, url.Values{"code": {"right"}, "state": {f.State}})
			wantCode(t, err, odcm.Unavailable, "egress.timeout")
		})
	}
}

func TestKeysAreReadAgainWhenTheyRotate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	clock := time.Now()
	s := must(t, provider.OpenID, map[string]string{"issuer": i.URL, "clientId": "odcm"}, nil, func() time.Time { return clock })
	if _, err := i.signIn(s, nil); err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	i.key, i.kid = other, "two"
	i.mu.Unlock()
	// At once, a key that is not known is no reason to ask: whoever makes tokens up would make ODCM ask for each.
	for range 3 {
		_, err = i.signIn(s, nil)
		wantCode(t, err, odcm.Unauthenticated, "sign-in.key-unknown")
	}
	if i.keysRead != 1 {
		t.Errorf("the keys were read %d times", i.keysRead)
	}
	clock = clock.Add(61 * time.Second)
	i.claims["iat"], i.claims["exp"] = clock.Unix(), clock.Add(time.Minute).Unix()
	if _, err := i.signIn(s, nil); err != nil {
		t.Fatal(err)
	}
	if i.keysRead != 2 {
		t.Errorf("the keys were read %d times", i.keysRead)
	}
}

func TestWhatWasReadServesWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	clock := time.Now()
	s := must(t, provider.OpenID, map[string]string{"issuer": i.URL, "clientId": "odcm"}, nil, func() time.Time { return clock })
	if _, err := i.signIn(s, nil); err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	i.serve["/.well-known/openid-configuration"] = status(http.StatusServiceUnavailable)
	i.mu.Unlock()
	clock = clock.Add(2 * time.Hour)
	if _, err := s.(provider.Redirects).Begin(t.Context(), newFlow()); err != nil {
		t.Fatalf("after two hours: %v", err)
	}
	clock = clock.Add(24 * time.Hour)
	_, err := s.(provider.Redirects).Begin(t.Context(), newFlow())
	if odcm.KindOf(err) != odcm.Unavailable {
		t.Fatalf("after a day: %v", err)
	}
	i.mu.Lock()
	delete(i.serve, "/.well-known/openid-configuration")
	i.mu.Unlock()
	clock = clock.Add(10 * time.Second)
	if _, err := s.(provider.Redirects).Begin(t.Context(), newFlow()); err != nil {
		t.Errorf("it is back: %v", err)
	}
}

func TestClientShowsWhoItIsInOneWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		announced []string
		setting   string
		secret    string
		want      string
	}{
		"by default":             {nil, "", "s", "basic true odcm:s, form :"},
		"as announced":           {[]string{"client_secret_post"}, "", "s", "basic false :, form odcm:s"},
		"as both are announced":  {[]string{"client_secret_post", "client_secret_basic"}, "", "s", "basic true odcm:s, form :"},
		"as set":                 {nil, "client_secret_post", "s", "basic false :, form odcm:s"},
		"as set against that":    {[]string{"client_secret_post"}, "client_secret_basic", "s", "basic true odcm:s, form :"},
		"without a secret":       {nil, "", "", "basic false :, form odcm:"},
		"with letters to escape": {nil, "", "a:b/%", "basic true odcm:a%3Ab%2F%25, form :"}, // RFC 6749 section 2.3.1
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			if c.announced != nil {
				i.metadata["token_endpoint_auth_methods_supported"] = c.announced
			}
			s := must(t, provider.OpenID, map[string]string{"issuer": i.URL, "clientId": "odcm", "clientAuth": c.setting}, map[string]string{"clientSecret": c.secret}, nil)
			if _, err := i.signIn(s, nil); err != nil {
				t.Fatal(err)
			}
			if i.proved != c.want {
				t.Errorf("%s, want %s", i.proved, c.want)
			}
		})
	}
}

func TestTheWayOutIsGuarded(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	guard := egress.New(egress.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, egress.Limits{})
	for _, c := range oidc.Connectors(oidc.Options{Guard: guard}) {
		if c.Kind() != provider.OpenID {
			continue
		}
		s, err := c.Open(provider.Provider{Settings: map[string]string{"issuer": i.URL, "clientId": "odcm"}}, returnURL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.(provider.Redirects).Begin(t.Context(), newFlow())
		wantCode(t, err, odcm.Invalid, "egress.denied")
	}
	if i.described > 0 {
		t.Error("the address was asked")
	}
}
