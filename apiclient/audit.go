package apiclient

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// Events lists what happened, newest first; the query is that of GET /audit/events.
func (c *Client) Events(ctx context.Context, query url.Values) iter.Seq2[api.Event, error] {
	return list[api.Event](ctx, c, "/audit/events", query)
}

// ExportEvents writes what happened as csv or jsonl.
func (c *Client) ExportEvents(ctx context.Context, w io.Writer, query url.Values) error {
	return c.do(ctx, call{method: http.MethodGet, path: "/audit/export", query: query}, w)
}
