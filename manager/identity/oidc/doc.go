// Package oidc signs people in by other organisations' OpenID providers: Entra ID, Google Workspace, and any other.
//
// The flow is the authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC
// 9700). What comes back is believed only as far as it is proved: the issuer by exact comparison, in the answer (RFC 9207)
// and in the token; the signature by an asymmetric algorithm and a key that the provider publishes; audience, authorized
// party, nonce, hashes and times; then what the kind itself vouches for, the tenant of Entra ID and the hosted domain of
// Google. Everything is bounded: time, bytes, keys, groups.
//
// A provider is asked when somebody needs it, through kit/egress, and what it publishes is kept, so that it may be away for
// a while without anybody noticing. Groups that could not be read are unknown, which is not the same as none.
package oidc
