package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/kit/egress"
	"odcm/manager/identity/oidc"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// issuer is a provider that tells whatever a test wants it to.
type issuer struct {
	t   *testing.T
	URL string

	mu        sync.Mutex
	key       *rsa.PrivateKey
	kid       string
	keysRead  int
	described int
	exchanged int
	proved    string // how the client showed who it is
	// What a test changes, before the sign-in.
	metadata map[string]any              // on top of the right description
	claims   map[string]any              // on top of the right claims; nil takes one away
	token    func(payload []byte) string // makes the ID token; nil signs it well
	answer   map[string]any              // on top of the right token answer
	serve    map[string]http.HandlerFunc // in place of a path
	nonce    string
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, key: rsaKey(), kid: "one", metadata: map[string]any{}, claims: map[string]any{}, answer: map[string]any{}, serve: map[string]http.HandlerFunc{}}
	s := httptest.NewServer(i)
	t.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	h := i.serve[r.URL.Path]
	i.mu.Unlock()
	if h != nil {
		h(w, r)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.described++
		m := map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		}
		maps.Copy(m, i.metadata)
		write(w, m)
	case "/keys":
		i.keysRead++
		write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.kid, Use: "sig"}}})
	case "/token":
		i.exchanged++
		id, secret, basic := r.BasicAuth()
		i.proved = fmt.Sprintf("basic %v %s:%s, form %s:%s", basic, id, secret, r.PostFormValue("client_id"), r.PostFormValue("client_secret"))
		if r.PostFormValue("code") != "right" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"secret detail"}`))
			return
		}
		payload := i.payload()
		make := i.token
		if make == nil {
			make = func(b []byte) string { return i.sign(b, jose.RS256, i.key, i.kid, "JWT") }
		}
		a := map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": make(payload)}
		maps.Copy(a, i.answer)
		write(w, a)
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) payload() []byte {
	now := time.Now()
	claims := map[string]any{"iss": i.URL, "aud": "odcm", "sub": "carol-1", "nonce": i.nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"name": "Carol", "preferred_username": "carol", "email": "carol@example.com", "email_verified": true, "groups": []string{"g1", "g2"}}
	for k, v := range i.claims {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	b, err := json.Marshal(claims)
	if err != nil {
		i.t.Error(err)
	}
	return b
}

func (i *issuer) sign(payload []byte, alg jose.SignatureAlgorithm, key any, kid, typ string) string {
	o := &jose.SignerOptions{}
	if typ != "" {
		o.WithType(jose.ContentType(typ))
	}
	if kid != "" {
		o.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		i.t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Error(err)
	}
	return text
}

// unsigned makes a token with the header as it stands.
func unsigned(header string, payload []byte, signature string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e(payload) + "." + signature
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

const returnURL = "http://127.0.0.1:9/sign-in/callback/provider-1"

// open makes a source of the kind; times are right by real clocks unless now says otherwise.
func open(t testing.TB, kind provider.Kind, settings, secrets map[string]string, now func() time.Time) (provider.Source, error) {
	t.Helper()
	guard := egress.New(egress.Policy{}, egress.Limits{})
	t.Cleanup(guard.CloseIdle)
	for _, c := range oidc.Connectors(oidc.Options{Guard: guard, Now: now}) {
		if c.Kind() == kind {
			return c.Open(provider.Provider{ID: "provider-1", Kind: kind, Name: "Upstream", Settings: settings, Secrets: secrets}, returnURL)
		}
	}
	t.Fatalf("no connector of kind %s", kind)
	return nil, nil
}

func must(t testing.TB, kind provider.Kind, settings, secrets map[string]string, now func() time.Time) provider.Source {
	t.Helper()
	s, err := open(t, kind, settings, secrets, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (i *issuer) open(more map[string]string) provider.Source {
	i.t.Helper()
	settings := map[string]string{"issuer": i.URL, "clientId": "odcm"}
	maps.Copy(settings, more)
	return must(i.t, provider.OpenID, settings, map[string]string{"clientSecret": "secret"}, nil)
}

func newFlow() provider.Flow {
	return provider.Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
}

// signIn goes through a whole sign-in: what comes back with the code right, unless answer says otherwise.
func (i *issuer) signIn(s provider.Source, answer url.Values) (person.Assertion, error) {
	i.t.Helper()
	f := newFlow()
	target, err := s.(provider.Redirects).Begin(i.t.Context(), f)
	if err != nil {
		return person.Assertion{}, err
	}
	u, err := url.Parse(target)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	i.nonce = u.Query().Get("nonce")
	i.mu.Unlock()
	got := url.Values{"code": {"right"}, "state": {f.State}}
	maps.Copy(got, answer)
	return s.(provider.Redirects).Finish(i.t.Context(), f, got)
}

func wantCode(t *testing.T, err error, kind odcm.Kind, code string) {
	t.Helper()
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code {
		t.Fatalf("got %v (%s, %s), want %s, %s", err, odcm.KindOf(err), odcm.CodeOf(err), kind, code)
	}
}

func findings(t testing.TB, s provider.Source) (all []provider.Finding) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s.Test(ctx, func(f provider.Finding) { all = append(all, f) })
	return all
}

func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var e *odcm.Error
	if !errors.As(err, &e) || e.Kind != odcm.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
		t.Errorf("got %v, want something wrong with %s", err, field)
	}
}
