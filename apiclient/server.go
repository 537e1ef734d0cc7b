package apiclient

import (
	"context"
	"iter"
	"net/http"

	"odcm/api"
)

// Servers lists the machines of the fleet.
func (c *Client) Servers(ctx context.Context) iter.Seq2[api.Server, error] {
	return list[api.Server](ctx, c, "/servers", nil)
}

// Server gets a machine with its instances.
func (c *Client) Server(ctx context.Context, id string) (s api.ServerDetail, err error) {
	return s, c.do(ctx, call{method: http.MethodGet, path: "/servers/" + escape(id)}, &s)
}

// CreateEnrolmentToken makes a token with which one machine becomes a server.
func (c *Client) CreateEnrolmentToken(ctx context.Context, n api.NewEnrolmentToken) (t api.EnrolmentToken, err error) {
	return t, c.do(ctx, call{method: http.MethodPost, path: "/servers/enrolment-tokens", in: n}, &t)
}
