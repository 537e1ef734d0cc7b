package rest

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/configuration"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/signin"
)

// Names of cookies and headers are those of ApiConstants.cs in OctopusClients.
const (
	sessionCookie = "OctopusIdentificationToken_"
	csrfCookie    = "Octopus-Csrf-Token_"
	csrfHeader    = "X-Octopus-Csrf-Token"
)

// principal says who asks: by API key, by access token, by session cookie.
func (h *Handler) principal(w http.ResponseWriter, r *http.Request) (permission.Principal, error) {
	if who, ok := r.Context().Value(asking{}).(permission.Principal); ok {
		return who, nil
	}
	if key := apiKey(r); key != "" {
		return h.holder(r, key)
	}
	cookie, err := r.Cookie(sessionCookie + h.InstallationID)
	if err != nil {
		return permission.Principal{}, problem.Unauthenticated()
	}
	user, session, err := h.Identity.BySession(r.Context(), cookie.Value)
	if errors.Is(err, identity.ErrUnknown) {
		return permission.Principal{}, problem.Unauthenticated()
	}
	if err != nil {
		return permission.Principal{}, err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(csrfHeader)), []byte(session.CSRF)) != 1 {
			return permission.Principal{}, problem.New(http.StatusForbidden,
				"A request that changes something with a session cookie must repeat the cookie %s<installation> in the header %s.", csrfCookie, csrfHeader)
		}
	}
	return principalOf(user, "session", r), nil
}

// holder is who holds a key or a token.
func (h *Handler) holder(r *http.Request, key string) (permission.Principal, error) {
	via, find := "api-key", h.Identity.ByKey
	if !strings.HasPrefix(strings.ToUpper(key), "API-") && strings.Count(key, ".") == 2 { // as a JSON Web Token has
		via, find = "bearer", h.External.Bearer
	}
	user, err := find(r.Context(), key)
	switch {
	case errors.Is(err, identity.ErrExpired):
		return permission.Principal{}, problem.New(http.StatusUnauthorized, "The API key you provided has expired. Please make a new one and try again.")
	case errors.Is(err, identity.ErrUnknown) && via == "bearer":
		return permission.Principal{}, problem.New(http.StatusUnauthorized, "The access token you provided was not valid, or has expired. Please get a new one and try again.")
	case errors.Is(err, identity.ErrUnknown):
		return permission.Principal{}, problem.New(http.StatusUnauthorized, "The API key you provided was not valid. Please double-check your API key and try again.")
	}
	p := principalOf(user, via, r)
	if user != nil {
		p.KeyExpires = user.Expires
	}
	return p, err
}

