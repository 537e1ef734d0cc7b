package accesshttp

import (
	"net/http"
	"net/url"
	"strings"

	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access/admit"
)

// overview is the page of all grants.
type overview struct {
	filter      admit.Filter
	rows        []admit.Listed
	first, next string
	narrowed    string // the group or person whose grants are listed
}

func (h *handler) overviewPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	o := overview{filter: admit.Filter{Text: q.Get("q"), Group: q.Get("group"), User: q.Get("user"), Kind: admit.HolderKind(q.Get("kind")),
		Stewards: q.Get("show") == "administer", Ended: q.Get("show") == "expired", Limit: rowsPerPage}}
	var err error
	if o.filter.After, err = web.ReadCursor[admit.Position](q.Get("cursor")); err != nil {
		return err
	}
	var next admit.Position
	if o.rows, next, err = h.Grants.Grants(r.Context(), web.Principal(r.Context()), o.filter); err != nil {
		return err
	}
	if (o.filter.Group != "" || o.filter.User != "") && len(o.rows) > 0 {
		o.narrowed = o.rows[0].Name
	}
	if next != (admit.Position{}) {
		o.next = o.href(func(q url.Values) { q.Set("cursor", web.Cursor(next)) })
	}
	if q.Get("cursor") != "" {
		o.first = o.href(nil)
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Access", Nav: "access", Intro: "Which groups and people may enter which Space.",
		Actions: overviewActions(h.Access.MayAsk(r.Context(), web.Principal(r.Context())) == nil), Body: overviewBody(o)})
}

func (o overview) href(change func(url.Values)) string {
	q := url.Values{}
	for name, value := range map[string]string{"q": o.filter.Text, "group": o.filter.Group, "user": o.filter.User, "kind": string(o.filter.Kind), "show": o.show()} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if change != nil {
		change(q)
	}
	return strings.TrimSuffix("/access?"+q.Encode(), "?")
}

func (o overview) show() string {
	switch {
	case o.filter.Stewards:
		return "administer"
	case o.filter.Ended:
		return "expired"
	}
	return ""
}

func (o overview) filtered() bool {
	return o.filter.Text != "" || o.filter.Kind != "" || o.show() != "" || o.filter.Group != "" || o.filter.User != ""
}

func (o overview) chips() []design.Chip {
	to := func(kind, show string) string {
		return o.href(func(q url.Values) {
			q.Del("kind")
			q.Del("show")
			if kind != "" {
				q.Set("kind", kind)
			}
			if show != "" {
				q.Set("show", show)
			}
		})
	}
	chips := []design.Chip{{Label: "All", On: o.filter.Kind == "" && o.show() == "", Href: to("", "")}}
	for _, c := range []struct{ label, kind, show string }{{"Groups", "group", ""}, {"People", "user", ""}, {"Space administrators", "", "administer"}, {"Expired", "", "expired"}} {
		chips = append(chips, design.Chip{Label: c.label, On: string(o.filter.Kind) == c.kind && o.show() == c.show, Href: to(c.kind, c.show)})
	}
	return chips
}
