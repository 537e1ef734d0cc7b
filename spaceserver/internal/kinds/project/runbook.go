package project

import (
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// Runbooks are the kinds of runbooks: the runbooks, their processes, snapshots and runs.
func Runbooks() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "Runbooks", Type: "Runbook", Route: "runbooks", Slugged: true, Owner: "ProjectId", Project: "ProjectId", Environments: "Environments",
			Template: `{"Name":"","Slug":"","Description":"","RunbookProcessId":null,"PublishedRunbookSnapshotId":null,"ProjectId":"","MultiTenancyMode":` + part.Tenanted + `,
				"ConnectivityPolicy":` + connectivity + `,"EnvironmentScope":"All|Specified|FromProjectLifecycles","Environments":[""],"DefaultGuidedFailureMode":"EnvironmentDefault|Off|On",
				"RunRetentionPolicy":{"QuantityToKeep":100,"ShouldKeepForever":false},"ForcePackageDownload":false,"RunbookTags":[""]}`,
			Required:   []string{"Name", "ProjectId"},
			Ours:       []string{"RunbookProcessId"},
			Permission: collection.Verbs{View: "RunbookView", Create: "RunbookEdit", Edit: "RunbookEdit", Delete: "RunbookEdit"},
			References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "Environments[]", Kind: "Environments"}, {Path: "PublishedRunbookSnapshotId", Kind: "RunbookSnapshots", Loose: true}},
			Under:      []string{"projects"}, Filters: map[string]string{"projectIds": "ProjectId"}, Query: "skip,take,ids,partialName,clone,projectIds",
			Links: map[string]string{"Project": "projects/{Owner}", "RunbookProcesses": "runbookProcesses/RunbookProcess-{Id}", "RunbookSnapshots": "runbooks/{Id}/runbookSnapshots{?skip,take}",
				"RunbookEnvironments": "runbooks/{Id}/environments", "CreateRunbookRun": "runbooks/{Id}/run", "RunbookSnapshotTemplate": "runbooks/{Id}/runbookSnapshotTemplate"},
			Prepare: func(c *collection.Change) error {
				c.New.Set("RunbookProcessId", "RunbookProcess-"+c.ID)
				return nil
			},
			Settle: func(c *collection.Change) error {
				if !c.Creating {
					return nil
				}
				_, err := c.Create("RunbookProcesses", part.Object(map[string]any{"ProjectId": c.New.Text("ProjectId"), "RunbookId": c.ID}))
				return err
			},
		},
		{
			Name: "RunbookProcesses", Type: "RunbookProcess", Route: "runbookProcesses", Title: "-", Owner: "RunbookId", Project: "ProjectId", Versioned: true, Query: "skip,take,ids",
			Template:   `{"ProjectId":"","RunbookId":"","Steps":` + steps + `,"Version":0,"LastSnapshotId":null}`,
			Ours:       []string{"ProjectId", "RunbookId", "LastSnapshotId"},
			Without:    "create delete all",
			Permission: collection.Verbs{View: "RunbookView", Create: "RunbookEdit", Edit: "RunbookEdit", Delete: "RunbookEdit"},
			References: []collection.Reference{{Path: "Steps[].Actions[].Environments[]", Kind: "Environments"}, {Path: "Steps[].Actions[].WorkerPoolId", Kind: "WorkerPools"}},
			Number:     func(c *collection.Change) (string, error) { return "RunbookProcess-" + c.New.Text("RunbookId"), nil },
			Links:      map[string]string{"Project": "projects/{Project}", "Runbook": "runbooks/{Owner}", "RunbookSnapshotTemplate": "runbookProcesses/{Id}/runbookSnapshotTemplate"},
			Prepare:    prepareProcess,
		},
		{
			Name: "RunbookSnapshots", Type: "RunbookSnapshot", Route: "runbookSnapshots", Owner: "RunbookId", Project: "ProjectId", Query: "skip,take,ids,publish",
			Template: `{"Name":"","Notes":null,"ProjectId":"","RunbookId":"","Assembled":null,"FrozenProjectVariableSetId":null,"FrozenRunbookProcessId":null,
				"LibraryVariableSetSnapshotIds":[""],"ProjectVariableSetSnapshotId":null,"SelectedPackages":[{"ActionName":"","PackageReferenceName":null,"StepName":null,"Version":""}],
				"SelectedGitResources":[]}`,
			Required:   []string{"Name", "RunbookId"},
			Ours:       []string{"Assembled", "FrozenProjectVariableSetId", "FrozenRunbookProcessId", "LibraryVariableSetSnapshotIds", "ProjectVariableSetSnapshotId"},
			Permission: collection.Verbs{View: "RunbookView", Create: "RunbookSnapshotCreate", Edit: "RunbookSnapshotCreate", Delete: "RunbookSnapshotCreate"},
			References: []collection.Reference{{Path: "ProjectId", Kind: "Projects"}, {Path: "RunbookId", Kind: "Runbooks"}},
			Under:      []string{"runbooks"},
			Links:      map[string]string{"Project": "projects/{Project}", "Runbook": "runbooks/{Owner}", "RunbookRuns": "runbookSnapshots/{Id}/runbookRuns"},
			Prepare:    prepareSnapshot,
		},
		{
			Name: "RunbookRuns", Type: "RunbookRun", Route: "runbookRuns", Shared: true, Owner: "RunbookId", Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId",
			Template:   `{"Name":"","ProjectId":"","RunbookId":"","RunbookSnapshotId":"","EnvironmentId":"","TenantId":null,"TaskId":null,"Comments":null,"Created":null}`,
			Without:    "create edit all",
			Permission: collection.Verbs{View: "RunbookRunView", Create: "RunbookRunCreate", Edit: "RunbookRunCreate", Delete: "RunbookRunDelete"},
			Query:      "skip,take,ids,projects,environments,tenants,runbooks,taskState,partialName",
			Actions: []collection.Action{
				{Method: "POST", Path: "runbookRuns", Permission: "RunbookRunCreate", Handle: NotYet},
				{Method: "POST", Path: "runbooks/{id}/run", Permission: "RunbookRunCreate", Handle: NotYet},
				{Method: "POST", Path: "runbook-runs/create/v1", Permission: "RunbookRunCreate", Handle: NotYet},
				{Method: "POST", Path: "runbook-runs/git/create/v1", Permission: "RunbookRunCreate", Handle: NotYet},
			},
		},
	}
}

func prepareSnapshot(c *collection.Change) error {
	if !c.Creating {
		return nil
	}
	runbook, ok, err := c.Get("Runbooks", c.New.Text("RunbookId"))
	if err != nil || !ok {
		return part.OrInvalid(err, "There is no runbook '"+c.New.Text("RunbookId")+"'.")
	}
	project := runbook.Text("ProjectId")
	c.New.Set("ProjectId", project)
	c.New.Set("Assembled", c.Service.Now())
	if err := Snapshot(c, "RunbookProcesses", "RunbookProcess-"+runbook.Text("Id"), "FrozenRunbookProcessId"); err != nil {
		return err
	}
	return SnapshotVariables(c, project, "FrozenProjectVariableSetId")
}

// NotYet refuses what would run something: better no answer than a deployment that nobody made.
func NotYet(*collection.Call) (any, error) {
	return nil, problem.Unsupported("This Space server version does not run deployments yet.")
}
