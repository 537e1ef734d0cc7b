package session

import (
	"strings"
	"testing"

	"odcm"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		secret, token := newSecret("")
		key, hash := newSecret(KeyPrefix)
		if len(secret) != secretLength || !wellFormed(secret, "session") || !wellFormed(key, "api-key") || !strings.HasPrefix(key, KeyPrefix) {
			t.Fatalf("%q and %q are not well formed", secret, key)
		}
		for _, s := range []string{secret, token, key, hash} {
			if seen[s] {
				t.Fatalf("%q a second time", s)
			}
			seen[s] = true
		}
		if tokenOf(secret) != token || tokenOf(key) != hash || strings.Contains(key, hash) {
			t.Fatal("what is stored is not what is looked for, or the secret itself")
		}
	}
}

func TestCheckFixedKey(t *testing.T) {
	t.Parallel()
	for secret, right := range map[string]bool{
		strings.Repeat("k", minKey): true, strings.Repeat("k", maxKey): true, "!~abcdefghijklmnop": true,
		"": false, strings.Repeat("k", minKey-1): false, strings.Repeat("k", maxKey+1): false,
		"with a space in the midst": false, "with-a-line-end-at-its-end\n": false, "with-a-letter-beyond-ASCII-é": false, "with-a-delete-\x7f-inside": false,
	} {
		err := CheckFixedKey(secret)
		if right != (err == nil) || err != nil && odcm.CodeOf(err) != "identity.api-key-invalid" {
			t.Errorf("%q: %v", secret, err)
		}
	}
}
