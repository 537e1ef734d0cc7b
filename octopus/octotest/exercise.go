package octotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"odcm/octopus"
)

func (s *session) id(route string) string { return s.need(route).ID() }

// exercise takes a kind through its life: create, get, by name, list, page, ids, partialName, all, change, delete, gone.
func (s *session) exercise(k *Kind) {
	route := s.route(k)
	one := s.route(k, "x")
	step := func(verb string, f func()) bool { return s.do(k.Route+"/"+verb, f) }
	lists, creates := s.document.Has("GET", route), k.Body != nil
	if !creates {
		if lists {
			step("list", func() { s.list(k, octopus.Object{}) })
		}
		if s.document.HasAll(route) {
			step("all", func() { s.all(k, octopus.Object{}) })
		}
		return
	}
	var o octopus.Object
	var body fields
	if !step("create", func() { body = k.Body(s); o = s.create(k, body) }) {
		return
	}
	if k.Settled != nil && !step("settled", func() { o = k.Settled(s, o) }) {
		return
	}
	path := s.route(k, o.ID())
	if s.document.Has("GET", one) {
		step("get", func() { s.compare("GET "+path, s.get(path), o) })
		step("get/unknown", func() { s.unknown(k, "GET") })
	}
	if k.ByName {
		step("get/by-name", func() { s.byName(k, o) })
	}
	if lists {
		step("list", func() { s.list(k, o) })
		step("list/ids", func() { s.only(k, "?ids="+o.ID()+",None-1&take=2147483647", o) })
		if k.Named {
			step("list/partialName", func() { s.only(k, "?partialName="+strings.ReplaceAll(o.Name(), " ", "%20"), o) })
		}
	}
	if s.document.HasAll(route) {
		step("all", func() { s.all(k, o) })
	}
	if k.Named {
		step("create/no-name", func() { s.refused(k, without(body, "Name")) })
		step("create/same-name", func() { s.refused(k, body) })
	}
	if s.document.Has("PUT", one) {
		step("change", func() { s.change(k, path) })
		step("change/unknown", func() { s.unknown(k, "PUT") })
	}
	if k.Secret != "" {
		step("secret", func() { s.secretKept(k, path, o) })
	}
	if s.document.Has("DELETE", one) {
		step("delete", func() {
			s.remove(k, o)
			s.want(s.send(request{method: "GET", path: path}), 404)
		})
		step("delete/unknown", func() { s.unknown(k, "DELETE") })
	}
}

func (s *session) create(k *Kind, body fields) octopus.Object {
	a := s.want(s.send(request{method: "POST", path: s.route(k), body: body}), 201)
	o := s.object(a)
	if o.ID() == "" {
		s.fatalf("%s: no Id", a.what)
	}
	if o.Link("Self") == "" {
		s.problemf("%s: no link Self", a.what)
	}
	for name, sent := range body {
		if raw, ok := o.Get(name); name != k.Secret && name != "Password" && (!ok || !contains(raw, encode(sent))) {
			s.problemf("%s: %s is %.200s, sent was %.200s", a.what, name, raw, encode(sent))
		}
	}
	return o
}

// contains tells whether what the server has kept has all that was sent: it may add fields, and fill in what was empty.
func contains(kept, sent json.RawMessage) bool {
	var a, b any
	if json.Unmarshal(kept, &a) != nil || json.Unmarshal(sent, &b) != nil {
		return false
	}
	return covers(a, b)
}

