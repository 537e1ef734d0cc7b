package octopus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Object is a JSON object that loses nothing: unknown fields, the order of keys, the text of numbers and nulls all stay
// as they were read. Names are matched first exactly, then without regard to case, as Octopus Server does (its clients
// send both "Name" and "name"). The zero Object is empty and ready to use. Copies share; see [Object.Clone].
type Object struct {
	m *members
}

// byteOrderMark starts some answers of .NET programs; a parser may ignore it (RFC 8259 section 8.1).
var byteOrderMark = []byte("\xef\xbb\xbf")

// ParseObject reads one JSON object and nothing behind it. It refuses null, arrays and scalars. It keeps b's text: do
// not change b afterwards.
func ParseObject(b []byte) (Object, error) {
	b = bytes.TrimPrefix(b, byteOrderMark)
	var o Object
	if err := o.parse(b); err != nil {
		return Object{}, err
	}
	if o.m == nil {
		return Object{}, errors.New("want a JSON object, got null")
	}
	return o, nil
}

// UnmarshalJSON keeps every member's value as the text it has. null gives the empty Object, so that a null among
// objects is read as one. A name that occurs twice keeps its first place and its last value, as JavaScript and .NET
// do: the earlier values are lost (RFC 8259 section 4 leaves it open). Names that differ in case are two names.
func (o *Object) UnmarshalJSON(b []byte) error { return o.parse(bytes.Clone(b)) }

func (o *Object) parse(b []byte) error {
	if bytes.Equal(bytes.TrimSpace(b), []byte("null")) {
		o.m = nil
		return nil
	}
	if !json.Valid(b) {
		return json.Unmarshal(b, new(any)) // says where it is wrong
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return fmt.Errorf("want a JSON object, got %.20s", b)
	}
	m := &members{list: make([]member, 0, min(len(b)/32, manyMembers))}
	for at := next(b, 1); b[at] != '}'; at = next(b, at) {
		end := valueEnd(b, at)
		name, err := text(b[at:end])
		if err != nil {
			return err
		}
		at = next(b, end)
		end = valueEnd(b, at)
		m.set(name, json.RawMessage(b[at:end:end]))
		at = end
	}
	o.m = m
	return nil
}

// next skips what stands between names and values. The text is known to be JSON.
func next(b []byte, at int) int {
	for strings.IndexByte(" \t\r\n,:", b[at]) >= 0 {
		at++
	}
	return at
}

// valueEnd is where the value that begins there ends.
func valueEnd(b []byte, at int) int {
	for depth := 0; ; at++ {
		switch b[at] {
		case '"':
			for at++; b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth == 0 { // a number, true, false or null
				return at + bytes.IndexAny(b[at:], " \t\r\n,}]")
			}
			continue
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// text reads a JSON string. Most need no decoder: they stand there as they are.
func text(raw []byte) (s string, err error) {
	if s = string(raw[1 : len(raw)-1]); plain(s) {
		return s, nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// plain tells whether the text stands in JSON as it is: visible ASCII, nothing to escape.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// MarshalJSON writes the members in their order, each with the text that it was read with. Call it, not [json.Marshal],
// where bytes matter: json.Marshal takes out white space and writes <, > and & as escapes, which means the same.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for name, value := range o.All() {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		if err := writeString(&b, name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeString writes a JSON string without escaping <, > and &, as the server that sent it did.
func writeString(b *bytes.Buffer, s string) error {
	if plain(s) {
		b.WriteByte('"')
		b.WriteString(s)
		b.WriteByte('"')
		return nil
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder ends with a newline
	return nil
}

// place finds the member, -1 where there is none.
func (o Object) place(name string) int {
	if o.m == nil {
		return -1
	}
	if i := o.m.find(name); i >= 0 {
		return i
	}
	return slices.IndexFunc(o.m.list, func(m member) bool { return strings.EqualFold(m.name, name) })
}

// Get returns the member's JSON text, and whether there is one (it may be null).
func (o Object) Get(name string) (json.RawMessage, bool) {
	i := o.place(name)
	if i < 0 {
		return nil, false
	}
	return o.m.list[i].value, true
}

// Set changes the member in its place and spelling, or adds it at the end. It panics if v cannot be JSON, which is a
// defect of the caller. A [json.RawMessage] is kept as it is.
func (o *Object) Set(name string, v any) {
	raw, ok := v.(json.RawMessage)
	if ok {
		if !json.Valid(raw) {
			panic(fmt.Sprintf("octopus: set %s: not JSON", name))
		}
	} else {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			panic(fmt.Sprintf("octopus: set %s: %v", name, err))
		}
		raw = bytes.TrimRight(b.Bytes(), "\n")
	}
	if o.m == nil {
		o.m = &members{}
	}
	if i := o.place(name); i >= 0 {
		o.m.list[i].value = raw
		return
	}
	o.m.set(name, raw)
}

// Delete takes the member away.
func (o *Object) Delete(name string) {
	if i := o.place(name); i >= 0 {
		o.m.delete(i)
	}
}

// Has tells whether the member is there and not null.
func (o Object) Has(name string) bool {
	raw, ok := o.Get(name)
	return ok && string(raw) != "null"
}

// Text returns a string member, "" where there is none, null or not a string.
func (o Object) Text(name string) string {
	raw, _ := o.Get(name)
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	s, _ := text(raw)
	return s
}

// Bool returns a boolean member, false where there is none.
func (o Object) Bool(name string) bool { return As[bool](o, name) }

// Int returns a whole number member, 0 where there is none.
func (o Object) Int(name string) int64 { return As[int64](o, name) }

// Texts returns a member that is an array of strings.
func (o Object) Texts(name string) []string { return As[[]string](o, name) }

// Object returns a member that is an object. It is a copy: to change it, change the copy and [Object.Set] it.
func (o Object) Object(name string) Object {
	raw, _ := o.Get(name)
	nested, _ := ParseObject(raw) // empty where it is none
	return nested
}

// Objects returns a member that is an array of objects, likewise as copies.
func (o Object) Objects(name string) []Object { return As[[]Object](o, name) }

// As decodes the member into T, and gives the zero T where it is absent, null or of another shape: what another
// server sends is never a reason to fail, and whoever must know asks [Object.Get].
func As[T any](o Object, name string) T {
	var v, zero T
	raw, ok := o.Get(name)
	if !ok || json.Unmarshal(raw, &v) != nil {
		return zero
	}
	return v
}

// Decode reads the whole object into a Go value, as [json.Unmarshal] does.
func (o Object) Decode(v any) error {
	b, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// All yields the members in their order. The values must not be changed.
func (o Object) All() iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if o.m == nil {
			return
		}
		for _, m := range o.m.list {
			if !yield(m.name, m.value) {
				return
			}
		}
	}
}

// Len counts the members.
func (o Object) Len() int {
	if o.m == nil {
		return 0
	}
	return len(o.m.list)
}

// Clone copies the object, so that a change to one does not show in the other.
func (o Object) Clone() Object {
	if o.m == nil {
		return Object{m: &members{}}
	}
	return Object{m: &members{list: slices.Clone(o.m.list)}}
}

// NewObject builds an object from a Go value that marshals to one.
func NewObject(v any) (Object, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Object{}, err
	}
	return ParseObject(b)
}
