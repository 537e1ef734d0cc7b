package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"

	"odcm"
)

// Lengths of a password in characters: the least by NIST SP 800-63B section 5.1.1.2, the most so that hashing one is
// bounded.
const (
	minPassword = 8
	maxPassword = 256
)

// cost is what one Argon2id costs (RFC 9106). The one for new hashes is OWASP's smaller recommendation: 19 MiB, two passes.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

func currentCost() cost { return cost{memory: 19 * 1024, time: 2, threads: 1} }

// hash is a stored password in the PHC string format "$argon2id$v=19$m=19456,t=2,p=1$salt$key".
type hash struct {
	cost
	salt, key []byte
}

func (h hash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parseHash reads what String wrote. It refuses costs far beyond ours, so that a row written by someone else cannot take
// the machine's memory.
func parseHash(s string) (h hash, err error) {
	var version int
	var rest string
	if _, err = fmt.Sscanf(s, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &h.memory, &h.time, &h.threads, &rest); err != nil {
		return hash{}, fmt.Errorf("stored password: not a PHC string of argon2id")
	}
	salt, key, ok := strings.Cut(rest, "$")
	if !ok || version != argon2.Version || h.threads < 1 || h.threads > 16 || h.time < 1 || h.time > 16 || h.memory < 8 || h.memory > 1<<20 {
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

func makeHash(password string, c cost) hash {
	h := hash{cost: c, salt: random(16)}
	h.key = argon2.IDKey([]byte(password), h.salt, c.time, c.memory, c.threads, 32)
	return h
}

// noHash matches no password and costs as much to check as a real one: it stands for users that do not exist.
func noHash(c cost) hash { return hash{cost: c, salt: random(16), key: random(32)} }

func (h hash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// normalPassword makes the same password typed on different keyboards the same bytes: the OpaqueString profile of
// RFC 8265 section 4.2. What the profile refuses is no password of anyone.
func normalPassword(s string) (string, bool) {
	if len(s) > 4*maxPassword {
		return "", false
	}
	n, err := precis.OpaqueString.String(s)
	return n, err == nil
}

// Breached knows passwords that were stolen somewhere and are tried first by whoever guesses.
type Breached interface {
	Contains(password string) (bool, error)
}

// PasswordFits tells whether the password may be u's: odcm.Invalid where not.
func (s *Service) PasswordFits(password string, u User) error {
	_, err := s.fit(password, u)
	return err
}

// fit returns the password as it is hashed.
func (s *Service) fit(password string, u User) (string, error) {
	invalid := func(format string, args ...any) (string, error) {
		return "", odcm.E(odcm.Invalid, "identity.password-invalid", format, args...).OnField("password")
	}
	n, ok := normalPassword(password)
	switch length := utf8.RuneCountInString(n); {
	case !ok:
		return invalid("The password holds characters that cannot be typed again, or is too long.")
	case length < minPassword:
		return invalid("The password has %d characters: use at least %d.", length, minPassword)
	case length > maxPassword:
		return invalid("The password has %d characters: use at most %d.", length, maxPassword)
	case n == u.Username:
		return invalid("The password is the username: choose another.")
	case s.breached == nil:
		return n, nil
	}
	switch found, err := s.breached.Contains(n); {
	case err != nil: // a list that cannot be read keeps nobody from a new password
		s.log.Error("the list of breached passwords was not read", "error", err)
	case found:
		return invalid("The password is on a list of stolen ones, which are guessed first: choose another.")
	}
	return n, nil
}

// newHash checks that the password may be u's, and hashes it.
func (s *Service) newHash(ctx context.Context, password string, u User) (stored string, err error) {
	n, err := s.fit(password, u)
	if err != nil {
		return "", err
	}
	err = s.hashing.do(ctx, func() error {
		stored = makeHash(n, s.cost).String()
		return nil
	})
	return stored, err
}

// hashing bounds how many passwords are hashed at once, and how many wait. Each hash takes a core for tens of
// milliseconds and 19 MiB.
type hashing struct {
	slots    chan struct{}
	waiting  atomic.Int64
	queue    int64
	patience time.Duration
}

func newHashing(cores int) *hashing {
	return &hashing{slots: make(chan struct{}, max(1, cores/2)), queue: 32, patience: 5 * time.Second}
}

// do runs f when its turn comes. It answers odcm.Unavailable "identity.busy" where too many wait already, or the turn does
// not come soon.
func (h *hashing) do(ctx context.Context, f func() error) error {
	busy := func() error {
		return odcm.E(odcm.Unavailable, "identity.busy", "Too many people sign in at this moment: try again in a few seconds.").
			Because(retryAfter(h.patience))
	}
	select {
	case h.slots <- struct{}{}:
	default:
		if h.waiting.Add(1) > h.queue {
			h.waiting.Add(-1)
			return busy()
		}
		timer := time.NewTimer(h.patience)
		defer timer.Stop()
		select {
		case h.slots <- struct{}{}:
			h.waiting.Add(-1)
		case <-timer.C:
			h.waiting.Add(-1)
			return busy()
		case <-ctx.Done():
			h.waiting.Add(-1)
			return ctx.Err()
		}
	}
	defer func() { <-h.slots }()
	return f()
}
