// Package issuertest is an OpenID provider for tests: it answers discovery, keys, authorization and token requests as a
// provider does (OpenID Connect Core 1.0), for one client, and misbehaves where it is told to.
package issuertest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Issuer is the provider. Set its fields under [Issuer.Set].
type Issuer struct {
	URL                    string
	ClientID, ClientSecret string

	mu     sync.Mutex
	t      testing.TB
	key    *rsa.PrivateKey
	kid    string
	now    func() time.Time
	claims map[string]any
	forge  func(claims map[string]any) string // makes the token instead; "" lets the honest one be made
	slow   chan struct{}                      // closed to let the token endpoint answer
	codes  map[string]url.Values              // authorization requests by code
	asked  []url.Values                       // token requests
	keys   int                                // how often the keys were asked for
	found  int                                // and discovery

	down     bool           // answers nothing
	snapshot map[string]any // of an ODCM, which it then is
	header   string         // "typ" of the snapshot
}

// New starts a provider for a client until the end of the test; without a secret it serves the hybrid flow only.
func New(t testing.TB, id, secret string) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{ClientID: id, ClientSecret: secret, t: t, key: key, kid: "first", now: time.Now, codes: map[string]url.Values{},
		claims: map[string]any{"sub": "00u1", "email": "ada@example.com", "name": "Ada Lovelace", "preferred_username": "ada", "groups": []string{"Engineers"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keySet)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("POST /entitlements", i.entitlements)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down := i.down
		i.mu.Unlock()
		if down {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// Set changes what the next tokens say: a value of nil takes the claim away.
func (i *Issuer) Set(claims map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, value := range claims {
		if value == nil {
			delete(i.claims, name)
		} else {
			i.claims[name] = value
		}
	}
}

// Forge lets f make tokens instead, from the claims of an honest one. nil ends it.
func (i *Issuer) Forge(f func(claims map[string]any) string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forge = f
}

// Stall makes the token endpoint wait until the returned function is called.
func (i *Issuer) Stall() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	gate := make(chan struct{})
	i.slow = gate
	return sync.OnceFunc(func() {
		i.mu.Lock()
		i.slow = nil
		i.mu.Unlock()
		close(gate)
	})
}

// Rotate replaces the key by a new one of another name.
func (i *Issuer) Rotate(kid string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid = key, kid
}

// Asked are the token requests so far.
func (i *Issuer) Asked() []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]url.Values(nil), i.asked...)
}

// Fetched tells how often discovery and keys were asked for.
func (i *Issuer) Fetched() (discovery, keys int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.found, i.keys
}

// PublicPEM is the public key as bytes, for tokens that abuse it as the secret of an HMAC.
func (i *Issuer) PublicPEM() []byte {
	text, err := json.Marshal(jose.JSONWebKey{Key: i.key.Public(), KeyID: i.kid})
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// Claims are those of an honest token for the audience, now.
func (i *Issuer) Claims(audience string) map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.honest(audience, "")
}

func (i *Issuer) honest(audience, nonce string) map[string]any {
	claims := maps.Clone(i.claims)
	now := i.now()
	claims["iss"], claims["aud"], claims["iat"], claims["exp"] = i.URL, audience, now.Unix(), now.Add(5*time.Minute).Unix()
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return claims
}

// Sign signs claims with the provider's key under the name.
func (i *Issuer) Sign(claims map[string]any, kid string) string {
	return i.SignWith(jose.SigningKey{Algorithm: jose.RS256, Key: i.key}, claims, kid)
}

// KID is the name of the key.
func (i *Issuer) KID() string { return i.kid }

// SignWith signs claims with another key or algorithm.
func (i *Issuer) SignWith(key jose.SigningKey, claims map[string]any, kid string) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// Unsigned is a token with the algorithm none (RFC 7519 section 6).
func (i *Issuer) Unsigned(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","kid":"`+i.kid+`"}`)) + "." + enc.EncodeToString(body) + "."
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.found++
	i.mu.Unlock()
	said := map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"}}
	i.mu.Lock()
	if i.snapshot != nil {
		said["odcm_spaces_menu"], said["odcm_entitlements_endpoint"] = i.URL+"/spaces.js", i.URL+"/entitlements"
	}
	i.mu.Unlock()
	write(w, http.StatusOK, said)
}

// Entitle makes the provider an ODCM whose snapshot holds the people by subject, with their groups. Further claims replace
// the honest ones.
func (i *Issuer) Entitle(typ string, people map[string][]string, forged map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	listed := []map[string]any{}
	for subject, groups := range people {
		listed = append(listed, map[string]any{"sub": subject, "groups": groups})
	}
	now := i.now()
	i.header, i.snapshot = typ, map[string]any{"iss": i.URL, "aud": i.ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "people": listed}
	maps.Copy(i.snapshot, forged)
}

// Fail makes the provider answer nothing, or answer again.
func (i *Issuer) Fail(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *Issuer) entitlements(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	snapshot, typ := i.snapshot, i.header
	i.mu.Unlock()
	if r.PostFormValue("client_id") != i.ClientID || r.PostFormValue("client_secret") != i.ClientSecret || snapshot == nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.kid}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		i.t.Error(err)
		return
	}
	text, err := jwt.Signed(signer).Claims(snapshot).Serialize()
	if err != nil {
		i.t.Error(err)
	}
	_, _ = w.Write([]byte(text))
}

func (i *Issuer) keySet(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys++
	write(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.kid, Algorithm: "RS256", Use: "sig"}}})
}

// mint makes the token that is given for an authorization request.
func (i *Issuer) mint(nonce string) string {
	i.mu.Lock()
	claims, forge := i.honest(i.ClientID, nonce), i.forge
	i.mu.Unlock()
	if forge != nil {
		if token := forge(claims); token != "" {
			return token
		}
	}
	return i.Sign(claims, i.kid)
}

// form is how a provider posts to the redirect address (OAuth 2.0 Form Post Response Mode).
var form = template.Must(template.New("form").Parse(`<form method="post" action="{{.To}}"><input name="state" value="{{.State}}"><input name="code" value="{{.Code}}"><input name="id_token" value="{{.Token}}"></form>`))

// authorize signs everybody in at once and sends them back.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != i.ClientID || q.Get("redirect_uri") == "" || !strings.Contains(q.Get("scope"), "openid") {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q
	i.mu.Unlock()
	if q.Get("response_mode") == "form_post" {
		if q.Get("response_type") != "code id_token" || q.Get("nonce") == "" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		_ = form.Execute(w, map[string]string{"To": q.Get("redirect_uri"), "State": q.Get("state"), "Code": code, "Token": i.mint(q.Get("nonce"))})
		return
	}
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Has("nonce") {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// token redeems a code, once, for who holds secret and verifier.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	i.mu.Lock()
	i.asked = append(i.asked, r.PostForm)
	asked, known := i.codes[r.PostForm.Get("code")]
	delete(i.codes, r.PostForm.Get("code"))
	gate := i.slow
	i.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
	}
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	_, _, basic := r.BasicAuth()
	switch {
	case !known, basic, r.PostForm.Get("grant_type") != "authorization_code", r.PostForm.Get("redirect_uri") != asked.Get("redirect_uri"),
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge"):
		write(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	case r.PostForm.Get("client_id") != i.ClientID || r.PostForm.Get("client_secret") != i.ClientSecret:
		write(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	default:
		write(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": i.mint("")})
	}
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Foreign is a key that no provider has.
func Foreign(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
