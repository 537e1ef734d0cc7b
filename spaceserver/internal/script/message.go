package script

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Message is a service message: how a script talks to the server, within its output (docs:
// deployments/custom-scripts/logging-messages-in-scripts, "Service message").
type Message struct {
	Name       string
	Parameters map[string]string // decoded; values are UTF-8 in base64 on the wire
}

// marker begins a service message anywhere in a line.
const marker = "##octopus["

// ParseMessage reads the service message that text begins with, and returns what follows it. Text that is no message
// (not closed in its line, an unquoted value, a value that is not base64) is not ok: it is what it looks like, text.
func ParseMessage(text string) (m Message, rest string, ok bool) {
	inside, found := strings.CutPrefix(text, marker)
	if !found {
		return m, text, false
	}
	m.Name, inside = word(inside)
	if m.Name == "" {
		return m, text, false
	}
	m.Parameters = map[string]string{}
	for {
		inside = strings.TrimLeft(inside, " \t")
		if after, closed := strings.CutPrefix(inside, "]"); closed {
			return m, after, true
		}
		var name, value string
		if name, inside = word(inside); name == "" {
			return Message{}, text, false
		}
		if inside, found = strings.CutPrefix(strings.TrimLeft(inside, " \t"), "="); !found {
			return Message{}, text, false
		}
		if value, inside, found = quoted(strings.TrimLeft(inside, " \t")); !found {
			return Message{}, text, false
		}
		decoded, err := base64.StdEncoding.DecodeString(value)
		if err != nil || strings.ContainsAny(value, "\r\n") { // which the decoder skips
			return Message{}, text, false
		}
		m.Parameters[name] = strings.ToValidUTF8(string(decoded), string(utf8.RuneError))
	}
}

// word takes a name off the text: letters, digits, - and _.
func word(text string) (name, rest string) {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// quoted takes a value in single or double quotes off the text.
func quoted(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '\'' && text[0] != '"' {
		return "", text, false
	}
	end := strings.IndexByte(text[1:], text[0])
	if end < 0 {
		return "", text, false
	}
	return text[1 : 1+end], text[2+end:], true
}
