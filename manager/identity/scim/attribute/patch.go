package attribute

import (
	"maps"
	"slices"
	"strings"
)

// Bounds of a PATCH.
const (
	maxOperations = 1000
	MaxElements   = 100_000 // of one multi-valued attribute
)

// Operation is one change of a PATCH (RFC 7644 section 3.5.2).
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// target is the path of an operation: an attribute, some of its elements, a sub-attribute of it or of those.
type target struct {
	path
	where Filter // nil: all elements
}

// parseTarget reads PATH of RFC 7644 section 3.5.2: attrPath, or valuePath with a sub-attribute behind it.
func parseTarget(text string) (t target, err error) {
	bad := invalid("invalidPath", "The path of an operation cannot be read.")
	p := parser{text: text}
	if len(text) > maxFilter {
		return t, bad
	}
	if t.path, err = p.path(); err != nil {
		return t, bad
	}
	if p.sign('[') {
		f, err := p.values(t.path, 0)
		if err != nil {
			return t, err
		}
		t.where = f.(some).f
		if t.sub != "" {
			return t, bad
		}
		if p.at < len(p.text) && p.text[p.at] == '.' {
			p.at++
			if t.sub = p.name(); t.sub == "" {
				return t, bad
			}
		}
	}
	if p.at < len(p.text) {
		return t, bad
	}
	return t, nil
}

// Apply makes the changes in the resource, in their order, or returns an error after which it must be thrown away.
func Apply(r Object, ops []Operation) error {
	if len(ops) == 0 {
		return invalid("invalidSyntax", "The request has no operations.")
	}
	if len(ops) > maxOperations {
		return invalid("tooMany", "The request has too many operations.")
	}
	for _, op := range ops {
		if err := op.apply(r); err != nil {
			return err
		}
	}
	return nil
}

func (op Operation) apply(r Object) error {
	kind := strings.ToLower(op.Op) // Entra ID capitalises it
	if kind != "add" && kind != "replace" && kind != "remove" {
		return invalid("invalidSyntax", "An operation must be add, replace or remove.")
	}
	if op.Path == "" {
		return op.whole(r, kind)
	}
	t, err := parseTarget(op.Path)
	if err != nil {
		return err
	}
	return t.change(r, kind, op.Value)
}

// whole changes the attributes that the value names. Okta sends the identifier along, which then is no change; Entra ID
// names sub-attributes by paths, "name.givenName".
func (op Operation) whole(r Object, kind string) error {
	value, ok := op.Value.(Object)
	if kind == "remove" {
		return invalid("noTarget", "To remove, name what by a path.")
	}
	if !ok {
		return invalid("invalidValue", "An operation without a path needs an object as its value.")
	}
	for _, name := range slices.Sorted(maps.Keys(value)) {
		if readOnly(name) {
			continue
		}
		if extension, ok := value[name].(Object); ok && strings.HasPrefix(strings.ToLower(name), "urn:") {
			for sub, v := range extension {
				if err := (target{path: path{schema: name, name: sub}}).change(r, kind, v); err != nil {
					return err
				}
			}
			continue
		}
		t, err := parseTarget(name)
		if err != nil {
			return err
		}
		if err := t.change(r, kind, value[name]); err != nil {
			return err
		}
	}
	return nil
}

// readOnly names what clients do not change (RFC 7643 sections 3.1 and 4.1.2).
func readOnly(name string) bool {
	switch strings.ToLower(name) {
	case "id", "meta", "schemas", "groups":
		return true
	}
	return false
}

func (t target) change(r Object, kind string, value any) error {
	if t.schema == "" && readOnly(t.name) {
		if strings.EqualFold(t.name, "schemas") {
			return nil
		}
		return invalid("mutability", "The attribute "+t.name+" cannot be changed.")
	}
	home := within(r, t.schema)
	if home == nil {
		if kind == "remove" {
			return nil
		}
		home = Object{}
		r[KeyOf(r, t.schema)] = home
	}
	key := KeyOf(home, t.name)
	switch {
	case t.where != nil:
		return t.elements(home, key, kind, value)
	case t.sub != "":
		return t.inside(home, key, kind, value)
	case kind == "remove":
		return removed(home, key, value)
	case value == nil:
		delete(home, key)
		return nil
	}
	return put(home, key, kind, value)
}

// put adds to, or replaces, the whole attribute.
func put(home Object, key, kind string, value any) error {
	old := home[key]
	if have, complex := old.(Object); complex {
		if more, ok := value.(Object); ok { // sub-attributes that are not named stay, for both operations (section 3.5.2.3)
			for name, v := range more {
				have[KeyOf(have, name)] = v
			}
			return nil
		}
	}
	have, multi := old.([]any)
	if !multi && !IsMulti(key) {
		home[key] = value
		return nil
	}
	fresh := List(value)
	if kind == "replace" {
		have = nil
	}
	all, err := join(have, fresh)
	home[key] = all
	return err
}

