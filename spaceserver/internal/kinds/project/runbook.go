package project

import (
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
)

// Runbooks are the kinds of runbooks and their processes; package runbook has what comes of them.
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
	}
}
