// Package rest is the Space server's HTTP: routes with and without a space, who asks, bounds, and answers in Octopus's
// shapes.
package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/entitlement"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/limit"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/signin"
)

// Options are what the handler needs.
type Options struct {
	Service  *collection.Service
	Identity *identity.Service
	External *signin.Service
	// Known lets people in whom the entitlement snapshot names, while ODCM does not answer.
	Known   *entitlement.Door
	Limiter *limit.Limiter
	// Policies are the rate limiting policies by their scope, as they are now.
	Policies       func(ctx context.Context) (limit.Policies, error)
	Actions        []collection.Action // beside those of the kinds
	InstallationID string
	MaxBody        int64
	MaxPackage     int64
	Page           func(h *Handler) http.Handler // makes what answers outside of /api
	Logger         *slog.Logger
}

// Handler answers /api and, through Page, the rest.
type Handler struct {
	Options
	routes tree
	page   http.Handler
}

// New lays out the routes.
func New(o Options) (*Handler, error) {
	h := &Handler{Options: o}
	for _, a := range h.Routes() {
		if err := h.routes.add(a); err != nil {
			return nil, err
		}
	}
	h.page = o.Page(h)
	return h, nil
}

// Routes are all that is answered below /api and beside it, but pages.
func (h *Handler) Routes() []collection.Action {
	return slices.Concat(h.Service.Routes(), h.Actions, h.session(), h.external(), h.tokens())
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // a panic's value
			h.Logger.Error("a request failed", "path", r.URL.Path, "panic", v)
			h.fail(w, r, problem.New(http.StatusInternalServerError, "An unexpected error occurred. It was written to the server's log."))
		}
	}()
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	segments, ok := apiPath(r.URL)
	if !ok {
		h.page.ServeHTTP(w, r)
		return
	}
	header.Set("Cache-Control", "no-store")
	result, err := h.answer(w, r, segments)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.write(w, r, http.StatusOK, result)
}

// apiPath splits what is below /api, each segment unescaped by itself: names may hold slashes.
func apiPath(u *url.URL) ([]string, bool) {
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	head, rest, _ := strings.Cut(path, "/")
	if !strings.EqualFold(head, "api") {
		// NuGet clients, OpenID Connect's discovery and what signs people in have paths of their own.
		nuget := strings.EqualFold(head, "nuget") || spaceID.MatchString(head) && strings.HasPrefix(strings.ToLower(rest), "nuget/")
		return strings.Split(strings.TrimSuffix(path, "/"), "/"), nuget || head == ".well-known" || head == "token" || head == "signin" || strings.HasPrefix(path, "users/authenticate/")
	}
	rest = strings.Trim(rest, "/")
	if rest == "" {
		return nil, true
	}
	segments := strings.Split(rest, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = plain
		}
	}
	return segments, true
}

var spaceID = regexp.MustCompile(`^(?i:Spaces)-([0-9]+)$`)

// space takes the space off the path: /api/Spaces-1/X, or /api/spaces/Spaces-1/X of newer routes. A route of the space
// itself, as /api/spaces/Spaces-1/logo, is left as it is.
func (h *Handler) space(method string, segments []string) (string, []string) {
	if len(segments) == 0 {
		return "", segments
	}
	if m := spaceID.FindStringSubmatch(segments[0]); m != nil {
		return "Spaces-" + m[1], segments[1:]
	}
	if len(segments) > 2 && strings.EqualFold(segments[0], "spaces") {
		if _, _, own := h.routes.find(method, segments); own {
			return "", segments
		}
		if m := spaceID.FindStringSubmatch(segments[1]); m != nil {
			return "Spaces-" + m[1], segments[2:]
		}
	}
	return "", segments
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, segments []string) (any, error) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	space, segments := h.space(method, segments)
	if space != "" && len(segments) == 0 {
		segments = []string{"spacehome"}
	}
	if len(segments) == 0 {
		segments = []string{"root"}
	}
	found, values, other := h.routes.find(method, segments)
	if found == nil && other {
		return nil, problem.New(http.StatusMethodNotAllowed, "The requested resource does not support the HTTP method '%s'.", r.Method)
	}
	principal, err := h.principal(w, r)
	if refused := h.bound(w, r, principal, found); refused != nil {
		return nil, refused
	}
	if err != nil && (found == nil || !found.action.Anonymous) {
		return nil, err
	}
	if found == nil {
		return nil, problem.New(http.StatusNotFound, "The resource you requested was not found: there is no route %s %s.", r.Method, r.URL.Path)
	}
	c := &collection.Call{Context: r.Context(), Service: h.Service, Header: r.Header, Param: func(name string) string {
		if i := slices.Index(found.names, name); i >= 0 {
			return values[i]
		}
		return ""
	}}
	c.Principal, c.Query, c.Space, c.Named = principal, r.URL.Query(), space, space != ""
	c.Origin, c.Address = origin(r), address(r)
	if err := h.enter(c, found.action); err != nil {
		return nil, err
	}
	limit := h.MaxBody
	if found.action.Large {
		limit = h.MaxPackage
	}
	c.Body = http.MaxBytesReader(w, r.Body, limit)
	return found.action.Handle(c)
}

// enter resolves the space of the request and asks for the permission of the route.
func (h *Handler) enter(c *collection.Call, a collection.Action) error {
	directory := h.Service.Directory()
	if c.Space != "" && !directory.Has(c.Space) {
		return problem.NotFound("Space", c.Space)
	}
	if c.Space == "" && a.Scope == collection.InSpace {
		c.Space = directory.Default
	}
	if a.Anonymous {
		return nil
	}
	if c.Space != "" && !c.Principal.Set.Enters(c.Space) && (c.Named || a.Scope == collection.InSpace) {
		return problem.Denied("")
	}
	if a.Permission != permission.None {
		held := c.Principal.Set.Holds(a.Permission, c.Space)
		if a.Scope != collection.InSpace {
			held = held || c.Principal.Set.Holds(a.Permission, "")
		}
		if !held {
			return problem.Denied(string(a.Permission))
		}
	}
	if a.Writes {
		return h.Service.MayChange(c.Principal)
	}
	return nil
}

// fail answers an error in Octopus's shape. What is not meant for people is logged and not shown.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
	case errors.As(err, &large):
		p = problem.New(http.StatusRequestEntityTooLarge, "The request's body is larger than %d bytes, which is this server's limit.", large.Limit)
	case errors.Is(err, document.ErrNone):
		p = problem.NotFound("Document", r.URL.Path)
	case errors.Is(err, context.Canceled):
		p = problem.New(499, "The request was canceled.")
	default:
		p = problem.New(http.StatusInternalServerError, "An unexpected error occurred. It was written to the server's log.").Because(err)
	}
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented {
		h.Logger.ErrorContext(r.Context(), "a request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "error", err)
	}
	if (p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable) && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "5")
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10)) // so that the connection can be used again
	h.write(w, r, p.Status, p)
}
