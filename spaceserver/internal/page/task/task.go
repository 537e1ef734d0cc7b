// Package task is the pages of tasks: their list, and each with its log as it is written, its questions to people and what
// it left behind.
package task

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/activity"
	"odcm/spaceserver/internal/page/visit"
)

// Follow waits for what a task writes after the sequence; see [activity.Book.Follow].
type Follow func(ctx context.Context, task string, after int64) (records []activity.Entry, last int64, err error)

// Serve adds the pages.
func Serve(d *visit.Desk, follow Follow) {
	d.Show("/tasks", func(v *visit.Visit) visit.Page { v.Leave(v.To("tasks")); return visit.Page{} })
	d.Show("/app/{space}/tasks", list)
	d.Show("/app/{space}/tasks/{task}", func(v *visit.Visit) visit.Page {
		v.Leave("/tasks/" + v.Path("task"))
		return visit.Page{}
	})
	d.Show("/tasks/{task}", one)
	d.Do("/tasks/{task}/cancel", one, func(v *visit.Visit) (string, string) {
		v.Post("/tasks/"+v.Path("task")+"/cancel", struct{}{})
		return "/tasks/" + v.Path("task"), "The task is being canceled."
	})
	d.Do("/tasks/{task}/rerun", one, func(v *visit.Visit) (string, string) {
		made := v.Post("/tasks/rerun/"+v.Path("task"), struct{}{})
		return "/tasks/" + made.Text("Id"), "The task runs again."
	})
	d.Do("/tasks/{task}/interruptions/{interruption}/responsible", one, func(v *visit.Visit) (string, string) {
		enter(v)
		v.Put("interruptions/"+v.Path("interruption")+"/responsible", struct{}{})
		return "/tasks/" + v.Path("task"), "It is yours to decide."
	})
	d.Do("/tasks/{task}/interruptions/{interruption}/submit", one, submit)
	if follow != nil {
		d.Raw("/tasks/{task}/log", func(v *visit.Visit, w http.ResponseWriter, r *http.Request) { stream(v, w, r, follow) })
	}
}

// enter makes the task's space that of the visit and returns the task.
func enter(v *visit.Visit) octopus.Object {
	task := v.Get("/tasks/" + v.Path("task"))
	if space := task.Text("SpaceId"); space != "" {
		v.Enter(space)
	}
	return task
}

func submit(v *visit.Visit) (string, string) {
	enter(v)
	answer := map[string]any{}
	for _, element := range v.Get("interruptions/" + v.Path("interruption")).Object("Form").Objects("Elements") {
		name := element.Text("Name")
		if element.Object("Control").Text("Type") != "Paragraph" {
			answer[name] = v.Text(name)
		}
	}
	v.Post("interruptions/"+v.Path("interruption")+"/submit", answer)
	return "/tasks/" + v.Path("task"), "Your answer was taken."
}

// details are a task's log (ActivityLogTreeNode in the Swagger document).
type details struct {
	ActivityLogs []node
	Progress     struct{ ProgressPercentage int }
}

type node struct {
	ID              string `json:"Id"`
	Name, Status    string
	Started, Ended  *time.Time
	ProgressMessage string
	LogElements     []line
	Children        []node
}

type line struct {
	Category, MessageText string
	OccurredAt            time.Time
}

// shown is how many lines of each node are drawn on the server: the script adds the rest, and without it there is the raw log.
const shown = 200

// view is what the page of a task shows.
type view struct {
	task                    octopus.Object
	log                     details
	interruptions           []octopus.Object
	artifacts               []octopus.Object
	deployment              octopus.Object // or the run of a runbook
	project, release        octopus.Object
	runbook                 octopus.Object
	environment, tenant     octopus.Object
	mayCancel, mayRerun, on bool
}

func one(v *visit.Visit) visit.Page {
	w := view{task: enter(v)}
	id := w.task.Text("Id")
	if v.Err() != nil {
		return visit.Page{}
	}
	v.Into(&w.log, "/tasks/"+id+"/details?verbose=true&tail="+strconv.Itoa(shown))
	w.on = !w.task.Bool("IsCompleted")
	if w.task.Text("SpaceId") != "" {
		w.artifacts = v.Try("artifacts?take=100&regarding=" + id).Objects("Items")
		for _, o := range v.Try("interruptions?take=20&regarding=" + id).Objects("Items") {
			if o.Bool("IsPending") {
				w.interruptions = append(w.interruptions, o)
			}
		}
		w.relate(v)
	}
	w.mayCancel = w.on && v.May("TaskCancel")
	w.mayRerun = w.task.Bool("CanRerun") && v.May("TaskCreate")
	return visit.Page{Title: w.task.Text("Description"), Nav: visit.Tasks, Crumbs: w.crumbs(v), Actions: actions(w), Body: body(v, w)}
}

