package attribute

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Bounds of a filter: what is beyond them no client sends that means well.
const (
	maxFilter = 8 << 10 // bytes
	maxDepth  = 16      // parentheses in parentheses
	maxTerms  = 100
)

// Filter is a question about a resource (RFC 7644 section 3.4.2.2).
type Filter interface{ Match(r Object) bool }

type (
	both    struct{ a, b Filter }
	either  struct{ a, b Filter }
	not     struct{ f Filter }
	present struct{ path path }
	compare struct {
		path  path
		op    string // lower case
		value any    // string, bool, json.Number or nil
		exact bool   // case matters
	}
	// some is a value path: one element of a multi-valued attribute that matches.
	some struct {
		path path
		f    Filter
	}
)

// path names an attribute: emails.value, urn:…:enterprise:2.0:User:department.
type path struct{ schema, name, sub string }

// ParseFilter reads the whole text.
func ParseFilter(text string) (Filter, error) {
	p := parser{text: text}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return nil, p.fault("it is too long, or not text")
	}
	f, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.fault("something stands after its end")
	}
	return f, nil
}

// parser goes along the text once. The operators bind as the RFC says: not, then and, then or.
type parser struct {
	text   string
	at     int
	terms  int
	inside path // of the value path that is being read
}

func (p *parser) fault(what string) error {
	return invalid("invalidFilter", "The filter cannot be read: "+what+".")
}

func (p *parser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// word takes the keyword where it stands next, in any case, and is a word of its own.
func (p *parser) word(word string) bool {
	p.space()
	end := p.at + len(word)
	if end > len(p.text) || !strings.EqualFold(p.text[p.at:end], word) || end < len(p.text) && isName(p.text[end]) {
		return false
	}
	p.at = end
	return true
}

func (p *parser) sign(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) or(depth int) (Filter, error) {
	f, err := p.and(depth)
	for err == nil && p.word("or") {
		var g Filter
		g, err = p.and(depth)
		f = either{f, g}
	}
	return f, err
}

func (p *parser) and(depth int) (Filter, error) {
	f, err := p.term(depth)
	for err == nil && p.word("and") {
		var g Filter
		g, err = p.term(depth)
		f = both{f, g}
	}
	return f, err
}

func (p *parser) term(depth int) (Filter, error) {
	if p.terms++; p.terms > maxTerms || depth > maxDepth {
		return nil, p.fault("it is too large")
	}
	start := p.at
	negated := p.word("not")
	if p.sign('(') {
		f, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.sign(')') {
			return nil, p.fault("a parenthesis is not closed")
		}
		if negated {
			f = not{f}
		}
		return f, nil
	}
	p.at = start // an attribute may begin with "not"
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if p.sign('[') {
		return p.values(path, depth)
	}
	return p.comparison(path)
}

func (p *parser) values(at path, depth int) (Filter, error) {
	outside := p.inside
	p.inside = at
	f, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	p.inside = outside
	if !p.sign(']') {
		return nil, p.fault("a bracket is not closed")
	}
	return some{at, f}, nil
}

func (p *parser) comparison(at path) (Filter, error) {
	if p.word("pr") {
		return present{at}, nil
	}
	for _, op := range []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"} {
		if p.word(op) {
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			if !fits(op, v) {
				return nil, p.fault("what follows " + op + " does not go with it")
			}
			return compare{at, op, v, at.exact() || p.inside.exact()}, nil
		}
	}
	return nil, p.fault("after an attribute want an operator such as eq")
}

// fits tells whether the operator can compare with the value: only texts have parts, and only texts and numbers an order.
func fits(op string, v any) bool {
	switch v.(type) {
	case string:
		return true
	case json.Number:
		return op != "co" && op != "sw" && op != "ew"
	}
	return op == "eq" || op == "ne"
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '$'
}

func (p *parser) name() string {
	start := p.at
	for p.at < len(p.text) && isName(p.text[p.at]) {
		p.at++
	}
	return p.text[start:p.at]
}

// path reads attrPath. The points in a schema's version ("2.0") belong to it: the attribute follows its last colon.
func (p *parser) path() (path, error) {
	p.space()
	var at path
	if len(p.text)-p.at > 4 && strings.EqualFold(p.text[p.at:p.at+4], "urn:") {
		end := p.at
		for end < len(p.text) && (isName(p.text[end]) || strings.IndexByte(":.", p.text[end]) >= 0) {
			end++
		}
		colon := strings.LastIndexByte(p.text[p.at:end], ':')
		at.schema = p.text[p.at : p.at+colon]
		p.at += colon + 1
	}
	if at.name = p.name(); at.name == "" {
		return path{}, p.fault("want the name of an attribute")
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if at.sub = p.name(); at.sub == "" {
			return path{}, p.fault("want the name of an attribute after the point")
		}
	}
	return at, nil
}

// value reads a JSON string, number, true, false or null.
func (p *parser) value() (any, error) {
	p.space()
	rest := p.text[p.at:]
	dec := json.NewDecoder(strings.NewReader(rest))
	dec.UseNumber()
	if strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, "[") {
		return nil, p.fault("want a text, a number, true, false or null")
	}
	var v any
	if err := dec.Decode(&v); err != nil {
		// True and False, as some write them.
		for word, v := range map[string]bool{"true": true, "false": false} {
			if p.word(word) {
				return v, nil
			}
		}
		return nil, p.fault("want a text in quotes, a number, true, false or null")
	}
	p.at += int(dec.InputOffset())
	return v, nil
}
