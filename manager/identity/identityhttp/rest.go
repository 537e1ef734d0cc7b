package identityhttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/session"
)

// answer is a body without more.
type answer[T any] struct{ Body T }

// onePage is what every list takes.
type onePage struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

type byID struct {
	ID string `path:"id" maxLength:"100"`
}

func (h *handler) registerAPI(a huma.API) {
	const tag = "Identity"
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag}}
	}
	created := func(o huma.Operation) huma.Operation {
		o.DefaultStatus = http.StatusCreated
		return o
	}
	signIn := created(op("sign-in", http.MethodPost, "/sign-in", "Get an API key of limited life by username and password"))
	signIn.Security = web.Public
	signIn.Middlewares = huma.Middlewares{h.withClient}
	web.Register(a, signIn, h.apiSignIn)
	web.Register(a, op("get-me", http.MethodGet, "/me", "Who the request is made as"), h.apiMe)
	web.Register(a, op("list-api-keys", http.MethodGet, "/api-keys", "Your API keys, newest first"), h.apiKeys)
	web.Register(a, created(op("create-api-key", http.MethodPost, "/api-keys", "Make an API key of your own")), h.apiCreateKey)
	web.Register(a, op("delete-api-key", http.MethodDelete, "/api-keys/{id}", "Revoke an API key of your own"), h.apiDeleteKey)
	web.Register(a, op("list-sessions", http.MethodGet, "/sessions", "The browsers in which you are signed in, newest first"), h.apiSessions)
	web.Register(a, op("end-session", http.MethodDelete, "/sessions/{id}", "End a session of your own"), h.apiEndSession)
}

type clientKey struct{}

// withClient tells an operation where the request comes from.
func (h *handler) withClient(c huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(c)
	next(huma.WithValue(c, clientKey{}, h.client(r)))
}

func (h *handler) apiSignIn(ctx context.Context, in *struct{ Body api.SignIn }) (*answer[api.CreatedAPIKey], error) {
	from, _ := ctx.Value(clientKey{}).(session.Client)
	if in.Body.Purpose == "" {
		in.Body.Purpose = "odcm login"
	}
	secret, k, err := h.Service.SignInForKey(ctx, identity.Credentials{Username: in.Body.Username, Password: in.Body.Password, From: from}, in.Body.Purpose)
	if err != nil {
		return nil, err
	}
	return &answer[api.CreatedAPIKey]{api.CreatedAPIKey{APIKey: toAPIKey(k), Key: secret}}, nil
}

func (h *handler) apiMe(ctx context.Context, _ *struct{}) (*answer[api.Me], error) {
	p := web.Principal(ctx)
	u, err := h.Service.Get(ctx, p, p.User)
	if err != nil {
		return nil, err
	}
	me := api.Me{ID: string(u.ID), Username: u.Username, DisplayName: u.DisplayName, Roles: []string{}, Via: p.Via}
	for _, r := range u.Roles {
		me.Roles = append(me.Roles, string(r))
	}
	return &answer[api.Me]{me}, nil
}

func (h *handler) apiKeys(ctx context.Context, in *onePage) (*answer[api.Page[api.APIKey]], error) {
	before, err := web.ReadCursor[session.KeyID](in.Cursor)
	if err != nil {
		return nil, err
	}
	keys, err := h.Service.Keys(ctx, web.Principal(ctx), before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(keys, in.Limit, toAPIKey, func(k session.APIKey) session.KeyID { return k.ID }), nil
}

// pageOf makes a page of the first limit of all; one more than that tells that there is another page.
func pageOf[T, A any, K ~string](all []T, limit int, to func(T) A, key func(T) K) *answer[api.Page[A]] {
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

func toAPIKey(k session.APIKey) api.APIKey {
	return api.APIKey{ID: string(k.ID), Prefix: k.Prefix, Purpose: k.Purpose, Created: k.Created, Expires: optional(k.Expires), LastUsed: optional(k.Used)}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handler) apiCreateKey(ctx context.Context, in *struct{ Body api.NewAPIKey }) (*answer[api.CreatedAPIKey], error) {
	n := session.NewKey{Purpose: in.Body.Purpose}
	if in.Body.Expires != nil {
		if in.Body.Expires.IsZero() {
			return nil, odcm.E(odcm.Invalid, "identity.expiry-invalid", "Leave expires out for a key that never expires.").OnField("expires")
		}
		n.Expires = *in.Body.Expires
	}
	secret, k, err := h.Service.CreateKey(ctx, web.Principal(ctx), n)
	if err != nil {
		return nil, err
	}
	return &answer[api.CreatedAPIKey]{api.CreatedAPIKey{APIKey: toAPIKey(k), Key: secret}}, nil
}

func (h *handler) apiDeleteKey(ctx context.Context, in *byID) (*struct{}, error) {
	return nil, h.Service.DeleteKey(ctx, web.Principal(ctx), session.KeyID(in.ID))
}

func (h *handler) apiSessions(ctx context.Context, in *onePage) (*answer[api.Page[api.Session]], error) {
	before, err := web.ReadCursor[session.ID](in.Cursor)
	if err != nil {
		return nil, err
	}
	sessions, err := h.Service.Sessions(ctx, web.Principal(ctx), before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(sessions, in.Limit, func(s session.Session) api.Session {
		return api.Session{ID: string(s.ID), Method: s.Method, Created: s.Created, LastSeen: s.Seen, Expires: s.Expires, Address: s.Address, UserAgent: s.UserAgent}
	}, func(s session.Session) session.ID { return s.ID }), nil
}

func (h *handler) apiEndSession(ctx context.Context, in *byID) (*struct{}, error) {
	return nil, h.Service.EndSession(ctx, web.Principal(ctx), session.ID(in.ID))
}
