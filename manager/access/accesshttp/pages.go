package accesshttp

import (
	"strconv"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
)

// pages registers pages, forms and live regions. The words that stand beside {id} of a Space are not Spaces.
func (h *handler) pages() {
	s := h.Site
	s.AddNav(web.NavItem{ID: "access", Label: "Access", Icon: "shield", Href: "/access", Group: "Identity and access", Order: 54, Show: h.reads},
		web.NavItem{Label: "Why may somebody enter?", Icon: "help", Href: "/access/explain", Order: 55, PaletteOnly: true})
	s.Handle("GET /access", h.overviewPage)
	s.Handle("GET /access/explain", h.explainPage)
	s.Handle("GET /access/what-if", h.whatIfPage)
	s.Handle("GET /spaces/{id}/access", h.spacePage)
	s.Handle("GET /spaces/{id}/access/grant", h.grantPage)
	s.Handle("GET /spaces/{id}/access/map", h.mapPage)
	s.Handle("GET /spaces/{id}/access/review", h.reviewPage)
	s.Handle("POST /spaces/{id}/access", h.save)
	sees := func(p odcm.Principal, id string) bool { return h.Access.Sees(p, odcm.SpaceID(id)) }
	s.Live().Fragment("grant.access", nil, sees)
	s.Live().Fragment("account.access", nil, sees)
}

const rowsPerPage = 50

// frame is what the pages of one Space have in common.
func (h *handler) frame(place access.Place, page web.Page) web.Page {
	page.Nav, page.Space = "spaces", place.Name
	page.Crumbs = []design.Crumb{{Label: "Spaces", Href: "/spaces"}}
	return page
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// under is the frame of a page below a Space's access page.
func (h *handler) under(place access.Place, page web.Page) web.Page {
	page = h.frame(place, page)
	page.Crumbs = append(page.Crumbs, design.Crumb{Label: place.Name, Href: "/spaces/" + place.Slug}, design.Crumb{Label: "Access", Href: "/spaces/" + place.Slug + "/access"})
	return page
}
