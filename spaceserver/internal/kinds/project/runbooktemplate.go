package project

import (
	"errors"
	"fmt"
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// RunbookTemplates are the routes that tell what a snapshot of a runbook needs and where the runbook can run.
func RunbookTemplates() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Permission: "RunbookView", Handle: handle}
	}
	return []collection.Action{
		on("runbooks/{id}/runbookSnapshotTemplate", func(c *collection.Call) (any, error) {
			runbook, err := c.Find("Runbooks", c.Param("id"))
			if err != nil {
				return nil, err
			}
			return snapshotTemplate(c, "RunbookProcess-"+runbook.ID)
		}),
		on("runbookProcesses/{id}/runbookSnapshotTemplate", func(c *collection.Call) (any, error) { return snapshotTemplate(c, c.Param("id")) }),
		on("runbooks/{id}/environments", runbookEnvironments),
		on("projects/{project}/runbooks/{id}/environments", runbookEnvironments),
		on("projects/{project}/runbookProcesses/{id}", func(c *collection.Call) (any, error) { return c.Find("RunbookProcesses", c.Param("id")) }),
	}
}

// snapshotTemplate tells what a snapshot of the runbook needs: a name, and versions of packages
// (RunbookSnapshotTemplateResource in the Swagger document).
func snapshotTemplate(c *collection.Call, id string) (any, error) {
	process, err := c.Find("RunbookProcesses", id)
	if err != nil {
		return nil, err
	}
	o := process.Object()
	n, err := takenSnapshots(c, process)
	if err != nil {
		return nil, err
	}
	packages, err := packageReferences(part.Outside(c, process.Space), o, octopus.Object{})
	if err != nil {
		return nil, err
	}
	return map[string]any{"Id": "RunbookSnapshotTemplate-" + process.Owner, "RunbookId": process.Owner, "RunbookProcessId": process.ID, "NextNameIncrement": fmt.Sprintf("Snapshot %d", n+1),
		"Packages": packages, "Links": map[string]string{"Self": collection.Base(process.Space) + "/runbookProcesses/" + process.ID + "/runbookSnapshotTemplate"}}, nil
}

func takenSnapshots(c *collection.Call, process collection.Document) (int, error) {
	store := c.Service.Store
	_, n, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: "RunbookSnapshots", Spaces: []string{process.Space}, Owner: process.Owner, Take: 1})
	return n, err
}

// runbookEnvironments lists where a runbook can run.
func runbookEnvironments(c *collection.Call) (any, error) {
	runbook, err := c.Find("Runbooks", c.Param("id"))
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	switch o := runbook.Object(); o.Text("EnvironmentScope") {
	case "Specified":
		return within(environments, o.Texts("Environments")), nil
	case "FromProjectLifecycles":
		lifecycles, err := part.Seen(c, "Lifecycles")
		if err != nil {
			return nil, err
		}
		project, err := c.Find("Projects", runbook.Project)
		if err != nil && !errors.Is(err, document.ErrNone) {
			return nil, err
		}
		return within(environments, Reach(lifecycles, environments)[project.Object().Text("LifecycleId")]), nil
	}
	return environments, nil
}

func within(list []collection.Document, ids []string) []collection.Document {
	some := []collection.Document{}
	for _, d := range list {
		if slices.Contains(ids, d.ID) {
			some = append(some, d)
		}
	}
	return some
}
