package substitution

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// deepest is how far expressions and blocks may nest in one text. People nest three or four.
const deepest = 100

// A parser reads one text by recursive descent. Each method takes a position and returns what it read there and where it
// ended. The grammar falls back from a block to a plain binding of the same words (a variable may be called "if done"),
// so what a position holds is remembered: without that a row of unclosed blocks would take exponential time.
type parser struct {
	src   string
	seen  map[int]reading
	depth int
	deep  bool // something was nested too far: nothing counts any more
}

type reading struct {
	node node
	end  int
	ok   bool
}

// parse reads a whole text; lenient takes what is not well formed as text.
func parse(src string, lenient bool) ([]node, bool) {
	p := &parser{src: src, seen: map[int]reading{}}
	nodes, end := p.body(0)
	for end < len(src) {
		if !lenient || p.deep {
			return nil, false
		}
		// Only "#{" stops a body. The next try begins behind it, so that expressions in what follows are found.
		var more []node
		nodes = append(nodes, plain("#{"))
		more, end = p.body(end + 2)
		nodes = append(nodes, more...)
	}
	return nodes, !p.deep
}

// body reads nodes up to the end, to what is none, or to one of the words that stop it.
func (p *parser) body(pos int, stops ...string) (nodes []node, end int) {
	for pos < len(p.src) && !p.deep {
		for _, stop := range stops {
			if strings.HasPrefix(p.src[pos:], stop) {
				return nodes, pos
			}
		}
		n, next, ok := p.text(pos)
		if !ok {
			if n, next, ok = p.hash(pos); !ok {
				break
			}
		}
		nodes, pos = append(nodes, n), next
	}
	return nodes, pos
}

// text reads up to the next expression. One hash before a hash that begins an expression takes its meaning: ##{x} is the
// text #{x}, and ###{x} a hash and an expression.
func (p *parser) text(pos int) (node, int, bool) {
	var b strings.Builder
	start := pos
	for pos < len(p.src) {
		rest := p.src[pos:]
		switch i := strings.IndexByte(rest, '#'); {
		case i < 0:
			b.WriteString(rest)
			pos = len(p.src)
		case i > 0:
			b.WriteString(rest[:i])
			pos += i
		case strings.HasPrefix(rest, "###{"):
			b.WriteByte('#')
			pos += 2
		case strings.HasPrefix(rest, "##{"):
			b.WriteString("#{")
			pos += 3
		case strings.HasPrefix(rest, "#{"):
			return plain(b.String()), pos, pos > start
		case len(rest) == 1:
			b.WriteByte('#')
			pos++
		default:
			_, size := utf8.DecodeRuneInString(rest[1:])
			b.WriteString(rest[:1+size])
			pos += 1 + size
		}
	}
	return plain(b.String()), pos, pos > start
}

// hash reads what begins with "#{".
func (p *parser) hash(pos int) (node, int, bool) {
	if r, ok := p.seen[pos]; ok {
		return r.node, r.end, r.ok
	}
	if !strings.HasPrefix(p.src[pos:], "#{") || strings.HasPrefix(p.src[pos:], "#{/") || !p.enter() {
		return nil, pos, false
	}
	defer p.leave()
	r := p.block(pos)
	if !r.ok {
		if e, end, ok := p.expression(pos + 2); ok {
			if end, ok = p.word(p.blanks(end), "}"); ok {
				r = reading{binding{e}, end, true}
			}
		}
	}
	p.seen[pos] = r
	return r.node, r.end, r.ok
}

func (p *parser) enter() bool {
	p.depth++
	p.deep = p.deep || p.depth > deepest
	if p.deep {
		p.depth--
	}
	return !p.deep
}

func (p *parser) leave() { p.depth-- }

