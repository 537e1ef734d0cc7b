// Package release is what came of a project at a time and where it went: releases, deployments, defects, freezes, how long
// releases are kept, and the dashboards that show it all. This version of the server deploys nothing.
package release

import (
	"cmp"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/problem"
)

// Kinds are releases and deployments.
func Kinds() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "Releases", Type: "Release", Route: "releases", Title: "Version", Owner: "ProjectId", Project: "ProjectId", Order: document.NewestFirst, Query: "skip,ignoreChannelRules,take,ids",
			Template: `{"Assembled":null,"ReleaseNotes":null,"ProjectId":"","ChannelId":null,"ProjectVariableSetSnapshotId":null,"LibraryVariableSetSnapshotIds":[""],
				"ProjectDeploymentProcessSnapshotId":null,"SelectedPackages":[{"ActionName":"","PackageReferenceName":null,"StepName":null,"Version":""}],"SelectedGitResources":[],"Version":"",
				"VersionControlReference":null,"BuildInformation":[],"IgnoreChannelRules":false,"CustomFields":{}}`,
			Required:   []string{"Version", "ProjectId"},
			Ours:       []string{"Assembled", "ProjectVariableSetSnapshotId", "LibraryVariableSetSnapshotIds", "ProjectDeploymentProcessSnapshotId"},
			Permission: collection.Quartet("Release"),
			References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "ChannelId", Kind: "Channels"}},
			Under:      []string{"projects"},
			Links: map[string]string{"Project": "projects/{Owner}", "Progression": "releases/{Id}/progression", "Deployments": "releases/{Id}/deployments{?skip,take}", "DeploymentTemplate": "releases/{Id}/deployments/template",
				"Defects": "releases/{Id}/defects", "ReportDefect": "releases/{Id}/defects", "ResolveDefect": "releases/{Id}/defects/resolve", "SnapshotVariables": "releases/{Id}/snapshot-variables",
				"ProjectDeploymentProcessSnapshot": "deploymentprocesses/deploymentprocess-{Owner}", "Web": "/app#/{Space}/releases/{Id}", "Artifacts": "artifacts?regarding={Id}"},
			Prepare: prepareRelease,
			Actions: []collection.Action{
				{Method: "GET", Path: "releases/{id}/deployments", Handle: func(c *collection.Call) (any, error) { return part.Related(c, "Releases", "Deployments", "ReleaseId") }},
				{Method: "POST", Path: "releases/{id}/snapshot-variables", Permission: "ReleaseEdit", Handle: refreshVariables},
				{Method: "POST", Path: "releases/create/v1", Permission: "ReleaseCreate", Handle: createRelease},
				{Method: "GET", Path: "releases/{id}/progression", Permission: "ReleaseView", Handle: releaseProgression},
				{Method: "GET", Path: "releases/{id}/deployments/template", Permission: "ReleaseView", Handle: deploymentTemplate},
			},
		},
		{
			Name: "Deployments", Type: "Deployment", Route: "deployments", Shared: true, Owner: "ReleaseId", Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId", Order: document.NewestFirst,
			Template: `{"Name":"","ReleaseId":"","EnvironmentId":"","TenantId":null,"ProjectId":"","ChannelId":null,"TaskId":null,"Comments":null,"Created":null}`,
			Without:  "create edit all", Permission: collection.Verbs{View: "DeploymentView", Create: "DeploymentCreate", Edit: "DeploymentCreate", Delete: "DeploymentDelete"},
			Filters: map[string]string{"projects": "ProjectId", "environments": "EnvironmentId", "tenants": "TenantId", "channels": "ChannelId"},
			Query:   "skip,take,ids,projects,environments,tenants,channels,taskState,partialName",
			Actions: []collection.Action{
				{Method: "POST", Path: "deployments", Permission: "DeploymentCreate", Handle: project.NotYet},
				{Method: "POST", Path: "deployments/create/untenanted/v1", Permission: "DeploymentCreate", Handle: project.NotYet},
				{Method: "POST", Path: "deployments/create/tenanted/v1", Permission: "DeploymentCreate", Handle: project.NotYet},
			},
		},
	}
}

