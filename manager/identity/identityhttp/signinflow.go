package identityhttp

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/provider"
)

// flow is a sign-in at a provider that is under way. It waits, sealed, in a cookie of the browser that began it, so that an
// answer counts in that browser alone: nobody can be signed in as somebody else by a link (RFC 9700 section 4.7).
type flow struct {
	provider.Flow
	Provider odcm.ProviderID
	Return   string
	Intent   intent
	Until    time.Time
}

const (
	flowCookie = "odcm-flow-" // and the first letters of the state: several tabs may be under way
	flowLife   = 10 * time.Minute
	flowsMost  = 4
	flowBytes  = 3800 // of the sealed flow: browsers keep 4096 of a cookie with its name and attributes
)

func (h *handler) flowCookie(r *http.Request, state, sealed string, life time.Duration) *http.Cookie {
	return h.cookie(r, flowCookie+state[:min(len(state), 8)], sealed, life)
}

// beginFlow sends the browser to the provider.
func (h *handler) beginFlow(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := flow{Provider: odcm.ProviderID(r.PathValue("provider")), Return: returnOf(r), Until: h.now().Add(flowLife), Intent: h.meant(w, r),
		Flow: provider.Flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Again: q.Get("again") == "1"}}
	if hint := q.Get("login_hint"); len(hint) <= maxHint {
		f.LoginHint = hint
	}
	p, source, err := sourceOf[provider.Redirects](h, r)
	if err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	target, err := source.Begin(r.Context(), f.Flow)
	if err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	if err := h.keepFlow(w, r, f); err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

// keepFlow leaves the cookie, and takes away those of other flows where there are too many.
func (h *handler) keepFlow(w http.ResponseWriter, r *http.Request, f flow) error {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false) // each & of an address would take six bytes
	if err := e.Encode(f); err != nil {
		return err
	}
	sealed, err := h.ways.Sealer.Seal(plain.Bytes(), flowPlace(f.Provider))
	if err != nil {
		return err
	}
	if len(sealed) > flowBytes {
		return odcm.E(odcm.Invalid, "sign-in.return-too-long", "The address to go on to is too long to be kept. Sign in first, then open it again.")
	}
	others := 0
	prefix := h.flowCookie(r, "", "", 0).Name
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, prefix) {
			continue
		}
		if others++; others >= flowsMost {
			h.dropFlow(w, r, strings.TrimPrefix(c.Name, prefix))
		}
	}
	http.SetCookie(w, h.flowCookie(r, f.State, sealed, flowLife))
	return nil
}

func (h *handler) dropFlow(w http.ResponseWriter, r *http.Request, state string) {
	gone := h.flowCookie(r, state, "", 0)
	gone.MaxAge = -1
	http.SetCookie(w, gone)
}

// flowPlace binds the cookie to its provider, as kit/seal binds a secret to its row.
func flowPlace(id odcm.ProviderID) string { return "sign-in/flow/" + string(id) }

// takeFlow reads the flow that the answer belongs to, and forgets it: an answer counts once.
func (h *handler) takeFlow(w http.ResponseWriter, r *http.Request, id odcm.ProviderID) (f flow, err error) {
	gone := odcm.E(odcm.Invalid, "sign-in.state", "This sign-in took too long, was finished already, or was begun in another browser. Begin again.")
	state := r.URL.Query().Get("state")
	c, err := r.Cookie(h.flowCookie(r, state, "", 0).Name)
	if err != nil || len(state) < 16 || h.ways.Sealer == nil {
		return f, gone
	}
	plain, err := h.ways.Sealer.Open(c.Value, flowPlace(id))
	if err != nil {
		return f, gone.Because(err)
	}
	h.dropFlow(w, r, state)
	if err := json.Unmarshal(plain, &f); err != nil {
		return flow{}, gone.Because(err)
	}
	if f.Provider != id || f.State != state || !h.now().Before(f.Until) {
		return flow{Return: f.Return}, gone
	}
	return f, nil
}

