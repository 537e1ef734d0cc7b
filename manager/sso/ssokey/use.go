package ssokey

import (
	"context"
	"crypto/rand"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/chacha20poly1305"

	"odcm"
	"odcm/manager/sso"
)

var _ sso.Keys = (*Ring)(nil)

// Set is the JSON Web Key Set as it is served, and its entity tag.
func (r *Ring) Set(ctx context.Context) (body []byte, etag string, err error) {
	for _, alg := range []sso.Algorithm{sso.ES256, sso.RS256} { // who fetches keys before the first sign-in must find some
		if _, err := r.active(ctx, alg); err != nil {
			return nil, "", err
		}
	}
	k, err := r.keys(ctx)
	if err != nil {
		return nil, "", err
	}
	return k.jwks, k.etag, nil
}

// Sign implements [sso.Keys].
func (r *Ring) Sign(ctx context.Context, alg sso.Algorithm, typ string, claims any) (string, error) {
	k, err := r.active(ctx, alg)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	return k.sign(typ, payload)
}

// Public implements [sso.Keys].
func (r *Ring) Public(ctx context.Context, kid string) (jose.JSONWebKey, error) {
	k, err := r.find(ctx, func(one *key) bool { return one.ID == kid && one.private != nil })
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	return k.public, nil
}

// again is how long after the last look at the database an unknown key is worth another: strangers name any they like.
const again = 2 * time.Second

// find returns the key that fits; the very first of an algorithm may be another replica's, made a moment ago.
func (r *Ring) find(ctx context.Context, fits func(*key) bool) (*key, error) {
	k, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	one := k.find(fits)
	if one == nil && r.now().Sub(k.read) >= again {
		r.Forget()
		if k, err = r.keys(ctx); err != nil {
			return nil, err
		}
		one = k.find(fits)
	}
	if one == nil {
		return nil, odcm.E(odcm.NotFound, "sso.kid", "there is no such key")
	}
	return one, nil
}

// A sealed text is base64url of: generation of the key, 2 bytes; nonce, 24 bytes; what is sealed.
const header = 2 + chacha20poly1305.NonceSizeX

// maxSealed bounds what is opened.
const maxSealed = 24 << 10

// Seal implements [sso.Keys].
func (r *Ring) Seal(use string, v any) (string, error) {
	k, err := r.active(context.Background(), sealing)
	if err != nil {
		return "", err
	}
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	b := binary.BigEndian.AppendUint16((*room)[:0], uint16(k.Generation))
	b = b[:header]
	_, _ = rand.Read(b[2:])
	if own, ok := v.(encoding.BinaryAppender); ok {
		b, err = own.AppendBinary(b)
	} else {
		var text []byte
		text, err = json.Marshal(v)
		b = append(b, text...)
	}
	if err != nil {
		return "", err
	}
	b = k.aead.Seal(b[:header], b[2:header], b[header:], []byte(use)) // in place
	*room = base64.RawURLEncoding.AppendEncode(b, b)
	return string((*room)[len(b):]), nil
}

// Open implements [sso.Keys].
func (r *Ring) Open(use, text string, v any) error {
	broken := func(cause error) error {
		return odcm.E(odcm.Invalid, "sso.sealed", "this was not sealed here").Because(cause)
	}
	if len(text) > maxSealed {
		return broken(nil)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < header {
		return broken(err)
	}
	generation := int(binary.BigEndian.Uint16(b))
	k, err := r.find(context.Background(), func(one *key) bool { return one.aead != nil && one.Generation == generation })
	if odcm.KindOf(err) == odcm.NotFound {
		return broken(err)
	}
	if err != nil {
		return err
	}
	opened, err := k.aead.Open(b[header:header], b[2:header], b[header:], []byte(use))
	if err != nil {
		return broken(err)
	}
	if own, ok := v.(encoding.BinaryUnmarshaler); ok {
		return own.UnmarshalBinary(opened)
	}
	return json.Unmarshal(opened, v)
}
