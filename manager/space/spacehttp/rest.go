package spacehttp

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/space"
)

// rest registers the operations of the REST interface.
func (h *Handler) rest() {
	a := h.Site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Spaces"}}
	}
	web.Register(a, op("list-spaces", "GET", "/spaces", "List the Spaces that you may enter, starred ones first", http.StatusOK), h.list)
	web.Register(a, op("list-space-groups", "GET", "/spaces/groups", "Count the Spaces that you may enter by server, instance, version or state", http.StatusOK), h.groups)
	web.Register(a, op("get-space", "GET", "/spaces/{id}", "Get a Space", http.StatusOK), h.get)
	web.Register(a, op("create-space", "POST", "/spaces", "Create a blank Space: begins a task that launches a server for it", http.StatusAccepted), h.create)
	web.Register(a, op("update-space", "PATCH", "/spaces/{id}", "Rename a Space or describe it anew", http.StatusOK), h.update)
	web.Register(a, op("delist-space", "DELETE", "/spaces/{id}",
		"Delist a Space: begins a task that hands an enlisted server back as it was, or removes the server of a created one", http.StatusAccepted), h.delist)
	web.Register(a, op("plan-enlistment", "POST", "/spaces/plan", "Prove a server and say what enlisting would do, writing nothing", http.StatusOK), h.plan)
	web.Register(a, op("enlist-spaces", "POST", "/spaces/enlist", "Take Spaces of a server under management: proves it, then begins a task", http.StatusAccepted), h.enlist)
	web.Register(a, op("rekey-space", "PUT", "/spaces/{id}/key", "Replace the API key of a Space's server, once the new one has proved itself", http.StatusNoContent), h.rekey)
	web.Register(a, op("star-space", "PUT", "/spaces/{id}/star", "Star a Space for yourself", http.StatusNoContent), h.star(true))
	web.Register(a, op("unstar-space", "DELETE", "/spaces/{id}/star", "Take your star away", http.StatusNoContent), h.star(false))
	web.Register(a, op("list-space-choices", "GET", "/spaces/choices", "List the versions and servers that a new Space can choose from", http.StatusOK), h.choices)
	web.Register(a, op("get-switcher", "GET", "/switcher", "List the Spaces to jump to: starred, recent and others", http.StatusOK), h.switcher)
}

// ByRef names a Space. It is exported because huma fills embedded structs only then.
type ByRef struct {
	Ref string `path:"id" doc:"Identifier or slug of the Space" maxLength:"100"`
}

type one struct {
	ETag string `header:"ETag" doc:"Send it as If-Match with a change"`
	Body api.Space
}

type listed struct{ Body api.Page[api.Space] }

func (h *Handler) list(ctx context.Context, in *struct {
	Text    string   `query:"q" doc:"Part of the name" maxLength:"100"`
	State   []string `query:"state" doc:"Only these states" enum:"creating,enlisting,active,delisting,failed"`
	Status  []string `query:"status" doc:"Only these statuses" enum:"online,draining,degraded,offline,maintenance"`
	Version []string `query:"version" doc:"Only on servers of these versions"`
	Server  []string `query:"server" doc:"Only on these machines, by name"`
	Starred bool     `query:"starred" doc:"Only starred ones"`
	Sort    string   `query:"sort" doc:"trouble: as the board has them, and q is also looked for in addresses and reasons; else starred ones first, then by name" enum:"trouble"`
	Cursor  string   `query:"cursor" doc:"Where the page before ended: its next" maxLength:"1000"`
	Limit   int      `query:"limit" minimum:"1" maximum:"500" default:"50"`
}) (*listed, error) {
	f := space.Filter{Text: in.Text, Versions: in.Version, Servers: in.Server, Starred: in.Starred, Limit: in.Limit}
	for _, s := range in.State {
		f.States = append(f.States, space.State(s))
	}
	for _, s := range in.Status {
		f.Statuses = append(f.Statuses, space.Status(s))
	}
	var err error
	if f.After, err = web.ReadCursor[space.Position](in.Cursor); err != nil {
		return nil, err
	}
	page, next, err := h.listPage(ctx, f, in.Sort == "trouble")
	if err != nil {
		return nil, err
	}
	out := &listed{api.Page[api.Space]{Items: make([]api.Space, len(page))}}
	for i, e := range page {
		out.Body.Items[i] = entry(e)
	}
	if next != nil {
		out.Body.Next = web.Cursor(*next)
	}
	return out, nil
}

