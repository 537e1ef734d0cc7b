package licencehttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/licence"
)

func (h *handler) registerAPI(a huma.API) {
	tags := []string{"Licences"}
	web.Register(a, huma.Operation{OperationID: "get-licence", Method: http.MethodGet, Path: "/licence", Tags: tags,
		Summary: "What is used against what was bought, in short"}, h.get)
	web.Register(a, huma.Operation{OperationID: "list-licences", Method: http.MethodGet, Path: "/licence/servers", Tags: tags,
		Summary: "What each Octopus server says of its licence, the worst first"}, h.list)
	web.Register(a, huma.Operation{OperationID: "install-entitlement", Method: http.MethodPut, Path: "/licence/entitlement", Tags: tags,
		Summary: "Install an entitlement", Description: "It takes the place of what is installed."}, h.put)
	web.Register(a, huma.Operation{OperationID: "remove-entitlement", Method: http.MethodDelete, Path: "/licence/entitlement", Tags: tags,
		Summary: "Remove the entitlement", DefaultStatus: http.StatusNoContent}, h.delete)
}

type overviewOutput struct{ Body api.LicenceOverview }

func (h *handler) get(ctx context.Context, _ *struct{}) (*overviewOutput, error) {
	o, err := h.Licence.Overview(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	out := &overviewOutput{api.LicenceOverview{Spaces: o.Spaces, Servers: o.Servers, States: map[string]int{}, Totals: []api.LicenceTotal{}}}
	for s, n := range o.States {
		out.Body.States[string(s)] = n
	}
	for _, t := range o.Totals {
		out.Body.Totals = append(out.Body.Totals, api.LicenceTotal{Name: t.Name, Servers: t.Servers, Used: t.Used, UsedBounded: t.Bounded, Allowed: t.Allowed, Unlimited: t.Unlimited})
	}
	if o.Entitlement != nil {
		e := wire(*o.Entitlement)
		out.Body.Entitlement = &e
	}
	return out, nil
}

type listInput struct {
	State  string `query:"state" enum:"exceeded,expired,expiring,near,unknown,fine" doc:"Only servers in this state"`
	Q      string `query:"q" maxLength:"200" doc:"In the name of a Space, or the kind of licence"`
	Cursor string `query:"cursor" maxLength:"4000" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type listOutput struct{ Body api.Page[api.LicenceServer] }

func (h *handler) list(ctx context.Context, in *listInput) (*listOutput, error) {
	after, err := web.ReadCursor[licence.Position](in.Cursor)
	if err != nil {
		return nil, err
	}
	servers, next, err := h.Licence.List(ctx, web.Principal(ctx), licence.Filter{State: licence.State(in.State), Text: in.Q, After: after, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := &listOutput{api.Page[api.LicenceServer]{Items: make([]api.LicenceServer, len(servers))}}
	for i, s := range servers {
		item := api.LicenceServer{Instance: string(s.Instance), State: string(s.State()), Spaces: make([]api.LicenceSpace, len(s.Spaces)), Checked: moment(s.Checked)}
		for k, sp := range s.Spaces {
			item.Spaces[k] = api.LicenceSpace{ID: string(sp.ID), Slug: sp.Slug, Name: sp.Name}
		}
		if r := s.Reading; r != nil {
			item.Licence = &api.Licence{Kind: r.Kind, Compliant: r.Compliant, DaysLeft: r.DaysLeft}
			for _, l := range r.Limits {
				item.Licence.Limits = append(item.Licence.Limits, api.LicenceLimit(l))
			}
		}
		out.Body.Items[i] = item
	}
	if next != (licence.Position{}) {
		out.Body.Next = web.Cursor(next)
	}
	return out, nil
}

type putInput struct{ Body api.EntitlementFile }

type entitlementOutput struct{ Body api.Entitlement }

func (h *handler) put(ctx context.Context, in *putInput) (*entitlementOutput, error) {
	e, err := h.Licence.Install(ctx, web.Principal(ctx), []byte(in.Body.File))
	if err != nil {
		return nil, err
	}
	return &entitlementOutput{wire(*e)}, nil
}

func (h *handler) delete(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, h.Licence.Remove(ctx, web.Principal(ctx))
}

func wire(e licence.Entitlement) api.Entitlement {
	out := api.Entitlement{ID: e.ID, Holder: e.Holder, Standing: string(e.Standing), Problem: e.Problem, Issued: moment(e.Issued), NotBefore: moment(e.NotBefore),
		Expires: moment(e.Expires), DaysLeft: e.DaysLeft, Extras: []api.EntitlementExtra{}, Key: e.KeyID, Installed: e.At, By: e.By}
	for _, x := range e.Extras {
		out.Extras = append(out.Extras, api.EntitlementExtra(x))
	}
	return out
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
