// Package release is what came of a project at a time: releases with their versions of packages, defects in them, and how long
// they are kept where nobody says.
package release

import (
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/problem"
)

// Kinds are releases.
func Kinds(h *host.Host) []*collection.Kind {
	// What its lifecycle deploys by itself goes with it.
	settle := func(c *collection.Change) error {
		if !c.Creating {
			return nil
		}
		return deployment.Begin(h, c, c.ID)
	}
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
				"ProjectDeploymentProcessSnapshot": "deploymentprocesses/deploymentprocess-{Owner}", "Web": "/app#/{Space}/releases/{Id}", "Artifacts": "artifacts?regarding={Id}",
				"DeploymentPreviews": "releases/{Id}/deployments/previews", "MissingPackages": "releases/{Id}/missingpackages"},
			Prepare: prepareRelease, Settle: settle, Remove: removeRelease,
			Actions: []collection.Action{
				{Method: "GET", Path: "releases/{id}/deployments", Handle: func(c *collection.Call) (any, error) { return part.Owned(c, "Releases", "Deployments") }},
				{Method: "POST", Path: "releases/{id}/snapshot-variables", Permission: "ReleaseEdit", Handle: refreshVariables},
				{Method: "POST", Path: "releases/create/v1", Permission: "ReleaseCreate", Handle: createRelease},
				{Method: "GET", Path: "releases/{id}/missingpackages", Permission: "ReleaseView", Handle: missing},
				{Method: "GET", Path: "projects/{id}/channels/{channel}/releases", Permission: "ReleaseView", Handle: channelReleases},
			},
		},
	}
}

// prepareRelease completes a new release: its channel, versions of packages, and snapshots of process and variables, so that
// what is deployed later is what was released.
func prepareRelease(c *collection.Change) error {
	if c.New.Object("VersionControlReference").Text("GitRef")+c.New.Object("VersionControlReference").Text("GitCommit") != "" {
		return notVersionControlled()
	}
	if !c.Creating {
		if err := checkVersion(c); err != nil {
			return err
		}
		return prepareChange(c)
	}
	r, owner := part.In(c), c.New.Text("ProjectId")
	o, ok, err := c.Get("Projects", owner)
	if err != nil || !ok {
		return part.OrInvalid(err, "There is no project '"+owner+"'.")
	}
	number, err := project.Settled(r, owner, strings.TrimSpace(c.New.Text("Version")))
	if err != nil {
		return err
	}
	c.New.Set("Version", number)
	if err := checkVersion(c); err != nil {
		return err
	}
	if taken, err := c.List(document.Query{Kind: "Releases", Owner: owner, Name: number}); err != nil || len(taken) > 0 {
		return part.OrInvalid(err, "Release '"+number+"' already exists in the project '"+o.Text("Name")+"'. Please choose another version.")
	}
	channel, err := project.ChannelOf(r, owner, c.New.Text("ChannelId"))
	if err != nil {
		return err
	}
	c.New.Set("ChannelId", channel.Text("Id"))
	c.New.Set("Assembled", c.Service.Now())
	if err := project.Snapshot(c, "DeploymentProcesses", "deploymentprocess-"+owner, "ProjectDeploymentProcessSnapshotId"); err != nil {
		return err
	}
	process, _, err := c.Get("DeploymentProcesses", c.New.Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return err
	}
	ignore := c.New.Bool("IgnoreChannelRules") || part.True(c.Query, "ignoreChannelRules")
	tag := c.New.Text(preferred)
	c.New.Delete(preferred)
	if err := SelectPackages(c, process, Choice{Channel: channel, Ignore: ignore, Tag: tag}); err != nil {
		return err
	}
	return project.SnapshotVariables(c, owner, "ProjectVariableSetSnapshotId")
}

// preferred is a member that a new release has only until its packages are chosen: the pre-release that they are to have.
const preferred = "PackagePrerelease"

func notVersionControlled() error {
	return problem.Invalid("The project is not version-controlled: leave out the Git reference.")
}

// checkVersion refuses what is no version: releases may be called 2024.03.0-hotfix.1, but not by a path or a sentence.
func checkVersion(c *collection.Change) error {
	number := c.New.Text("Version")
	if number == "" || strings.ContainsAny(number, " \t\r\n/\\#?%") || len(number) > 349 {
		return problem.Invalid("The version '" + number + "' is not a version number: write it as 1.2.3 or 1.2.3-beta.1.")
	}
	return nil
}

// prepareChange lets a release change its version, notes and channel; versions of packages only until it is deployed somewhere.
func prepareChange(c *collection.Change) error {
	if c.New.Text("ProjectId") != c.Old.Text("ProjectId") {
		return problem.Invalid("A release cannot be moved to another project.")
	}
	if c.New.Text("ChannelId") == c.Old.Text("ChannelId") {
		return nil
	}
	_, err := project.ChannelOf(part.In(c), c.New.Text("ProjectId"), c.New.Text("ChannelId"))
	return err
}

// removeRelease refuses while the release is on its way somewhere; its deployments go along (docs: releases/deleting-releases).
func removeRelease(c *collection.Change) error { return deployment.NotUnderWay(c, c.ID) }

// refreshVariables takes the release's snapshot of variables anew.
func refreshVariables(c *collection.Call) (any, error) {
	d, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	if err := deployment.Renew(c, d); err != nil {
		return nil, err
	}
	return c.Find("Releases", d.ID)
}

func channelReleases(c *collection.Call) (any, error) {
	owner, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	channel, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Channels"), owner.ID, c.Param("channel"))
	if err != nil {
		return nil, err
	}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Releases"), collection.Listing{Owner: owner.ID, Filter: func(o octopus.Object) bool { return o.Text("ChannelId") == channel.ID }})
	p.Path = collection.Base(c.Space) + "/projects/" + owner.ID + "/channels/" + channel.ID + "/releases"
	p.Template = p.Path + "{?skip,take,searchByVersion}"
	return p, err
}
