package providerhttp

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/identity/provider"
)

// ByID names a provider. It is exported because huma fills embedded structs only then.
type ByID struct {
	ID string `path:"id" maxLength:"100"`
}

type answer[T any] struct{ Body T }

type one struct {
	ETag string `header:"ETag" doc:"Send it as If-Match with a change"`
	Body api.Provider
}

func (h *handler) rest() {
	a := h.Site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Sign-in"}}
	}
	web.Register(a, op("list-provider-kinds", "GET", "/provider-kinds", "The kinds of providers and their settings", http.StatusOK), h.restKinds)
	web.Register(a, op("list-providers", "GET", "/providers", "The ways to sign in beside the local password, by their order", http.StatusOK), h.restList)
	web.Register(a, op("create-provider", "POST", "/providers", "Add a way to sign in", http.StatusCreated), h.restCreate)
	web.Register(a, op("get-provider", "GET", "/providers/{id}", "Get a way to sign in", http.StatusOK), h.restGet)
	web.Register(a, op("update-provider", "PATCH", "/providers/{id}", "Change a way to sign in; it is in use at once", http.StatusOK), h.restUpdate)
	web.Register(a, op("delete-provider", "DELETE", "/providers/{id}", "Remove a way to sign in, with its linked accounts and groups; its people keep their users", http.StatusNoContent), h.restDelete)
	web.Register(a, op("get-provider-leaving", "GET", "/providers/{id}/leaving", "What would go with a way to sign in, and who would have none left", http.StatusOK), h.restLeaving)
	web.Register(a, op("test-provider", "POST", "/providers/{id}/test", "Try the settings as they are saved and say what is found", http.StatusOK), h.restTest)
	web.Register(a, op("sync-provider", "POST", "/providers/{id}/sync", "Have a directory read now, in the background", http.StatusAccepted), h.restSync)
	web.Register(a, op("find-provider-groups", "GET", "/providers/{id}/groups", "Find groups of a provider by a part of their name", http.StatusOK), h.restGroups)
}

func (h *handler) restKinds(ctx context.Context, _ *struct{}) (*answer[[]api.ProviderKind], error) {
	if !h.Providers.May(ctx, web.Principal(ctx), provider.ActionRead) {
		return nil, odcm.E(odcm.Denied, "identity.role-missing", "Only administrators and auditors of ODCM see providers.")
	}
	var kinds []api.ProviderKind
	for _, k := range h.Providers.Kinds() {
		kind := api.ProviderKind{Kind: string(k), Name: kindName(k), Fields: []api.ProviderField{}}
		for _, f := range h.Providers.Fields(k) {
			kind.Fields = append(kind.Fields, api.ProviderField{Name: f.Name, Label: f.Label, Help: f.Help, Default: f.Default, Required: f.Required,
				Secret: f.Secret, File: f.File, Options: f.Options})
		}
		kinds = append(kinds, kind)
	}
	return &answer[[]api.ProviderKind]{kinds}, nil
}

func (h *handler) restList(ctx context.Context, _ *struct{}) (*answer[api.Page[api.Provider]], error) {
	all, err := h.Providers.List(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Provider]{Items: make([]api.Provider, len(all))}
	for i, p := range all {
		page.Items[i] = h.convert(ctx, p)
	}
	return &answer[api.Page[api.Provider]]{page}, nil
}

