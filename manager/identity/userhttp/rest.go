package userhttp

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"odcm"
	"odcm/api"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// answer is a body without more.
type answer[T any] struct{ Body T }

// oneUser is an answer with the revision that a change may name.
type oneUser struct {
	ETag string `header:"ETag"`
	Body api.User
}

// ByRef is the path of one user. It is exported because huma reads embedded fields of exported types only.
type ByRef struct {
	Ref string `path:"ref" maxLength:"320" doc:"Identifier, username or verified e-mail address of a user"`
}

func (h *handler) registerAPI(a huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Users"}}
	}
	created := func(o huma.Operation) huma.Operation {
		o.DefaultStatus = http.StatusCreated
		return o
	}
	web.Register(a, op("list-users", http.MethodGet, "/users", "Users by username"), h.apiList)
	web.Register(a, created(op("create-user", http.MethodPost, "/users", "Make a user")), h.apiCreate)
	web.Register(a, op("get-user", http.MethodGet, "/users/{ref}", "A user"), h.apiGet)
	web.Register(a, op("update-user", http.MethodPatch, "/users/{ref}", "Change a user, activate or deactivate"), h.apiUpdate)
	web.Register(a, op("delete-user", http.MethodDelete, "/users/{ref}", "Delete a user who is deactivated"), h.apiDelete)
	web.Register(a, created(op("add-user-email", http.MethodPost, "/users/{ref}/emails", "Give a user an address")), h.apiAddEmail)
	web.Register(a, op("update-user-email", http.MethodPatch, "/users/{ref}/emails/{address}", "Make an address the main one, or say that it is verified"), h.apiUpdateEmail)
	web.Register(a, op("remove-user-email", http.MethodDelete, "/users/{ref}/emails/{address}", "Take an address from a user"), h.apiRemoveEmail)
	web.Register(a, op("unlink-identity", http.MethodDelete, "/users/{ref}/identities/{identity}", "Take an account at a provider from a user"), h.apiUnlink)
	web.Register(a, op("list-user-sessions", http.MethodGet, "/users/{ref}/sessions", "The browsers in which a user is signed in, newest first"), h.apiSessions)
	web.Register(a, op("end-user-sessions", http.MethodDelete, "/users/{ref}/sessions", "Sign a user out everywhere"), h.apiEndSessions)
	web.Register(a, created(op("invite", http.MethodPost, "/invitations", "Invite somebody from outside")), h.apiInvite)
	web.Register(a, op("invite-again", http.MethodPost, "/users/{ref}/invitation", "Write once more to a user who has not come"), h.apiInviteAgain)
	web.Register(a, op("offer-password", http.MethodPost, "/users/{ref}/password-link", "Give a user the means to choose a new password"), h.apiOffer)
	web.Register(a, op("list-merge-proposals", http.MethodGet, "/merge-proposals", "Users who look like one person"), h.apiProposals)
	web.Register(a, op("merge-users", http.MethodPost, "/merges", "Make one user of two"), h.apiMerge)
	web.Register(a, op("tell-users-apart", http.MethodPost, "/distinctions", "Say that two users are two people"), h.apiDistinguish)
	web.Register(a, op("get-guest", http.MethodGet, "/guest", "Whether guests are let in"), h.apiGuest)
	web.Register(a, op("set-guest", http.MethodPut, "/guest", "Let guests in, or not"), h.apiSetGuest)
}

// resolve finds whom ref means. Names of others are for those who may read users: nobody is to learn who is known here.
func (h *handler) resolve(ctx context.Context, ref string) (odcm.UserID, error) {
	if strings.HasPrefix(ref, "user-") {
		return odcm.UserID(ref), nil
	}
	p := web.Principal(ctx)
	if p.User != "" && ref == p.Name {
		return p.User, nil
	}
	if err := h.Authorizer.Authorize(ctx, p, "user.read", ""); err != nil {
		return "", err
	}
	who, err := h.People.FindPerson(ctx, ref)
	return who.ID, err
}

// user answers with one as it is now.
func (h *handler) user(ctx context.Context, id odcm.UserID) (*oneUser, error) {
	who, err := h.People.Person(ctx, web.Principal(ctx), id)
	if err != nil {
		return nil, err
	}
	return &oneUser{ETag: web.ETag(who.Revision), Body: toUser(who)}, nil
}

type listUsers struct {
	Q        string `query:"q" maxLength:"200" doc:"Part of a username, name or address"`
	State    string `query:"state" enum:"active,disabled,deleted" doc:"All who are not deleted if absent"`
	Provider string `query:"provider" maxLength:"100" doc:"Identifier of a provider with which the user signs in, or local for a password"`
	Role     string `query:"role" enum:"administrator,auditor,space-administrator,member"`
	Cursor   string `query:"cursor" maxLength:"400" doc:"Next of the page before; absent for the first page"`
	Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}

