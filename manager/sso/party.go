package sso

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	jose "github.com/go-jose/go-jose/v4"

	"odcm"
)

// PartyID is a relying party's client_id.
type PartyID string

// Kind says what a relying party is.
type Kind string

// The kinds of relying parties.
const (
	KindSpace       Kind = "space"       // an Octopus server that ODCM manages
	KindApplication Kind = "application" // a program on a server of its own
	KindNative      Kind = "native"      // a program on people's machines: it can keep no secret
)

// Algorithm signs ID tokens.
type Algorithm string

// The algorithms. Octopus takes RSA keys only; a signature by one costs 25 times as much.
const (
	RS256 Algorithm = "RS256"
	ES256 Algorithm = "ES256"
)

// Auth is how a relying party proves who it is at the token endpoint (OpenID Connect Core section 9).
type Auth string

// The ways to authenticate.
const (
	AuthSecret Auth = "secret"          // client_secret_post or client_secret_basic
	AuthKey    Auth = "private_key_jwt" // an assertion signed with a key of [Party.Keys]
	AuthNone   Auth = "none"            // a public client; PKCE stands in
)

// Party is a relying party.
type Party struct {
	ID       PartyID
	Name     string
	Kind     Kind
	Instance odcm.InstanceID // of KindSpace: the server

	RedirectURIs   []string // matched exactly, save the port of loopback addresses (RFC 8252 section 7.3)
	PostLogoutURIs []string // where people may be sent after signing out, matched exactly
	LogoutURI      string   // takes logout tokens; "" for none

	Algorithm Algorithm
	Auth      Auth
	Keys      string // JSON Web Key Set of public keys, with AuthKey

	PlainHTTP bool // redirect URIs may be http: many Octopus servers stand behind no TLS
	Front     bool // may be answered with an ID token by the browser: "id_token", "code id_token"
	Device    bool // may use the device grant
	Consent   bool // people are asked once whether it may know who they are
	Disabled  bool // nobody gets in

	Created        time.Time
	SecretMade     time.Time // zero where it has no secret
	OldSecretUntil time.Time // until then the secret before is taken as well
	Revision       int64
}

// Secrets are SHA-256 hashes, base64url, of 256 random bits: nothing to guess, so nothing to slow down.
type Secrets struct{ Current, Old string }

// bounds of what an administrator or a room may write.
const (
	maxName = 100
	maxURIs = 20
	maxKeys = 10
)

// MaxURI bounds an address, in bytes.
const MaxURI = 2000

// check says what is wrong with the party.
func (p Party) check() error {
	if n := utf8.RuneCountInString(p.Name); n == 0 || n > maxName || strings.ContainsFunc(p.Name, unicode.IsControl) || strings.TrimSpace(p.Name) != p.Name {
		return odcm.E(odcm.Invalid, "party.name", "A name has 1 to %d characters, none at its ends that is a space.", maxName).OnField("name")
	}
	if !slices.Contains([]Kind{KindSpace, KindApplication, KindNative}, p.Kind) {
		return odcm.E(odcm.Invalid, "party.kind", "A relying party is a space, an application or native.").OnField("kind")
	}
	if (p.Kind == KindSpace) != (p.Instance != "") {
		return odcm.E(odcm.Invalid, "party.instance", "A relying party of the kind space belongs to a server, and no other does.").OnField("instance")
	}
	if p.Algorithm != RS256 && p.Algorithm != ES256 {
		return odcm.E(odcm.Invalid, "party.algorithm", "ID tokens are signed with RS256 or ES256.").OnField("algorithm")
	}
	if err := p.checkAuth(); err != nil {
		return err
	}
	if len(p.RedirectURIs) > maxURIs || len(p.PostLogoutURIs) > maxURIs {
		return odcm.E(odcm.Invalid, "party.uris", "At most %d addresses of a sort.", maxURIs).OnField("redirectUris")
	}
	if len(p.RedirectURIs) == 0 && !p.Device {
		return odcm.E(odcm.Invalid, "party.redirect-missing", "Give at least one redirect URI, to which people come back signed in.").OnField("redirectUris")
	}
	for _, u := range p.RedirectURIs {
		if err := p.checkURI(u); err != nil {
			return err.OnField("redirectUris")
		}
	}
	for _, u := range p.PostLogoutURIs {
		if err := p.checkURI(u); err != nil {
			return err.OnField("postLogoutUris")
		}
	}
	if p.LogoutURI != "" {
		if err := p.checkURI(p.LogoutURI); err != nil {
			return err.OnField("logoutUri")
		}
	}
	return nil
}

func (p Party) checkAuth() error {
	switch p.Auth {
	case AuthSecret:
		if p.Kind == KindNative {
			return odcm.E(odcm.Invalid, "party.native-secret", "A program on people's machines can keep no secret: choose none.").OnField("auth")
		}
	case AuthNone:
	case AuthKey:
		if _, err := p.keySet(); err != nil {
			return err
		}
		return nil
	default:
		return odcm.E(odcm.Invalid, "party.auth", "A relying party authenticates by secret, private_key_jwt or none.").OnField("auth")
	}
	if p.Keys != "" {
		return odcm.E(odcm.Invalid, "party.keys", "Keys go with private_key_jwt only.").OnField("keys")
	}
	return nil
}

// keySet reads Keys: public RSA (2048 bits and more) and P-256 keys, each with an id of its own.
func (p Party) keySet() (set jose.JSONWebKeySet, err error) {
	bad := func(text string) error { return odcm.E(odcm.Invalid, "party.keys", "%s", text).OnField("keys") }
	if len(p.Keys) > 32<<10 || json.Unmarshal([]byte(p.Keys), &set) != nil {
		return set, bad("Give a JSON Web Key Set: {\"keys\": [...]}.")
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeys {
		return set, bad("Give one to ten public keys.")
	}
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if k.KeyID == "" || seen[k.KeyID] {
			return set, bad("Each key needs a kid of its own.")
		}
		seen[k.KeyID] = true
		if !k.IsPublic() || !k.Valid() || len(assertionAlgorithms(k.Key)) == 0 {
			return set, bad("Keys are public RSA keys of at least 2048 bits or P-256 keys; leave private ones where they are.")
		}
	}
	return set, nil
}

// Public tells that the party can prove nothing but what PKCE proves.
func (p Party) Public() bool { return p.Auth == AuthNone }
