package ldap

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"odcm"
	"odcm/manager/identity/provider"
)

func settingsOf(active bool) *settings {
	return &settings{domain: "odcm.test", netbios: "ODCM", schema: schema{active: active, id: "entryUUID", username: "uid", displayName: "cn", mail: "mail", people: activePeople}}
}

// FuzzUsername shows that what people type is never more than a value in a filter.
func FuzzUsername(f *testing.F) {
	for _, s := range []string{"bob", `ODCM\bob`, "bob@odcm.test", "*)(objectClass=*", "\\2a", "a\x00b", "\xff", "(&)", `ODCM\*)(|(x=*`, "@", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, username string) {
		for _, active := range []bool{true, false} {
			s := settingsOf(active)
			filters, err := s.names(username)
			if err != nil {
				if odcm.KindOf(err) != odcm.NotFound {
					t.Fatal(err)
				}
				continue
			}
			for _, filter := range filters {
				compiled, err := ldap.CompileFilter(filter)
				if err != nil {
					t.Fatalf("%q became %q: %v", username, filter, err)
				}
				if compiled.Tag != ldap.FilterEqualityMatch {
					t.Fatalf("%q became %q: %s", username, filter, ldap.FilterMap[uint64(compiled.Tag)])
				}
			}
		}
		found := contains(username, "cn", "mail", "")
		if strings.TrimSpace(username) == "" {
			return
		}
		compiled, err := ldap.CompileFilter(found)
		if err != nil {
			t.Fatalf("%q became %q: %v", username, found, err)
		}
		if compiled.Tag != ldap.FilterOr || len(compiled.Children) != 2 || compiled.Children[0].Tag != ldap.FilterSubstrings || compiled.Children[1].Tag != ldap.FilterSubstrings {
			t.Fatalf("%q became %q", username, found)
		}
	})
}

// FuzzSettings shows that settings are refused or taken, and never more.
func FuzzSettings(f *testing.F) {
	f.Add("dc1.example.com", "dc=x", "(uid=*)", "uid", "", "odcm.test")
	f.Add("[::1]:389\n127.0.0.1", "OU=a\\,b,DC=x", "(&(a=b)(|(c=*)))", "sAMAccountName", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "x")
	f.Add("http://x", "=,=", ")(", "a)(b=*", "\x00", "a b")
	f.Fuzz(func(t *testing.T, servers, base, filter, attribute, ca, domain string) {
		for _, c := range Connectors(Options{}) {
			s, err := c.Open(provider.Provider{Kind: c.Kind(), Settings: map[string]string{"servers": servers, "base": base, "peopleFilter": filter, "groupFilter": filter,
				"usernameAttribute": attribute, "idAttribute": attribute, "ca": ca, "domain": domain, "netbios": domain, "bindUser": base}}, "")
			if err != nil {
				if odcm.KindOf(err) != odcm.Invalid {
					t.Fatalf("%v", err)
				}
				continue
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
