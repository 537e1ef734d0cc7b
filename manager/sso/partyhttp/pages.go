package partyhttp

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

// Options are what the door needs.
type Options struct {
	Service *grant.Service
	Site    *web.Site
	// Settings puts a page of a person's own into the frame of the settings, at the address; the page as it is if nil.
	Settings func(at string, p web.Page) web.Page
	Now      func() time.Time // time.Now if nil
}

type handler struct {
	Options
	now func() time.Time
}

// ApplicationsPath is where people see where they are signed in.
const ApplicationsPath = "/settings/applications"

const (
	partiesPath = "/relying-parties"
	keysPath    = "/signing-keys"
	pageSize    = 50
)

// Register puts pages and operations on the site.
func Register(o Options) {
	h := &handler{Options: o, now: o.Now}
	if h.now == nil {
		h.now = time.Now
	}
	if h.Settings == nil {
		h.Settings = func(_ string, p web.Page) web.Page { return p }
	}
	reads := func(p odcm.Principal) bool { return p.Has(odcm.Administrator) || p.Has(odcm.Auditor) }
	o.Site.AddNav(web.NavItem{ID: "relying-parties", Label: "Relying parties", Icon: "link", Href: partiesPath, Group: "Identity and access", Order: 59, Show: reads},
		web.NavItem{Label: "Signing keys", Icon: "key", Href: keysPath, Order: 60, Show: reads, PaletteOnly: true},
		web.NavItem{Label: "Applications you are signed in to", Icon: "link", Href: ApplicationsPath, Order: 93, PaletteOnly: true})
	o.Site.Handle("GET "+partiesPath, h.listPage)
	o.Site.Handle("GET "+partiesPath+"/new", h.newPage)
	o.Site.Handle("POST "+partiesPath, h.create)
	o.Site.Handle("GET "+keysPath, h.keysPage)
	o.Site.Handle("POST "+keysPath+"/{algorithm}", h.rotateKey)
	o.Site.Handle("GET "+partiesPath+"/{id}", h.editPage)
	o.Site.Handle("POST "+partiesPath+"/{id}", h.save)
	o.Site.Handle("POST "+partiesPath+"/{id}/secret", h.rotateSecret)
	o.Site.Handle("POST "+partiesPath+"/{id}/delete", h.remove)
	o.Site.Handle("GET "+ApplicationsPath, h.applicationsPage)
	o.Site.Handle("POST "+ApplicationsPath+"/{id}/revoke", h.revoke)
	h.registerAPI(o.Site.API())
}

func (h *handler) page(w http.ResponseWriter, r *http.Request, status int, page web.Page) error {
	page.Nav = "relying-parties"
	return h.Site.Render(w, r, status, page)
}

var tabs = []design.Tab{{Label: "Relying parties", Href: partiesPath}, {Label: "Signing keys", Href: keysPath}}

func tabsAt(at string) (all []design.Tab) {
	for _, t := range tabs {
		t.On = t.Href == at
		all = append(all, t)
	}
	return all
}

type partyList struct {
	parties []sso.Party
	later   bool
	next    string
	edits   bool
}

func (h *handler) listPage(w http.ResponseWriter, r *http.Request) error {
	after, by := r.URL.Query().Get("after"), web.Principal(r.Context())
	all, err := h.Service.List(r.Context(), by, sso.PartyID(after), pageSize+1)
	if err != nil {
		return err
	}
	l := partyList{parties: all, later: after != "", edits: by.Has(odcm.Administrator)}
	if len(all) > pageSize {
		l.parties = all[:pageSize]
		l.next = partiesPath + "?after=" + url.QueryEscape(string(l.parties[pageSize-1].ID))
	}
	page := web.Page{Title: "Relying parties", Intro: "Programs that let people in on ODCM's word.", Tabs: tabsAt(partiesPath), Body: listBody(l)}
	if l.edits {
		page.Actions = design.Button(design.ButtonProps{Label: "Register one", Icon: "plus", Kind: "primary", Href: partiesPath + "/new"})
	}
	return h.page(w, r, http.StatusOK, page)
}

// partyForm is a relying party being made or changed.
type partyForm struct {
	sso.Party
	issuer string
	secret string // made a moment ago
	whole  string
	fields map[string]string
	edits  bool
}

func (f partyForm) fresh() bool { return f.ID == "" }

func (f partyForm) action() string {
	if f.fresh() {
		return partiesPath
	}
	return partiesPath + "/" + url.PathEscape(string(f.ID))
}

func (h *handler) newPage(w http.ResponseWriter, r *http.Request) error {
	if !web.Principal(r.Context()).Has(odcm.Administrator) {
		return odcm.E(odcm.Denied, "party.create", "Registering a relying party is for administrators.")
	}
	return h.form(w, r, http.StatusOK, partyForm{Party: sso.Party{Kind: sso.KindApplication, Algorithm: sso.ES256, Auth: sso.AuthSecret}, edits: true})
}

func (h *handler) form(w http.ResponseWriter, r *http.Request, status int, f partyForm) error {
	f.issuer = h.Service.Issuer()
	title := f.Name
	if f.fresh() {
		title = "Register a relying party"
	}
	return h.page(w, r, status, web.Page{Title: title, Crumbs: []design.Crumb{{Label: "Relying parties", Href: partiesPath}}, Body: formBody(f)})
}

