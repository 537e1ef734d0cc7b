package userhttp

import (
	"net/http"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity"
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
	return h.Site.Render(w, r, http.StatusOK, below("Invite somebody", web.Page{Body: inviteBody(h.Letters.Mails())}))
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
