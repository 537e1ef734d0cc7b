package identityhttp

import (
	"net/http"
	"strings"

	"odcm/kit/web"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// intent is what a person meant to do when he went to a provider, if not plainly to sign in: it waits in a cookie that only
// this site can set.
type intent string

const (
	intentCookie = "odcm-intent"
	// linking is followed by the user who wants one more identity: in a browser where somebody else signed in meanwhile,
	// nothing is linked.
	linking intent = "link "
	// accepting is followed by the secret of an invitation.
	accepting intent = "accept "
)

func (h *handler) mean(w http.ResponseWriter, r *http.Request, i intent) {
	c := h.intentCookie(r, string(i))
	c.MaxAge = 900
	http.SetCookie(w, c)
}

func (h *handler) intentCookie(r *http.Request, value string) *http.Cookie {
	c := &http.Cookie{Name: intentCookie, Value: strings.ReplaceAll(value, " ", "."), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: h.Secure || r.TLS != nil}
	if c.Secure {
		c.Name = "__Host-" + c.Name // RFC 6265bis section 4.1.3.2
	}
	return c
}

// meant reads the intent and forgets it.
func (h *handler) meant(w http.ResponseWriter, r *http.Request) (i intent) {
	gone := h.intentCookie(r, "")
	if c, err := r.Cookie(gone.Name); err == nil {
		i = intent(strings.Replace(c.Value, ".", " ", 1))
		gone.MaxAge = -1
		http.SetCookie(w, gone)
	}
	return i
}

// arrive ends a redirect to a provider, or a ticket's check, that told who the person is: it links the identity where he
// meant to, takes up his invitation, or signs him in; then it leads to target, a path on this site. An error is for people:
// the sign-in page shows it.
func (h *handler) arrive(w http.ResponseWriter, r *http.Request, meant intent, a person.Assertion, target string) error {
	p := web.Principal(r.Context())
	if user, ok := strings.CutPrefix(string(meant), string(linking)); ok && p.User != "" && user == string(p.User) {
		if _, err := h.Service.Link(r.Context(), p, p.User, a); err != nil {
			return err
		}
		h.site.Flash(w, r, "success", "You can sign in that way from now on.")
		web.Redirect(w, r, "/settings/identities")
		return nil
	}
	if secret, ok := strings.CutPrefix(string(meant), string(accepting)); ok && h.letters != nil {
		session, s, err := h.letters.AcceptBy(r.Context(), secret, a, h.client(r))
		if err != nil {
			return err
		}
		return h.enter(w, r, session, s, "/")
	}
	secret, session, err := h.Service.SignInBy(r.Context(), a, h.client(r))
	if err != nil {
		return err
	}
	return h.enter(w, r, secret, session, target)
}

// enter gives the browser its session. Whoever's session it had before ends: a new sign-in never leaves an old way in behind.
func (h *handler) enter(w http.ResponseWriter, r *http.Request, secret string, session session.Session, target string) error {
	if old := web.SessionToken(r, h.Secure); old != "" {
		if err := h.Service.SignOut(r.Context(), old, h.client(r)); err != nil {
			return err
		}
	}
	h.site.SetSession(w, r, secret, session.Expires)
	web.Redirect(w, r, web.ReturnPath(target))
	return nil
}
