// Package scimhttp is how administrators look after directories that push: pages and REST operations; and where those push
// to.
package scimhttp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/scim"
)

// Options are what the door needs.
type Options struct {
	Site *web.Site
	SCIM *scim.Service
	Now  func() time.Time // time.Now if nil
}

type handler struct{ Options }

// Register adds the pages, the operations and the SCIM server to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	sees := func(p odcm.Principal) bool {
		return h.SCIM.Permit(context.Background(), p, scim.ActionList, "") == nil
	}
	h.Site.AddNav(web.NavItem{ID: "provisioning", Label: "Provisioning", Icon: "download", Href: "/provisioning", Order: 56, PaletteOnly: true, Show: sees})
	h.Site.Handle("GET /provisioning", h.listPage)
	h.Site.Handle("POST /provisioning", h.createForm)
	h.Site.Handle("GET /provisioning/{id}", h.page)
	h.Site.Handle("POST /provisioning/{id}", h.updateForm)
	h.Site.Handle("POST /provisioning/{id}/delete", h.deleteForm)
	h.Site.Handle("POST /provisioning/{id}/tokens", h.tokenForm)
	h.Site.Handle("POST /provisioning/{id}/tokens/{token}/revoke", h.revokeForm)
	h.rest()
	h.Site.AcceptLarge(pattern, scim.MaxBody+1) // one more: the server itself refuses what is too large, in SCIM's form
	h.Site.Mount(pattern, h.SCIM.Handler())
}

// pattern is what directories push to.
const pattern = "/scim/v2/"

func id(r *http.Request) odcm.ProviderID { return odcm.ProviderID(r.PathValue("id")) }

func href(id odcm.ProviderID) string { return "/provisioning/" + url.PathEscape(string(id)) }

func (h *handler) listPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderList(w, r, http.StatusOK, scim.Directory{}, nil)
}

func (h *handler) renderList(w http.ResponseWriter, r *http.Request, status int, typed scim.Directory, fault error) error {
	p := web.Principal(r.Context())
	all, err := h.SCIM.Directories(r.Context(), p)
	if err != nil {
		return err
	}
	providers, err := h.SCIM.Providers(r.Context())
	if err != nil {
		return err
	}
	v := listView{all: all, providers: providers, typed: typed, faults: web.Fields(fault), mayCreate: h.SCIM.Permit(r.Context(), p, scim.ActionCreate, "") == nil}
	return h.Site.Render(w, r, status, web.Page{Title: "Provisioning", Nav: "provisioning",
		Intro: "Directories that push their people and groups here, by SCIM 2.0.", Body: listBody(v)})
}

func (h *handler) createForm(w http.ResponseWriter, r *http.Request) error {
	typed := scim.Directory{Name: r.PostFormValue("name"), Provider: odcm.ProviderID(r.PostFormValue("provider")), Prefix: r.PostFormValue("prefix"), TrustEmail: r.PostFormValue("trustEmail") == "on"}
	made, err := h.SCIM.CreateDirectory(r.Context(), web.Principal(r.Context()), typed)
	if kind := odcm.KindOf(err); (kind == odcm.Invalid || kind == odcm.Exists) && !web.Enhanced(r) {
		return h.renderList(w, r, web.StatusOf(err), typed, err)
	} else if err != nil {
		return err
	}
	web.Redirect(w, r, href(made.Provider))
	return nil
}

func (h *handler) page(w http.ResponseWriter, r *http.Request) error {
	return h.render(w, r, http.StatusOK, "", nil)
}

// render shows the directory; with a secret that was just made, which is in this one answer and kept nowhere.
func (h *handler) render(w http.ResponseWriter, r *http.Request, status int, secret string, fault error) error {
	p := web.Principal(r.Context())
	d, tokens, n, err := h.SCIM.Directory(r.Context(), p, id(r))
	if err != nil {
		return err
	}
	may := func(a odcm.Action) bool { return h.SCIM.Permit(r.Context(), p, a, d.Provider) == nil }
	v := view{Directory: d, address: h.SCIM.Address(), tokens: tokens, pushed: n, secret: secret, now: h.Now(), purpose: r.PostFormValue("purpose"), faults: web.Fields(fault),
		mayUpdate: may(scim.ActionUpdate), mayDelete: may(scim.ActionDelete), mayToken: may(scim.ActionToken)}
	if secret != "" {
		v.purpose = ""
	}
	return h.Site.Render(w, r, status, web.Page{Title: d.Name, Nav: "provisioning", Crumbs: []design.Crumb{{Label: "Provisioning", Href: "/provisioning"}},
		Actions: actions(v), Body: body(v)})
}

func (h *handler) updateForm(w http.ResponseWriter, r *http.Request) error {
	revision, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	_, err = h.SCIM.UpdateDirectory(r.Context(), web.Principal(r.Context()), scim.Directory{Provider: id(r), Name: r.PostFormValue("name"),
		Prefix: r.PostFormValue("prefix"), TrustEmail: r.PostFormValue("trustEmail") == "on", Revision: revision})
	if err != nil {
		return err
	}
	web.Redirect(w, r, href(id(r)))
	return nil
}

func (h *handler) deleteForm(w http.ResponseWriter, r *http.Request) error {
	if err := h.SCIM.DeleteDirectory(r.Context(), web.Principal(r.Context()), id(r)); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The directory was deleted: its tokens no longer work.")
	web.Redirect(w, r, "/provisioning")
	return nil
}

func (h *handler) tokenForm(w http.ResponseWriter, r *http.Request) error {
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil || days < 0 || days > 3650 {
		return odcm.E(odcm.Invalid, "scim.expiry-invalid", "Choose how long the token is to work.").OnField("days")
	}
	var expires time.Time
	if days > 0 {
		expires = h.Now().AddDate(0, 0, days)
	}
	secret, _, err := h.SCIM.CreateToken(r.Context(), web.Principal(r.Context()), id(r), r.PostFormValue("purpose"), expires)
	var e *odcm.Error
	if errors.As(err, &e) && e.Kind == odcm.Invalid && !web.Enhanced(r) {
		return h.render(w, r, web.StatusOf(err), "", err)
	} else if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, secret, nil)
}

func (h *handler) revokeForm(w http.ResponseWriter, r *http.Request) error {
	if err := h.SCIM.RevokeToken(r.Context(), web.Principal(r.Context()), id(r), r.PathValue("token")); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The token was revoked.")
	web.Redirect(w, r, href(id(r)))
	return nil
}