// listPage reads a page in one of the two orders, and says where it ended if there is more.
func (h *Handler) listPage(ctx context.Context, f space.Filter, trouble bool) ([]space.Entry, *space.Position, error) {
	if trouble {
		return h.Spaces.Troubled(ctx, web.Principal(ctx), f)
	}
	page, more, err := h.Spaces.List(ctx, web.Principal(ctx), f)
	if err != nil || !more {
		return page, nil, err
	}
	last := page[len(page)-1].Position()
	return page, &last, nil
}

type grouped struct{ Body api.Page[api.SpaceGroup] }

// groups answers all groups at once: there are at most as many as Spaces, and mostly far fewer.
func (h *Handler) groups(ctx context.Context, in *struct {
	By   string `query:"by" enum:"server,instance,version,state" default:"server" doc:"A server is a machine; an instance is a running Octopus server"`
	Text string `query:"q" doc:"Part of the name, of the address or of the reason" maxLength:"100"`
}) (*grouped, error) {
	survey, err := h.Spaces.Survey(ctx, web.Principal(ctx), space.Sight{Text: in.Text, Group: space.Grouping(in.By)})
	if err != nil {
		return nil, err
	}
	out := &grouped{api.Page[api.SpaceGroup]{Items: make([]api.SpaceGroup, len(survey.Groups))}}
	for i, g := range survey.Groups {
		out.Body.Items[i] = api.SpaceGroup{Name: g.Name, Total: len(g.Lines), Counts: g.Counts}
	}
	return out, nil
}

func (h *Handler) get(ctx context.Context, in *ByRef) (*one, error) { return h.answer(ctx, in.Ref) }

// answer reads the Space anew, as the principal sees it.
func (h *Handler) answer(ctx context.Context, ref string) (*one, error) {
	d, err := h.Spaces.Get(ctx, web.Principal(ctx), ref)
	if err != nil {
		return nil, err
	}
	return &one{ETag: web.ETag(d.Revision), Body: detail(d)}, nil
}

// begun is the answer to what a task will do: the task is in the body and, as an address, in Location.
type begun struct {
	Location string `header:"Location" doc:"Address of the task"`
	Body     api.Space
}

func taskHref(id odcm.TaskID) string { return "/api/v1/tasks/" + string(id) }

func (h *Handler) create(ctx context.Context, in *struct{ Body api.NewSpace }) (*begun, error) {
	sp, err := h.Spaces.Create(ctx, web.Principal(ctx), space.Creation{Name: in.Body.Name, Description: in.Body.Description,
		Version: in.Body.Version, Server: odcm.ServerID(in.Body.Server)})
	if err != nil {
		return nil, err
	}
	return &begun{taskHref(sp.Task), entry(space.Entry{Space: sp, Origin: space.Created})}, nil
}

func (h *Handler) update(ctx context.Context, in *struct {
	ByRef
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent changes whatever is there"`
	Body    api.SpaceUpdate
}) (*one, error) {
	revision, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	sp, err := h.Spaces.Update(ctx, web.Principal(ctx), in.Ref, space.Update{Name: in.Body.Name, Description: in.Body.Description, Revision: revision})
	if err != nil {
		return nil, web.OrStale(revision, err)
	}
	return h.answer(ctx, string(sp.ID))
}

