package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"odcm"
	"odcm/manager/identity/oidc/wire"
	"odcm/manager/identity/provider"
)

// maxToken bounds an ID token in bytes.
const maxToken = 64 << 10

// skew is how far the provider's clock may be off.
const skew = time.Minute

// flowLife is how long a sign-in may take: what was proved before it is not proved again.
const flowLife = 10 * time.Minute

// verify believes the ID token of a token answer or refuses it: OpenID Connect Core section 3.1.3.7, step by step.
func (s *source) verify(ctx context.Context, m *metadata, f provider.Flow, tokens *oauth2.Token, code string) (*claims, error) {
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return nil, wire.Refused("sign-in.token-missing", "the provider sent no ID token. Is the scope openid among those that are asked for")
	}
	if len(raw) > maxToken {
		return nil, odcm.E(odcm.Denied, "sign-in.token-too-large",
			"The provider's token about you is larger than %d KiB, which is more than ODCM takes. Ask whoever runs the provider to put fewer groups into it.", maxToken>>10)
	}
	keys := &keySet{keys: s.keys}
	// The issuer is compared below, because it may depend on the tenant, and times with the clock skew that is allowed here.
	token, err := oidc.NewVerifier(m.Issuer, keys, &oidc.Config{
		ClientID: s.clientID, SupportedSigningAlgs: m.Algorithms, SkipIssuerCheck: true, SkipExpiryCheck: true,
	}).Verify(ctx, raw)
	if err != nil {
		return nil, notVerified(errors.Join(keys.err, err))
	}
	var payload rawClaims
	if err := token.Claims(&payload); err != nil {
		return nil, wire.Refused("sign-in.token-malformed", "the token holds no claims").Because(err)
	}
	c, err := readClaims(payload)
	if err != nil {
		return nil, err
	}
	issuer, err := s.dialect.issuer(m, c, keys.used)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Issuer != issuer:
		return nil, wire.Refused("sign-in.issuer", "the token is of another provider")
	case !slices.Contains(c.Audience, s.clientID), len(c.Audience) > 1 && c.AuthorizedParty == "" || c.AuthorizedParty != "" && c.AuthorizedParty != s.clientID:
		return nil, wire.Refused("sign-in.audience", "the token is meant for another application")
	case subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(f.Nonce)) != 1 || f.Nonce == "":
		return nil, wire.Refused("sign-in.nonce", "the token belongs to another sign-in")
	}
	if err := s.timely(c, f); err != nil {
		return nil, err
	}
	return c, hashes(token, c, tokens.AccessToken, code)
}

// timely checks the times of a token.
func (s *source) timely(c *claims, f provider.Flow) error {
	now := s.now()
	switch {
	case c.Expires == nil || c.Issued == nil:
		return wire.Refused("sign-in.token-malformed", "the token does not say how long it is good")
	case !now.Before(c.Expires.time().Add(skew)):
		return wire.Refused("sign-in.expired", "the token has expired. Are the clocks of ODCM and of the provider right")
	case now.Add(skew).Before(c.Issued.time()), c.NotBefore != nil && now.Add(skew).Before(c.NotBefore.time()):
		return wire.Refused("sign-in.not-yet", "the token is from the future. Are the clocks of ODCM and of the provider right")
	case f.Again && c.Proved != nil && c.Proved.time().Before(now.Add(-flowLife-skew)):
		return wire.Refused("sign-in.not-again", "the provider did not ask you to sign in again")
	}
	return nil
}

// hashes bind the token to the code and to the access token that came with it, where the provider tells them (Core sections
// 3.1.3.8 and 3.3.2.11: both are made in the same way, and so checked).
func hashes(token *oidc.IDToken, c *claims, access, code string) error {
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(access); err != nil {
			return wire.Refused("sign-in.hash", "the tokens that the provider sent do not belong together").Because(err)
		}
	}
	if c.CodeHash != "" {
		ofCode := *token
		ofCode.AccessTokenHash = c.CodeHash
		if err := ofCode.VerifyAccessToken(code); err != nil {
			return wire.Refused("sign-in.hash", "the token does not belong to the code").Because(err)
		}
	}
	return nil
}

// notVerified finds out what go-oidc did not like, as far as its errors tell.
func notVerified(err error) error {
	var e *odcm.Error
	if errors.As(err, &e) {
		return e
	}
	return wire.Refused("sign-in.token-malformed", "the provider's token is not for ODCM, or not signed in a way that ODCM believes").Because(err)
}

// rawClaims keeps the payload as it is.
type rawClaims []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawClaims) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
