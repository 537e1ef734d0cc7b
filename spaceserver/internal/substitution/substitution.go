// Package substitution expands Octopus's variable expressions in text: #{Name}, #{Name | Filter arg}, #{if}, #{unless},
// #{each}, #{calc} and indexers, as Octostache does (docs: projects/variables/variable-substitutions, variable-filters;
// where a page is silent, the Octostache library itself). It reads text that anyone may have written: an expansion ends
// in time and space that [Limits] bound, and never panics. Regular expressions are RE2's, which know no look-around and
// no back references; .NET's do. A filter with one of those is left as it is written, as every filter that fails.
package substitution

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// Source is what expressions look names up in. Names match in any case.
type Source interface {
	// Lookup returns the raw text of a variable: it may hold expressions itself.
	Lookup(name string) (text string, ok bool)
	// Names returns the names that begin with a prefix, in any case, in order: what #{each} and indexers walk.
	Names(prefix string) []string
}

// Limits bound what one expansion may cost.
type Limits struct {
	Output int       // bytes; 16 MiB if 0
	Depth  int       // of variables that name variables; 64 if 0
	Steps  int       // nodes evaluated, and kilobytes moved; 1,000,000 if 0
	Now    time.Time // what NowDate says, in the server's zone; the clock's time if zero
}

// Errors of an expansion; errors.Is finds them.
var (
	ErrSyntax = errors.New("the expression is not well formed")
	ErrLoop   = errors.New("a variable refers to itself")
	ErrLimit  = errors.New("the expansion is larger than it may be")
)

// Result is an expanded text. What could not be found in it stays as an expression, as on an Octopus server.
type Result struct {
	Text string
	// Missing are the expressions that stayed, each once, in the order of the text.
	Missing []string
	// Used names the variables whose text went into Text, in the order of names: a text that used a secret is one.
	// A condition that only looked at a variable, or an index, did not use it.
	Used []string
	// Null tells that the text as a whole means no value: it came upon the filter "null".
	Null bool
}

// Expand evaluates every expression in a text. Of a text that is not well formed nothing is expanded: it comes back as it
// is, with [ErrSyntax]. The text of a variable that is not well formed counts as text.
func Expand(text string, source Source, limits Limits) (Result, error) {
	return expand(text, source, limits, false)
}

// ExpandFile evaluates the expressions in a text that is somebody else's, such as a configuration file: what is not well
// formed is text, and the rest is expanded.
func ExpandFile(text string, source Source, limits Limits) (Result, error) {
	return expand(text, source, limits, true)
}

func expand(text string, source Source, limits Limits, lenient bool) (Result, error) {
	if !strings.Contains(text, "#{") {
		return Result{Text: text}, nil
	}
	nodes, ok := parse(text, lenient)
	if !ok {
		return Result{Text: text}, ErrSyntax
	}
	if limits.Output <= 0 {
		limits.Output = 16 << 20
	}
	if limits.Depth <= 0 {
		limits.Depth = 64
	}
	if limits.Steps <= 0 {
		limits.Steps = 1_000_000
	}
	if limits.Now.IsZero() {
		limits.Now = time.Now()
	}
	e := evaluator{source: source, limits: limits, used: map[string]bool{}}
	out := strings.Builder{}
	if err := e.write(&out, nodes); err != nil {
		return Result{Text: text}, err
	}
	return Result{Text: out.String(), Missing: e.missing, Used: slices.Sorted(maps.Keys(e.used)), Null: e.null}, nil
}

// Truthy tells whether a text counts as true in #{if} and in run conditions: not empty, not "False", "No" or "0", in any
// case and with blanks around it (docs: projects/variables/variable-substitutions#truthy-and-falsy-values).
func Truthy(text string) bool {
	if text == "" {
		return false
	}
	text = strings.TrimSpace(text)
	return text != "0" && !strings.EqualFold(text, "no") && !strings.EqualFold(text, "false")
}