func (h *handler) apiList(ctx context.Context, in *listUsers) (*answer[api.Page[api.User]], error) {
	after, err := web.ReadCursor[string](in.Cursor)
	if err != nil {
		return nil, err
	}
	f := person.Filter{Text: in.Q, State: person.State(in.State), Provider: odcm.ProviderID(in.Provider), Role: odcm.Role(in.Role)}
	people, err := h.People.List(ctx, web.Principal(ctx), f, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.User]{Items: []api.User{}}
	if len(people) > in.Limit {
		people = people[:in.Limit]
		page.Next = web.Cursor(keyOf(people[in.Limit-1]))
	}
	for _, p := range people {
		page.Items = append(page.Items, toUser(p))
	}
	return &answer[api.Page[api.User]]{page}, nil
}

func (h *handler) apiCreate(ctx context.Context, in *struct{ Body api.NewUser }) (*oneUser, error) {
	n := identity.NewUser{Username: in.Body.Username, DisplayName: in.Body.DisplayName, Password: in.Body.Password, Email: in.Body.Email,
		Roles: toRoles(in.Body.Roles)}
	if len(n.Roles) == 0 {
		n.Roles = []odcm.Role{odcm.Member}
	}
	u, err := h.People.Create(ctx, web.Principal(ctx), n)
	if err != nil {
		return nil, err
	}
	return h.user(ctx, u.ID)
}

func (h *handler) apiGet(ctx context.Context, in *ByRef) (*oneUser, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return h.user(ctx, id)
}

type updateUser struct {
	ByRef
	IfMatch string `header:"If-Match" doc:"Change only this revision"`
	Body    api.UserChange
}

func (h *handler) apiUpdate(ctx context.Context, in *updateUser) (*oneUser, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	wanted, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	p, n := web.Principal(ctx), wanted
	if n == 0 {
		u, err := h.People.Get(ctx, p, id)
		if err != nil {
			return nil, err
		}
		n = u.Revision
	}
	c := identity.Change{Username: in.Body.Username, DisplayName: in.Body.DisplayName, Disabled: in.Body.Disabled}
	if in.Body.Roles != nil {
		roles := toRoles(*in.Body.Roles)
		c.Roles = &roles
	}
	if _, err := h.People.Update(ctx, p, id, n, c); err != nil {
		return nil, staleUser(wanted, err)
	}
	return h.user(ctx, id)
}

// staleUser tells a revision that is not current any more from other conflicts.
func staleUser(wanted int64, err error) error {
	if odcm.CodeOf(err) == "identity.user-changed" {
		return web.OrStale(wanted, err)
	}
	return err
}

func (h *handler) apiDelete(ctx context.Context, in *struct {
	ByRef
	IfMatch string `header:"If-Match" doc:"Delete only this revision"`
}) (*struct{}, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	wanted, err := web.IfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	n := wanted
	if n == 0 {
		u, err := h.People.Get(ctx, web.Principal(ctx), id)
		if err != nil {
			return nil, err
		}
		n = u.Revision
	}
	return nil, staleUser(wanted, h.People.Delete(ctx, web.Principal(ctx), id, n))
}

func (h *handler) apiAddEmail(ctx context.Context, in *struct {
	ByRef
	Body api.NewEmail
}) (*oneUser, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err == nil {
		err = h.People.AddEmail(ctx, web.Principal(ctx), id, in.Body.Address)
	}
	if err != nil {
		return nil, err
	}
	return h.user(ctx, id)
}

// ByAddress is the path of one address of a user.
type ByAddress struct {
	ByRef
	Address string `path:"address" maxLength:"254"`
}

func (h *handler) apiUpdateEmail(ctx context.Context, in *struct {
	ByAddress
	Body api.EmailChange
}) (*oneUser, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err == nil && in.Body.Verified {
		err = h.People.VerifyEmail(ctx, web.Principal(ctx), id, in.Address)
	}
	if err == nil && in.Body.Main {
		err = h.People.UseEmail(ctx, web.Principal(ctx), id, in.Address)
	}
	if err != nil {
		return nil, err
	}
	return h.user(ctx, id)
}

func (h *handler) apiRemoveEmail(ctx context.Context, in *ByAddress) (*struct{}, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return nil, h.People.RemoveEmail(ctx, web.Principal(ctx), id, in.Address)
}

func (h *handler) apiUnlink(ctx context.Context, in *struct {
	ByRef
	Identity string `path:"identity" maxLength:"100"`
}) (*struct{}, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return nil, h.People.Unlink(ctx, web.Principal(ctx), id, person.IdentityID(in.Identity))
}

