package web

import (
	"encoding/base64"
	"encoding/json"

	"odcm"
)

// Cursor writes the keyset of a list's last row ({"name":"b","id":"space-1"}) as an opaque text for the next page.
func Cursor[T any](key T) string {
	b, err := json.Marshal(key)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ReadCursor reads what [Cursor] wrote; the zero key where the text is empty. It comes from outside: check what it holds.
func ReadCursor[T any](text string) (key T, err error) {
	if text == "" {
		return key, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &key)
	}
	if err != nil {
		var zero T
		return zero, odcm.E(odcm.Invalid, "request.cursor", "The cursor is not one of this list: start again without it.").Because(err)
	}
	return key, nil
}
