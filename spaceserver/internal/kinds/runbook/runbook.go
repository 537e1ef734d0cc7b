// Package runbook is what comes of runbooks: snapshots of them, published or not, and their runs.
package runbook

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/kinds/release"
	"odcm/spaceserver/internal/problem"
)

type rules struct{ *host.Host }

// Kinds are the snapshots and runs of runbooks.
func Kinds(h *host.Host) []*collection.Kind {
	r := &rules{h}
	return []*collection.Kind{
		{
			Name: "RunbookSnapshots", Type: "RunbookSnapshot", Route: "runbookSnapshots", Owner: "RunbookId", Project: "ProjectId", Order: document.NewestFirst, Query: "skip,take,ids,publish",
			Template: `{"Name":"","Notes":null,"ProjectId":"","RunbookId":"","Assembled":null,"FrozenProjectVariableSetId":null,"FrozenRunbookProcessId":null,
				"LibraryVariableSetSnapshotIds":[""],"ProjectVariableSetSnapshotId":null,"SelectedPackages":[{"ActionName":"","PackageReferenceName":null,"StepName":null,"Version":""}],
				"SelectedGitResources":[]}`,
			Required:   []string{"Name", "RunbookId"},
			Ours:       []string{"Assembled", "FrozenProjectVariableSetId", "FrozenRunbookProcessId", "LibraryVariableSetSnapshotIds", "ProjectVariableSetSnapshotId"},
			Permission: collection.Verbs{View: "RunbookView", Create: "RunbookSnapshotCreate", Edit: "RunbookSnapshotCreate", Delete: "RunbookSnapshotCreate"},
			References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "RunbookId", Kind: "Runbooks"}},
			Under:      []string{"runbooks"},
			Links: map[string]string{"Project": "projects/{Project}", "Runbook": "runbooks/{Owner}", "RunbookRuns": "runbookSnapshots/{Id}/runbookRuns", "RunbookRunTemplate": "runbookSnapshots/{Id}/runbookRuns/template",
				"RunbookRunPreview": "runbookSnapshots/{Id}/runbookRuns/preview/{environment}{?includeDisabledSteps}", "SnapshotVariables": "runbookSnapshots/{Id}/snapshot-variables"},
			Prepare: prepareSnapshot, Settle: publish, Remove: keepPublished,
			Actions: snapshotActions(),
		},
		{
			Name: "RunbookRuns", Type: "RunbookRun", Route: "runbookRuns", Shared: true, Owner: "RunbookId", Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId", Order: document.NewestFirst, Silent: true,
			Template: `{"Name":"","ProjectId":"","RunbookId":"","RunbookSnapshotId":"","FrozenRunbookProcessId":null,"EnvironmentId":"","TenantId":null,"TaskId":null,"ManifestVariableSetId":null,"Comments":null,"Created":null,
				"QueueTime":null,"QueueTimeExpiry":null,"UseGuidedFailure":false,"SkipActions":[""],"SpecificMachineIds":[""],"ExcludedMachineIds":[""],"DeployedToMachineIds":[""],"ForcePackageDownload":false,
				"FormValues":{},"DeployedBy":null,"DeployedById":null,"FailureEncountered":false,"TentacleRetentionPeriod":null}`,
			Without:    "create edit all list",
			Permission: collection.Verbs{View: "RunbookRunView", Create: "RunbookRunCreate", Edit: "RunbookRunCreate", Delete: "RunbookRunDelete"},
			Filters:    map[string]string{"projects": "ProjectId", "environments": "EnvironmentId", "tenants": "TenantId", "runbooks": "RunbookId"},
			Query:      "skip,take,ids,projects,environments,tenants,runbooks,taskState,partialName",
			Links: map[string]string{"Project": "projects/{Project}", "Runbook": "runbooks/{Owner}", "Artifacts": "artifacts?regarding={Id}", "Interruptions": "interruptions?regarding={Id}",
				"Web": "/app#/{Space}/projects/{Project}/operations/runbooks/{Owner}/runs/{Id}"},
			Remove: deployment.Forget,
			Actions: []collection.Action{
				{Method: "GET", Path: "runbookRuns", Handle: func(c *collection.Call) (any, error) { return deployment.List(c, "RunbookRuns") }},
				{Method: "POST", Path: "runbookRuns", Permission: "RunbookRunCreate", Handle: r.post},
				{Method: "POST", Path: "runbooks/{id}/run", Permission: "RunbookRunCreate", Handle: r.run},
				{Method: "POST", Path: "runbook-runs/create/v1", Permission: "RunbookRunCreate", Handle: r.execute},
				{Method: "POST", Path: "runbook-runs/git/create/v1", Permission: "RunbookRunCreate", Handle: func(*collection.Call) (any, error) {
					return nil, problem.Invalid("The project is not version-controlled: its runbooks run from snapshots. Use runbook-runs/create/v1.")
				}},
			},
		},
	}
}

func prepareSnapshot(c *collection.Change) error {
	if !c.Creating {
		if c.New.Text("RunbookId") != c.Old.Text("RunbookId") {
			return problem.Invalid("A snapshot cannot be moved to another runbook.")
		}
		return nil
	}
	runbook, ok, err := c.Get("Runbooks", c.New.Text("RunbookId"))
	if err != nil || !ok {
		return part.OrInvalid(err, "There is no runbook '"+c.New.Text("RunbookId")+"'.")
	}
	owner := runbook.Text("ProjectId")
	c.New.Set("ProjectId", owner)
	c.New.Set("Assembled", c.Service.Now())
	if err := project.Snapshot(c, "RunbookProcesses", "RunbookProcess-"+runbook.Text("Id"), "FrozenRunbookProcessId"); err != nil {
		return err
	}
	process, _, err := c.Get("RunbookProcesses", c.New.Text("FrozenRunbookProcessId"))
	if err != nil {
		return err
	}
	if err := release.SelectPackages(c, process, release.Choice{}); err != nil {
		return err
	}
	return freeze(c, owner)
}

// freeze takes the project's variables as they are now.
func freeze(c *collection.Change, owner string) error {
	if err := project.SnapshotVariables(c, owner, "FrozenProjectVariableSetId"); err != nil {
		return err
	}
	c.New.Set("ProjectVariableSetSnapshotId", c.New.Text("FrozenProjectVariableSetId"))
	return nil
}

// publish makes a new snapshot the published one where the request says so (runbookSnapshots?publish=true).
func publish(c *collection.Change) error {
	if !c.Creating || !part.True(c.Query, "publish") {
		return nil
	}
	return c.Edit("Runbooks", c.New.Text("RunbookId"), func(o *octopus.Object) error {
		o.Set("PublishedRunbookSnapshotId", c.ID)
		return nil
	})
}

// keepPublished refuses to delete the snapshot that triggers and consumers run, and one that runs now.
func keepPublished(c *collection.Change) error {
	runbook, ok, err := c.Get("Runbooks", c.Old.Text("RunbookId"))
	if err != nil || !ok || c.Cascading() {
		return err
	}
	if runbook.Text("PublishedRunbookSnapshotId") == c.ID {
		return problem.Invalid("The snapshot '" + c.Old.Text("Name") + "' is the published one: publish another first.")
	}
	return deployment.NotUnderWay(c, c.ID)
}
