package ssokey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"odcm"
	"odcm/manager/sso"
	"odcm/manager/sso/ssotest"
)

// TestWrongKey: a replica with another key file neither signs nor makes keys of its own, and says no secret.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	store := &memory{}
	right := replica(store, ssotest.NewSealer())
	if _, err := right.Sign(t.Context(), sso.ES256, "", 1); err != nil {
		t.Fatal(err)
	}
	sealed, err := right.Seal("code", "hello")
	if err != nil {
		t.Fatal(err)
	}
	wrong := replica(store, ssotest.NewSealer())
	if token, err := wrong.Sign(t.Context(), sso.ES256, "", 1); err == nil {
		t.Errorf("it signed %s", token)
	} else if strings.Contains(err.Error(), store.rows[0].Sealed) {
		t.Errorf("the error tells the sealed key: %v", err)
	}
	if _, _, err := wrong.Set(t.Context()); err == nil {
		t.Error("it publishes keys")
	}
	var got string
	if err := wrong.Open("code", sealed, &got); err == nil {
		t.Errorf("it opened %q", got)
	}
	if err := wrong.Rotate(t.Context(), odcm.System, sso.ES256); err == nil {
		t.Error("it rotates what it cannot read")
	}
	if len(store.rows) != 2 {
		t.Errorf("%d keys, want the two of before", len(store.rows))
	}
}

// TestSealed: a text opens for its use only, and only as it was sealed.
func TestSealed(t *testing.T) {
	t.Parallel()
	sealer := ssotest.NewSealer()
	r, stranger := replica(&memory{}, sealer), replica(&memory{}, sealer)
	type ticket struct{ A, B string }
	want := ticket{"a", strings.Repeat("long", 1000)}
	text, err := r.Seal("code", want)
	if err != nil {
		t.Fatal(err)
	}
	var got ticket
	if err := r.Open("code", text, &got); err != nil || got != want {
		t.Fatalf("%v, %v", got, err)
	}
	if again, _ := r.Seal("code", want); again == text {
		t.Error("the same text twice: the nonce repeats")
	}
	foreign, err := stranger.Seal("code", want)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	changed := func(i int) string {
		b := append([]byte(nil), raw...)
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, bad := range map[string]string{
		"nothing": "", "another's": foreign, "cut off": text[:len(text)-4], "longer": text + "AAAA", "padded": text + "=", "too long": strings.Repeat("A", 30<<10),
		"another generation": changed(1), "another nonce": changed(2), "another text": changed(30), "another tag": changed(len(raw) - 1), "short": "AAEC",
	} {
		if err := r.Open("code", bad, &got); odcm.CodeOf(err) != "sso.sealed" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Open("access", text, &got); odcm.CodeOf(err) != "sso.sealed" {
		t.Errorf("for another use: %v", err)
	}
}

// TestSignatures holds what is signed against go-jose: often enough that numbers with leading zeros are among them.
func TestSignatures(t *testing.T) {
	t.Parallel()
	r := replica(&memory{}, ssotest.NewSealer())
	for alg, times := range map[sso.Algorithm]int{sso.ES256: 1500, sso.RS256: 3} {
		for i := range times {
			typ := []string{"", "logout+jwt", "odcm-entitlements+jwt"}[i%3]
			token, err := r.Sign(t.Context(), alg, typ, map[string]int{"n": i})
			if err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				t.Fatal(err)
			}
			head := jws.Signatures[0].Protected
			if got, _ := head.ExtraHeaders[jose.HeaderType].(string); got != typ || head.Algorithm != string(alg) {
				t.Fatalf("header %+v of type %q", head, typ)
			}
			public, err := r.Public(t.Context(), head.KeyID)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := jws.Verify(public)
			if err != nil || string(payload) != fmt.Sprintf(`{"n":%d}`, i) {
				t.Fatalf("%s %s: %v", alg, payload, err)
			}
		}
	}
	if _, err := r.Sign(t.Context(), sso.ES256, "at+jwt", 1); err == nil {
		t.Error("a type that nothing is of")
	}
	if _, err := r.Sign(t.Context(), sso.ES256, "", make(chan int)); err == nil {
		t.Error("claims that are no JSON")
	}
}

// TestForgery: the kid of a key of ours does not make another's signature ours, nor does the algorithm of another key.
func TestForgery(t *testing.T) {
	t.Parallel()
	r := replica(&memory{}, ssotest.NewSealer())
	_, kid := sign(t, r, sso.ES256)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := r.Public(t.Context(), kid)
	modulus, _ := json.Marshal(public)
	for name, key := range map[string]jose.SigningKey{
		"another key, our kid":              {Algorithm: jose.ES256, Key: private},
		"our public key as a shared secret": {Algorithm: jose.HS256, Key: modulus},
	} {
		signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader("kid", kid))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{"sub":"user-ann"}`))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if trusted(t, r, token) {
			t.Errorf("%s is trusted", name)
		}
	}
	good, _ := sign(t, r, sso.ES256)
	head, rest, _ := strings.Cut(good, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(head)
	none := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "ES256", "none", 1)))
	if trusted(t, r, none+"."+rest[:strings.Index(rest, ".")+1]) {
		t.Error("a token without a signature is trusted")
	}
	if !trusted(t, r, good) {
		t.Error("the real one is not")
	}
}
