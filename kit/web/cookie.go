package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const sessionCookie = "odcm-session"

// secure tells whether cookies of this request may carry the __Host- prefix.
func (s *Site) secure(r *http.Request) bool { return s.o.Secure || r.TLS != nil }

// cookieName gives the cookie the prefix that binds it to this host, with TLS, path / and no domain (RFC 6265bis
// section 4.1.3.2). Without TLS browsers refuse the prefix, so there is none.
func cookieName(name string, secure bool) string {
	if secure {
		return "__Host-" + name
	}
	return name
}

// SessionToken returns the opaque token of the session that the request carries, "" for none.
func SessionToken(r *http.Request, secure bool) string {
	c, err := r.Cookie(cookieName(sessionCookie, secure || r.TLS != nil))
	if err != nil {
		return ""
	}
	return c.Value
}

// SetSession gives the browser the token of its session, until it expires.
func (s *Site) SetSession(w http.ResponseWriter, r *http.Request, token string, expires time.Time) {
	c := s.cookie(r, sessionCookie, token)
	c.Expires = expires
	http.SetCookie(w, c)
}

// ClearSession takes the token away.
func (s *Site) ClearSession(w http.ResponseWriter, r *http.Request) {
	c := s.cookie(r, sessionCookie, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

func (s *Site) cookie(r *http.Request, name, value string) *http.Cookie {
	secure := s.secure(r)
	return &http.Cookie{
		Name: cookieName(name, secure), Value: value, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

const flashCookie = "odcm-flash"

// Flash keeps a message for the next page, which shows it as a toast: "Space Payments was enlisted." Tone is "success",
// "info", "warning" or "danger". The message is not secret, but only the site's own pages can set it.
func (s *Site) Flash(w http.ResponseWriter, r *http.Request, tone, message string) {
	c := s.cookie(r, flashCookie, url.QueryEscape(tone+" "+message))
	c.MaxAge = 60
	http.SetCookie(w, c)
}

// takeFlash returns the message and forgets it.
func (s *Site) takeFlash(w http.ResponseWriter, r *http.Request) (tone, message string) {
	c, err := r.Cookie(cookieName(flashCookie, s.secure(r)))
	if err != nil {
		return "", ""
	}
	gone := s.cookie(r, flashCookie, "")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	text, err := url.QueryUnescape(c.Value)
	if err != nil {
		return "", ""
	}
	tone, message, _ = strings.Cut(text, " ")
	switch tone {
	case "success", "info", "warning", "danger":
		return tone, message
	}
	return "", ""
}

// enhancedHeader marks the requests of the page's own script.
const enhancedHeader = "X-Odcm-Fetch"

// Enhanced tells whether the page's own script asks: it wants problem+json for errors, and navigates by itself.
func Enhanced(r *http.Request) bool { return r.Header.Get(enhancedHeader) != "" }

// Redirect sends the browser to another page after a form was accepted (303, RFC 9110 section 15.4.4). The page's script
// gets the address in a header instead, because a fetch that follows redirects would load the page twice.
func Redirect(w http.ResponseWriter, r *http.Request, target string) {
	if Enhanced(r) {
		w.Header().Set("X-Odcm-Location", target)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// SignInURL is the address of the sign-in page that leads back to target afterwards.
func SignInURL(target string) string {
	if ReturnPath(target) == "/" {
		return "/sign-in"
	}
	return "/sign-in?return=" + url.QueryEscape(target)
}

// ReturnPath returns target if it is a path on this site, "/" otherwise: a return address from outside must not lead
// elsewhere ("//evil", "/\evil", "https:evil").
func ReturnPath(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") {
		return "/"
	}
	u, err := url.Parse(target)
	if err != nil || u.IsAbs() || u.Host != "" {
		return "/"
	}
	return target
}
