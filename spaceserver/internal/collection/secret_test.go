package collection

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"odcm/octopus"
)

// plainSealer shows in a test where a secret was put.
type plainSealer struct{}

func (plainSealer) Ready() error { return nil }

func (plainSealer) Seal(plain []byte, ad string) (string, error) {
	return ad + "=" + base64.StdEncoding.EncodeToString(plain), nil
}

func (plainSealer) Open(sealed, ad string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, ad+"=")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	return base64.StdEncoding.DecodeString(text)
}

func take(t *testing.T, body string, old map[string]string) (string, map[string]string) {
	t.Helper()
	s := &secrets{sealer: plainSealer{}, place: "Things/1", old: old}
	clean, err := s.take(json.RawMessage(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(clean), s.sealed
}

func TestSecretsAreTakenOutWhereverTheyAre(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, c := range map[string]struct{ body, clean, path string }{
		"a sensitive value": {`{"Password":{"HasValue":true,"NewValue":"hunter2"}}`, `{"Password":{"HasValue":true,"NewValue":null,"Hint":null}}`, "/Password"},
		"in any spelling":   {`{"p":{"hasvalue":false,"newValue":"hunter2","hint":"h"}}`, `{"p":{"HasValue":true,"NewValue":null,"Hint":"h"}}`, "/p"},
		"in an array by id": {`{"A":[{"Id":"x","P":{"NewValue":"hunter2"}}]}`, `{"A":[{"Id":"x","P":{"HasValue":true,"NewValue":null,"Hint":null}}]}`, "/A/x/P"},
		"in an array":       {`{"A":[1,[{"NewValue":"hunter2"}]]}`, `{"A":[1,[{"HasValue":true,"NewValue":null,"Hint":null}]]}`, "/A/1/0"},
		"a variable":        {`{"Variables":[{"Id":"v","Value":"hunter2","Type":"Sensitive"}]}`, `{"Variables":[{"Id":"v","Value":null,"Type":"Sensitive"}]}`, "/Variables/v/Value"},
		"an old property":   {`{"P":{"IsSensitive":true,"Value":"hunter2","SensitiveValue":null}}`, `{"P":{"IsSensitive":true,"Value":null,"SensitiveValue":null}}`, "/P/Value"},
	} {
		t.Run(name, func(t *testing.T) {
			clean, sealed := take(t, c.body, nil)
			if clean != c.clean {
				t.Errorf("clean text %s, want %s", clean, c.clean)
			}
			plain, err := plainSealer{}.Open(sealed[c.path], "Things/1"+c.path)
			if err != nil || string(plain) != secret || len(sealed) != 1 {
				t.Errorf("sealed %v: %q, %v", sealed, plain, err)
			}
			// What was read and is written back keeps the secret and the text.
			again, kept := take(t, clean, sealed)
			if again != clean || kept[c.path] != sealed[c.path] {
				t.Errorf("written back: %s, %v", again, kept)
			}
			// Without the old secret there is nothing that HasValue could stand for.
			if _, none := take(t, clean, nil); len(none) != 0 {
				t.Errorf("from nothing: %v", none)
			}
		})
	}
}

func TestASecretInTwoSpellingsIsGoneFromBoth(t *testing.T) {
	t.Parallel()
	clean, _ := take(t, `{"IsSensitive":true,"value":"one","Value":"two","VALUE":"three"}`, nil)
	for _, secret := range []string{"one", "two", "three"} {
		if strings.Contains(clean, secret) {
			t.Errorf("%s is still in %s", secret, clean)
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"A":{"HasValue":"text","x":1}}`, `{"Note":"a sensitive\" matter","Value":"x"}`, `{"Type":"String","Value":"NewValue"}`} {
		clean, sealed := take(t, body, nil)
		if clean != body || len(sealed) != 0 {
			t.Errorf("%s became %s, %v", body, clean, sealed)
		}
	}
}

func FuzzSecrets(f *testing.F) {
	for _, seed := range []string{`{"a":{"NewValue":"SECRET"}}`, `{"v":[{"Type":"Sensitive","Value":"SECRET"}]}`, `{"newvalue":{"NEWVALUE":"SECRET"}}`, `{"IsSensitive":true,"value":"SECRET","VALUE":"SECRET"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := octopus.ParseObject(b)
		if err != nil {
			return
		}
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		s := &secrets{sealer: plainSealer{}, place: "x"}
		clean, err := s.take(text)
		if err != nil {
			return
		}
		if strings.Contains(string(clean), "SECRET") && strings.Count(string(text), "SECRET") == 1 && len(s.sealed) > 0 {
			t.Fatalf("sealed and still there: %q", clean)
		}
		if !json.Valid(clean) {
			t.Fatalf("%q became %q", text, clean)
		}
		again := &secrets{sealer: plainSealer{}, place: "x", old: s.sealed}
		twice, err := again.take(clean)
		if err != nil || len(again.sealed) > len(s.sealed) {
			t.Fatalf("a second time found more: %q, %v, %v", twice, again.sealed, err)
		}
	})
}
