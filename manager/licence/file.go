package licence

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"odcm"
)

// An entitlement is a DSSE envelope (secure-systems-lab/dsse, envelope.md) of this type, whose payload is the JSON of [Claim],
// signed with Ed25519.
const (
	PayloadType = "application/vnd.odcm.entitlement+json"
	Product     = "odcm"
	// MaxFile bounds a file. What is signed takes a kilobyte or two.
	MaxFile = 64 << 10
)

// Claim is what an entitlement says.
type Claim struct {
	ID        string    `json:"id"`
	Product   string    `json:"product"` // [Product]
	Holder    string    `json:"holder"`
	Issued    time.Time `json:"issued"`
	NotBefore time.Time `json:"notBefore"`
	Expires   time.Time `json:"expires,omitzero"` // zero for never
	Extras    []Extra   `json:"extras"`
}

// Extra is one thing that was bought.
type Extra struct {
	Name   string `json:"name"`   // "Support"
	Detail string `json:"detail"` // "Around the clock, answers within an hour"
}

// signer believes one key.
type signer struct {
	key ed25519.PublicKey
	id  string
}

func (s signer) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(s.key, data, sig) {
		return errors.New("the signature is not of this key")
	}
	return nil
}

func (s signer) KeyID() (string, error)   { return s.id, nil }
func (s signer) Public() crypto.PublicKey { return s.key }

// KeyID names a key as signatures do: the fingerprint that OpenSSH shows of it (ssh-keygen -l).
func KeyID(key ed25519.PublicKey) string {
	id, err := dsse.SHA256KeyID(key)
	if err != nil {
		return ""
	}
	return id
}

// Prove reads a file and proves that one of the keys signed it. It does not ask what time it is.
func Prove(ctx context.Context, file []byte, keys []ed25519.PublicKey) (c Claim, keyID string, err error) {
	bad := func(code, format string, args ...any) error {
		return odcm.E(odcm.Invalid, code, format, args...).OnField("file")
	}
	switch {
	case len(file) == 0:
		return c, "", bad("licence.file-empty", "The file is empty: choose the entitlement that you were sent.")
	case len(file) > MaxFile:
		return c, "", bad("licence.file-large", "The file has %d KiB and an entitlement at most %d: choose the file that you were sent.", len(file)>>10, MaxFile>>10)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(file, &envelope); err != nil || envelope.PayloadType == "" && envelope.Payload == "" {
		return c, "", bad("licence.file-malformed", "The file is no entitlement, or a damaged one: choose the file that you were sent, unchanged.")
	}
	if envelope.PayloadType != PayloadType {
		return c, "", bad("licence.file-other", "The file is signed, but it is no entitlement: its type is %q.", shorten(envelope.PayloadType))
	}
	if len(envelope.Signatures) == 0 {
		return c, "", bad("licence.unsigned", "The file is not signed: ask who sent it for a signed one.")
	}
	var signers []dsse.Verifier
	for _, key := range keys {
		signers = append(signers, signer{key, KeyID(key)})
	}
	verifier, err := dsse.NewEnvelopeVerifier(signers...)
	if err != nil {
		return c, "", err
	}
	proven, payload, err := verifier.VerifyAndDecode(ctx, &envelope)
	if err != nil || len(proven) == 0 {
		for _, s := range envelope.Signatures {
			if slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return s.KeyID == "" || s.KeyID == KeyID(k) }) {
				return c, "", bad("licence.signature-wrong", "The signature does not fit: the file was changed after it was signed. Ask who sent it to send it again.")
			}
		}
		return c, "", bad("licence.key-unknown", "The file is signed with key %q, which this version of ODCM does not know: it may need a newer ODCM, or not come from its publisher.",
			shorten(envelope.Signatures[0].KeyID))
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return Claim{}, "", bad("licence.content-malformed", "The file is signed, but what it says cannot be read: ask who sent it for another.")
	}
	if c.Product != Product {
		return Claim{}, "", bad("licence.product-other", "The entitlement is for another product: %q.", shorten(c.Product))
	}
	if wrong := c.wrong(); wrong != "" {
		return Claim{}, "", bad("licence.content-wrong", "The file is signed, but %s: ask who sent it for another.", wrong)
	}
	return c, proven[0].KeyID, nil
}

const maxExtras = 50

// wrong says what is wrong with a claim of ours, "" for nothing.
func (c Claim) wrong() string {
	texts := []string{c.ID, c.Holder}
	for _, e := range c.Extras {
		texts = append(texts, e.Name)
	}
	for _, t := range texts {
		if strings.TrimSpace(t) == "" {
			return "a name in it is empty"
		}
	}
	for _, e := range c.Extras {
		texts = append(texts, e.Detail)
	}
	for _, t := range texts {
		if utf8.RuneCountInString(t) > 200 || strings.ContainsFunc(t, unicode.IsControl) {
			return "a text in it is longer than 200 characters or holds control characters"
		}
	}
	switch {
	case len(c.Extras) > maxExtras:
		return "it names too many extras"
	case !c.Expires.IsZero() && !c.Expires.After(c.NotBefore):
		return "it ends before it begins"
	case !readable(c.Issued) || !readable(c.NotBefore) || !readable(c.Expires):
		return "a time in it is not of our days"
	}
	return ""
}

// readable tells whether a time can be kept in JSON and said to people.
func readable(t time.Time) bool { return t.IsZero() || t.Year() >= 2000 && t.Year() < 10000 }

// shorten makes a text from outside fit into a sentence.
func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
