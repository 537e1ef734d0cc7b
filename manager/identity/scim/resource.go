package scim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"odcm"
	"odcm/manager/identity/scim/attribute"
)

// Kind is a sort of resource.
type Kind string

// The sorts of resources.
const (
	User  Kind = "User"
	Group Kind = "Group"
)

func (k Kind) schema() string {
	if k == User {
		return attribute.UserSchema
	}
	return attribute.GroupSchema
}

// Resource is a person or a group as a directory pushed it.
type Resource struct {
	Kind     Kind
	Provider odcm.ProviderID
	ID       string
	External string      // externalId, as the client knows it; may be empty
	Name     string      // userName or displayName
	Subject  string      // of a person's linked identity, of an external group; stays as it was at first
	Person   odcm.UserID // of a person
	Document []byte      // JSON without id, meta and members
	Revision int64
	Created  time.Time
	Modified time.Time
}

// Bounds of a resource.
const (
	maxDocument = 64 << 10 // bytes without members
	maxNesting  = 8
	maxValue    = 1000 // bytes of a name or an identifier
)

// read decodes a body.
func read(body io.Reader, into any) error {
	dec := json.NewDecoder(body)
	var large *http.MaxBytesError
	if err := dec.Decode(into); errors.As(err, &large) {
		return err
	} else if err != nil {
		return invalid("invalidSyntax", "The body is not JSON as it should be.")
	}
	if dec.More() {
		return invalid("invalidSyntax", "Something stands after the end of the body.")
	}
	return nil
}

// tidy checks a resource and brings it into the form in which it is kept. What only the server says is taken out, and
// passwords, which are neither used nor kept.
func tidy(k Kind, r attribute.Object) error {
	if deep(r, 0) {
		return invalid("invalidValue", "The resource is nested too deep.")
	}
	for _, name := range []string{"id", "meta", "groups", "password"} {
		delete(r, attribute.KeyOf(r, name))
	}
	name, what := attribute.Get(r, "userName"), "userName"
	if k == Group {
		name, what = attribute.Get(r, "displayName"), "displayName"
	}
	for _, v := range []struct {
		name  string
		value any
		must  bool
	}{{what, name, true}, {"externalId", attribute.Get(r, "externalId"), false}} {
		s, isText := v.value.(string)
		if v.must && strings.TrimSpace(s) == "" || v.value != nil && !isText || len(s) > maxValue || strings.ContainsRune(s, 0) {
			return invalid("invalidValue", "The attribute "+v.name+" is missing, not a text, or too long.")
		}
	}
	if k == User {
		active, ok := attribute.Truth(attribute.Get(r, "active"))
		if !ok && attribute.Get(r, "active") != nil {
			return invalid("invalidValue", "The attribute active must be true or false.")
		}
		r[attribute.KeyOf(r, "active")] = active || !ok
	}
	for key, v := range r {
		if v == nil {
			delete(r, key)
		} else if attribute.IsMulti(key) {
			if err := elements(key, attribute.List(v), r); err != nil {
				return err
			}
		}
	}
	r["schemas"] = schemas(k, r)
	return nil
}

// elements brings those of a multi-valued attribute into one form.
func elements(key string, all []any, r attribute.Object) error {
	out := make([]any, 0, len(all))
	for _, v := range all {
		switch v := v.(type) {
		case string:
			out = append(out, attribute.Object{"value": v})
		case attribute.Object:
			if p, ok := attribute.Truth(attribute.Get(v, "primary")); ok {
				v[attribute.KeyOf(v, "primary")] = p
			}
			out = append(out, v)
		default:
			return invalid("invalidValue", "A value of "+key+" is not as it should be.")
		}
	}
	r[key] = out
	return nil
}

// schemas lists those that the resource uses.
func schemas(k Kind, r attribute.Object) []any {
	all := []any{k.schema()}
	for key := range r {
		if strings.EqualFold(key, attribute.EnterpriseSchema) {
			all = append(all, attribute.EnterpriseSchema)
		}
	}
	return all
}

func deep(v any, depth int) bool {
	if depth > maxNesting {
		return true
	}
	switch v := v.(type) {
	case attribute.Object:
		for _, x := range v {
			if deep(x, depth+1) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if deep(x, depth+1) {
				return true
			}
		}
	}
	return false
}

// Person is what a directory says about one of its people.
type Person struct {
	Subject       string
	Username      string
	DisplayName   string
	Email         string // the primary one, else that for work, else the first; may be empty
	EmailVerified bool   // the directory's word is enough
	Active        bool
}

// personOf reads a tidy resource.
func personOf(r attribute.Object) Person {
	p := Person{Username: attribute.Text(attribute.Get(r, "userName"))}
	p.Active, _ = attribute.Truth(attribute.Get(r, "active"))
	name, _ := attribute.Get(r, "name").(attribute.Object)
	both := strings.TrimSpace(attribute.Text(attribute.Get(name, "givenName")) + " " + attribute.Text(attribute.Get(name, "familyName")))
	for _, s := range []string{attribute.Text(attribute.Get(r, "displayName")), attribute.Text(attribute.Get(name, "formatted")), both, p.Username} {
		if p.DisplayName = strings.TrimSpace(s); p.DisplayName != "" {
			break
		}
	}
	best := 0
	for _, v := range attribute.List(attribute.Get(r, "emails")) {
		o, _ := v.(attribute.Object)
		rank := 1
		if primary, _ := attribute.Truth(attribute.Get(o, "primary")); primary {
			rank = 3
		} else if strings.EqualFold(attribute.Text(attribute.Get(o, "type")), "work") {
			rank = 2
		}
		if address := attribute.Text(attribute.Get(o, "value")); address != "" && rank > best {
			p.Email, best = address, rank
		}
	}
	return p
}
