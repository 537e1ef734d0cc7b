package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Providers lists the ways to sign in.
func (c *Client) Providers(ctx context.Context) iter.Seq2[api.Provider, error] {
	return list[api.Provider](ctx, c, "/providers", nil)
}

// ProviderKinds lists the sorts of providers and their settings.
func (c *Client) ProviderKinds(ctx context.Context) (kinds []api.ProviderKind, err error) {
	return kinds, c.do(ctx, call{method: http.MethodGet, path: "/provider-kinds"}, &kinds)
}

// Provider gets a way to sign in.
func (c *Client) Provider(ctx context.Context, id string) (p api.Provider, err error) {
	return p, c.do(ctx, call{method: http.MethodGet, path: "/providers/" + escape(id)}, &p)
}

// CreateProvider adds a way to sign in.
func (c *Client) CreateProvider(ctx context.Context, n api.NewProvider) (p api.Provider, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: "/providers", in: n}, &p)
}

// UpdateProvider changes what the update names.
func (c *Client) UpdateProvider(ctx context.Context, id string, u api.ProviderUpdate) (p api.Provider, err error) {
	return p, c.do(ctx, call{method: http.MethodPatch, path: "/providers/" + escape(id), in: u}, &p)
}

// DeleteProvider removes a way to sign in, and where confirmed also the only one that somebody has.
func (c *Client) DeleteProvider(ctx context.Context, id string, confirmed bool) error {
	q := url.Values{}
	if confirmed {
		q.Set("confirmed", "true")
	}
	return c.do(ctx, call{method: http.MethodDelete, path: "/providers/" + escape(id), query: q}, nil)
}

// TestProvider tries the settings as they are saved.
func (c *Client) TestProvider(ctx context.Context, id string) (t api.ProviderTest, err error) {
	return t, c.do(ctx, call{method: http.MethodPost, path: "/providers/" + escape(id) + "/test"}, &t)
}

// SyncProvider has a directory read now.
func (c *Client) SyncProvider(ctx context.Context, id string, accept bool) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/providers/" + escape(id) + "/sync", in: api.ProviderSyncRequest{Accept: accept}}, nil)
}

// ProviderGroups finds groups of a provider by a part of their name.
func (c *Client) ProviderGroups(ctx context.Context, id, text string) iter.Seq2[api.ProviderGroup, error] {
	return list[api.ProviderGroup](ctx, c, "/providers/"+escape(id)+"/groups", url.Values{"q": {text}})
}

// ProviderLeaving says what would go with a way to sign in.
func (c *Client) ProviderLeaving(ctx context.Context, id string) (l api.ProviderLeaving, err error) {
	return l, c.do(ctx, call{method: http.MethodGet, path: "/providers/" + escape(id) + "/leaving"}, &l)
}
