// Package project is the pages of projects: their list, and for each its overview, releases, channels, triggers, runbooks and
// settings.
package project

import (
	"encoding/json"
	"time"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

// Serve adds the pages.
func Serve(d *visit.Desk) {
	const base = "/app/{space}/projects"
	d.Show(base, list)
	d.Form(base+"/new", blank, create)
	d.Show(base+"/{project}", overview)
	d.Form(base+"/{project}/settings", settings, change)
	d.Do(base+"/{project}/delete", settings, func(v *visit.Visit) (string, string) {
		p := within.Project(v)
		v.Delete("projects/" + p.Text("Id"))
		return v.To("projects"), "Deleted the project " + p.Text("Name") + "."
	})
	d.Form(base+"/groups/new", newGroup, func(v *visit.Visit) (string, string) {
		made := v.Post("projectgroups", map[string]any{"Name": v.Form("Name"), "Description": v.Text("Description")})
		return v.To("projects"), "Created the project group " + made.Text("Name") + "."
	})
	serveChannels(d, base+"/{project}/channels")
	serveTriggers(d, base+"/{project}/triggers")
	serveRunbooks(d, base+"/{project}/runbooks")
}

func list(v *visit.Visit) visit.Page {
	query := ""
	if q := v.Query("q"); q != "" {
		query = "?partialName=" + escape(q)
	}
	return visit.Page{Title: "Projects", Nav: visit.Projects, Actions: listActions(v), Body: projects(v, v.Page("projects"+query, 100))}
}

func blank(v *visit.Visit) visit.Page {
	v.Need("ProjectCreate")
	return visit.Page{Title: "New project", Nav: visit.Projects, Crumbs: []design.Crumb{{Label: "Projects", Href: v.To("projects")}},
		Body: projectForm(v, v.All("projectgroups/all"), v.All("lifecycles/all"), v.Maybe("projects/all"))}
}

func create(v *visit.Visit) (string, string) {
	path := "projects"
	if source := v.Form("Clone"); source != "" {
		path += "?clone=" + escape(source)
	}
	made := v.Post(path, map[string]any{"Name": v.Form("Name"), "Description": v.Text("Description"), "ProjectGroupId": v.Form("ProjectGroupId"), "LifecycleId": v.Form("LifecycleId")})
	return v.To("projects", made.Text("Id"), "process"), "Created the project " + made.Text("Name") + "."
}

func newGroup(v *visit.Visit) visit.Page {
	v.Need("ProjectGroupCreate")
	return visit.Page{Title: "New project group", Nav: visit.Projects, Crumbs: []design.Crumb{{Label: "Projects", Href: v.To("projects")}}, Body: groupForm(v)}
}

// progression is ProgressionResource, as far as it is shown.
type progression struct {
	Environments []struct {
		ID   string `json:"Id"`
		Name string
	}
	Releases []row
}

type row struct {
	Release struct {
		ID        string `json:"Id"`
		Version   string
		Assembled *time.Time
	}
	Channel struct {
		Name      string
		IsDefault bool
	}
	Deployments map[string]deployments
	Next        []string `json:"NextDeployments"`
	Defect      bool     `json:"HasUnresolvedDefect"`
}

// deployments are one item, or several: to tenants.
type deployments []item

// UnmarshalJSON takes an item for a list of one.
func (d *deployments) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*d = make(deployments, 1)
		return json.Unmarshal(b, &(*d)[0])
	}
	var list []item
	err := json.Unmarshal(b, &list)
	*d = list
	return err
}

type item struct {
	TaskID                   string `json:"TaskId"`
	TenantID                 string `json:"TenantId"`
	State                    string
	CompletedTime, QueueTime *time.Time
	Created                  *time.Time
	Waits                    bool `json:"HasPendingInterruptions"`
	Warned                   bool `json:"HasWarningsOrErrors"`
}

func (i item) state() string { return visit.StateOf(i.State, i.Waits, i.Warned) }

func (i item) at() time.Time {
	for _, t := range []*time.Time{i.CompletedTime, i.QueueTime, i.Created} {
		if t != nil {
			return *t
		}
	}
	return time.Time{}
}

func overview(v *visit.Visit) visit.Page {
	p := within.Project(v)
	var w progression
	if v.May("ReleaseView") && v.May("EnvironmentView") {
		v.Into(&w, "progression/"+p.Text("Id"))
	}
	steps := v.Try("deploymentprocesses/" + p.Text("DeploymentProcessId")).Objects("Steps")
	return within.Page(v, p, within.Overview, visit.Page{Actions: releaseAction(v, p), Body: overviewBody(v, p, w, len(steps))})
}

func settings(v *visit.Visit) visit.Page {
	p := within.Project(v)
	return within.Page(v, p, within.Settings, visit.Page{Body: settingsForm(v, p)})
}

func change(v *visit.Visit) (string, string) {
	p := within.Project(v)
	for _, name := range []string{"Name", "ProjectGroupId", "LifecycleId", "TenantedDeploymentMode", "DefaultGuidedFailureMode"} {
		p.Set(name, v.Form(name))
	}
	p.Set("Description", v.Text("Description"))
	p.Set("ReleaseNotesTemplate", orNull(v.Text("ReleaseNotesTemplate")))
	p.Set("IsDisabled", v.Flag("IsDisabled"))
	p.Set("IncludedLibraryVariableSetIds", v.Forms("IncludedLibraryVariableSetIds"))
	versioning := p.Object("VersioningStrategy")
	versioning.Set("Template", v.Form("Template"))
	p.Set("VersioningStrategy", versioning)
	policy := p.Object("ProjectConnectivityPolicy")
	policy.Set("AllowDeploymentsToNoTargets", v.Flag("AllowDeploymentsToNoTargets"))
	policy.Set("ExcludeUnhealthyTargets", v.Flag("ExcludeUnhealthyTargets"))
	policy.Set("SkipMachineBehavior", v.Form("SkipMachineBehavior"))
	p.Set("ProjectConnectivityPolicy", policy)
	v.Put("projects/"+p.Text("Id"), p)
	return within.Path(v, p, "settings"), "Saved."
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// grouped are projects under the name of their group.
type grouped struct {
	name     string
	projects []octopus.Object
}

func byGroup(projects, groups []octopus.Object) []grouped {
	var list []grouped
	for _, g := range groups {
		s := grouped{name: g.Text("Name")}
		for _, p := range projects {
			if p.Text("ProjectGroupId") == g.Text("Id") {
				s.projects = append(s.projects, p)
			}
		}
		if len(s.projects) > 0 {
			list = append(list, s)
		}
	}
	return list
}
