package grouphttp

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/identity/group"
)

func (h *handler) rest() {
	a := h.Site.API()
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{"Groups"}}
	}
	web.Register(a, op("list-groups", "GET", "/groups", "List groups by name", http.StatusOK), h.apiList)
	web.Register(a, op("create-group", "POST", "/groups", "Create a group without members", http.StatusCreated), h.apiCreate)
	web.Register(a, op("get-group", "GET", "/groups/{id}", "Get a group", http.StatusOK), h.apiGet)
	web.Register(a, op("update-group", "PATCH", "/groups/{id}", "Rename a group or describe it anew", http.StatusOK), h.apiUpdate)
	web.Register(a, op("delete-group", "DELETE", "/groups/{id}", "Delete a group; its members stay", http.StatusNoContent), h.apiDelete)
	web.Register(a, op("list-group-members", "GET", "/groups/{id}/members", "List who is directly in a group: groups first, each by name", http.StatusOK), h.apiMembers)
	web.Register(a, op("edit-group-members", "PATCH", "/groups/{id}/members", "Put users and groups into a group and take others out", http.StatusOK), h.apiEdit)
	web.Register(a, op("list-group-users", "GET", "/groups/{id}/users", "List all users in a group, directly or through others, with the way there", http.StatusOK), h.apiUsers)
	web.Register(a, op("list-user-groups", "GET", "/users/{id}/groups", "List the groups that a user is in, directly or through others, with the way there", http.StatusOK), h.apiOf)
}

type answer[T any] struct{ Body T }

// One names a group. It is exported because huma fills embedded structs only then.
type One struct {
	Ref string `path:"id" doc:"Identifier or name of the group" maxLength:"400"`
}

// Listing asks for a page.
type Listing struct {
	Cursor string `query:"cursor" maxLength:"1000" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

type oneGroup struct {
	ETag string `header:"ETag" doc:"Send it as If-Match with a change"`
	Body api.Group
}

func toGroup(g group.Group) api.Group {
	out := api.Group{ID: string(g.ID), Name: g.Name, Description: g.Description, Created: g.Created, Revision: g.Revision}
	if g.IsExternal() {
		out.External = &api.ExternalGroup{Provider: string(g.External.Provider), ID: g.External.ID}
	}
	return out
}

func answered(g group.Group) *oneGroup {
	return &oneGroup{ETag: web.ETag(g.Revision), Body: toGroup(g)}
}

// find takes what people call a group. Nobody learns of a group which he may not see.
func (h *handler) find(ctx context.Context, ref string) (group.Group, error) {
	p := web.Principal(ctx)
	if err := h.Groups.Permit(ctx, p, group.ActionRead); err != nil {
		return group.Group{}, err
	}
	g, err := h.Groups.Find(ctx, ref)
	if err != nil {
		return group.Group{}, err
	}
	return h.Groups.Get(ctx, p, g.ID)
}

// page makes a page of what was found.
func page[T, A any, K any](all []T, more bool, to func(T) A, key func(T) K) *answer[api.Page[A]] {
	p := api.Page[A]{Items: make([]A, len(all))}
	for i, v := range all {
		p.Items[i] = to(v)
	}
	if more {
		p.Next = web.Cursor(key(all[len(all)-1]))
	}
	return &answer[api.Page[A]]{p}
}

func (h *handler) apiList(ctx context.Context, in *struct {
	Listing
	Text     string `query:"q" maxLength:"100" doc:"Part of the name"`
	Kind     string `query:"kind" enum:"own,external" doc:"Only ODCM's own, or only those of providers"`
	Provider string `query:"provider" maxLength:"100" doc:"Only those of this provider"`
}) (*answer[api.Page[api.Group]], error) {
	after, err := web.ReadCursor[group.Position](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, more, err := h.Groups.List(ctx, web.Principal(ctx), group.Query{Text: in.Text, Kind: group.Kind(in.Kind),
		Provider: odcm.ProviderID(in.Provider), After: after, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return page(all, more, func(e group.Entry) api.Group {
		g := toGroup(e.Group)
		g.Counts = &api.GroupCounts{Users: e.Users, Groups: e.Groups, Within: e.Within}
		return g
	}, group.Entry.Position), nil
}

func (h *handler) apiCreate(ctx context.Context, in *struct{ Body api.NewGroup }) (*oneGroup, error) {
	g, err := h.Groups.Create(ctx, web.Principal(ctx), group.NewGroup(in.Body))
	if err != nil {
		return nil, err
	}
	return answered(g), nil
}

func (h *handler) apiGet(ctx context.Context, in *One) (*oneGroup, error) {
	g, err := h.find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return answered(g), nil
}

func (h *handler) apiUpdate(ctx context.Context, in *struct {
	One
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent changes whatever is there"`
	Body    api.GroupUpdate
}) (*oneGroup, error) {
	return h.change(ctx, in.Ref, in.IfMatch, func(p odcm.Principal, g group.Group, revision int64) (group.Group, error) {
		return h.Groups.Update(ctx, p, g.ID, group.Update{Name: in.Body.Name, Description: in.Body.Description, Revision: revision})
	})
}

