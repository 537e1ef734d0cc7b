package spacehttp

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"

	"odcm"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// Trusts knows which Space accepts items from which: the map shows it where somebody does.
type Trusts interface {
	// Trusts lists what the principal may know of.
	Trusts(ctx context.Context, p odcm.Principal) ([]Trust, error)
}

// Trust is that one Space accepts what another one publishes.
type Trust struct{ Publisher, Subscriber odcm.SpaceID }

const (
	// dotsPerPage bounds a page of the map.
	dotsPerPage = 10_000
	// namedDots is up to how many Spaces each has its name beside it; fewDots up to how many a dot is large.
	namedDots = 80
	fewDots   = 2_000
	// namedMachines is up to how many machines have their names on the map; wideMachine from how many Spaces one is wide.
	namedMachines = 150
	wideMachine   = 17
	// listedTrusts bounds the trusts that are told.
	listedTrusts = 200
)

// chartView is the map: machines, the instances on each, the Spaces on each of those.
type chartView struct {
	boardView
	machines []machine
	states   string // one character for each dot in order: its place in space.Shown, in base 36
	layout   string // changes when dots come, go or move
	trusts   []trustView
}

type machine struct {
	name      string
	total     int
	counts    map[string]int
	instances []instance
}

type instance struct{ dots []*space.Line }

type trustView struct{ publisher, subscriber *space.Line }

func (h *Handler) mapPage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	v, err := h.chart(ctx, p, sightOf(r))
	if err != nil {
		return err
	}
	if h.Trusts != nil {
		if v.trusts, err = h.trusts(ctx, p, v.survey.Lines); err != nil {
			return err
		}
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: "Map", Notice: v.notice(), Nav: "spaces", Crumbs: []design.Crumb{{Label: "Spaces", Href: "/spaces"}},
		Body: mapPage(v)})
}

func (h *Handler) chart(ctx context.Context, p odcm.Principal, s sight) (v chartView, err error) {
	v = chartView{boardView: boardView{sight: s, pages: 1}}
	asked := s.asked()
	asked.Group = space.Ungrouped // the map has its own
	if v.survey, err = h.Spaces.Survey(ctx, p, asked); err != nil {
		return v, err
	}
	v.key = s.key(scope(web.WithPrincipal(ctx, p), v.survey.All, false))
	placed := slices.SortedFunc(slices.Values(v.survey.Lines), byPlace)
	v.place(v.turn(placed, dotsPerPage))
	return v, nil
}

// place puts the lines on their machines.
func (v *chartView) place(lines []*space.Line) {
	words := map[string]byte{}
	for i, shown := range space.Shown() {
		words[shown] = "0123456789abcdefghijklmnopqrstuvwxyz"[i]
	}
	hash := fnv.New64a()
	states := make([]byte, 0, len(lines))
	for i, l := range lines {
		shown := l.Shown()
		states = append(states, words[shown])
		_, _ = hash.Write([]byte(l.ID + "\n" + odcm.SpaceID(l.Name) + "\n" + odcm.SpaceID(l.URL) + "\n" + odcm.SpaceID(l.Server) + "\n"))
		if i == 0 || lines[i-1].Server != l.Server {
			v.machines = append(v.machines, machine{name: l.Server, counts: map[string]int{}})
		}
		m := &v.machines[len(v.machines)-1]
		if m.total == 0 || lines[i-1].Instance != l.Instance {
			m.instances = append(m.instances, instance{})
		}
		on := &m.instances[len(m.instances)-1]
		on.dots = append(on.dots, l)
		m.total++
		m.counts[shown]++
	}
	v.states, v.layout = string(states), fmt.Sprintf("%x", hash.Sum(nil))
}

// size is how large a Space is drawn.
func (v chartView) size() string {
	switch n := len(v.states); {
	case n <= namedDots:
		return "named"
	case len(v.machines) > namedMachines:
		return "dense"
	case n <= fewDots:
		return "few"
	}
	return "many"
}

func (v chartView) shownWords() string { return strings.Join(space.Shown(), " ") }

// said is how much there is on the map.
func (v chartView) said() string {
	v.group = space.Ungrouped
	text := v.boardView.said()
	if n := len(v.machines); n > 1 {
		text += fmt.Sprintf(" on %s servers", design.Figure(n))
	}
	return text
}

func (m machine) label() string {
	if m.name == "" {
		return "No server yet"
	}
	return m.name
}

// trusts are the trusts between Spaces that are on the map.
func (h *Handler) trusts(ctx context.Context, p odcm.Principal, lines []*space.Line) (found []trustView, err error) {
	all, err := h.Trusts.Trusts(ctx, p)
	if err != nil {
		return nil, err
	}
	known := make(map[odcm.SpaceID]*space.Line, len(lines))
	for _, l := range lines {
		known[l.ID] = l
	}
	for _, t := range all {
		from, to := known[t.Publisher], known[t.Subscriber]
		if from != nil && to != nil && len(found) < listedTrusts {
			found = append(found, trustView{from, to})
		}
	}
	return found, nil
}
