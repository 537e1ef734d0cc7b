package web

import (
	"net/http"

	"odcm"
	"odcm/kit/web/design"
)

// gallery shows every component in the frame, to a visitor as to a person who is signed in: it holds nothing real.
func (s *Site) gallery(w http.ResponseWriter, r *http.Request) error {
	if Principal(r.Context()).User == "" {
		lisa := odcm.Principal{User: "user-gallery", Name: "Lisa Shipping", Roles: []odcm.Role{odcm.SpaceAdministrator}}
		r = r.WithContext(WithPrincipal(r.Context(), lisa))
	}
	return s.Render(w, r, http.StatusOK, Page{
		Title: "Design", Intro: "Every component that pages are made of.", Nav: "design",
		Crumbs:  []design.Crumb{{Label: "Home", Href: "/"}},
		Actions: design.Button(design.ButtonProps{Label: "Create", Icon: "plus", Kind: "primary", Dialog: "gallery-confirm"}),
		Tabs: []design.Tab{
			{Label: "Overview", Href: "#", On: true}, {Label: "History", Href: "#"}, {Label: "Access", Href: "#", Count: "12"},
		},
		Body: design.Gallery(),
	})
}