func covers(kept, sent any) bool {
	switch want := sent.(type) {
	case map[string]any:
		have, ok := kept.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range want {
			if !covers(have[name], value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := kept.([]any)
		if !ok || len(want) > 0 && len(have) != len(want) {
			return false // what was sent empty, the server may fill
		}
		for i := range want {
			if !covers(have[i], want[i]) {
				return false
			}
		}
		return true
	case string:
		return kept == sent || want == "" && kept == nil
	case nil:
		return true
	}
	return kept == sent
}

// compare checks that two answers are of the same resource in the same state.
func (s *session) compare(what string, got, want octopus.Object) {
	for name, raw := range want.All() {
		if kept, ok := got.Get(name); !ok || !same(kept, raw) {
			s.problemf("%s: %s is %.200s, was %.200s", what, name, kept, raw)
		}
	}
}

func same(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// unknown asks for what is not there. Clients fall back from name to search on a 404 with ErrorMessage only.
func (s *session) unknown(k *Kind, method string) {
	r := request{method: method, path: s.route(k, "None-404404")}
	if method == "PUT" {
		r.body = fields{"Id": "None-404404", "Name": "none"}
	}
	s.want(s.send(r), 404)
}

func (s *session) byName(k *Kind, o octopus.Object) {
	a := s.send(request{method: "GET", path: s.route(k, o.Name())})
	switch a.status {
	case 404: // older servers; the shape is checked by send
	case 200:
		if found := s.object(a); found.ID() != o.ID() {
			s.problemf("%s: found %s, want %s", a.what, found.ID(), o.ID())
		}
	default:
		s.problemf("%s: status %d instead of 200 or 404", a.what, a.status)
	}
	if slug := o.Slug(); slug != "" {
		if found := s.get(s.route(k, slug)); found.ID() != o.ID() {
			s.problemf("GET by slug %s: found %s, want %s", slug, found.ID(), o.ID())
		}
	}
}

// list reads a whole list, page by page as clients without knowledge of its size do, and looks for the resource.
func (s *session) list(k *Kind, want octopus.Object) {
	seen := map[string]bool{}
	for path := s.route(k) + "?skip=0&take=50"; path != ""; {
		a := s.want(s.send(request{method: "GET", path: path}), 200)
		p := octopus.Page{Object: s.object(a)}
		if size := p.Int("ItemsPerPage"); size != 50 {
			s.problemf("%s: ItemsPerPage %d after take=50", a.what, size)
		}
		for _, item := range p.Items() {
			if seen[item.ID()] && item.ID() != "" {
				s.fatalf("%s: %s is on two pages", a.what, item.ID())
			}
			seen[item.ID()] = true
		}
		if len(seen) > 2000 {
			return // a server in use; what is looked for was asked for by ids too
		}
		path = p.Next()
	}
	if want.ID() != "" && !seen[want.ID()] {
		s.problemf("GET %s: %s is not in the list", s.route(k), want.ID())
	}
}

// only asks for a list that has just the one resource.
func (s *session) only(k *Kind, query string, want octopus.Object) {
	path := s.route(k) + query
	p := octopus.Page{Object: s.get(path)}
	if len(p.Items()) != 1 || p.Items()[0].ID() != want.ID() || p.Total() != 1 {
		ids := make([]string, 0, len(p.Items()))
		for _, item := range p.Items() {
			ids = append(ids, item.ID())
		}
		s.problemf("GET %s: %d items %.200v of %d, want only %s", path, len(ids), ids, p.Total(), want.ID())
	}
}

func (s *session) all(k *Kind, want octopus.Object) {
	a := s.want(s.send(request{method: "GET", path: s.route(k, "all")}), 200)
	var items []octopus.Object
	if err := json.Unmarshal(a.body, &items); err != nil {
		s.fatalf("%s: not an array of resources: %v", a.what, err)
	}
	if want.ID() != "" && !slices.ContainsFunc(items, func(o octopus.Object) bool { return o.ID() == want.ID() }) {
		s.problemf("%s: %s is not in it", a.what, want.ID())
	}
}

// refused sends a body that the server must refuse, saying what is wrong.
func (s *session) refused(k *Kind, body fields) {
	a := s.want(s.send(request{method: "POST", path: s.route(k), body: body}), 400, 409)
	if said, _ := octopus.ParseError(a.body); len(said.Errors) == 0 {
		s.problemf("%s: no Errors that say what is wrong", a.what)
	}
}

func without(body fields, name string) fields {
	out := fields{}
	for n, v := range body {
		if n != name {
			out[n] = v
		}
	}
	return out
}

// change gets, sets one field and puts the server's own JSON; nothing else may change but what counts changes.
func (s *session) change(k *Kind, path string) {
	before := s.get(path)
	changed := before.Clone()
	changed.Set(k.Change, k.To)
	after := s.put(path, changed)
	raw, _ := after.Get(k.Change)
	if !contains(raw, encode(k.To)) {
		s.problemf("PUT %s: %s is %.100s, want %s", path, k.Change, raw, encode(k.To))
	}
	for name, raw := range before.All() {
		if slices.Contains([]string{k.Change, "Version", "LastModifiedOn", "LastModifiedBy", "Links", "Slug"}, name) {
			continue
		}
		if kept, ok := after.Get(name); !ok || !same(kept, raw) {
			s.problemf("PUT %s: %s became %.200s, was %.200s", path, name, kept, raw)
		}
	}
	s.compare("GET "+path+" after PUT", s.get(path), after)
}

// secretKept puts back what was read: the secret must stay, and never be shown. That no answer shows it, send checks.
func (s *session) secretKept(k *Kind, path string, created octopus.Object) {
	is := func(o octopus.Object, what string) {
		v := octopus.As[map[string]any](o, k.Secret)
		if v["HasValue"] != true || v["NewValue"] != nil {
			raw, _ := o.Get(k.Secret)
			s.problemf("%s: %s is %s, want HasValue true and NewValue null", what, k.Secret, raw)
		}
	}
	is(created, "created")
	is(s.put(path, s.get(path)), "put back as it was read")
}

// secret makes a text that must not come back.
func (s *session) secret() string {
	s.names++
	secret := fmt.Sprintf("Secret-%s-%d-!Aa", s.run, s.names)
	s.secrets = append(s.secrets, secret)
	return secret
}
