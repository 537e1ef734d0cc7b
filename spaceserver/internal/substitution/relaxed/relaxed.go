// Package relaxed reads JSON as people write it in variables, and as Octopus takes it: names without quotes, single quotes,
// comments and commas at the end (docs: projects/variables/variable-filters#json-parsing writes {Name: "t-shirt"}).
package relaxed

import (
	"encoding/json"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/substitution/filter"
)

// Value is a value of a JSON text.
type Value struct {
	Kind  byte     // '{', '[', or 0 for a scalar
	Names []string // of an object
	Items []*Value // of an object or a list

	text  string // of a scalar: what it is as text
	write string // of a scalar: what it is as JSON
}

// deepest is how far a text may nest.
const deepest = 100

// Text is what a value is in an expansion: of an object or a list its JSON without blanks, of null nothing.
func (j *Value) Text() string {
	if j.Kind == 0 {
		return j.text
	}
	var b strings.Builder
	j.print(&b)
	return b.String()
}

func (j *Value) print(b *strings.Builder) {
	if j.Kind == 0 {
		b.WriteString(j.write)
		return
	}
	b.WriteByte(j.Kind)
	for i, item := range j.Items {
		if i > 0 {
			b.WriteByte(',')
		}
		if j.Kind == '{' {
			b.WriteString(quote(j.Names[i]) + ":")
		}
		item.print(b)
	}
	b.WriteByte(j.Kind + 2) // ']' is two behind '[' in ASCII, and '}' behind '{'
}

// Member is the text of a member; "" for one that is not there. Of a name that occurs twice the last counts.
func (j *Value) Member(name string) string {
	for i := len(j.Names) - 1; i >= 0; i-- {
		if j.Names[i] == name {
			return j.Items[i].Text()
		}
	}
	return ""
}

func quote(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Parse reads an object or a list and nothing behind it; nil for everything else.
func Parse(text string) *Value {
	r := jsonReader{text: text}
	if r.skip(); r.text == "" || r.text[0] != '{' && r.text[0] != '[' {
		return nil
	}
	value, ok := r.value(0)
	if r.skip(); !ok || r.text != "" {
		return nil
	}
	return value
}

type jsonReader struct{ text string }

// skip passes over blanks and comments.
func (r *jsonReader) skip() {
	for {
		r.text = strings.TrimLeft(r.text, " \t\r\n")
		if rest, ok := strings.CutPrefix(r.text, "/*"); ok {
			_, rest, _ = strings.Cut(rest, "*/")
			r.text = rest
		} else if rest, ok := strings.CutPrefix(r.text, "//"); ok {
			_, rest, _ = strings.Cut(rest, "\n")
			r.text = rest
		} else {
			return
		}
	}
}

func (r *jsonReader) next(c byte) bool {
	if r.skip(); r.text == "" || r.text[0] != c {
		return false
	}
	r.text = r.text[1:]
	return true
}

func (r *jsonReader) value(depth int) (*Value, bool) {
	if r.skip(); r.text == "" || depth > deepest {
		return nil, false
	}
	switch c := r.text[0]; c {
	case '{', '[':
		r.text = r.text[1:]
		return r.container(c, depth)
	case '"', '\'':
		text, ok := r.quoted()
		return &Value{text: text, write: quote(text)}, ok
	}
	word := r.word()
	switch word {
	case "true":
		return &Value{text: "True", write: word}, true // .NET writes booleans so
	case "false":
		return &Value{text: "False", write: word}, true
	case "null", "undefined":
		return &Value{write: "null"}, true
	}
	if strings.Trim(word, "+-.0123456789eE") != "" {
		return nil, false
	}
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return &Value{text: strconv.FormatInt(n, 10), write: strconv.FormatInt(n, 10)}, true
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil, false
	}
	write := filter.FormatNumber(n)
	if !strings.ContainsAny(write, ".E") {
		write += ".0"
	}
	return &Value{text: filter.FormatNumber(n), write: write}, true
}

func (r *jsonReader) container(open byte, depth int) (*Value, bool) {
	j := &Value{Kind: open}
	for {
		if r.next(open + 2) {
			return j, true
		}
		if open == '{' {
			name, ok := r.name()
			if !ok || !r.next(':') {
				return nil, false
			}
			j.Names = append(j.Names, name)
		}
		item, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		j.Items = append(j.Items, item)
		if !r.next(',') {
			return j, r.next(open + 2)
		}
	}
}

func (r *jsonReader) name() (string, bool) {
	if r.skip(); r.text != "" && (r.text[0] == '"' || r.text[0] == '\'') {
		return r.quoted()
	}
	name := r.word()
	return name, name != ""
}

// word reads letters, digits and what numbers have.
func (r *jsonReader) word() string {
	end := strings.IndexFunc(r.text, func(c rune) bool {
		return strings.ContainsRune(" \t\r\n,:{}[]\"'/#", c)
	})
	if end < 0 {
		end = len(r.text)
	}
	word := r.text[:end]
	r.text = r.text[end:]
	return word
}

func (r *jsonReader) quoted() (string, bool) {
	mark := r.text[0]
	var b strings.Builder
	for i := 1; i < len(r.text); i++ {
		switch c := r.text[i]; c {
		case mark:
			r.text = r.text[i+1:]
			return b.String(), true
		case '\\':
			if i++; i == len(r.text) {
				return "", false
			}
			switch c := r.text[i]; c {
			case 'b':
				b.WriteByte('\b')
			case 'f':
				b.WriteByte('\f')
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case 'u':
				// One character may be two of these, the first a high surrogate; the standard library joins them.
				n := 5
				if c, err := strconv.ParseUint(r.text[i+1:min(i+5, len(r.text))], 16, 16); err == nil && c>>10 == 0xD800>>10 {
					n = 11
				}
				var s string
				if i+n > len(r.text) || json.Unmarshal([]byte(`"\`+r.text[i:i+n]+`"`), &s) != nil {
					return "", false
				}
				b.WriteString(s)
				i += n - 1
			case '"', '\'', '\\', '/':
				b.WriteByte(c)
			default:
				return "", false
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
