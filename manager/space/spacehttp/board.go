package spacehttp

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// How much a page shows at once.
const (
	tilesPerPage  = 60
	rowsPerPage   = 100
	groupsPerPage = 40
	tilesPerGroup = 12
	// openTiles is how many tiles a page unfolds by itself.
	openTiles = 48
	// listedServers bounds the servers that a filter offers; beyond it one searches.
	listedServers = 300
)

type boardView struct {
	sight
	survey          space.Survey
	choices         space.Choices
	starred, others []space.Entry
	groups          []groupView
	order           string // what the page shows, in order: the script compares it
	pages           int
	key             string // of the live view; "" where it is read again with the page
	mayAdd          bool
}

// groupView is a group of the board; entries only where it is unfolded.
type groupView struct {
	space.Group
	open    bool
	entries []space.Entry
}

func (h *Handler) board(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	b, err := h.look(ctx, p, sightOf(r))
	if err != nil {
		return err
	}
	if err := h.fill(ctx, p, &b); err != nil {
		return err
	}
	b.mayAdd = h.Spaces.May(ctx, p, space.ActionCreate, "")
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Spaces", Notice: b.notice(), Nav: "spaces", Actions: boardActions(b), Body: board(b)})
}

// look surveys the board and says what is on the page, by identifiers; nothing but the stars comes from the database.
func (h *Handler) look(ctx context.Context, p odcm.Principal, s sight) (b boardView, err error) {
	b = boardView{sight: s, pages: 1}
	if b.survey, err = h.Spaces.Survey(ctx, p, s.asked()); err != nil {
		return b, err
	}
	if b.group != space.Ungrouped {
		b.partGroups()
		b.key = b.sight.key(scope(web.WithPrincipal(ctx, p), b.survey.All, false))
		return b, nil
	}
	stars, _, err := h.Spaces.List(ctx, p, space.Filter{Starred: true, Limit: space.MaxPage})
	if err != nil {
		return b, err
	}
	starred := map[odcm.SpaceID]space.Entry{}
	for _, e := range stars {
		starred[e.ID] = e
	}
	lines := b.survey.Lines
	if len(starred) > 0 && !b.list {
		lines = slices.DeleteFunc(slices.Clone(lines), func(l *space.Line) bool {
			e, ok := starred[l.ID]
			if ok {
				b.starred = append(b.starred, e)
			}
			return ok
		})
	}
	lines = b.turn(lines, map[bool]int{false: tilesPerPage, true: rowsPerPage}[b.list])
	if b.page > 1 {
		b.starred = nil
	}
	for _, l := range lines {
		b.others = append(b.others, space.Entry{Space: space.Space{ID: l.ID}})
	}
	b.order = inOrder(b.starred, b.others)
	b.key = b.sight.key(scope(web.WithPrincipal(ctx, p), b.survey.All, len(stars) > 0))
	return b, nil
}

// turn takes the lines of the page, the last one where there are not so many.
func (b *boardView) turn(lines []*space.Line, size int) []*space.Line {
	b.pages = max(1, (len(lines)+size-1)/size)
	b.page = min(b.page, b.pages)
	return lines[(b.page-1)*size : min(len(lines), b.page*size)]
}

// partGroups takes the groups of the page and unfolds those that are asked for, or those with trouble.
func (b *boardView) partGroups() {
	all := b.survey.Groups
	b.pages = max(1, (len(all)+groupsPerPage-1)/groupsPerPage)
	b.page = min(b.page, b.pages)
	all = all[(b.page-1)*groupsPerPage : min(len(all), b.page*groupsPerPage)]
	left := openTiles
	hash := fnv.New64a()
	for _, g := range all {
		v := groupView{Group: g, open: g.Name == "" || slices.Contains(b.open, g.Name)}
		if size := min(len(g.Lines), tilesPerGroup); b.open == nil && size <= left {
			v.open = v.open || troubled(g.Counts) || len(b.survey.Lines) <= openTiles
		}
		if v.open {
			for _, l := range g.Lines[:min(len(g.Lines), tilesPerGroup)] {
				v.entries = append(v.entries, space.Entry{Space: space.Space{ID: l.ID}})
			}
			left -= len(v.entries)
		}
		b.groups = append(b.groups, v)
		fmt.Fprintln(hash, g.Name, len(g.Lines), g.Counts, inOrder(v.entries))
	}
	b.order = fmt.Sprintf("%x", hash.Sum(nil))
}

func troubled(counts map[string]int) bool {
	for shown, n := range counts {
		if n > 0 && space.Trouble(shown) {
			return true
		}
	}
	return false
}

// inOrder names the Spaces that are shown.
func inOrder(lists ...[]space.Entry) string {
	var ids []string
	for _, list := range lists {
		for _, e := range list {
			ids = append(ids, string(e.ID))
		}
	}
	return strings.Join(ids, " ")
}

// fill reads what the page shows of each Space, as it is now: a page is never older than the position from which it listens.
func (h *Handler) fill(ctx context.Context, p odcm.Principal, b *boardView) (err error) {
	var ids []odcm.SpaceID
	for _, e := range b.others {
		ids = append(ids, e.ID)
	}
	for _, g := range b.groups {
		for _, e := range g.entries {
			ids = append(ids, e.ID)
		}
	}
	entries, err := h.Spaces.Entries(ctx, p, ids)
	if err != nil {
		return err
	}
	found := make(map[odcm.SpaceID]space.Entry, len(entries))
	for _, e := range entries {
		found[e.ID] = e
	}
	full := func(list []space.Entry) (all []space.Entry) {
		for _, e := range list {
			if e, ok := found[e.ID]; ok {
				all = append(all, e)
			}
		}
		return all
	}
	b.others = full(b.others)
	for i := range b.groups {
		b.groups[i].entries = full(b.groups[i].entries)
	}
	b.choices, err = h.Spaces.Choices(ctx, p)
	return err
}

