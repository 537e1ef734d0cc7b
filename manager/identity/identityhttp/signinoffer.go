package identityhttp

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/provider"
)

// offers are the ways to sign in beside the form.
type offers struct {
	Ways      []offer // the last used first
	LastFirst bool    // the first of them was used last: it stands above the form
	Guest     bool
}

// offer is one of them: a link.
type offer struct {
	Name, Href string
	Kind       provider.Kind
	Last       bool
}

// offers lists what can be used now. A provider that cannot be opened is left out: a test of its settings says why.
func (h *handler) offers(r *http.Request, f signInForm) (o offers) {
	ctx, last := r.Context(), h.lastUsed(r)
	if !f.Again {
		if guest, err := h.Service.GuestIn(ctx); err == nil {
			o.Guest = guest
		}
	}
	if h.ways.Providers == nil {
		return o
	}
	list, err := h.ways.Providers.Enabled(ctx)
	if err != nil {
		return o
	}
	for _, p := range list {
		source, err := h.ways.Providers.Source(ctx, p.ID)
		if err != nil {
			continue
		}
		for _, way := range waysOf(p, source) {
			way.Href += queryOf(f)
			if way.Last = last == way.key(); way.Last {
				o.Ways, o.LastFirst = append([]offer{way}, o.Ways...), true
			} else {
				o.Ways = append(o.Ways, way)
			}
		}
	}
	return o
}

// waysOf are the links by which a provider signs people in; the form is the way of those that check passwords.
func waysOf(p provider.Provider, source provider.Source) (ways []offer) {
	if _, ok := source.(provider.Redirects); ok {
		ways = append(ways, offer{Name: p.Name, Kind: p.Kind, Href: "/sign-in/with/" + url.PathEscape(string(p.ID))})
	}
	if _, ok := source.(provider.Tickets); ok {
		ways = append(ways, offer{Name: "Windows (" + p.Name + ")", Kind: p.Kind, Href: "/sign-in/windows/" + url.PathEscape(string(p.ID))})
	}
	return ways
}

// queryOf takes along where to go and whom the page was opened for.
func queryOf(f signInForm) string {
	q := url.Values{}
	if f.Return != "/" && f.Return != "" {
		q.Set("return", f.Return)
	}
	if f.Username != "" {
		q.Set("login_hint", f.Username)
	}
	if f.Again {
		q.Set("again", "1")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// key is what the cookie says of an offer.
func (o offer) key() string {
	path, _, _ := strings.Cut(strings.TrimPrefix(o.Href, "/sign-in/"), "?")
	return path
}

// lastCookie says by which offer somebody signed in last in this browser, which is no secret and proves nothing. Without it
// that was the form.
const lastCookie = "odcm-last-sign-in"

func (h *handler) lastUsed(r *http.Request) string {
	c, err := r.Cookie(h.cookie(r, lastCookie, "", 0).Name)
	if err != nil {
		return ""
	}
	return c.Value
}

func (h *handler) remember(w http.ResponseWriter, r *http.Request, key string) {
	http.SetCookie(w, h.cookie(r, lastCookie, key, 365*24*time.Hour))
}

func (h *handler) forgetLast(w http.ResponseWriter, r *http.Request) {
	if h.lastUsed(r) != "" {
		gone := h.cookie(r, lastCookie, "", 0)
		gone.MaxAge = -1
		http.SetCookie(w, gone)
	}
}

// cookie is one that only this host sets and gets. Lax: it comes along when a provider sends the browser back.
func (h *handler) cookie(r *http.Request, name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: h.Secure || r.TLS != nil}
	if c.Secure {
		c.Name = "__Host-" + name // RFC 6265bis section 4.1.3.2
	}
	return c
}

// sourceOf returns what a provider can do, as one of the interfaces of package provider.
func sourceOf[T any](h *handler, r *http.Request) (provider.Provider, T, error) {
	var none T
	gone := odcm.E(odcm.NotFound, "provider.not-found", "This way to sign in is not offered any more. Choose another.")
	if h.ways.Providers == nil {
		return provider.Provider{}, none, gone
	}
	id := odcm.ProviderID(r.PathValue("provider"))
	list, err := h.ways.Providers.Enabled(r.Context())
	if err != nil {
		return provider.Provider{}, none, err
	}
	for _, p := range list {
		if p.ID != id {
			continue
		}
		source, err := h.ways.Providers.Source(r.Context(), id)
		if err != nil {
			return p, none, err
		}
		if can, ok := source.(T); ok {
			return p, can, nil
		}
	}
	return provider.Provider{}, none, gone
}

// returnOf reads where a link of the page leads on to.
func returnOf(r *http.Request) string { return web.ReturnPath(r.URL.Query().Get("return")) }
