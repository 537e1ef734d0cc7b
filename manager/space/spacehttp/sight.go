package spacehttp

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"odcm"
	"odcm/kit/web"
	"odcm/manager/space"
)

// sight is what of the Spaces somebody looks at, and how. All of it is in the address: a view can be kept and shared.
type sight struct {
	path     string // "/spaces", "/map" or "/wall"
	text     string
	shown    []string
	versions []string
	servers  []string
	inst     []string
	byName   bool
	list     bool // a table instead of tiles
	group    space.Grouping
	open     []string // groups that are unfolded; nil where that is left to the page
	page     int      // from 1
	every    int      // seconds after which a wall shows its next page
}

// bounds of what an address may ask for.
const (
	maxChosen = 50
	maxText   = 100
	maxEvery  = 3600
)

func readSight(path string, q url.Values) sight {
	s := sight{path: path, text: cut(strings.TrimSpace(q.Get("q"))), versions: chosen(q["version"]), servers: chosen(q["server"]),
		inst: chosen(q["instance"]), byName: q.Get("sort") == "name", list: q.Get("view") == "list", page: 1}
	for _, word := range space.Shown() {
		if slices.Contains(q["status"], word) {
			s.shown = append(s.shown, word)
		}
	}
	if by := space.Grouping(q.Get("group")); slices.Contains(space.Groupings(), by) {
		s.group = by
	}
	if q.Has("open") {
		s.open = slices.DeleteFunc(chosen(q["open"]), func(name string) bool { return name == folded })
		if s.open == nil {
			s.open = []string{}
		}
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		s.page = n
	}
	if n, err := strconv.Atoi(q.Get("every")); err == nil && n >= 5 && n <= maxEvery {
		s.every = n
	}
	return s
}

// folded stands for no group in an address that says which are open.
const folded = "-"

func chosen(values []string) (kept []string) {
	for _, v := range values[:min(len(values), maxChosen)] {
		if v = cut(v); v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

func cut(text string) string {
	if r := []rune(text); len(r) > maxText {
		return string(r[:maxText])
	}
	return text
}

// values is the sight as the query of an address, without what is as always.
func (s sight) values() url.Values {
	q := url.Values{}
	set := func(name, value string, usual bool) {
		if !usual {
			q.Set(name, value)
		}
	}
	set("q", s.text, s.text == "")
	set("sort", "name", !s.byName)
	set("view", "list", !s.list)
	set("group", string(s.group), s.group == space.Ungrouped)
	set("page", strconv.Itoa(s.page), s.page <= 1)
	set("every", strconv.Itoa(s.every), s.every == 0)
	for name, values := range map[string][]string{"status": s.shown, "version": s.versions, "server": s.servers, "instance": s.inst} {
		if len(values) > 0 {
			q[name] = values
		}
	}
	if s.open != nil {
		if q["open"] = s.open; len(s.open) == 0 {
			q["open"] = []string{folded}
		}
	}
	return q
}

func (s sight) query() string { return s.values().Encode() }

// href is the address of the sight after a change, which begins at the first page unless it says otherwise.
func (s sight) href(change func(*sight)) string {
	s.page = 1
	if change != nil {
		change(&s)
	}
	if q := s.query(); q != "" {
		return s.path + "?" + q
	}
	return s.path
}

func (s sight) filtered() bool {
	return s.text != "" || len(s.shown)+len(s.versions)+len(s.servers)+len(s.inst) > 0
}

func (s sight) asked() space.Sight {
	return space.Sight{Text: s.text, Shown: s.shown, Versions: s.versions, Servers: s.servers, Instances: s.inst, ByName: s.byName, Group: s.group}
}

// toggled has the value in the list, or no longer.
func toggled(list []string, value string) []string {
	if i := slices.Index(list, value); i >= 0 {
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	return append(slices.Clone(list), value)
}

// everyone is the scope of a view that is the same for all who see every Space.
const everyone = "all"

// maxKey bounds the identifier of a live view: longer ones are read again with their page.
const maxKey = 170

// key identifies the view for the live stream: who sees it, and what of it. A view is drawn once for all pages that show it.
func (s sight) key(scope string) string {
	key := scope + "~" + strings.TrimPrefix(s.path, "/") + "~" + s.query()
	if len(key) > maxKey {
		return ""
	}
	return key
}

// readKey is the reverse of key.
func readKey(key string) (scope string, s sight, ok bool) {
	scope, rest, ok := strings.Cut(key, "~")
	path, query, both := strings.Cut(rest, "~")
	q, err := url.ParseQuery(query)
	return scope, readSight("/"+path, q), ok && both && err == nil
}

// viewers remembers who looks at views of their own, as the site last told: a fragment is drawn for a scope, without a request.
func (h *Handler) mayView(p odcm.Principal, key string) bool {
	scope, _, ok := readKey(key)
	switch {
	case !ok:
		return false
	case scope == everyone:
		survey, err := h.Spaces.Survey(context.Background(), p, space.Sight{Shown: []string{"-"}})
		return err == nil && survey.All
	case scope == string(p.User):
		h.viewers.Store(p.User, p)
		return true
	}
	return false
}

// viewer is for whom a scope is drawn.
func (h *Handler) viewer(scope string) (odcm.Principal, error) {
	if scope == everyone {
		return odcm.System, nil
	}
	if p, ok := h.viewers.Load(odcm.UserID(scope)); ok {
		return p.(odcm.Principal), nil
	}
	return odcm.Principal{}, odcm.E(odcm.NotFound, "space.nobody-looks", "Nobody looks at this view.")
}

func sightOf(r *http.Request) sight {
	path := r.URL.Path
	if path == "/" {
		path = "/spaces"
	}
	return readSight(path, r.URL.Query())
}

// scope tells for whom a view is the same: for all who see everything, unless what is starred comes first.
func scope(ctx context.Context, all, own bool) string {
	if all && !own {
		return everyone
	}
	return string(web.Principal(ctx).User)
}
