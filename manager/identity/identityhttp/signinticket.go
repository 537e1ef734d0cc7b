package identityhttp

import (
	"encoding/base64"
	"net/http"
	"strings"

	"odcm"
	"odcm/manager/identity/provider"
)

// signInByTicket is Integrated Windows sign-in (RFC 4559): the browser is asked for a ticket, and sends it where its
// administrator lets it. The answer that asks is the sign-in page, which a browser without a ticket shows.
func (h *handler) signInByTicket(w http.ResponseWriter, r *http.Request) error {
	form := signInForm{Return: returnOf(r)}
	p, source, err := sourceOf[provider.Tickets](h, r)
	if err != nil {
		return h.refuseSignIn(w, r, form, err)
	}
	token, ok := negotiated(r.Header)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		form.Error = "Windows did not sign you in here: this browser sent no ticket. Sign in another way."
		return h.renderSignIn(w, r, http.StatusUnauthorized, form)
	}
	client := h.client(r)
	who, reply, err := source.Accept(r.Context(), token, client.Address)
	if len(reply) > 0 {
		w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(reply))
	}
	if err != nil {
		h.Service.RecordRefusal(r.Context(), p.ID, odcm.CodeOf(err), client)
		return h.refuseSignIn(w, r, form, err)
	}
	h.remember(w, r, waysOfTicket(p))
	if err := h.arrive(w, r, h.meant(w, r), who, form.Return); err != nil {
		return h.refuseSignIn(w, r, form, err)
	}
	return nil
}

func waysOfTicket(p provider.Provider) string {
	return offer{Href: "/sign-in/windows/" + string(p.ID)}.key()
}

// maxTicket bounds a token: a ticket with very many groups has some 48 KiB.
const maxTicket = 64 << 10

func negotiated(h http.Header) ([]byte, bool) {
	scheme, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Negotiate") || len(rest) > base64.StdEncoding.EncodedLen(maxTicket) {
		return nil, false
	}
	token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	return token, err == nil && len(token) > 0
}
