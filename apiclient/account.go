package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Accounts lists the users of a Space's server, asking it, with who they are in ODCM.
func (c *Client) Accounts(ctx context.Context, space string) iter.Seq2[api.Account, error] {
	return list[api.Account](ctx, c, "/spaces/"+url.PathEscape(space)+"/accounts", url.Values{"limit": {"500"}})
}

// DecideAccounts says whose accounts of a Space's server are.
func (c *Client) DecideAccounts(ctx context.Context, space string, choices []api.AccountChoice) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/spaces/" + url.PathEscape(space) + "/accounts", in: api.AccountChoices{Choices: choices}}, nil)
}

// Pushed says how it stands with what ODCM brings to a Space.
func (c *Client) Pushed(ctx context.Context, space string) (p api.Pushed, err error) {
	return p, c.do(ctx, call{method: http.MethodGet, path: "/spaces/" + url.PathEscape(space) + "/pushed"}, &p)
}

// SetPushPolicy chooses what is done about what somebody else changes in a Space: repair or leave.
func (c *Client) SetPushPolicy(ctx context.Context, space, drift string) error {
	return c.do(ctx, call{method: http.MethodPut, path: "/spaces/" + url.PathEscape(space) + "/pushed", in: api.PushPolicy{Drift: drift}}, nil)
}
