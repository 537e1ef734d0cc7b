package release

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
)

// promotion is where a release can go (DeploymentTemplateResource).
type promotion struct {
	PromoteTo        []named
	TenantPromotions []struct {
		named
		PromoteTo []named
	}
}

type named struct {
	ID   string `json:"Id"`
	Name string
}

// preview is what a deployment would do (DeploymentPreviewResource).
type preview struct {
	Steps []step `json:"StepsToExecute"`
	Form  struct {
		Elements []element
		Values   map[string]string
	}
	Guided bool `json:"UseGuidedFailureModeByDefault"`
}

type step struct {
	ActionID     string `json:"ActionId"`
	ActionName   string
	ActionNumber string
	Roles        []string
	Machines     []named
	MachineNames []string
	Skippable    bool    `json:"CanBeSkipped"`
	NoMachines   bool    `json:"HasNoApplicableMachines"`
	Unavailable  []named `json:"UnavailableMachines"`
	IsDisabled   bool
}

type element struct {
	Name    string
	Control struct {
		Type, Name, Label, Description string
		IsSecure                       bool
		DisplaySettings                map[string]string
	}
	Required bool `json:"IsValueRequired"`
}

func (e element) label() string {
	if e.Control.Label != "" {
		return e.Control.Label
	}
	if e.Control.Name != "" {
		return e.Control.Name
	}
	return e.Name
}

func (e element) field() string { return "prompt/" + e.Name }

// plan is the page that deploys a release.
type plan struct {
	release, project      octopus.Object
	promotion             promotion
	environments, tenants []string // that were chosen
	preview               preview
	asks                  map[string]bool // the actions, by id, that run nowhere: people answer
}

func readPlan(v *visit.Visit) plan {
	p := plan{release: v.Get("releases/" + v.Path("release"))}
	p.project = v.Get("projects/" + p.release.Text("ProjectId"))
	v.Into(&p.promotion, "releases/"+p.release.Text("Id")+"/deployments/template")
	q := v.Params()
	p.environments, p.tenants = chosen(q, "environment"), chosen(q, "tenant")
	if len(p.environments) > 0 {
		path := "releases/" + p.release.Text("Id") + "/deployments/preview/" + url.PathEscape(p.environments[0])
		if len(p.tenants) > 0 {
			path += "/" + url.PathEscape(p.tenants[0])
		}
		v.Into(&p.preview, path)
		p.asks = map[string]bool{}
		for _, s := range v.Try("deploymentprocesses/" + p.release.Text("ProjectDeploymentProcessSnapshotId")).Objects("Steps") {
			for _, a := range s.Objects("Actions") {
				p.asks[a.Text("Id")] = a.Text("ActionType") == "Octopus.Manual"
			}
		}
	}
	return p
}

func chosen(q url.Values, name string) []string {
	return slices.DeleteFunc(slices.Clone(q[name]), func(s string) bool { return s == "" })
}

func deployPage(v *visit.Visit) visit.Page {
	v.Need("DeploymentCreate")
	p := readPlan(v)
	page := within.Below(v, p.project, within.Releases, "releases", visit.Page{Title: "Deploy " + p.release.Text("Version"), Body: deployBody(v, p)})
	page.Crumbs = append(page.Crumbs, design.Crumb{Label: p.release.Text("Version"), Href: v.To("releases", p.release.Text("Id"))})
	return page
}

// targets are all the machines that the steps would run on.
func (p plan) targets() []design.Option {
	var list []design.Option
	seen := map[string]bool{}
	for _, s := range p.preview.Steps {
		for _, m := range s.Machines {
			if !seen[m.ID] {
				seen[m.ID] = true
				list = append(list, design.Option{Value: m.ID, Label: m.Name})
			}
		}
	}
	return list
}

func (p plan) tenanted() bool { return p.project.Text("TenantedDeploymentMode") != "Untenanted" }

// tenantOptions are the tenants that can be deployed to in the environments that were chosen.
func (p plan) tenantOptions() []design.Option {
	var list []design.Option
	for _, t := range p.promotion.TenantPromotions {
		fits := len(p.environments) == 0
		for _, e := range t.PromoteTo {
			fits = fits || slices.Contains(p.environments, e.ID)
		}
		if fits {
			list = append(list, design.Option{Value: t.ID, Label: t.Name, On: slices.Contains(p.tenants, t.ID)})
		}
	}
	return list
}

// environmentOptions are where the release can go now, to a tenant or to none.
func (p plan) environmentOptions() []design.Option {
	var list []design.Option
	seen := map[string]bool{}
	add := func(e named) {
		if !seen[e.ID] {
			seen[e.ID] = true
			list = append(list, design.Option{Value: e.ID, Label: e.Name, On: slices.Contains(p.environments, e.ID)})
		}
	}
	for _, e := range p.promotion.PromoteTo {
		add(e)
	}
	for _, t := range p.promotion.TenantPromotions {
		for _, e := range t.PromoteTo {
			add(e)
		}
	}
	return list
}

// moment is how a browser sends a time without a zone (HTML, local date and time strings).
const moment = "2006-01-02T15:04"

func deploy(v *visit.Visit) (string, string) {
	p := readPlan(v)
	environments, tenants := v.Forms("EnvironmentIds"), v.Forms("TenantIds")
	if len(environments) == 0 {
		v.Refuse("Please choose where to deploy to.")
	}
	if len(tenants) == 0 {
		tenants = []string{""}
	}
	request := map[string]any{"ReleaseId": p.release.Text("Id"), "ProjectId": p.project.Text("Id"), "Comments": v.Text("Comments"), "UseGuidedFailure": v.Flag("UseGuidedFailure"),
		"SkipActions": v.Forms("SkipActions"), "SpecificMachineIds": v.Forms("SpecificMachineIds"), "ExcludedMachineIds": v.Forms("ExcludedMachineIds"), "ForcePackageDownload": v.Flag("ForcePackageDownload")}
	values := map[string]string{}
	for _, e := range p.preview.Form.Elements {
		values[e.Name] = v.Text(e.field())
		if e.boxed() {
			values[e.Name] = map[bool]string{true: "True", false: "False"}[v.Flag(e.field())]
		}
	}
	request["FormValues"] = values
	for member, field := range map[string]string{"QueueTime": "When", "QueueTimeExpiry": "Until"} {
		if text := v.Form(field); text != "" {
			at, err := time.Parse(moment, text)
			if err != nil {
				v.Refuse("The time " + text + " is not readable: write it as 2026-12-31T23:00.")
			}
			request[member] = at.UTC()
		}
	}
	var made octopus.Object
	for _, environment := range environments {
		for _, tenant := range tenants {
			request["EnvironmentId"] = environment
			if delete(request, "TenantId"); tenant != "" {
				request["TenantId"] = tenant
			}
			made = v.Post("deployments", request)
		}
	}
	if len(environments)*len(tenants) > 1 {
		return v.To("releases", p.release.Text("Id")), "The deployments are queued."
	}
	return "/tasks/" + made.Text("TaskId"), ""
}

func (e element) boxed() bool { return e.Control.DisplaySettings["Octopus.ControlType"] == "Checkbox" }

func (e element) options() []design.Option {
	var list []design.Option
	for line := range strings.Lines(e.Control.DisplaySettings["Octopus.SelectOptions"]) {
		value, label, ok := strings.Cut(strings.TrimSpace(line), "|")
		if !ok {
			label = value
		}
		list = append(list, design.Option{Value: value, Label: label})
	}
	return list
}
