package ssohttp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/sso"
	"odcm/manager/sso/device"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/logout"
)

// AuthorizePath is the authorization endpoint, below the issuer.
const AuthorizePath = "/oauth2/authorize"

// The other endpoints.
const (
	discoveryPath  = "/.well-known/openid-configuration"
	tokenPath      = sso.TokenPath
	keysPath       = "/oauth2/keys"
	userinfoPath   = "/oauth2/userinfo"
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
	devicePath     = "/oauth2/device"
	signOutPath    = "/oauth2/sign-out"
	consentPath    = "/oauth2/consent"

	entitlementsPath = "/oauth2/entitlements"
)

// KeySet is the JSON Web Key Set as it is served, with its entity tag. Package ssokey has it.
type KeySet interface {
	Set(ctx context.Context) (body []byte, etag string, err error)
}

// Options are what the door needs.
type Options struct {
	Service *grant.Service
	Devices *device.Service
	Logout  *logout.Service
	Keys    KeySet
	Site    *web.Site
	// Session tells which session of ODCM the browser has.
	Session func(*http.Request) (sessionID string, user odcm.UserID, ok bool)
	// SignIn is the address of the sign-in page that leads back to the path. Fresh asks even who is signed in already; hint is
	// a name to fill in. web.SignInURL, which knows neither, if nil.
	SignIn func(to string, fresh bool, hint string) string
	// SignOut ends the browser's session of ODCM and takes its cookie away.
	SignOut func(http.ResponseWriter, *http.Request) error
	Logger  *slog.Logger // slog.Default if nil
}

type handler struct {
	Options
	metadata atomic.Pointer[document]
}

// Door is what [Register] made.
type Door struct{ h *handler }

// Before answers what is asked most, tokens, metadata, keys, and sign-ins that need no page, and gives everything else to next.
// It may stand before the site, whose work on a request is for people who look at the answer: a nonce and a policy for scripts,
// a check where forms come from.
func (d Door) Before(next http.Handler) http.Handler {
	token := d.h.endpoint(d.h.token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		post, get := r.Method == http.MethodPost, r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case post && r.URL.Path == tokenPath:
			token.ServeHTTP(w, r)
		case r.Method == http.MethodGet && r.URL.Path == AuthorizePath:
			d.h.authorizeDirectly(w, r, next)
		case get && r.URL.Path == keysPath:
			d.h.keySet(w, r)
		case get && r.URL.Path == discoveryPath:
			d.h.discovery(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Register puts the endpoints and pages on the site.
func Register(o Options) Door {
	if o.SignIn == nil {
		o.SignIn = func(to string, _ bool, _ string) string { return web.SignInURL(to) }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	h := &handler{Options: o}
	site := o.Site
	site.Mount("GET "+discoveryPath, http.HandlerFunc(h.discovery))
	site.Mount("GET "+keysPath, http.HandlerFunc(h.keySet))
	site.Mount("POST "+tokenPath, h.endpoint(h.token))
	site.Mount("POST "+introspectPath, h.endpoint(h.introspect))
	site.Mount("POST "+revokePath, h.endpoint(h.revoke))
	site.Mount("POST "+devicePath, h.endpoint(h.device))
	site.Mount("POST "+entitlementsPath, h.endpoint(h.entitlements))
	site.Mount("GET "+userinfoPath, http.HandlerFunc(h.userinfo))
	site.Mount("POST "+userinfoPath, http.HandlerFunc(h.userinfo))
	for _, method := range []string{"GET ", "POST "} {
		site.Mount(method+AuthorizePath, h.page(h.authorize))
		site.Mount(method+signOutPath, h.page(h.signOut))
	}
	// Relying parties may send these by a form (OpenID Connect Core section 3.1.2.1, RP-Initiated Logout section 2). Neither
	// does anything by itself that a link to it would not do.
	site.AcceptCrossSite("POST " + AuthorizePath)
	site.AcceptCrossSite("POST " + signOutPath)
	site.Mount("POST "+consentPath, h.page(h.consent))
	site.Mount("POST "+signOutPath+"/confirm", h.page(h.confirmSignOut))
	site.Handle("GET /device", h.devicePage)
	site.Handle("POST /device", h.deviceAnswer)
	return Door{h}
}

// page lets a handler return an error, which becomes a page for people.
func (h *handler) page(f web.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := f(w, r); err != nil {
			h.Site.Error(w, r, err)
		}
	})
}

// parameters returns those of the query or, of a POST, those of the body: never of both, for then one could hide another.
func parameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, odcm.E(odcm.Invalid, "sso.request-malformed", "The application that sent you here wrote an address that cannot be read.").Because(err)
		}
		return values, nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, odcm.E(odcm.Invalid, "sso.request-malformed", "The form that sent you here cannot be read.").Because(err)
	}
	return r.PostForm, nil
}

