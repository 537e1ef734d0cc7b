package grant

import (
	"encoding/binary"

	"odcm"
	"odcm/manager/sso"
)

// grantState is what a code and the tokens of its grant carry. It is sealed in a form of its own, which is short, for a code
// travels in an address, and read quickly.
type grantState struct {
	Grant   string
	Party   sso.PartyID
	User    odcm.UserID
	Session string
	Scopes  string
	Auth    int64 // when the person signed in, Unix seconds
	Method  string
	Issued  int64 // Unix milliseconds
	Until   int64 // Unix milliseconds
}

// codeState is sealed in a code.
type codeState struct {
	grantState
	Redirect  string
	Nonce     string
	Challenge string
	Opened    bool // an ID token went with it: the grant is written already
}

// tokenState is sealed in an access or refresh token. Sequence is the count of refreshes at which a refresh token is the valid
// one, 0 in an access token.
type tokenState struct {
	grantState
	Sequence int64
}

func (g *grantState) append(b []byte) []byte {
	b = appendTexts(b, g.Grant, string(g.Party), string(g.User), g.Session, g.Scopes, g.Method)
	return appendNumbers(b, g.Auth, g.Issued, g.Until)
}

func (g *grantState) read(r *reader) {
	g.Grant, g.Party, g.User, g.Session, g.Scopes, g.Method = r.text(), sso.PartyID(r.text()), odcm.UserID(r.text()), r.text(), r.text(), r.text()
	g.Auth, g.Issued, g.Until = r.number(), r.number(), r.number()
}

// AppendBinary implements [encoding.BinaryAppender].
func (c *codeState) AppendBinary(b []byte) ([]byte, error) {
	var opened int64
	if c.Opened {
		opened = 1
	}
	return appendNumbers(appendTexts(c.append(b), c.Redirect, c.Nonce, c.Challenge), opened), nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (c *codeState) UnmarshalBinary(b []byte) error {
	r := &reader{rest: string(b)}
	c.read(r)
	c.Redirect, c.Nonce, c.Challenge, c.Opened = r.text(), r.text(), r.text(), r.number() == 1
	return r.end()
}

// AppendBinary implements [encoding.BinaryAppender].
func (t *tokenState) AppendBinary(b []byte) ([]byte, error) {
	return appendNumbers(t.append(b), t.Sequence), nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (t *tokenState) UnmarshalBinary(b []byte) error {
	r := &reader{rest: string(b)}
	t.read(r)
	t.Sequence = r.number()
	return r.end()
}

func appendTexts(b []byte, texts ...string) []byte {
	for _, t := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(t))), t...)
	}
	return b
}

func appendNumbers(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// reader reads what was appended, in the same order; texts share the memory of the whole.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) text() (t string) {
	n, size := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 || n > uint64(len(r.rest)-size) {
		r.bad, r.rest = true, ""
		return ""
	}
	t, r.rest = r.rest[size:size+int(n)], r.rest[size+int(n):]
	return t
}

func (r *reader) number() int64 {
	n, size := binary.Varint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		r.bad, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) end() error {
	if r.bad || r.rest != "" {
		return odcm.E(odcm.Invalid, "sso.sealed", "what was sealed is of another form")
	}
	return nil
}
