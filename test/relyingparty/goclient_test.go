package relyingparty_test

import (
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"odcm/manager/sso"
)

// TestGoOIDC is coreos/go-oidc with x/oauth2, by both ways to send a secret.
func TestGoOIDC(t *testing.T) {
	t.Parallel()
	p := provider(t)
	const redirect = "http://127.0.0.1:1/callback"
	for name, c := range map[string]struct {
		style oauth2.AuthStyle
		alg   sso.Algorithm
	}{"secret in the header, ES256": {oauth2.AuthStyleInHeader, sso.ES256}, "secret in the form, RS256": {oauth2.AuthStyleInParams, sso.RS256}} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			party, secret := party(p, redirect, func(p *sso.Party) { p.Algorithm = c.alg })
			issuer, err := oidc.NewProvider(ctx, p.URL)
			if err != nil {
				t.Fatal(err)
			}
			endpoint := issuer.Endpoint()
			endpoint.AuthStyle = c.style
			config := oauth2.Config{ClientID: string(party.ID), ClientSecret: secret, Endpoint: endpoint, RedirectURL: redirect, Scopes: []string{"openid", "profile", "email", "offline_access"}}
			verifier := oauth2.GenerateVerifier()
			at, _ := arrive(t, p.Browser(""), config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("nonce")), redirect)
			back, err := url.Parse(at)
			if err != nil || back.Query().Get("state") != "state" {
				t.Fatal(at, err)
			}
			token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := token.Extra("id_token").(string)
			id, err := issuer.Verifier(&oidc.Config{ClientID: string(party.ID)}).Verify(ctx, raw)
			if err != nil || id.Subject != "user-ann" || id.Nonce != "nonce" || id.VerifyAccessToken(token.AccessToken) != nil {
				t.Errorf("%+v, %v", id, err)
			}
			info, err := issuer.UserInfo(ctx, oauth2.StaticTokenSource(token))
			if err != nil || info.Email != "user-ann@example.com" || !info.EmailVerified {
				t.Errorf("%+v, %v", info, err)
			}
			again, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
			if err != nil || again.RefreshToken == token.RefreshToken {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}
