package pack

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"odcm/spaceserver/internal/problem"
)

// Find lists the files below a folder that fit at least one of the patterns, by their paths relative to it and in their
// order, and tells which patterns fit none. A pattern is a path with either slash: * and ? within one name, ** any number of
// folders, [ab] [a-z] [!a] one character, {a,b} one of several; letters fit in any case (docs:
// projects/steps/configuration-features/substitute-variables-in-templates). Links are neither followed nor listed: they
// may lead elsewhere.
func Find(folder string, patterns ...string) (found, without []string, err error) {
	var forms []*regexp.Regexp
	for _, p := range patterns {
		form, err := compile(p)
		if err != nil {
			return nil, nil, err
		}
		forms = append(forms, form)
	}
	fits := make([]bool, len(forms))
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		some := false
		for i, form := range forms {
			if form.MatchString(path) {
				some, fits[i] = true, true
			}
		}
		if some {
			found = append(found, filepath.FromSlash(path))
		}
		return nil
	})
	for i, pattern := range patterns {
		if !fits[i] {
			without = append(without, pattern)
		}
	}
	return found, without, err
}

// Lines splits the text of a property that holds patterns: one per line, blanks and empty lines left out
// (Octopus.Action.SubstituteInFiles.TargetFiles).
func Lines(text string) []string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return slices.DeleteFunc(lines, func(s string) bool { return s == "" })
}

// compile makes a regular expression of a pattern; Go's take time that is linear in the text.
func compile(pattern string) (*regexp.Regexp, error) {
	invalid := problem.Invalid("'" + shown(pattern) + "' is not a pattern of file names: write it as Config/**/*.json.")
	if len(pattern) > 1000 {
		return nil, invalid
	}
	rest := strings.TrimPrefix(strings.ReplaceAll(pattern, `\`, "/"), "./")
	var b strings.Builder
	b.WriteString(`(?is)^`)
	braces := 0
	for rest != "" {
		c := rest[0]
		switch {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:[^/]+/)*`)
			rest = rest[3:]
			continue
		case strings.HasPrefix(rest, "**"):
			b.WriteString(`.*`)
			rest = rest[2:]
			continue
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '{':
			braces++
			b.WriteString(`(?:`)
		case c == '}' && braces > 0:
			braces--
			b.WriteString(`)`)
		case c == ',' && braces > 0:
			b.WriteString(`|`)
		case c == '[' && strings.IndexByte(rest, ']') > 1:
			end := strings.IndexByte(rest, ']')
			class := rest[1:end]
			not := strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^")
			if not {
				class = class[1:] + "/"
			}
			b.WriteString("[")
			if not {
				b.WriteString("^")
			}
			b.WriteString(strings.NewReplacer(`[`, `\[`, `^`, `\^`, `&`, `\&`).Replace(class) + "]")
			rest = rest[end+1:]
			continue
		default:
			size := 1
			for size < len(rest) && !strings.ContainsRune(`*?{},[/`, rune(rest[size])) {
				size++
			}
			b.WriteString(regexp.QuoteMeta(rest[:size]))
			rest = rest[size:]
			continue
		}
		rest = rest[1:]
	}
	form, err := regexp.Compile(b.String() + `$`)
	if err != nil || braces > 0 {
		return nil, invalid
	}
	return form, nil
}
