package apiclient

import (
	"context"
	"iter"
	"net/http"

	"odcm/api"
)

// SignIn gets an API key of limited life for a username and a password.
func (c *Client) SignIn(ctx context.Context, s api.SignIn) (k api.CreatedAPIKey, err error) {
	return k, c.do(ctx, call{method: http.MethodPost, path: "/sign-in", in: s}, &k)
}

// Me tells who the caller is.
func (c *Client) Me(ctx context.Context) (m api.Me, err error) {
	return m, c.do(ctx, call{method: http.MethodGet, path: "/me"}, &m)
}

// APIKeys lists the caller's API keys, newest first.
func (c *Client) APIKeys(ctx context.Context) iter.Seq2[api.APIKey, error] {
	return list[api.APIKey](ctx, c, "/api-keys", nil)
}

// CreateAPIKey makes an API key of the caller's own; its secret is told only here.
func (c *Client) CreateAPIKey(ctx context.Context, n api.NewAPIKey) (k api.CreatedAPIKey, err error) {
	return k, c.do(ctx, call{method: http.MethodPost, path: "/api-keys", in: n}, &k)
}

// DeleteAPIKey revokes an API key of the caller's own.
func (c *Client) DeleteAPIKey(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/api-keys/" + escape(id)}, nil)
}
