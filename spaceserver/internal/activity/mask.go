package activity

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// hidden stands for every secret.
const hidden = "********"

// shortest is how long a value must be to be hidden: shorter ones are in every word.
const shortest = 3

// masks finds secrets in lines, in the forms in which programs print them. Where one goes on over several lines the line
// ends do not count: tools wrap base64, and long lines come in pieces.
type masks struct {
	known   map[string]bool
	byStart map[string][]string // first bytes -> forms that begin so, longest first
	longest int
}

func newMasks() *masks { return &masks{known: map[string]bool{}, byStart: map[string][]string{}} }

func (m *masks) add(secrets ...string) {
	for _, s := range secrets {
		if len(s) < shortest {
			continue
		}
		for _, form := range forms(s) {
			m.addForm(form)
		}
		if !strings.ContainsAny(s, "\r\n") {
			continue
		}
		for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
			m.addForm(strings.TrimSpace(line))
		}
	}
}

func (m *masks) addForm(form string) {
	form = strings.NewReplacer("\r", "", "\n", "").Replace(form)
	if len(form) < shortest || m.known[form] {
		return
	}
	m.known[form] = true
	m.longest = max(m.longest, len(form))
	start := form[:shortest]
	m.byStart[start] = append(m.byStart[start], form)
	slices.SortFunc(m.byStart[start], func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// forms are a secret as it is, as JSON and URLs write it, and in base64: by itself, and inside of a longer text, where it
// begins at one of three places in a group of characters.
func forms(s string) []string {
	all := []string{s, url.QueryEscape(s), url.PathEscape(s)}
	if quoted, err := json.Marshal(s); err == nil {
		all = append(all, string(quoted[1:len(quoted)-1]))
	}
	var plain strings.Builder // without the escapes of HTML
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(s) == nil {
		text := strings.TrimSuffix(plain.String(), "\n")
		all = append(all, text[1:len(text)-1])
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, encoding.EncodeToString([]byte(s)))
		if len(s) < 6 { // what is left of shorter ones is in many words
			continue
		}
		for offset := range 3 {
			text := encoding.EncodeToString(append(make([]byte, offset), s...))
			all = append(all, text[(offset*8+5)/6:(offset+len(s))*8/6]) // whole characters of the secret only
		}
	}
	return all
}

// at is the length of the longest form that stands at the place in the text, 0 for none.
func (m *masks) at(text string, i int) int {
	if len(text)-i < shortest {
		return 0
	}
	for _, form := range m.byStart[text[i:i+shortest]] {
		if strings.HasPrefix(text[i:], form) {
			return len(form)
		}
	}
	return 0
}

// begins tells of which form the rest of the text is the beginning, and no more than that; "" for none.
func (m *masks) begins(rest string) string {
	if len(rest) >= shortest {
		for _, form := range m.byStart[rest[:shortest]] {
			if len(form) > len(rest) && strings.HasPrefix(form, rest) {
				return form
			}
		}
		return ""
	}
	for start, forms := range m.byStart {
		if strings.HasPrefix(start, rest) {
			return forms[0]
		}
	}
	return ""
}

// hide replaces secrets in a text that stands by itself.
func (m *masks) hide(text string) string {
	if len(m.known) == 0 {
		return text
	}
	// Line ends are taken out for the search, so spans are of the text without them.
	lines := strings.Split(text, "\n")
	held := make([]heldLine, len(lines))
	for i, line := range lines {
		held[i].text = line
	}
	seen := ""
	var out []string
	for _, h := range m.release(&seen, &held, true) {
		out = append(out, h.text)
	}
	return strings.Join(out, "\n")
}

type span struct{ from, to int }

// spans are where secrets stand in the text, in order, and where what may be the beginning of one stands at its end.
func (m *masks) spans(text string) (found []span, open int) {
	for i := 0; i < len(text); i++ {
		n := m.at(text, i)
		if n == 0 {
			continue
		}
		if last := len(found) - 1; last >= 0 && i <= found[last].to {
			found[last].to = max(found[last].to, i+n)
		} else {
			found = append(found, span{i, i + n})
		}
	}
	for open = max(0, len(text)-m.longest+1); open < len(text); open++ {
		if m.begins(text[open:]) != "" {
			break
		}
	}
	return found, open
}

// release takes off held the lines that are settled, with their secrets hidden; with all, every line, where the beginning of
// a secret at the end of the last is hidden too if it is most of the secret. seen is the end of what went before.
func (m *masks) release(seen *string, held *[]heldLine, all bool) []heldLine {
	if len(*held) == 0 {
		return nil
	}
	if len(m.known) == 0 {
		out := *held
		*held = nil
		return out
	}
	at := len(*seen)
	var b strings.Builder
	b.WriteString(*seen)
	for _, h := range *held {
		b.WriteString(h.text)
	}
	text := b.String()
	found, open := m.spans(text)
	done := settled(at, *held, found, open)
	if done > 0 {
		*seen = ""
	}
	if all {
		done, *seen = len(*held), strings.Clone(text[open:])
		if rest := len(text) - open; rest >= 4 && 2*rest >= len(m.begins(text[open:])) {
			found = append(found, span{open, len(text)})
		}
	}
	out := (*held)[:done:done]
	for i := range out {
		end := at + len(out[i].text)
		out[i].text = masked(text, at, end, found)
		at = end
	}
	*held = slices.Clone((*held)[done:])
	return out
}

// settled is how many of the lines, which begin at the place, can go: none of a secret that may go on, and of one over several
// lines all or none.
func settled(at int, held []heldLine, found []span, open int) int {
	n := 0
	for i, h := range held {
		if at += len(h.text); at > open {
			break
		}
		if !slices.ContainsFunc(found, func(s span) bool { return s.from < at && at < s.to }) {
			n = i + 1
		}
	}
	return n
}

// masked is the text from at to end with what lies in spans hidden.
func masked(text string, at, end int, spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		if s.to <= at || s.from >= end {
			continue
		}
		if s.from > at {
			b.WriteString(text[at:s.from])
		}
		b.WriteString(hidden)
		at = min(s.to, end)
	}
	b.WriteString(text[at:end])
	return b.String()
}