// prepareRelease completes a new release: the project's default channel, and snapshots of process and variables, so that
// what is deployed later is what was released.
func prepareRelease(c *collection.Change) error {
	version := c.New.Text("Version")
	if strings.ContainsAny(version, " \t\r\n/\\") || len(version) > 349 {
		return problem.Invalid("The version '" + version + "' is not a version number.")
	}
	if !c.Creating {
		if c.New.Text("ProjectId") != c.Old.Text("ProjectId") {
			return problem.Invalid("A release cannot be moved to another project.")
		}
		return nil
	}
	owner := c.New.Text("ProjectId")
	if _, ok, err := c.Get("Projects", owner); err != nil || !ok {
		return part.OrInvalid(err, "There is no project '"+owner+"'.")
	}
	c.New.Set("Assembled", c.Service.Now())
	if err := releaseChannel(c, owner); err != nil {
		return err
	}
	if err := project.Snapshot(c, "DeploymentProcesses", "deploymentprocess-"+owner, "ProjectDeploymentProcessSnapshotId"); err != nil {
		return err
	}
	return project.SnapshotVariables(c, owner, "ProjectVariableSetSnapshotId")
}

func releaseChannel(c *collection.Change, project string) error {
	rows, err := c.List(document.Query{Kind: "Channels", Owner: project})
	if err != nil {
		return err
	}
	wanted := c.New.Text("ChannelId")
	for _, row := range rows {
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return err
		}
		if row.ID == wanted || wanted == "" && o.Bool("IsDefault") {
			c.New.Set("ChannelId", row.ID)
			return nil
		}
	}
	return problem.Invalid("The channel '" + wanted + "' is not one of the project's.")
}

// refreshVariables takes the release's snapshot of variables anew.
func refreshVariables(c *collection.Call) (any, error) {
	d, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		if !c.Principal.Set.Changes("ReleaseEdit", part.Target(d)) {
			return problem.Denied("ReleaseEdit")
		}
		return change.Edit("Releases", d.ID, func(o *octopus.Object) error {
			at := *change
			at.New = o.Clone()
			if err := project.SnapshotVariables(&at, d.Project, "ProjectVariableSetSnapshotId"); err != nil {
				return err
			}
			*o = at.New
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c.Find("Releases", d.ID)
}

// createRelease is the executions API: names instead of ids, camel case in, Pascal case out (releases/create/v1).
func createRelease(c *collection.Call) (any, error) {
	var command struct {
		ProjectName, ProjectIDOrName string
		ReleaseVersion, ChannelName  string
		ChannelIDOrName              string
		ReleaseNotes, PackageVersion string
		GitRef, GitCommit            string
		Packages                     []string
		IgnoreIfAlreadyExists        bool
		IgnoreChannelRules           bool
		CustomFields                 map[string]string
	}
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	owner, err := c.Find("Projects", cmp.Or(command.ProjectName, command.ProjectIDOrName))
	if err != nil {
		return nil, err
	}
	version := command.ReleaseVersion
	if version == "" {
		if version = command.PackageVersion; version == "" {
			template, err := project.TemplateOf(c, "deploymentprocess-"+owner.ID)
			if err != nil {
				return nil, err
			}
			version = template.(map[string]any)["NextVersionIncrement"].(string)
		}
	}
	body := part.Object(map[string]any{"ProjectId": owner.ID, "Version": version, "ReleaseNotes": command.ReleaseNotes, "IgnoreChannelRules": command.IgnoreChannelRules})
	if command.CustomFields != nil {
		body.Set("CustomFields", command.CustomFields)
	}
	if name := cmp.Or(command.ChannelName, command.ChannelIDOrName); name != "" {
		channel, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Channels"), owner.ID, name)
		if err != nil {
			return nil, err
		}
		body.Set("ChannelId", channel.ID)
	}
	selected := []map[string]string{}
	for _, p := range command.Packages { // step:package:version
		parts := strings.Split(p, ":")
		if len(parts) < 2 {
			return nil, problem.Invalid("A package is named as step:package:version, not '" + p + "'.")
		}
		one := map[string]string{"ActionName": parts[0], "Version": parts[len(parts)-1], "PackageReferenceName": ""}
		if len(parts) > 2 {
			one["PackageReferenceName"] = parts[1]
		}
		selected = append(selected, one)
	}
	body.Set("SelectedPackages", selected)
	if command.IgnoreIfAlreadyExists {
		if d, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Releases"), owner.ID, version); err == nil {
			return map[string]any{"ReleaseId": d.ID, "ReleaseVersion": version}, nil
		}
	}
	d, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("Releases"), body)
	if err != nil {
		return nil, err
	}
	return collection.Made{Value: map[string]any{"ReleaseId": d.ID, "ReleaseVersion": version, "AutomaticallyDeployedEnvironments": nil}}, nil
}