// block reads #{if}, #{unless}, #{calc} and #{each}.
func (p *parser) block(pos int) reading {
	start := p.blanks(pos + 2)
	for _, keyword := range []string{"if", "unless", "calc", "each"} {
		end := start + len(keyword)
		if end > len(p.src) || !strings.EqualFold(p.src[start:end], keyword) || p.blanks(end) == end {
			continue
		}
		var n node
		var ok bool
		switch end = p.blanks(end); keyword {
		case "calc":
			n, end, ok = p.calculation(end)
		case "each":
			n, end, ok = p.repetition(end)
		default:
			n, end, ok = p.conditional(end, keyword)
		}
		return reading{n, end, ok && !p.deep}
	}
	return reading{}
}

func (p *parser) conditional(pos int, keyword string) (node, int, bool) {
	var c conditional
	var ok bool
	if c.condition, pos, ok = p.condition(pos); !ok {
		return nil, pos, false
	}
	// An #{unless} has no #{elseif}: with its branches changed over, nobody could say what one means.
	stops := []string{"#{else}", "#{elseif ", "#{elseif\t", "#{elseif\r", "#{elseif\n"}
	if keyword == "unless" {
		stops = stops[:1]
	}
	c.yes, pos = p.body(pos, stops...)
	if next, ok := p.word(pos, "#{elseif"); ok && keyword == "if" {
		if !p.enter() {
			return nil, pos, false
		}
		defer p.leave()
		inner, end, ok := p.conditional(p.blanks(next), keyword)
		c.no = []node{inner}
		return c, end, ok
	}
	if next, ok := p.word(pos, "#{else}"); ok {
		c.no, pos = p.body(next)
	}
	pos, ok = p.word(pos, "#{/"+keyword+"}")
	if keyword == "unless" {
		c.yes, c.no = c.no, c.yes
	}
	return c, pos, ok
}

// condition reads what stands between the keyword and the brace, and the brace.
func (p *parser) condition(pos int) (c condition, end int, ok bool) {
	text, pos, quoted := p.quoted(pos)
	if !quoted {
		if c.left, pos, ok = p.expression(pos); !ok {
			return c, pos, false
		}
	}
	pos = p.blanks(pos)
	for _, op := range []string{"==", "!="} {
		if next, ok := p.word(pos, op); ok {
			c.op, pos = op, p.blanks(next)
		}
	}
	switch {
	case quoted && c.op == "":
		return c, pos, false
	case quoted:
		c.text, c.quote = text, true
		c.left, pos, ok = p.expression(pos)
	case c.op != "":
		if c.text, pos, ok = p.quoted(pos); ok {
			c.quote = true
		} else {
			c.right, pos, ok = p.expression(pos)
		}
	}
	if !ok {
		return c, pos, false
	}
	end, ok = p.word(p.blanks(pos), "}")
	return c, end, ok
}

func (p *parser) repetition(pos int) (node, int, bool) {
	var r repetition
	var ok bool
	if r.item, pos, ok = p.identifier(pos, true); !ok {
		return nil, pos, false
	}
	pos = p.blanks(pos)
	if pos+2 > len(p.src) || !strings.EqualFold(p.src[pos:pos+2], "in") {
		return nil, pos, false
	}
	if r.over, pos, ok = p.path(p.blanks(pos + 2)); !ok {
		return nil, pos, false
	}
	if pos, ok = p.word(p.blanks(pos), "}"); !ok {
		return nil, pos, false
	}
	r.body, pos = p.body(pos)
	pos, ok = p.word(pos, "#{/each}")
	return r, pos, ok
}

// expression reads a path with filters, or filters alone.
func (p *parser) expression(pos int) (e expression, end int, ok bool) {
	pos = p.blanks(pos)
	if e.path, end, ok = p.path(pos); !ok {
		end = pos
	}
	for {
		at, bar := p.word(p.blanks(end), "|")
		if !bar {
			return e, end, ok
		}
		var f call
		if f.name, at, bar = p.identifier(p.blanks(at), false); !bar {
			return e, end, ok
		}
		for {
			option, next, more := p.option(p.blanks(at))
			if !more {
				break
			}
			f.options, at = append(f.options, option), next
		}
		e.filters, end, ok = append(e.filters, f), at, true
	}
}

