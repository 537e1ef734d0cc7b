package identityhttp

import (
	"context"
	"net/http"
	"strings"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/identity/person"
)

// identityList is what the page "Ways to sign in" shows.
type identityList struct {
	person.Person
	Names map[odcm.ProviderID]string
	Ways  []offer // that can be linked
}

// last tells whether an identity is the only way in.
func (l identityList) last() bool { return len(l.Identities) == 1 && !l.HasPassword }

func (l identityList) name(i person.Identity) string {
	if name := l.Names[i.Provider]; name != "" {
		return name
	}
	return "A provider that is not offered any more"
}

func (h *handler) identitiesPage(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	who, err := h.Service.Person(r.Context(), p, p.User)
	if err != nil {
		return err
	}
	names, err := h.providerNames(r.Context())
	if err != nil {
		return err
	}
	l := identityList{Person: who, Names: names, Ways: h.offers(r, signInForm{}).Ways}
	return h.site.Render(w, r, http.StatusOK, Settings("/settings/identities", web.Page{Body: identitiesBody(l)}))
}

func (h *handler) providerNames(ctx context.Context) (map[odcm.ProviderID]string, error) {
	names := map[odcm.ProviderID]string{}
	if h.ways.Providers == nil {
		return names, nil
	}
	all, err := h.ways.Providers.Enabled(ctx)
	for _, p := range all {
		names[p.ID] = p.Name
	}
	return names, err
}

// linkIdentity sends the person to the provider. It is a form, so that no other site's link can begin it.
func (h *handler) linkIdentity(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	if p.User == person.Guest {
		return odcm.E(odcm.Denied, "identity.guest-fixed", "Sign in first: a guest has nothing of his own.")
	}
	return h.goTo(w, r, r.PostFormValue("way"), linking+intent(p.User))
}

// goTo leads to a way in with an intent. Where the page's script did not send the form, the browser is not redirected: the
// page's policy would hold the form's answer against the provider's address (CSP form-action), so it gets a link.
func (h *handler) goTo(w http.ResponseWriter, r *http.Request, href string, i intent) error {
	for _, way := range h.offers(r, signInForm{}).Ways {
		if way.Href != href {
			continue
		}
		h.mean(w, r, i)
		if web.Enhanced(r) {
			web.Redirect(w, r, way.Href)
			return nil
		}
		return h.site.Render(w, r, http.StatusOK, web.Page{Title: "Go on", Bare: true, Body: onwardBody(way)})
	}
	return odcm.E(odcm.NotFound, "provider.not-found", "This way to sign in is not offered any more. Choose another.")
}

func (h *handler) unlinkIdentity(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	if err := h.Service.Unlink(r.Context(), p, p.User, person.IdentityID(r.PathValue("id"))); err != nil {
		return err
	}
	h.site.Flash(w, r, "success", "You cannot sign in that way any more.")
	web.Redirect(w, r, "/settings/identities")
	return nil
}

// changeEmail is all that the table of addresses does.
func (h *handler) changeEmail(w http.ResponseWriter, r *http.Request) error {
	ctx, p, address := r.Context(), web.Principal(r.Context()), strings.TrimSpace(r.PostFormValue("email"))
	var err error
	var said string
	switch r.PostFormValue("do") {
	case "add":
		err, said = h.Service.AddEmail(ctx, p, p.User, address), "The address was added."
		if err == nil && h.letters != nil && h.letters.Mails() {
			err, said = h.letters.AskToVerify(ctx, p, address), "The address was added. A link to confirm it is on its way there."
		}
	case "verify":
		if h.letters == nil {
			return odcm.E(odcm.Unavailable, "letter.no-mail", "No mail server is set up here.")
		}
		err, said = h.letters.AskToVerify(ctx, p, address), "A link to confirm the address is on its way there."
	case "use":
		err, said = h.Service.UseEmail(ctx, p, p.User, address), "Mail goes to "+address+" from now on."
	case "remove":
		err, said = h.Service.RemoveEmail(ctx, p, p.User, address), "The address was removed."
	default:
		return odcm.E(odcm.Invalid, "request.malformed", "The form is not complete: load the page again.")
	}
	if err != nil {
		return failForm(r, err, func() error { return h.renderProfile(w, r, profileFaults{email: err}) })
	}
	h.site.Flash(w, r, "success", said)
	web.Redirect(w, r, "/settings")
	return nil
}