// relate finds what the task is about.
func (w *view) relate(v *visit.Visit) {
	a := w.task.Object("Arguments")
	if id := a.Text("DeploymentId"); id != "" {
		w.deployment = v.Try("deployments/" + id)
		if release := w.deployment.Text("ReleaseId"); release != "" {
			w.release = v.Try("releases/" + release)
		}
	}
	if id := a.Text("RunbookRunId"); id != "" {
		w.deployment = v.Try("runbookRuns/" + id)
		if runbook := w.deployment.Text("RunbookId"); runbook != "" {
			w.runbook = v.Try("runbooks/" + runbook)
		}
	}
	get := func(id, route string) octopus.Object {
		if id == "" {
			return octopus.Object{}
		}
		return v.Try(route + "/" + id)
	}
	w.project = get(first(w.deployment.Text("ProjectId"), w.task.Text("ProjectId")), "projects")
	w.environment = get(first(w.deployment.Text("EnvironmentId"), a.Text("EnvironmentId")), "environments")
	w.tenant = get(first(w.deployment.Text("TenantId"), a.Text("TenantId")), "tenants")
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

func (w *view) crumbs(v *visit.Visit) []design.Crumb {
	if w.project.Text("Id") == "" {
		return []design.Crumb{{Label: "Tasks", Href: v.To("tasks")}}
	}
	crumbs := []design.Crumb{{Label: w.project.Text("Name"), Href: v.To("projects", w.project.Text("Id"))}}
	switch {
	case w.release.Text("Id") != "":
		crumbs = append(crumbs, design.Crumb{Label: "Release " + w.release.Text("Version"), Href: v.To("releases", w.release.Text("Id"))})
	case w.runbook.Text("Id") != "":
		crumbs = append(crumbs, design.Crumb{Label: w.runbook.Text("Name"), Href: v.To("projects", w.project.Text("Id"), "runbooks", w.runbook.Text("Id"))})
	}
	return crumbs
}

// reason is the line below the state.
func (w view) reason() string {
	if w.task.Bool("HasPendingInterruptions") && w.on {
		return "The task waits for a person to decide."
	}
	if text := w.task.Text("ErrorMessage"); text != "" {
		return text
	}
	if w.task.Text("State") == "Queued" {
		if due := visit.Time(w.task, "QueueTime"); due.After(time.Now()) {
			return "It is to start at " + due.Format("2 Jan 2006 15:04 UTC") + "."
		}
		return "It waits for its turn."
	}
	if text := duration(w.task); text != "" {
		return "It took " + text + "."
	}
	return ""
}

// since is when the state began, as far as the task tells.
func (w view) since() time.Time {
	if !w.on {
		return time.Time{}
	}
	for _, member := range []string{"StartTime", "QueueTime"} {
		if t := visit.Time(w.task, member); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func took(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return design.Took(to.Sub(*from))
}

func duration(o octopus.Object) string {
	from, to := visit.Time(o, "StartTime"), visit.Time(o, "CompletedTime")
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return design.Took(to.Sub(from))
}

// open tells whether a node's lines are shown from the start: those of what runs or went wrong, and of what stands alone.
func (n node) open(top bool) bool {
	return top || n.Status != "Success" && n.Status != "Skipped" && n.Status != "Pending"
}

// lineTone is how a line is coloured, beside its category's word.
func lineTone(category string) string {
	switch category {
	case "Warning":
		return "warning"
	case "Error", "Fatal":
		return "danger"
	case "Highlight":
		return "accent"
	case "Wait":
		return "progress"
	case "Verbose":
		return "neutral"
	}
	return ""
}

// stream sends the records of a log as they are written, and tells when the task's state changes.
func stream(v *visit.Visit, w http.ResponseWriter, r *http.Request, follow Follow) {
	id := v.Path("task")
	details := v.Get("/tasks/" + id + "/details?tail=1") // who may not see the log is told so
	if v.Err() != nil {
		w.WriteHeader(visit.Status(v.Err()))
		return
	}
	state := stateOf(details.Object("Task"))
	after, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for {
		patience := beat
		if state.over { // what is written is all there will be
			patience = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		records, last, err := follow(ctx, id, after)
		cancel()
		if r.Context().Err() != nil {
			return
		}
		if err != nil && ctx.Err() == nil {
			return
		}
		var text strings.Builder
		if len(records) > 0 {
			after = last
			b, err := json.Marshal(records)
			if err != nil {
				return
			}
			fmt.Fprintf(&text, "id: %d\nevent: log\ndata: %s\n\n", last, b)
		} else {
			text.WriteString(": still here\n\n")
		}
		over := false
		if len(records) < full { // else there is more to read first
			task := v.Get("/tasks/" + id)
			if v.Err() != nil {
				return
			}
			if now := stateOf(task); now != state {
				state = now
				text.WriteString("event: state\ndata: " + task.Text("State") + "\n\n")
			}
			over = state.over && len(records) == 0
		}
		if over {
			text.WriteString("event: end\ndata: \n\n")
		}
		if _, err := w.Write([]byte(text.String())); err != nil || control.Flush() != nil || over {
			return
		}
	}
}

// beat is how often a silent stream says that it lives, for proxies in between.
const beat = 25 * time.Second

// full is how many records at once mean that there are more waiting.
const full = 500

type taskState struct {
	state       string
	waits, over bool
}

func stateOf(task octopus.Object) taskState {
	return taskState{task.Text("State"), task.Bool("HasPendingInterruptions"), task.Bool("IsCompleted")}
}