func (h *Handler) delist(ctx context.Context, in *struct {
	ByRef
	Confirm  string `query:"confirm" doc:"Name of the Space; needed for a created one, whose server is removed" maxLength:"200"`
	KeepData bool   `query:"keepData" doc:"Leave the data folder of a created Space"`
	Force    bool   `query:"force" doc:"Forget an enlisted Space even if its server does not answer"`
}) (*begun, error) {
	before, err := h.answer(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	sp, err := h.Spaces.Delist(ctx, web.Principal(ctx), in.Ref, space.Delisting{Confirm: in.Confirm, KeepData: in.KeepData, Force: in.Force})
	if err != nil {
		return nil, err
	}
	out := &begun{taskHref(sp.Task), before.Body} // by now the task may have removed the row
	out.Body.State, out.Body.Task, out.Body.Revision = string(sp.State), string(sp.Task), sp.Revision
	return out, nil
}

type plan struct{ Body api.EnlistPlan }

func (h *Handler) plan(ctx context.Context, in *struct{ Body api.Connection }) (*plan, error) {
	p, err := h.Spaces.Plan(ctx, web.Principal(ctx), connection(in.Body))
	if err != nil {
		return nil, err
	}
	return &plan{planned(p)}, nil
}

type enlisting struct {
	Location string `header:"Location" doc:"Address of the task"`
	Body     api.Enlisting
}

func (h *Handler) enlist(ctx context.Context, in *struct{ Body api.Enlistment }) (*enlisting, error) {
	e := space.Enlistment{Connection: connection(in.Body.Connection), SignIn: space.SignInChoice(in.Body.SignIn),
		SignInOptions: space.SignInOptions{ClosePasswords: in.Body.ClosePasswords, Replace: in.Body.ReplaceSignIn, LeadOn: in.Body.LeadOn}, People: accountChoices(in.Body.Accounts)}
	for _, c := range in.Body.Spaces {
		e.Choices = append(e.Choices, space.Choice{Octopus: c.OctopusSpace, Name: c.Name, Description: c.Description})
	}
	made, err := h.Spaces.Enlist(ctx, web.Principal(ctx), e)
	if err != nil {
		return nil, err
	}
	out := &enlisting{taskHref(made[0].Task), api.Enlisting{Task: string(made[0].Task)}}
	for _, sp := range made {
		out.Body.Spaces = append(out.Body.Spaces, entry(space.Entry{Space: sp, Origin: space.Enlisted}))
	}
	return out, nil
}

func (h *Handler) rekey(ctx context.Context, in *struct {
	ByRef
	Body api.SpaceKey
}) (*struct{}, error) {
	return nil, h.Spaces.Rekey(ctx, web.Principal(ctx), in.Ref, space.Secret(in.Body.APIKey))
}

func (h *Handler) star(on bool) func(context.Context, *ByRef) (*struct{}, error) {
	return func(ctx context.Context, in *ByRef) (*struct{}, error) {
		return nil, h.Spaces.Star(ctx, web.Principal(ctx), in.Ref, on)
	}
}

type choices struct{ Body api.SpaceChoices }

func (h *Handler) choices(ctx context.Context, _ *struct{}) (*choices, error) {
	versions, servers, err := h.Spaces.Launchable(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	out := &choices{api.SpaceChoices{Versions: []api.LaunchVersion{}, Servers: []api.LaunchServer{}}}
	for _, v := range versions {
		out.Body.Versions = append(out.Body.Versions, api.LaunchVersion(v))
	}
	for _, s := range servers {
		out.Body.Servers = append(out.Body.Servers, api.LaunchServer{ID: string(s.ID), Name: s.Name, Online: s.Online, Instances: s.Instances,
			Capacity: s.Capacity, Reason: s.Reason})
	}
	return out, nil
}

type switcher struct{ Body api.Switcher }

func (h *Handler) switcher(ctx context.Context, in *struct {
	Text string `query:"q" doc:"Part of the name" maxLength:"100"`
}) (*switcher, error) {
	sw, err := h.Spaces.Switcher(ctx, web.Principal(ctx), in.Text)
	if err != nil {
		return nil, err
	}
	return &switcher{switcherOf(sw)}, nil
}
