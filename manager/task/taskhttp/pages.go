package taskhttp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"odcm"
	"odcm/kit/task"
	"odcm/kit/web"
	"odcm/kit/web/design"
	room "odcm/manager/task"
)

const (
	pageSize = 50
	// shownLines is how many lines of a log a page shows, the last ones.
	shownLines = 200
)

// handler serves the room's pages and operations.
type handler struct {
	service *room.Service
	engine  room.Engine
	site    *web.Site
}

// Register adds the room's pages and operations to the site. The engine draws the live fragments, which are drawn once
// for everyone who may see them; who may is asked of the service.
func Register(site *web.Site, service *room.Service, engine room.Engine) {
	h := &handler{service, engine, site}
	site.AddNav(web.NavItem{ID: "tasks", Label: "Tasks", Icon: "tasks", Href: "/tasks", Order: 30})
	site.Handle("GET /tasks", h.listPage)
	site.Handle("GET /tasks/{id}", h.taskPage)
	site.Handle("GET /tasks/{id}/log", h.wholeLog)
	site.Handle("POST /tasks/{id}/cancel", h.cancel)
	mayView := func(p odcm.Principal, id string) bool {
		return service.MaySee(context.Background(), p, odcm.TaskID(id)) // the stream asks between requests
	}
	for view, draw := range map[string]func(ctx context.Context, id odcm.TaskID) (templ.Component, error){
		"task": h.row, "task.progress": h.progress, "task.log": h.log,
	} {
		site.Live().Fragment(view, func(ctx context.Context, id string) (templ.Component, error) {
			return draw(ctx, odcm.TaskID(id))
		}, mayView)
	}
	h.registerAPI(site.API())
}

// group is a filter of the list.
type group struct {
	label, name string
	states      []task.State
}

var groups = []group{
	{"All", "", nil},
	{"Unfinished", "unfinished", []task.State{task.Queued, task.Running, task.Canceling}},
	{"Succeeded", "succeeded", []task.State{task.Succeeded}},
	{"Failed", "failed", []task.State{task.Failed}},
	{"Canceled", "canceled", []task.State{task.Canceled}},
}

// list is what the list page shows.
type list struct {
	tasks       []task.Task
	chips       []design.Chip
	first, next string
	filtered    bool
}

func (h *handler) listPage(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	before, err := web.ReadCursor[odcm.TaskID](q.Get("cursor"))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(groups, func(g group) bool { return g.name == q.Get("state") })
	if i < 0 {
		return odcm.E(odcm.Invalid, "task.state-unknown", "There is no filter %q for tasks.", q.Get("state"))
	}
	counts, err := h.service.Count(ctx, web.Principal(ctx))
	if err != nil {
		return err
	}
	f := task.Filter{States: groups[i].states, Subject: q.Get("subject"), Before: before, Limit: pageSize}
	if kind := q.Get("kind"); kind != "" {
		f.Kinds = []string{kind}
	}
	l := list{filtered: i > 0 || f.Subject != "" || f.Kinds != nil}
	var next string
	if l.tasks, next, err = h.page(ctx, f); err != nil {
		return err
	}
	if next != "" {
		l.next = address(q, "cursor", next)
	}
	if before != "" {
		l.first = address(q, "cursor", "")
	}
	for at, g := range groups {
		chip := design.Chip{Label: g.label, Href: address(q, "state", g.name), On: at == i}
		if f.Subject == "" && f.Kinds == nil { // they count all that may be seen
			chip.Count = strconv.Itoa(total(counts, g.states))
		}
		l.chips = append(l.chips, chip)
	}
	return h.site.Render(w, r, http.StatusOK, web.Page{
		Title: "Tasks", Nav: "tasks", Intro: "What ODCM is doing, and did.", Body: listBody(l),
	})
}

// address is the list's with one value of its query changed, from the first page on.
func address(q url.Values, key, value string) string {
	changed := url.Values{}
	for _, k := range []string{"state", "kind", "subject"} {
		if v := q.Get(k); v != "" {
			changed.Set(k, v)
		}
	}
	changed.Set(key, value)
	if value == "" {
		changed.Del(key)
	}
	if len(changed) == 0 {
		return "/tasks"
	}
	return "/tasks?" + changed.Encode()
}

func total(counts map[task.State]int, states []task.State) (n int) {
	for state, count := range counts {
		if states == nil || slices.Contains(states, state) {
			n += count
		}
	}
	return n
}