func (h *handler) apiSessions(ctx context.Context, in *struct {
	ByRef
	Cursor string `query:"cursor" maxLength:"200" doc:"Next of the page before; absent for the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most"`
}) (*answer[api.Page[api.Session]], error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	before, err := web.ReadCursor[session.ID](in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := h.People.SessionsOf(ctx, web.Principal(ctx), id, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := api.Page[api.Session]{Items: []api.Session{}}
	if len(all) > in.Limit {
		all = all[:in.Limit]
		page.Next = web.Cursor(all[in.Limit-1].ID)
	}
	for _, s := range all {
		page.Items = append(page.Items, api.Session{ID: string(s.ID), Method: s.Method, Created: s.Created, LastSeen: s.Seen, Expires: s.Expires,
			Address: s.Address, UserAgent: s.UserAgent})
	}
	return &answer[api.Page[api.Session]]{page}, nil
}

func (h *handler) apiEndSessions(ctx context.Context, in *ByRef) (*struct{}, error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return nil, h.People.EndSessionsOf(ctx, web.Principal(ctx), id, "")
}

func (h *handler) apiInvite(ctx context.Context, in *struct{ Body api.Invitation }) (*answer[api.Invited], error) {
	n := letter.Invite{Email: in.Body.Email, Username: in.Body.Username, DisplayName: in.Body.DisplayName, Roles: toRoles(in.Body.Roles)}
	for _, id := range in.Body.Groups {
		n.Groups = append(n.Groups, odcm.GroupID(id))
	}
	u, link, err := h.Letters.Invite(ctx, web.Principal(ctx), n)
	if err != nil {
		return nil, err
	}
	one, err := h.user(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	return &answer[api.Invited]{api.Invited{User: one.Body, Link: link}}, nil
}

func (h *handler) apiInviteAgain(ctx context.Context, in *ByRef) (*answer[api.Link], error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	link, err := h.Letters.InviteAgain(ctx, web.Principal(ctx), id)
	return &answer[api.Link]{api.Link{Link: link, Mailed: link == ""}}, err
}

func (h *handler) apiOffer(ctx context.Context, in *ByRef) (*answer[api.Link], error) {
	id, err := h.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	link, err := h.Letters.Offer(ctx, web.Principal(ctx), id)
	return &answer[api.Link]{api.Link{Link: link, Mailed: link == ""}}, err
}

func (h *handler) apiProposals(ctx context.Context, _ *struct{}) (*answer[api.Page[api.MergeProposal]], error) {
	found, err := h.Merges.Proposals(ctx, web.Principal(ctx))
	if err != nil {
		return nil, err
	}
	page := api.Page[api.MergeProposal]{Items: []api.MergeProposal{}}
	for _, f := range found {
		m := api.MergeProposal{One: toUser(f.One), Other: toUser(f.Other), Reasons: []api.MergeReason{}}
		for _, r := range f.Reasons {
			m.Reasons = append(m.Reasons, api.MergeReason{Sign: string(r.Sign), Value: r.Value})
		}
		page.Items = append(page.Items, m)
	}
	return &answer[api.Page[api.MergeProposal]]{page}, nil
}

func (h *handler) apiMerge(ctx context.Context, in *struct{ Body api.Merge }) (*struct{}, error) {
	return nil, h.Merges.Merge(ctx, web.Principal(ctx), odcm.UserID(in.Body.Keep), odcm.UserID(in.Body.Gone))
}

func (h *handler) apiDistinguish(ctx context.Context, in *struct{ Body api.Distinction }) (*struct{}, error) {
	return nil, h.Merges.Dismiss(ctx, web.Principal(ctx), odcm.UserID(in.Body.One), odcm.UserID(in.Body.Other))
}

func (h *handler) apiGuest(ctx context.Context, _ *struct{}) (*answer[api.Guest], error) {
	if err := h.Authorizer.Authorize(ctx, web.Principal(ctx), "user.read", string(person.Guest)); err != nil {
		return nil, err
	}
	on, err := h.People.GuestIn(ctx)
	return &answer[api.Guest]{api.Guest{On: on}}, err
}

func (h *handler) apiSetGuest(ctx context.Context, in *struct{ Body api.Guest }) (*answer[api.Guest], error) {
	return &answer[api.Guest]{in.Body}, h.People.LetGuestIn(ctx, web.Principal(ctx), in.Body.On)
}

func toRoles(names []string) []odcm.Role {
	roles := make([]odcm.Role, len(names))
	for i, n := range names {
		roles[i] = odcm.Role(n)
	}
	return roles
}

func toUser(p person.Person) api.User {
	u := api.User{ID: string(p.ID), Username: p.Username, DisplayName: p.DisplayName, Roles: []string{}, State: string(stateOf(p.User)),
		DisabledBy: string(p.DisabledBy), MergedInto: string(p.MergedInto), Password: p.HasPassword, Emails: []api.Email{},
		Identities: []api.Identity{}, Revision: p.Revision, Created: p.Created, Updated: p.Updated}
	for _, r := range p.Roles {
		u.Roles = append(u.Roles, string(r))
	}
	for _, e := range p.Emails {
		u.Emails = append(u.Emails, api.Email{Address: e.Address, Main: e.Main, Verified: optional(e.Verified)})
	}
	for _, i := range p.Identities {
		u.Identities = append(u.Identities, api.Identity{ID: string(i.ID), Provider: string(i.Provider), Subject: i.Subject, Username: i.Username,
			Email: i.Email, Marks: i.Marks, Gone: i.Gone, Linked: i.Linked, LastSignIn: optional(i.LastSignIn)})
	}
	return u
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