// maxForm bounds the body of a request in bytes.
const maxForm = 64 << 10

// session returns the browser's session of ODCM, "" where there is none.
func (h *handler) session(r *http.Request) string {
	id, _, ok := h.Session(r)
	if !ok {
		return ""
	}
	return id
}

func (h *handler) consent(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return err
	}
	a, err := h.Service.Consented(r.Context(), values.Get("ticket"), h.session(r), values.Get("answer") == "allow")
	if err != nil {
		return err
	}
	return h.answer(w, r, a, values)
}

func (h *handler) signOut(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return err
	}
	for name, all := range values {
		if len(all) > 1 {
			return odcm.E(odcm.Invalid, "sso.request-malformed", "The application that sent you here says %.40q twice.", name)
		}
	}
	session := h.session(r)
	out, err := h.Logout.SignOut(r.Context(), logout.Request{Hint: values.Get("id_token_hint"), Client: sso.PartyID(values.Get("client_id")),
		To: values.Get("post_logout_redirect_uri"), State: values.Get("state")}, session)
	if err != nil {
		return err
	}
	if out.Ticket != "" {
		web.Allow(w, "form-action", origin(out.Back))
		return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Sign out?", Bare: true, Headless: true, Body: signOutBody(out)})
	}
	return h.signedOut(w, r, session, out.Back)
}

func (h *handler) confirmSignOut(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return err
	}
	session := h.session(r)
	back, err := h.Logout.Confirm(r.Context(), values.Get("ticket"), session)
	if err != nil {
		return err
	}
	if values.Get("answer") != "sign-out" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	return h.signedOut(w, r, session, back)
}

func (h *handler) signedOut(w http.ResponseWriter, r *http.Request, session, back string) error {
	if session != "" {
		if err := h.SignOut(w, r); err != nil {
			return err
		}
	}
	if back != "" {
		redirect(w, back)
		return nil
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Signed out", Bare: true, Headless: true, Body: signedOutBody()})
}

func (h *handler) devicePage(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("user_code")
	return h.renderDevice(w, r, http.StatusOK, deviceForm{Code: code[:min(len(code), 40)]})
}

func (h *handler) renderDevice(w http.ResponseWriter, r *http.Request, status int, f deviceForm) error {
	return h.Site.Render(w, r, status, web.Page{Title: "Let a device in", Bare: true, Headless: true, Body: deviceBody(f)})
}

// deviceAnswer takes the code, shows what asks, and takes the answer: nobody lets in what he has not seen (RFC 8628 section
// 5.4).
func (h *handler) deviceAnswer(w http.ResponseWriter, r *http.Request) error {
	f := deviceForm{Code: r.PostFormValue("code")}
	var err error
	switch answer := r.PostFormValue("answer"); answer {
	case "allow", "deny":
		if err = h.Devices.Decide(r.Context(), h.session(r), f.Code, answer == "allow"); err == nil {
			f.Done = map[string]string{"allow": "The device is in. You may close this page.", "deny": "The device was turned away."}[answer]
		}
	default:
		var p sso.Party
		if p, f.Scopes, err = h.Devices.Find(r.Context(), web.Principal(r.Context()).User, f.Code); err == nil {
			f.Party = p.Name
		}
	}
	if err == nil {
		return h.renderDevice(w, r, http.StatusOK, f)
	}
	if kind := odcm.KindOf(err); kind != odcm.Invalid && kind != odcm.Conflict && kind != odcm.Unavailable || web.Enhanced(r) {
		return err
	}
	f = deviceForm{Code: f.Code, Error: web.ProblemOf(r.Context(), err).Detail}
	return h.renderDevice(w, r, web.StatusOf(err), f)
}
