package partyhttp

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/sso"
	"odcm/manager/sso/grant"
)

type answer[T any] struct{ Body T }

type tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

type onePage struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

type byID struct {
	ID string `path:"id" maxLength:"100"`
}

func (h *handler) registerAPI(a huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Single sign-on"}}
	}
	created := op("create-relying-party", http.MethodPost, "/relying-parties", "Register a relying party")
	created.DefaultStatus = http.StatusCreated
	web.Register(a, op("list-relying-parties", http.MethodGet, "/relying-parties", "Relying parties, by identifier"), h.apiList)
	web.Register(a, created, h.apiCreate)
	web.Register(a, op("get-relying-party", http.MethodGet, "/relying-parties/{id}", "Get a relying party"), h.apiGet)
	web.Register(a, op("update-relying-party", http.MethodPut, "/relying-parties/{id}", "Replace the settings of a relying party"), h.apiUpdate)
	web.Register(a, op("delete-relying-party", http.MethodDelete, "/relying-parties/{id}", "Forget a relying party"), h.apiDelete)
	web.Register(a, op("rotate-relying-party-secret", http.MethodPost, "/relying-parties/{id}/secret", "Make a new secret; the one before is taken for a day"), h.apiSecret)
	web.Register(a, op("list-signing-keys", http.MethodGet, "/signing-keys", "Keys that sign ID tokens"), h.apiKeys)
	web.Register(a, op("rotate-signing-key", http.MethodPost, "/signing-keys/{algorithm}/rotate", "Make the next key of an algorithm"), h.apiRotate)
	web.Register(a, op("list-applications", http.MethodGet, "/applications", "Where you are signed in by ODCM, newest first"), h.apiConnections)
	web.Register(a, op("revoke-application", http.MethodDelete, "/applications/{id}", "End what you have at a relying party"), h.apiRevoke)
}

