package ssooctopus_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/point"
)

// issuer is an OpenID Provider with one relying party: the protocol as an Octopus server sees it, with the people whom the
// room knows.
type issuer struct {
	t      *testing.T
	web    *httptest.Server
	signer jose.Signer
	key    *rsa.PrivateKey
	people point.Probing

	mu       sync.Mutex
	party    sso.Party
	secret   string
	made     int
	removed  int
	codes    map[string]map[string]any // claims
	audience string                    // instead of the right one
}

func newIssuer(t *testing.T, store point.Store) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, signer: signer, key: key, people: point.Probing{Store: store}, codes: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": i.web.URL, "authorization_endpoint": i.web.URL + "/authorize", "token_endpoint": i.web.URL + "/token", "jwks_uri": i.web.URL + "/keys"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", i.token)
	i.web = httptest.NewServer(mux)
	t.Cleanup(i.web.Close)
	return i
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (i *issuer) Issuer() string { return i.web.URL }

func (i *issuer) EnsureForInstance(_ context.Context, instance odcm.InstanceID, name string, redirectURIs []string, _ sso.Algorithm, _ bool) (sso.Party, string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	i.party = sso.Party{ID: "party-1", Name: name, Kind: sso.KindSpace, Instance: instance, RedirectURIs: redirectURIs}
	i.secret = rand.Text()
	return i.party, i.secret, nil
}

func (i *issuer) RemoveForInstance(context.Context, odcm.InstanceID) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.removed++
	return nil
}

func (i *issuer) Authorize(ctx context.Context, values url.Values, session string) (grant.Answer, error) {
	if values.Get("client_id") != string(i.party.ID) || !slices.Contains(i.party.RedirectURIs, values.Get("redirect_uri")) {
		return grant.Answer{}, odcm.E(odcm.Invalid, "sso.redirect-unknown", "Not registered: %s.", values.Get("redirect_uri"))
	}
	at, err := i.people.Session(ctx, session)
	if err != nil {
		return grant.Answer{}, err
	}
	person, err := i.people.Person(ctx, at.User)
	if err != nil {
		return grant.Answer{}, err
	}
	if _, err := i.people.Enter(ctx, at.User, i.party.Instance); err != nil {
		return grant.Answer{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	code := rand.Text()
	i.codes[code] = map[string]any{"sub": string(person.ID), "preferred_username": person.Username, "name": person.DisplayName, "email": person.Email, "email_verified": true}
	return grant.Answer{Reply: &grant.Reply{To: values.Get("redirect_uri"), Values: url.Values{"code": {code}, "state": {values.Get("state")}, "iss": {i.web.URL}}}}, nil
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	claims, ok := i.codes[r.PostFormValue("code")]
	if !ok || r.PostFormValue("client_secret") != i.secret || r.PostFormValue("client_id") != string(i.party.ID) {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]any{"error": "invalid_grant"})
		return
	}
	audience := i.audience
	if audience == "" {
		audience = string(i.party.ID)
	}
	now := time.Now()
	token, err := jwt.Signed(i.signer).Claims(jwt.Claims{Issuer: i.web.URL, Audience: jwt.Audience{audience}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour))}).Claims(claims).Serialize()
	if err != nil {
		i.t.Error(err)
	}
	answer(w, map[string]any{"id_token": token, "access_token": "x", "token_type": "Bearer", "expires_in": 60})
}

var errCrash = errors.New("crash")
