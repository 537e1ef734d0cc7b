package version

import (
	"regexp"
	"strings"

	"odcm/spaceserver/internal/problem"
)

// Range is a set of versions. The zero value is all of them.
type Range struct{ spans []span }

type span struct {
	low, high         *Version
	withLow, withHigh bool
}

// ParseRange reads a range of [Semantic] versions.
func ParseRange(text string) (Range, error) { return Semantic.Range(text) }

// Range reads a range as NuGet writes it: "[1.0,2.0)", "(,3.0]", "[1.2.3]" for that one, "1.0" for that and newer. No text is
// the range of all versions. Maven's may be several, "(,1.0],[1.2,)", and its "1.0" only recommends: it holds everything.
// What is no range is a 400.
func (s Scheme) Range(text string) (Range, error) {
	invalid := problem.Invalid("'" + text + "' is not a range of versions: write it as [1.0,2.0).")
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return Range{}, nil
	}
	if len(text) > 2*longest {
		return Range{}, invalid
	}
	if !strings.ContainsAny(text[:1], "[(") {
		v, ok := s.Parse(text)
		switch {
		case !ok || strings.ContainsAny(text, "[](),"):
			return Range{}, invalid
		case s == Maven:
			return Range{}, nil
		}
		return Range{[]span{{low: &v, withLow: true}}}, nil
	}
	var r Range
	for text != "" {
		end := strings.IndexAny(text, "])")
		if end < 2 || s != Maven && end != len(text)-1 {
			return Range{}, invalid
		}
		one, ok := s.span(text[:end+1])
		if !ok {
			return Range{}, invalid
		}
		r.spans = append(r.spans, one)
		var more bool
		if text, more = strings.CutPrefix(text[end+1:], ","); more == (text == "") {
			return Range{}, invalid
		}
	}
	return r, nil
}

func (s Scheme) span(text string) (p span, ok bool) {
	p.withLow, p.withHigh = text[0] == '[', text[len(text)-1] == ']'
	if text[0] != '[' && text[0] != '(' {
		return p, false
	}
	low, high, both := strings.Cut(text[1:len(text)-1], ",")
	if !both {
		if high = low; !p.withLow || !p.withHigh || low == "" {
			return p, false
		}
	}
	for _, end := range []struct {
		text string
		to   **Version
	}{{low, &p.low}, {high, &p.high}} {
		if end.text == "" {
			continue
		}
		v, ok := s.Parse(end.text)
		if !ok || strings.ContainsAny(end.text, "[](),") {
			return p, false
		}
		*end.to = &v
	}
	return p, p.low == nil || p.high == nil || p.low.Compare(*p.high) <= 0
}

// Has tells whether the version lies in the range.
func (r Range) Has(v Version) bool {
	for _, p := range r.spans {
		if p.has(v) {
			return true
		}
	}
	return len(r.spans) == 0
}

func (p span) has(v Version) bool {
	if p.low != nil {
		if c := v.Compare(*p.low); c < 0 || c == 0 && !p.withLow {
			return false
		}
	}
	if p.high != nil {
		if c := v.Compare(*p.high); c > 0 || c == 0 && !p.withHigh {
			return false
		}
	}
	return true
}

// String is the range as NuGet writes it, "" for all.
func (r Range) String() string {
	var all []string
	for _, p := range r.spans {
		open, end, low, high := "(", ")", "", ""
		if p.withLow {
			open = "["
		}
		if p.withHigh {
			end = "]"
		}
		if p.low != nil {
			low = p.low.String()
		}
		if p.high != nil {
			high = p.high.String()
		}
		all = append(all, open+low+","+high+end)
	}
	return strings.Join(all, ",")
}

// Rule is what a channel asks of a package's version: a range, and a regular expression for the pre-release, which "^$" wants
// to be none (docs: releases/channels).
type Rule struct {
	Range Range
	tag   *regexp.Regexp
}

// ParseRule reads a channel's rule; empty texts ask for nothing. What is no range or no regular expression is a 400.
func ParseRule(versions, tag string) (Rule, error) { return Semantic.Rule(versions, tag) }

// Rule is [ParseRule] for versions of the scheme.
func (s Scheme) Rule(versions, tag string) (r Rule, err error) {
	if r.Range, err = s.Range(versions); err != nil || tag == "" {
		return r, err
	}
	if len(tag) > 1000 {
		return r, problem.Invalid("The pre-release tag is too long.")
	}
	if r.tag, err = regexp.Compile(tag); err != nil {
		return r, problem.Invalid("The pre-release tag '" + tag + "' is not a regular expression.").Because(err)
	}
	return r, nil
}

// Has tells whether the version keeps the rule.
func (r Rule) Has(v Version) bool { return r.Range.Has(v) && r.HasPre(v) }

// HasPre tells whether the version's pre-release keeps the rule.
func (r Rule) HasPre(v Version) bool { return r.tag == nil || r.tag.MatchString(v.Pre) }
