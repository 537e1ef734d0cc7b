package ssohttp

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

// endpoint is one that programs call: a form comes in, JSON goes out.
func (h *handler) endpoint(f func(r *http.Request, c sso.Credentials) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		c, err := credentials(w, r)
		if err == nil {
			answer, err = f(r, c)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		if jws, ok := answer.(compact); ok {
			w.Header().Set("Content-Type", "application/jwt")
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write([]byte(jws))
			return
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// credentials reads the form and how the client proves who it is: by one way only (RFC 6749 section 2.3), and never in the
// address, which is logged.
func credentials(w http.ResponseWriter, r *http.Request) (c sso.Credentials, err error) {
	const form = "application/x-www-form-urlencoded"
	if kind := r.Header.Get("Content-Type"); kind != form {
		if kind, _, _ = mime.ParseMediaType(kind); kind != form {
			return c, oidc.ErrInvalidRequest().WithDescription("want " + form)
		}
	}
	if r.URL.RawQuery != "" {
		return c, oidc.ErrInvalidRequest().WithDescription("parameters belong into the body")
	}
	if r.PostForm, err = read(w, r); err != nil {
		return c, oidc.ErrInvalidRequest().WithDescription("the form cannot be read")
	}
	for name, all := range r.PostForm {
		if len(all) > 1 {
			return c, oidc.ErrInvalidRequest().WithDescription("a parameter is there twice: %.40q", name)
		}
	}
	c = sso.Credentials{ID: sso.PartyID(r.PostForm.Get("client_id")), Secret: r.PostForm.Get("client_secret"),
		Assertion: r.PostForm.Get("client_assertion"), Type: r.PostForm.Get("client_assertion_type")}
	id, secret, basic := r.BasicAuth()
	ways := 0
	for _, is := range []bool{basic, c.Secret != "", c.Assertion != ""} {
		if is {
			ways++
		}
	}
	if ways > 1 {
		return c, oidc.ErrInvalidRequest().WithDescription("the client authenticates in more than one way")
	}
	if basic { // both parts are form-encoded (RFC 6749 section 2.3.1)
		id, err1 := url.QueryUnescape(id)
		secret, err2 := url.QueryUnescape(secret)
		if err := errors.Join(err1, err2); err != nil || c.ID != "" && c.ID != sso.PartyID(id) {
			return c, oidc.ErrInvalidClient().WithDescription("the header Authorization cannot be read, or names another client than client_id")
		}
		c.ID, c.Secret = sso.PartyID(id), secret
	}
	if c.ID == "" && c.Assertion == "" {
		return c, oidc.ErrInvalidClient().WithDescription("client_id is missing")
	}
	return c, nil
}

// read reads a form in one piece, as long as the header says that it is.
func read(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body := http.MaxBytesReader(w, r.Body, maxForm)
	size := r.ContentLength
	if size < 0 || size > maxForm {
		text, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		return url.ParseQuery(string(text))
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(body, text); err != nil {
		return nil, err
	}
	return url.ParseQuery(string(text))
}

func (h *handler) token(r *http.Request, c sso.Credentials) (any, error) {
	form := r.PostForm
	switch oidc.GrantType(form.Get("grant_type")) {
	case oidc.GrantTypeCode:
		if form.Get("code") == "" || form.Get("redirect_uri") == "" {
			return nil, oidc.ErrInvalidRequest().WithDescription("code or redirect_uri is missing")
		}
		return h.Service.Exchange(r.Context(), c, grant.CodeExchange{Code: form.Get("code"), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier")})
	case oidc.GrantTypeRefreshToken:
		if form.Get("refresh_token") == "" {
			return nil, oidc.ErrInvalidRequest().WithDescription("refresh_token is missing")
		}
		return h.Service.Refresh(r.Context(), c, form.Get("refresh_token"), form.Get("scope"))
	case oidc.GrantTypeDeviceCode:
		if form.Get("device_code") == "" {
			return nil, oidc.ErrInvalidRequest().WithDescription("device_code is missing")
		}
		return h.Devices.Tokens(r.Context(), c, form.Get("device_code"))
	case "":
		return nil, oidc.ErrInvalidRequest().WithDescription("grant_type is missing")
	}
	return nil, oidc.ErrUnsupportedGrantType()
}

// compact is an answer that is a JSON Web Signature and no JSON.
type compact string

func (h *handler) entitlements(r *http.Request, c sso.Credentials) (any, error) {
	snapshot, err := h.Service.Entitlements(r.Context(), c)
	return compact(snapshot), err
}

func (h *handler) introspect(r *http.Request, c sso.Credentials) (any, error) {
	return h.Service.Introspect(r.Context(), c, r.PostForm.Get("token"))
}

func (h *handler) revoke(r *http.Request, c sso.Credentials) (any, error) {
	if r.PostForm.Get("token") == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("token is missing")
	}
	return nil, h.Service.RevokeToken(r.Context(), c, r.PostForm.Get("token"))
}

func (h *handler) device(r *http.Request, c sso.Credentials) (any, error) {
	d, err := h.Devices.Begin(r.Context(), c, r.PostForm.Get("scope"))
	if err != nil {
		return nil, err
	}
	page := h.Service.Issuer() + "/device"
	return oidc.DeviceAuthorizationResponse{DeviceCode: d.Code, UserCode: d.UserCode, VerificationURI: page,
		VerificationURIComplete: page + "?user_code=" + url.QueryEscape(d.UserCode), ExpiresIn: int(d.Life.Seconds()), Interval: int(d.Interval.Seconds())}, nil
}

// userinfo takes the access token by header or, posted, in the body; never in the address (RFC 6750 section 2, RFC 9700
// section 4.3.2).
func (h *handler) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	if r.Method == http.MethodPost {
		values, err := parameters(w, r)
		if err != nil || token != "" && values.Has("access_token") || len(values["access_token"]) > 1 {
			h.fail(w, r, oidc.ErrInvalidRequest().WithDescription("the access token comes once"))
			return
		}
		if token == "" {
			token = values.Get("access_token")
		}
	}
	if token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(w, http.StatusUnauthorized, &oidc.Error{ErrorType: "invalid_token", Description: "the access token is missing"})
		return
	}
	u, err := h.Service.UserInfo(r.Context(), token)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, u)
}

// fail answers an error of the protocol (RFC 6749 section 5.2, RFC 6750 section 3.1). Others are logged and not told.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *oidc.Error
	if !errors.As(err, &e) {
		status, kind := http.StatusInternalServerError, oidc.ErrServerError()
		if web.StatusOf(err) == http.StatusServiceUnavailable {
			status, kind = http.StatusServiceUnavailable, &oidc.Error{ErrorType: "temporarily_unavailable"}
			w.Header().Set("Retry-After", "5")
		}
		if r.Context().Err() == nil {
			h.log(r, err)
		}
		writeJSON(w, status, kind)
		return
	}
	status := http.StatusBadRequest
	switch {
	case e.ErrorType == oidc.InvalidClient:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="odcm"`)
	case e.ErrorType == "invalid_token":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	writeJSON(w, status, &oidc.Error{ErrorType: e.ErrorType, Description: e.Description})
}

func (h *handler) log(r *http.Request, err error) {
	h.Logger.ErrorContext(r.Context(), "single sign-on", "path", r.URL.Path, "kind", odcm.KindOf(err), "error", err)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	head := w.Header()
	head["Cache-Control"], head["Pragma"], head["X-Content-Type-Options"] = noStore, noCache, noSniff // RFC 6749 section 5.1
	if v == nil {
		w.WriteHeader(status)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	head["Content-Type"] = asJSON
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// headers that are shared by many answers.
var (
	noStore    = []string{"no-store"}
	noCache    = []string{"no-cache"}
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	asJSON     = []string{"application/json"}
)
