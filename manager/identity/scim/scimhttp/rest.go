package scimhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/identity/scim"
)

func (h *handler) rest() {
	a := h.Site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Provisioning"}}
	}
	web.Register(a, op("list-scim-directories", "GET", "/scim-directories", "List the directories that push people and groups, by name", http.StatusOK), h.apiList)
	web.Register(a, op("create-scim-directory", "POST", "/scim-directories", "Let a directory push people and groups", http.StatusCreated), h.apiCreate)
	web.Register(a, op("get-scim-directory", "GET", "/scim-directories/{id}", "Get a directory with its tokens", http.StatusOK), h.apiGet)
	web.Register(a, op("update-scim-directory", "PATCH", "/scim-directories/{id}", "Change a directory", http.StatusOK), h.apiUpdate)
	web.Register(a, op("delete-scim-directory", "DELETE", "/scim-directories/{id}", "Forget a directory with its tokens; people and groups stay", http.StatusNoContent), h.apiDelete)
	web.Register(a, op("create-scim-token", "POST", "/scim-directories/{id}/tokens", "Make a token; its secret is in the answer and never again", http.StatusCreated), h.apiToken)
	web.Register(a, op("revoke-scim-token", "DELETE", "/scim-directories/{id}/tokens/{token}", "Revoke a token at once", http.StatusNoContent), h.apiRevoke)
}

type answer[T any] struct{ Body T }

// One names a directory. It is exported because huma fills embedded structs only then.
type One struct {
	ID string `path:"id" doc:"Identifier of its provider" maxLength:"100"`
}

type oneDirectory struct {
	ETag string `header:"ETag" doc:"Send it as If-Match with a change"`
	Body api.DirectoryDetail
}

func (h *handler) toDirectory(d scim.Directory) api.Directory {
	return api.Directory{Provider: string(d.Provider), Name: d.Name, Prefix: d.Prefix, TrustEmail: d.TrustEmail, Address: h.SCIM.Address(), Created: d.Created, Revision: d.Revision}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func toToken(t scim.Token) api.DirectoryToken {
	return api.DirectoryToken{ID: t.ID, Hint: t.Hint, Purpose: t.Purpose, Created: t.Created, Expires: optional(t.Expires), LastUsed: optional(t.Used)}
}

func (h *handler) apiList(ctx context.Context, _ *struct{}) (*answer[api.Page[api.Directory]], error) {
	all, err := h.SCIM.Directories(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Directory]{Items: make([]api.Directory, len(all))}
	for i, d := range all {
		page.Items[i] = h.toDirectory(d)
	}
	return &answer[api.Page[api.Directory]]{page}, nil
}

// read answers a directory as it is now.
func (h *handler) read(ctx context.Context, provider odcm.ProviderID) (*oneDirectory, error) {
	d, tokens, n, err := h.SCIM.Directory(ctx, web.Principal(ctx), provider)
	if err != nil {
		return nil, err
	}
	detail := api.DirectoryDetail{Directory: h.toDirectory(d), Tokens: make([]api.DirectoryToken, len(tokens)), Users: n.Users, Groups: n.Groups}
	for i, t := range tokens {
		detail.Tokens[i] = toToken(t)
	}
	return &oneDirectory{web.ETag(d.Revision), detail}, nil
}

func (h *handler) apiCreate(ctx context.Context, in *struct{ Body api.NewDirectory }) (*oneDirectory, error) {
	d, err := h.SCIM.CreateDirectory(ctx, web.Principal(ctx), scim.Directory{Name: in.Body.Name, Provider: odcm.ProviderID(in.Body.Provider),
		Prefix: in.Body.Prefix, TrustEmail: in.Body.TrustEmail})
	if err != nil {
		return nil, err
	}
	return h.read(ctx, d.Provider)
}

func (h *handler) apiGet(ctx context.Context, in *One) (*oneDirectory, error) {
	return h.read(ctx, odcm.ProviderID(in.ID))
}

func (h *handler) apiUpdate(ctx context.Context, in *struct {
	One
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent changes whatever is there"`
	Body    api.DirectoryUpdate
}) (*oneDirectory, error) {
	revision, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	d, _, _, err := h.SCIM.Directory(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	if in.Body.Name != nil {
		d.Name = *in.Body.Name
	}
	if in.Body.Prefix != nil {
		d.Prefix = *in.Body.Prefix
	}
	if in.Body.TrustEmail != nil {
		d.TrustEmail = *in.Body.TrustEmail
	}
	if revision != 0 {
		d.Revision = revision
	}
	if _, err := h.SCIM.UpdateDirectory(ctx, web.Principal(ctx), d); err != nil {
		return nil, web.OrStale(revision, err)
	}
	return h.read(ctx, d.Provider)
}

func (h *handler) apiDelete(ctx context.Context, in *One) (*struct{}, error) {
	return nil, h.SCIM.DeleteDirectory(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
}

func (h *handler) apiToken(ctx context.Context, in *struct {
	One
	Body api.NewDirectoryToken
}) (*answer[api.CreatedDirectoryToken], error) {
	var expires time.Time
	if in.Body.Expires != nil {
		if expires = *in.Body.Expires; expires.IsZero() {
			return nil, odcm.E(odcm.Invalid, "scim.expiry-invalid", "Leave expires out for a token that never expires.").OnField("expires")
		}
	}
	secret, t, err := h.SCIM.CreateToken(ctx, web.Principal(ctx), odcm.ProviderID(in.ID), in.Body.Purpose, expires)
	if err != nil {
		return nil, err
	}
	return &answer[api.CreatedDirectoryToken]{api.CreatedDirectoryToken{DirectoryToken: toToken(t), Token: secret}}, nil
}

func (h *handler) apiRevoke(ctx context.Context, in *struct {
	One
	Token string `path:"token" doc:"Identifier of the token" maxLength:"100"`
}) (*struct{}, error) {
	return nil, h.SCIM.RevokeToken(ctx, web.Principal(ctx), odcm.ProviderID(in.ID), in.Token)
}
