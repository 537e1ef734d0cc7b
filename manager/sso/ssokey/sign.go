package ssokey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"odcm"
)

// half is the length of each of the two numbers of an ES256 signature (RFC 7518 section 3.4).
const half = 32

// sign makes a JSON Web Signature in compact form (RFC 7515 section 7.1). It is the one signature of a sign-in, so its header is
// made once for each key, and the text is built in one piece.
func (k *key) sign(typ string, payload []byte) (string, error) {
	head, ok := k.heads[typ]
	if !ok {
		return "", odcm.E(odcm.Internal, "", "nothing of the type %q is signed with %s", typ, k.Algorithm)
	}
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	text := base64.RawURLEncoding.AppendEncode(append((*room)[:0], head...), payload)
	digest := sha256.Sum256(text)
	signature, err := k.signature(digest[:])
	if err != nil {
		return "", err
	}
	*room = base64.RawURLEncoding.AppendEncode(append(text, '.'), signature)
	return string(*room), nil
}

// scratch is room to build texts in, of which only the result is kept: they are most of what a sign-in would leave to collect.
var scratch = sync.Pool{New: func() any { return new(make([]byte, 0, 2048)) }}

func (k *key) signature(digest []byte) ([]byte, error) {
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest)
	case *ecdsa.PrivateKey:
		der, err := private.Sign(nil, digest, crypto.SHA256) // without a source of randomness: RFC 6979, as RFC 8725 section 3.2 wants
		if err != nil {
			return nil, err
		}
		return plain(der)
	}
	return nil, fmt.Errorf("%T does not sign", k.private)
}

// plain turns a signature in DER into the two numbers side by side.
func plain(der []byte) ([]byte, error) {
	var pair cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1Integer(&r) || !pair.ReadASN1Integer(&s) || len(r) > half || len(s) > half {
		return nil, odcm.E(odcm.Internal, "", "a signature that is none")
	}
	out := make([]byte, 2*half)
	copy(out[half-len(r):], r)
	copy(out[2*half-len(s):], s)
	return out, nil
}
