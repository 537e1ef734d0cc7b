// Package process is the editor of what a project or a runbook does: its steps in their order, and a form for each.
package process

import (
	"net/url"
	"slices"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
	"odcm/spaceserver/internal/permission"
)

// Serve adds the pages: the same for the processes of projects and of runbooks.
func Serve(d *visit.Desk) {
	for _, base := range []string{"/app/{space}/projects/{project}/process", "/app/{space}/projects/{project}/runbooks/{runbook}/process"} {
		d.Show(base, list)
		d.Form(base+"/steps/new", edit, save)
		d.Form(base+"/steps/{step}", edit, save)
		d.Form(base+"/steps/{step}/add", edit, save)
		d.Do(base+"/steps/{step}/delete", list, remove)
		d.Do(base+"/steps/{step}/move", list, move)
		d.Do(base+"/steps/{step}/switch", list, toggle)
	}
}

// view is a process and whose it is.
type view struct {
	project, runbook, process octopus.Object
	route                     string
	steps                     []octopus.Object
	may                       bool
}

func read(v *visit.Visit) view {
	w := view{project: within.Project(v)}
	edits := permission.Name("ProcessEdit")
	if id := v.Path("runbook"); id != "" {
		w.runbook = v.Get("runbooks/" + id)
		w.route = "runbookProcesses/" + w.runbook.Text("RunbookProcessId")
		edits = "RunbookEdit"
	} else {
		w.route = "deploymentprocesses/" + w.project.Text("DeploymentProcessId")
	}
	w.process = v.Get(w.route)
	w.steps = w.process.Objects("Steps")
	w.may = v.MayOn(edits, w.project)
	return w
}

func (w view) path(v *visit.Visit, parts ...string) string {
	if id := w.runbook.Text("Id"); id != "" {
		return within.Path(v, w.project, append([]string{"runbooks", id, "process"}, parts...)...)
	}
	return within.Path(v, w.project, append([]string{"process"}, parts...)...)
}

func (w view) page(v *visit.Visit, p visit.Page) visit.Page {
	if w.runbook.Text("Id") == "" {
		return within.Below(v, w.project, within.Process, "process", p)
	}
	p = within.Below(v, w.project, within.Runbooks, "runbooks", p)
	p.Crumbs[1] = design.Crumb{Label: w.runbook.Text("Name"), Href: within.Path(v, w.project, "runbooks", w.runbook.Text("Id"))}
	return p
}

// put writes the steps.
func (w view) put(v *visit.Visit) {
	w.process.Set("Steps", w.steps)
	v.Put(w.route, w.process)
}

func (w view) at(v *visit.Visit) int {
	i := slices.IndexFunc(w.steps, func(s octopus.Object) bool { return s.Text("Id") == v.Path("step") })
	if i < 0 && v.Err() == nil {
		v.Refuse("The step is gone: somebody else deleted it meanwhile.")
	}
	return i
}

func list(v *visit.Visit) visit.Page {
	w := read(v)
	if w.runbook.Text("Id") != "" {
		return w.page(v, visit.Page{Title: "Process of " + w.runbook.Text("Name"), Actions: adder(w, v), Body: steps(v, w)})
	}
	return within.Page(v, w.project, within.Process, visit.Page{Actions: adder(w, v), Body: steps(v, w)})
}

// remove deletes a step, or one of the steps inside it.
func remove(v *visit.Visit) (string, string) {
	w := read(v)
	i := w.at(v)
	if i < 0 {
		return "", ""
	}
	inside := w.steps[i].Objects("Actions")
	if id := v.Query("action"); id != "" && len(inside) > 1 {
		w.steps[i].Set("Actions", slices.DeleteFunc(inside, func(a octopus.Object) bool { return a.Text("Id") == id }))
	} else {
		w.steps = slices.Delete(w.steps, i, i+1)
	}
	w.put(v)
	return w.path(v), "Deleted the step."
}

