// Package filter is what the expressions of variables do with a text on its way into the output: #{Name | ToUpper}
// (docs: projects/variables/variable-filters; Octostache BuiltInFunctions). A filter that cannot do what it is asked leaves
// the expression as it is written.
package filter

import (
	"crypto/md5"  //nolint:gosec // a filter that people ask for
	"crypto/sha1" //nolint:gosec // a filter that people ask for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// Call is one use of a filter.
type Call struct {
	Text    string // what goes in
	Given   bool   // false where there is nothing to go in
	Options []string
	Now     time.Time // in the server's zone
	Room    int       // bytes that may come out
	// Spend is asked before work that takes longer than reading the text, with its size in bytes; nil allows all.
	Spend func(bytes int) error

	over bool // more would have come out, or cost
}

// ErrRoom is the error of a filter whose output, or work, is larger than there is room for.
var ErrRoom = errors.New("the output of a filter is larger than it may be")

// Apply runs a filter by its name, in any case. It gives false where there is no such filter or where it can do nothing
// with the text or the options.
func (f Call) Apply(name string) (text string, ok bool, err error) {
	text, ok = f.apply(strings.ToLower(name))
	if f.over || len(text) > f.Room {
		return "", false, ErrRoom
	}
	return text, ok, nil
}

func (f *Call) apply(name string) (string, bool) {
	switch name { // those that need no text
	case "nowdate":
		return f.nowDate(moment{f.Now, true})
	case "nowdateutc":
		return f.nowDate(moment{f.Now.UTC(), false})
	case "append":
		return f.joined(func(all string) string { return f.Text + all })
	case "prepend":
		return f.joined(func(all string) string { return all + f.Text })
	}
	if !f.Given {
		return "", false
	}
	if part, ok := strings.CutPrefix(name, "version"); ok {
		return versionPart(f.Text, part)
	}
	if escape, ok := escapes[name]; ok {
		return escape(f.Text), len(f.Options) == 0
	}
	switch name {
	case "tolower":
		return strings.ToLower(f.Text), len(f.Options) == 0
	case "toupper":
		return strings.ToUpper(f.Text), len(f.Options) == 0
	case "markdown", "markdowntohtml":
		return f.markdown()
	case "tobase64":
		return f.toBase64()
	case "frombase64":
		return f.fromBase64()
	case "addhours":
		return f.addTime(time.Hour)
	case "adddays":
		return f.addTime(24 * time.Hour)
	case "format":
		return f.format()
	case "match":
		return f.match()
	case "replace":
		return f.replace()
	case "startswith", "endswith", "contains":
		return f.compare(name)
	case "substring":
		return f.substring()
	case "truncate":
		return f.truncate()
	case "trim":
		return f.trim()
	case "indent":
		return f.indent()
	case "uripart":
		return f.uriPart(), true
	case "md5", "sha1", "sha256", "sha384", "sha512":
		return f.hash(name)
	}
	return "", false
}

func (f *Call) option(i int) string {
	if i < len(f.Options) {
		return f.Options[i]
	}
	return ""
}

func (f *Call) joined(with func(all string) string) (string, bool) {
	size := len(f.Text)
	for _, option := range f.Options {
		size += len(option)
	}
	if f.over = size > f.Room; f.over {
		return "", false
	}
	return with(strings.Join(f.Options, "")), len(f.Options) > 0
}

func (f *Call) compare(how string) (string, bool) {
	holds := map[string]func(s, part string) bool{
		"startswith": strings.HasPrefix, "endswith": strings.HasSuffix, "contains": strings.Contains,
	}[how]
	return strconv.FormatBool(holds(f.Text, f.option(0))), len(f.Options) == 1
}

func (f *Call) match() (string, bool) {
	if len(f.Options) != 1 {
		return "", false
	}
	pattern, ok := f.pattern(f.Options[0])
	if !ok {
		return "", false
	}
	return strconv.FormatBool(pattern.MatchString(f.Text)), true
}

// pattern compiles a regular expression, if there is time to match it: the time is the size of the text times the size of
// the program, which a few characters such as {1,1000} make large.
func (f *Call) pattern(text string) (*regexp.Regexp, bool) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, false
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, false
	}
	const weight = 4 // a step of the machine takes as long as reading four bytes
	if f.Spend != nil {
		if f.over = f.Spend(weight*len(program.Inst)*(1+len(f.Text))) != nil; f.over {
			return nil, false
		}
	}
	pattern, err := regexp.Compile(text)
	return pattern, err == nil
}

func (f *Call) replace() (string, bool) {
	if len(f.Options) == 0 {
		return "", false
	}
	pattern, ok := f.pattern(f.Options[0])
	if !ok {
		return "", false
	}
	template := goReplacement(f.option(1), pattern)
	found := pattern.FindAllStringSubmatchIndex(f.Text, mostMatches)
	if f.over = len(found) == mostMatches; f.over {
		return "", false
	}
	var out []byte
	last := 0
	for _, m := range found {
		out = append(out, f.Text[last:m[0]]...)
		out = pattern.ExpandString(out, template, f.Text, m)
		last = m[1]
		if f.over = len(out) > f.Room; f.over {
			return "", false
		}
	}
	return string(out) + f.Text[last:], true
}

// mostMatches is how often one filter replaces: each match takes memory.
const mostMatches = 1 << 18

