package apiclient

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"odcm/api"
)

// UserFilter chooses users; zero fields choose all who are not deleted.
type UserFilter struct{ Text, State, Provider, Role string }

// Users lists users by username.
func (c *Client) Users(ctx context.Context, f UserFilter) iter.Seq2[api.User, error] {
	q := url.Values{}
	for name, value := range map[string]string{"q": f.Text, "state": f.State, "provider": f.Provider, "role": f.Role} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return list[api.User](ctx, c, "/users", q)
}

// User gets a user by identifier, username or verified address.
func (c *Client) User(ctx context.Context, ref string) (u api.User, err error) {
	return u, c.do(ctx, call{method: http.MethodGet, path: "/users/" + escape(ref)}, &u)
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, n api.NewUser) (u api.User, err error) {
	return u, c.do(ctx, call{method: http.MethodPost, path: "/users", in: n}, &u)
}

// UpdateUser changes the user where the revision is still the one given; 0 changes whatever is there.
func (c *Client) UpdateUser(ctx context.Context, ref string, u api.UserChange, revision int64) (changed api.User, err error) {
	return changed, c.do(ctx, call{method: http.MethodPatch, path: "/users/" + escape(ref), in: u, ifMatch: revision}, &changed)
}

// DeleteUser deletes a user who is disabled.
func (c *Client) DeleteUser(ctx context.Context, ref string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/users/" + escape(ref)}, nil)
}

// Invite asks somebody in; the link is in the answer where it could not be mailed.
func (c *Client) Invite(ctx context.Context, n api.Invitation) (i api.Invited, err error) {
	return i, c.do(ctx, call{method: http.MethodPost, path: "/invitations", in: n}, &i)
}

// InviteAgain writes once more to a user who has not come.
func (c *Client) InviteAgain(ctx context.Context, ref string) (l api.Link, err error) {
	return l, c.do(ctx, call{method: http.MethodPost, path: "/users/" + escape(ref) + "/invitation"}, &l)
}

// OfferPassword gives a user the means to choose a new password.
func (c *Client) OfferPassword(ctx context.Context, ref string) (l api.Link, err error) {
	return l, c.do(ctx, call{method: http.MethodPost, path: "/users/" + escape(ref) + "/password-link"}, &l)
}

// SignOutUser ends all sessions of a user.
func (c *Client) SignOutUser(ctx context.Context, ref string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/users/" + escape(ref) + "/sessions"}, nil)
}

// UnlinkIdentity takes an account at a provider from a user.
func (c *Client) UnlinkIdentity(ctx context.Context, ref, identity string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/users/" + escape(ref) + "/identities/" + escape(identity)}, nil)
}

// MergeProposals lists users who look like one person.
func (c *Client) MergeProposals(ctx context.Context) (p api.Page[api.MergeProposal], err error) {
	return p, c.do(ctx, call{method: http.MethodGet, path: "/merge-proposals"}, &p)
}

// MergeUsers makes one user of two.
func (c *Client) MergeUsers(ctx context.Context, m api.Merge) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/merges", in: m}, nil)
}

// TellApart says that two users are two people.
func (c *Client) TellApart(ctx context.Context, d api.Distinction) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/distinctions", in: d}, nil)
}

// SetGuest lets everybody look around without signing in, or nobody.
func (c *Client) SetGuest(ctx context.Context, on bool) error {
	return c.do(ctx, call{method: http.MethodPut, path: "/guest", in: api.Guest{On: on}}, nil)
}
