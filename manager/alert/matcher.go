package alert

import (
	"regexp"
	"strings"

	"odcm"
)

// Matchers choose by labels; all must match, none matches everything. They are kept as people write them:
// server=host-1, version!~"2025[.].*".
type Matchers struct {
	text string
	all  []matcher
}

type matcher struct {
	name, value string
	not         bool
	pattern     *regexp.Regexp // nil: equal
}

// Bounds of what people may write; a pattern is matched thousands of times.
const (
	maxMatchers = 20
	maxMatcher  = 1000
)

// ParseMatchers reads matchers that are separated by commas: name=value, name!=value, name~pattern, name!~pattern. A pattern
// (RE2) matches the whole value. Values with commas or spaces stand in double quotes, in which \" and \\ are escapes.
func ParseMatchers(text string) (m Matchers, err error) {
	rest := strings.TrimSpace(text)
	if len(text) > maxMatcher {
		return m, badMatcher("They are longer than %d bytes.", maxMatcher)
	}
	m.text = rest
	for rest != "" {
		var one matcher
		if one, rest, err = nextMatcher(rest); err != nil {
			return Matchers{}, err
		}
		if m.all = append(m.all, one); len(m.all) > maxMatchers {
			return Matchers{}, badMatcher("There are more than %d.", maxMatchers)
		}
	}
	return m, nil
}

func badMatcher(why string, args ...any) error {
	return odcm.E(odcm.Invalid, "alert.matcher", "The labels cannot be read: "+why+` Write server=host-1, version~"2025[.].*".`, args...).OnField("matchers")
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_-]*`)

func nextMatcher(text string) (m matcher, rest string, err error) {
	m.name = labelName.FindString(text)
	if m.name == "" {
		return m, "", badMatcher("%q does not begin with the name of a label.", text)
	}
	rest = strings.TrimLeft(text[len(m.name):], " ")
	var isPattern bool
	for _, op := range []struct {
		sign         string
		not, pattern bool
	}{{"!=", true, false}, {"!~", true, true}, {"=~", false, true}, {"=", false, false}, {"~", false, true}} {
		if after, ok := strings.CutPrefix(rest, op.sign); ok {
			m.not, isPattern = op.not, op.pattern
			if m.value, rest, err = matcherValue(strings.TrimLeft(after, " ")); err != nil {
				return m, "", err
			}
			if isPattern {
				if m.pattern, err = regexp.Compile(`^(?s:` + m.value + `)$`); err != nil {
					return m, "", badMatcher("%q is no regular expression.", m.value)
				}
			}
			return m, rest, nil
		}
	}
	return m, "", badMatcher("%q is followed by neither =, !=, ~ nor !~.", m.name)
}

// matcherValue reads a value and the comma behind it.
func matcherValue(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return strings.TrimSpace(value), strings.TrimSpace(rest), nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case c == '"':
			rest = strings.TrimSpace(text[i+1:])
			if rest != "" && !strings.HasPrefix(rest, ",") {
				return "", "", badMatcher("A comma is missing before %q.", rest)
			}
			return b.String(), strings.TrimSpace(strings.TrimPrefix(rest, ",")), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", badMatcher("A quote is not closed.")
}

// Match tells whether all match; a label that is missing is empty.
func (m Matchers) Match(labels map[string]string) bool {
	for _, one := range m.all {
		value := labels[one.name]
		hit := value == one.value
		if one.pattern != nil {
			hit = one.pattern.MatchString(value)
		}
		if hit == one.not {
			return false
		}
	}
	return true
}

// String is the text that was parsed.
func (m Matchers) String() string { return m.text }

// Empty tells whether everything matches.
func (m Matchers) Empty() bool { return len(m.all) == 0 }

// MarshalText implements [encoding.TextMarshaler].
func (m Matchers) MarshalText() ([]byte, error) { return []byte(m.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Matchers) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMatchers(string(text))
	return err
}
