package spacehttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/kit/web/design"
	"odcm/manager/space"
)

// HistoryFunc draws what happened to a Space over time.
type HistoryFunc func(ctx context.Context, p odcm.Principal, id odcm.SpaceID) (templ.Component, error)

// pages registers pages, forms and live fragments. Words that stand beside {id} are reserved slugs.
func (h *Handler) pages() {
	s := h.Site
	s.AddNav(web.NavItem{ID: "spaces", Label: "Spaces", Icon: "layers", Href: "/spaces", Order: 10})
	may := func(a odcm.Action) func(odcm.Principal) bool {
		return func(p odcm.Principal) bool { return h.Spaces.May(context.Background(), p, a, "") }
	}
	s.AddNav(web.NavItem{Label: "Map of the Spaces", Icon: "layers", Href: "/map", Order: 11, PaletteOnly: true},
		web.NavItem{Label: "Wall screen", Icon: "layers", Href: "/wall", Order: 11, PaletteOnly: true})
	s.AddNav(web.NavItem{Label: "Create a Space", Icon: "plus", Href: "/spaces/new", Order: 11, PaletteOnly: true, Show: may(space.ActionCreate)},
		web.NavItem{Label: "Enlist a server", Icon: "link", Href: "/spaces/enlist", Order: 12, PaletteOnly: true, Show: may(space.ActionEnlist)})
	s.Handle("GET /{$}", h.board)
	s.Handle("GET /spaces", h.board)
	s.Handle("GET /map", h.mapPage)
	s.Handle("GET /wall", h.wallPage)
	s.Handle("GET /spaces/new", h.newPage)
	s.Handle("POST /spaces/new", h.newForm)
	s.Handle("GET /spaces/enlist", h.enlistPage)
	s.Handle("POST /spaces/enlist", h.connectForm)
	s.Handle("POST /spaces/enlist/apply", h.enlistForm)
	s.Handle("GET /spaces/working", h.workingPage)
	s.Handle("GET /spaces/{id}", h.spacePage)
	s.Handle("POST /spaces/{id}", h.updateForm)
	s.Handle("POST /spaces/{id}/key", h.rekeyForm)
	s.Handle("POST /spaces/{id}/delist", h.delistForm)
	s.Handle("POST /spaces/{id}/star", h.starForm)
	s.Handle("GET /spaces/{id}/open", h.open)
	sees := func(p odcm.Principal, id string) bool {
		return h.Spaces.Sees(context.Background(), p, odcm.SpaceID(id))
	}
	s.Live().Fragment("space", func(ctx context.Context, id string) (templ.Component, error) {
		e, err := h.entry(ctx, id)
		return tile(e), err
	}, sees)
	s.Live().Fragment("space.row", func(ctx context.Context, id string) (templ.Component, error) {
		e, err := h.entry(ctx, id)
		return row(e), err
	}, sees)
	s.Live().Fragment("space.page", nil, sees)
	s.Live().Fragment("board.view", h.drawView, h.mayView)
	watches := func(p odcm.Principal, id string) bool {
		t, err := h.Tasks.Get(context.Background(), odcm.TaskID(id))
		return err == nil && h.mayWatch(context.Background(), p, t)
	}
	s.Live().Fragment("task.space", func(ctx context.Context, id string) (templ.Component, error) {
		v, err := h.progress(ctx, odcm.TaskID(id))
		return taskProgress(v), err
	}, watches)
	s.Live().Fragment("task.page", nil, watches)
}

// entry reads what a tile shows, for whoever may see it: little, because many wait for it.
func (h *Handler) entry(ctx context.Context, id string) (space.Entry, error) {
	found, err := h.Spaces.Entries(ctx, odcm.System, []odcm.SpaceID{odcm.SpaceID(id)})
	if err != nil {
		return space.Entry{}, err
	}
	if len(found) == 0 {
		return space.Entry{}, odcm.E(odcm.NotFound, "space.not-found", "There is no such Space, or you may not enter it.")
	}
	return found[0], nil
}

// mayWatch lets those see a task who may see its Space, and those who began it, also after it was rolled back.
func (h *Handler) mayWatch(ctx context.Context, p odcm.Principal, t task.Task) bool {
	return t.By.User == p.User || h.Spaces.Sees(ctx, p, odcm.SpaceID(t.Subject))
}

