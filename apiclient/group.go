package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// GroupFilter chooses groups; zero fields choose all.
type GroupFilter struct {
	Text     string
	Kind     string // "own" or "external"
	Provider string
}

// Groups lists groups by name.
func (c *Client) Groups(ctx context.Context, f GroupFilter) iter.Seq2[api.Group, error] {
	q := url.Values{}
	for name, value := range map[string]string{"q": f.Text, "kind": f.Kind, "provider": f.Provider} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return list[api.Group](ctx, c, "/groups", q)
}

// Group gets a group by its identifier or name.
func (c *Client) Group(ctx context.Context, ref string) (g api.Group, err error) {
	return g, c.do(ctx, call{method: http.MethodGet, path: "/groups/" + escape(ref)}, &g)
}

// CreateGroup makes a group. Under one key it is done once, however often it is asked for.
func (c *Client) CreateGroup(ctx context.Context, n api.NewGroup, key string) (g api.Group, err error) {
	return g, c.do(ctx, call{method: http.MethodPost, path: "/groups", in: n, idempotency: key}, &g)
}

// UpdateGroup changes the group where it still has the revision; 0 changes whatever is there.
func (c *Client) UpdateGroup(ctx context.Context, ref string, u api.GroupUpdate, revision int64) (g api.Group, err error) {
	return g, c.do(ctx, call{method: http.MethodPatch, path: "/groups/" + escape(ref), in: u, ifMatch: revision}, &g)
}

// DeleteGroup deletes the group; with force though it is used.
func (c *Client) DeleteGroup(ctx context.Context, ref string, force bool) error {
	q := url.Values{}
	if force {
		q.Set("force", "true")
	}
	return c.do(ctx, call{method: http.MethodDelete, path: "/groups/" + escape(ref), query: q}, nil)
}

// EditGroup changes who is directly in the group.
func (c *Client) EditGroup(ctx context.Context, ref string, e api.GroupEdit, revision int64) (g api.Group, err error) {
	return g, c.do(ctx, call{method: http.MethodPatch, path: "/groups/" + escape(ref) + "/members", in: e, ifMatch: revision}, &g)
}

// GroupMembers lists who is directly in the group: groups first, each by name.
func (c *Client) GroupMembers(ctx context.Context, ref string) iter.Seq2[api.GroupMember, error] {
	return list[api.GroupMember](ctx, c, "/groups/"+escape(ref)+"/members", nil)
}

// GroupUsers lists all users in the group, directly or through others, with the way there.
func (c *Client) GroupUsers(ctx context.Context, ref string) iter.Seq2[api.GroupUser, error] {
	return list[api.GroupUser](ctx, c, "/groups/"+escape(ref)+"/users", nil)
}
