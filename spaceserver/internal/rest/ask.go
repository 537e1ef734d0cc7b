package rest

import (
	"context"
	"errors"
	"io"
	"net/http"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/identity"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// asking is the key under which a request of the server's own pages carries who asks. Nobody outside can set it.
type asking struct{}

// Visitor says who looks at a page: whoever the session cookie belongs to. Pages have no header to repeat the CSRF token
// in; their forms are guarded by [http.CrossOriginProtection] and by the cookie's SameSite attribute.
func (h *Handler) Visitor(r *http.Request) (permission.Principal, error) {
	cookie, err := r.Cookie(sessionCookie + h.InstallationID)
	if err != nil {
		return permission.Principal{}, problem.Unauthenticated()
	}
	user, _, err := h.Identity.BySession(r.Context(), cookie.Value)
	if errors.Is(err, identity.ErrUnknown) {
		return permission.Principal{}, problem.Unauthenticated()
	}
	return principalOf(user, "session", r), err
}

// Ask answers a request of one of the server's own pages as it would answer a client's, for the one who looks at the page:
// the same routes, so the same permissions, rules and events. Target is the path with its query. The answer is the body, as
// a client would get it.
func (h *Handler) Ask(ctx context.Context, who permission.Principal, method, target string, header http.Header, body io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.WithValue(ctx, asking{}, who), method, target, body)
	if err != nil {
		return nil, problem.Invalid("There is no such page.").Because(err)
	}
	if header != nil {
		r.Header = header
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	segments, ok := apiPath(r.URL)
	if !ok {
		return nil, problem.NotFound("Route", target)
	}
	v, err := h.answer(nowhere{}, r, segments)
	if err != nil {
		return nil, err
	}
	switch t := v.(type) {
	case nil:
		return []byte("{}"), nil
	case collection.Made:
		v = t.Value
	case collection.Answer:
		v = t.Value
	case collection.Content:
		if t.Body == nil {
			return nil, nil
		}
		if closer, ok := t.Body.(io.Closer); ok {
			defer closer.Close()
		}
		return io.ReadAll(io.LimitReader(t.Body, h.MaxBody))
	}
	return encode(v)
}

// nowhere takes what a handler writes beside its answer.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
