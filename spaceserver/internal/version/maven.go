package version

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A version of Maven is a list of numbers, words and lists: 1.0-2-beta is (1,(2,beta)). What is there is compared with what
// is not as if that were a release's (org.apache.maven.artifact.versioning.ComparableVersion, whose rules these are). Zeros in
// front of a word say nothing, as in Maven 3.9: with them, 1.0.alpha would be older than 1 and newer than 1-sp.
type list []any // of digits, word and *list

// number holds digits of any length; word is a qualifier in lower case.
type (
	number string
	word   string
)

// words are the qualifiers that Maven knows, oldest first; "" is the release. Others come behind, by their letters.
var words = []word{"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"}

var mavenText = regexp.MustCompile(`^(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:[.-](.*))?$`)

func parseMaven(text string) Version {
	v := Version{text: text, maven: parseList(strings.ToLower(text))}
	m := mavenText.FindStringSubmatch(text)
	if m == nil {
		v.Pre = text
		return v
	}
	for i, digits := range m[1:4] {
		if digits != "" {
			v.numbers[i], _ = strconv.Atoi(digits) // at most nine
			v.given = i + 1
		}
	}
	build, rest, _ := strings.Cut(m[4], "-")
	if n, err := strconv.Atoi(build); err == nil && n >= 0 { // 1.2.3-4: a build number
		v.numbers[3], v.Pre, v.given = n, rest, 4
	} else {
		v.Pre = m[4]
	}
	return v
}

var mavenPreLabel = regexp.MustCompile(`(?i)^(snapshot$|alpha|beta|milestone|cr|rc|[abm]\d)`)

func mavenPre(pre string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(pre, func(r rune) bool { return r == '-' || r == '.' }), mavenPreLabel.MatchString)
}

func parseList(text string) *list {
	root := &list{}
	at, all := root, []*list{root}
	start, inDigits := 0, false
	add := func(end int, followed bool) {
		if inDigits || end == start {
			*at = append(*at, number(strings.TrimLeft(text[start:end], "0")))
			return
		}
		for at.trim(); len(*at) == 0 && len(all) > 1; at.trim() { // a list that holds only a word is none
			all = all[:len(all)-1]
			at = all[len(all)-1]
		}
		*at = append(*at, qualifier(text[start:end], followed))
	}
	for i := range len(text) {
		c := text[i]
		digit := c >= '0' && c <= '9'
		switch {
		case c == '.' || c == '-':
			add(i, false)
			start = i + 1
			if c == '-' && inDigits {
				at.trim()
				if start < len(text) && text[start] >= '0' && text[start] <= '9' {
					next := &list{}
					*at = append(*at, next)
					at, all = next, append(all, next)
				}
			}
		case digit != inDigits:
			if i > start {
				add(i, digit)
				start = i
			}
			inDigits = digit
		}
	}
	if start < len(text) {
		add(len(text), false)
	}
	for _, l := range slices.Backward(all) {
		l.trim()
	}
	return root
}

func qualifier(s string, followedByDigit bool) word {
	if followedByDigit {
		switch s {
		case "a":
			return "alpha"
		case "b":
			return "beta"
		case "m":
			return "milestone"
		}
	}
	switch s {
	case "ga", "final":
		return ""
	case "cr":
		return "rc"
	}
	return word(s)
}

// trim takes what means nothing off the end: 1.0 is 1.
func (l *list) trim() {
	for len(*l) > 0 && compareItems((*l)[len(*l)-1], nil) == 0 {
		*l = (*l)[:len(*l)-1]
	}
}

func (l *list) compare(m *list) int {
	for i := range max(len(*l), len(*m)) {
		var a, b any
		if i < len(*l) {
			a = (*l)[i]
		}
		if i < len(*m) {
			b = (*m)[i]
		}
		c := 0
		if a != nil {
			c = compareItems(a, b)
		} else {
			c = -compareItems(b, a)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// compareItems orders words before lists before numbers: 1-sp < 1-1 < 1.1. b may be nil.
func compareItems(a, b any) int {
	if b == nil {
		switch a := a.(type) {
		case number:
			return cmp.Compare(len(a), 0)
		case word:
			return compareWords(a, "")
		case *list:
			return a.compare(&list{})
		}
	}
	switch a := a.(type) {
	case number:
		if b, ok := b.(number); ok {
			return compareDigits(string(a), string(b))
		}
	case word:
		if b, ok := b.(word); ok {
			return compareWords(a, b)
		}
	case *list:
		if b, ok := b.(*list); ok {
			return a.compare(b)
		}
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(item any) int {
	switch item.(type) {
	case word:
		return 0
	case *list:
		return 1
	}
	return 2
}

func compareWords(a, b word) int {
	i, j := slices.Index(words, a), slices.Index(words, b)
	switch {
	case i < 0 && j < 0:
		return cmp.Compare(a, b)
	case i < 0:
		return 1
	case j < 0:
		return -1
	}
	return cmp.Compare(i, j)
}
