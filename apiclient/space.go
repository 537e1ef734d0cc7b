package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"odcm/api"
)

// SpaceFilter chooses Spaces; zero fields choose all.
type SpaceFilter struct {
	Text     string
	Statuses []string
	Starred  bool
}

// Spaces lists the Spaces that the caller may enter, starred ones first.
func (c *Client) Spaces(ctx context.Context, f SpaceFilter) iter.Seq2[api.Space, error] {
	q := url.Values{}
	if f.Text != "" {
		q.Set("q", f.Text)
	}
	for _, s := range f.Statuses {
		q.Add("status", s)
	}
	if f.Starred {
		q.Set("starred", "true")
	}
	return list[api.Space](ctx, c, "/spaces", q)
}

// Space gets a Space by its identifier or slug.
func (c *Client) Space(ctx context.Context, ref string) (s api.Space, err error) {
	return s, c.do(ctx, call{method: http.MethodGet, path: "/spaces/" + escape(ref)}, &s)
}

// CreateSpace begins the task that launches a server for a new Space; the task is in the answer. Under one key it is done
// once, however often it is asked for.
func (c *Client) CreateSpace(ctx context.Context, n api.NewSpace, key string) (s api.Space, err error) {
	return s, c.do(ctx, call{method: http.MethodPost, path: "/spaces", in: n, idempotency: key}, &s)
}

// UpdateSpace changes the Space where it still has the revision; 0 changes whatever is there.
func (c *Client) UpdateSpace(ctx context.Context, ref string, u api.SpaceUpdate, revision int64) (s api.Space, err error) {
	return s, c.do(ctx, call{method: http.MethodPatch, path: "/spaces/" + escape(ref), in: u, ifMatch: revision}, &s)
}

// Delisting says how a Space is to be delisted.
type Delisting struct {
	Confirm  string // name of the Space; needed where its server is removed
	KeepData bool
	Force    bool
}

// DelistSpace begins the task that hands the server back or removes it; the task is in the answer.
func (c *Client) DelistSpace(ctx context.Context, ref string, d Delisting) (s api.Space, err error) {
	q := url.Values{}
	if d.Confirm != "" {
		q.Set("confirm", d.Confirm)
	}
	if d.KeepData {
		q.Set("keepData", strconv.FormatBool(true))
	}
	if d.Force {
		q.Set("force", strconv.FormatBool(true))
	}
	return s, c.do(ctx, call{method: http.MethodDelete, path: "/spaces/" + escape(ref), query: q}, &s)
}

// PlanEnlistment proves a server and says what enlisting it would do; it writes nothing.
func (c *Client) PlanEnlistment(ctx context.Context, n api.Connection) (p api.EnlistPlan, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: "/spaces/plan", in: n}, &p)
}

// Enlist begins the task that takes Spaces of a server under management.
func (c *Client) Enlist(ctx context.Context, n api.Enlistment, key string) (e api.Enlisting, err error) {
	return e, c.do(ctx, call{method: http.MethodPost, path: "/spaces/enlist", in: n, idempotency: key}, &e)
}

// RekeySpace replaces the API key with which ODCM reaches the Space's server.
func (c *Client) RekeySpace(ctx context.Context, ref, key string) error {
	return c.do(ctx, call{method: http.MethodPut, path: "/spaces/" + escape(ref) + "/key", in: api.SpaceKey{APIKey: key}}, nil)
}

// StarSpace sets or takes away the caller's star.
func (c *Client) StarSpace(ctx context.Context, ref string, on bool) error {
	method := http.MethodPut
	if !on {
		method = http.MethodDelete
	}
	return c.do(ctx, call{method: method, path: "/spaces/" + escape(ref) + "/star"}, nil)
}

// SpaceGroups counts the Spaces that the caller may enter, by server, instance, version or state; text narrows them.
func (c *Client) SpaceGroups(ctx context.Context, by, text string) iter.Seq2[api.SpaceGroup, error] {
	q := url.Values{"by": {by}}
	if text != "" {
		q.Set("q", text)
	}
	return list[api.SpaceGroup](ctx, c, "/spaces/groups", q)
}

// SpaceUptime tells how much of the time the server of a Space answered.
func (c *Client) SpaceUptime(ctx context.Context, ref string) (u api.SpaceUptime, err error) {
	return u, c.do(ctx, call{method: http.MethodGet, path: "/spaces/" + escape(ref) + "/uptime"}, &u)
}
