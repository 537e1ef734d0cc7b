package part

import (
	"encoding/json"
	"strings"
	"time"
)

// Moment is a time as clients send it: RFC 3339, also with a space instead of the T or without a zone, which is then UTC; null
// and "" are none.
type Moment struct{ time.Time }

// moments are the ways to write one.
var moments = []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// ParseMoment reads a time in one of the ways in which clients write it.
func ParseMoment(text string) (Moment, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Moment{}, nil
	}
	var err error
	for _, layout := range moments {
		t, e := time.Parse(layout, text)
		if e == nil {
			return Moment{t.UTC()}, nil
		}
		err = e
	}
	return Moment{}, err
}

// UnmarshalJSON reads a time, null or "".
func (m *Moment) UnmarshalJSON(b []byte) (err error) {
	var text *string
	if err = json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	*m, err = ParseMoment(*text)
	return err
}

// Answer is a value of a form: text, or a sensitive value ({"NewValue":...}).
type Answer string

// UnmarshalJSON reads text, a sensitive value, a number, a boolean or null.
func (a *Answer) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*a = Answer(text)
		return nil
	}
	if len(b) > 0 && b[0] == '{' {
		var sensitive struct{ NewValue *string }
		err := json.Unmarshal(b, &sensitive)
		if err == nil && sensitive.NewValue != nil {
			*a = Answer(*sensitive.NewValue)
		}
		return err
	}
	if string(b) != "null" {
		*a = Answer(b)
	}
	return nil
}
