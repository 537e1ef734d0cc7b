package spacehttp

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

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
	counts          map[space.Status]int // of all Spaces that the person may see; nil where nobody counts
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
	if h.Count != nil {
		if b.counts, err = h.Count(r.Context(), p); err != nil {
			return err
		}
	}
	if more {
		b.next = b.href(func(q url.Values) { q.Set("cursor", web.Cursor(page[len(page)-1].Position())) })
	}
	if q.Get("cursor") != "" {
		b.first = b.href(nil)
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Spaces", Notice: b.notice(), Nav: "spaces", Actions: boardActions(b), Body: board(b)})
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
	all := b
	all.filter.Statuses = nil
	chips := []design.Chip{{Label: "All", On: len(b.filter.Statuses) == 0, Href: all.href(nil)}}
	for _, s := range space.Statuses() {
		on := slices.Contains(b.filter.Statuses, s)
		count := ""
		if b.counts != nil {
			count = strconv.Itoa(b.counts[s])
		}
		chips = append(chips, design.Chip{Label: design.LabelOf(string(s)), Status: string(s), Count: count, On: on, Href: b.href(func(q url.Values) {
			if !on {
				q.Add("status", string(s))
				return
			}
			q["status"] = slices.DeleteFunc(q["status"], func(v string) bool { return v == string(s) })
		})})
	}
	return chips
}

// none tells that there is no Space at all, so nothing to search in.
func (b boardView) none() bool {
	return len(b.starred)+len(b.others) == 0 && !b.filtered() && b.first == ""
}

// follows are the topics that refresh the board. A tile follows its Space by itself; where statuses are chosen it may
// also have to come or go.
func (b boardView) follows() string {
	if len(b.filter.Statuses) > 0 {
		return "spaces space"
	}
	return "spaces"
}

// notice tells, in the browser's tab, of what somebody should look at.
func (b boardView) notice() string {
	if n := b.counts[space.Offline]; n > 0 {
		return fmt.Sprintf("%d offline", n)
	}
	return ""
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
	if at := host(e.URL); at != "" {
		m = append(m, at)
	}
	return m
}

// host is what people call a server by: its address without the rest.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
