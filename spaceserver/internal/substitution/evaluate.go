package substitution

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"odcm/spaceserver/internal/substitution/filter"
	"odcm/spaceserver/internal/substitution/relaxed"
)

// An evaluator expands one text. It is lexical: the text of a variable is expanded where the variable was found, and does
// not see the items of an #{each} that names it.
type evaluator struct {
	source Source
	limits Limits
	steps  int

	frame   *frame   // the innermost #{each}
	stack   []active // what is being expanded, outermost first
	walking []string // variables whose text is being read as JSON
	parsed  map[string][]node
	read    map[string]*relaxed.Value

	missing []string
	used    map[string]bool
	null    bool
}

// A frame is one turn of an #{each}.
type frame struct {
	parent *frame
	item   string
	value  place
	turn   map[string]string // Octopus.Template.Each.*, by lower-case name
}

// active is a text that is being expanded, with its name and frame.
type active struct {
	frame      *frame
	name, text string
}

// spend counts one step and the bytes that it moves. Bytes count too, so that time is bounded where little is written.
func (e *evaluator) spend(bytes int) error {
	if e.steps += 1 + bytes/1024; e.steps > e.limits.Steps {
		return ErrLimit
	}
	return nil
}

func (e *evaluator) print(out *strings.Builder, text string) error {
	if out.Len()+len(text) > e.limits.Output {
		return ErrLimit
	}
	out.WriteString(text)
	return e.spend(len(text))
}

func (e *evaluator) write(out *strings.Builder, nodes []node) error {
	for _, n := range nodes {
		if err := e.writeNode(out, n); err != nil {
			return err
		}
	}
	return nil
}

func (e *evaluator) writeNode(out *strings.Builder, n node) error {
	switch n := n.(type) {
	case plain:
		return e.print(out, string(n))
	case binding:
		text, ok, err := e.expression(n.expression)
		if err != nil {
			return err
		}
		if !ok {
			if last := len(n.filters) - 1; last >= 0 && strings.EqualFold(n.filters[last].name, "null") && len(e.stack) == 0 {
				e.null = true
			}
			return e.echo(out, n)
		}
		return e.print(out, text)
	case calculation:
		number, ok, err := e.calculate(n.sum)
		if err != nil {
			return err
		}
		if !ok {
			return e.echo(out, n)
		}
		return e.print(out, filter.FormatNumber(number))
	case conditional:
		holds, known, err := e.holds(n.condition)
		switch {
		case err != nil:
			return err
		case !known:
			return e.echo(out, n)
		case holds:
			return e.write(out, n.yes)
		}
		return e.write(out, n.no)
	case repetition:
		return e.repeat(out, n)
	}
	return nil
}

// echo leaves an expression as it is.
func (e *evaluator) echo(out *strings.Builder, n node) error {
	text := n.String()
	if err := e.spend(len(text) + 32*len(e.missing)); err != nil {
		return err
	}
	if !slices.Contains(e.missing, text) {
		e.missing = append(e.missing, text)
	}
	return e.print(out, text)
}

// holds evaluates a condition. A name that nothing bears is the empty text; a filter that fails makes it unknown.
func (e *evaluator) holds(c condition) (holds, known bool, err error) {
	used := e.used
	e.used = map[string]bool{}
	defer func() { e.used = used }()
	side := func(x expression) (string, bool, error) {
		text, ok, err := e.expression(x)
		return text, ok || len(x.filters) == 0, err
	}
	left, known, err := side(c.left)
	if err != nil || !known {
		return false, false, err
	}
	right := c.text
	switch {
	case c.op == "":
		return Truthy(left), true, nil
	case !c.quote:
		if right, known, err = side(c.right); err != nil || !known {
			return false, false, err
		}
	}
	return (left == right) == (c.op == "=="), true, nil
}

func (e *evaluator) repeat(out *strings.Builder, r repetition) error {
	items, err := e.items(r.over)
	if err != nil {
		return err
	}
	parent := e.frame
	defer func() { e.frame = parent }()
	for i, item := range items {
		if err := e.spend(0); err != nil {
			return err
		}
		e.frame = &frame{parent: parent, item: r.item, value: item, turn: map[string]string{
			"octopus.template.each.index": strconv.Itoa(i),
			"octopus.template.each.first": boolean(i == 0),
			"octopus.template.each.last":  boolean(i == len(items)-1),
		}}
		if err := e.write(out, r.body); err != nil {
			return err
		}
	}
	return nil
}

// expression evaluates a path and its filters; false where nothing is found or a filter cannot do what it is asked.
func (e *evaluator) expression(x expression) (text string, ok bool, err error) {
	if len(x.path) > 0 {
		if text, ok, err = e.value(x.path); err != nil {
			return "", false, err
		}
	}
	for _, f := range x.filters {
		c := filter.Call{Text: text, Given: ok, Room: e.limits.Output, Now: e.limits.Now, Spend: e.spend}
		for _, option := range f.options {
			var b strings.Builder
			if err := e.writeNode(&b, option); err != nil {
				return "", false, err
			}
			c.Options = append(c.Options, b.String())
		}
		if err := e.spend(len(text)); err != nil {
			return "", false, err
		}
		if text, ok, err = c.Apply(f.name); err != nil {
			return "", false, fmt.Errorf("%w: filter %s", ErrLimit, f.name)
		}
	}
	return text, ok, nil
}

// value finds what a path names, and expands it.
func (e *evaluator) value(p path) (string, bool, error) {
	found, frame, ok, err := e.find(p)
	if err != nil || !ok {
		return "", false, err
	}
	text, ok := found.text(e.source)
	if !ok {
		return "", false, nil
	}
	text, err = e.expand(found, text, frame, p.String())
	return text, err == nil, err
}

// expand evaluates the text of a place in the frame where the place was found.
func (e *evaluator) expand(at place, text string, in *frame, name string) (string, error) {
	if err := e.spend(len(text)); err != nil {
		return "", err
	}
	at.use(e.used)
	if !strings.Contains(text, "#{") {
		return text, nil
	}
	nodes, ok := e.parsed[text]
	if !ok {
		if nodes, ok = parse(text, false); !ok {
			nodes = []node{plain(text)}
		}
		if e.parsed == nil {
			e.parsed = map[string][]node{}
		}
		e.parsed[text] = nodes
	}
	now := active{in, strings.ToLower(name), text}
	if slices.Contains(e.stack, now) {
		return "", fmt.Errorf("%w: %s", ErrLoop, e.chain(name))
	}
	if len(e.stack) >= e.limits.Depth {
		return "", fmt.Errorf("%w: variables name each other more than %d deep", ErrLimit, e.limits.Depth)
	}
	e.stack = append(e.stack, now)
	outer := e.frame
	e.frame = in
	defer func() {
		e.stack, e.frame = e.stack[:len(e.stack)-1], outer
	}()
	var b strings.Builder
	err := e.write(&b, nodes)
	return b.String(), err
}

// chain shows how a variable came back to itself, by names alone: values may be secret.
func (e *evaluator) chain(name string) string {
	var b strings.Builder
	for _, a := range e.stack {
		b.WriteString(a.name + " -> ")
	}
	return b.String() + strings.ToLower(name)
}

func boolean(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
