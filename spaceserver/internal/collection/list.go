package collection

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// DefaultTake is how many items a page has where the client does not say, as on an Octopus server.
const DefaultTake = 30

// Page is one page of a list, in Octopus's shape (resourceCollection.ts in message-contracts).
type Page[T any] struct {
	ItemType string
	Items    []T
	Total    int
	Skip     int
	Take     int
	Path     string // of the list, for its links: /api/Spaces-1/environments
	Template string // the list's template of RFC 6570
	Query    string // what the client asked for beside skip and take, to be kept in the links
}

// MarshalJSON writes the page with its links.
func (p Page[T]) MarshalJSON() ([]byte, error) {
	items := p.Items
	if items == nil {
		items = []T{}
	}
	text, err := marshal(items)
	if err != nil {
		return nil, err
	}
	return p.append(nil, text)
}

// Append is MarshalJSON for documents, without reading their texts again.
func (p Page[T]) Append(b []byte) ([]byte, error) {
	documents, ok := any(p.Items).([]Document)
	if !ok {
		return p.MarshalJSON()
	}
	text, err := AppendAll(nil, documents)
	if err != nil {
		return nil, err
	}
	return p.append(b, text)
}

// AppendAll writes documents as an array.
func AppendAll(b []byte, documents []Document) ([]byte, error) {
	b = append(b, '[')
	for i, d := range documents {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = d.append(b); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// append writes the page around its items: All, Current, Last, and Next or Previous where there is one.
func (p Page[T]) append(b, items []byte) ([]byte, error) {
	pages, last := 1, 0
	if p.Take > 0 && p.Total > p.Take {
		pages = (p.Total + p.Take - 1) / p.Take
		last = (pages - 1) * p.Take
	}
	at := func(skip, take int) string {
		link := p.Path + "?skip=" + strconv.Itoa(skip) + "&take=" + strconv.Itoa(take)
		if p.Query != "" {
			link += "&" + p.Query
		}
		return link
	}
	links := octopus.Object{}
	links.Set("Self", at(p.Skip, p.Take))
	links.Set("Template", p.Template)
	links.Set("Page.All", at(0, 1<<31-1))
	links.Set("Page.Current", at(p.Skip, p.Take))
	if p.Skip > 0 {
		links.Set("Page.Previous", at(max(0, p.Skip-p.Take), p.Take))
	}
	if p.Total-p.Take > p.Skip {
		links.Set("Page.Next", at(p.Skip+p.Take, p.Take))
	}
	links.Set("Page.Last", at(last, p.Take))
	tail, err := links.MarshalJSON()
	if err != nil {
		return nil, err
	}
	b = append(b, `{"ItemType":`...)
	b = append(b, quote(p.ItemType)...)
	for _, field := range []struct {
		name  string
		value int
	}{{"TotalResults", p.Total}, {"ItemsPerPage", p.Take}, {"NumberOfPages", pages}, {"LastPageNumber", pages - 1}} {
		b = append(b, `,"`+field.name+`":`+strconv.Itoa(field.value)...)
	}
	b = append(append(b, `,"Items":`...), items...)
	b = append(append(b, `,"Links":`...), tail...)
	return append(b, '}'), nil
}

// Listing narrows a list beyond what the query says.
type Listing struct {
	Owner  string
	All    bool // everything, whatever the query's skip and take
	Filter func(o octopus.Object) bool
}

// List reads the page that the query asks for: skip, take, ids, partialName, name, and the kind's own filters.
func (s *Service) List(ctx context.Context, r Request, k *Kind, l Listing) (Page[Document], error) {
	page := Page[Document]{ItemType: k.Type, Skip: Number(r.Query, "skip", 0), Take: Number(r.Query, "take", DefaultTake)}
	spaces, err := s.scope(r, k)
	if err != nil {
		return page, err
	}
	if k.Scope == InSpace && !r.Principal.Set.Enters(r.Space) || !s.mayList(r, k, spaces) {
		return page, problem.Denied(string(k.Permission.View))
	}
	q := document.Query{Kind: k.Name, Spaces: spaces, Owner: l.Owner, Order: k.Order, IDs: Split(r.Query, "ids"),
		Partial: first(r.Query["partialName"]), Name: first(r.Query["name"])}
	if l.All {
		page.Skip, page.Take = 0, 1<<31-1
	}
	for parameter, member := range k.Filters {
		if values := Split(r.Query, parameter); member == k.State && len(values) > 0 {
			q.States = values
		}
	}
	keep := s.filter(r, k, l.Filter)
	if page.Take == 0 {
		page.Take = DefaultTake
	}
	var rows []document.Row
	if keep == nil {
		q.Skip, q.Take = page.Skip, page.Take
		if rows, page.Total, err = s.Store.List(ctx, s.Store.DB.Read(), q); err != nil {
			return page, err
		}
	} else {
		for row, err := range s.Store.Each(ctx, s.Store.DB.Read(), q) {
			if err != nil {
				return page, err
			}
			if !keep(row) {
				continue
			}
			if page.Total >= page.Skip && len(rows) < page.Take {
				rows = append(rows, row)
			}
			page.Total++
		}
	}
	page.Items = make([]Document, 0, len(rows))
	for _, row := range rows {
		d, err := s.present(ctx, r, k, row)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, d)
	}
	return page, nil
}

// mayList tells whether the principal may see any of the kind in any of the spaces.
func (s *Service) mayList(r Request, k *Kind, spaces []string) bool {
	if k.Scope != InBoth {
		return r.Principal.Set.Holds(k.Permission.View, spaces[0])
	}
	if spaces == nil {
		spaces = append(s.Directory().ids(), "")
	}
	return slices.ContainsFunc(spaces, func(space string) bool { return r.Principal.Set.Holds(k.Permission.View, space) })
}

// filter returns what must be asked of each row, nil where SQL has asked everything.
func (s *Service) filter(r Request, k *Kind, also func(octopus.Object) bool) func(document.Row) bool {
	type wanted struct {
		member string
		values []string
	}
	var filters []wanted
	for parameter, member := range k.Filters {
		if member == k.State || parameter == "name" && member == k.Title && r.Query.Get("name") != "" {
			continue // a column
		}
		if values := Split(r.Query, parameter); len(values) > 0 {
			filters = append(filters, wanted{member, values})
		}
	}
	restricted := k.Visible != nil && !r.Principal.Set.Administers() || k.Scope == InBoth && !r.Principal.Set.Administers() ||
		k.Scope == InSpace && !r.Principal.Set.Unrestricted(k.Permission.View, r.Space)
	if len(filters) == 0 && !restricted && also == nil {
		return nil
	}
	return func(row document.Row) bool {
		if restricted && !s.sees(r.Principal, k, row) {
			return false
		}
		if len(filters) == 0 && also == nil {
			return true
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil || also != nil && !also(o) {
			return false
		}
		for _, f := range filters {
			if !matches(o, f.member, f.values) {
				return false
			}
		}
		return true
	}
}

// matches tells whether a member, at a path through objects, is or contains one of the values, in any case.
func matches(o octopus.Object, path string, values []string) bool {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		if !deeper {
			break
		}
		o, path = o.Object(name), rest
	}
	raw, _ := o.Get(path)
	var one string
	var many []string
	if json.Unmarshal(raw, &one) == nil {
		many = []string{one}
	} else if json.Unmarshal(raw, &many) != nil {
		many = []string{string(raw)} // true, 12
	}
	return slices.ContainsFunc(many, func(have string) bool {
		return slices.ContainsFunc(values, func(want string) bool { return strings.EqualFold(have, want) })
	})
}
