package apiclient

import (
	"context"
	"iter"
	"net/http"

	"odcm/api"
)

// RelyingParties lists relying parties by identifier.
func (c *Client) RelyingParties(ctx context.Context) iter.Seq2[api.RelyingParty, error] {
	return list[api.RelyingParty](ctx, c, "/relying-parties", nil)
}

// RelyingParty returns one.
func (c *Client) RelyingParty(ctx context.Context, id string) (p api.RelyingParty, err error) {
	return p, c.do(ctx, call{method: http.MethodGet, path: "/relying-parties/" + escape(id)}, &p)
}

// CreateRelyingParty registers one; its secret is told only here.
func (c *Client) CreateRelyingParty(ctx context.Context, n api.NewRelyingParty) (p api.RelyingPartySecret, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: "/relying-parties", in: n}, &p)
}

// UpdateRelyingParty replaces the settings of the revision.
func (c *Client) UpdateRelyingParty(ctx context.Context, id string, revision int64, in api.RelyingPartySettings) (p api.RelyingParty, err error) {
	return p, c.do(ctx, call{method: http.MethodPut, path: "/relying-parties/" + escape(id), in: in, ifMatch: revision}, &p)
}

// DeleteRelyingParty forgets one.
func (c *Client) DeleteRelyingParty(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/relying-parties/" + escape(id)}, nil)
}

// RotateRelyingPartySecret makes a new secret, which is told only here; the one before is taken for a day.
func (c *Client) RotateRelyingPartySecret(ctx context.Context, id string) (p api.RelyingPartySecret, err error) {
	return p, c.do(ctx, call{method: http.MethodPost, path: "/relying-parties/" + escape(id) + "/secret"}, &p)
}

// SigningKeys lists the keys that are published.
func (c *Client) SigningKeys(ctx context.Context) iter.Seq2[api.SigningKey, error] {
	return list[api.SigningKey](ctx, c, "/signing-keys", nil)
}

// RotateSigningKey makes the next key of the algorithm.
func (c *Client) RotateSigningKey(ctx context.Context, algorithm string) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/signing-keys/" + escape(algorithm) + "/rotate"}, nil)
}

// Applications lists where the caller is signed in, the newest first.
func (c *Client) Applications(ctx context.Context) iter.Seq2[api.Application, error] {
	return list[api.Application](ctx, c, "/applications", nil)
}

// RevokeApplication ends what the caller has at a relying party.
func (c *Client) RevokeApplication(ctx context.Context, party string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/applications/" + escape(party)}, nil)
}
