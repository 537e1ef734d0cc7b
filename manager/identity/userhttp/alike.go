package userhttp

import (
	"net/http"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/person"
)

// alikeView is the page of proposals.
type alikeView struct {
	proposals []merge.Proposal
	names     map[odcm.ProviderID]string
	mayMerge  bool
}

func (h *handler) alikePage(w http.ResponseWriter, r *http.Request) error {
	found, err := h.Merges.Proposals(r.Context(), web.Principal(r.Context()))
	if err != nil {
		return err
	}
	v := alikeView{proposals: found, mayMerge: h.may(r, "user.merge")}
	if v.names, err = h.names(r.Context()); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, h.frame("/people/alike", web.Page{
		Intro: "Users who may be one person. Nobody is merged until you say so.", Body: alikeBody(v)}))
}

// decide merges two users or tells them apart.
func (h *handler) decide(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	one, other := odcm.UserID(r.PostFormValue("keep")), odcm.UserID(r.PostFormValue("gone"))
	said := "They are one now."
	var err error
	switch r.PostFormValue("do") {
	case "merge":
		err = h.Merges.Merge(ctx, p, one, other)
	case "dismiss":
		err, said = h.Merges.Dismiss(ctx, p, one, other), "They will not be proposed again."
	default:
		err = odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", said)
	web.Redirect(w, r, "/people/alike")
	return nil
}

// sign says in words what two have in common.
func sign(s merge.Sign) string {
	switch s {
	case merge.SameAccount:
		return "Same directory account"
	case merge.SameSubject:
		return "Same subject at two providers"
	case merge.VerifiedEmail:
		return "Same verified address"
	}
	return "Same address, not verified"
}

func signTone(s merge.Sign) string {
	switch s {
	case merge.SameAccount, merge.VerifiedEmail:
		return "success"
	case merge.SameSubject:
		return "info"
	}
	return "warning"
}

// pairID is for the dialogs of a proposal.
func pairID(what string, keep, gone person.Person) string {
	return what + "-" + string(keep.ID) + "-" + string(gone.ID)
}
