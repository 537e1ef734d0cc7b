// Package providerhttp is how administrators reach package provider: the pages /providers and the REST operations. How people
// sign in by a provider is the business of identityhttp.
package providerhttp

import (
	"context"
	"net/http"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity/provider"
)

// Options are what the door needs.
type Options struct {
	Site      *web.Site
	Providers *provider.Service
	Now       func() time.Time // time.Now where nil
}

type handler struct{ Options }

// Register adds the pages and operations to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{o}
	reads := func(p odcm.Principal) bool { return h.Providers.May(context.Background(), p, provider.ActionRead) }
	h.Site.AddNav(web.NavItem{ID: "providers", Label: "Sign-in", Icon: "key", Href: "/providers", Group: "Identity and access", Order: 57, Show: reads},
		web.NavItem{Label: "Add a way to sign in", Icon: "plus", Href: "/providers/new", Order: 58, PaletteOnly: true,
			Show: func(p odcm.Principal) bool { return h.Providers.May(context.Background(), p, provider.ActionEdit) }})
	h.Site.Live().Fragment("provider", nil, func(p odcm.Principal, _ string) bool { return reads(p) })
	h.Site.Handle("GET /providers", h.list)
	h.Site.Handle("GET /providers/new", h.choose)
	h.Site.Handle("POST /providers", h.create)
	h.Site.Handle("GET /providers/{id}", h.show)
	h.Site.Handle("POST /providers/{id}", h.update)
	h.Site.Handle("POST /providers/{id}/enable", h.enable(true))
	h.Site.Handle("POST /providers/{id}/disable", h.enable(false))
	h.Site.Handle("POST /providers/{id}/test", h.test)
	h.Site.Handle("POST /providers/{id}/sync", h.sync)
	h.Site.Handle("POST /providers/{id}/delete", h.delete)
	h.rest()
}

const pageIntro = "Directories and other companies' providers by which people sign in, beside the local password."

func idOf(r *http.Request) odcm.ProviderID { return odcm.ProviderID(r.PathValue("id")) }

func href(id odcm.ProviderID) string { return "/providers/" + string(id) }

func crumbs() []design.Crumb { return []design.Crumb{{Label: "Sign-in", Href: "/providers"}} }

func (h *handler) mayEdit(r *http.Request) bool {
	return h.Providers.May(r.Context(), web.Principal(r.Context()), provider.ActionEdit)
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	all, err := h.Providers.List(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	v := listView{providers: all, mayEdit: h.mayEdit(r), syncs: func(p provider.Provider) bool { return h.Providers.Reads(r.Context(), p) }, now: h.Now()}
	page := web.Page{Title: "Sign-in", Nav: "providers", Intro: pageIntro, Body: listBody(v)}
	if v.mayEdit && len(all) > 0 {
		page.Actions = design.Button(design.ButtonProps{Label: "Add", Kind: "primary", Icon: "plus", Href: "/providers/new"})
	}
	return h.Site.Render(w, r, http.StatusOK, page)
}

// choose shows the kinds, or the form of the kind that was chosen.
func (h *handler) choose(w http.ResponseWriter, r *http.Request) error {
	if !h.mayEdit(r) {
		return odcm.E(odcm.Denied, "identity.role-missing", "Only an administrator of ODCM adds ways to sign in.")
	}
	kind := provider.Kind(r.URL.Query().Get("kind"))
	if h.Providers.Fields(kind) == nil {
		return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Add a way to sign in", Nav: "providers", Crumbs: crumbs(), Body: kindsBody(h.Providers.Kinds())})
	}
	return h.renderNew(w, r, http.StatusOK, provider.Provider{Kind: kind}, fault{})
}

func (h *handler) renderNew(w http.ResponseWriter, r *http.Request, status int, p provider.Provider, f fault) error {
	v := formView{Provider: p, fields: h.Providers.Fields(p.Kind), syncs: provider.MayRead(p.Kind), fault: f, action: "/providers", fresh: true}
	return h.Site.Render(w, r, status, web.Page{Title: "Add " + kindName(p.Kind), Nav: "providers", Crumbs: crumbs(), Body: newBody(v)})
}

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	p, err := h.read(r, provider.Kind(r.FormValue("kind")))
	if err != nil {
		return err
	}
	made, err := h.Providers.Create(r.Context(), web.Principal(r.Context()), p)
	if err != nil {
		if web.Enhanced(r) || h.Providers.Fields(p.Kind) == nil {
			return err
		}
		return h.renderNew(w, r, web.StatusOf(err), p, faultOf(err))
	}
	h.Site.Flash(w, r, "success", made.Name+" is added. Test it, then switch it on.")
	web.Redirect(w, r, href(made.ID))
	return nil
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) error {
	p, err := h.Providers.Get(r.Context(), web.Principal(r.Context()), idOf(r))
	if err != nil {
		return err
	}
	return h.renderOne(w, r, http.StatusOK, p, p, fault{})
}

