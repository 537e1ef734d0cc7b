package userhttp

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// userView is the page of one user.
type userView struct {
	person.Person
	names                                   map[odcm.ProviderID]string
	sessions                                []session.Session
	pending                                 []letter.Letter
	link                                    shownLink
	merged                                  string // username of whom he was merged into
	mails, me                               bool
	mayUpdate, mayDelete, mayInvite, mayEnd bool
	now                                     time.Time
}

// shownLink is a link that could not be mailed.
type shownLink struct{ For, Link string }

func (v userView) href(path string) string { return hrefOf(v.ID) + path }

func hrefOf(id odcm.UserID) string { return "/people/" + url.PathEscape(string(id)) }

// came tells whether the user can sign in.
func (v userView) came() bool {
	return v.HasPassword || len(v.Identities) > 0 || v.ID == person.Guest
}

func (h *handler) userPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderUser(w, r, shownLink{})
}

func userID(r *http.Request) odcm.UserID { return odcm.UserID(r.PathValue("id")) }

func (h *handler) renderUser(w http.ResponseWriter, r *http.Request, link shownLink) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	who, err := h.People.Person(ctx, p, userID(r))
	if err != nil {
		return err
	}
	v := userView{Person: who, link: link, now: h.Now(), mails: h.Letters.Mails(), me: p.User == who.ID,
		mayUpdate: h.may(r, "user.update"), mayDelete: h.may(r, "user.delete"), mayInvite: h.may(r, "user.invite"), mayEnd: h.may(r, "user.sign-out")}
	if v.names, err = h.names(ctx); err != nil {
		return err
	}
	const most = 20
	if v.sessions, err = h.People.SessionsOf(ctx, p, who.ID, "", most); err != nil {
		return err
	}
	if v.pending, err = h.Letters.Pending(ctx, p, who.ID); err != nil {
		return err
	}
	if who.MergedInto != "" {
		into, err := h.People.Get(ctx, p, who.MergedInto)
		if err != nil {
			return err
		}
		v.merged = into.Username
	}
	return h.Site.Render(w, r, http.StatusOK, below(who.DisplayName, web.Page{Actions: userActions(v), Body: userBody(v)}))
}

func revision(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return 0, odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	return n, nil
}

// done says so on the user's page.
func (h *handler) done(w http.ResponseWriter, r *http.Request, message string) error {
	h.Site.Flash(w, r, "success", message)
	web.Redirect(w, r, hrefOf(userID(r)))
	return nil
}

func (h *handler) update(w http.ResponseWriter, r *http.Request) error {
	n, err := revision(r)
	if err != nil {
		return err
	}
	name := r.PostFormValue("displayName")
	c := identity.Change{DisplayName: &name}
	if r.PostForm.Has("username") {
		username, roles := r.PostFormValue("username"), readRoles(r.PostForm)
		c.Username, c.Roles = &username, &roles
	}
	if _, err := h.People.Update(r.Context(), web.Principal(r.Context()), userID(r), n, c); err != nil {
		return err
	}
	return h.done(w, r, "The user was saved.")
}

func (h *handler) switchState(w http.ResponseWriter, r *http.Request) error {
	n, err := revision(r)
	if err != nil {
		return err
	}
	off := r.PostFormValue("disabled") == "true"
	u, err := h.People.Update(r.Context(), web.Principal(r.Context()), userID(r), n, identity.Change{Disabled: &off})
	if err != nil {
		return err
	}
	if off {
		return h.done(w, r, u.Username+" was deactivated and signed out everywhere.")
	}
	return h.done(w, r, u.Username+" can sign in again.")
}

func (h *handler) delete(w http.ResponseWriter, r *http.Request) error {
	n, err := revision(r)
	if err != nil {
		return err
	}
	if err := h.People.Delete(r.Context(), web.Principal(r.Context()), userID(r), n); err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The user was deleted.")
	web.Redirect(w, r, "/people")
	return nil
}

// handOver shows a link on the page itself, where it was not mailed: it is kept nowhere.
func (h *handler) handOver(w http.ResponseWriter, r *http.Request, what, link string) error {
	if link == "" {
		return h.done(w, r, what+" is on its way by mail.")
	}
	return h.renderUser(w, r, shownLink{For: what, Link: link})
}

func (h *handler) inviteAgain(w http.ResponseWriter, r *http.Request) error {
	link, err := h.Letters.InviteAgain(r.Context(), web.Principal(r.Context()), userID(r))
	if err != nil {
		return err
	}
	return h.handOver(w, r, "The invitation", link)
}

func (h *handler) offerPassword(w http.ResponseWriter, r *http.Request) error {
	link, err := h.Letters.Offer(r.Context(), web.Principal(r.Context()), userID(r))
	if err != nil {
		return err
	}
	return h.handOver(w, r, "The link to a new password", link)
}

func (h *handler) changeEmail(w http.ResponseWriter, r *http.Request) error {
	ctx, p, id, address := r.Context(), web.Principal(r.Context()), userID(r), strings.TrimSpace(r.PostFormValue("email"))
	var err error
	switch r.PostFormValue("do") {
	case "add":
		err = h.People.AddEmail(ctx, p, id, address)
	case "verify":
		err = h.People.VerifyEmail(ctx, p, id, address)
	case "use":
		err = h.People.UseEmail(ctx, p, id, address)
	case "remove":
		err = h.People.RemoveEmail(ctx, p, id, address)
	default:
		err = odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	if err != nil {
		return err
	}
	return h.done(w, r, "The addresses were changed.")
}

func (h *handler) endSessions(w http.ResponseWriter, r *http.Request) error {
	if err := h.People.EndSessionsOf(r.Context(), web.Principal(r.Context()), userID(r), ""); err != nil {
		return err
	}
	return h.done(w, r, "The user is signed out everywhere.")
}

func (h *handler) unlink(w http.ResponseWriter, r *http.Request) error {
	if err := h.People.Unlink(r.Context(), web.Principal(r.Context()), userID(r), person.IdentityID(r.PathValue("identity"))); err != nil {
		return err
	}
	return h.done(w, r, "The account was unlinked.")
}
