package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A span is a value of a JSON text and where it stands, so that a value can be replaced and all else stays to the byte.
type span struct {
	start, end int
	kind       byte // the first byte: { [ " t f n or a digit
	keys       []string
	items      []*span
}

func replaceJSON(content []byte, r *report) ([]byte, error) {
	text := string(content)
	if strings.TrimSpace(text) == "" {
		return content, nil
	}
	root, err := readJSON(text)
	if err != nil {
		return nil, malformed(JSON, err)
	}
	var out strings.Builder
	last := 0
	names := r.names()
	var walk func(s *span, place string) error
	walk = func(s *span, place string) error {
		if name, ok := names[strings.ToLower(place)]; ok && place != "" {
			value, err := r.value(name)
			if err != nil {
				return err
			}
			if text, ok := s.as(value); ok {
				out.Write(content[last:s.start])
				out.WriteString(text)
				last = s.end
				r.Replaced = append(r.Replaced, name)
				return nil
			}
			r.Skipped = append(r.Skipped, name)
		}
		for i, item := range s.items {
			key := strconv.Itoa(i)
			if s.kind == '{' {
				key = s.keys[i]
			}
			if place != "" {
				key = place + ":" + key
			}
			if err := walk(item, key); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(root, ""); err != nil {
		return nil, err
	}
	out.Write(content[last:])
	return []byte(out.String()), nil
}

// as writes a value in the type of what it replaces, where it can be one. An object or list takes JSON only.
func (s *span) as(value string) (string, bool) {
	trimmed := strings.TrimSpace(value)
	switch s.kind {
	case '{', '[':
		return trimmed, json.Valid([]byte(trimmed))
	case 't', 'f':
		if strings.EqualFold(trimmed, "true") || strings.EqualFold(trimmed, "false") {
			return strings.ToLower(trimmed), true
		}
	case '"', 'n':
	default:
		if n, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return strconv.FormatInt(n, 10), true
		}
		var n json.Number
		if json.Unmarshal([]byte(trimmed), &n) == nil && n != "" {
			return n.String(), true
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// deepest is how far a file may nest.
const deepest = 1000

// readJSON reads JSON with comments and commas at the end, which settings files of .NET have.
func readJSON(text string) (*span, error) {
	s := scanner{text: text}
	root, err := s.value(0)
	if err == nil {
		if s.skip(); s.pos < len(text) {
			err = s.fail("the end")
		}
	}
	return root, err
}

type scanner struct {
	text string
	pos  int
}

func (s *scanner) fail(want string) error { return fmt.Errorf("byte %d: want %s", s.pos, want) }

func (s *scanner) skip() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		end := ""
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.pos++
			continue
		case strings.HasPrefix(rest, "//"):
			end = "\n"
		case strings.HasPrefix(rest, "/*"):
			end = "*/"
		default:
			return
		}
		i := strings.Index(rest[2:], end)
		if i < 0 {
			s.pos = len(s.text)
			return
		}
		s.pos += 2 + i + len(end)
	}
}

func (s *scanner) next(c byte) bool {
	if s.skip(); s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value(depth int) (*span, error) {
	if s.skip(); s.pos == len(s.text) || depth > deepest {
		return nil, s.fail("a value")
	}
	v := &span{start: s.pos, kind: s.text[s.pos]}
	var err error
	switch v.kind {
	case '{', '[':
		s.pos++
		err = s.container(v, depth)
	case '"':
		_, err = s.quoted()
	default:
		n := strings.IndexAny(s.text[s.pos:], " \t\r\n,:{}[]\"/")
		if n < 0 {
			n = len(s.text) - s.pos
		}
		if !json.Valid([]byte(s.text[s.pos : s.pos+n])) {
			return nil, s.fail("a value")
		}
		s.pos += n
	}
	v.end = s.pos
	return v, err
}

func (s *scanner) container(v *span, depth int) error {
	for !s.next(v.kind + 2) { // the closing bracket is two behind the opening one in ASCII
		if len(v.items) > 0 && !s.next(',') {
			return s.fail("a comma")
		}
		if len(v.items) > 0 && s.next(v.kind+2) {
			return nil
		}
		if v.kind == '{' {
			s.skip()
			key, err := s.quoted()
			if err != nil {
				return err
			}
			v.keys = append(v.keys, key)
			if !s.next(':') {
				return s.fail("a colon")
			}
		}
		item, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
	}
	return nil
}

func (s *scanner) quoted() (text string, err error) {
	if s.pos == len(s.text) || s.text[s.pos] != '"' {
		return "", s.fail("a string")
	}
	for i := s.pos + 1; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			err = json.Unmarshal([]byte(s.text[s.pos:i+1]), &text)
			s.pos = i + 1
			return text, err
		}
	}
	return "", s.fail("a closing quote")
}
