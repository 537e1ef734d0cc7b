package substitution

import (
	"strconv"
	"strings"
)

// A node is one piece of a parsed text. Its String is the canonical form of its source: what stays in the output where
// it cannot be evaluated, with the blanks and quotes that Octostache gives it.
type node interface{ String() string }

type (
	// plain is text between expressions.
	plain string
	// binding is #{expression}.
	binding struct{ expression }
	// conditional is #{if}; #{unless} is one with its branches changed over, #{elseif} one in the branch no.
	conditional struct {
		condition
		yes, no []node
	}
	// repetition is #{each item in over}.
	repetition struct {
		item string
		over path
		body []node
	}
	// calculation is #{calc sum}.
	calculation struct{ sum term }
)

// An expression is a path and the filters that its value goes through. A filter may have nothing to start with: #{ | NowDate}.
type expression struct {
	path    path
	filters []call
}

type call struct {
	name    string
	options []node
}

// A condition compares an expression with another, with a text, or with truth (op is empty).
type condition struct {
	left  expression
	op    string // "", "==" or "!="
	right expression
	text  string // in place of right where right is empty
	quote bool
}

// A path names a variable or a part of one: A.B[c].D.
type path []step

type step struct {
	name    string
	indexed bool
	inner   path // of [#{inner}]: the name is what inner says
}

// A term is a number, a variable or an operation of a calculation.
type term struct {
	op          byte // 'n' number, 'v' variable, or one of + - * /
	number      float64
	variable    path
	left, right *term
}

func (t plain) String() string   { return string(t) }
func (b binding) String() string { return "#{" + b.expression.String() + "}" }

func (c conditional) String() string {
	s := "#{if " + c.left.String()
	if c.op != "" {
		right := c.right.String()
		if c.quote {
			right = `"` + c.text + `"`
		}
		s += " " + c.op + " " + right + " "
	}
	s += "}" + join(c.yes)
	if len(c.no) > 0 {
		s += "#{else}" + join(c.no)
	}
	return s + "#{/if}"
}

func (r repetition) String() string {
	return "#{each " + r.item + " in " + r.over.String() + "}" + join(r.body) + "#{/each}"
}

func (c calculation) String() string { return "#{" + c.sum.String() + "}" }

func (e expression) String() string {
	s := e.path.String()
	for _, f := range e.filters {
		s += " | " + f.name
		for _, option := range f.options {
			if _, ok := option.(plain); ok {
				s += ` "` + option.String() + `"`
			} else {
				s += " " + option.String()
			}
		}
	}
	return s
}

func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.inner != nil:
			b.WriteString("[#{" + s.inner.String() + "}]")
		case s.indexed:
			b.WriteString("[" + s.name + "]")
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

func (t term) String() string {
	switch t.op {
	case 'n':
		return strconv.FormatFloat(t.number, 'f', -1, 64)
	case 'v':
		return t.variable.String()
	}
	return t.left.String() + string(t.op) + t.right.String()
}

func join(nodes []node) string {
	var b strings.Builder
	for _, n := range nodes {
		b.WriteString(n.String())
	}
	return b.String()
}
