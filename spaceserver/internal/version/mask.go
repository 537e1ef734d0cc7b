package version

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mask is a version in which i stands for "one more than the last" and c for "as the last": 2.1.c.i
// (docs: releases/release-versioning; OctopusVersionMask.cs in OctopusDeploy/Versioning).
type mask struct {
	prefix  string
	numbers [4]string // "" where there is none
	pre     string
	build   string
}

var maskText = regexp.MustCompile(`^(?:([vV]?)(\d+|i|c)(?:\.(\d+|i|c))?(?:\.(\d+|i|c))?(?:\.(\d+|i|c))?)?(?:-([^+.\-_\s]*(?:[.\-_][^+\s]*)?))?(?:\+(\S*))?$`)

func parseMask(text string) (mask, bool) {
	m := maskText.FindStringSubmatch(text)
	if m == nil || len(text) > longest {
		return mask{}, false
	}
	return mask{m[1], [4]string(m[2:6]), m[6], m[7]}, true
}

func stands(part string) bool { return part == "i" || part == "c" }

// Next applies a mask to the newest of the versions that it is for: 1.2.i looks at versions 1.2.x only. Without such a one, i
// and c are 0. A text that is no mask is returned without blanks.
func Next(text string, versions []Version) string {
	m, ok := parseMask(text)
	if !ok {
		return strings.ReplaceAll(text, " ", "")
	}
	mine := slices.DeleteFunc(slices.Clone(versions), func(v Version) bool { return !m.covers(v) })
	if len(mine) == 0 {
		return m.first()
	}
	return m.after(slices.MaxFunc(mine, Version.Compare))
}

func (m mask) covers(v Version) bool {
	for i, part := range m.numbers {
		if stands(part) {
			return true
		}
		if n, _ := strconv.Atoi("0" + part); n != v.numbers[i] {
			return false
		}
	}
	return true
}

// first is what the mask makes where there is no version yet.
func (m mask) first() string {
	return m.write(func(i int, part string) string {
		if stands(part) {
			return "0"
		}
		return part
	}, func(labels []string) {
		for i := range labels {
			if stands(labels[i]) {
				labels[i] = "0"
			}
		}
	})
}

// after is what the mask makes of the last version. A number behind one that grew starts again at 0, and a version that had
// more numbers than the mask keeps their count.
func (m mask) after(last Version) string {
	return m.write(func(i int, part string) string {
		switch {
		case part == "":
			if i < last.given && i > 0 && m.numbers[i-1] != "" {
				return "0"
			}
			return ""
		case !stands(part):
			return part
		case i > 0 && m.numbers[i-1] == "i":
			return "0"
		}
		return grown(part, strconv.Itoa(last.numbers[i]))
	}, func(labels []string) {
		had, ends, reset := strings.Split(last.Pre, "."), len(labels) > 1 && stands(labels[len(labels)-1]), false
		for i := range labels {
			again := reset && ends
			reset = labels[i] == "i"
			switch {
			case again:
				labels[i] = "0"
			case stands(labels[i]) && i < len(had):
				labels[i] = grown(labels[i], had[i])
			case stands(labels[i]):
				labels[i] = grown(labels[i], "0")
			}
		}
	})
}

func grown(part, last string) string {
	n, err := strconv.ParseInt(last, 10, 32)
	if err != nil || n < 0 {
		n = 0
	}
	if part == "i" && n < math.MaxInt32 {
		n++
	}
	return strconv.FormatInt(n, 10)
}

func (m mask) write(number func(i int, part string) string, pre func(labels []string)) string {
	var b strings.Builder
	b.WriteString(m.prefix)
	for i, part := range m.numbers {
		if part = number(i, part); part == "" {
			break
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	for _, tail := range []struct{ sign, text string }{{"-", m.pre}, {"+", m.build}} {
		if tail.text == "" {
			continue
		}
		labels := strings.Split(tail.text, ".")
		pre(labels)
		b.WriteString(tail.sign + strings.Join(labels, "."))
	}
	return b.String()
}

// Variables are what templates of release numbers can say of the last release: prefix is "Octopus.Version",
// "Octopus.Version.Channel" or "Octopus.Version.Channel[Name]" (docs: releases/release-versioning). The zero version, of no
// release yet, gives 0 for the last and 1 for the next.
func Variables(prefix string, last Version) map[string]string {
	all := map[string]string{prefix + ".LastSuffix": last.Pre, prefix + ".NextSuffix": last.Pre}
	for i, names := range [][]string{{"Major"}, {"Minor"}, {"Patch", "Build"}, {"Revision"}} {
		for _, name := range names {
			all[prefix+".Last"+name] = strconv.Itoa(last.numbers[i])
			all[prefix+".Next"+name] = strconv.Itoa(last.numbers[i] + 1)
		}
	}
	return all
}