// option reads one argument of a filter: a word, a quoted text or an expression.
func (p *parser) option(pos int) (node, int, bool) {
	if strings.HasPrefix(p.src[pos:], "#{") {
		return p.hash(pos)
	}
	if word, end, ok := p.identifier(pos, false); ok {
		return plain(word), end, true
	}
	text, end, ok := p.quoted(pos)
	return plain(text), end, ok
}

// quoted reads "text", which may hold no quote and no hash, or \"text\", which may hold both.
func (p *parser) quoted(pos int) (string, int, bool) {
	start := p.blanks(pos)
	rest := p.src[start:]
	if strings.HasPrefix(rest, `\"`) {
		if i := strings.Index(rest[2:], `\"`); i >= 0 {
			return rest[2 : 2+i], start + i + 4, true
		}
	} else if strings.HasPrefix(rest, `"`) {
		if i := strings.IndexAny(rest[1:], `"#`); i >= 0 && rest[1+i] == '"' {
			return rest[1 : 1+i], start + i + 2, true
		}
	}
	return "", pos, false
}

// path reads a name with its dots and indexes.
func (p *parser) path(pos int) (steps path, end int, ok bool) {
	name, pos, ok := p.identifier(pos, true)
	if !ok {
		return nil, pos, false
	}
	steps = path{{name: name}}
	for pos < len(p.src) {
		var next step
		var at int
		switch p.src[pos] {
		case '.':
			next.name, at, ok = p.identifier(pos+1, true)
		case '[':
			next, at, ok = p.index(pos)
		default:
			return steps, pos, true
		}
		if !ok {
			return nil, pos, false
		}
		steps, pos = append(steps, next), at
	}
	return steps, pos, true
}

// index reads [name], [#{path}] or [].
func (p *parser) index(pos int) (step, int, bool) {
	if at := p.blanks(pos + 1); strings.HasPrefix(p.src[at:], "#{") {
		if n, end, ok := p.hash(at); ok {
			if b, ok := n.(binding); ok && len(b.filters) == 0 {
				if end, ok = p.word(p.blanks(end), "]"); ok {
					return step{indexed: true, inner: b.path}, end, true
				}
			}
		}
	}
	end, ok := p.brackets(pos)
	if !ok {
		return step{}, pos, false
	}
	return step{indexed: true, name: strings.TrimLeftFunc(p.src[pos+1:end-1], unicode.IsSpace)}, end, true
}

// brackets finds the end of a bracket and those within it.
func (p *parser) brackets(pos int) (end int, ok bool) {
	for depth := 0; pos < len(p.src); pos++ {
		switch p.src[pos] {
		case '[':
			if depth++; depth > deepest {
				return pos, false
			}
		case ']':
			if depth--; depth == 0 {
				return pos + 1, true
			}
		}
	}
	return pos, false
}

// identifier reads a name. With blanks allowed it ends before one that stands before "|", "}" or one of the keywords
// in, == and !=; blanks around it are no part of it.
func (p *parser) identifier(pos int, blanks bool) (string, int, bool) {
	start := pos
	for pos < len(p.src) {
		r, size := utf8.DecodeRuneInString(p.src[pos:])
		if unicode.IsSpace(r) {
			if !blanks || p.endsName(pos+size) {
				break
			}
		} else if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-:/~()@", r) {
			break
		}
		pos += size
	}
	return strings.TrimSpace(p.src[start:pos]), pos, pos > start
}

func (p *parser) endsName(pos int) bool {
	rest := p.src[pos:]
	if strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, "}") {
		return true
	}
	for _, keyword := range []string{"in", "==", "!="} {
		if after, ok := strings.CutPrefix(rest, keyword); ok {
			if r, _ := utf8.DecodeRuneInString(after); unicode.IsSpace(r) {
				return true
			}
		}
	}
	return false
}

func (p *parser) blanks(pos int) int {
	for pos < len(p.src) {
		r, size := utf8.DecodeRuneInString(p.src[pos:])
		if !unicode.IsSpace(r) {
			break
		}
		pos += size
	}
	return pos
}

func (p *parser) word(pos int, word string) (int, bool) {
	if strings.HasPrefix(p.src[pos:], word) {
		return pos + len(word), true
	}
	return pos, false
}
