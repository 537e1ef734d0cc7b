package part

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/problem"
)

// Version is a package's version: up to four numbers, a pre-release, build metadata (PackageIdentityParser.cs). Semantic
// Versioning has three numbers, so golang.org/x/mod/semver does not read them.
type Version struct {
	numbers [4]int
	Pre     string
	build   string
}

var versionText = regexp.MustCompile(`^(\d{1,9}(?:\.\d{1,9}){0,3})(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?$`)

// ParseVersion reads a version, and tells whether the text is one.
func ParseVersion(text string) (Version, bool) {
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return Version{}, false
	}
	v := Version{Pre: m[2], build: m[3]}
	for i, part := range strings.Split(m[1], ".") {
		v.numbers[i], _ = strconv.Atoi(part) // at most nine digits
	}
	return v, true
}

// Compare orders as Semantic Versioning does (clause 11), with a fourth number; build metadata breaks a tie.
func (v Version) Compare(w Version) int {
	for i := range v.numbers {
		if c := cmp.Compare(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.Pre == "" && w.Pre != "":
		return 1
	case v.Pre != "" && w.Pre == "":
		return -1
	}
	if c := comparePre(v.Pre, w.Pre); c != 0 {
		return c
	}
	return cmp.Compare(v.build, w.build)
}

func comparePre(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		n, numeric := strconv.Atoi(as[i])
		m, other := strconv.Atoi(bs[i])
		var c int
		switch {
		case numeric == nil && other == nil:
			c = cmp.Compare(n, m)
		case numeric == nil:
			c = -1
		case other == nil:
			c = 1
		default:
			c = cmp.Compare(strings.ToLower(as[i]), strings.ToLower(bs[i]))
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// Range is a range as NuGet writes it: "[1.0,2.0)", "(,3.0]", "[1.2.3]", or "1.0" for that and newer.
type Range struct {
	low, high         *Version
	withLow, withHigh bool
}

// ParseRange reads a range; no text is the range of all versions. What is no range is a 400.
func ParseRange(text string) (r Range, err error) {
	invalid := problem.Invalid("'" + text + "' is not a range of versions: write it as [1.0,2.0).")
	text = strings.ReplaceAll(text, " ", "")
	if text == "" {
		return r, nil
	}
	if !strings.ContainsAny(text[:1], "[(") {
		v, ok := ParseVersion(text)
		if !ok {
			return r, invalid
		}
		return Range{low: &v, withLow: true}, nil
	}
	if len(text) < 3 || !strings.ContainsAny(text[len(text)-1:], "])") {
		return r, invalid
	}
	r.withLow, r.withHigh = text[0] == '[', text[len(text)-1] == ']'
	low, high, both := strings.Cut(text[1:len(text)-1], ",")
	if !both {
		high = low
		if !r.withLow || !r.withHigh {
			return r, invalid
		}
	}
	for _, end := range []struct {
		text string
		to   **Version
	}{{low, &r.low}, {high, &r.high}} {
		if end.text == "" {
			continue
		}
		v, ok := ParseVersion(end.text)
		if !ok {
			return r, invalid
		}
		*end.to = &v
	}
	return r, nil
}

// Has tells whether the version lies in the range.
func (r Range) Has(v Version) bool {
	if r.low != nil {
		if c := v.Compare(*r.low); c < 0 || c == 0 && !r.withLow {
			return false
		}
	}
	if r.high != nil {
		if c := v.Compare(*r.high); c > 0 || c == 0 && !r.withHigh {
			return false
		}
	}
	return true
}

// PreReleaseMatches asks a channel rule's tag, a regular expression, about the pre-release. A tag that is no expression
// matches nothing.
func PreReleaseMatches(tag, pre string) bool {
	if tag == "" {
		return true
	}
	expression, err := regexp.Compile(tag)
	return err == nil && expression.MatchString(pre)
}
