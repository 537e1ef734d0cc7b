package userhttp

import (
	"net/http"

	"odcm/kit/mail"
	"odcm/kit/web"
)

// mailView is the page of the mail server and the guest.
type mailView struct {
	server             string
	waiting            []mail.Waiting
	guest              bool
	mayTest, maySwitch bool
}

func (h *handler) mailPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := h.Authorizer.Authorize(ctx, web.Principal(ctx), "mail.read", ""); err != nil {
		return err
	}
	v := mailView{server: h.Letters.Server(), mayTest: h.may(r, "mail.test"), maySwitch: h.may(r, "user.update")}
	var err error
	if v.guest, err = h.People.GuestIn(ctx); err != nil {
		return err
	}
	if h.Outbox != nil {
		if v.waiting, err = h.Outbox.List(ctx, pageSize); err != nil {
			return err
		}
	}
	return h.Site.Render(w, r, http.StatusOK, h.frame("/people/mail", web.Page{Body: mailBody(v)}))
}

func (h *handler) testMail(w http.ResponseWriter, r *http.Request) error {
	to, err := h.Letters.TestMail(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The mail server took a message to "+to+".")
	web.Redirect(w, r, "/people/mail")
	return nil
}

func (h *handler) switchGuest(w http.ResponseWriter, r *http.Request) error {
	on := r.PostFormValue("on") == "true"
	if err := h.People.LetGuestIn(r.Context(), web.Principal(r.Context()), on); err != nil {
		return err
	}
	said := "Guests are not let in any more."
	if on {
		said = "Everybody may look around as a guest now."
	}
	h.Site.Flash(w, r, "success", said)
	web.Redirect(w, r, "/people/mail")
	return nil
}
