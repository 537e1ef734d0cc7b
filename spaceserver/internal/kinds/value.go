package kinds

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// object makes a document of plain values; the kind's shape puts its members in order.
func object(members map[string]any) octopus.Object {
	var o octopus.Object
	for name, value := range members {
		o.Set(name, value)
	}
	return o
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// orInvalid is the error, or 400 with the sentence where there is none.
func orInvalid(err error, sentence string) error {
	if err != nil {
		return err
	}
	return problem.Invalid(sentence)
}

// reference is an Id with a Name: ReferenceDataItem in the Swagger document.
type reference struct {
	ID   string `json:"Id"`
	Name string
}

// page makes a page of values that are not documents, from all of them.
func page[T any](c *collection.Call, itemType, path string, all []T) collection.Page[T] {
	skip, take := collection.Number(c.Query, "skip", 0), collection.Number(c.Query, "take", collection.DefaultTake)
	if take == 0 {
		take = collection.DefaultTake
	}
	p := collection.Page[T]{ItemType: itemType, Total: len(all), Skip: skip, Take: take, Path: collection.Base(c.Space) + "/" + path}
	p.Template = p.Path + "{?skip,take}"
	if skip < len(all) {
		p.Items = all[skip:min(len(all), skip+min(take, len(all)))]
	}
	return p
}

// logo answers the picture of a thing without one: the server keeps no pictures.
func logo(c *collection.Call) (any, error) {
	return nil, problem.New(404, "There is no logo.")
}

func allowed(c *collection.Call, names ...string) bool {
	for _, name := range names {
		if c.Principal.Set.Holds(permissionName(name), c.Space) {
			return true
		}
	}
	return false
}

func rawJSON(text string) json.RawMessage { return json.RawMessage(text) }

func itoa(n int) string { return strconv.Itoa(n) }

func emptyList(list []octopus.Object) []octopus.Object {
	if list == nil {
		return []octopus.Object{}
	}
	return list
}

// related lists the documents of a kind whose member names the document of the route.
func related(c *collection.Call, of, kind, member string) (any, error) {
	d, err := c.Find(of, c.Param("id"))
	if err != nil {
		return nil, err
	}
	k := c.Service.Kind(kind)
	p, err := c.Service.List(c.Context, c.Request, k, collection.Listing{Filter: func(o octopus.Object) bool { return matchesID(o, member, d.ID) }})
	p.Path = collection.Base(c.Space) + "/" + c.Service.Kind(of).Route + "/" + d.ID + "/" + k.Route
	p.Template = p.Path + "{?skip,take}"
	return p, err
}

func matchesID(o octopus.Object, member, id string) bool {
	return o.Text(member) == id || contains(o.Texts(member), id)
}

func target(d collection.Document) permission.Target {
	return permission.Target{Space: d.Space, Project: d.Project}
}

// targetOf is what an event is about, from the ids that it names.
func targetOf(e document.Event) permission.Target {
	t := permission.Target{Space: e.Space}
	for _, id := range e.Related {
		switch kind, _, _ := strings.Cut(id, "-"); kind {
		case "Projects":
			t.Project = id
		case "ProjectGroups":
			t.ProjectGroup = id
		case "Environments":
			t.Environments = append(t.Environments, id)
		case "Tenants":
			t.Tenants = append(t.Tenants, id)
		}
	}
	return t
}
