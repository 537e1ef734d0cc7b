package attribute

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The schemas of RFC 7643.
const (
	UserSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// Object is a resource, or a complex attribute of one, as JSON reads it. Names of attributes are the same in any case (RFC
// 7643 section 2.1).
type Object = map[string]any

// KeyOf is the name under which the object has the attribute, or would get it.
func KeyOf(o Object, name string) string {
	if _, ok := o[name]; ok {
		return name
	}
	for key := range o {
		if strings.EqualFold(key, name) {
			return key
		}
	}
	return name
}

// Get returns the value of the attribute; nil where there is none.
func Get(o Object, name string) any { return o[KeyOf(o, name)] }

// within is the object that holds the attributes of a schema: the resource itself, or an extension in it.
func within(r Object, schema string) Object {
	if schema == "" || strings.EqualFold(schema, UserSchema) || strings.EqualFold(schema, GroupSchema) {
		return r
	}
	o, _ := Get(r, schema).(Object)
	return o
}

// List takes a single value for a list of one.
func List(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// values are those of the attribute. Of a complex one without a sub-attribute it is "value" that is compared (RFC 7644
// section 3.4.2.2), as in: members eq "…".
func (p path) values(r Object) []any {
	var found []any
	for _, v := range List(Get(within(r, p.schema), p.name)) {
		o, complex := v.(Object)
		switch {
		case complex && p.sub != "":
			found = append(found, List(Get(o, p.sub))...)
		case complex:
			if v := Get(o, "value"); v != nil {
				found = append(found, v)
			}
		case p.sub == "" || strings.EqualFold(p.sub, "value"):
			found = append(found, v)
		}
	}
	return found
}

func (f both) Match(r Object) bool   { return f.a.Match(r) && f.b.Match(r) }
func (f either) Match(r Object) bool { return f.a.Match(r) || f.b.Match(r) }
func (f not) Match(r Object) bool    { return !f.f.Match(r) }

func (f present) Match(r Object) bool {
	for _, v := range List(Get(within(r, f.path.schema), f.path.name)) {
		o, complex := v.(Object)
		if complex && f.path.sub != "" {
			v = Get(o, f.path.sub)
		}
		if v != nil && v != "" && (!complex || len(o) > 0) {
			return true
		}
	}
	return false
}

func (f some) Match(r Object) bool {
	for _, v := range List(Get(within(r, f.path.schema), f.path.name)) {
		if f.element(v) {
			return true
		}
	}
	return false
}

// element tells whether one element of the attribute matches. A simple value goes by the name "value".
func (f some) element(v any) bool {
	o, complex := v.(Object)
	if !complex {
		o = Object{"value": v}
	}
	return f.f.Match(o)
}

func (f compare) Match(r Object) bool {
	if f.op == "ne" {
		f.op = "eq"
		return !f.Match(r)
	}
	values := f.path.values(r)
	if f.value == nil {
		return len(values) == 0
	}
	for _, v := range values {
		if f.holds(v) {
			return true
		}
	}
	return false
}

// exact tells whether case matters: in identifiers it does (RFC 7643 sections 3.1 and 4), in names it does not.
func (p path) exact() bool {
	name := strings.ToLower(p.name)
	return name == "id" || name == "externalid" || name == "members" || name == "$ref"
}

func (f compare) holds(v any) bool {
	switch want := f.value.(type) {
	case bool:
		have, ok := Truth(v)
		return ok && have == want
	case json.Number:
		x, err1 := want.Float64()
		y, ok := number(v)
		return err1 == nil && ok && ordered(f.op, compareOf(y, x))
	case string:
		have, ok := v.(string)
		if !ok {
			b, isBool := v.(bool) // active eq "True"
			wanted, isTruth := Truth(want)
			return f.op == "eq" && isBool && isTruth && b == wanted
		}
		return texts(f.op, have, want, f.exact)
	}
	return false
}

// Truth reads a boolean, also as the text that Entra ID sends.
func Truth(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	}
	return 0, false
}

func compareOf[T float64 | string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func texts(op, have, want string, exact bool) bool {
	a, errA := time.Parse(time.RFC3339, have)
	b, errB := time.Parse(time.RFC3339, want)
	if errA == nil && errB == nil && op != "co" && op != "sw" && op != "ew" {
		return ordered(op, a.Compare(b))
	}
	if !exact {
		have, want = Fold(have), Fold(want)
	}
	switch op {
	case "co":
		return strings.Contains(have, want)
	case "sw":
		return strings.HasPrefix(have, want)
	case "ew":
		return strings.HasSuffix(have, want)
	}
	return ordered(op, compareOf(have, want))
}

func ordered(op string, c int) bool {
	switch op {
	case "eq":
		return c == 0
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	case "le":
		return c <= 0
	}
	return false
}

// Narrow finds an equality that must hold for the filter to match, of an attribute that is looked up quickly.
func Narrow(f Filter) (name, value string) {
	switch f := f.(type) {
	case both:
		if name, value = Narrow(f.a); name == "" {
			name, value = Narrow(f.b)
		}
	case compare:
		text, ok := f.value.(string)
		if key := strings.ToLower(f.path.name); ok && f.op == "eq" && f.path.sub == "" && (f.path.schema == "" || !strings.EqualFold(f.path.schema, EnterpriseSchema)) {
			switch key {
			case "id", "externalid", "username", "displayname":
				return key, text
			}
		}
	}
	return name, value
}

// Mentions tells whether the filter asks about the attribute.
func Mentions(f Filter, name string) bool {
	switch f := f.(type) {
	case both:
		return Mentions(f.a, name) || Mentions(f.b, name)
	case either:
		return Mentions(f.a, name) || Mentions(f.b, name)
	case not:
		return Mentions(f.f, name)
	case some:
		return strings.EqualFold(f.path.name, name)
	case compare:
		return strings.EqualFold(f.path.name, name)
	case present:
		return strings.EqualFold(f.path.name, name)
	}
	return false
}

// Fold is the form in which two names are the same (Unicode, section 3.13).
func Fold(s string) string { return cases.Fold().String(norm.NFKC.String(s)) }

// Text is the value where it is a text, else "".
func Text(v any) string {
	s, _ := v.(string)
	return s
}