// IsMulti names the multi-valued attributes of RFC 7643 section 4.
func IsMulti(name string) bool {
	switch strings.ToLower(name) {
	case "members", "emails", "phonenumbers", "addresses", "ims", "photos", "entitlements", "roles", "x509certificates":
		return true
	}
	return false
}

// join adds elements that are not there yet: one of the same value and type is the same element. Where a new one is
// primary, no other stays so (section 3.5.2).
func join(have, fresh []any) ([]any, error) {
	all, at := slices.Clone(have), map[string]int{}
	for i, v := range all {
		at[nameOf(v)] = i
	}
	for _, v := range fresh {
		o, complex := v.(Object)
		if p, ok := Truth(Get(o, "primary")); complex && ok && p {
			for _, other := range all {
				if o, ok := other.(Object); ok && Get(o, "primary") != nil {
					o[KeyOf(o, "primary")] = false
				}
			}
		}
		if i, there := at[nameOf(v)]; there {
			all[i] = v
			continue
		}
		if len(all) >= MaxElements {
			return nil, invalid("tooMany", "An attribute has too many values.")
		}
		at[nameOf(v)] = len(all)
		all = append(all, v)
	}
	return all, nil
}

// nameOf tells elements of a multi-valued attribute apart.
func nameOf(v any) string {
	o, ok := v.(Object)
	if !ok {
		return Text(v)
	}
	if v := Get(o, "value"); v != nil {
		return Text(v) + "\x00" + Fold(Text(Get(o, "type")))
	}
	return "\x00" + Fold(Text(Get(o, "type"))) + "\x00" + Text(Get(o, "formatted"))
}

// removed removes the attribute, or of a multi-valued one the elements that are listed: so Entra ID takes members out.
func removed(home Object, key string, value any) error {
	all, multi := home[key].([]any)
	if gone := List(value); multi && len(gone) > 0 {
		names := map[string]bool{}
		for _, v := range gone {
			names[ValueOf(v)] = true
		}
		home[key] = slices.DeleteFunc(slices.Clone(all), func(v any) bool { return names[ValueOf(v)] })
		return nil
	}
	delete(home, key)
	return nil
}

// ValueOf is the value of an element of a multi-valued attribute.
func ValueOf(v any) string {
	if o, ok := v.(Object); ok {
		return Text(Get(o, "value"))
	}
	return Text(v)
}

// inside changes a sub-attribute: name.givenName. Of a multi-valued attribute it is that of each element.
func (t target) inside(home Object, key, kind string, value any) error {
	if all, multi := home[key].([]any); multi {
		for _, v := range all {
			if o, ok := v.(Object); ok {
				set(o, t.sub, kind, value)
			}
		}
		return nil
	}
	o, ok := home[key].(Object)
	if !ok {
		if kind == "remove" {
			return nil
		}
		o = Object{}
		home[key] = o
	}
	set(o, t.sub, kind, value)
	return nil
}

func set(o Object, name, kind string, value any) {
	key := KeyOf(o, name)
	if kind == "remove" || value == nil {
		delete(o, key)
		return
	}
	o[key] = value
}

// elements changes those that match.
func (t target) elements(home Object, key, kind string, value any) error {
	all := List(home[key])
	if len(all) == 0 && kind == "remove" {
		return nil
	}
	f := some{t.path, t.where}
	if kind == "remove" && t.sub == "" {
		home[key] = slices.DeleteFunc(slices.Clone(all), f.element)
		return nil
	}
	found := false
	for i, v := range all {
		if !f.element(v) {
			continue
		}
		found = true
		o, complex := v.(Object)
		more, isObject := value.(Object)
		switch {
		case complex && t.sub != "":
			set(o, t.sub, kind, value)
		case complex && isObject:
			for name, v := range more {
				o[KeyOf(o, name)] = v
			}
		case t.sub == "":
			all[i] = value
		}
	}
	if found || kind == "remove" {
		home[key] = all
		return nil
	}
	return t.made(home, key, all, value)
}

// made adds an element that is as the filter asks. The RFC has an error here, noTarget; Entra ID sets the first work address
// of a person so.
func (t target) made(home Object, key string, all []any, value any) error {
	c, ok := t.where.(compare)
	if !ok || c.op != "eq" || c.path.sub != "" {
		return invalid("noTarget", "No value of "+t.name+" is as the path asks.")
	}
	o := Object{}
	if more, ok := value.(Object); ok && t.sub == "" {
		maps.Copy(o, more)
	} else if t.sub == "" {
		return invalid("invalidValue", "The value of "+t.name+" must be an object.")
	}
	o[KeyOf(o, c.path.name)] = c.value
	if t.sub != "" {
		set(o, t.sub, "add", value)
	}
	joined, err := join(all, []any{o})
	home[key] = joined
	return err
}
