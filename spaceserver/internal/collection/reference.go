package collection

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// referrer is a kind that refers to another.
type referrer struct {
	kind      *Kind
	reference Reference
}

// walkPath yields the texts at a path: see [Reference].
func walkPath(o octopus.Object, path string, yield func(id string)) {
	name, rest, _ := strings.Cut(path, ".")
	switch {
	case strings.HasSuffix(name, "{key}"):
		for key := range o.Object(strings.TrimSuffix(name, "{key}")).All() {
			yield(key)
		}
	case strings.HasSuffix(name, "{}[]"):
		for _, value := range o.Object(strings.TrimSuffix(name, "{}[]")).All() {
			var ids []string
			if json.Unmarshal(value, &ids) == nil {
				for _, id := range ids {
					yield(id)
				}
			}
		}
	case strings.HasSuffix(name, "[]") && rest == "":
		for _, id := range o.Texts(strings.TrimSuffix(name, "[]")) {
			yield(id)
		}
	case strings.HasSuffix(name, "[]"):
		for _, element := range o.Objects(strings.TrimSuffix(name, "[]")) {
			walkPath(element, rest, yield)
		}
	case rest == "":
		if id := o.Text(name); id != "" {
			yield(id)
		}
	default:
		walkPath(o.Object(name), rest, yield)
	}
}

// checkReferences refuses ids of documents that are not there, or in another space. Only what is new is looked up: an old
// document stays changeable when something it names has gone.
func (c *Change) checkReferences() error {
	var problems []string
	for _, r := range c.Kind.References {
		if r.Loose {
			continue
		}
		old := map[string]bool{}
		walkPath(c.Old, r.Path, func(id string) { old[id] = true })
		var ids []string
		walkPath(c.New, r.Path, func(id string) {
			if !old[id] && id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		})
		if len(ids) == 0 {
			continue
		}
		target := c.Service.byName[r.Kind]
		found, err := c.Service.Store.Existing(c.Context, c.Tx, r.Kind, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			space, ok := found[id]
			if !ok || space != "" && c.Space != "" && space != c.Space {
				problems = append(problems, fmt.Sprintf("%s: there is no %s '%s'.", strings.NewReplacer("[]", "", "{}", "", "{key}", "").Replace(r.Path), target.Noun(), id))
			}
		}
	}
	if len(problems) > 0 {
		return problem.Invalid(problems...)
	}
	return nil
}

// refuseWhileUsed refuses to delete what others refer to, naming them, as Octopus does. What goes along with the
// document may refer to it.
func (c *Change) refuseWhileUsed(row document.Row) error {
	var users []string
	for _, u := range c.Service.users[row.Kind] {
		if c.Kind.Owns(u) || u.reference.Dropped {
			continue
		}
		q := document.Query{Kind: u.kind.Name, Contains: `"` + row.ID + `"`}
		if row.Space != "" {
			q.Spaces = []string{row.Space}
		}
		for candidate, err := range c.Service.Store.Each(c.Context, c.Tx, q) {
			if err != nil {
				return err
			}
			if candidate.ID == row.ID || candidate.Owner == row.ID || candidate.Project == row.ID {
				continue
			}
			o, err := octopus.ParseObject(candidate.Body)
			if err != nil {
				return err
			}
			used := false
			walkPath(o, u.reference.Path, func(id string) { used = used || id == row.ID })
			if used {
				users = append(users, fmt.Sprintf("%s '%s'", u.kind.Noun(), titleOf(u.kind, o, candidate.ID)))
			}
			if len(users) == 20 {
				break
			}
		}
	}
	if len(users) == 0 {
		return nil
	}
	return problem.Invalid(fmt.Sprintf("This %s is in use and cannot be deleted. It is used by: %s.", c.Kind.Noun(), strings.Join(users, ", ")))
}

// dropReferences takes the id of a document that is deleted out of those that let it go.
func (c *Change) dropReferences(row document.Row) error {
	for _, u := range c.Service.users[row.Kind] {
		if !u.reference.Dropped {
			continue
		}
		rows, err := c.List(document.Query{Kind: u.kind.Name, Contains: `"` + row.ID + `"`})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := c.In(r.Space).Edit(u.kind.Name, r.ID, func(o *octopus.Object) error { dropPath(o, u.reference.Path, row.ID); return nil }); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropPath takes an id out of an array, of the arrays of a map, or of a map's keys.
func dropPath(o *octopus.Object, path, id string) {
	without := func(ids []string) []string {
		return slices.DeleteFunc(append([]string{}, ids...), func(s string) bool { return s == id })
	}
	switch {
	case strings.HasSuffix(path, "{key}"):
		name := strings.TrimSuffix(path, "{key}")
		m := o.Object(name)
		m.Delete(id)
		o.Set(name, m)
	case strings.HasSuffix(path, "{}[]"):
		name := strings.TrimSuffix(path, "{}[]")
		m := o.Object(name)
		for key := range m.Clone().All() {
			m.Set(key, without(m.Texts(key)))
		}
		o.Set(name, m)
	case strings.HasSuffix(path, "[]"):
		name := strings.TrimSuffix(path, "[]")
		o.Set(name, without(o.Texts(name)))
	}
}

// Owns tells whether the referring documents go when the referred one is deleted.
func (k *Kind) Owns(u referrer) bool {
	return u.reference.Path == u.kind.Owner && u.kind.Owner != ""
}

func titleOf(k *Kind, o octopus.Object, id string) string {
	if title := o.Text(k.Title); title != "" {
		return title
	}
	return id
}
