package identityhttp

import (
	"net/http"
	"net/netip"
	"strings"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/session"
)

// Authenticator tells who sent a request: by the header "Authorization: Bearer odcm_...", or else by the session cookie.
// It implements [web.Authenticator].
type Authenticator struct {
	Service *identity.Service
	// Secure tells that people reach the site over TLS (see web.Options).
	Secure bool
	// Proxies are the addresses of load balancers whose X-Forwarded-For is believed. Without them, everyone behind one
	// shares its address, and with it the delay after failed sign-ins.
	Proxies []netip.Prefix
}

// Authenticate implements [web.Authenticator]. A request with a bearer key, however malformed, is never taken for the
// cookie's owner: the site does not check it for forgery.
func (a *Authenticator) Authenticate(r *http.Request) (odcm.Principal, error) {
	found, err := a.authentication(r)
	return found.Principal, err
}

func (a *Authenticator) authentication(r *http.Request) (session.Authentication, error) {
	var secret session.Secret
	if key, ok := bearer(r.Header); ok {
		secret.APIKey = key
	} else {
		secret.Session = web.SessionToken(r, a.Secure)
	}
	return a.Service.Authenticate(r.Context(), secret, a.address(r))
}

// BySession tells whose browser asks, by its session and by nothing else.
func (a *Authenticator) BySession(r *http.Request) (session.Authentication, error) {
	return a.Service.Authenticate(r.Context(), session.Secret{Session: web.SessionToken(r, a.Secure)}, a.address(r))
}

// SignOut ends the browser's session and takes its cookie away.
func (a *Authenticator) SignOut(w http.ResponseWriter, r *http.Request, site *web.Site) error {
	if secret := web.SessionToken(r, a.Secure); secret != "" {
		if err := a.Service.SignOut(r.Context(), secret, a.client(r)); err != nil {
			return err
		}
	}
	site.ClearSession(w, r)
	return nil
}

// bearer returns the key of the header and whether there is one, be it empty (RFC 6750 section 2.1). Schemes are compared
// without regard to case (RFC 9110 section 11.1); other schemes may be a proxy's.
func bearer(h http.Header) (key string, ok bool) {
	for _, v := range h.Values("Authorization") {
		scheme, rest, _ := strings.Cut(v, " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// client is where the request comes from.
func (a *Authenticator) client(r *http.Request) session.Client {
	return session.Client{Address: a.address(r), UserAgent: r.UserAgent()}
}

// address is that of the nearest sender who is not one of our proxies. X-Forwarded-For is read from its end, since only
// what our own proxies appended is true.
func (a *Authenticator) address(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := from.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.trusted(address); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = next.Unmap()
	}
	return address.WithZone("").String()
}

func (a *Authenticator) trusted(address netip.Addr) bool {
	for _, p := range a.Proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}
