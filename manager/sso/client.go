package sso

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/json"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
)

// Credentials are what a relying party sent to prove who it is.
type Credentials struct {
	ID        PartyID
	Secret    string
	Assertion string
	Type      string // client_assertion_type
}

// maxToken bounds the tokens that are read: an ID token with some hundred groups is far shorter.
const maxToken = 16 << 10

// skew is by how much the clocks of others may differ.
const skew = time.Minute

// Authenticate tells which relying party sent the request (RFC 6749 section 2.3, OpenID Connect Core section 9).
func (r *Registry) Authenticate(ctx context.Context, c Credentials) (Party, error) {
	refuse := func(reason string) (Party, error) {
		r.Refused(ctx, c.ID, "", reason)
		return Party{}, oidc.ErrInvalidClient().WithDescription("the client is unknown or did not prove who it is")
	}
	if c.Assertion != "" && c.ID == "" {
		c.ID = PartyID(claimedIssuer(c.Assertion))
	}
	p, err := r.lookup(ctx, c.ID)
	switch {
	case odcm.KindOf(err) == odcm.NotFound:
		return refuse("unknown relying party")
	case err != nil:
		return Party{}, err
	case p.Disabled:
		return refuse("disabled relying party")
	}
	switch {
	case p.Auth == AuthSecret && c.Assertion == "" && p.proves(c.Secret, r.now()):
		return p.Party, nil
	case p.Auth == AuthNone && c.Assertion == "" && c.Secret == "":
		return p.Party, nil
	case p.Auth == AuthKey && c.Secret == "" && c.Type == oidc.ClientAssertionTypeJWTAssertion:
		if err := r.checkAssertion(ctx, p.Party, c.Assertion); err != nil {
			return refuse(err.Error())
		}
		return p.Party, nil
	}
	return refuse("wrong client secret, or another way to authenticate than the registered one")
}

// proves compares hashes of 256 random bits; the time that it takes tells nothing of use.
func (k registered) proves(secret string, now time.Time) bool {
	got := []byte(Hash(secret))
	current := k.Current != "" && subtle.ConstantTimeCompare(got, []byte(k.Current)) == 1
	old := k.Old != "" && now.Before(k.OldSecretUntil) && subtle.ConstantTimeCompare(got, []byte(k.Old)) == 1
	return secret != "" && (current || old)
}

// claimedIssuer reads who an assertion says that it is of; the signature is checked with that party's keys only.
func claimedIssuer(assertion string) string {
	var claims struct {
		Issuer string `json:"iss"`
	}
	if len(assertion) > maxToken {
		return ""
	}
	_, _ = oidc.ParseToken(assertion, &claims)
	return claims.Issuer
}

// assertionAlgorithms are those that a key may sign with: its type says, never the token (RFC 8725 section 3.1).
func assertionAlgorithms(key any) []jose.SignatureAlgorithm {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 {
			return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []jose.SignatureAlgorithm{jose.ES256}
		}
	}
	return nil
}

// checkAssertion checks a client's assertion (RFC 7523 section 3): it is signed with a key of the party, is by and about it,
// is for this issuer or its token endpoint, lasts no longer than it must, and comes once.
func (r *Registry) checkAssertion(ctx context.Context, p Party, text string) error {
	set, err := p.keySet()
	if err != nil {
		return err
	}
	payload, err := Verify(text, "", func(kid string) (jose.JSONWebKey, error) {
		if keys := set.Key(kid); len(keys) == 1 {
			return keys[0], nil
		}
		return jose.JSONWebKey{}, odcm.E(odcm.Invalid, "sso.kid", "unknown kid")
	})
	if err != nil {
		return err
	}
	var claims struct {
		Issuer     string        `json:"iss"`
		Subject    string        `json:"sub"`
		Audience   oidc.Audience `json:"aud"`
		Expiration oidc.Time     `json:"exp"`
		NotBefore  oidc.Time     `json:"nbf"`
		IssuedAt   oidc.Time     `json:"iat"`
		ID         string        `json:"jti"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return odcm.E(odcm.Invalid, "sso.assertion", "the assertion cannot be read")
	}
	const longest = time.Hour
	now, until := r.now(), claims.Expiration.AsTime()
	for wrong, is := range map[string]bool{
		"assertion by or about another client": claims.Issuer != string(p.ID) || claims.Subject != string(p.ID),
		"assertion for another audience":       !slices.ContainsFunc(claims.Audience, r.isMe),
		"assertion without or past its end":    claims.Expiration == 0 || !now.Before(until.Add(skew)),
		"assertion that lasts too long":        until.After(now.Add(longest + skew)),
		"assertion of the future":              claims.IssuedAt.AsTime().After(now.Add(skew)) || claims.NotBefore.AsTime().After(now.Add(skew)),
		"assertion without jti":                claims.ID == "",
	} {
		if is {
			return odcm.E(odcm.Invalid, "sso.assertion", "%s", wrong)
		}
	}
	fresh, err := r.o.Store.Mark(ctx, "assertion/"+Hash(string(p.ID)+" "+claims.ID), until.Add(skew))
	if err == nil && !fresh {
		err = odcm.E(odcm.Invalid, "sso.assertion", "assertion that was used before")
	}
	return err
}

// isMe tells an audience that means this provider.
func (r *Registry) isMe(audience string) bool {
	return audience == r.Issuer() || audience == r.Issuer()+TokenPath
}

// TokenPath is where the token endpoint is below the issuer: client assertions name it as their audience.
const TokenPath = "/oauth2/token"

// Verify checks a signed token's signature, by the key that its kid names and no other, and returns what was signed. Where
// typ is given, the header must be of it.
func Verify(text, typ string, find func(kid string) (jose.JSONWebKey, error)) ([]byte, error) {
	bad := func(cause error) error {
		return odcm.E(odcm.Invalid, "sso.token", "the token is not one that can be trusted").Because(cause)
	}
	if len(text) > maxToken {
		return nil, bad(nil)
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256})
	if err != nil || len(jws.Signatures) != 1 {
		return nil, bad(err)
	}
	header := jws.Signatures[0].Protected
	if got, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "" && got != typ {
		return nil, bad(nil)
	}
	key, err := find(header.KeyID)
	if err != nil {
		return nil, bad(err)
	}
	if !slices.Contains(assertionAlgorithms(key.Key), jose.SignatureAlgorithm(header.Algorithm)) ||
		key.Algorithm != "" && key.Algorithm != header.Algorithm {
		return nil, bad(nil)
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, bad(err)
	}
	return payload, nil
}
