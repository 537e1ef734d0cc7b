package accesshttp

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/access"
	"odcm/manager/access/admit"
	"odcm/manager/access/explain"
)

// answer is a body without more.
type answer[T any] struct{ Body T }

// OnePage is what every list takes. It is exported because the framework reads no other embedded fields.
type OnePage struct {
	Cursor string `query:"cursor" maxLength:"1000" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

// BySpace names a Space in an address; see [OnePage].
type BySpace struct {
	ID string `path:"id" maxLength:"200" doc:"Identifier or slug of the Space"`
}

func (h *handler) rest() {
	a := h.Site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Access"}}
	}
	web.Register(a, op("list-access-grants", "GET", "/access/grants", "List who is let into which Space, by Space", http.StatusOK), h.grants)
	web.Register(a, op("grant-access", "POST", "/access/grants", "Let a group or a user into a Space", http.StatusCreated), h.grant)
	web.Register(a, op("revoke-access", "DELETE", "/access/grants/{id}", "Take a grant away", http.StatusNoContent), h.revoke)
	web.Register(a, op("explain-access", "GET", "/access/explain", "Say why somebody may enter a Space, or why not", http.StatusOK), h.explain)
	web.Register(a, op("ask-what-if", "POST", "/access/what-if", "Say who would gain and lose what by changes; changes nothing", http.StatusOK), h.whatIf)
	web.Register(a, op("map-group", "POST", "/access/mappings", "Put a group into an Octopus team of a Space", http.StatusNoContent), h.mapGroup)
	web.Register(a, op("unmap-group", "DELETE", "/access/mappings", "Take a group out of an Octopus team", http.StatusNoContent), h.unmapGroup)
	web.Register(a, op("list-entrants", "GET", "/spaces/{id}/entrants", "List who may enter a Space, by what, and what has arrived there", http.StatusOK), h.entrants)
	web.Register(a, op("list-mappings", "GET", "/spaces/{id}/mappings", "List the Octopus teams of a Space that groups are mapped to", http.StatusOK), h.mappings)
	web.Register(a, op("list-octopus-teams", "GET", "/spaces/{id}/teams", "List the Octopus teams of a Space, asking its server", http.StatusOK), h.teams)
}

func (h *handler) grants(ctx context.Context, in *struct {
	OnePage
	Space      string `query:"space" maxLength:"200" doc:"Only of this Space"`
	Group      string `query:"group" maxLength:"200" doc:"Only held by this group"`
	User       string `query:"user" maxLength:"320" doc:"Only held by this user himself"`
	Text       string `query:"q" maxLength:"200" doc:"Part of the name of the Space or the holder, or of the note"`
	Administer bool   `query:"administer" doc:"Only those who administer the Space in ODCM"`
	Expired    bool   `query:"expired" doc:"Only those that have expired"`
}) (*answer[api.Page[api.AccessGrant]], error) {
	f := admit.Filter{Space: in.Space, Group: in.Group, User: in.User, Text: in.Text, Stewards: in.Administer, Ended: in.Expired, Limit: in.Limit}
	var err error
	if f.After, err = web.ReadCursor[admit.Position](in.Cursor); err != nil {
		return nil, err
	}
	listed, next, err := h.Grants.Grants(ctx, web.Principal(ctx), f)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.AccessGrant]{Items: []api.AccessGrant{}}
	for _, g := range listed {
		page.Items = append(page.Items, toGrant(g))
	}
	if next != (admit.Position{}) {
		page.Next = web.Cursor(next)
	}
	return &answer[api.Page[api.AccessGrant]]{page}, nil
}

func toGrant(g admit.Listed) api.AccessGrant {
	return api.AccessGrant{ID: g.ID, Space: string(g.Space), SpaceName: g.Place.Name, Group: string(g.Holder.Group), User: string(g.Holder.User), Holder: g.Name,
		Administer: g.Steward, Expires: optional(g.Expires), Expired: expired(g.Grant), Note: g.Note, People: g.People, By: string(g.By), Created: g.Created}
}

func expired(g access.Grant) bool {
	return g.Ended || !g.Expires.IsZero() && !time.Now().Before(g.Expires)
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (h *handler) grant(ctx context.Context, in *struct{ Body api.NewAccessGrant }) (*answer[api.AccessGrant], error) {
	n := admit.NewGrant{Space: in.Body.Space, Group: in.Body.Group, User: in.Body.User, Steward: in.Body.Administer, Note: in.Body.Note}
	if in.Body.Expires != nil {
		if in.Body.Expires.IsZero() {
			return nil, odcm.E(odcm.Invalid, "access.expiry-past", "Leave expires out for a grant that never ends.").OnField("expires")
		}
		n.Expires = *in.Body.Expires
	}
	g, err := h.Grants.Grant(ctx, web.Principal(ctx), n)
	if err != nil {
		return nil, err
	}
	return &answer[api.AccessGrant]{toGrant(g)}, nil
}

func (h *handler) revoke(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"100"`
}) (*struct{}, error) {
	return nil, h.Grants.Revoke(ctx, web.Principal(ctx), in.ID)
}

func (h *handler) mapGroup(ctx context.Context, in *struct{ Body api.NewAccessMapping }) (*struct{}, error) {
	return nil, h.Grants.Map(ctx, web.Principal(ctx), in.Body.Space, access.Team{ID: in.Body.Team}, in.Body.Group)
}

func (h *handler) unmapGroup(ctx context.Context, in *struct {
	Space string `query:"space" required:"true" maxLength:"200"`
	Team  string `query:"team" required:"true" maxLength:"200"`
	Group string `query:"group" required:"true" maxLength:"200"`
}) (*struct{}, error) {
	return nil, h.Grants.Unmap(ctx, web.Principal(ctx), in.Space, in.Team, in.Group)
}

