// Package shape reads templates of resources and brings what clients send into their shape: names and types as Octopus has
// them, and a value where nothing was sent.
package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"odcm/octopus"
)

// Shape is a template that was read: what a value must look like, and what it is where nothing was sent.
//
//	""            text, or null
//	"A|B|C"       one of these, A by default
//	"<guid>"      text; a new GUID where none was sent
//	"<guid?>"     the same, but an empty text that was sent stays
//	false, 0      boolean, number
//	null          anything
//	{}            an object with members of people's own: properties, claims
//	{"A": ...}    an object with these members and any others
//	[]            an array of anything
//	[{"A": ...}]  an array of such objects, empty by default
//	[""]          an array of texts, empty by default
//	["A", "B"]    an array of texts, these by default
type Shape struct {
	is      byte // s text, e one of, g guid, b boolean, n number, * anything, m map, o object, a array
	members []member
	element *Shape // of an array; nil for anything
	choices []string
	blank   bool // a GUID may be empty
	preset  json.RawMessage
}

type member struct {
	name  string
	shape *Shape
}

// Parse reads a template.
func Parse(raw json.RawMessage) (*Shape, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, fmt.Errorf("empty")
	}
	s := &Shape{preset: raw}
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		switch {
		case text == "<guid>" || text == "<guid?>":
			s.is, s.blank = 'g', text == "<guid?>"
		case strings.Contains(text, "|"):
			s.is, s.choices = 'e', strings.Split(text, "|")
			s.preset = quote(s.choices[0])
		default:
			s.is = 's'
		}
	case 't', 'f':
		s.is = 'b'
	case 'n':
		s.is = '*'
	case '[':
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return nil, err
		}
		s.is, s.preset = 'a', json.RawMessage("[]")
		if len(elements) == 0 {
			return s, nil
		}
		var err error
		if s.element, err = Parse(elements[0]); err != nil {
			return nil, err
		}
		if s.element.is == 's' && string(elements[0]) != `""` {
			s.preset = raw
		}
	case '{':
		o, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, err
		}
		s.is = 'm'
		preset := octopus.Object{}
		for name, value := range o.All() {
			m, err := Parse(value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			s.is, s.members = 'o', append(s.members, member{name, m})
			preset.Set(name, m.preset)
		}
		s.preset, err = preset.MarshalJSON()
		return s, err
	default:
		s.is = 'n'
	}
	return s, nil
}

// fit brings what was sent into the shape: names as Octopus spells them, defaults where nothing was sent, unknown members
// kept behind the known ones. What is of a wrong type is told in problems, by path.
func (s *Shape) fit(raw json.RawMessage, path string, problems *[]string) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || (raw[0] == 'n' && s.is != 's' && s.is != '*') {
		return s.fresh()
	}
	if !s.takes(raw[0]) {
		*problems = append(*problems, fmt.Sprintf("%s must be %s.", path, s.wants()))
		return s.fresh()
	}
	switch s.is {
	case 'e':
		var text string
		_ = json.Unmarshal(raw, &text) // takes looked at it
		if text == "" {
			return s.fresh()
		}
		for _, choice := range s.choices {
			if strings.EqualFold(choice, text) {
				return quote(choice)
			}
		}
		*problems = append(*problems, fmt.Sprintf("%s must be %s, not '%s'.", path, s.wants(), text))
	case 'g':
		if string(raw) == `""` && !s.blank {
			return s.fresh()
		}
	case 'a':
		return s.fitArray(raw, path, problems)
	case 'o':
		return s.fitObject(raw, path, problems)
	}
	return raw
}

func (s *Shape) fitArray(raw json.RawMessage, path string, problems *[]string) json.RawMessage {
	if s.element == nil {
		return raw
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		*problems = append(*problems, path+" is not valid JSON.")
		return s.fresh()
	}
	var b bytes.Buffer
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(s.element.fit(e, fmt.Sprintf("%s[%d]", path, i), problems))
	}
	b.WriteByte(']')
	return b.Bytes()
}

func (s *Shape) fitObject(raw json.RawMessage, path string, problems *[]string) json.RawMessage {
	sent, err := octopus.ParseObject(raw)
	if err != nil {
		*problems = append(*problems, path+" is not valid JSON.")
		return s.fresh()
	}
	fitted := s.FitMembers(sent, path, problems)
	b, _ := fitted.MarshalJSON() // parsed members always marshal
	return b
}

// FitMembers brings the members of an object into the shape, as fit does with any value. The path is what problems begin
// with; without one they begin with the member.
func (s *Shape) FitMembers(sent octopus.Object, path string, problems *[]string) (fitted octopus.Object) {
	s.FitInto(&fitted, sent, path, problems)
	return fitted
}

// FitInto is [Shape.FitMembers] behind the members that an object has.
func (s *Shape) FitInto(fitted *octopus.Object, sent octopus.Object, path string, problems *[]string) {
	if path != "" {
		path += "."
	}
	rest := sent.Clone()
	for _, m := range s.members {
		value, ok := rest.Get(m.name)
		if !ok {
			fitted.Set(m.name, m.shape.fresh())
			continue
		}
		fitted.Set(m.name, m.shape.fit(value, path+m.name, problems))
		for ok { // the same name may have been sent in several spellings
			rest.Delete(m.name)
			_, ok = rest.Get(m.name)
		}
	}
	for name, value := range rest.All() {
		fitted.Set(name, value)
	}
}

// IsObject tells whether the template is an object with members.
func (s *Shape) IsObject() bool { return s.is == 'o' }

// Objects names the members that are objects with members themselves.
func (s *Shape) Objects() []string {
	var names []string
	for _, m := range s.members {
		if m.shape.IsObject() {
			names = append(names, m.name)
		}
	}
	return names
}

// fresh is the value where nothing was sent.
func (s *Shape) fresh() json.RawMessage {
	switch {
	case s.is == 'g':
		return quote(uuid.NewString())
	case s.is == 'o':
		var problems []string
		b, _ := s.FitMembers(octopus.Object{}, "", &problems).MarshalJSON()
		return b
	}
	return s.preset
}

func (s *Shape) takes(first byte) bool {
	switch s.is {
	case 's', 'g':
		return first == '"' || first == 'n'
	case 'e':
		return first == '"'
	case 'b':
		return first == 't' || first == 'f'
	case 'n':
		return first == '-' || (first >= '0' && first <= '9')
	case 'a':
		return first == '['
	case 'm', 'o':
		return first == '{'
	}
	return true
}

func (s *Shape) wants() string {
	switch s.is {
	case 'e':
		return "one of " + strings.Join(s.choices, ", ")
	case 'b':
		return "true or false"
	case 'n':
		return "a number"
	case 'a':
		return "an array"
	case 'm', 'o':
		return "an object"
	}
	return "text"
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // text always marshals
	return b
}
