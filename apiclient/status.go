package apiclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"odcm"
	"odcm/api"
)

// Statuses tells how all Spaces are doing that the caller may enter. Tag is that of the answer before: where nothing has changed
// since, fresh is false and there are none.
func (c *Client) Statuses(ctx context.Context, tag string) (all []api.SpaceStatus, next string, fresh bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, within, errLate)
	defer cancel()
	res, err := c.send(ctx, call{method: http.MethodGet, path: "/statuses", ifNoneMatch: tag})
	if err != nil {
		return nil, tag, false, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil, tag, false, nil
	}
	if res.StatusCode >= 300 {
		return nil, tag, false, problem(res)
	}
	var page api.Page[api.SpaceStatus]
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&page); err != nil {
		return nil, tag, false, odcm.E(odcm.Unavailable, "client.answer", "%s did not answer as ODCM does", c.base).Because(err)
	}
	return page.Items, res.Header.Get("ETag"), true, nil
}