// finishFlow reads what the browser brings back, and signs in.
func (h *handler) finishFlow(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address of this page holds the code
	id := odcm.ProviderID(r.PathValue("provider"))
	f, err := h.takeFlow(w, r, id)
	if err != nil {
		return h.refuseFlow(w, r, provider.Provider{ID: id}, f, err)
	}
	p, source, err := sourceOf[provider.Redirects](h, r)
	if err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	// Whoever asked for one more identity must still be the one who sits here.
	if user, ok := strings.CutPrefix(string(f.Intent), string(linking)); ok && user != string(web.Principal(r.Context()).User) {
		return h.refuseFlow(w, r, p, f, odcm.E(odcm.Denied, "sign-in.link-session",
			"You are not signed in any more as the one who wanted to link this account. Sign in, then link it again."))
	}
	who, err := source.Finish(r.Context(), f.Flow, r.URL.Query())
	if err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	if !strings.HasPrefix(string(f.Intent), string(linking)) {
		h.remember(w, r, offer{Href: "/sign-in/with/" + url.PathEscape(string(p.ID))}.key())
	}
	if err := h.arrive(w, r, f.Intent, who, f.Return); err != nil {
		return h.refuseFlow(w, r, p, f, err)
	}
	return nil
}

// turnFlow takes an answer that a provider posts (OAuth 2.0 Form Post Response Mode), though none is asked to, and turns it into
// the usual one: with another site's post the browser sends none of the cookies that prove whose answer it is. It does nothing
// else, which is why any site may post here.
func (h *handler) turnFlow(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The provider's answer could not be read: begin again.").Because(err)
	}
	q := url.Values{}
	for _, name := range []string{"code", "state", "iss", "error"} {
		if v := r.PostForm[name]; len(v) > 0 {
			q[name] = v[:min(len(v), 2)] // two are refused
		}
	}
	if len(q.Encode()) > 16<<10 {
		return odcm.E(odcm.Invalid, "request.malformed", "The provider's answer is too long.")
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, "/sign-in/callback/"+url.PathEscape(r.PathValue("provider"))+"?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// refuseFlow shows the sign-in page with what went wrong and all other ways in, and leaves an event. Whoever is signed in and
// wanted to link an account is told so where he came from.
func (h *handler) refuseFlow(w http.ResponseWriter, r *http.Request, p provider.Provider, f flow, err error) error {
	code := odcm.CodeOf(err)
	if code != "provider.not-found" && !strings.HasPrefix(code, "identity.") { // those leave their own
		h.Service.RecordRefusal(r.Context(), p.ID, code, h.client(r))
	}
	signedIn := web.Principal(r.Context()).User != ""
	form := signInForm{Return: web.ReturnPath(f.Return), Username: f.LoginHint, Again: f.Again && signedIn}
	form.Error = explainFlow(p, err)
	if form.Error == "" || r.Context().Err() != nil {
		return h.refuseSignIn(w, r, form, err)
	}
	h.ways.Logger.WarnContext(r.Context(), "sign-in with a provider failed", "provider", p.ID, "code", code, "error", err)
	if signedIn && strings.HasPrefix(string(f.Intent), string(linking)) {
		h.site.Flash(w, r, "danger", form.Error)
		web.Redirect(w, r, "/settings/identities")
		return nil
	}
	return h.renderSignIn(w, r, web.StatusOf(err), form)
}

// explainFlow says to the person what went wrong: "" where that is a defect, or a matter of waiting. Addresses and settings
// of a provider are not for everybody's eyes.
func explainFlow(p provider.Provider, err error) string {
	name := p.Name
	if name == "" {
		name = "The provider"
	}
	code, kind := odcm.CodeOf(err), odcm.KindOf(err)
	var e *odcm.Error
	switch {
	case kind == odcm.Internal || web.RetryAfter(err) > 0 || !errors.As(err, &e):
		return ""
	case code == "egress.timeout":
		return name + " does not answer in time. Try again, or sign in another way."
	case kind == odcm.Unavailable && strings.HasPrefix(code, "egress."):
		return name + " cannot be reached. Try again, or sign in another way."
	case strings.HasPrefix(code, "egress."), kind == odcm.Invalid && strings.HasPrefix(code, "provider."):
		return name + " is not set up well: an administrator can find out why by testing it. Sign in another way."
	}
	return e.Message
}
