package rest

import (
	"fmt"
	"strings"

	"odcm/spaceserver/internal/collection"
)

// tree finds the route of a path. Literal segments are matched in any case, because Octopus does so and its clients send
// runbookProcesses as well as runbookprocesses; a literal wins over a parameter. net/http's mux cannot ignore case.
type tree struct {
	literal map[string]*tree
	param   *tree
	routes  map[string]*route // by method
}

type route struct {
	action collection.Action
	names  []string // of the parameters, in the order of the path
}

func (t *tree) add(a collection.Action) error {
	r := &route{action: a}
	at := t
	for segment := range strings.SplitSeq(a.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			r.names = append(r.names, strings.TrimSuffix(name, "}"))
			if at.param == nil {
				at.param = &tree{}
			}
			at = at.param
			continue
		}
		if at.literal == nil {
			at.literal = map[string]*tree{}
		}
		segment = strings.ToLower(segment)
		if at.literal[segment] == nil {
			at.literal[segment] = &tree{}
		}
		at = at.literal[segment]
	}
	if at.routes == nil {
		at.routes = map[string]*route{}
	}
	if at.routes[a.Method] != nil {
		return fmt.Errorf("route %s %s is there twice", a.Method, a.Path)
	}
	at.routes[a.Method] = r
	return nil
}

// find returns the route, the values of its parameters, and whether there is one for another method.
func (t *tree) find(method string, segments []string) (r *route, values []string, other bool) {
	if len(segments) == 0 {
		return t.routes[method], nil, len(t.routes) > 0
	}
	if next := t.literal[strings.ToLower(segments[0])]; next != nil {
		r, values, other = next.find(method, segments[1:])
		if r != nil {
			return r, values, other
		}
	}
	if t.param != nil {
		r, values, also := t.param.find(method, segments[1:])
		if r != nil {
			return r, append([]string{segments[0]}, values...), other || also
		}
		other = other || also
	}
	return nil, nil, other
}
