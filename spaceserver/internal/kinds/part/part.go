// Package part holds the small parts that kinds of every area are made of: plain values as documents, pages and lists of
// them, answers that many routes give, an order that people choose.
package part

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Object makes a document of plain values; the kind's shape puts its members in order.
func Object(members map[string]any) octopus.Object {
	var o octopus.Object
	for name, value := range members {
		o.Set(name, value)
	}
	return o
}

// OrInvalid is the error, or 400 with the sentence where there is none.
func OrInvalid(err error, sentence string) error {
	if err != nil {
		return err
	}
	return problem.Invalid(sentence)
}

// Reference is an Id with a Name: ReferenceDataItem in the Swagger document.
type Reference struct {
	ID   string `json:"Id"`
	Name string
}

// Refer names a document by its Id and Name.
func Refer(id, name string) Reference { return Reference{ID: id, Name: name} }

// Page makes a page of values that are not documents, from all of them.
func Page[T any](c *collection.Call, itemType, path string, all []T) collection.Page[T] {
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

// Logo answers the picture of a thing without one: the server keeps no pictures.
func Logo(c *collection.Call) (any, error) {
	return nil, problem.New(404, "There is no logo.")
}

// Allowed tells whether the caller holds one of the permissions in the space of the request.
func Allowed(c *collection.Call, names ...string) bool {
	for _, name := range names {
		if c.Principal.Set.Holds(permission.Name(name), c.Space) {
			return true
		}
	}
	return false
}

// Some is the list, and an empty one where there is none: clients expect [] and never null.
func Some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Owned lists the documents of a kind that go with the document of the route.
func Owned(c *collection.Call, of, kind string) (any, error) {
	d, err := c.Find(of, c.Param("id"))
	if err != nil {
		return nil, err
	}
	k := c.Service.Kind(kind)
	p, err := c.Service.List(c.Context, c.Request, k, collection.Listing{Owner: d.ID})
	p.Path = collection.Base(c.Space) + "/" + c.Service.Kind(of).Route + "/" + d.ID + "/" + k.Route
	p.Template = p.Path + "{?skip,take}"
	return p, err
}

// Related lists the documents of a kind whose member names the document of the route.
func Related(c *collection.Call, of, kind, member string) (any, error) {
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
	return o.Text(member) == id || slices.Contains(o.Texts(member), id)
}

// Target is what a document belongs to, for permissions that are restricted.
func Target(d collection.Document) permission.Target {
	return permission.Target{Space: d.Space, Project: d.Project}
}

// Needs refuses who does not hold the permission in the space of the request, nor on the whole server.
func Needs(c *collection.Call, name permission.Name) error {
	if c.Principal.Set.Holds(name, "") || c.Space != "" && c.Principal.Set.Holds(name, c.Space) {
		return nil
	}
	return problem.Denied(string(name))
}

// OrNull is the text, and null where it is empty.
func OrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Seen lists the documents of a kind that the caller may see, none where it may see none.
func Seen(c *collection.Call, kind string) ([]collection.Document, error) {
	k := c.Service.Kind(kind)
	if !Allowed(c, string(k.Permission.View)) {
		return nil, nil
	}
	r := c.Request
	r.Query = nil
	page, err := c.Service.List(c.Context, r, k, collection.Listing{All: true})
	return page.Items, err
}

// TimeOrNull is the time, and null where it is zero.
func TimeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// Number is the number at the end of an id: 12 of Deployments-12.
func Number(id string) int64 {
	n, _ := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	return n
}

// True tells whether a parameter of the query is true, its name in any case.
func True(q url.Values, name string) bool {
	return strings.EqualFold(strings.Join(collection.Split(q, name), ""), "true")
}
