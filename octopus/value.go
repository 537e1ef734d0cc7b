package octopus

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// SensitiveValue is a secret as the API shows it: written by NewValue, read back as HasValue only. Newer servers add a
// Hint, such as the first characters of an API key.
type SensitiveValue struct {
	HasValue bool    `json:"HasValue"`
	NewValue *string `json:"NewValue"` // null: leave as it is; "" with HasValue false: forget it
	Hint     string  `json:"Hint,omitempty"`
}

// Secret is a sensitive value to write.
func Secret(s string) SensitiveValue { return SensitiveValue{HasValue: true, NewValue: &s} }

// String never shows the secret.
func (v SensitiveValue) String() string {
	if v.HasValue || v.NewValue != nil {
		return "(sensitive)"
	}
	return "(not set)"
}

// GoString never shows the secret either.
func (v SensitiveValue) GoString() string { return v.String() }

// PropertyValue is a text or a sensitive value. On the wire it is a JSON string, null, or a [SensitiveValue] object. The
// Swagger document shows {Value, IsSensitive, SensitiveValue}: that is the server's class, not its JSON. The zero
// PropertyValue is null.
type PropertyValue struct{ raw json.RawMessage }

// TextValue makes a value that everybody may read.
func TextValue(s string) PropertyValue {
	var b bytes.Buffer
	_ = writeString(&b, s) // a string can always be written
	return PropertyValue{b.Bytes()}
}

// SecretValue makes a sensitive value to write.
func SecretValue(s string) PropertyValue {
	raw, _ := json.Marshal(Secret(s)) // bools and strings can always be written
	return PropertyValue{raw}
}

// UnmarshalJSON takes a string, an object or null. Library files hold booleans and numbers too, which the server reads
// as their text; they are kept as they are.
func (v *PropertyValue) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return fmt.Errorf("want a text or a sensitive value, got an array")
	}
	v.raw = bytes.Clone(b)
	return nil
}

// MarshalJSON writes the value with the text that it was read with.
func (v PropertyValue) MarshalJSON() ([]byte, error) {
	if v.raw == nil {
		return []byte("null"), nil
	}
	return v.raw, nil
}

// Text returns the value, "" where it is sensitive or null.
func (v PropertyValue) Text() string {
	var s string
	switch {
	case len(v.raw) == 0, v.raw[0] == '{', string(v.raw) == "null":
	case json.Unmarshal(v.raw, &s) == nil:
	default:
		s = string(v.raw) // a number or a boolean
	}
	return s
}

// Sensitive returns the sensitive value, and whether it is one.
func (v PropertyValue) Sensitive() (SensitiveValue, bool) {
	if len(v.raw) == 0 || v.raw[0] != '{' {
		return SensitiveValue{}, false
	}
	var s SensitiveValue
	return s, json.Unmarshal(v.raw, &s) == nil
}

// String shows the text, never a secret.
func (v PropertyValue) String() string {
	if s, ok := v.Sensitive(); ok {
		return s.String()
	}
	return v.Text()
}

// GoString never shows a secret either.
func (v PropertyValue) GoString() string { return v.String() }
