// Package version reads and orders versions of releases and packages as Octopus does: Semantic Versioning with up to four
// numbers, what people have called their releases, Maven's own order for Maven packages, ranges in NuGet's notation, rules of
// channels, and masks that make the next version out of the last.
package version

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// Scheme is a way to write versions.
type Scheme int

// The schemes.
const (
	// Semantic is Semantic Versioning 2.0.0 with one to four numbers, leading zeros allowed: packages of the built-in feed
	// and of NuGet (docs: packaging-applications/create-packages/versioning).
	Semantic Scheme = iota
	// Release takes what releases have been called: a leading v, blanks around numbers, a fifth number or any word as
	// pre-release (OctopusVersionParser.cs in OctopusDeploy/Versioning).
	Release
	// Maven orders as Maven's ComparableVersion does, and takes any text.
	Maven
)

// Version is one version. The zero value is older than or as old as every other.
type Version struct {
	// Pre is the pre-release, "" for none: "beta.1" of 1.2.3-beta.1.
	Pre string
	// Build is the metadata behind the plus sign. It decides no order (Semantic Versioning, clause 10).
	Build string

	text    string
	numbers [4]int
	given   int // how many numbers the text has
	labels  []string
	maven   *list // only of Maven's versions
}

const longest = 350 // characters: longer ones fit no file name, and no person has written them

var semantic = regexp.MustCompile(`^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$`)

var lenient = regexp.MustCompile(`^(?:[vV]?\s*(\d+)\s*(?:\.\s*(\d+)\s*)?(?:\.\s*(\d+)\s*)?(?:\.\s*(\d+)\s*)?)?[.\-_\\]?([A-Za-z0-9.\-_\\]*)(?:\+([A-Za-z0-9_\-.\\+]*))?$`)

// Parse reads a version of [Semantic], and tells whether the text is one.
func Parse(text string) (Version, bool) { return Semantic.Parse(text) }

// Parse reads a version, and tells whether the text is one. A number that does not fit 32 bits makes it none.
func (s Scheme) Parse(text string) (Version, bool) {
	if text = strings.TrimSpace(text); text == "" || len(text) > longest {
		return Version{}, false
	}
	form := semantic
	switch s {
	case Release:
		form = lenient
	case Maven:
		return parseMaven(text), true
	}
	m := form.FindStringSubmatch(text)
	if m == nil {
		return Version{}, false
	}
	v := Version{text: text, Pre: m[5], Build: m[6]}
	for i, digits := range m[1:5] {
		if digits == "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return Version{}, false
		}
		v.numbers[i], v.given = int(n), i+1
	}
	if v.Pre != "" {
		v.labels = strings.FieldsFunc(v.Pre, func(r rune) bool { return r == '.' })
	}
	if v.Pre != "" && s == Release {
		// All that is neither letter nor digit separates alike: 1.0-beta_2 is 1.0-beta.2 (OctopusVersion.cs).
		v.labels = strings.Split(strings.NewReplacer("-", ".", "_", ".", `\`, ".").Replace(v.Pre), ".")
	}
	return v, true
}

// String is the version as it was written, without blanks around it.
func (v Version) String() string { return v.text }

// IsPre tells whether it comes before a release.
func (v Version) IsPre() bool {
	if v.maven != nil {
		return mavenPre(v.Pre)
	}
	return v.Pre != ""
}

// Number returns one of the four numbers, 0 to 3; 0 where the text has none.
func (v Version) Number(i int) int { return v.numbers[i] }

// Compare orders versions of one scheme: as Semantic Versioning does (clause 11), with a fourth number, letters in any case,
// or as Maven does.
func (v Version) Compare(w Version) int {
	if v.maven != nil && w.maven != nil {
		return v.maven.compare(w.maven)
	}
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
	for i := range min(len(v.labels), len(w.labels)) {
		if c := compareLabels(v.labels[i], w.labels[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.labels), len(w.labels))
}

// Order is [Version.Compare], with the text deciding between versions that are equal: for lists that must not change.
func (v Version) Order(w Version) int {
	return cmp.Or(v.Compare(w), cmp.Compare(v.text, w.text))
}

// compareLabels puts numbers before words. Numbers may have any length: dates with a time do not fit 32 bits.
func compareLabels(a, b string) int {
	n, m := digits(a), digits(b)
	switch {
	case n && m:
		return compareDigits(a, b)
	case n:
		return -1
	case m:
		return 1
	}
	return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