// drawView draws what is common to all of a view: counts, and what is shown in which order.
func (h *Handler) drawView(ctx context.Context, key string) (templ.Component, error) {
	scope, s, _ := readKey(key)
	p, err := h.viewer(scope)
	if err != nil {
		return nil, err
	}
	switch s.path {
	case "/map":
		v, err := h.chart(ctx, p, s)
		v.key = key
		return mapState(v), err
	case "/wall":
		v, err := h.watch(ctx, p, s)
		v.key = key
		return wall(v), err
	}
	b, err := h.look(ctx, p, s)
	b.key = key
	return tally(b), err
}

// parts are what the bar is drawn of: each leads to itself alone.
func (b boardView) parts() []design.Part { return partsOf(b.survey.Counts, b.only) }

func (b boardView) only(shown string) string {
	return b.href(func(s *sight) { s.shown = []string{shown} })
}

// partsOf lists counts, trouble first.
func partsOf(counts map[string]int, href func(shown string) string) (parts []design.Part) {
	for _, shown := range space.Shown() {
		part := design.Part{State: shown, Count: counts[shown]}
		if href != nil {
			part.Href = href(shown)
		}
		parts = append(parts, part)
	}
	return parts
}

// chips are the statuses as filters: each link turns one on or off. Those that a probe can give are always there.
func (b boardView) chips() []design.Chip {
	chips := []design.Chip{{Label: "All", Count: design.Figure(b.survey.Total), On: len(b.shown) == 0, Href: b.href(func(s *sight) { s.shown = nil })}}
	for _, shown := range space.Shown() {
		n, on := b.survey.Counts[shown], slices.Contains(b.shown, shown)
		if n == 0 && !on && !slices.Contains(space.Statuses(), space.Status(shown)) {
			continue
		}
		chips = append(chips, design.Chip{Label: design.LabelOf(shown), Status: shown, Count: design.Figure(n), On: on,
			Href: b.href(func(s *sight) { s.shown = toggled(s.shown, shown) })})
	}
	return chips
}

// none tells that there is no Space at all, so nothing to search in.
func (b boardView) none() bool { return b.survey.Total == 0 && !b.filtered() }

// follows are the topics for which the whole board is read again. A tile follows its Space by itself, counts and order their view.
func (b boardView) follows() string {
	if b.key == "" {
		return "spaces space"
	}
	return "spaces"
}

// notice tells, in the browser's tab, of what somebody should look at.
func (b boardView) notice() string { return noticeOf(b.survey.Counts) }

func noticeOf(counts map[string]int) string {
	if n := counts[string(space.Offline)]; n > 0 {
		return design.Figure(n) + " offline"
	}
	return ""
}

// views are the ways to look at the same Spaces.
func (b boardView) views() []design.Tab {
	to := func(path string, list bool) string {
		return b.href(func(s *sight) { s.path, s.list, s.open = path, list, nil })
	}
	onBoard := b.path == "/spaces"
	return []design.Tab{
		{Label: "Tiles", On: onBoard && !b.list, Href: to("/spaces", false)},
		{Label: "List", On: onBoard && b.list, Href: to("/spaces", true)},
		{Label: "Map", On: b.path == "/map", Href: to("/map", false)},
		{Label: "Wall", Href: to("/wall", false)},
	}
}

// fold is the address at which the group is open, or folded.
func (b boardView) fold(g groupView) string {
	open := []string{}
	for _, other := range b.groups {
		if other.open && other.Name != "" {
			open = append(open, other.Name)
		}
	}
	page := b.page
	return b.href(func(s *sight) { s.open, s.page = toggled(open, g.Name), page })
}

// inside is the address of a group by itself.
func (b boardView) inside(g groupView) string {
	return b.href(func(s *sight) {
		s.open, s.group = nil, space.Ungrouped
		switch b.group {
		case space.ByServer:
			s.servers = []string{g.Name}
		case space.ByInstance:
			s.inst = []string{g.Name}
		case space.ByVersion:
			s.versions = []string{g.Name}
		case space.ByState:
			s.shown = []string{g.Name}
		}
	})
}

// label names a group for people.
func (b boardView) label(g space.Group) string {
	switch {
	case g.Name == "" && b.group == space.ByVersion:
		return "Version not known"
	case g.Name == "":
		return "No server yet"
	case b.group == space.ByState:
		return design.LabelOf(g.Name)
	}
	return g.Name
}

// said is how much of what the page shows.
func (b boardView) said() string {
	n := len(b.survey.Lines)
	text := design.Figure(n) + " Spaces"
	if n == 1 {
		text = "1 Space"
	}
	if b.group != space.Ungrouped {
		text += fmt.Sprintf(" in %s groups", design.Figure(len(b.survey.Groups)))
	}
	if b.pages > 1 {
		text += fmt.Sprintf(", page %s of %s", design.Figure(b.page), design.Figure(b.pages))
	}
	return text
}

func (b boardView) turned(to int) string {
	if to < 1 || to > b.pages {
		return ""
	}
	return b.href(func(s *sight) { s.page = to })
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
	if n := nodeCount(e.Health); n != "" {
		m = append(m, n)
	}
	if at := host(e.URL); at != "" {
		m = append(m, at)
	}
	return m
}

func nodeCount(h space.Health) string {
	switch n := len(h.Nodes); {
	case n == 1:
		return "1 node"
	case n > 1:
		return fmt.Sprintf("%d nodes", n)
	}
	return ""
}

// host is what people call a server by: its address without the rest.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
