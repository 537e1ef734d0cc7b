package provider_test

import (
	"errors"
	"slices"
	"testing"

	"odcm"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	silent := odcm.E(odcm.Unavailable, "ldap.unavailable", "does not answer")
	for name, c := range map[string]struct {
		username, password string
		silent             string
		subject, code      string
		asked              []string // in which order, by provider
	}{
		"the first that knows decides":           {username: "bob", password: "1", subject: "bob", asked: []string{"one"}},
		"a wrong password ends it":               {username: "bob", password: "2", code: "identity.sign-in-failed", asked: []string{"one"}},
		"a later one is found":                   {username: "carol", password: "2", subject: "carol", asked: []string{"one", "two"}},
		"nobody knows":                           {username: "eve", password: "x", code: "identity.sign-in-failed", asked: []string{"one", "two"}},
		"no password is no bind":                 {username: "bob", code: "identity.sign-in-failed"},
		"no name":                                {password: "x", code: "identity.sign-in-failed"},
		"the domain chooses":                     {username: `TWO\dora`, password: "2", subject: `TWO\dora`, asked: []string{"two"}},
		"the address chooses":                    {username: "dora@two.test", password: "2", subject: "dora@two.test", asked: []string{"two"}},
		"an address of nobody's domain asks all": {username: "x@mail.test", password: "2", subject: "x@mail.test", asked: []string{"one", "two"}},
		"a disabled account is told":             {username: "dave", password: "x", code: "ldap.account-disabled", asked: []string{"one"}},
		"a silent one hides no other":            {username: "carol", password: "2", silent: "one", subject: "carol", asked: []string{"one", "two"}},
		"a silent one is told at last":           {username: "eve", password: "2", silent: "one", code: "provider.silent", asked: []string{"one", "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			w.add("two", 2)
			w.add("one", 1)
			w.fakes["one"].password = map[string]string{"bob": "1", "dave": "disabled"}
			w.fakes["two"].password = map[string]string{"bob": "2", "carol": "2", `TWO\dora`: "2", "dora@two.test": "2", "x@mail.test": "2"}
			if c.silent != "" {
				w.fakes[c.silent].err = silent
			}
			a, err := w.Verify(t.Context(), c.username, c.password)
			if a.Subject != c.subject || err != nil && odcm.CodeOf(err) != c.code || err == nil && c.code != "" {
				t.Errorf("%+v, %v", a, err)
			}
			var asked []string
			for _, name := range []string{"one", "two"} {
				if len(w.fakes[name].asked) > 0 {
					asked = append(asked, name)
				}
			}
			if !slices.Equal(asked, c.asked) {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

func TestASilentProviderIsAskedLast(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.add("one", 1)
	w.add("two", 2)
	w.fakes["one"].err = errors.New("cut off")
	w.fakes["two"].password["carol"] = "2"
	for range 3 {
		if _, err := w.Verify(t.Context(), "carol", "2"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.fakes["one"].asked); n != 1 {
		t.Errorf("a silent provider was waited for %d times", n)
	}
}
