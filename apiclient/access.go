package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// GrantFilter chooses grants; zero fields choose all. References are identifiers or names.
type GrantFilter struct {
	Space, Group, User string
	Text               string
	Administer         bool
	Expired            bool
}

// Grants lists who is let into which Space, by Space.
func (c *Client) Grants(ctx context.Context, f GrantFilter) iter.Seq2[api.AccessGrant, error] {
	q := url.Values{}
	for name, value := range map[string]string{"space": f.Space, "group": f.Group, "user": f.User, "q": f.Text} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Administer {
		q.Set("administer", "true")
	}
	if f.Expired {
		q.Set("expired", "true")
	}
	return list[api.AccessGrant](ctx, c, "/access/grants", q)
}

// Grant lets a group or a user into a Space.
func (c *Client) Grant(ctx context.Context, n api.NewAccessGrant, key string) (g api.AccessGrant, err error) {
	return g, c.do(ctx, call{method: http.MethodPost, path: "/access/grants", in: n, idempotency: key}, &g)
}

// Revoke takes a grant away.
func (c *Client) Revoke(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/access/grants/" + escape(id)}, nil)
}

// Entrants lists who may enter a Space.
func (c *Client) Entrants(ctx context.Context, space, text string) iter.Seq2[api.AccessEntrant, error] {
	q := url.Values{}
	if text != "" {
		q.Set("q", text)
	}
	return list[api.AccessEntrant](ctx, c, "/spaces/"+escape(space)+"/entrants", q)
}

// Mappings lists the teams of a Space with the groups that are mapped to them.
func (c *Client) Mappings(ctx context.Context, space string) ([]api.AccessMapping, error) {
	return Collect(list[api.AccessMapping](ctx, c, "/spaces/"+escape(space)+"/mappings", nil), 0)
}

// OctopusTeams lists the teams of a Space, asking its server.
func (c *Client) OctopusTeams(ctx context.Context, space string) ([]api.AccessTeam, error) {
	return Collect(list[api.AccessTeam](ctx, c, "/spaces/"+escape(space)+"/teams", nil), 0)
}

// Map puts a group into an Octopus team of a Space.
func (c *Client) Map(ctx context.Context, n api.NewAccessMapping) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/access/mappings", in: n}, nil)
}

// Unmap takes a group out of a team.
func (c *Client) Unmap(ctx context.Context, n api.NewAccessMapping) error {
	q := url.Values{"space": {n.Space}, "team": {n.Team}, "group": {n.Group}}
	return c.do(ctx, call{method: http.MethodDelete, path: "/access/mappings", query: q}, nil)
}

// Explain says why a user may enter a Space, or why not. An empty user is the caller.
func (c *Client) Explain(ctx context.Context, user, space string) (e api.AccessExplanation, err error) {
	q := url.Values{"space": {space}}
	if user != "" {
		q.Set("user", user)
	}
	return e, c.do(ctx, call{method: http.MethodGet, path: "/access/explain", query: q}, &e)
}

// WhatIf says who would gain and lose what; all of it, up to limit effects, 0 being all.
func (c *Client) WhatIf(ctx context.Context, changes []api.AccessChange, limit int) (d api.AccessDifference, err error) {
	q := url.Values{"limit": {"500"}}
	for {
		var page api.AccessDifference
		in := call{method: http.MethodPost, path: "/access/what-if", query: q, in: api.AccessQuestion{Changes: changes}}
		if err := c.do(ctx, in, &page); err != nil {
			return d, err
		}
		page.Items = append(d.Items, page.Items...)
		d = page
		if limit > 0 && len(d.Items) >= limit {
			d.Items = d.Items[:limit]
			return d, nil
		}
		if d.Next == "" {
			return d, nil
		}
		q.Set("cursor", d.Next)
	}
}
