package visit

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/permission"
)

// Entries of the side bar, as [Page] names them.
const (
	Dashboard      = "Dashboard"
	Projects       = "Projects"
	Infrastructure = "Infrastructure"
	Tenants        = "Tenants"
	Library        = "Library"
	Tasks          = "Tasks"
	Audit          = "Audit"
	People         = "People"
	Configuration  = "Configuration"
)

type entry struct {
	label, icon, path string
	needs             []permission.Name // one of them; none for everyone
}

// nav is the side bar: what the visitor can do something with.
func (v *Visit) nav(on string) []design.NavGroup {
	space := design.NavGroup{}
	if v.Space.ID != "" {
		space = v.group("", on, v.To(), []entry{
			{Dashboard, "home", "dashboard", nil},
			{Projects, "box", "projects", []permission.Name{"ProjectView"}},
			{Infrastructure, "server", "infrastructure", []permission.Name{"EnvironmentView", "MachineView", "AccountView"}},
			{Tenants, "users", "tenants", []permission.Name{"TenantView"}},
			{Library, "layers", "library", []permission.Name{"LibraryVariableSetView", "LifecycleView", "FeedView", "ActionTemplateView"}},
			{Tasks, "tasks", "tasks", []permission.Name{"TaskView"}},
		})
	}
	server := v.group("Server", on, "/", []entry{
		{Audit, "log", "audit", []permission.Name{"EventView"}},
		{People, "user", "people/teams", []permission.Name{"TeamView", "UserView"}},
		{Configuration, "settings", "configuration", []permission.Name{"ConfigureServer", permission.AdministerSystem, "SpaceView"}},
	})
	return []design.NavGroup{space, server}
}

func (v *Visit) group(label, on, base string, entries []entry) design.NavGroup {
	g := design.NavGroup{Label: label}
	for _, e := range entries {
		if len(e.needs) > 0 && !v.any(e.needs) {
			continue
		}
		g.Items = append(g.Items, design.NavLink{Label: e.label, Icon: e.icon, Href: base + e.path, On: e.label == on})
	}
	return g
}

func (v *Visit) any(names []permission.Name) bool {
	for _, name := range names {
		if v.May(name) {
			return true
		}
	}
	return false
}

// First and Next are the addresses around a part of a list; "" where there is none.
func (l List) First(v *Visit) string {
	if l.skip == 0 {
		return ""
	}
	return v.at(0)
}

// Next leads to the part that follows.
func (l List) Next(v *Visit) string {
	if l.skip+len(l.Items) >= l.TotalResults {
		return ""
	}
	return v.at(l.skip + l.take)
}

// Says tells which part it is: "51 to 100 of 230".
func (l List) Says() string {
	if l.TotalResults <= l.take {
		return strconv.Itoa(l.TotalResults) + " in all"
	}
	return strconv.Itoa(l.skip+1) + " to " + strconv.Itoa(l.skip+len(l.Items)) + " of " + strconv.Itoa(l.TotalResults)
}

func (v *Visit) at(skip int) string {
	return v.With("skip", strconv.Itoa(skip))
}

// With is this address with a parameter changed; "" takes it away.
func (v *Visit) With(name, value string) string {
	q := v.r.URL.Query()
	if name != "skip" {
		q.Del("skip")
	}
	q.Set(name, value)
	if value == "" || name == "skip" && value == "0" {
		q.Del(name)
	}
	if len(q) == 0 {
		return v.r.URL.Path
	}
	return v.r.URL.Path + "?" + q.Encode()
}

// Params are the parameters of the address.
func (v *Visit) Params() url.Values { return v.r.URL.Query() }

// Names maps the ids of documents to their names.
func Names(list []octopus.Object) map[string]string {
	names := make(map[string]string, len(list))
	for _, o := range list {
		names[o.Text("Id")] = o.Text("Name")
	}
	return names
}

// Options are documents to choose from.
func Options(list []octopus.Object, on ...string) []design.Option {
	options := make([]design.Option, 0, len(list))
	for _, o := range list {
		option := design.Option{Value: o.Text("Id"), Label: o.Text("Name"), Detail: o.Text("Description")}
		for _, id := range on {
			option.On = option.On || id == option.Value
		}
		options = append(options, option)
	}
	return options
}

// Time reads a time out of a document; zero where there is none.
func Time(o octopus.Object, name string) time.Time { return octopus.As[time.Time](o, name) }

// StateOf is how the design calls the state of a task.
func StateOf(state string, waits, warned bool) string {
	switch {
	case waits:
		return "attention"
	case state == "Success" && warned:
		return "warnings"
	}
	return states[state]
}

// Task is [StateOf] of a task's document.
func Task(o octopus.Object) string {
	return StateOf(o.Text("State"), o.Bool("HasPendingInterruptions"), o.Bool("HasWarningsOrErrors"))
}

// states are those of tasks (TaskState.cs in OctopusClients) and of their logs' nodes, in the design's words.
var states = map[string]string{
	"Queued": "queued", "Executing": "running", "Cancelling": "canceling", "Canceled": "canceled", "Failed": "failed", "Success": "succeeded", "TimedOut": "failed",
	"Pending": "waiting", "Running": "running", "Skipped": "skipped", "SuccessWithWarning": "warnings",
}

// Health is how the design calls the health of a target.
func Health(o octopus.Object) string {
	if o.Bool("IsDisabled") {
		return "disabled"
	}
	switch o.Text("HealthStatus") {
	case "Healthy":
		return "healthy"
	case "HasWarnings":
		return "warnings"
	case "Unhealthy":
		return "unhealthy"
	case "Unavailable":
		return "unavailable"
	}
	return "unknown"
}

// Join lists names: "Test, Production".
func Join(ids []string, names map[string]string) string {
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if name, ok := names[id]; ok {
			id = name
		}
		list = append(list, id)
	}
	return strings.Join(list, ", ")
}
