package ssohttp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/ssotest"
)

type fixed map[odcm.UserID][]string

func (f fixed) Entrants(context.Context, odcm.InstanceID) (map[odcm.UserID][]string, error) {
	return f, nil
}

// TestASpaceGetsItsEntitlements fetches the snapshot as a Space server does, and as those who must not have it.
func TestASpaceGetsItsEntitlements(t *testing.T) {
	t.Parallel()
	p := ssotest.New(t, dbtest.Open(t, dbtest.SQLite(t)), func(o *grant.Options) {
		o.Entrants = fixed{"user-bob": {"group-developers"}, "user-ann": nil}
	})
	space, secret, err := p.EnsureForInstance(t.Context(), "instance-1", "Payments", []string{"http://127.0.0.1/api/users/authenticatedToken/Okta"}, sso.RS256, true)
	if err != nil {
		t.Fatal(err)
	}
	application, other := p.Party(func(*sso.Party) {})
	ask := func(id sso.PartyID, secret string) (int, string) {
		t.Helper()
		w, err := http.PostForm(p.URL+"/oauth2/entitlements", url.Values{"client_id": {string(id)}, "client_secret": {secret}})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		var b strings.Builder
		if _, err := io.Copy(&b, w.Body); err != nil {
			t.Fatal(err)
		}
		return w.StatusCode, b.String()
	}
	status, snapshot := ask(space.ID, secret)
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, snapshot)
	}
	signed, err := jose.ParseSignedCompact(snapshot, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.Ring.Public(t.Context(), signed.Signatures[0].Protected.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(key)
	if err != nil || signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "odcm-entitlements+jwt" {
		t.Fatalf("%v, header %v", err, signed.Signatures[0].Protected)
	}
	var said struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		People   []struct {
			Subject string   `json:"sub"`
			Groups  []string `json:"groups"`
		} `json:"people"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		t.Fatal(err)
	}
	if said.Issuer != p.URL || said.Audience != string(space.ID) || said.Expires-said.Issued != 24*3600 || len(said.People) != 2 ||
		said.People[1].Subject != "user-bob" || len(said.People[1].Groups) != 1 {
		t.Errorf("it says %s", payload)
	}
	for name, who := range map[string]struct {
		id     sso.PartyID
		secret string
	}{"wrong secret": {space.ID, secret + "x"}, "no secret": {space.ID, ""}, "an application": {application.ID, other}, "unknown": {"party-x", secret}} {
		if status, text := ask(who.id, who.secret); status == http.StatusOK || strings.Contains(text, "user-bob") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}
