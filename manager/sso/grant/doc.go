// Package grant lets people in at relying parties: the codes and tokens that these get, and the end of them.
//
// What a person has at a relying party is a grant ([Grant]): one sign-in there, and every token that came of it.
//
// Codes, access tokens and refresh tokens are sealed and carry their own state, so that issuing one writes nothing. Only what
// must happen once is written: the first use of a code makes the grant's row, each refresh raises its count, a second use of
// either is told from the first by the same statement and ends the grant (RFC 9700 sections 4.5 and 4.14). The store groups
// these statements of many requests into few commits. An ID token is the one signature of a sign-in.
//
// Types, errors, claims, hashes and signature checks of the protocol are those of zitadel's pkg/oidc. Its provider, pkg/op, is
// not used: it leaves to its caller the very checks that matter here (the openid scope, nonce, prompt, max_age, PKCE of
// confidential clients, hybrid answers, duplicate parameters), takes client secrets from query strings, and asks for two
// interfaces of forty methods in return for decoding forms. The handlers of package ssohttp stand where it would.
package grant
