// Package steptemplate is what steps are made from: step templates of a space with their versions and where they are used,
// bringing those steps to another version, and the templates of the community.
package steptemplate

import (
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// Kinds are step templates and their versions.
func Kinds() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "ActionTemplates", Type: "ActionTemplate", Route: "actiontemplates",
			Template:   `{"Name":"","Description":null,"ActionType":"","Version":0,"CommunityActionTemplateId":null,"Packages":[],"GitDependencies":[],"Inputs":[],"Properties":{},"Parameters":` + part.Parameters + `}`,
			Required:   []string{"Name", "ActionType"},
			Ours:       []string{"Version"},
			Permission: collection.Quartet("ActionTemplate"),
			Links:      map[string]string{"Usage": "actiontemplates/{Id}/usage", "ActionsUpdate": "actiontemplates/{Id}/actionsUpdate", "Versions": "actiontemplates/{Id}/versions", "Logo": "actiontemplates/{Id}/logo"},
			Prepare: func(c *collection.Change) error {
				// A client's number was replaced by the old one; only an import brings a higher one of its own.
				c.New.Set("Version", max(c.New.Int("Version"), c.Old.Int("Version")+1))
				return nil
			},
			Settle: keepVersion,
			Actions: []collection.Action{
				{Method: "GET", Path: "actiontemplates/{id}/versions", Handle: templateVersions},
				{Method: "GET", Path: "actiontemplates/{id}/versions/{version}", Handle: templateVersion},
				{Method: "GET", Path: "actiontemplates/{id}/usage", Handle: templateUsage},
				{Method: "POST", Path: "actiontemplates/{id}/actionsUpdate", Handle: updateActions},
				{Method: "GET", Path: "actiontemplates/{id}/logo", Permission: "ActionTemplateView", Handle: part.Logo},
				{Method: "GET", Path: "actiontemplates/{id}/versions/{version}/logo", Permission: "ActionTemplateView", Handle: part.Logo},
			},
		},
		{
			// Each version of a step template, kept for the steps that were made from it.
			Name: "ActionTemplateVersions", Type: "ActionTemplate", Title: "-", Owner: "$owner", RootLink: "-", Order: document.OldestFirst,
			Template: `{"Name":"","ActionType":"","Version":0}`, Permission: collection.Quartet("ActionTemplate"), Silent: true,
		},
	}
}

// keepVersion keeps the template as it is now under its version.
func keepVersion(c *collection.Change) error {
	kept := c.New.Clone()
	kept.Set("Id", c.ID+"-v"+strconv.Itoa(int(c.New.Int("Version"))))
	kept.Set("$owner", c.ID)
	_, err := c.Create("ActionTemplateVersions", kept)
	return err
}

func templateVersions(c *collection.Call) (any, error) {
	d, err := c.Find("ActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("ActionTemplateVersions"), collection.Listing{Owner: d.ID})
	if err != nil {
		return nil, err
	}
	all := collection.Page[octopus.Object]{ItemType: "ActionTemplate", Total: p.Total, Skip: p.Skip, Take: p.Take, Path: collection.Base(c.Space) + "/actiontemplates/" + d.ID + "/versions"}
	all.Template = all.Path + "{?skip,take}"
	for _, v := range p.Items {
		all.Items = append(all.Items, shownVersion(v, d))
	}
	return all, nil
}

func templateVersion(c *collection.Call) (any, error) {
	d, err := c.Find("ActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	v, err := c.Find("ActionTemplateVersions", d.ID+"-v"+c.Param("version"))
	if err != nil {
		return nil, err
	}
	return shownVersion(v, d), nil
}

func shownVersion(v, d collection.Document) octopus.Object {
	o := v.Object()
	o.Delete("$owner")
	o.Set("Id", d.ID)
	o.Set("Links", map[string]string{"Self": collection.Base(d.Space) + "/actiontemplates/" + d.ID})
	return o
}

// templateUsage lists the steps that were made from a template (ActionTemplateUsageResource).
func templateUsage(c *collection.Call) (any, error) {
	d, err := c.Find("ActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	usages := []octopus.Object{}
	for _, kind := range []string{"DeploymentProcesses", "RunbookProcesses"} {
		rows, _, err := c.Service.Store.List(c.Context, c.Service.Store.DB.Read(), document.Query{Kind: kind, Spaces: []string{d.Space}, Contains: `"` + d.ID + `"`, Order: document.OldestFirst})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if strings.Contains(row.ID, "-s-") { // frozen for a release or a run: it cannot be brought up to date
				continue
			}
			if process, err := c.Find(kind, row.ID); err == nil { // the others are not for this caller
				usages = append(usages, usagesIn(c, process, d.ID)...)
			}
		}
	}
	return usages, nil
}

func usagesIn(c *collection.Call, process collection.Document, template string) (usages []octopus.Object) {
	o := process.Object()
	typ, runbook := "Deployment", any(nil)
	if id := o.Text("RunbookId"); id != "" {
		typ = "Runbook"
		if d, err := c.Find("Runbooks", id); err == nil {
			runbook = d.Object().Text("Name")
		}
	}
	for _, step := range o.Objects("Steps") {
		for _, action := range step.Objects("Actions") {
			properties := action.Object("Properties")
			if properties.Text(templateID) != template {
				continue
			}
			project, _ := c.Find("Projects", process.Project)
			usages = append(usages, part.Object(map[string]any{"Id": template + "-" + action.Text("Id"), "ActionTemplateId": template, "ActionId": action.Text("Id"), "ActionName": action.Text("Name"), "StepId": step.Text("Id"), "StepName": step.Text("Name"),
				"ProcessId": process.ID, "ProcessType": typ, "DeploymentProcessId": process.ID, "ProjectId": process.Project, "ProjectSlug": project.Slug, "ProjectName": project.Object().Text("Name"),
				"RunbookId": part.OrNull(o.Text("RunbookId")), "RunbookName": runbook, "Version": properties.Text(templateVersionKey), "Links": map[string]string{}}))
		}
	}
	return usages
}
