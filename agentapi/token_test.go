package agentapi_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"odcm/agentapi"
)

func TestToken(t *testing.T) {
	t.Parallel()
	token := agentapi.Token{Secret: rand.Text(), Authority: [32]byte{1, 2, 3}}
	t.Run("reads what it wrote", func(t *testing.T) {
		got, err := agentapi.ParseToken("  " + token.String() + "\n")
		if err != nil || got != token {
			t.Fatalf("got %v, %v", got, err)
		}
	})
	t.Run("its hash does not hold the secret", func(t *testing.T) {
		if h := token.Hash(); len(h) != 64 || strings.Contains(h, token.Secret) {
			t.Fatalf("hash %q", h)
		}
	})
	for name, text := range map[string]string{
		"empty":             "",
		"a part is missing": "odcm-enrol." + token.Secret,
		"cut off":           token.String()[:80],
		"another prefix":    "x" + token.String(),
		"secret too short":  "odcm-enrol.ABC." + strings.Repeat("00", 32),
		"strange letters":   "odcm-enrol." + strings.Repeat("é", 20) + "." + strings.Repeat("00", 32),
	} {
		t.Run("refuses: "+name, func(t *testing.T) {
			if _, err := agentapi.ParseToken(text); err == nil {
				t.Fatal("accepted")
			} else if strings.Contains(err.Error(), token.Secret) {
				t.Fatal("the error repeats the secret")
			}
		})
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("odcm-enrol.AAAAAAAAAAAAAAAAAAAAAAAAAA." + strings.Repeat("00", 32))
	f.Add("odcm-enrol..")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := agentapi.ParseToken(text)
		if err != nil {
			return
		}
		again, err := agentapi.ParseToken(token.String())
		if err != nil || again != token {
			t.Fatalf("%q: %v, %v", text, again, err)
		}
	})
}