func (h *handler) entrants(ctx context.Context, in *struct {
	BySpace
	OnePage
	Text string `query:"q" maxLength:"200" doc:"Part of the name"`
}) (*answer[api.Page[api.AccessEntrant]], error) {
	after, err := web.ReadCursor[odcm.UserID](in.Cursor)
	if err != nil {
		return nil, err
	}
	listed, _, next, err := h.Grants.People(ctx, web.Principal(ctx), in.ID, admit.EntrantFilter{Text: in.Text, After: after, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	page := api.Page[api.AccessEntrant]{Items: []api.AccessEntrant{}}
	for _, e := range listed {
		row := api.AccessEntrant{User: string(e.Person.ID), Username: e.Person.Username, Name: e.Person.Called(), By: e.By, Administer: e.Steward,
			Teams: []api.AccessTeam{}, Arrival: toArrival(e.Arrival)}
		for _, t := range e.Teams {
			row.Teams = append(row.Teams, api.AccessTeam(t))
		}
		page.Items = append(page.Items, row)
	}
	if next != "" {
		page.Next = web.Cursor(next)
	}
	return &answer[api.Page[api.AccessEntrant]]{page}, nil
}

func toArrival(a access.Arrival) *api.AccessArrival {
	if a.State == "" {
		return nil
	}
	return &api.AccessArrival{State: string(a.State), Reason: a.Reason, Since: optional(a.Since)}
}

func (h *handler) mappings(ctx context.Context, in *BySpace) (*answer[api.Page[api.AccessMapping]], error) {
	mapped, err := h.Grants.Mappings(ctx, web.Principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.AccessMapping]{Items: []api.AccessMapping{}}
	for _, m := range mapped {
		row := api.AccessMapping{Team: m.Team.ID, TeamName: m.Team.Name, People: m.People}
		for _, g := range m.Groups {
			row.Groups = append(row.Groups, api.AccessGroup{ID: string(g.ID), Name: g.Name, People: g.People})
		}
		page.Items = append(page.Items, row)
	}
	return &answer[api.Page[api.AccessMapping]]{page}, nil
}

func (h *handler) teams(ctx context.Context, in *BySpace) (*answer[api.Page[api.AccessTeam]], error) {
	teams, err := h.Grants.TeamsOn(ctx, web.Principal(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.AccessTeam]{Items: []api.AccessTeam{}}
	for _, t := range teams {
		page.Items = append(page.Items, api.AccessTeam(t))
	}
	return &answer[api.Page[api.AccessTeam]]{page}, nil
}

func (h *handler) explain(ctx context.Context, in *struct {
	User  string `query:"user" maxLength:"320" doc:"Identifier, username or verified e-mail address; absent: you"`
	Space string `query:"space" required:"true" maxLength:"200" doc:"Identifier, slug or name"`
}) (*answer[api.AccessExplanation], error) {
	e, err := h.Explain.Explain(ctx, web.Principal(ctx), in.User, in.Space)
	if err != nil {
		return nil, err
	}
	out := api.AccessExplanation{User: string(e.Person.ID), Username: e.Person.Username, Name: e.Person.Called(), Space: string(e.Place.Space), SpaceName: e.Place.Name,
		MayEnter: e.Enter, Ways: []api.AccessWay{}, Teams: []api.AccessSeat{}, Missing: e.Missing, Arrival: toArrival(e.Arrival)}
	for _, w := range e.Ways {
		out.Ways = append(out.Ways, api.AccessWay{Grant: w.Grant.ID, Holder: w.Holder, Expires: optional(w.Grant.Expires), Path: toPath(w.Path)})
	}
	for _, seat := range e.Teams {
		s := api.AccessSeat{AccessTeam: api.AccessTeam(seat.Team)}
		for _, way := range seat.Ways {
			s.Ways = append(s.Ways, toPath(way))
		}
		out.Teams = append(out.Teams, s)
	}
	return &answer[api.AccessExplanation]{out}, nil
}

func toPath(path []access.NamedGroup) []api.AccessGroup {
	out := []api.AccessGroup{}
	for _, g := range path {
		out = append(out, api.AccessGroup{ID: string(g.ID), Name: g.Name})
	}
	return out
}

func (h *handler) whatIf(ctx context.Context, in *struct {
	OnePage
	Body api.AccessQuestion
}) (*answer[api.AccessDifference], error) {
	from, err := web.ReadCursor[int](in.Cursor)
	if err != nil {
		return nil, err
	}
	changes := make([]explain.Change, len(in.Body.Changes))
	for i, c := range in.Body.Changes {
		changes[i] = explain.Change{Kind: explain.ChangeKind(c.Kind), Space: c.Space, Team: c.Team, Group: c.Group, User: c.User, Member: c.Member}
	}
	d, err := h.Explain.WhatIf(ctx, web.Principal(ctx), changes, from, in.Limit)
	if err != nil {
		return nil, err
	}
	out := api.AccessDifference{Gain: d.Gain, Lose: d.Lose, Join: d.Join, Leave: d.Leave, People: d.People, Spaces: d.Spaces, Items: []api.AccessEffect{}}
	for _, e := range d.Effects {
		out.Items = append(out.Items, api.AccessEffect{Kind: string(e.Kind), User: string(e.Person), Name: e.Name, Space: string(e.Place.Space), SpaceName: e.Place.Name,
			Team: e.Team.ID, TeamName: e.Team.Name})
	}
	if d.Next > 0 {
		out.Next = web.Cursor(d.Next)
	}
	return &answer[api.AccessDifference]{out}, nil
}
