// Package within is the frame of the pages inside a project: its heading, its tabs, the way back.
package within

import (
	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

// The tabs of a project.
const (
	Overview  = "Overview"
	Process   = "Process"
	Variables = "Variables"
	Releases  = "Releases"
	Runbooks  = "Runbooks"
	Channels  = "Channels"
	Triggers  = "Triggers"
	Settings  = "Settings"
)

var tabs = []struct {
	label, path string
	needs       permission.Name
}{
	{Overview, "", "ProjectView"}, {Process, "process", "ProcessView"}, {Variables, "variables", "VariableView"}, {Releases, "releases", "ReleaseView"},
	{Runbooks, "runbooks", "RunbookView"}, {Channels, "channels", "ProcessView"}, {Triggers, "triggers", "TriggerView"}, {Settings, "settings", "ProjectView"},
}

// Project reads the project that the address names.
func Project(v *visit.Visit) octopus.Object { return v.Get("projects/" + v.Path("project")) }

// Path is an address inside the project.
func Path(v *visit.Visit, project octopus.Object, parts ...string) string {
	return v.To(append([]string{"projects", project.Text("Id")}, parts...)...)
}

// Page completes a page that is one of the project's tabs: the project is its title.
func Page(v *visit.Visit, project octopus.Object, tab string, p visit.Page) visit.Page {
	p.Nav = visit.Projects
	p.Crumbs = []design.Crumb{{Label: "Projects", Href: v.To("projects")}}
	p.Title, p.Intro = project.Text("Name"), project.Text("Description")
	for _, t := range tabs {
		if v.MayOn(t.needs, project) || v.May(t.needs) {
			p.Tabs = append(p.Tabs, design.Tab{Label: t.label, Href: trim(Path(v, project, t.path)), On: t.label == tab})
		}
	}
	return p
}

// Below completes a page that lies below one of the project's tabs: it has a title of its own.
func Below(v *visit.Visit, project octopus.Object, tab, path string, p visit.Page) visit.Page {
	p.Nav = visit.Projects
	p.Crumbs = []design.Crumb{{Label: project.Text("Name"), Href: Path(v, project)}, {Label: tab, Href: Path(v, project, path)}}
	return p
}

func trim(path string) string {
	if path[len(path)-1] == '/' {
		return path[:len(path)-1]
	}
	return path
}
