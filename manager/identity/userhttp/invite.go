package userhttp

import (
	"net/http"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/letter"
)

func (h *handler) newPage(w http.ResponseWriter, r *http.Request) error {
	if err := h.Authorizer.Authorize(r.Context(), web.Principal(r.Context()), "user.create", ""); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, below("Create a user", web.Page{Body: newBody()}))
}

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	n := identity.NewUser{Username: r.PostFormValue("username"), DisplayName: r.PostFormValue("displayName"), Email: r.PostFormValue("email"),
		Password: r.PostFormValue("password"), Roles: readRoles(r.PostForm)}
	u, err := h.People.Create(r.Context(), web.Principal(r.Context()), n)
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", u.Username+" was created.")
	web.Redirect(w, r, hrefOf(u.ID))
	return nil
}

func (h *handler) invitePage(w http.ResponseWriter, r *http.Request) error {
	if err := h.Authorizer.Authorize(r.Context(), web.Principal(r.Context()), "user.invite", ""); err != nil {
		return err
	}
	v := inviteView{mails: h.Letters.Mails()}
	var err error
	if v.groups, v.more, err = h.givable(r); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, below("Invite somebody", web.Page{Body: inviteBody(v)}))
}

// inviteView is what the form offers.
type inviteView struct {
	mails  bool
	groups []design.Option
	more   bool // than are offered
}

func (v inviteView) help() string {
	help := "What these groups may enter is open from the first sign-in."
	if v.more {
		help += " There are more groups: add the person on the page of such a group."
	}
	return help
}

// maxOffered is how many groups the form offers. Of more than can be looked through, the page of a group is the place.
const maxOffered = 200

// givable are the groups that the inviter may put somebody into: ODCM's own, for who may edit their members.
func (h *handler) givable(r *http.Request) (options []design.Option, more bool, err error) {
	ctx, p := r.Context(), web.Principal(r.Context())
	if h.Groups == nil || !h.Groups.May(ctx, p, group.ActionEdit) {
		return nil, false, nil
	}
	all, more, err := h.Groups.List(ctx, p, group.Query{Kind: group.Own, Limit: maxOffered})
	for _, g := range all {
		options = append(options, design.Option{Value: string(g.ID), Label: g.Name, Detail: g.Description})
	}
	return options, more, err
}

func (h *handler) invite(w http.ResponseWriter, r *http.Request) error {
	n := letter.Invite{Email: r.PostFormValue("email"), DisplayName: r.PostFormValue("displayName"), Roles: readRoles(r.PostForm)}
	for _, id := range r.PostForm["groups"] {
		n.Groups = append(n.Groups, odcm.GroupID(id))
	}
	u, link, err := h.Letters.Invite(r.Context(), web.Principal(r.Context()), n)
	if err != nil {
		return err
	}
	r.SetPathValue("id", string(u.ID))
	return h.handOver(w, r, "The invitation", link)
}
