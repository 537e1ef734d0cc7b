package task

import (
	"net/url"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
)

// chips are the filters by state: the parameter's value, the label, the dot.
var chips = [][3]string{{"", "All", ""}, {"Executing", "Running", "running"}, {"Queued", "Queued", "queued"}, {"Success", "Succeeded", "succeeded"},
	{"Failed,TimedOut", "Failed", "failed"}, {"Canceled", "Canceled", "canceled"}}

func list(v *visit.Visit) visit.Page {
	query := url.Values{"spaces": {v.Space.ID}, "includeSystem": {"false"}}
	if v.Holds("TaskView") && v.Query("system") != "" {
		query.Set("includeSystem", "true")
	}
	for _, name := range []string{"states", "project", "environment", "tenant", "hasPendingInterruptions", "name"} {
		if value := v.Query(name); value != "" {
			query.Set(name, value)
		}
	}
	found := v.Page("/tasks?"+query.Encode(), 50)
	return visit.Page{Title: "Tasks", Nav: visit.Tasks, Intro: "What this server did, does and is going to do.", Body: tasks(v, found)}
}

func filters(v *visit.Visit) []design.Chip {
	var list []design.Chip
	for _, c := range chips {
		list = append(list, design.Chip{Label: c[1], Status: c[2], Href: v.With("states", c[0]), On: v.Query("states") == c[0]})
	}
	waits := "true"
	if v.Query("hasPendingInterruptions") != "" {
		waits = ""
	}
	return append(list, design.Chip{Label: "Needs a person", Status: "attention", Href: v.With("hasPendingInterruptions", waits), On: waits == ""})
}

func choices(v *visit.Visit, route, name string) []design.Option {
	return append([]design.Option{{Label: "Any"}}, visit.Options(v.Maybe(route), v.Query(name))...)
}

func href(o octopus.Object) string { return "/tasks/" + o.Text("Id") }
