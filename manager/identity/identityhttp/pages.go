package identityhttp

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/picture"
	"odcm/manager/identity/session"
)

// handler serves the room's pages and operations.
type handler struct {
	*Authenticator
	site *web.Site
	now  func() time.Time
	ways SignIn

	letters *letter.Service
	drawing sync.Mutex
}

// pageSize is how many keys and sessions a page lists.
const pageSize = 50

// Options are what the pages stand on. Site and Authenticator are required.
type Options struct {
	Site          *web.Site
	Authenticator *Authenticator
	SignIn        SignIn
	Letters       *letter.Service  // without: no invitations, no mailed passwords
	Now           func() time.Time // time.Now if nil
}

// Register adds the room's pages and operations to the site.
func Register(o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &handler{Authenticator: o.Authenticator, site: o.Site, now: o.Now, ways: o.SignIn, letters: o.Letters}
	site := o.Site
	site.AddNav(web.NavItem{Label: "Settings", Icon: "settings", Href: "/settings", Order: 90, PaletteOnly: true},
		web.NavItem{Label: "API keys", Icon: "key", Href: "/settings/api-keys", Order: 91, PaletteOnly: true})
	if h.letters != nil {
		if h.ways.Forgotten == "" {
			h.ways.Forgotten = "/forgot"
		}
		h.registerLetters()
	}
	h.registerSignIn()
	site.Handle("GET /profile", func(w http.ResponseWriter, r *http.Request) error {
		web.Redirect(w, r, "/settings")
		return nil
	})
	site.Handle("GET /settings", h.profilePage)
	site.Handle("POST /settings", h.saveProfile)
	site.Handle("POST /settings/password", h.changePassword)
	site.Handle("GET /settings/api-keys", h.keysPage)
	site.Handle("POST /settings/api-keys", h.createKey)
	site.Handle("POST /settings/api-keys/{id}/delete", h.deleteKey)
	site.Handle("GET /settings/sessions", h.sessionsPage)
	site.Handle("POST /settings/sessions/{id}/end", h.endSession)
	site.Handle("POST /settings/sessions/end", h.endSessions)
	site.Handle("GET /settings/identities", h.identitiesPage)
	site.Handle("POST /settings/identities", h.linkIdentity)
	site.Handle("POST /settings/identities/{id}/unlink", h.unlinkIdentity)
	site.Handle("POST /settings/emails", h.changeEmail)
	site.AcceptLarge("POST /settings/picture", picture.MaxBytes+64<<10)
	site.Handle("POST /settings/picture", h.savePicture)
	site.Handle("GET /people/{id}/picture", h.servePicture)
	h.registerAPI(site.API())
}

// Settings is the frame that the tabs share.
func Settings(at string, page web.Page) web.Page {
	page.Title, page.Nav = "Settings", "settings"
	for _, t := range []design.Tab{
		{Label: "Profile", Href: "/settings"}, {Label: "Ways to sign in", Href: "/settings/identities"}, {Label: "API keys", Href: "/settings/api-keys"}, {Label: "Sessions", Href: "/settings/sessions"},
		{Label: "Applications", Href: "/settings/applications"},
	} {
		t.On = t.Href == at
		page.Tabs = append(page.Tabs, t)
	}
	return page
}

func (h *handler) profilePage(w http.ResponseWriter, r *http.Request) error {
	return h.renderProfile(w, r, profileFaults{})
}

// profileFaults are what is wrong with the page's forms.
type profileFaults struct{ profile, password, email, picture error }

// renderProfile shows the page, again with what is wrong with one of its forms.
func (h *handler) renderProfile(w http.ResponseWriter, r *http.Request, faults profileFaults) error {
	p := web.Principal(r.Context())
	who, err := h.Service.Person(r.Context(), p, p.User)
	if err != nil {
		return err
	}
	f := profileForm{Person: who, Theme: design.ThemeOf(r), Profile: faultOf(faults.profile), Password: faultOf(faults.password),
		Email: faultOf(faults.email), Picture: faultOf(faults.picture), Mails: h.letters != nil && h.letters.Mails()}
	status := http.StatusOK
	for _, err := range []error{faults.profile, faults.password, faults.email, faults.picture} {
		if err != nil {
			status = web.StatusOf(err)
		}
	}
	return h.site.Render(w, r, status, Settings("/settings", web.Page{Body: profileBody(f)}))
}

// failForm answers a form that was refused: to the page's script with the problem, to a browser with the page again.
func failForm(r *http.Request, err error, again func() error) error {
	switch odcm.KindOf(err) {
	case odcm.Internal, odcm.Unauthenticated, odcm.Denied:
		return err
	}
	if web.Enhanced(r) {
		return err
	}
	return again()
}

