package ssohttp

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"odcm/kit/web"
	"odcm/manager/sso/grant"
)

func (h *handler) authorize(w http.ResponseWriter, r *http.Request) error {
	if known, ok := r.Context().Value(authorizedKey{}).(authorized); ok {
		if known.err != nil {
			return known.err
		}
		return h.answer(w, r, known.answer, known.values)
	}
	values, err := parameters(w, r)
	if err != nil {
		return err
	}
	a, err := h.Service.Authorize(r.Context(), values, h.session(r))
	if err != nil {
		return err
	}
	return h.answer(w, r, a, values)
}

// authorized is what became of a request before the site had it.
type authorized struct {
	values url.Values
	answer grant.Answer
	err    error
}

type authorizedKey struct{}

// authorizeDirectly answers where the answer is a redirect to the relying party, and lets the site show all others.
func (h *handler) authorizeDirectly(w http.ResponseWriter, r *http.Request, next http.Handler) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || !storable(values) {
		next.ServeHTTP(w, r)
		return
	}
	a, err := h.Service.Authorize(r.Context(), values, h.session(r))
	if err != nil || a.Reply == nil || a.Reply.Mode == grant.ModeFormPost {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), authorizedKey{}, authorized{values, a, err})))
		return
	}
	w.Header()["Cache-Control"] = noStore
	redirect(w, address(a.Reply))
}

// storable tells whether all of it is text without zero bytes: PostgreSQL takes no other, and the site refuses it.
func storable(values url.Values) bool {
	for _, all := range values {
		for _, v := range all {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return false
			}
		}
	}
	return true
}

// answer sends the browser where the answer says.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, a grant.Answer, values url.Values) error {
	switch {
	case a.Reply != nil:
		return h.reply(w, r, a.Reply)
	case a.SignIn != nil:
		values.Set(grant.AfterParam, a.SignIn.After)
		to := h.SignIn(AuthorizePath+"?"+values.Encode(), a.SignIn.Fresh, a.SignIn.Hint)
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	web.Allow(w, "form-action", origin(values.Get("redirect_uri"))) // browsers check where a form's answer leads, too
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Let " + a.Ask.Party.Name + " know who you are?", Bare: true, Headless: true, Body: consentBody(*a.Ask)})
}

// reply sends values back to the relying party (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode).
func (h *handler) reply(w http.ResponseWriter, r *http.Request, reply *grant.Reply) error {
	if reply.Mode == grant.ModeFormPost {
		return h.formPost(w, r, reply)
	}
	redirect(w, address(reply))
	return nil
}

// address is where a reply leads that is a redirect. Registered addresses have no fragment of their own.
func address(reply *grant.Reply) string {
	switch {
	case reply.Mode == grant.ModeFragment:
		return reply.To + "#" + reply.Values.Encode()
	case strings.Contains(reply.To, "?"):
		return reply.To + "&" + reply.Values.Encode()
	}
	return reply.To + "?" + reply.Values.Encode()
}

// redirect answers 303, so that a browser that posted does not post again (RFC 9700 section 4.12). Nothing of the address may
// be told on (section 4.2.4).
func redirect(w http.ResponseWriter, to string) {
	w.Header()["Referrer-Policy"], w.Header()["Location"] = noReferrer, []string{to}
	w.WriteHeader(http.StatusSeeOther)
}

func origin(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
