// Package accesshttp is how people and programs reach package access: REST operations, the access page of a Space, the
// overview of grants, the explanation, and the review in which one sees who gains and loses before anything is saved.
package accesshttp

import (
	"context"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// Options are what the pages and operations stand on. The first four are required.
type Options struct {
	Site    *web.Site
	Access  *access.Service
	Grants  *admit.Service
	Explain *explain.Service
	// Pushed draws, on a Space's access page, what differs on its server from what it should have; nothing if nil.
	Pushed PushedFunc
	// Tabs are those of a Space's pages besides [Tab]; "Overview" alone if nil.
	Tabs func(ref string) []design.Tab
}

// PushedFunc draws how it stands with what is pushed to a Space.
type PushedFunc func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error)

// Tab leads to the access page of a Space, for the pages of the Space itself.
func Tab(ref string) design.Tab {
	return design.Tab{Label: "Access", Href: "/spaces/" + ref + "/access"}
}

type handler struct{ Options }

// Register adds the room's pages, operations and fragments to the site.
func Register(o Options) {
	if o.Tabs == nil {
		o.Tabs = func(ref string) []design.Tab { return []design.Tab{{Label: "Overview", Href: "/spaces/" + ref}} }
	}
	h := &handler{o}
	h.rest()
	h.pages()
}

// reads tells whether the principal may read the access of any Space: whether the overview is for him.
func (h *handler) reads(p odcm.Principal) bool {
	return h.Access.Allowed(context.Background(), p, access.ActionRead, "") || len(h.Access.Stewarded(p.User)) > 0
}
