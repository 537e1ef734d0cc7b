package oidc

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/manager/identity/oidc/wire"
)

// key is one of the keys with which a provider signs.
type key struct {
	jose.JSONWebKey
	issuer string // for whom it signs, where a provider of many tenants says so (a member of Entra ID's)
}

// maxKeys bounds a key set: each may be tried.
const maxKeys = 100

// fetchKeys reads a key set (RFC 7517 section 5). Keys of kinds that are not known, and those for encryption, are left out.
func fetchKeys(ctx context.Context, w wire.Client, address string) ([]key, error) {
	var set struct{ Keys []json.RawMessage }
	if err := w.Do(ctx, wire.Call{Method: http.MethodGet, URL: address}, &set); err != nil {
		return nil, wire.Unavailable("The provider's keys", err)
	}
	return parseKeys(set.Keys)
}

func parseKeys(raw []json.RawMessage) ([]key, error) {
	var keys []key
	for _, b := range raw[:min(len(raw), maxKeys)] {
		var k key
		var more struct{ Issuer string }
		if json.Unmarshal(b, &k.JSONWebKey) != nil || json.Unmarshal(b, &more) != nil {
			continue
		}
		if k.issuer = more.Issuer; k.Valid() && k.IsPublic() && k.Use != "enc" {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, odcm.E(odcm.Invalid, "provider.no-keys", "The provider publishes no key with which a signature can be checked.")
	}
	return keys, nil
}

// keySet is the provider's keys as they are checked against; it implements go-oidc's KeySet.
type keySet struct {
	keys *cached[[]key]
	used key   // the one that had signed; a keySet is for one token
	err  error // why there is none: go-oidc keeps only the words of it
}

// VerifySignature implements go-oidc's KeySet, which has checked the algorithm. A key that is not known is a reason to read
// the keys again (OpenID Connect Core section 10.1.1), though not for everyone who makes one up.
func (s *keySet) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	defer func() { s.err = err }()
	allowed := make([]jose.SignatureAlgorithm, 0, 10)
	for _, a := range algorithms() {
		allowed = append(allowed, jose.SignatureAlgorithm(a))
	}
	signed, err := jose.ParseSignedCompact(token, allowed)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, wire.Refused("sign-in.token-malformed", "what the provider sent is not a signed token").Because(err)
	}
	header := signed.Signatures[0].Header
	// A token of another sort, such as an access token or a logout token, is no ID token (RFC 8725 section 3.11).
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "" && !strings.EqualFold(typ, "JWT") {
		return nil, wire.Refused("sign-in.token-type", "what the provider sent is not an ID token")
	}
	keys, err := s.keys.get(ctx)
	if err != nil {
		return nil, err
	}
	fitting := choose(keys, header)
	if len(fitting) == 0 {
		if keys, err = s.keys.renew(ctx); err != nil {
			return nil, err
		}
		fitting = choose(keys, header)
	}
	for _, k := range fitting {
		if payload, err := signed.Verify(k.Key); err == nil {
			s.used = k
			return payload, nil
		}
	}
	if len(fitting) == 0 {
		return nil, wire.Refused("sign-in.key-unknown", "the token is signed with a key that the provider does not publish")
	}
	return nil, wire.Refused("sign-in.signature", "the token's signature is not right")
}

// choose returns the keys that the header can mean: the named one, or where none is named all that are for the algorithm.
func choose(keys []key, h jose.Header) (fitting []key) {
	for _, k := range keys {
		if (h.KeyID == "" || k.KeyID == h.KeyID) && (k.Algorithm == "" || k.Algorithm == h.Algorithm) {
			fitting = append(fitting, k)
		}
	}
	return fitting
}