// apiKey finds a key where Octopus takes one: two headers (net/http ignores their case), the query, a bearer token.
func apiKey(r *http.Request) string {
	for _, name := range []string{"X-Octopus-ApiKey", "X-NuGet-ApiKey"} {
		if key := r.Header.Get(name); key != "" {
			return key
		}
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(token)
	}
	for name, values := range r.URL.Query() {
		if strings.EqualFold(name, "ApiKey") && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func principalOf(u *identity.User, via string, r *http.Request) permission.Principal {
	if u == nil {
		return permission.Principal{}
	}
	return permission.Principal{ID: u.ID, Username: u.Username, Service: u.Service, Via: via, Address: address(r), Agent: r.UserAgent(), Set: u.Set}
}

// session are the routes that set cookies.
func (h *Handler) session() []collection.Action {
	return []collection.Action{
		{Method: http.MethodPost, Path: "users/login", Scope: collection.InSystem, Anonymous: true, Handle: h.login},
		{Method: http.MethodPost, Path: "users/logout", Scope: collection.InSystem, Anonymous: true, Handle: h.logout},
	}
}

func (h *Handler) login(c *collection.Call) (any, error) {
	var command struct {
		Username, Password string
		RememberMe         bool
		State              struct{ UsingSecureConnection bool }
	}
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	user, session, err := h.start(c.Context, c.Address, command.Username, command.Password, command.RememberMe)
	if err != nil {
		return nil, err
	}
	c.Principal = permission.Principal{ID: user.ID, Username: user.Username, Set: permission.System().Set} // everyone may read oneself
	me, err := h.Service.Get(c.Context, c.Request, h.Service.Kind("Users"), user.ID)
	if err != nil {
		return nil, err
	}
	return collection.Answer{Status: http.StatusOK, Header: h.Cookies(session, command.State.UsingSecureConnection), Value: me}, nil
}

// start makes a session for whoever knows the password, and for a guest where guests are welcome.
func (h *Handler) start(ctx context.Context, address, username, password string, keep bool) (*identity.User, identity.Session, error) {
	if len(password) > 1024 {
		return nil, identity.Session{}, problem.Invalid("The password is too long.")
	}
	if err := h.attempt(limit.SignIn(), address); err != nil {
		return nil, identity.Session{}, err
	}
	if err := h.attempt(limit.SignInAs(), address+"/"+strings.ToLower(username)); err != nil {
		return nil, identity.Session{}, err
	}
	if strings.EqualFold(username, signin.GuestName) && password == "" {
		return h.guest(ctx)
	}
	if on, err := h.External.Enabled(ctx, configuration.UsernamePassword); err != nil {
		return nil, identity.Session{}, err
	} else if !on {
		return nil, identity.Session{}, problem.Invalid("Sign-in with a user name and a password is disabled on this server.")
	}
	user, err := h.Identity.ByPassword(ctx, username, password)
	if errors.Is(err, identity.ErrUnknown) || err == nil && user.Service {
		return nil, identity.Session{}, problem.Invalid("Invalid username or password.")
	}
	if err != nil {
		return nil, identity.Session{}, err
	}
	session, err := h.Identity.Start(ctx, user.ID, keep)
	return user, session, err
}

// Cookies are the headers that give a browser a session.
func (h *Handler) Cookies(session identity.Session, secure bool) http.Header {
	header := http.Header{}
	for _, cookie := range []*http.Cookie{
		{Name: sessionCookie + h.InstallationID, Value: session.Token, HttpOnly: true},
		{Name: csrfCookie + h.InstallationID, Value: session.CSRF}, // read by scripts and clients: no HttpOnly
	} {
		cookie.Path, cookie.SameSite, cookie.Secure = "/", http.SameSiteLaxMode, secure
		if session.Keep {
			cookie.Expires = session.Expires
		}
		header.Add("Set-Cookie", cookie.String())
	}
	return header
}

// Principal says who asks for a page.
func (h *Handler) Principal(w http.ResponseWriter, r *http.Request) (permission.Principal, error) {
	return h.principal(w, r)
}

// SignIn sets the cookies of a new session.
func (h *Handler) SignIn(w http.ResponseWriter, r *http.Request, username, password string, keep bool) error {
	_, session, err := h.start(r.Context(), address(r), username, password, keep)
	if err != nil {
		return err
	}
	for _, cookie := range h.Cookies(session, r.TLS != nil)["Set-Cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
	return nil
}

// Offered tells whom the browser may go on as, while ODCM does not answer: entitlement.ErrNone where nobody.
func (h *Handler) Offered(r *http.Request) (entitlement.Offer, error) {
	return h.Known.Offered(r.Context(), knownAs(r))
}

// Enter sets the cookies of a session by the entitlement snapshot.
func (h *Handler) Enter(w http.ResponseWriter, r *http.Request) error {
	if err := h.attempt(limit.SignIn(), address(r)); err != nil {
		return err
	}
	session, err := h.Known.Enter(r.Context(), knownAs(r), address(r))
	if errors.Is(err, entitlement.ErrNone) {
		return problem.Invalid("ODCM answers again, or its entitlement snapshot does not name you any more: please sign in by way of ODCM.")
	}
	if err != nil {
		return err
	}
	for _, cookie := range h.Cookies(session, r.TLS != nil)["Set-Cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
	return nil
}

func knownAs(r *http.Request) string {
	cookie, err := r.Cookie(entitlement.Cookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// SignOut ends the session of the request.
func (h *Handler) SignOut(w http.ResponseWriter, r *http.Request) error {
	header, err := h.end(r.Context(), r)
	for _, cookie := range header["Set-Cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
	return err
}

func (h *Handler) logout(c *collection.Call) (any, error) {
	header, err := h.end(c.Context, &http.Request{Header: c.Header})
	return collection.Answer{Status: http.StatusOK, Header: header}, err
}

// end ends the session of a request and returns what removes its cookies.
func (h *Handler) end(ctx context.Context, r *http.Request) (http.Header, error) {
	header := http.Header{}
	if cookie, err := r.Cookie(sessionCookie + h.InstallationID); err == nil {
		if err := h.Identity.End(ctx, cookie.Value); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{sessionCookie, csrfCookie} {
		header.Add("Set-Cookie", (&http.Cookie{Name: name + h.InstallationID, Path: "/", MaxAge: -1}).String())
	}
	return header, nil
}