// rolling tells whether steps can stand inside a step, which then go from target to target together.
func rolling(step octopus.Object) bool {
	return len(step.Objects("Actions")) > 1 || property(step, rolesProperty) != ""
}

func move(v *visit.Visit) (string, string) {
	w := read(v)
	i := w.at(v)
	to := i - 1
	if v.Form("to") == "down" {
		to = i + 1
	}
	if i >= 0 && to >= 0 && to < len(w.steps) {
		w.steps[i], w.steps[to] = w.steps[to], w.steps[i]
		w.put(v)
	}
	return w.path(v), ""
}

func toggle(v *visit.Visit) (string, string) {
	w := read(v)
	if i := w.at(v); i >= 0 {
		actions := w.steps[i].Objects("Actions")
		off := !disabled(w.steps[i])
		for j := range actions {
			actions[j].Set("IsDisabled", off)
		}
		w.steps[i].Set("Actions", actions)
		w.put(v)
	}
	return w.path(v), "Saved."
}

// disabled tells whether nothing of a step runs.
func disabled(step octopus.Object) bool {
	actions := step.Objects("Actions")
	return len(actions) > 0 && !slices.ContainsFunc(actions, func(a octopus.Object) bool { return !a.Bool("IsDisabled") })
}

// types are the kinds of steps that this server runs: ActionType, what it is called, its icon.
var types = []struct{ kind, label, detail, icon string }{
	{"Octopus.Script", "Run a script", "Bash, PowerShell or Python, on the server or on targets.", "terminal"},
	{"Octopus.TentaclePackage", "Deploy a package", "Fetched from a feed, extracted on targets, with variables put in.", "box"},
	{"Octopus.Manual", "Manual intervention", "A person decides whether it goes on.", "user"},
}

func typeOf(kind string) (label, icon string) {
	for _, t := range types {
		if t.kind == kind {
			return t.label, t.icon
		}
	}
	return strings.TrimPrefix(kind, "Octopus."), "wrench"
}

const (
	rolesProperty  = "Octopus.Action.TargetRoles"
	windowProperty = "Octopus.Action.MaxParallelism"
	whenProperty   = "Octopus.Step.ConditionVariableExpression"
)

// property reads a property as text; sensitive ones have none.
func property(o octopus.Object, name string) string { return o.Object("Properties").Text(name) }

// facts are what a step's line says beside its name.
func facts(step octopus.Object, names, teams map[string]string) []string {
	var list []string
	if action := first(step); action.Text("ActionType") == "Octopus.Manual" { // it runs nowhere
		if ids := property(action, responsible); ids != "" {
			list = append(list, "Decided by "+visit.Join(strings.Split(ids, ","), teams))
		}
	} else if roles := property(step, rolesProperty); roles != "" {
		list = append(list, "On "+strings.ReplaceAll(roles, ",", ", "))
	} else {
		list = append(list, "On the server")
	}
	switch step.Text("Condition") {
	case "Failure":
		list = append(list, "Only when a step before failed")
	case "Always":
		list = append(list, "Always, also after a failure")
	case "Variable":
		list = append(list, "When "+property(step, whenProperty))
	}
	if action := first(step); action.Len() > 0 {
		if ids := action.Texts("Environments"); len(ids) > 0 {
			list = append(list, "Only in "+visit.Join(ids, names))
		}
		if ids := action.Texts("ExcludedEnvironments"); len(ids) > 0 {
			list = append(list, "Not in "+visit.Join(ids, names))
		}
		for _, p := range action.Objects("Packages") {
			list = append(list, "Package "+p.Text("PackageId"))
		}
		if action.Bool("IsRequired") {
			list = append(list, "Cannot be skipped")
		}
	}
	return list
}

func first(step octopus.Object) octopus.Object {
	if actions := step.Objects("Actions"); len(actions) > 0 {
		return actions[0]
	}
	return octopus.Object{}
}

func escape(text string) string { return url.QueryEscape(text) }