// renderOne draws the page of a provider as it is, with what somebody typed in the form.
func (h *handler) renderOne(w http.ResponseWriter, r *http.Request, status int, is, typed provider.Provider, f fault) error {
	var leaving provider.Leaving
	if h.mayEdit(r) {
		var err error
		if leaving, err = h.Providers.Leaving(r.Context(), web.Principal(r.Context()), is.ID); err != nil {
			return err
		}
	}
	v := pageView{Provider: is, mayEdit: h.mayEdit(r), leaving: leaving, syncs: h.Providers.Reads(r.Context(), is), now: h.Now(), returnURL: h.returnURL(is),
		form: formView{Provider: typed, fields: h.Providers.Fields(is.Kind), set: is.Secrets, syncs: provider.MayRead(is.Kind), fault: f, action: href(is.ID)}}
	return h.Site.Render(w, r, status, web.Page{Title: is.Name, Nav: "providers", Crumbs: crumbs(), Intro: kindName(is.Kind), Body: oneBody(v)})
}

// returnURL is shown where the other side must be told it.
func (h *handler) returnURL(p provider.Provider) string {
	if p.Kind == provider.ActiveDirectory || p.Kind == provider.LDAP {
		return ""
	}
	return h.Providers.ReturnURL(p.ID)
}

func (h *handler) update(w http.ResponseWriter, r *http.Request) error {
	is, err := h.Providers.Get(r.Context(), web.Principal(r.Context()), idOf(r))
	if err != nil {
		return err
	}
	p, err := h.read(r, is.Kind)
	if err != nil {
		return err
	}
	p.ID, p.Enabled = is.ID, is.Enabled
	for name := range is.Secrets { // what is set stays, unless another was typed or the box to remove it was ticked
		if _, typed := p.Secrets[name]; !typed && !removed(r, name) {
			p.Secrets[name] = ""
		}
	}
	if _, err := h.Providers.Update(r.Context(), web.Principal(r.Context()), p); err != nil {
		if web.Enhanced(r) {
			return err
		}
		return h.renderOne(w, r, web.StatusOf(err), is, p, faultOf(err))
	}
	h.Site.Flash(w, r, "success", "The settings are saved and in use.")
	web.Redirect(w, r, href(p.ID))
	return nil
}

func (h *handler) enable(on bool) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx := r.Context()
		p, err := h.Providers.Get(ctx, web.Principal(ctx), idOf(r))
		if err != nil {
			return err
		}
		p.Enabled = on
		if _, err := h.Providers.Update(ctx, web.Principal(ctx), p); err != nil {
			return err
		}
		web.Redirect(w, r, href(p.ID))
		return nil
	}
}

func (h *handler) test(w http.ResponseWriter, r *http.Request) error {
	if err := h.Providers.StartTest(r.Context(), web.Principal(r.Context()), idOf(r)); err != nil {
		return err
	}
	web.Redirect(w, r, href(idOf(r)))
	return nil
}

func (h *handler) sync(w http.ResponseWriter, r *http.Request) error {
	if err := h.Providers.SyncNow(r.Context(), web.Principal(r.Context()), idOf(r), r.PostFormValue("accept") == "true"); err != nil {
		return err
	}
	h.Site.Flash(w, r, "info", "The directory is being read.")
	web.Redirect(w, r, href(idOf(r)))
	return nil
}

func (h *handler) delete(w http.ResponseWriter, r *http.Request) error {
	d := provider.Deletion{Confirmed: r.PostFormValue("confirmed") == "true"}
	if err := h.Providers.Delete(r.Context(), web.Principal(r.Context()), idOf(r), d); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "It is deleted.")
	web.Redirect(w, r, "/providers")
	return nil
}
