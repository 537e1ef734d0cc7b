package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what one Argon2id costs (RFC 9106). The one for new hashes is OWASP's smaller recommendation: 19 MiB, two passes.
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8
}

func currentCost() Cost { return Cost{Memory: 19 * 1024, Time: 2, Threads: 1} }

// hash is a stored password in the PHC string format "$argon2id$v=19$m=19456,t=2,p=1$salt$key".
type hash struct {
	Cost
	salt, key []byte
}

func (h hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parseHash reads what String wrote. It refuses costs far beyond ours, so that a row written by someone else cannot take
// the machine's memory.
func parseHash(s string) (h hash, err error) {
	var version int
	var rest string
	if _, err = fmt.Sscanf(s, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &h.Memory, &h.Time, &h.Threads, &rest); err != nil {
		return hash{}, fmt.Errorf("stored password: not a PHC string of argon2id")
	}
	salt, key, ok := strings.Cut(rest, "$")
	if !ok || version != argon2.Version || h.Threads < 1 || h.Threads > 16 || h.Time < 1 || h.Time > 16 || h.Memory < 8 || h.Memory > 1<<20 {
		return hash{}, fmt.Errorf("stored password: parameters out of bounds")
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(salt); err == nil {
		h.key, err = base64.RawStdEncoding.DecodeString(key)
	}
	if err != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return hash{}, fmt.Errorf("stored password: salt or key out of bounds")
	}
	return h, nil
}

func makeHash(password string, c Cost) hash {
	h := hash{Cost: c, salt: random(16)}
	h.key = argon2.IDKey([]byte(password), h.salt, c.Time, c.Memory, c.Threads, 32)
	return h
}

// noHash matches no password and costs as much to check as a real one: it stands for users that do not exist.
func noHash(c Cost) hash { return hash{Cost: c, salt: random(16), key: random(32)} }

func (h hash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