func (h *handler) change(ctx context.Context, ref, match string, f func(p odcm.Principal, g group.Group, revision int64) (group.Group, error)) (*oneGroup, error) {
	revision, err := web.IfMatch(match)
	if err != nil {
		return nil, err
	}
	g, err := h.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	if g, err = f(web.Principal(ctx), g, revision); err != nil {
		return nil, stale(revision, err)
	}
	return answered(g), nil
}

// stale turns only the conflict of revisions into 412: a cycle is one whatever the revision.
func stale(revision int64, err error) error {
	if odcm.CodeOf(err) == "group.changed" {
		return web.OrStale(revision, err)
	}
	return err
}

func (h *handler) apiDelete(ctx context.Context, in *struct {
	One
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent deletes whatever is there"`
	Force   bool   `query:"force" doc:"Also where it gives access or is in other groups"`
}) (*struct{}, error) {
	_, err := h.change(ctx, in.Ref, in.IfMatch, func(p odcm.Principal, g group.Group, revision int64) (group.Group, error) {
		return g, h.Groups.Delete(ctx, p, g.ID, group.Deletion{Revision: revision, Force: in.Force})
	})
	return nil, err
}

func (h *handler) apiMembers(ctx context.Context, in *struct {
	One
	Listing
}) (*answer[api.Page[api.GroupMember]], error) {
	after, err := web.ReadCursor[group.Position](in.Cursor)
	if err != nil {
		return nil, err
	}
	g, err := h.find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	all, more, err := h.Groups.Members(ctx, web.Principal(ctx), g.ID, after, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(all, more, func(m group.Member) api.GroupMember {
		if m.Group != nil {
			return api.GroupMember{Kind: "group", ID: string(m.Group.ID), Name: m.Group.Name}
		}
		return api.GroupMember{Kind: "user", ID: string(m.User.ID), Name: m.User.DisplayName, Detail: m.User.Username, Disabled: m.User.Disabled}
	}, group.Member.Position), nil
}

func (h *handler) apiEdit(ctx context.Context, in *struct {
	One
	IfMatch string `header:"If-Match" doc:"The ETag that you have read; absent changes whatever is there"`
	Body    api.GroupEdit
}) (*oneGroup, error) {
	return h.change(ctx, in.Ref, in.IfMatch, func(p odcm.Principal, g group.Group, revision int64) (group.Group, error) {
		return h.edit(ctx, p, g.ID, in.Body.Add, in.Body.Remove, revision)
	})
}

// edit changes members by what people call them.
func (h *handler) edit(ctx context.Context, p odcm.Principal, id odcm.GroupID, add, remove []string, revision int64) (_ group.Group, err error) {
	if err := h.Groups.Permit(ctx, p, group.ActionEdit); err != nil { // before it is told who there is
		return group.Group{}, err
	}
	e := group.Edit{Revision: revision}
	if e.AddUsers, e.AddGroups, err = h.Groups.Resolve(ctx, p, add); err != nil {
		return group.Group{}, err
	}
	if e.RemoveUsers, e.RemoveGroups, err = h.Groups.Resolve(ctx, p, remove); err != nil {
		return group.Group{}, err
	}
	return h.Groups.Edit(ctx, p, id, e)
}

func (h *handler) apiUsers(ctx context.Context, in *struct {
	One
	Listing
}) (*answer[api.Page[api.GroupUser]], error) {
	after, err := web.ReadCursor[odcm.UserID](in.Cursor)
	if err != nil {
		return nil, err
	}
	g, err := h.find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	all, _, more, err := h.Groups.Reach(ctx, web.Principal(ctx), g.ID, after, in.Limit)
	if err != nil {
		return nil, err
	}
	return page(all, more, func(r group.Reached) api.GroupUser {
		return api.GroupUser{ID: string(r.User.ID), Username: r.User.Username, Name: r.User.DisplayName, Path: refs(r.Path)}
	}, func(r group.Reached) odcm.UserID { return r.User.ID }), nil
}

func refs(groups []group.Group) []api.GroupRef {
	all := make([]api.GroupRef, len(groups))
	for i, g := range groups {
		all[i] = api.GroupRef{ID: string(g.ID), Name: g.Name}
	}
	return all
}

func (h *handler) apiOf(ctx context.Context, in *struct {
	ID string `path:"id" doc:"Identifier of the user" maxLength:"100"`
}) (*answer[api.Page[api.UserGroup]], error) {
	all, err := h.Groups.Of(ctx, web.Principal(ctx), odcm.UserID(in.ID))
	if err != nil {
		return nil, err
	}
	return page(all, false, func(path []group.Group) api.UserGroup {
		way := refs(path)
		return api.UserGroup{GroupRef: way[len(way)-1], Path: way}
	}, func([]group.Group) string { return "" }), nil
}
