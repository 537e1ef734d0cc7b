package accesshttp

import (
	"errors"
	"net/http"
	"net/url"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access"
	"odcm/manager/access/explain"
)

type why struct {
	user, space string
	asked       bool
	e           explain.Explanation
	failure     string // why there is no answer, for people
	others      bool   // may ask about others
}

func (h *handler) explainPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := why{user: q.Get("user"), space: q.Get("space"), others: h.reads(p)}
	status := http.StatusOK
	if v.space != "" && (v.user != "" || !v.others) {
		v.asked = true
		e, err := h.Explain.Explain(ctx, p, v.user, v.space)
		switch odcm.KindOf(err) {
		case "":
			v.e = e
		case odcm.NotFound, odcm.Denied:
			var public *odcm.Error
			errors.As(err, &public)
			v.failure, status = public.Message, web.StatusOf(err)
		default:
			return err
		}
	}
	return h.Site.Render(w, r, status, web.Page{Title: "Why may somebody enter?", Nav: "access", Crumbs: crumbs(v.others), Body: whyBody(v)})
}

func crumbs(others bool) []design.Crumb {
	if others {
		return []design.Crumb{{Label: "Access", Href: "/access"}}
	}
	return nil
}

// whyHref asks why a person may enter a Space.
func whyHref(user odcm.UserID, place access.Place) string {
	return "/access/explain?" + url.Values{"user": {string(user)}, "space": {place.Slug}}.Encode()
}
