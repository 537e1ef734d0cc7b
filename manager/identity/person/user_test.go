package person_test

import (
	"strings"
	"testing"

	"odcm"
	"odcm/manager/identity/person"
)

func FuzzParseUsername(f *testing.F) {
	for _, s := range []string{"bob", "BOB", "ｂｏｂ", "DOMAIN\\bob", "bob@example.com", "ⅷ", "ß", "\u202ebob", "é", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown, key, err := person.ParseUsername(s)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if key == "" || strings.ContainsAny(key, " \r\n\t\x00") {
			t.Fatalf("%q has the key %q", s, key)
		}
		if _, again, err := person.ParseUsername(shown); err != nil || again != key {
			t.Fatalf("%q is shown as %q, whose key is %q (%v), not %q", s, shown, again, err, key)
		}
	})
}
