package web

import (
	"context"
	"net/http"

	"odcm"
)

// Authenticator tells who asks: from the session cookie or from a bearer API key. It returns an error of kind
// Unauthenticated where there is neither, or where either is not valid. A bearer key that is not valid must not fall back
// to the cookie: requests with a bearer key are not checked for forgery (see [Site.ServeHTTP]).
type Authenticator interface {
	Authenticate(r *http.Request) (odcm.Principal, error)
}

type principalKey struct{}

// Principal returns who asks, the zero Principal where nobody signed in.
func Principal(ctx context.Context) odcm.Principal {
	p, _ := ctx.Value(principalKey{}).(odcm.Principal)
	return p
}

// WithPrincipal returns a context in which [Principal] is p.
func WithPrincipal(ctx context.Context, p odcm.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}