func (h *handler) restGet(ctx context.Context, in *ByID) (*one, error) {
	p, err := h.Providers.Get(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	return h.one(ctx, p), nil
}

func (h *handler) one(ctx context.Context, p provider.Provider) *one {
	return &one{ETag: web.ETag(p.Revision), Body: h.convert(ctx, p)}
}

func (h *handler) restCreate(ctx context.Context, in *struct{ Body api.NewProvider }) (*one, error) {
	n := in.Body
	p, err := h.Providers.Create(ctx, web.Principal(ctx), provider.Provider{Kind: provider.Kind(n.Kind), Name: n.Name, Enabled: n.Enabled, Order: n.Order,
		Settings: n.Settings, Secrets: n.Secrets, SyncEvery: time.Duration(n.SyncEvery) * time.Second})
	if err != nil {
		return nil, err
	}
	return h.one(ctx, p), nil
}

func (h *handler) restUpdate(ctx context.Context, in *struct {
	ByID
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent changes whatever is there"`
	Body    api.ProviderUpdate
}) (*one, error) {
	revision, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	p, err := h.Providers.Get(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	if revision != 0 {
		p.Revision = revision
	}
	apply(&p, in.Body)
	if p, err = h.Providers.Update(ctx, web.Principal(ctx), p); err != nil {
		return nil, web.OrStale(revision, err)
	}
	return h.one(ctx, p), nil
}

func apply(p *provider.Provider, u api.ProviderUpdate) {
	if u.Name != nil {
		p.Name = *u.Name
	}
	if u.Enabled != nil {
		p.Enabled = *u.Enabled
	}
	if u.Order != nil {
		p.Order = *u.Order
	}
	if u.SyncEvery != nil {
		p.SyncEvery = time.Duration(*u.SyncEvery) * time.Second
	}
	p.Settings = maps.Clone(p.Settings)
	for name, value := range u.Settings {
		p.Settings[name] = value
	}
	for name, value := range u.Secrets {
		if value == nil {
			delete(p.Secrets, name)
		} else {
			p.Secrets[name] = *value
		}
	}
}

func (h *handler) restDelete(ctx context.Context, in *struct {
	ByID
	Confirmed bool `query:"confirmed" doc:"Delete it though people would have no way left to sign in"`
}) (*struct{}, error) {
	return nil, h.Providers.Delete(ctx, web.Principal(ctx), odcm.ProviderID(in.ID), provider.Deletion{Confirmed: in.Confirmed})
}

func (h *handler) restLeaving(ctx context.Context, in *ByID) (*answer[api.ProviderLeaving], error) {
	l, err := h.Providers.Leaving(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	return &answer[api.ProviderLeaving]{api.ProviderLeaving{Accounts: len(l.Accounts), Groups: len(l.Groups), Memberships: l.Memberships,
		Stranded: append([]string{}, l.Stranded()...)}}, nil
}

func (h *handler) restTest(ctx context.Context, in *ByID) (*answer[api.ProviderTest], error) {
	t, err := h.Providers.Test(ctx, web.Principal(ctx), odcm.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	return &answer[api.ProviderTest]{convertTest(t)}, nil
}

func (h *handler) restSync(ctx context.Context, in *struct {
	ByID
	Body *api.ProviderSyncRequest
}) (*struct{}, error) {
	accept := in.Body != nil && in.Body.Accept
	return nil, h.Providers.SyncNow(ctx, web.Principal(ctx), odcm.ProviderID(in.ID), accept)
}

func (h *handler) restGroups(ctx context.Context, in *struct {
	ByID
	Text  string `query:"q" doc:"Part of the name" maxLength:"100"`
	Limit int    `query:"limit" minimum:"1" maximum:"50" default:"20"`
}) (*answer[api.Page[api.ProviderGroup]], error) {
	found, err := h.Providers.FindGroups(ctx, web.Principal(ctx), odcm.ProviderID(in.ID), in.Text, in.Limit)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.ProviderGroup]{Items: make([]api.ProviderGroup, len(found))}
	for i, g := range found {
		page.Items[i] = api.ProviderGroup{ID: g.ID, Name: g.Name}
	}
	return &answer[api.Page[api.ProviderGroup]]{page}, nil
}

func (h *handler) convert(ctx context.Context, p provider.Provider) api.Provider {
	a := api.Provider{ID: string(p.ID), Kind: string(p.Kind), Name: p.Name, Enabled: p.Enabled, Order: p.Order, Settings: p.Settings,
		Secrets: slices.Sorted(maps.Keys(p.Secrets)), SyncEvery: int(p.SyncEvery.Seconds()), ReturnURL: h.returnURL(p), Created: p.Created}
	if a.Secrets == nil {
		a.Secrets = []string{}
	}
	if a.SyncEvery == 0 {
		a.SyncEvery = int(provider.DefaultSyncEvery.Seconds())
	}
	if h.Providers.Reads(ctx, p) {
		s := p.Sync
		a.Sync = &api.ProviderSync{Succeeded: some(s.Succeeded), Tried: some(s.Tried), Error: s.Error, Held: s.Held, People: s.People, Groups: s.Groups, Memberships: s.Memberships}
	}
	if !p.Test.Started.IsZero() {
		t := convertTest(p.Test)
		a.Test = &t
	}
	return a
}

func convertTest(t provider.Test) api.ProviderTest {
	a := api.ProviderTest{Started: t.Started, Ended: some(t.Ended), OK: t.OK(), Findings: make([]api.ProviderFinding, len(t.Findings))}
	for i, f := range t.Findings {
		a.Findings[i] = api.ProviderFinding(f)
	}
	return a
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
