package person

import (
	"context"

	"odcm"
)

// NotSignedIn is what is said to a request that nobody is known to have sent.
func NotSignedIn() error {
	return odcm.E(odcm.Unauthenticated, "identity.not-signed-in", "Sign in, or send an API key as \"Authorization: Bearer odcm_...\".")
}

// Authorize permits people what concerns themselves, and asks the authorizer about others.
func Authorize(ctx context.Context, others odcm.Authorizer, p odcm.Principal, a odcm.Action, id odcm.UserID) error {
	if p.User != "" && p.User == id && id != Guest {
		return nil
	}
	return others.Authorize(ctx, p, a, string(id))
}