func (h *handler) saveProfile(w http.ResponseWriter, r *http.Request) error {
	p, name := web.Principal(r.Context()), r.PostFormValue("displayName")
	revision, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	if _, err := h.Service.Update(r.Context(), p, p.User, revision, identity.Change{DisplayName: &name}); err != nil {
		return failForm(r, err, func() error { return h.renderProfile(w, r, profileFaults{profile: err}) })
	}
	h.site.Flash(w, r, "success", "Your profile was saved.")
	web.Redirect(w, r, "/settings")
	return nil
}

func (h *handler) changePassword(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	replacement := r.PostFormValue("password")
	var err error
	if replacement != r.PostFormValue("again") {
		err = odcm.E(odcm.Invalid, "identity.passwords-differ", "This is not the same as the new password.").OnField("again")
	} else {
		err = h.Service.ChangePassword(r.Context(), p, r.PostFormValue("current"), replacement, web.SessionToken(r, h.Secure), h.client(r))
	}
	if err != nil {
		return failForm(r, err, func() error { return h.renderProfile(w, r, profileFaults{password: err}) })
	}
	h.site.Flash(w, r, "success", "Your password was changed, and your other sessions were signed out.")
	web.Redirect(w, r, "/settings")
	return nil
}

// shownKey is a key that was just made, with its secret.
type shownKey struct{ Purpose, Secret string }

func (h *handler) keysPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderKeys(w, r, http.StatusOK, shownKey{}, nil)
}

func (h *handler) renderKeys(w http.ResponseWriter, r *http.Request, status int, made shownKey, fault error) error {
	p, before := web.Principal(r.Context()), r.URL.Query().Get("before")
	keys, err := h.Service.Keys(r.Context(), p, session.KeyID(before), pageSize+1)
	if err != nil {
		return err
	}
	l := keyList{Keys: keys, Made: made, Fault: faultOf(fault), Purpose: r.PostFormValue("purpose"), Now: h.now(), Later: before != ""}
	if made.Secret != "" {
		l.Purpose = ""
	}
	if len(keys) > pageSize {
		l.Keys = keys[:pageSize]
		l.Next = "/settings/api-keys?before=" + url.QueryEscape(string(l.Keys[pageSize-1].ID))
	}
	return h.site.Render(w, r, status, Settings("/settings/api-keys", web.Page{Body: keysBody(l)}))
}

// createKey answers with the page itself, not with a redirect: the secret is shown in this one answer and kept nowhere.
func (h *handler) createKey(w http.ResponseWriter, r *http.Request) error {
	n := session.NewKey{Purpose: r.PostFormValue("purpose")}
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil || days < 0 || days > 3650 {
		return odcm.E(odcm.Invalid, "identity.expiry-invalid", "Choose how long the key is to work.").OnField("days")
	}
	if days > 0 {
		n.Expires = h.now().AddDate(0, 0, days)
	}
	secret, k, err := h.Service.CreateKey(r.Context(), web.Principal(r.Context()), n)
	if err != nil {
		return failForm(r, err, func() error { return h.renderKeys(w, r, web.StatusOf(err), shownKey{}, err) })
	}
	return h.renderKeys(w, r, http.StatusOK, shownKey{Purpose: k.Purpose, Secret: secret}, nil)
}

func (h *handler) deleteKey(w http.ResponseWriter, r *http.Request) error {
	if err := h.Service.DeleteKey(r.Context(), web.Principal(r.Context()), session.KeyID(r.PathValue("id"))); err != nil {
		return err
	}
	h.site.Flash(w, r, "success", "The API key was revoked.")
	web.Redirect(w, r, "/settings/api-keys")
	return nil
}

func (h *handler) sessionsPage(w http.ResponseWriter, r *http.Request) error {
	here, err := h.authentication(r)
	if err != nil {
		return err
	}
	before := r.URL.Query().Get("before")
	sessions, err := h.Service.Sessions(r.Context(), here.Principal, session.ID(before), pageSize+1)
	if err != nil {
		return err
	}
	l := sessionList{Sessions: sessions, Here: here.Session, Later: before != ""}
	if len(sessions) > pageSize {
		l.Sessions = sessions[:pageSize]
		l.Next = "/settings/sessions?before=" + url.QueryEscape(string(l.Sessions[pageSize-1].ID))
	}
	return h.site.Render(w, r, http.StatusOK, Settings("/settings/sessions", web.Page{Body: sessionsBody(l)}))
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request) error {
	if err := h.Service.EndSession(r.Context(), web.Principal(r.Context()), session.ID(r.PathValue("id"))); err != nil {
		return err
	}
	h.site.Flash(w, r, "success", "The session was ended.")
	web.Redirect(w, r, "/settings/sessions")
	return nil
}

// endSessions signs the person out everywhere but here.
func (h *handler) endSessions(w http.ResponseWriter, r *http.Request) error {
	here, err := h.authentication(r)
	if err != nil {
		return err
	}
	if err := h.Service.EndSessionsOf(r.Context(), here.Principal, here.Principal.User, here.Session); err != nil {
		return err
	}
	h.site.Flash(w, r, "success", "You are signed out everywhere else.")
	web.Redirect(w, r, "/settings/sessions")
	return nil
}
