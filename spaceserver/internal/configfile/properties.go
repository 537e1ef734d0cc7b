package configfile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// replaceProperties follows java.util.Properties: a line is a key, a separator (=, : or blanks) and a value; a backslash at
// its end joins the next to it; # and ! begin comments. Everything but the replaced values stays as it is written.
func replaceProperties(content []byte, r *report) ([]byte, error) {
	names := map[string]string{}
	for _, name := range r.vars.Names("") {
		if key := strings.ToLower(name); !strings.HasPrefix(key, "octopus") {
			names[key] = name
		}
	}
	var out strings.Builder
	for rest := string(content); rest != ""; {
		var line string
		line, rest = logicalLine(rest)
		body := strings.TrimRight(line, "\r\n")
		start := len(body) - len(strings.TrimLeft(body, " \t\f"))
		if start == len(body) || strings.ContainsRune("#!", rune(body[start])) {
			out.WriteString(line)
			continue
		}
		keyEnd, valueStart := split(body, start)
		name, ok := names[strings.ToLower(unescape(body[start:keyEnd]))]
		if !ok {
			out.WriteString(line)
			continue
		}
		value, err := r.value(name)
		if err != nil {
			return nil, err
		}
		out.WriteString(body[:valueStart])
		if valueStart == keyEnd {
			out.WriteByte(':') // without a separator the value would be part of the key
		}
		out.WriteString(escape(value) + line[len(body):])
		r.Replaced = append(r.Replaced, name)
	}
	return []byte(out.String()), nil
}

// logicalLine cuts the first line off, with those that a backslash joins to it and with its line end. Comments and empty
// lines are never joined.
func logicalLine(text string) (line, rest string) {
	trimmed := strings.TrimLeft(text, " \t\f")
	comment := trimmed != "" && strings.ContainsRune("#!", rune(trimmed[0]))
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if comment {
				continue
			}
			if i++; strings.HasPrefix(text[min(i, len(text)):], "\r\n") {
				i++
			}
		case '\r', '\n':
			if strings.HasPrefix(text[i:], "\r\n") {
				i++
			}
			return text[:i+1], text[i+1:]
		}
	}
	return text, ""
}

// split finds the end of the key and the start of the value.
func split(line string, start int) (keyEnd, valueStart int) {
	keyEnd = start
	for keyEnd < len(line) && !strings.ContainsRune("=: \t\f", rune(line[keyEnd])) {
		if line[keyEnd] != '\\' || keyEnd+1 == len(line) {
			keyEnd++
			continue
		}
		if keyEnd += 2; line[keyEnd-1] == '\r' || line[keyEnd-1] == '\n' {
			keyEnd = len(line) - len(strings.TrimLeft(line[keyEnd:], " \t\f\r\n")) // the joined line goes on behind its blanks
		}
	}
	valueStart = keyEnd
	for separated := false; valueStart < len(line); valueStart++ {
		c := line[valueStart]
		if (c == '=' || c == ':') && !separated {
			separated = true
		} else if c != ' ' && c != '\t' && c != '\f' {
			break
		}
	}
	return keyEnd, valueStart
}

// unescape reads a key: a joined line loses its break and the blanks that begin the next one.
func unescape(text string) string {
	var units []uint16
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			r := []rune(text[i:min(i+4, len(text))])[0]
			units = utf16.AppendRune(units, r)
			i += len(string(r))
			continue
		}
		if i++; i == len(text) {
			break
		}
		switch c := text[i]; c {
		case '\r', '\n':
			rest := strings.TrimLeft(text[i:], " \t\f\r\n")
			i = len(text) - len(rest)
			continue
		case 'u':
			if n, err := strconv.ParseUint(text[i+1:min(i+5, len(text))], 16, 16); err == nil && i+5 <= len(text) {
				units = append(units, uint16(n))
				i += 5
				continue
			}
			units = append(units, 'u')
		case 't':
			units = append(units, '\t')
		case 'n':
			units = append(units, '\n')
		case 'r':
			units = append(units, '\r')
		case 'f':
			units = append(units, '\f')
		default:
			r := []rune(text[i:min(i+4, len(text))])[0]
			units = utf16.AppendRune(units, r)
			i += len(string(r)) - 1
		}
		i++
	}
	return string(utf16.Decode(units))
}

// escape writes a value; characters that ISO 8859-1 does not have become \uXXXX.
func escape(value string) string {
	var b strings.Builder
	for i, r := range value {
		switch {
		case r == ' ' && i == 0:
			b.WriteString(`\ `)
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0xFF:
			b.WriteRune(r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	return b.String()
}
