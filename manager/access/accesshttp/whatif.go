package accesshttp

import (
	"net/http"
	"net/url"

	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/access/explain"
)

// WhatIf is the address of the page that says what a change of a membership or of a user's state would do: for the pages
// that offer such a change.
func WhatIf(c explain.Change) string {
	q := url.Values{}
	for name, value := range map[string]string{"kind": string(c.Kind), "group": c.Group, "user": c.User, "member": c.Member} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/access/what-if?" + q.Encode()
}

// supposed is the page of what a change would do that is made elsewhere.
type supposed struct {
	change      explain.Change
	asked       bool
	diff        explain.Difference
	first, next string
}

func (h *handler) whatIfPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p, q := r.Context(), web.Principal(r.Context()), r.URL.Query()
	v := supposed{change: explain.Change{Kind: explain.ChangeKind(q.Get("kind")), Group: q.Get("group"), User: q.Get("user"), Member: q.Get("member")}}
	if v.asked = v.change.Kind != ""; v.asked {
		if v.change.Kind == explain.ToDisable {
			v.change.Group = ""
		}
		from, err := web.ReadCursor[int](q.Get("cursor"))
		if err != nil {
			return err
		}
		if v.diff, err = h.Explain.WhatIf(ctx, p, []explain.Change{v.change}, from, rowsPerPage); err != nil {
			return err
		}
		if from > 0 {
			v.first = WhatIf(v.change)
		}
		if v.diff.Next > 0 {
			v.next = WhatIf(v.change) + "&cursor=" + url.QueryEscape(web.Cursor(v.diff.Next))
		}
	} else if err := h.Access.MayAsk(ctx, p); err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "What if?", Nav: "access", Intro: "Who would gain and lose what by a change of people and groups. Nothing is changed here.",
		Crumbs: []design.Crumb{{Label: "Access", Href: "/access"}}, Body: supposedBody(v)})
}

// kinds are the changes that the page asks about.
func (v supposed) kinds() []design.Option {
	return []design.Option{
		{Value: string(explain.ToAdd), Label: "Somebody joins a group"}, {Value: string(explain.ToRemove), Label: "Somebody leaves a group"},
		{Value: string(explain.ToDisable), Label: "Somebody is disabled"},
	}
}
