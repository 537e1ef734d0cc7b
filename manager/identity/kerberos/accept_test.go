package kerberos_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"odcm"
	"odcm/manager/identity/kerberos"
)

const principal = "HTTP/odcm.example.test"

// keys makes a keytab with keys of the kinds for the principals.
func keys(t testing.TB, types []int32, principals ...string) []byte {
	t.Helper()
	k := keytab.New()
	for _, p := range principals {
		for _, kind := range types {
			if err := k.AddEntry(p, "EXAMPLE.TEST", "password", time.Unix(1_700_000_000, 0), 3, kind); err != nil {
				t.Fatal(err)
			}
		}
	}
	raw, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var (
	aes = []int32{etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96}
	rc4 = []int32{etypeID.RC4_HMAC}
)

func TestKeytab(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw       []byte
		principal string
		code      string
	}{
		"one principal needs no name":   {keys(t, aes, principal), "", ""},
		"the principal is chosen":       {keys(t, aes, principal, "HTTP/other"), principal, ""},
		"with its realm":                {keys(t, aes, principal), principal + "@EXAMPLE.TEST", ""},
		"two principals need a name":    {keys(t, aes, principal, "HTTP/other"), "", "kerberos.principal-missing"},
		"a principal that is not in it": {keys(t, aes, "HTTP/other"), principal, "kerberos.principal-unknown"},
		"RC4 is too weak":               {keys(t, rc4, principal), principal, "kerberos.keytab-weak"},
		"no keytab":                     {[]byte("hello"), principal, "kerberos.keytab-invalid"},
		"an empty file":                 {nil, principal, "kerberos.keytab-invalid"},
		"one cut off":                   {keys(t, aes, principal)[:40], principal, "kerberos.keytab-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := kerberos.New(c.raw, c.principal)
			if c.code == "" {
				if err != nil || a.Principal() != principal || strings.Join(a.Keys(), "; ") != "AES256, version 3; AES128, version 3" {
					t.Errorf("%v", err)
				}
				return
			}
			if odcm.KindOf(err) != odcm.Invalid || odcm.CodeOf(err) != c.code {
				t.Errorf("%v", err)
			}
		})
	}
}

// Tokens as browsers send them where they have no ticket: NTLM bare, and inside of SPNEGO.
var (
	ntlm        = "TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw=="
	wrappedNTLM = "YEgGBisGAQUFAqA+MDygDjAMBgorBgEEAYI3AgIKoioEKE5UTE1TU1AAAQAAAJeCCOIAAAAAAAAAAAAAAAAAAAAACgBhSgAAAA8="
)

func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	a, err := kerberos.New(keys(t, aes, principal), principal)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, code string }{
		"nothing":             {"", "kerberos.refused"},
		"text":                {base64.StdEncoding.EncodeToString([]byte("let me in")), "kerberos.refused"},
		"NTLM":                {ntlm, "kerberos.ntlm"},
		"NTLM inside":         {wrappedNTLM, "kerberos.ntlm"},
		"no mechanism":        {"YBYGBisGAQUFAqAMMAqgAjAAogQEAgEA", "kerberos.refused"},
		"an answer":           {"oRQwEqADCgEAoQsGCSqGSIb3EgECAg==", "kerberos.refused"},
		"more than a browser": {base64.StdEncoding.EncodeToString(make([]byte, kerberos.MaxToken+1)), "kerberos.refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := base64.StdEncoding.DecodeString(c.token)
			if err != nil {
				t.Fatal(err)
			}
			ticket, _, err := a.Accept(token, "192.0.2.1:4711")
			if ticket != (kerberos.Ticket{}) || odcm.KindOf(err) != odcm.Unauthenticated || odcm.CodeOf(err) != c.code {
				t.Errorf("%+v, %v", ticket, err)
			}
		})
	}
}

func FuzzAccept(f *testing.F) {
	a, err := kerberos.New(keys(f, aes, principal), principal)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{ntlm, wrappedNTLM, "YBYGBisGAQUFAqAMMAqgAjAAogQEAgEA", "oRQwEqADCgEAoQsGCSqGSIb3EgECAg==", ""} {
		token, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		if ticket, _, err := a.Accept(token, "192.0.2.1"); err == nil || ticket != (kerberos.Ticket{}) {
			t.Errorf("%+v", ticket)
		}
	})
}

func FuzzKeytab(f *testing.F) {
	f.Add(keys(f, aes, principal), principal)
	f.Add(keys(f, rc4, principal, "a/b"), "")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		if a, err := kerberos.New(raw, name); err != nil && (a != nil || odcm.KindOf(err) != odcm.Invalid) {
			t.Errorf("%v", err)
		}
	})
}
