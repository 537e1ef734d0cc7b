package ssokey

import (
	"crypto"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/chacha20poly1305"

	"odcm"
	"odcm/manager/sso"
)

// key is one that was opened.
type key struct {
	Row
	ends    time.Time // when the next one starts; zero for the newest
	private crypto.Signer
	public  jose.JSONWebKey
	aead    cipher.AEAD

	heads map[string]string // what a signed text begins with, by "typ"
}

// gone is when the key need not be kept any more; zero for the newest.
func (k *key) gone() time.Time {
	if k.ends.IsZero() {
		return time.Time{}
	}
	return k.ends.Add(keep)
}

// types are the headers "typ" of what is signed.
var types = []string{"", "logout+jwt", "odcm-entitlements+jwt"}

// keys is a set that does not change.
type keys struct {
	all   []*key
	read  time.Time
	until time.Time // to be believed until then
	jwks  []byte
	etag  string
}

func newID() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// generate makes a private key for the row.
func generate(row *Row, now time.Time) ([]byte, error) {
	switch row.Algorithm {
	case sealing:
		b := make([]byte, chacha20poly1305.KeySize)
		_, _ = rand.Read(b)
		return b, nil
	case sso.ES256:
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKCS8PrivateKey(private)
	case sso.RS256:
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		// Some relying parties read a key from x5c only (RFC 7517 section 4.7). Nobody trusts the certificate for its own sake.
		certificate := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "ODCM OpenID Provider " + row.ID},
			NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
		der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &private.PublicKey, private)
		if err != nil {
			return nil, err
		}
		row.Certificate = base64.StdEncoding.EncodeToString(der)
		return x509.MarshalPKCS8PrivateKey(private)
	}
	return nil, odcm.E(odcm.Internal, "", "no keys are made for %q", row.Algorithm)
}

// open opens a row.
func open(row Row, s Sealer) (_ *key, err error) {
	defer odcm.Wrap(&err, "key %s", row.ID)
	private, err := s.Open(row.Sealed, place(row.ID))
	if err != nil {
		return nil, err
	}
	k := &key{Row: row}
	if row.Algorithm == sealing {
		k.aead, err = chacha20poly1305.NewX(private)
		return k, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%T does not sign", parsed)
	}
	k.private = signer
	k.public = jose.JSONWebKey{Key: signer.Public(), KeyID: row.ID, Algorithm: string(row.Algorithm), Use: "sig"}
	if row.Certificate != "" {
		der, err := base64.StdEncoding.DecodeString(row.Certificate)
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		k.public.Certificates = []*x509.Certificate{certificate}
	}
	k.heads = map[string]string{}
	for _, typ := range types {
		head, err := json.Marshal(struct {
			Algorithm sso.Algorithm `json:"alg"`
			ID        string        `json:"kid"`
			Type      string        `json:"typ,omitempty"`
		}{row.Algorithm, row.ID, typ})
		if err != nil {
			return nil, err
		}
		k.heads[typ] = base64.RawURLEncoding.EncodeToString(head) + "."
	}
	return k, nil
}

// newKeys opens rows; those that before has are taken from there.
func newKeys(rows []Row, before *keys, s Sealer, now time.Time) (*keys, error) {
	k := &keys{read: now, until: now.Add(believed)}
	for _, row := range rows {
		var one *key
		if before != nil {
			if i := slices.IndexFunc(before.all, func(b *key) bool { return b.ID == row.ID }); i >= 0 {
				again := *before.all[i]
				again.ends, one = time.Time{}, &again
			}
		}
		if one == nil {
			var err error
			if one, err = open(row, s); err != nil {
				return nil, err
			}
		}
		k.all = append(k.all, one)
	}
	slices.SortFunc(k.all, byGeneration)
	for i, one := range k.all {
		if i > 0 && k.all[i-1].Algorithm == one.Algorithm {
			one.ends = k.all[i-1].Starts
		}
		if one.Starts.After(now) && one.Starts.Before(k.until) { // it takes over on the moment, on every replica
			k.until = one.Starts
		}
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, one := range k.all {
		if one.private != nil {
			set.Keys = append(set.Keys, one.public)
		}
	}
	var err error
	if k.jwks, err = json.Marshal(set); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(k.jwks)
	k.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return k, nil
}

// find returns the key that fits, nil where there is none.
func (k *keys) find(fits func(*key) bool) *key {
	if i := slices.IndexFunc(k.all, fits); i >= 0 {
		return k.all[i]
	}
	return nil
}

// last is the newest of the algorithm, nil where there is none.
func (k *keys) last(alg sso.Algorithm) *key {
	return k.find(func(one *key) bool { return one.Algorithm == alg })
}

// active is the newest of the algorithm that has started.
func (k *keys) active(alg sso.Algorithm, now time.Time) *key {
	return k.find(func(one *key) bool { return one.Algorithm == alg && !now.Before(one.Starts) })
}
