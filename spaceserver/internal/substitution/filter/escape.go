package filter

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// escapes are the filters that make a text fit for a place in a file of a kind
// (docs: projects/variables/variable-filters#escaping-filters).
var escapes = map[string]func(string) string{
	"htmlescape": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;", "/", "&#x2F;").Replace,
	"xmlescape":  strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace,
	"jsonescape": strings.NewReplacer(`"`, `\"`, "\r", `\r`, "\t", `\t`, "\n", `\n`, `\`, `\\`).Replace,
	"uriescape": func(text string) string {
		return percent(text, "-_.~!*'();/?:@&=+$,#[]")
	},
	"uridataescape":         func(text string) string { return percent(text, "-_.~") },
	"yamlsinglequoteescape": yamlSingle,
	"yamldoublequoteescape": yamlDouble,
	"propertieskeyescape": func(text string) string {
		return properties(strings.NewReplacer(" ", `\ `, ":", `\:`, "=", `\=`), text)
	},
	"propertiesvalueescape": func(text string) string {
		if strings.HasPrefix(text, " ") {
			return `\` + properties(strings.NewReplacer(), text)
		}
		return properties(strings.NewReplacer(), text)
	},
}

// percent writes every byte but letters, digits and those kept as %XX.
func percent(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

var lineBreaks = regexp.MustCompile(`(?:\r?\n)+`)

// yamlSingle doubles quotes, and adds a line break to each run of them: within single quotes YAML reads one break as a
// blank, and n+1 as n (YAML 1.0, single quoted scalars).
func yamlSingle(text string) string {
	text = lineBreaks.ReplaceAllStringFunc(text, func(breaks string) string {
		if breaks[0] == '\r' {
			return "\r\n" + breaks
		}
		return "\n" + breaks
	})
	return strings.ReplaceAll(text, "'", "''")
}

var yamlEscapes = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`, `\`, `\\`, `"`, `\"`)

func yamlDouble(text string) string {
	return units(yamlEscapes.Replace(text), func(r rune) bool { return ' ' <= r && r <= '~' })
}

var propertyEscapes = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`, `\`, `\\`)

// properties escapes for a .properties file, whose bytes are ISO 8859-1.
func properties(more *strings.Replacer, text string) string {
	return units(more.Replace(propertyEscapes.Replace(text)), func(r rune) bool { return r < 0xFF })
}

// units writes characters that do not fit as \uXXXX, in two where UTF-16 has two.
func units(text string, fits func(rune) bool) string {
	var b strings.Builder
	for _, r := range text {
		if fits(r) {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

// longestMarkdown is what the filter renders: release notes are a tenth of it.
const longestMarkdown = 64 << 10

// markdown renders with tables, ~~strike~~ and links. HTML in the text stays: filters are for trusted text, as the page
// on them says, and Octopus keeps it. Text that means harm takes the renderer a time that grows with its square.
func (f *Call) markdown() (string, bool) {
	if f.over = len(f.Text) > longestMarkdown; f.over || len(f.Options) > 0 {
		return "", false
	}
	if f.over = f.Spend != nil && f.Spend(len(f.Text)*len(f.Text)/2) != nil; f.over {
		return "", false
	}
	var b strings.Builder
	render := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := render.Convert([]byte(strings.TrimSpace(f.Text)), &b); err != nil {
		return "", false
	}
	return b.String() + "\n", true
}
