package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Licence tells what is used against what was bought, in short.
func (c *Client) Licence(ctx context.Context) (o api.LicenceOverview, err error) {
	return o, c.do(ctx, call{method: http.MethodGet, path: "/licence"}, &o)
}

// LicenceServers lists what each Octopus server says of its licence, the worst first; the query is that of GET /licence/servers.
func (c *Client) LicenceServers(ctx context.Context, query url.Values) iter.Seq2[api.LicenceServer, error] {
	return list[api.LicenceServer](ctx, c, "/licence/servers", query)
}

// InstallEntitlement installs the file as it was sent.
func (c *Client) InstallEntitlement(ctx context.Context, file []byte) (e api.Entitlement, err error) {
	return e, c.do(ctx, call{method: http.MethodPut, path: "/licence/entitlement", in: api.EntitlementFile{File: string(file)}}, &e)
}

// RemoveEntitlement removes what is installed.
func (c *Client) RemoveEntitlement(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/licence/entitlement"}, nil)
}