func (h *handler) taskPage(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), odcm.TaskID(r.PathValue("id"))
	t, err := h.service.Get(ctx, web.Principal(ctx), id)
	if err != nil {
		return err
	}
	progress, err := h.progress(ctx, id)
	if err != nil {
		return err
	}
	log, err := h.log(ctx, id)
	if err != nil {
		return err
	}
	return h.site.Render(w, r, http.StatusOK, web.Page{
		Title: titleOf(t), Nav: "tasks", Crumbs: []design.Crumb{{Label: "Tasks", Href: "/tasks"}},
		Actions: taskActions(t, h.service.MayCancel(ctx, web.Principal(ctx), t)),
		Body:    taskBody(t, progress, log),
	})
}

func (h *handler) row(ctx context.Context, id odcm.TaskID) (templ.Component, error) {
	t, err := h.engine.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return taskRow(t), nil
}

func (h *handler) progress(ctx context.Context, id odcm.TaskID) (templ.Component, error) {
	t, err := h.engine.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	steps, err := h.engine.Steps(ctx, id)
	if err != nil {
		return nil, err
	}
	return taskProgress(t, drawn(steps)), nil
}

func (h *handler) log(ctx context.Context, id odcm.TaskID) (templ.Component, error) {
	lines, err := h.engine.Log(ctx, id, -shownLines, shownLines)
	if err != nil {
		return nil, err
	}
	shown := make([]design.LogLine, len(lines))
	for i, l := range lines {
		shown[i] = design.LogLine{Number: l.Number, Time: l.Time, Text: l.Text}
	}
	return taskLog(id, shown, len(lines) > 0 && lines[0].Number > 1), nil
}

// wholeLog gives the log as a text file.
func (h *handler) wholeLog(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), odcm.TaskID(r.PathValue("id"))
	lines, _, err := h.service.Log(ctx, web.Principal(ctx), id, 0, 0)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="task.log"`)
	w.Header().Set("Cache-Control", "no-store")
	for len(lines) > 0 {
		for _, l := range lines {
			if _, err := fmt.Fprintf(w, "%s %s\n", l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), l.Text); err != nil {
				return nil // the client is gone
			}
		}
		if lines, err = h.engine.Log(ctx, id, lines[len(lines)-1].Number, 0); err != nil {
			panic(http.ErrAbortHandler) // too late for an error: let the client see that it is incomplete
		}
	}
	return nil
}

func (h *handler) cancel(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := h.service.Cancel(r.Context(), web.Principal(r.Context()), odcm.TaskID(id)); err != nil {
		return err
	}
	h.site.Flash(w, r, "info", "The task ends and rolls back what it did.")
	web.Redirect(w, r, "/tasks/"+id)
	return nil
}

// drawn turns steps into what the design shows.
func drawn(steps []task.StepInfo) []design.Step {
	all := make([]design.Step, len(steps))
	for i, s := range steps {
		all[i] = design.Step{Name: s.Name, State: string(s.State), Detail: s.Error}
		switch {
		case s.Error != "":
		case s.Attempts > 1:
			all[i].Detail = "Begun " + strconv.Itoa(s.Attempts) + " times"
		case s.Undo:
			all[i].Detail = "Rolling back"
		}
		if !s.Ended.IsZero() {
			all[i].Took = took(s.Started, s.Ended)
		}
	}
	return all
}

// took says how long something took, "" where it did not begin or has not ended.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return design.Took(to.Sub(from))
}

func titleOf(t task.Task) string {
	if t.Title == "" {
		return t.Kind
	}
	return t.Title
}

// doing says what an unfinished task is doing.
func doing(t task.Task) string {
	switch {
	case t.State == task.Queued:
		return "Waiting for its turn"
	case t.State == task.Canceling:
		return "Rolling back"
	case t.Doing != "":
		return t.Doing
	}
	return "Running"
}

func facts(t task.Task) []design.Fact {
	f := []design.Fact{{Label: "Kind", Value: t.Kind}}
	add := func(label, value string) {
		if value != "" {
			f = append(f, design.Fact{Label: label, Value: value})
		}
	}
	if strings.HasPrefix(t.Subject, "space-") {
		f = append(f, design.Fact{Label: "Works on", Content: toSpace(t.Subject)})
	} else {
		add("Works on", t.Subject)
	}
	add("Submitted by", t.By.Name)
	f = append(f, design.Fact{Label: "Submitted", Content: design.Time(t.Submitted)})
	add("Waited", took(t.Submitted, t.Started))
	add("Took", took(t.Started, t.Ended))
	add("Canceled by", t.CanceledBy.Name)
	add("Replica", t.Replica)
	if t.Attempts > 1 {
		add("Begun", strconv.Itoa(t.Attempts)+" times")
	}
	return f
}
