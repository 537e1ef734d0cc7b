package spacehttp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// tilesPerPage is how many Spaces the board shows at once.
const tilesPerPage = 60

type boardView struct {
	filter          space.Filter
	starred, others []space.Entry
	first, next     string
	mayAdd          bool
}

func (h *Handler) board(w http.ResponseWriter, r *http.Request) error {
	p := web.Principal(r.Context())
	q := r.URL.Query()
	f := space.Filter{Text: q.Get("q"), Limit: tilesPerPage}
	for _, s := range q["status"] {
		if slices.Contains(space.Statuses(), space.Status(s)) {
			f.Statuses = append(f.Statuses, space.Status(s))
		}
	}
	var err error
	if f.After, err = web.ReadCursor[space.Position](q.Get("cursor")); err != nil {
		return err
	}
	page, more, err := h.Spaces.List(r.Context(), p, f)
	if err != nil {
		return err
	}
	b := boardView{filter: f, mayAdd: h.Spaces.May(r.Context(), p, space.ActionCreate, "")}
	for _, e := range page {
		if e.Starred {
			b.starred = append(b.starred, e)
		} else {
			b.others = append(b.others, e)
		}
	}
	if more {
		b.next = b.href(func(q url.Values) { q.Set("cursor", web.Cursor(page[len(page)-1].Position())) })
	}
	if q.Get("cursor") != "" {
		b.first = b.href(nil)
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Spaces", Nav: "spaces", Actions: boardActions(b), Body: board(b)})
}

// href is the address of the board with these filters and what change adds.
func (b boardView) href(change func(url.Values)) string {
	q := url.Values{}
	if b.filter.Text != "" {
		q.Set("q", b.filter.Text)
	}
	for _, s := range b.filter.Statuses {
		q.Add("status", string(s))
	}
	if change != nil {
		change(q)
	}
	if len(q) == 0 {
		return "/spaces"
	}
	return "/spaces?" + q.Encode()
}

// chips are the statuses as filters: each link turns one on or off.
func (b boardView) chips() []design.Chip {
	var chips []design.Chip
	for _, s := range space.Statuses() {
		on := slices.Contains(b.filter.Statuses, s)
		chips = append(chips, design.Chip{Label: design.LabelOf(string(s)), On: on, Href: b.href(func(q url.Values) {
			if !on {
				q.Add("status", string(s))
				return
			}
			q["status"] = slices.DeleteFunc(q["status"], func(v string) bool { return v == string(s) })
		})})
	}
	return chips
}

func (b boardView) filtered() bool { return b.filter.Text != "" || len(b.filter.Statuses) > 0 }

func (b boardView) count() string {
	if b.first == "" && b.next == "" {
		return ""
	}
	return fmt.Sprintf("%d Spaces on this page", len(b.starred)+len(b.others))
}

// shownState is what the pill of a Space says: how it is doing, or what is being done to it.
func shownState(e space.Entry) string {
	if e.State == space.StateActive {
		return statusOf(e.Health)
	}
	return string(e.State)
}

func reason(e space.Entry) string {
	if e.State == space.StateFailed {
		return e.Reason
	}
	if e.State == space.StateActive && e.Health.Status != space.Online {
		return e.Health.Reason
	}
	return ""
}

func meta(e space.Entry) []string {
	var m []string
	if v := version(e); v != "" {
		m = append(m, v)
	}
	switch n := len(e.Health.Nodes); {
	case n == 1:
		m = append(m, "1 node")
	case n > 1:
		m = append(m, fmt.Sprintf("%d nodes", n))
	}
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		m = append(m, u.Host)
	}
	return m
}
