package bundle

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"sync"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"odcm/spaceserver/internal/problem"
)

// Parameters of Argon2id: the second recommended option of RFC 9106, section 4. They are part of the format's version and not
// of the file: a file must not choose how much memory is taken.
const (
	rounds   = 3
	memory   = 64 << 10 // KiB
	threads  = 4
	saltSize = 16
)

// Keys makes keys of passwords, one at a time for the memory that it takes. The zero value is ready.
type Keys struct{ mu sync.Mutex }

func (h *Keys) key(password string, salt []byte) (cipher.AEAD, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return chacha20poly1305.NewX(argon2.IDKey([]byte(password), salt, rounds, memory, threads, chacha20poly1305.KeySize))
}

func sealed(key cipher.AEAD, plain []byte, place string) string {
	nonce := make([]byte, key.NonceSize(), key.NonceSize()+len(plain)+key.Overhead())
	_, _ = rand.Read(nonce) // crypto/rand does not fail
	return base64.StdEncoding.EncodeToString(key.Seal(nonce, nonce, plain, []byte(place)))
}

var errPassword = problem.Invalid("The file does not open: the password is wrong, or the file was changed after it was exported.")

func opened(key cipher.AEAD, text, place string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) < key.NonceSize() {
		return nil, errPassword
	}
	plain, err := key.Open(nil, b[:key.NonceSize()], b[key.NonceSize():], []byte(place))
	if err != nil {
		return nil, errPassword
	}
	return plain, nil
}
