package variable

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"odcm/spaceserver/internal/substitution"
)

// Collection is a set of values at one place, with marks on what is secret. Names match in any case. Any number may
// read at a time, or one change; Clone is cheap enough for one per action and target. It remembers nothing of an expansion, so that a value may
// change after it was asked for.
type Collection struct {
	values map[string]*value // by lower-case name; a value that stands here does not change, so that clones share it
	added  int

	sorted atomic.Pointer[[]*value] // by key; nil since the last change. Readers that find none make it.
}

type value struct {
	key, name, text string
	sensitive       bool
	order           int // of the first Set: the order that #{each} goes in
}

func newCollection(size int) *Collection { return &Collection{values: make(map[string]*value, size)} }

// Set adds or replaces a value.
func (c *Collection) Set(name, text string, sensitive bool) {
	if c.values == nil {
		c.values = map[string]*value{}
	}
	v := &value{key: strings.ToLower(name), name: name, text: text, sensitive: sensitive, order: c.added}
	if before, ok := c.values[v.key]; ok {
		v.name, v.order = before.name, before.order
	} else {
		c.added++
	}
	c.values[v.key] = v
	c.sorted.Store(nil)
}

// Lookup returns the raw value ([substitution.Source]).
func (c *Collection) Lookup(name string) (string, bool) {
	v, ok := c.find(name)
	if !ok {
		return "", false
	}
	return v.text, true
}

func (c *Collection) find(name string) (*value, bool) {
	v, ok := c.values[strings.ToLower(name)]
	return v, ok
}

// index has the values by key.
func (c *Collection) index() []*value {
	if all := c.sorted.Load(); all != nil {
		return *all
	}
	all := slices.SortedFunc(maps.Values(c.values), func(a, b *value) int { return strings.Compare(a.key, b.key) })
	c.sorted.Store(&all)
	return all
}

// Names returns the names that begin with a prefix, in the order in which they were set ([substitution.Source]).
func (c *Collection) Names(prefix string) []string {
	all, prefix := c.index(), strings.ToLower(prefix)
	start := sort.Search(len(all), func(i int) bool { return all[i].key >= prefix })
	end := start
	for end < len(all) && strings.HasPrefix(all[end].key, prefix) {
		end++
	}
	found := slices.Clone(all[start:end])
	slices.SortFunc(found, func(a, b *value) int { return a.order - b.order })
	names := make([]string, len(found))
	for i, v := range found {
		names[i] = v.name
	}
	return names
}

// Get returns a value with its expressions expanded; "" and false where there is none. What cannot be found in it stays as
// an expression, and a value that is not well formed is text, as on an Octopus server: neither is an error.
func (c *Collection) Get(name string) (string, bool, error) {
	v, ok := c.find(name)
	if !ok {
		return "", false, nil
	}
	r, err := c.Expand(v.text)
	if err != nil || r.Null {
		return "", false, err
	}
	return r.Text, true, nil
}

// Expand evaluates the expressions in a text. A text that is not well formed stays as it is.
func (c *Collection) Expand(text string) (substitution.Result, error) {
	r, err := substitution.Expand(text, c, substitution.Limits{})
	if errors.Is(err, substitution.ErrSyntax) {
		err = nil
	}
	return r, err
}

// ExpandFile evaluates the expressions in a file; what is not well formed in it stays, and the rest is expanded.
func (c *Collection) ExpandFile(text string) (substitution.Result, error) {
	return substitution.ExpandFile(text, c, substitution.Limits{})
}

// Truthy expands a text and tells whether the result counts as true: the run condition of a step. Where something in it
// cannot be found it is false (docs: projects/steps/conditions#variable-expressions; Octostache EvaluateTruthy).
func (c *Collection) Truthy(text string) (bool, error) {
	r, err := substitution.Expand(text, c, substitution.Limits{})
	if errors.Is(err, substitution.ErrSyntax) {
		return false, nil
	}
	return err == nil && !r.Null && len(r.Missing) == 0 && substitution.Truthy(r.Text), err
}

// Sensitive tells whether a value is secret, or is made of one that is. A value that only depends on whether a secret
// is there, or what it equals, is not made of it.
func (c *Collection) Sensitive(name string) bool {
	v, ok := c.find(name)
	if !ok {
		return false
	}
	if v.sensitive || !strings.Contains(v.text, "#{") {
		return v.sensitive
	}
	r, err := c.Expand(v.text)
	return err == nil && c.Tainted(r)
}

// Tainted tells whether an expanded text is made of a secret.
func (c *Collection) Tainted(r substitution.Result) bool {
	return slices.ContainsFunc(r.Used, func(name string) bool {
		v, ok := c.find(name)
		return ok && v.sensitive
	})
}

// Secrets returns the secret values, for masking: as they are written and expanded, and what filters made of them. A
// value that holds a secret as it is, such as a connection string, is not masked as a whole; the secret in it is
// (docs: projects/variables/sensitive-variables#avoiding-common-mistakes). The longest come first.
func (c *Collection) Secrets() []string {
	seen := map[string]bool{"": true}
	var secrets []string
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			secrets = append(secrets, text)
		}
	}
	for _, v := range c.index() {
		if v.sensitive {
			add(v.text)
			if r, err := c.Expand(v.text); err == nil {
				add(r.Text)
			}
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	plain := len(secrets)
	for _, v := range c.index() {
		if v.sensitive || !strings.Contains(v.text, "#{") {
			continue
		}
		r, err := c.Expand(v.text)
		if err != nil || !c.Tainted(r) || slices.ContainsFunc(secrets[:plain], func(s string) bool { return strings.Contains(r.Text, s) }) {
			continue
		}
		add(r.Text)
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

// Clone copies the collection.
func (c *Collection) Clone() *Collection {
	clone := newCollection(len(c.values))
	clone.added = c.added
	maps.Copy(clone.values, c.values)
	clone.sorted.Store(c.sorted.Load()) // both replace it, and neither changes it
	return clone
}

// All walks names and expanded values in the order of names. A value that cannot be expanded comes as it is written.
func (c *Collection) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, v := range slices.Clone(c.index()) {
			r, err := c.Expand(v.text)
			if err == nil && r.Null {
				continue
			}
			if !yield(v.name, r.Text) {
				return
			}
		}
	}
}