// read takes the party from the form.
func read(r *http.Request) sso.Party {
	lines := func(name string) (all []string) { return strings.Fields(r.PostFormValue(name)) }
	on := func(name string) bool { return r.PostFormValue(name) != "" }
	return sso.Party{Name: strings.TrimSpace(r.PostFormValue("name")), Kind: sso.Kind(r.PostFormValue("kind")), RedirectURIs: lines("redirectUris"), PostLogoutURIs: lines("postLogoutUris"),
		LogoutURI: strings.TrimSpace(r.PostFormValue("logoutUri")), Algorithm: sso.Algorithm(r.PostFormValue("algorithm")), Auth: sso.Auth(r.PostFormValue("auth")),
		Keys: strings.TrimSpace(r.PostFormValue("keys")), PlainHTTP: on("plainHttp"), Front: on("front"), Device: on("device"), Consent: on("consent"), Disabled: on("disabled")}
}

// again shows the form with what is wrong, to a browser without the page's script.
func (h *handler) again(w http.ResponseWriter, r *http.Request, p sso.Party, err error) error {
	if kind := odcm.KindOf(err); web.Enhanced(r) || kind != odcm.Invalid && kind != odcm.Conflict {
		return err
	}
	f := partyForm{Party: p, fields: web.Fields(err), edits: true}
	if len(f.fields) == 0 {
		f.whole = web.ProblemOf(r.Context(), err).Detail
	}
	return h.form(w, r, web.StatusOf(err), f)
}

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	p, secret, err := h.Service.Create(r.Context(), web.Principal(r.Context()), read(r))
	if err != nil {
		return h.again(w, r, read(r), err)
	}
	return h.form(w, r, http.StatusOK, partyForm{Party: p, secret: secret, edits: true}) // no redirect: the secret is in this answer only
}

func (h *handler) editPage(w http.ResponseWriter, r *http.Request) error {
	by := web.Principal(r.Context())
	p, err := h.Service.Get(r.Context(), by, sso.PartyID(r.PathValue("id")))
	if err != nil {
		return err
	}
	return h.form(w, r, http.StatusOK, partyForm{Party: p, edits: by.Has(odcm.Administrator)})
}

func (h *handler) save(w http.ResponseWriter, r *http.Request) error {
	p := read(r)
	p.ID = sso.PartyID(r.PathValue("id"))
	var err error
	if p.Revision, err = strconv.ParseInt(r.PostFormValue("revision"), 10, 64); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	if _, err := h.Service.Update(r.Context(), web.Principal(r.Context()), p); err != nil {
		return h.again(w, r, p, err)
	}
	h.Site.Flash(w, r, "success", p.Name+" was saved.")
	web.Redirect(w, r, partiesPath)
	return nil
}

func (h *handler) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	by, id := web.Principal(r.Context()), sso.PartyID(r.PathValue("id"))
	secret, err := h.Service.RotateSecret(r.Context(), by, id)
	if err != nil {
		return err
	}
	p, err := h.Service.Get(r.Context(), by, id)
	if err != nil {
		return err
	}
	return h.form(w, r, http.StatusOK, partyForm{Party: p, secret: secret, edits: true})
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) error {
	if err := h.Service.Delete(r.Context(), web.Principal(r.Context()), sso.PartyID(r.PathValue("id"))); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The relying party is forgotten.")
	web.Redirect(w, r, partiesPath)
	return nil
}

type keyList struct {
	keys  []sso.SigningKey
	now   time.Time
	edits bool
}

func (h *handler) keysPage(w http.ResponseWriter, r *http.Request) error {
	by := web.Principal(r.Context())
	keys, err := h.Service.SigningKeys(r.Context(), by)
	if err != nil {
		return err
	}
	return h.page(w, r, http.StatusOK, web.Page{Title: "Relying parties", Intro: "Programs that let people in on ODCM's word.", Tabs: tabsAt(keysPath),
		Body: keysBody(keyList{keys, h.now(), by.Has(odcm.Administrator)})})
}

func (h *handler) rotateKey(w http.ResponseWriter, r *http.Request) error {
	if err := h.Service.RotateKeys(r.Context(), web.Principal(r.Context()), sso.Algorithm(r.PathValue("algorithm"))); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The next key is published. It signs in ten minutes.")
	web.Redirect(w, r, keysPath)
	return nil
}

type applicationList struct {
	all   []grant.Connection
	later bool
	next  string
}

func (h *handler) applicationsPage(w http.ResponseWriter, r *http.Request) error {
	before, by := r.URL.Query().Get("before"), web.Principal(r.Context())
	all, err := h.Service.Sessions(r.Context(), by, by.User, before, pageSize+1)
	if err != nil {
		return err
	}
	l := applicationList{all: all, later: before != ""}
	if len(all) > pageSize {
		l.all = all[:pageSize]
		l.next = ApplicationsPath + "?before=" + url.QueryEscape(l.all[pageSize-1].ID)
	}
	return h.Site.Render(w, r, http.StatusOK, h.Settings(ApplicationsPath, web.Page{Title: "Applications", Body: applicationsBody(l)}))
}

func (h *handler) revoke(w http.ResponseWriter, r *http.Request) error {
	by := web.Principal(r.Context())
	if err := h.Service.Revoke(r.Context(), by, by.User, sso.PartyID(r.PathValue("id"))); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "You are signed out there.")
	web.Redirect(w, r, ApplicationsPath)
	return nil
}
