package identityhttp

import (
	"errors"
	"net/http"
	"net/url"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// letterForm is the page that a letter's link opens.
type letterForm struct {
	Link    string // the secret
	Who     person.Person
	Letter  letter.Letter
	Ways    []offer
	Fault   fault
	Name    string // what was typed on the page for a forgotten password
	Sent    bool
	NoMail  bool
	Problem string // what is wrong with the link
	Mine    bool   // the one who is signed in is whose link it is
}

func (h *handler) registerLetters() {
	h.site.HandlePublic("GET /invitation", h.invitationPage)
	h.site.HandlePublic("POST /invitation", h.acceptInvitation)
	h.site.HandlePublic("POST /invitation/way", h.acceptWith)
	h.site.HandlePublic("GET /forgot", h.forgotPage)
	h.site.HandlePublic("POST /forgot", h.forgot)
	h.site.HandlePublic("GET /reset", h.resetPage)
	h.site.HandlePublic("POST /reset", h.reset)
	h.site.Handle("GET /verification", h.verificationPage)
	h.site.Handle("POST /verification", h.verify)
}

// private keeps the address of the page, which holds the link's secret, from being told to anybody.
func private(w http.ResponseWriter) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
}

// look reads the link without using it up. What is wrong with it is for the page to say.
func (h *handler) look(r *http.Request, p letter.Purpose) (f letterForm, status int, err error) {
	if r.Method == http.MethodPost {
		f.Link = r.PostFormValue("link")
	} else {
		f.Link = r.URL.Query().Get("link")
	}
	f.Letter, f.Who, err = h.letters.Look(r.Context(), p, f.Link)
	var e *odcm.Error
	if odcm.CodeOf(err) == "letter.gone" && errors.As(err, &e) {
		f.Problem = e.Message
		return f, http.StatusNotFound, nil
	}
	f.Mine = web.Principal(r.Context()).User == f.Letter.User
	return f, http.StatusOK, err
}

func (h *handler) renderLetter(w http.ResponseWriter, r *http.Request, status int, title string, f letterForm) error {
	private(w)
	page := web.Page{Title: title, Bare: true, Body: resetBody(f)}
	switch title {
	case titleInvitation:
		f.Ways = h.offers(r, signInForm{}).Ways
		page.Body = invitationBody(f)
	case titleVerification:
		page.Body = verificationBody(f)
	case titleForgot:
		page.Body = forgotBody(f)
	}
	return h.site.Render(w, r, status, page)
}

const (
	titleInvitation   = "Invitation"
	titleVerification = "Confirm your address"
	titleForgot       = "Forgotten password"
	titleReset        = "New password"
)

func (h *handler) invitationPage(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Invitation)
	if err != nil {
		return err
	}
	return h.renderLetter(w, r, status, titleInvitation, f)
}

// acceptInvitation takes it up with a password.
func (h *handler) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Invitation)
	if err != nil {
		return err
	}
	if f.Problem != "" {
		return h.broken(w, r, status, titleInvitation, f)
	}
	password, err := twice(r)
	var secret string
	var session session.Session
	if err == nil {
		secret, session, err = h.letters.Accept(r.Context(), f.Link, password, h.client(r))
	}
	if err != nil {
		return failForm(r, err, func() error {
			f.Fault = faultOf(err)
			return h.renderLetter(w, r, web.StatusOf(err), titleInvitation, f)
		})
	}
	return h.enter(w, r, secret, session, "/")
}

// broken says what is wrong with the link.
func (h *handler) broken(w http.ResponseWriter, r *http.Request, status int, title string, f letterForm) error {
	if web.Enhanced(r) {
		return odcm.E(odcm.NotFound, "letter.gone", "%s", f.Problem)
	}
	return h.renderLetter(w, r, status, title, f)
}

// twice reads a new password.
func twice(r *http.Request) (string, error) {
	password := r.PostFormValue("password")
	if password != r.PostFormValue("again") {
		return "", odcm.E(odcm.Invalid, "identity.passwords-differ", "This is not the same as the new password.").OnField("again")
	}
	return password, nil
}

// acceptWith takes it up with an account at a provider.
func (h *handler) acceptWith(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Invitation)
	if err != nil {
		return err
	}
	if f.Problem != "" {
		return h.broken(w, r, status, titleInvitation, f)
	}
	private(w)
	return h.goTo(w, r, r.PostFormValue("way"), accepting+intent(f.Link))
}

func (h *handler) forgotPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderLetter(w, r, http.StatusOK, titleForgot, letterForm{NoMail: !h.letters.Mails()})
}

func (h *handler) forgot(w http.ResponseWriter, r *http.Request) error {
	f := letterForm{Name: r.PostFormValue("name"), NoMail: !h.letters.Mails()}
	if err := h.letters.Forgot(r.Context(), f.Name, h.client(r)); err != nil {
		return failForm(r, err, func() error {
			f.Fault = faultOf(err)
			return h.renderLetter(w, r, web.StatusOf(err), titleForgot, f)
		})
	}
	f.Sent = true
	return h.renderLetter(w, r, http.StatusOK, titleForgot, f)
}

func (h *handler) resetPage(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Reset)
	if err != nil {
		return err
	}
	return h.renderLetter(w, r, status, titleReset, f)
}

func (h *handler) reset(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Reset)
	if err != nil {
		return err
	}
	if f.Problem != "" {
		return h.broken(w, r, status, titleReset, f)
	}
	password, err := twice(r)
	if err == nil {
		_, err = h.letters.ChoosePassword(r.Context(), f.Link, password)
	}
	if err != nil {
		return failForm(r, err, func() error {
			f.Fault = faultOf(err)
			return h.renderLetter(w, r, web.StatusOf(err), titleReset, f)
		})
	}
	h.site.ClearSession(w, r)
	h.site.Flash(w, r, "success", "Your password was changed. Sign in with it.")
	web.Redirect(w, r, "/sign-in?login_hint="+url.QueryEscape(f.Who.Username))
	return nil
}

func (h *handler) verificationPage(w http.ResponseWriter, r *http.Request) error {
	f, status, err := h.look(r, letter.Verification)
	if err != nil {
		return err
	}
	return h.renderLetter(w, r, status, titleVerification, f)
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) error {
	private(w)
	address, err := h.letters.Verify(r.Context(), web.Principal(r.Context()), r.PostFormValue("link"))
	if err != nil {
		return err
	}
	h.site.Flash(w, r, "success", address+" is confirmed.")
	web.Redirect(w, r, "/settings")
	return nil
}
