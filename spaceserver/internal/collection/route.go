package collection

import (
	"net/http"
	"net/url"
	"strings"
)

// Routes are all the routes of all kinds: the usual verbs and what each kind adds.
func (s *Service) Routes() []Action {
	var all []Action
	for _, k := range s.kinds {
		all = append(all, s.usual(k)...)
		all = append(all, k.Actions...)
	}
	return all
}

// usual are the routes that every kind has: list, all, get, create, change, delete; and the lists below its owners.
func (s *Service) usual(k *Kind) []Action {
	var all []Action
	add := func(method, path string, handle func(c *Call) (any, error)) {
		all = append(all, Action{Method: method, Path: path, Scope: k.Scope, Handle: handle})
	}
	if k.Route == "" {
		return nil
	}
	if k.Offers("list") {
		add(http.MethodGet, k.Route, func(c *Call) (any, error) { return s.list(c, k, Listing{}) })
	}
	if k.Offers("all") {
		add(http.MethodGet, k.Route+"/all", func(c *Call) (any, error) {
			page, err := s.List(c.Context, c.Request, k, Listing{All: true})
			return page.Items, err
		})
	}
	if k.Offers("get") {
		add(http.MethodGet, k.Route+"/{id}", func(c *Call) (any, error) { return s.Get(c.Context, c.Request, k, c.Param("id")) })
	}
	create := func(c *Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		if owner := c.Param("owner"); owner != "" && k.Owner != "" {
			body.Set(k.Owner, owner)
		}
		d, err := s.Create(c.Context, c.Request, k, body)
		return Made{d}, err
	}
	change := func(c *Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		return s.Update(c.Context, c.Request, k, c.Param("id"), body)
	}
	remove := func(c *Call) (any, error) { return nil, s.Delete(c.Context, c.Request, k, c.Param("id")) }
	if k.Offers("create") {
		add(http.MethodPost, k.Route, create)
	}
	if k.Offers("edit") {
		add(http.MethodPut, k.Route+"/{id}", change)
	}
	if k.Offers("delete") {
		add(http.MethodDelete, k.Route+"/{id}", remove)
	}
	for _, owner := range k.Under {
		name := k.UnderRoute
		if name == "" {
			name = k.Route
		}
		below := owner + "/{owner}/" + name
		add(http.MethodGet, below, s.owned(owner, k, func(c *Call, id string) (any, error) { return s.list(c, k, Listing{Owner: id}) }))
		add(http.MethodGet, below+"/all", s.owned(owner, k, func(c *Call, id string) (any, error) {
			page, err := s.List(c.Context, c.Request, k, Listing{Owner: id, All: true})
			return page.Items, err
		}))
		add(http.MethodGet, below+"/{id}", s.owned(owner, k, func(c *Call, id string) (any, error) {
			return s.GetOwned(c.Context, c.Request, k, id, c.Param("id"))
		}))
		if k.Offers("create") {
			add(http.MethodPost, below, create)
		}
		if k.Offers("edit") {
			add(http.MethodPut, below+"/{id}", change)
		}
		if k.Offers("delete") {
			add(http.MethodDelete, below+"/{id}", remove)
		}
	}
	return all
}

// owned finds the owner first: it may be named by slug, and must be one that the caller may see.
func (s *Service) owned(route string, k *Kind, handle func(c *Call, id string) (any, error)) func(c *Call) (any, error) {
	var owner *Kind
	for _, other := range s.kinds {
		if other.Route == route {
			owner = other
		}
	}
	return func(c *Call) (any, error) {
		d, err := s.Get(c.Context, c.Request, owner, c.Param("owner"))
		if err != nil {
			return nil, err
		}
		return handle(c, d.ID)
	}
}

func (s *Service) list(c *Call, k *Kind, l Listing) (any, error) {
	page, err := s.List(c.Context, c.Request, k, l)
	space := c.Space
	if k.Scope == InSystem || k.Scope == InBoth && !c.Named {
		space = ""
	}
	page.Path = Base(space) + "/" + k.Route
	page.Template = page.Path + "{/id}{?" + k.Query + "}"
	page.Query = rest(c.Query)
	return page, err
}

// rest is what is kept in a page's links: all of the query but the place in the list, and never a key.
func rest(q url.Values) string {
	kept := url.Values{}
	for name, values := range q {
		switch strings.ToLower(name) {
		case "skip", "take", "apikey":
		default:
			kept[name] = values
		}
	}
	return kept.Encode()
}