func (h *handler) apiList(ctx context.Context, in *onePage) (*answer[api.Page[api.RelyingParty]], error) {
	after, err := web.ReadCursor[sso.PartyID](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := h.Service.List(ctx, web.Principal(ctx), after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, toParty, func(p sso.Party) string { return string(p.ID) }), nil
}

// pageOf makes a page of the first limit of all; one more than that tells that there is another page.
func pageOf[T, A any](all []T, limit int, to func(T) A, key func(T) string) *answer[api.Page[A]] {
	p := api.Page[A]{Items: []A{}}
	if len(all) > limit {
		all = all[:limit]
		p.Next = web.Cursor(key(all[limit-1]))
	}
	for _, v := range all {
		p.Items = append(p.Items, to(v))
	}
	return &answer[api.Page[A]]{p}
}

func toParty(p sso.Party) api.RelyingParty {
	return api.RelyingParty{ID: string(p.ID), Kind: string(p.Kind), Instance: string(p.Instance), RelyingPartySettings: toSettings(p),
		SecretMade: optional(p.SecretMade), OldSecretUntil: optional(p.OldSecretUntil), Created: p.Created, Revision: p.Revision}
}

func toSettings(p sso.Party) api.RelyingPartySettings {
	return api.RelyingPartySettings{Name: p.Name, RedirectURIs: p.RedirectURIs, PostLogoutURIs: p.PostLogoutURIs, LogoutURI: p.LogoutURI, Algorithm: string(p.Algorithm),
		Auth: string(p.Auth), Keys: p.Keys, PlainHTTP: p.PlainHTTP, Front: p.Front, Device: p.Device, Consent: p.Consent, Disabled: p.Disabled}
}

func fromSettings(in api.RelyingPartySettings) sso.Party {
	return sso.Party{Name: in.Name, RedirectURIs: in.RedirectURIs, PostLogoutURIs: in.PostLogoutURIs, LogoutURI: in.LogoutURI, Algorithm: sso.Algorithm(in.Algorithm),
		Auth: sso.Auth(in.Auth), Keys: in.Keys, PlainHTTP: in.PlainHTTP, Front: in.Front, Device: in.Device, Consent: in.Consent, Disabled: in.Disabled}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handler) apiCreate(ctx context.Context, in *struct{ Body api.NewRelyingParty }) (*answer[api.RelyingPartySecret], error) {
	p := fromSettings(in.Body.RelyingPartySettings)
	p.Kind = sso.Kind(in.Body.Kind)
	p, secret, err := h.Service.Create(ctx, web.Principal(ctx), p)
	if err != nil {
		return nil, err
	}
	return &answer[api.RelyingPartySecret]{api.RelyingPartySecret{RelyingParty: toParty(p), Secret: secret}}, nil
}

func (h *handler) apiGet(ctx context.Context, in *byID) (*tagged[api.RelyingParty], error) {
	p, err := h.Service.Get(ctx, web.Principal(ctx), sso.PartyID(in.ID))
	if err != nil {
		return nil, err
	}
	return &tagged[api.RelyingParty]{web.ETag(p.Revision), toParty(p)}, nil
}

func (h *handler) apiUpdate(ctx context.Context, in *struct {
	ID      string `path:"id" maxLength:"100"`
	IfMatch string `header:"If-Match"`
	Body    api.RelyingPartySettings
}) (*tagged[api.RelyingParty], error) {
	revision, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	p := fromSettings(in.Body)
	if p.ID, p.Revision = sso.PartyID(in.ID), revision; revision == 0 {
		now, err := h.Service.Get(ctx, web.Principal(ctx), p.ID)
		if err != nil {
			return nil, err
		}
		p.Revision = now.Revision
	}
	p, err = h.Service.Update(ctx, web.Principal(ctx), p)
	if err != nil {
		return nil, web.OrStale(revision, err)
	}
	return &tagged[api.RelyingParty]{web.ETag(p.Revision), toParty(p)}, nil
}

func (h *handler) apiDelete(ctx context.Context, in *byID) (*struct{}, error) {
	return nil, h.Service.Delete(ctx, web.Principal(ctx), sso.PartyID(in.ID))
}

func (h *handler) apiSecret(ctx context.Context, in *byID) (*answer[api.RelyingPartySecret], error) {
	by := web.Principal(ctx)
	secret, err := h.Service.RotateSecret(ctx, by, sso.PartyID(in.ID))
	if err != nil {
		return nil, err
	}
	p, err := h.Service.Get(ctx, by, sso.PartyID(in.ID))
	return &answer[api.RelyingPartySecret]{api.RelyingPartySecret{RelyingParty: toParty(p), Secret: secret}}, err
}

func (h *handler) apiKeys(ctx context.Context, _ *struct{}) (*answer[api.Page[api.SigningKey]], error) {
	keys, err := h.Service.SigningKeys(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return pageOf(keys, len(keys), func(k sso.SigningKey) api.SigningKey {
		return api.SigningKey{ID: k.ID, Algorithm: string(k.Algorithm), State: k.State(h.now()), Created: k.Created, Starts: k.Starts, Ends: optional(k.Ends), Gone: optional(k.Gone)}
	}, func(sso.SigningKey) string { return "" }), nil
}

func (h *handler) apiRotate(ctx context.Context, in *struct {
	Algorithm string `path:"algorithm" enum:"RS256,ES256"`
}) (*struct{}, error) {
	return nil, h.Service.RotateKeys(ctx, web.Principal(ctx), sso.Algorithm(in.Algorithm))
}

func (h *handler) apiConnections(ctx context.Context, in *onePage) (*answer[api.Page[api.Application]], error) {
	before, err := web.ReadCursor[string](in.Cursor)
	if err != nil {
		return nil, err
	}
	by := web.Principal(ctx)
	all, err := h.Service.Sessions(ctx, by, by.User, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, func(c grant.Connection) api.Application {
		return api.Application{ID: c.ID, Party: string(c.Grant.Party), Name: c.Party.Name, Scopes: strings.Fields(c.Scopes), SignedIn: c.Created, LastUsed: c.Used, Expires: c.Expires, Offline: c.Offline}
	}, func(c grant.Connection) string { return c.ID }), nil
}

func (h *handler) apiRevoke(ctx context.Context, in *byID) (*struct{}, error) {
	by := web.Principal(ctx)
	return nil, h.Service.Revoke(ctx, by, by.User, sso.PartyID(in.ID))
}
