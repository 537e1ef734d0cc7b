package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"odcm"
)

// keySize is that of AES-256.
const keySize = 32

// Options say where the key-encryption key is.
type Options struct {
	// KeyBase64 is the key itself, 32 bytes in base64, from an environment variable. It wins over KeyFile.
	KeyBase64 string
	// KeyFile is a file with the key in base64 that only its owner can read. It is made where both it and the keyset in
	// the database are missing.
	KeyFile string
}

// wrapper is a key-encryption key.
type wrapper struct {
	tink.AEAD
	check string // tells keys apart and tells nothing about them
}

func newWrapper(key []byte) (wrapper, error) {
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return wrapper{}, err
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("odcm seal: check value of the key-encryption key"))
	return wrapper{AEAD: a, check: hex.EncodeToString(h.Sum(nil)[:16])}, nil
}

// load reads the key. Where there is none, create tells whether to make one; made tells whether that happened.
func (o Options) load(create bool) (w wrapper, made bool, err error) {
	if o.KeyBase64 != "" {
		key, err := decode(o.KeyBase64, "the key")
		if err != nil {
			return wrapper{}, false, err
		}
		w, err = newWrapper(key)
		return w, false, err
	}
	if o.KeyFile == "" {
		return wrapper{}, false, odcm.E(odcm.Invalid, "seal.no-key", "no key for secrets: give a key file or a key in the environment")
	}
	key, err := readKey(o.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return wrapper{}, false, odcm.E(odcm.Invalid, "seal.key-missing", "key file %s is missing, but the database holds secrets that were "+
				"sealed with it: copy it from the replica or the backup that has it", o.KeyFile)
		}
		if made, err = makeKey(o.KeyFile); err != nil {
			return wrapper{}, false, odcm.E(odcm.Unavailable, "seal.key-file", "key file %s cannot be made", o.KeyFile).Because(err)
		}
		key, err = readKey(o.KeyFile)
	}
	if err != nil {
		return wrapper{}, made, err
	}
	w, err = newWrapper(key)
	return w, made, err
}

// readKey reads the file, which nobody but its owner may read.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, odcm.E(odcm.Unavailable, "seal.key-file", "key file %s cannot be read", path).Because(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, odcm.E(odcm.Invalid, "seal.key-file", "key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // there, folders guard files
		return nil, odcm.E(odcm.Invalid, "seal.key-exposed", "key file %s can be read or changed by others (mode %04o): run chmod 600 %s, "+
			"and change the key if others have used this machine", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, odcm.E(odcm.Unavailable, "seal.key-file", "key file %s cannot be read", path).Because(err)
	}
	return decode(string(text), "key file "+path)
}

// decode reads a key in any of the base64 alphabets. Errors do not repeat it.
func decode(text, what string) ([]byte, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	key, err := enc.DecodeString(text)
	if err != nil || len(key) != keySize {
		return nil, odcm.E(odcm.Invalid, "seal.bad-key", "%s is not %d bytes in base64: make one with openssl rand -base64 %d", what, keySize, keySize)
	}
	return key, nil
}

// makeKey makes the file with a new key, unless it exists by now: then it returns false. The file appears whole or not at
// all, because a process that starts at the same time reads it.
func makeKey(path string) (made bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	err = os.Link(f.Name(), path) // unlike a rename it does not replace
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}
