// Package grouphttp is how people and programs reach package group: pages and REST operations.
package grouphttp

import (
	"context"
	"net/http"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/group"
)

// Options are what the door needs.
type Options struct {
	Site   *web.Site
	Groups *group.Service
	Now    func() time.Time // time.Now if nil
}

type handler struct {
	Options
}

// Register adds the pages and operations to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	sees := func(p odcm.Principal) bool { return h.Groups.May(context.Background(), p, group.ActionList) }
	h.Site.AddNav(web.NavItem{ID: "groups", Label: "Groups", Icon: "users", Href: "/groups", Group: "Identity and access", Order: 52, Show: sees},
		web.NavItem{Label: "Create a group", Icon: "plus", Href: "/groups/new", Order: 53, PaletteOnly: true,
			Show: func(p odcm.Principal) bool { return h.Groups.May(context.Background(), p, group.ActionCreate) }})
	h.Site.Handle("GET /groups", h.listPage)
	h.Site.Handle("GET /groups/new", h.newPage)
	h.Site.Handle("POST /groups", h.createForm)
	h.Site.Handle("GET /groups/{id}", h.membersPage)
	h.Site.Handle("POST /groups/{id}", h.updateForm)
	h.Site.Handle("POST /groups/{id}/delete", h.deleteForm)
	h.Site.Handle("GET /groups/{id}/add", h.addPage)
	h.Site.Handle("POST /groups/{id}/members", h.editForm)
	h.Site.Handle("GET /groups/{id}/everyone", h.everyonePage)
	h.Site.Handle("GET /groups/{id}/nesting", h.nestingPage)
	h.Site.Live().Fragment("group", nil, func(p odcm.Principal, _ string) bool { return sees(p) })
	h.rest()
}

// pageSize is how many groups, members and users a page lists.
const pageSize = 50

func (h *handler) id(r *http.Request) odcm.GroupID { return odcm.GroupID(r.PathValue("id")) }
