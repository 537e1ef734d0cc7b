// Package release is the pages of releases: a project's list, a new one, each with its way through the environments, and
// the page that deploys it.
package release

import (
	"net/url"
	"slices"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

// Serve adds the pages.
func Serve(d *visit.Desk) {
	const project, release = "/app/{space}/projects/{project}/releases", "/app/{space}/releases/{release}"
	d.Show(project, list)
	d.Form(project+"/new", blank, create)
	d.Show(release, one)
	d.Form(release+"/edit", edit, change)
	d.Form(release+"/deploy", deployPage, deploy)
	d.Do(release+"/variables", one, func(v *visit.Visit) (string, string) {
		v.Post("releases/"+v.Path("release")+"/snapshot-variables", struct{}{})
		return v.To("releases", v.Path("release")), "The release has the variables as they are now."
	})
	d.Do(release+"/defect", one, func(v *visit.Visit) (string, string) {
		v.Post("releases/"+v.Path("release")+"/defects", map[string]any{"Description": v.Text("Description")})
		return v.To("releases", v.Path("release")), "The release goes no further until it is unblocked."
	})
	d.Do(release+"/resolve", one, func(v *visit.Visit) (string, string) {
		v.Post("releases/"+v.Path("release")+"/defects/resolve", struct{}{})
		return v.To("releases", v.Path("release")), "The release can go further again."
	})
	d.Do(release+"/delete", one, func(v *visit.Visit) (string, string) {
		o := v.Get("releases/" + v.Path("release"))
		v.Delete("releases/" + v.Path("release"))
		return v.To("projects", o.Text("ProjectId"), "releases"), "Deleted the release " + o.Text("Version") + "."
	})
}

func list(v *visit.Visit) visit.Page {
	p := within.Project(v)
	query := ""
	if q := v.Query("q"); q != "" {
		query = "?searchByVersion=" + url.QueryEscape(q)
	}
	found := v.Page("projects/"+p.Text("Id")+"/releases"+query, 50)
	return within.Page(v, p, within.Releases, visit.Page{Actions: createAction(v, p), Body: releases(v, p, found, visit.Names(v.Maybe("projects/"+p.Text("Id")+"/channels/all")))})
}

// choice is a package of a new release with the versions there are.
type choice struct {
	octopus.Object
	versions []octopus.Object
	chosen   string
}

func (c choice) field() string {
	return "package/" + c.Text("ActionName") + "/" + c.Text("PackageReferenceName")
}

func (c choice) label() string {
	if name := c.Text("PackageReferenceName"); name != "" {
		return c.Text("PackageId") + " (" + name + ")"
	}
	return c.Text("PackageId")
}

func (c choice) options() []design.Option {
	var list []design.Option
	for _, o := range c.versions {
		list = append(list, design.Option{Value: o.Text("Version"), Label: o.Text("Version")})
	}
	return list
}

// draft is what a new release begins with.
type draft struct {
	project  octopus.Object
	channels []octopus.Object
	channel  string
	version  string
	packages []choice
}

func begin(v *visit.Visit, channel string) draft {
	d := draft{project: within.Project(v), channel: channel}
	d.channels = v.All("projects/" + d.project.Text("Id") + "/channels/all")
	for _, o := range d.channels {
		if channel == "" && o.Bool("IsDefault") {
			d.channel = o.Text("Id")
		}
	}
	template := v.Get("deploymentprocesses/" + d.project.Text("DeploymentProcessId") + "/template?channel=" + url.QueryEscape(d.channel))
	d.version = template.Text("NextVersionIncrement")
	for _, o := range template.Objects("Packages") {
		c := choice{Object: o}
		if !o.Has("IsResolvable") || o.Bool("IsResolvable") {
			c.versions = v.Try("feeds/" + url.PathEscape(o.Text("FeedId")) + "/packages/versions?take=30&packageId=" + url.QueryEscape(o.Text("PackageId"))).Objects("Items")
		}
		if len(c.versions) > 0 {
			c.chosen = c.versions[0].Text("Version")
		}
		d.packages = append(d.packages, c)
	}
	return d
}

func blank(v *visit.Visit) visit.Page {
	v.Need("ReleaseCreate")
	d := begin(v, v.Query("channel"))
	return within.Below(v, d.project, within.Releases, "releases", visit.Page{Title: "New release", Body: draftForm(v, d)})
}

func create(v *visit.Visit) (string, string) {
	d := begin(v, v.Form("ChannelId"))
	selected := []map[string]any{}
	for _, c := range d.packages {
		selected = append(selected, map[string]any{"ActionName": c.Text("ActionName"), "StepName": c.Text("StepName"), "PackageReferenceName": c.Text("PackageReferenceName"), "Version": v.Form(c.field())})
	}
	path := "releases"
	if v.Flag("IgnoreChannelRules") {
		path += "?ignoreChannelRules=true"
	}
	made := v.Post(path, map[string]any{"ProjectId": d.project.Text("Id"), "ChannelId": d.channel, "Version": v.Form("Version"), "ReleaseNotes": v.Text("ReleaseNotes"), "SelectedPackages": selected})
	return v.To("releases", made.Text("Id")), "Created the release " + made.Text("Version") + "."
}

// phase is a part of a lifecycle (LifecycleProgressionResource).
type phase struct {
	Name, Progress string
	Blocked        bool
	Automatic      []string `json:"AutomaticDeploymentTargets"`
	Optional       []string `json:"OptionalDeploymentTargets"`
	IsOptional     bool     `json:"IsOptionalPhase"`
	Minimum        int      `json:"MinimumEnvironmentsBeforePromotion"`
}

func (p phase) environments() []string { return append(slices.Clone(p.Automatic), p.Optional...) }

type progress struct {
	Phases []phase
	Next   []string `json:"NextDeployments"`
}

// deployment is one of a release's, with the state of its task.
type deployment struct {
	octopus.Object
	task octopus.Object
}

type view struct {
	release, project, channel octopus.Object
	progress                  progress
	deployments               []deployment
	environments, tenants     map[string]string
	defects                   []octopus.Object
}

func one(v *visit.Visit) visit.Page {
	w := view{release: v.Get("releases/" + v.Path("release"))}
	id := w.release.Text("Id")
	w.project = v.Get("projects/" + w.release.Text("ProjectId"))
	w.channel = v.Try("channels/" + w.release.Text("ChannelId"))
	if v.May("EnvironmentView") {
		v.Into(&w.progress, "releases/"+id+"/progression")
	}
	w.environments, w.tenants = visit.Names(v.Maybe("environments/all")), visit.Names(v.Maybe("tenants/all"))
	w.defects = open(v.Try("releases/" + id + "/defects").Objects("Items"))
	w.deployments = deployments(v, v.Try("releases/"+id+"/deployments?take=100").Objects("Items"))
	return within.Below(v, w.project, within.Releases, "releases", visit.Page{Title: "Release " + w.release.Text("Version"), Actions: actions(v, w), Body: body(v, w)})
}

// deployments reads the states of the tasks, in one question.
func deployments(v *visit.Visit, items []octopus.Object) []deployment {
	if len(items) == 0 {
		return nil
	}
	ids := []string{}
	for _, o := range items {
		ids = append(ids, o.Text("TaskId"))
	}
	tasks := map[string]octopus.Object{}
	for _, t := range v.Try("/tasks?take=" + "200" + "&ids=" + strings.Join(ids, ",")).Objects("Items") {
		tasks[t.Text("Id")] = t
	}
	list := make([]deployment, 0, len(items))
	for _, o := range items {
		list = append(list, deployment{o, tasks[o.Text("TaskId")]})
	}
	return list
}

func open(defects []octopus.Object) []octopus.Object {
	return slices.DeleteFunc(defects, func(o octopus.Object) bool { return o.Text("Status") == "Resolved" })
}

// newest is the last deployment to an environment.
func (w view) newest(environment string) (found []deployment) {
	seen := map[string]bool{}
	for _, d := range w.deployments { // the newest come first
		if d.Text("EnvironmentId") == environment && !seen[d.Text("TenantId")] {
			seen[d.Text("TenantId")] = true
			found = append(found, d)
		}
	}
	return found
}

func edit(v *visit.Visit) visit.Page {
	o := v.Get("releases/" + v.Path("release"))
	p := v.Get("projects/" + o.Text("ProjectId"))
	v.Need("ReleaseEdit")
	page := within.Below(v, p, within.Releases, "releases", visit.Page{Title: "Edit release " + o.Text("Version"), Body: editForm(v, o)})
	page.Crumbs = append(page.Crumbs, design.Crumb{Label: o.Text("Version"), Href: v.To("releases", o.Text("Id"))})
	return page
}

func change(v *visit.Visit) (string, string) {
	o := v.Get("releases/" + v.Path("release"))
	o.Set("Version", v.Form("Version"))
	o.Set("ReleaseNotes", v.Text("ReleaseNotes"))
	v.Put("releases/"+v.Path("release"), o)
	return v.To("releases", v.Path("release")), "Saved."
}

// busy tells whether the release is on its way to an environment already.
func (w view) busy(environment string) bool {
	return slices.ContainsFunc(w.newest(environment), func(d deployment) bool {
		return d.Text("TenantId") == "" && !d.task.Bool("IsCompleted") && d.task.Len() > 0
	})
}

func (w view) tenanted() bool {
	return slices.ContainsFunc(w.deployments, func(d deployment) bool { return d.Text("TenantId") != "" })
}
