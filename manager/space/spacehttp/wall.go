package spacehttp

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// troublesOnWall is how many Spaces in trouble a wall names; the rest are counted.
const troublesOnWall = 8

// wallShape is the width of the heat grid to its height.
const wallShape = 5

// wallView is the wall screen: what is wrong, in letters that can be read from five metres.
type wallView struct {
	sight
	title  string // of the group that is shown, "" for all
	counts map[string]int
	total  int
	bad    []*space.Line
	more   int // in trouble beyond bad
	cells  []string
	next   string // where the rotation goes on
	key    string
}

func (h *Handler) wallPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	v, err := h.watch(ctx, p, sightOf(r))
	if err != nil {
		return err
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Wall", Notice: noticeOf(v.counts), Full: true, Body: wallPage(v)})
}

func (h *Handler) watch(ctx context.Context, p odcm.Principal, s sight) (v wallView, err error) {
	survey, err := h.Spaces.Survey(ctx, p, s.asked())
	v = wallView{sight: s, counts: survey.Counts, total: survey.Total}
	if err != nil {
		return v, err
	}
	lines := survey.Lines
	if groups := survey.Groups; len(groups) > 0 {
		slices.SortFunc(groups, func(a, b space.Group) int { return cmp.Compare(a.Name, b.Name) })
		g := groups[(s.page-1)%len(groups)]
		v.title, v.counts, v.total, lines = boardView{sight: s}.label(g), g.Counts, len(g.Lines), g.Lines
		next := s.page%len(groups) + 1
		v.next = s.href(func(s *sight) { s.page = next })
	}
	for _, l := range lines {
		if space.Trouble(l.Shown()) {
			v.bad = append(v.bad, l)
		}
	}
	// The latest first, of what is as bad: it is what people have not seen yet.
	slices.SortStableFunc(v.bad, func(a, b *space.Line) int {
		if a.Shown() != b.Shown() {
			return 0
		}
		return b.Since.Compare(a.Since)
	})
	if len(v.bad) > troublesOnWall {
		v.bad, v.more = v.bad[:troublesOnWall], len(v.bad)-troublesOnWall
	}
	placed := slices.SortedFunc(slices.Values(lines), byPlace)
	for _, l := range placed {
		v.cells = append(v.cells, l.Shown())
	}
	v.key = s.key(scope(web.WithPrincipal(ctx, p), survey.All, false))
	return v, nil
}

// byPlace keeps each Space where it is while others change: by machine, instance and name.
func byPlace(a, b *space.Line) int {
	return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Key, b.Key))
}

// figures are the numbers on the wall: always the same five, and what else there is.
func (v wallView) figures() (parts []design.Part) {
	for _, shown := range []string{string(space.Online), string(space.Degraded), string(space.Offline), string(space.Maintenance), string(space.Draining)} {
		parts = append(parts, v.figure(shown))
	}
	for _, shown := range []string{string(space.StateFailed), space.ShownUnknown} {
		if v.counts[shown] > 0 {
			parts = append(parts, v.figure(shown))
		}
	}
	return parts
}

func (v wallView) figure(shown string) design.Part {
	return design.Part{State: shown, Count: v.counts[shown], Href: v.back(func(s *sight) { s.shown = []string{shown} })}
}

// back is the address of the board with what the wall shows.
func (v wallView) back(change func(*sight)) string {
	return v.href(func(s *sight) {
		s.path, s.every, s.group = "/spaces", 0, space.Ungrouped
		if change != nil {
			change(s)
		}
	})
}

// heatLabel says the grid in words.
func (v wallView) heatLabel() string { return design.Figure(v.total) + " Spaces by server" }