type spaceView struct {
	space.Detail
	mayUpdate, mayRekey, mayDelist bool
	progress                       progressView
	history                        templ.Component
	vitals                         Vitals
}

func (v spaceView) href(tail string) string { return "/spaces/" + v.Slug + tail }

func (h *Handler) spacePage(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), web.Principal(r.Context())
	d, err := h.Spaces.Get(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	may := func(a odcm.Action) bool { return h.Spaces.May(ctx, p, a, string(d.ID)) }
	settled := d.State == space.StateActive || d.State == space.StateFailed
	v := spaceView{Detail: d, mayUpdate: may(space.ActionUpdate), mayRekey: settled && d.URL != "" && may(space.ActionRekey),
		mayDelist: settled && may(space.ActionDelist)}
	if d.Task != "" && d.State != space.StateActive {
		if v.progress, err = h.progress(ctx, d.Task); err != nil && odcm.KindOf(err) != odcm.NotFound { // old tasks are swept
			return err
		}
	}
	if h.History != nil {
		if v.history, err = h.History(ctx, p, d.ID); err != nil {
			return err
		}
	}
	if h.Vitals != nil {
		if v.vitals, err = h.Vitals(ctx, p, d.ID); err != nil {
			return err
		}
	}
	return h.Site.Render(w, r, http.StatusOK, web.Page{Title: d.Name, Nav: "spaces", Crumbs: []design.Crumb{{Label: "Spaces", Href: "/spaces"}},
		Intro: d.Description, Actions: spaceActions(v), Body: spacePage(v), Space: d.Name, Tabs: h.tabs(r.Context(), p, d.Space)})
}

// tabs are the Space's own page and what others have about it; none where they have nothing.
func (h *Handler) tabs(ctx context.Context, p odcm.Principal, sp space.Space) []design.Tab {
	if h.Tabs == nil {
		return nil
	}
	others := h.Tabs(ctx, p, sp)
	if len(others) == 0 {
		return nil
	}
	return append([]design.Tab{{Label: "Overview", Href: "/spaces/" + sp.Slug, On: true}}, others...)
}

func (h *Handler) updateForm(w http.ResponseWriter, r *http.Request) error {
	revision, err := strconv.ParseInt(r.PostFormValue("revision"), 10, 64)
	if err != nil {
		return odcm.E(odcm.Invalid, "space.form", "The form is not complete: load the page again.").Because(err)
	}
	name, description := r.PostFormValue("name"), r.PostFormValue("description")
	sp, err := h.Spaces.Update(r.Context(), web.Principal(r.Context()), r.PathValue("id"), space.Update{Name: &name, Description: &description, Revision: revision})
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "Saved.")
	web.Redirect(w, r, "/spaces/"+sp.Slug)
	return nil
}

func (h *Handler) rekeyForm(w http.ResponseWriter, r *http.Request) error {
	err := h.Spaces.Rekey(r.Context(), web.Principal(r.Context()), r.PathValue("id"), space.Secret(r.PostFormValue("apiKey")))
	if err != nil {
		return err
	}
	h.Site.Flash(w, r, "success", "The new API key is in use.")
	web.Redirect(w, r, "/spaces/"+r.PathValue("id"))
	return nil
}

func (h *Handler) delistForm(w http.ResponseWriter, r *http.Request) error {
	sp, err := h.Spaces.Delist(r.Context(), web.Principal(r.Context()), r.PathValue("id"), space.Delisting{
		Confirm: r.PostFormValue("confirm"), KeepData: r.PostFormValue("keepData") == "on", Force: r.PostFormValue("force") == "on"})
	if err != nil {
		return err
	}
	web.Redirect(w, r, workingHref(sp.Task))
	return nil
}

func (h *Handler) starForm(w http.ResponseWriter, r *http.Request) error {
	if err := h.Spaces.Star(r.Context(), web.Principal(r.Context()), r.PathValue("id"), r.PostFormValue("on") == "true"); err != nil {
		return err
	}
	web.Redirect(w, r, "/spaces/"+r.PathValue("id"))
	return nil
}

