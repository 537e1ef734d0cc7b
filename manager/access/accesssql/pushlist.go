package accesssql

import (
	"encoding/json"
	"time"
)

// Lists lie in the rows as JSON: nobody searches in them.

func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

func decode(text string, v any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), v)
}

func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
