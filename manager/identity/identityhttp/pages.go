package identityhttp

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity"
)

// handler serves the room's pages and operations.
type handler struct {
	*Authenticator
	site *web.Site
	now  func() time.Time
}

// pageSize is how many keys and sessions a page lists.
const pageSize = 50

// Register adds the room's pages and operations to the site. Now is time.Now if nil.
func Register(site *web.Site, a *Authenticator, now func() time.Time) {
	if now == nil {
		now = time.Now
	}
	h := &handler{a, site, now}
	site.AddNav(web.NavItem{Label: "Settings", Icon: "settings", Href: "/settings", Order: 90, PaletteOnly: true},
		web.NavItem{Label: "API keys", Icon: "key", Href: "/settings/api-keys", Order: 91, PaletteOnly: true})
	site.HandlePublic("GET /sign-in", h.signInPage)
	site.HandlePublic("POST /sign-in", h.signIn)
	site.HandlePublic("POST /sign-out", h.signOut)
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
	h.registerAPI(site.API())
}

// signInPage shows the form, or leads on who is signed in already.
func (h *handler) signInPage(w http.ResponseWriter, r *http.Request) error {
	target := web.ReturnPath(r.URL.Query().Get("return"))
	if web.Principal(r.Context()).User != "" {
		web.Redirect(w, r, target)
		return nil
	}
	return h.renderSignIn(w, r, http.StatusOK, signInForm{Return: target})
}

func (h *handler) renderSignIn(w http.ResponseWriter, r *http.Request, status int, f signInForm) error {
	return h.site.Render(w, r, status, web.Page{Title: "Sign in", Bare: true, Body: signInBody(f)})
}

// signIn checks the form. What failed is said on the form itself; the password is never sent back.
func (h *handler) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	f := signInForm{Return: web.ReturnPath(r.PostForm.Get("return")), Username: r.PostForm.Get("username")}
	secret, session, err := h.Service.SignIn(r.Context(), identity.Credentials{
		Username: f.Username, Password: r.PostForm.Get("password"), From: h.client(r),
	})
	switch odcm.CodeOf(err) {
	case "":
	case "identity.sign-in-failed":
		f.Error = "The username or the password is not right."
		return h.renderSignIn(w, r, http.StatusUnauthorized, f)
	case "identity.busy", "identity.too-many-attempts":
		wait := int(web.RetryAfter(err).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		f.Error = "Too many tries. Wait " + strconv.Itoa(wait) + " seconds, then sign in again."
		return h.renderSignIn(w, r, http.StatusTooManyRequests, f)
	default:
		return err
	}
	// Whoever's session this browser had before ends: a new sign-in never leaves an old way in behind.
	if old := web.SessionToken(r, h.Secure); old != "" {
		if err := h.Service.SignOut(r.Context(), old, h.client(r)); err != nil {
			return err
		}
	}
	h.site.SetSession(w, r, secret, session.Expires)
	web.Redirect(w, r, f.Return)
	return nil
}

func (h *handler) signOut(w http.ResponseWriter, r *http.Request) error {
	if secret := web.SessionToken(r, h.Secure); secret != "" {
		if err := h.Service.SignOut(r.Context(), secret, h.client(r)); err != nil {
			return err
		}
	}
	h.site.ClearSession(w, r)
	web.Redirect(w, r, "/sign-in")
	return nil
}

// settings is the frame that the three tabs share.
func settings(at string, page web.Page) web.Page {
	page.Title, page.Nav = "Settings", "settings"
	for _, t := range []design.Tab{
		{Label: "Profile", Href: "/settings"}, {Label: "API keys", Href: "/settings/api-keys"}, {Label: "Sessions", Href: "/settings/sessions"},
	} {
		t.On = t.Href == at
		page.Tabs = append(page.Tabs, t)
	}
	return page
}

func (h *handler) profilePage(w http.ResponseWriter, r *http.Request) error {
	return h.renderProfile(w, r, nil, nil)
}

// renderProfile shows the page again with what is wrong with one of its forms.
func (h *handler) renderProfile(w http.ResponseWriter, r *http.Request, profile, password error) error {
	p := web.Principal(r.Context())
	u, err := h.Service.Get(r.Context(), p, p.User)
	if err != nil {
		return err
	}
	f := profileForm{User: u, Theme: design.ThemeOf(r), Profile: faultOf(profile), Password: faultOf(password)}
	status := http.StatusOK
	for _, err := range []error{profile, password} {
		if err != nil {
			status = web.StatusOf(err)
		}
	}
	return h.site.Render(w, r, status, settings("/settings", web.Page{Body: profileBody(f)}))
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
		return failForm(r, err, func() error { return h.renderProfile(w, r, err, nil) })
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
		return failForm(r, err, func() error { return h.renderProfile(w, r, nil, err) })
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
	keys, err := h.Service.Keys(r.Context(), p, identity.KeyID(before), pageSize+1)
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
	return h.site.Render(w, r, status, settings("/settings/api-keys", web.Page{Body: keysBody(l)}))
}

// createKey answers with the page itself, not with a redirect: the secret is shown in this one answer and kept nowhere.
func (h *handler) createKey(w http.ResponseWriter, r *http.Request) error {
	n := identity.NewKey{Purpose: r.PostFormValue("purpose")}
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
	if err := h.Service.DeleteKey(r.Context(), web.Principal(r.Context()), identity.KeyID(r.PathValue("id"))); err != nil {
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
	sessions, err := h.Service.Sessions(r.Context(), here.Principal, identity.SessionID(before), pageSize+1)
	if err != nil {
		return err
	}
	l := sessionList{Sessions: sessions, Here: here.Session, Later: before != ""}
	if len(sessions) > pageSize {
		l.Sessions = sessions[:pageSize]
		l.Next = "/settings/sessions?before=" + url.QueryEscape(string(l.Sessions[pageSize-1].ID))
	}
	return h.site.Render(w, r, http.StatusOK, settings("/settings/sessions", web.Page{Body: sessionsBody(l)}))
}

func (h *handler) endSession(w http.ResponseWriter, r *http.Request) error {
	if err := h.Service.EndSession(r.Context(), web.Principal(r.Context()), identity.SessionID(r.PathValue("id"))); err != nil {
		return err
	}
	h.site.Flash(w, r, "success", "The session was ended.")
	web.Redirect(w, r, "/settings/sessions")
	return nil
}
