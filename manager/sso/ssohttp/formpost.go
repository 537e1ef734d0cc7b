package ssohttp

import (
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"odcm/manager/sso/grant"
)

// field is a hidden input of the page that posts itself.
type field struct{ Name, Value string }

// formPost answers with a page that posts itself to the relying party. Its policy lets this one script run, and the form go to
// this one place.
func (h *handler) formPost(w http.ResponseWriter, r *http.Request, reply *grant.Reply) error {
	var fields []field
	for name, all := range reply.Values {
		for _, value := range all {
			fields = append(fields, field{name, value})
		}
	}
	slices.SortFunc(fields, func(a, b field) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer")
	// The page is the middle of a navigation that the relying party may have opened in a window of its own.
	head.Del("Cross-Origin-Opener-Policy")
	head.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+templ.GetNonce(r.Context())+"'; form-action "+origin(reply.To)+
		"; base-uri 'none'; frame-ancestors 'none'")
	return formPostPage(reply.To, fields).Render(r.Context(), w)
}
