package project

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

func projectActions() []collection.Action {
	process := func(c *collection.Call) (string, error) {
		project, err := c.Find("Projects", c.Param("id"))
		return "deploymentprocess-" + project.ID, err
	}
	get := func(c *collection.Call) (any, error) {
		id, err := process(c)
		if err != nil {
			return nil, err
		}
		return c.Find("DeploymentProcesses", id)
	}
	put := func(c *collection.Call) (any, error) {
		id, err := process(c)
		if err != nil {
			return nil, err
		}
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		return c.Service.Update(c.Context, c.Request, c.Service.Kind("DeploymentProcesses"), id, body)
	}
	return []collection.Action{
		{Method: "GET", Path: "projects/{id}/deploymentprocesses", Handle: get},
		{Method: "PUT", Path: "projects/{id}/deploymentprocesses", Handle: put},
		{Method: "GET", Path: "projects/{id}/deploymentprocesses/template", Handle: func(c *collection.Call) (any, error) {
			id, err := process(c)
			if err != nil {
				return nil, err
			}
			return TemplateOf(c, id)
		}},
		{Method: "GET", Path: "projects/{id}/deploymentsettings", Handle: getSettings},
		{Method: "PUT", Path: "projects/{id}/deploymentsettings", Handle: putSettings},
		{Method: "GET", Path: "projects/{id}/summary", Handle: summary},
		{Method: "GET", Path: "projects/{id}/metadata", Permission: "ProjectView", Handle: func(*collection.Call) (any, error) { return []any{}, nil }},
		{Method: "GET", Path: "projects/{id}/logo", Permission: "ProjectView", Handle: part.Logo},
		{Method: "GET", Path: "projects/{id}/git/branches", Permission: "ProjectView", Handle: func(*collection.Call) (any, error) {
			return nil, problem.Invalid("The project is not version-controlled.")
		}},
	}
}

// settings are the members of a project that newer servers keep in a document of their own (DeploymentSettingsResource).
var settings = []struct{ project, setting string }{
	{"DefaultToSkipIfAlreadyInstalled", "DefaultToSkipIfAlreadyInstalled"}, {"DefaultGuidedFailureMode", "DefaultGuidedFailureMode"},
	{"VersioningStrategy", "VersioningStrategy"}, {"ReleaseNotesTemplate", "ReleaseNotesTemplate"}, {"DeploymentChangesTemplate", "DeploymentChangesTemplate"},
	{"ProjectConnectivityPolicy", "ConnectivityPolicy"}, {"ForcePackageDownload", "ForcePackageDownload"},
}

func settingsOf(project octopus.Object, base string) octopus.Object {
	o := part.Object(map[string]any{"Id": "deploymentsettings-" + project.Text("Id")})
	o.Set("ProjectId", project.Text("Id"))
	o.Set("SpaceId", project.Text("SpaceId"))
	for _, s := range settings {
		if value, ok := project.Get(s.project); ok {
			o.Set(s.setting, value)
		}
	}
	self := base + "/projects/" + project.Text("Id")
	o.Set("Links", map[string]string{"Self": self + "/deploymentsettings", "Project": self})
	return o
}

func getSettings(c *collection.Call) (any, error) {
	project, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	return settingsOf(project.Object(), collection.Base(project.Space)), nil
}

func putSettings(c *collection.Call) (any, error) {
	project, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	o := project.Object()
	for _, s := range settings {
		if value, ok := body.Get(s.setting); ok {
			o.Set(s.project, value)
		}
	}
	changed, err := c.Service.Update(c.Context, c.Request, c.Service.Kind("Projects"), project.ID, o)
	if err != nil {
		return nil, err
	}
	return settingsOf(changed.Object(), collection.Base(project.Space)), nil
}

func summary(c *collection.Call) (any, error) {
	project, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	store := c.Service.Store
	process, err := store.Get(c.Context, store.DB.Read(), "DeploymentProcesses", "deploymentprocess-"+project.ID, project.Space)
	if err != nil {
		return nil, err
	}
	_, runbooks, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: "Runbooks", Owner: project.ID, Take: 1})
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject(process.Body)
	return map[string]any{"HasDeploymentProcess": len(o.Objects("Steps")) > 0, "HasRunbooks": runbooks > 0}, err
}

func releaseTemplate(c *collection.Call) (any, error) { return TemplateOf(c, c.Param("id")) }
