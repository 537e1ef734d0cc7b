package agentapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Token lets one machine enrol once. As text it is "odcm-enrol.SECRET.FINGERPRINT".
type Token struct {
	Secret    string            // at least 128 bits, in the alphabet of base 32
	Authority [sha256.Size]byte // SHA-256 of the authority's certificate in DER
}

const tokenPrefix = "odcm-enrol"

// ErrToken says that a text is not an enrolment token. It does not repeat the text, which may be most of a secret.
var ErrToken = errors.New("this is not an enrolment token: copy the whole of it, from odcm-enrol to its end")

func (t Token) String() string {
	return tokenPrefix + "." + t.Secret + "." + hex.EncodeToString(t.Authority[:])
}

// ParseToken reads what [Token.String] wrote, with white space around it.
func ParseToken(text string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 3 || parts[0] != tokenPrefix || len(parts[1]) < 20 || len(parts[1]) > 100 || !alphanumeric(parts[1]) {
		return Token{}, ErrToken
	}
	t := Token{Secret: parts[1]}
	sum, err := hex.DecodeString(parts[2])
	if err != nil || len(sum) != len(t.Authority) {
		return Token{}, ErrToken
	}
	copy(t.Authority[:], sum)
	return t, nil
}

// Hash is what is kept of the secret: enough to know it again, too little to use it.
func (t Token) Hash() string {
	sum := sha256.Sum256([]byte(t.Secret))
	return hex.EncodeToString(sum[:])
}

func alphanumeric(s string) bool {
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}
