package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"odcm/spaceserver/internal/problem"
)

// Argon2id's cost: OWASP's second choice for servers, about 27 ms and 19 MiB.
const (
	rounds  = 2
	memory  = 19 * 1024
	threads = 1
	keySize = 32
)

// hasher bounds how many passwords are hashed at a time, and how many wait for it.
type hasher struct {
	running chan struct{}
	waiting chan struct{}
}

func newHasher() *hasher {
	return &hasher{running: make(chan struct{}, max(1, runtime.NumCPU()/2)), waiting: make(chan struct{}, 64)}
}

// enter waits for a place, or refuses where too many wait already.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, problem.New(http.StatusTooManyRequests, "Too many people are signing in at this moment. Please try again in a few seconds.")
	}
	defer func() { <-h.waiting }()
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash makes the text that is stored, in the usual form $argon2id$v=19$m=,t=,p=$salt$key.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, rounds, memory, threads, keySize)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, rounds, threads, enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

// matches compares a password with what was stored. It takes as long for a user without a password, so that nobody can
// tell from the time who exists.
func (h *hasher) matches(ctx context.Context, stored, password string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	parts := strings.Split(stored, "$")
	var t, m uint32
	var p uint8
	if len(parts) != 6 {
		argon2.IDKey([]byte(password), make([]byte, 16), rounds, memory, threads, keySize)
		return false, nil
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || t == 0 || p == 0 || m > 1<<20 {
		return false, fmt.Errorf("stored password is not readable")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("stored password is not readable: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return false, fmt.Errorf("stored password is not readable: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, t, m, p, uint32(len(want)))
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}
