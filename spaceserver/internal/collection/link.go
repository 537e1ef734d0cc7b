package collection

import (
	"encoding/json"
	"slices"
	"strings"

	"odcm/spaceserver/internal/document"
)

// linkSet is a kind's links, split once at the places where a document's own values go.
type linkSet struct {
	parts []string // texts and, at odd places, what to fill in
	tail  string
}

// Base is where a space's routes start: /api/Spaces-1, or /api for the whole server.
func Base(space string) string {
	if space == "" {
		return "/api"
	}
	return "/api/" + space
}

func compileLinks(k *Kind) linkSet {
	links := map[string]string{"Self": k.Route + "/{Id}"}
	for name, link := range k.Links {
		links[name] = link
	}
	names := make([]string, 0, len(links))
	for name := range links {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // Self first, as everywhere in Octopus
		if (a == "Self") != (b == "Self") {
			if a == "Self" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	b.WriteString(`"Links":{`)
	for i, name := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		link := links[name]
		if !strings.HasPrefix(link, "/") {
			link = "{Base}/" + link
		}
		text, _ := json.Marshal(name + "\x00" + link)
		b.WriteString(strings.Replace(string(text), `\u0000`, `":"`, 1))
	}
	b.WriteByte('}')
	var set linkSet
	rest := b.String()
	for {
		at, which := -1, ""
		for _, hole := range []string{"{Base}", "{Id}", "{Owner}", "{Project}", "{Slug}", "{Space}"} {
			if i := strings.Index(rest, hole); i >= 0 && (at < 0 || i < at) {
				at, which = i, hole
			}
		}
		if at < 0 {
			set.tail = rest
			return set
		}
		set.parts = append(set.parts, rest[:at], which)
		rest = rest[at+len(which):]
	}
}

func (l linkSet) write(b []byte, r document.Row) []byte {
	for i := 0; i < len(l.parts); i += 2 {
		b = append(b, l.parts[i]...)
		switch l.parts[i+1] {
		case "{Base}":
			b = append(b, Base(r.Space)...)
		case "{Id}":
			b = appendEscaped(b, r.ID)
		case "{Owner}":
			b = appendEscaped(b, r.Owner)
		case "{Project}":
			b = appendEscaped(b, r.Project)
		case "{Slug}":
			b = appendEscaped(b, r.Slug)
		case "{Space}":
			b = appendEscaped(b, r.Space)
		}
	}
	return append(b, l.tail...)
}

// appendEscaped keeps an id from ending the JSON text: ids of packages hold what people typed.
func appendEscaped(b []byte, s string) []byte {
	quoted := quote(s)
	return append(b, quoted[1:len(quoted)-1]...)
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // text always marshals
	return b
}
