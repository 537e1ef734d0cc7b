package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// newSecret makes 256 random bits as text, and the hash of it that is stored. A plain SHA-256 will do: there is nothing
// to guess in a random secret.
func newSecret(prefix string) (secret, token string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret = prefix + base64.RawURLEncoding.EncodeToString(random)
	return secret, tokenOf(secret)
}

// tokenOf is what of a secret is stored.
func tokenOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// secretLength is that of a session's secret: 32 bytes in base64url.
const secretLength = 43

// Bounds of an API key's length: operators may set one of their own making.
const (
	minKey = 16
	maxKey = 256
)

func wellFormed(text, kind string) bool {
	if kind == "session" && len(text) != secretLength || len(text) < minKey || len(text) > maxKey {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
