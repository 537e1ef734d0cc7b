package substitution

import (
	"strconv"
	"strings"

	"odcm/spaceserver/internal/substitution/filter"
)

// calculation reads a sum and the brace (docs: projects/variables/variable-substitutions#calculations). A slash and a
// minus may be part of a name: a name on the left of one stands in braces, {a}-1.
func (p *parser) calculation(pos int) (node, int, bool) {
	sum, pos, ok := p.chain(pos, "+-", func(pos int) (term, int, bool) { return p.chain(pos, "*/", p.factor) })
	if !ok {
		return nil, pos, false
	}
	pos, ok = p.word(p.blanks(pos), "}")
	return calculation{sum}, pos, ok
}

// chain reads operands with operators of one rank between them. The first operand binds first.
func (p *parser) chain(pos int, operators string, operand func(int) (term, int, bool)) (term, int, bool) {
	left, pos, ok := operand(pos)
	for long := 0; ok; long++ {
		at := p.blanks(pos)
		if at == len(p.src) || strings.IndexByte(operators, p.src[at]) < 0 {
			break
		}
		right, end, more := operand(p.blanks(at + 1))
		if !more || long == deepest {
			break
		}
		first := left
		left, pos = term{op: p.src[at], left: &first, right: &right}, end
	}
	return left, pos, ok
}

func (p *parser) factor(pos int) (t term, end int, ok bool) {
	pos = p.blanks(pos)
	if end, ok = p.word(pos, "("); ok {
		if !p.enter() {
			return t, pos, false
		}
		defer p.leave()
		t, end, ok = p.chain(end, "+-", func(pos int) (term, int, bool) { return p.chain(pos, "*/", p.factor) })
		if ok {
			end, ok = p.word(p.blanks(end), ")")
		}
		return t, end, ok
	}
	if end = p.digits(pos); end > pos {
		if after := p.digits(end + 1); end < len(p.src) && p.src[end] == '.' && after > end+1 {
			end = after
		}
		n, err := strconv.ParseFloat(p.src[pos:end], 64)
		return term{op: 'n', number: n}, end, err == nil
	}
	at, wrapped := p.word(pos, "{")
	t.op = 'v'
	if t.variable, end, ok = p.path(p.blanks(at)); ok && wrapped {
		end, ok = p.word(p.blanks(end), "}")
	}
	return t, end, ok
}

func (p *parser) digits(pos int) int {
	for pos < len(p.src) && '0' <= p.src[pos] && p.src[pos] <= '9' {
		pos++
	}
	return pos
}

// calculate gives false where a variable is missing or no number.
func (e *evaluator) calculate(t term) (float64, bool, error) {
	switch t.op {
	case 'n':
		return t.number, true, nil
	case 'v':
		text, ok, err := e.value(t.variable)
		if !ok || err != nil {
			return 0, false, err
		}
		n, ok := filter.ParseNumber(text)
		return n, ok, nil
	}
	left, ok, err := e.calculate(*t.left)
	if !ok || err != nil {
		return 0, false, err
	}
	right, ok, err := e.calculate(*t.right)
	if !ok || err != nil {
		return 0, false, err
	}
	switch t.op {
	case '+':
		left += right
	case '-':
		left -= right
	case '*':
		left *= right
	default:
		left /= right
	}
	return left, true, nil
}
