package ssohttp

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"odcm"
)

// Backchannel sends logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.5). It implements logout.Backchannel. Client
// is one of kit/egress, for the addresses are typed in by people.
type Backchannel struct{ Client *http.Client }

// Deliver returns an error where the relying party did not say that it acted on the token.
func (b Backchannel) Deliver(ctx context.Context, uri, logoutToken string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(url.Values{"logout_token": {logoutToken}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // the connection can be used again
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return odcm.E(odcm.Unavailable, "sso.logout-refused", "The relying party answered %s to a logout token.", res.Status)
	}
	return nil
}
