package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/provider"
)

// FuzzAnswer reads what a browser brings back: it never goes on without the state.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"code=a&state=good", "error=access_denied&state=good", "state=good&state=good&code=a", "code=%00&state=good&iss=x", "state=", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := readResponse(provider.Flow{State: "good"}, got)
		if err == nil && (got.Get("state") != "good" || len(got["state"]) != 1 || (r.code == "") == (r.err == "")) {
			t.Errorf("%q was taken as %+v", query, r)
		}
		if err != nil && odcm.KindOf(err) == odcm.Internal {
			t.Errorf("%q: %v", query, err)
		}
	})
}

// FuzzToken verifies what a provider sends as an ID token: nothing that this test's key has not signed is believed.
func FuzzToken(f *testing.F) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: "one"}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	good, err := json.Marshal(map[string]any{"iss": "https://op.example", "aud": "odcm", "sub": "s", "nonce": "n", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign(good)
	if err != nil {
		f.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(token, ".")
	for _, seed := range []string{token, parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[0] + ".e30." + parts[2], "..", "{}", signed.FullSerialize()} {
		f.Add(seed)
	}
	s := &source{clientID: "odcm", now: func() time.Time { return now }}
	s.keys = &cached[[]key]{now: s.now, fetch: func(context.Context) ([]key, error) {
		return []key{{JSONWebKey: jose.JSONWebKey{Key: &private.PublicKey, KeyID: "one"}}}, nil
	}}
	s.dialect = &plain{source: s}
	m := &metadata{Issuer: "https://op.example", Algorithms: algorithms()}
	f.Fuzz(func(t *testing.T, raw string) {
		tokens := (&oauth2.Token{AccessToken: "a"}).WithExtra(map[string]any{"id_token": raw})
		c, err := s.verify(t.Context(), m, provider.Flow{Nonce: "n"}, tokens, "code")
		if err == nil && (c.Subject != "s" || !strings.Contains(raw, parts[1])) {
			t.Errorf("%q was believed", raw)
		}
		if err != nil && odcm.KindOf(err) == odcm.Internal {
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// FuzzClaims reads claims and groups, however they are made.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"s","groups":["a","b"]}`, `{"groups":"a"}`, `{"groups":{"x":["y"]}}`, `{"exp":1e400}`, `{"exp":-1,"iat":1e18}`, `{"email_verified":"TRUE"}`, `{"groups":[null]}`, `{"sub":"\u202e\u0000"}`, `[]`} {
		f.Add(seed, "groups")
	}
	f.Add(`{"a":{"b":{"c":["d"]}}}`, "a.b.c")
	f.Fuzz(func(t *testing.T, payload, claim string) {
		c, err := readClaims([]byte(payload))
		if err != nil {
			return
		}
		if who, err := c.person(); err == nil && (who.Subject == "" || !utf8.ValidString(who.DisplayName) || strings.ContainsAny(who.DisplayName+who.Username, "\n\r\x00")) {
			t.Errorf("%+v", who)
		}
		for _, s := range []*seconds{c.Expires, c.Issued, c.NotBefore} {
			if s != nil && s.time().Year() > 40_000 {
				t.Errorf("%v is %v", *s, s.time())
			}
		}
		groups, is, err := listed(c.all, claim)
		if is != present && len(groups) > 0 || len(groups) > wire.MaxGroups || err != nil && odcm.CodeOf(err) != wire.CodeTooManyGroups {
			t.Errorf("%v %v %v", groups, is, err)
		}
		for _, g := range groups {
			if !wire.Fits(g.ID) || wire.Clean(g.Name, 200) != g.Name {
				t.Errorf("group %q", g.ID)
			}
		}
	})
}