// open remembers the visit and goes to the Space itself.
func (h *Handler) open(w http.ResponseWriter, r *http.Request) error {
	target, err := h.Spaces.Visit(r.Context(), web.Principal(r.Context()), r.PathValue("id"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}

func (v spaceView) facts() []design.Fact {
	facts := []design.Fact{
		{Label: "Version", Value: version(v.Entry)},
		{Label: "URL", Content: address(v.URL)},
		{Label: "Server run by", Value: map[space.Origin]string{space.Created: "ODCM", space.Enlisted: "somebody else"}[v.Origin]},
		{Label: "Space on the server", Value: v.Octopus},
		{Label: "Installation", Value: v.InstallationID},
		{Label: "Managed since", Content: design.Time(v.Created)},
	}
	if v.Neighbours > 0 {
		facts = append(facts, design.Fact{Label: "Other Spaces on the server", Value: strconv.Itoa(v.Neighbours)})
	}
	return facts
}

// kept tells how it stands with what the reconciler keeps on the server.
func (v spaceView) kept() []design.Fact {
	h := v.Hook
	if h.State == "" {
		return []design.Fact{{Label: "Webhook", Value: "not yet"}}
	}
	tone := map[space.HookState]string{space.HookApplied: "success", space.HookPending: "warning", space.HookSkipped: "neutral"}[h.State]
	facts := []design.Fact{{Label: "Webhook", Content: design.Badge(tone, design.LabelOf(string(h.State)))}}
	if h.Reason != "" {
		facts = append(facts, design.Fact{Label: "Because", Value: h.Reason})
	}
	facts = append(facts, design.Fact{Label: "Last compared", Content: design.Time(h.Checked)})
	if h.Repairs > 0 {
		facts = append(facts, design.Fact{Label: "Drift repaired", Value: fmt.Sprintf("%d times; last: %s", h.Repairs, h.Drift)},
			design.Fact{Label: "Last repair", Content: design.Time(h.Drifted)})
	}
	return facts
}

// asLastSeen warns that nobody can tell how the nodes of a server are that does not answer.
func asLastSeen(h space.Health) string {
	if h.Status == space.Offline {
		return "As they were when the server last answered"
	}
	return ""
}

func nodeState(h space.Health, n space.Node) string {
	switch {
	case h.Status == space.Offline:
		return statusOf(space.Health{})
	case n.Offline:
		return string(space.Offline)
	case n.Draining:
		return string(space.Draining)
	}
	return string(space.Online)
}

// licenceKind says "Commercial Licence" for CommercialLicense, and until when it is good.
func licenceKind(l *space.Licence) string {
	var words strings.Builder
	for i, r := range strings.ReplaceAll(l.Kind, "License", "Licence") {
		if i > 0 && unicode.IsUpper(r) {
			words.WriteByte(' ')
		}
		words.WriteRune(r)
	}
	switch {
	case l.DaysLeft == nil:
		words.WriteString(", does not expire")
	case *l.DaysLeft == 1:
		words.WriteString(", expires in 1 day")
	default:
		fmt.Fprintf(&words, ", expires in %d days", *l.DaysLeft)
	}
	return words.String()
}

func limitless(x space.Limit) bool { return x.Unlimited || x.Allowed <= 0 }

// progressView is a task as its watchers see it.
type progressView struct {
	task task.Task
	done []task.StepInfo
	log  []task.Line
}

// maxLines is how much of a log the progress shows; the task's own page has all of it.
const maxLines = 200

func (h *Handler) progress(ctx context.Context, id odcm.TaskID) (v progressView, err error) {
	if v.task, err = h.Tasks.Get(ctx, id); err != nil {
		return v, err
	}
	if v.done, err = h.Tasks.Steps(ctx, id); err != nil {
		return v, err
	}
	v.log, err = h.Tasks.Log(ctx, id, 0, maxLines)
	return v, err
}

func (v progressView) steps() []design.Step {
	var steps []design.Step
	for _, s := range v.done {
		took := ""
		if !s.Ended.IsZero() {
			took = design.Took(s.Ended.Sub(s.Started))
		}
		steps = append(steps, design.Step{Name: s.Name, Detail: s.Error, State: string(s.State), Took: took})
	}
	return steps
}

func (v progressView) lines() []design.LogLine {
	var lines []design.LogLine
	for _, l := range v.log {
		lines = append(lines, design.LogLine{Number: l.Number, Time: l.Time, Text: l.Text})
	}
	return lines
}