var replacementNumber = regexp.MustCompile(`\$(\d+|&)`)

// goReplacement writes the $1 and $& of .NET as Go's ${1} and ${0}. A group that the pattern does not have is text.
func goReplacement(text string, pattern *regexp.Regexp) string {
	return replacementNumber.ReplaceAllStringFunc(text, func(s string) string {
		if s == "$&" {
			return "${0}"
		}
		if n, err := strconv.Atoi(s[1:]); err != nil || n > pattern.NumSubexp() {
			return "$" + s
		}
		return "${" + s[1:] + "}"
	})
}

// number reads an option that is a count.
func number(text string) (int, bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return int(n), err == nil && n >= 0
}

// substring takes a length, or a start and a length, in characters.
func (f *Call) substring() (string, bool) {
	if len(f.Options) == 0 || len(f.Options) > 2 {
		return "", false
	}
	start := 0
	length, ok := number(f.Options[len(f.Options)-1])
	if ok && len(f.Options) == 2 {
		start, ok = number(f.Options[0])
	}
	runes := []rune(f.Text)
	if !ok || start > len(runes) {
		return "", false
	}
	return string(runes[start:min(start+length, len(runes))]), true
}

func (f *Call) truncate() (string, bool) {
	length, ok := number(f.option(0))
	if !ok {
		return "", false
	}
	end := "..."
	if len(f.Options) > 1 {
		end = f.Options[1]
	}
	if runes := []rune(f.Text); length < len(runes) {
		return string(runes[:length]) + end, true
	}
	return f.Text, true
}

func (f *Call) trim() (string, bool) {
	if len(f.Options) == 0 {
		return strings.TrimSpace(f.Text), true
	}
	switch strings.ToLower(f.Options[0]) {
	case "start":
		return strings.TrimLeftFunc(f.Text, unicode.IsSpace), true
	case "end":
		return strings.TrimRightFunc(f.Text, unicode.IsSpace), true
	}
	return "", false
}

var indentSizes = regexp.MustCompile(`^(?:(\d{1,3})?(/))?(\d{1,3})$`)

// indent puts blanks or a text before each line: one size or text for all, "first/others" in sizes, or two texts.
func (f *Call) indent() (string, bool) {
	if f.Text == "" {
		return "", true
	}
	first, others := "    ", "    "
	switch len(f.Options) {
	case 0:
	case 1:
		first, others = f.Options[0], f.Options[0]
		if m := indentSizes.FindStringSubmatch(first); m != nil {
			n, _ := strconv.Atoi("0" + m[1])
			rest, _ := strconv.Atoi(m[3])
			if m[2] == "" {
				n = rest
			}
			if n <= 255 && rest <= 255 {
				first, others = strings.Repeat(" ", n), strings.Repeat(" ", rest)
			}
		}
	case 2:
		first, others = f.Options[0], f.Options[1]
	default:
		return "", false
	}
	if f.over = len(f.Text)+len(first)+strings.Count(f.Text, "\n")*len(others) > f.Room; f.over {
		return "", false
	}
	return first + strings.ReplaceAll(f.Text, "\n", "\n"+others), true
}

// encode gives the bytes of a text in one of the encodings that filters know.
func encode(text, encoding string) ([]byte, bool) {
	switch strings.ToLower(encoding) {
	case "", "utf8", "utf-8":
		return []byte(text), true
	case "unicode": // .NET's name for UTF-16, the low byte first
		units := utf16.Encode([]rune(text))
		b := make([]byte, 0, 2*len(units))
		for _, u := range units {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return b, true
	}
	return nil, false
}

func (f *Call) toBase64() (string, bool) {
	b, ok := encode(f.Text, f.option(0))
	return base64.StdEncoding.EncodeToString(b), ok && len(f.Options) <= 1
}

func (f *Call) fromBase64() (string, bool) {
	b, err := base64.StdEncoding.DecodeString(f.Text)
	if err != nil || len(f.Options) > 1 {
		return "", false
	}
	switch strings.ToLower(f.option(0)) {
	case "", "utf8", "utf-8":
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	case "unicode":
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// hash takes how many bytes of the sum to write and how the text is encoded, in any order, or either.
func (f *Call) hash(name string) (string, bool) {
	size, encoding := 0, ""
	for i, option := range f.Options {
		n, err := strconv.ParseInt(option, 10, 32)
		switch {
		case i > 1 || err == nil && (n <= 0 || size > 0) || err != nil && encoding != "":
			return "", false
		case err == nil:
			size = int(n)
		default:
			encoding = option
		}
	}
	data, ok := encode(f.Text, encoding)
	if strings.EqualFold(encoding, "base64") {
		var err error
		data, err = base64.StdEncoding.DecodeString(f.Text)
		ok = err == nil
	}
	if !ok {
		return "", false
	}
	var sum []byte
	switch name {
	case "md5":
		s := md5.Sum(data) //nolint:gosec // see above
		sum = s[:]
	case "sha1":
		s := sha1.Sum(data) //nolint:gosec // see above
		sum = s[:]
	case "sha256":
		s := sha256.Sum256(data)
		sum = s[:]
	case "sha384":
		s := sha512.Sum384(data)
		sum = s[:]
	default:
		s := sha512.Sum512(data)
		sum = s[:]
	}
	if size > 0 && size < len(sum) {
		sum = sum[:size]
	}
	return hex.EncodeToString(sum), true
}
