package identityhttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/provider"
)

// SignIn is what the sign-in page stands on beside the local password. The zero SignIn offers that alone.
type SignIn struct {
	Providers Providers
	Sealer    Sealer // required with Providers: seals a flow that is under way into a cookie
	// Onward names where a path of this site leads in the end, for the page to say so; false where it is a plain page. Nil
	// knows of none.
	Onward func(ctx context.Context, path string) (Destination, bool)
	// Forgotten is the page that mails a new password; no link to it if empty.
	Forgotten string
	Logger    *slog.Logger // slog.Default if nil
}

// Providers are the ways to sign in that an administrator set up. Package provider fills it.
type Providers interface {
	// Enabled lists them in their order. It is called for every sign-in page: it must be cheap.
	Enabled(ctx context.Context) ([]provider.Provider, error)
	// Source returns odcm.NotFound where there is none enabled with the identifier.
	Source(ctx context.Context, id odcm.ProviderID) (provider.Source, error)
}

// Sealer encrypts for a place; see kit/seal.
type Sealer interface {
	Seal(plain []byte, place string) (string, error)
	Open(sealed, place string) ([]byte, error)
}

// Destination is another site to which a sign-in leads on.
type Destination struct {
	Name   string // "Payments"
	Origin string // "https://octopus.example.com": the browser may be sent on to it after the form
}

// signInForm is what the sign-in page shows.
type signInForm struct {
	Return, Username string
	Again            bool // somebody is signed in, and is to prove it once more
	Error            string
	Onward           Destination
	offers           offers
	Forgotten        string
}

func (h *handler) registerSignIn() {
	if h.ways.Logger == nil {
		h.ways.Logger = slog.Default()
	}
	h.site.HandlePublic("GET /sign-in", h.signInPage)
	h.site.HandlePublic("POST /sign-in", h.signIn)
	h.site.HandlePublic("POST /sign-in/guest", h.signInAsGuest)
	h.site.HandlePublic("GET /sign-in/with/{provider}", h.beginFlow)
	h.site.HandlePublic("GET /sign-in/callback/{provider}", h.finishFlow)
	h.site.HandlePublic("POST /sign-in/callback/{provider}", h.turnFlow)
	h.site.AcceptCrossSite("POST /sign-in/callback/{provider}")
	h.site.HandlePublic("GET /sign-in/windows/{provider}", h.signInByTicket)
	h.site.HandlePublic("POST /sign-out", h.signOut)
}

// SignInURL is the address of the sign-in page that leads on to a path of this site afterwards. Again asks even who is signed in
// already, and makes a new session; hint is a name to fill in.
func SignInURL(to string, again bool, hint string) string {
	return "/sign-in" + queryOf(signInForm{Return: web.ReturnPath(to), Again: again, Username: hint})
}

// signInPage shows the form, or leads on who is signed in already, unless he is to prove it once more.
func (h *handler) signInPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := signInForm{Return: web.ReturnPath(q.Get("return")), Username: q.Get("login_hint"), Again: q.Get("again") == "1"}
	if p := web.Principal(r.Context()); p.User == "" {
		f.Again = false
	} else if !f.Again {
		web.Redirect(w, r, f.Return)
		return nil
	} else if f.Username == "" {
		f.Username = p.Name
	}
	return h.renderSignIn(w, r, http.StatusOK, f)
}

// renderSignIn draws the page with all the ways in that there are. That these cannot be listed keeps nobody from the password.
func (h *handler) renderSignIn(w http.ResponseWriter, r *http.Request, status int, f signInForm) error {
	f.offers, f.Forgotten = h.offers(r, f), h.ways.Forgotten
	if len(f.Username) > maxHint {
		f.Username = ""
	}
	title := "Sign in"
	if f.Again {
		title = "Sign in again"
	}
	if h.ways.Onward != nil && f.Return != "/" {
		if to, ok := h.ways.Onward(r.Context(), f.Return); ok {
			f.Onward = to
			allowOnward(w, to)
		}
	}
	return h.site.Render(w, r, status, web.Page{Title: title, Bare: true, Body: signInBody(f)})
}

// allowOnward lets the answer to the form lead on to the other site: browsers hold form-action against redirects too.
func allowOnward(w http.ResponseWriter, to Destination) {
	if to.Origin != "" {
		web.Allow(w, "form-action", to.Origin)
	}
}

// maxHint is the longest username or address that anybody can sign in with.
const maxHint = 320

// signIn checks the form. What failed is said on the form itself; the password is never sent back.
func (h *handler) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return odcm.E(odcm.Invalid, "request.malformed", "The form could not be read: go back and try again.").Because(err)
	}
	f := signInForm{Return: web.ReturnPath(r.PostForm.Get("return")), Username: r.PostForm.Get("username"), Again: r.PostForm.Get("again") == "1"}
	secret, session, err := h.Service.SignIn(r.Context(), identity.Credentials{
		Username: f.Username, Password: r.PostForm.Get("password"), From: h.client(r),
	})
	if err != nil {
		return h.refuseSignIn(w, r, f, err)
	}
	h.forgetLast(w, r)
	return h.enter(w, r, secret, session, f.Return)
}

// refuseSignIn shows the page again with what is wrong, where that is for people to know.
func (h *handler) refuseSignIn(w http.ResponseWriter, r *http.Request, f signInForm, err error) error {
	status := web.StatusOf(err)
	var e *odcm.Error
	switch code := odcm.CodeOf(err); {
	case code == "identity.sign-in-failed":
		f.Error = "The username or the password is not right."
	case web.RetryAfter(err) > 0:
		wait := strconv.Itoa(max(1, int(web.RetryAfter(err).Seconds())))
		w.Header().Set("Retry-After", wait)
		f.Error = "Too many tries. Wait " + wait + " seconds, then sign in again."
	case odcm.KindOf(err) == odcm.Internal || !errors.As(err, &e):
		return err
	default:
		f.Error = e.Message
	}
	return h.renderSignIn(w, r, status, f)
}

func (h *handler) signInAsGuest(w http.ResponseWriter, r *http.Request) error {
	f := signInForm{Return: web.ReturnPath(r.PostFormValue("return"))}
	secret, session, err := h.Service.SignInAsGuest(r.Context(), h.client(r))
	if err != nil {
		return h.refuseSignIn(w, r, f, err)
	}
	return h.enter(w, r, secret, session, f.Return)
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

// focusElsewhere tells whether the way that was used last has the focus, so that Enter takes it again.
func (f signInForm) focusElsewhere() bool { return f.offers.LastFirst && f.Error == "" }

// buttonKind leaves one primary button on the page.
func (f signInForm) buttonKind() string {
	if f.offers.LastFirst {
		return ""
	}
	return "primary"
}

func (f signInForm) otherWays() []offer {
	if f.offers.LastFirst {
		return f.offers.Ways[1:]
	}
	return f.offers.Ways
}
