package dashboard

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
)

// names of kinds that items are made of.
const tasks, releases, snapshots = "ServerTasks", "Releases", "RunbookSnapshots"

// facts are what items tell of a task, a release, a snapshot or a run. A dashboard has thousands of items: of each document
// only these members are read, not the whole.
type facts struct {
	State, Duration, ErrorMessage string // of tasks
	QueueTime, StartTime          *string
	HasPendingInterruptions       bool
	HasWarningsOrErrors           bool

	Version     string // of releases
	Name, Notes string // of snapshots
	DeployedBy  string // of runs
}

// reading is what items are made of beside the ledger.
type reading struct {
	part.Reader
	found map[string]map[string]facts
}

func newReading(c *collection.Call, entries []ledger.Entry) (reading, error) {
	r := reading{part.Outside(c, c.Space), map[string]map[string]facts{}}
	ids := map[string][]string{}
	for _, e := range entries {
		ids[tasks] = append(ids[tasks], e.Task)
		switch e.Kind {
		case ledger.Deployments:
			ids[releases] = append(ids[releases], e.Source)
		case ledger.RunbookRuns:
			ids[snapshots] = append(ids[snapshots], e.Source)
			ids[ledger.RunbookRuns] = append(ids[ledger.RunbookRuns], e.ID)
		}
	}
	var reads errgroup.Group // at once: half of what a large dashboard takes is this
	var found sync.Mutex
	for kind, list := range ids {
		slices.Sort(list)
		reads.Go(func() error {
			all, err := r.facts(kind, slices.Compact(list))
			found.Lock()
			defer found.Unlock()
			r.found[kind] = all
			return err
		})
	}
	return r, reads.Wait()
}

// facts reads those of documents by their ids.
func (r reading) facts(kind string, ids []string) (map[string]facts, error) {
	found := make(map[string]facts, len(ids))
	err := r.Service.Store.Bodies(r.Context, r.Q, kind, ids, func(id, space string, body []byte) {
		if space == "" || space == r.Space {
			var f facts
			_ = json.Unmarshal(body, &f) // a member of another shape counts as none, as elsewhere
			found[id] = f
		}
	})
	return found, err
}

// common are the members that items of both dashboards have.
type common struct {
	ID                      string    `json:"Id"`
	ProjectID               string    `json:"ProjectId"`
	EnvironmentID           string    `json:"EnvironmentId"`
	TenantID                any       `json:"TenantId"`
	TaskID                  string    `json:"TaskId"`
	State                   string    `json:"State"`
	Created                 time.Time `json:"Created"`
	QueueTime               *string   `json:"QueueTime"`
	StartTime               *string   `json:"StartTime"`
	CompletedTime           any       `json:"CompletedTime"`
	Duration                string    `json:"Duration"`
	ErrorMessage            string    `json:"ErrorMessage"`
	IsCompleted             bool      `json:"IsCompleted"`
	HasPendingInterruptions bool      `json:"HasPendingInterruptions"`
	HasWarningsOrErrors     bool      `json:"HasWarningsOrErrors"`
}

func (r reading) common(e ledger.Entry) common {
	task := r.found[tasks][e.Task]
	return common{ID: e.ID, ProjectID: e.Project, EnvironmentID: e.Environment, TenantID: part.OrNull(e.Tenant), TaskID: e.Task, State: cmp.Or(task.State, e.State), Created: e.Created,
		QueueTime: task.QueueTime, StartTime: task.StartTime, CompletedTime: part.TimeOrNull(e.Completed), Duration: task.Duration, ErrorMessage: task.ErrorMessage,
		IsCompleted: e.Ended(), HasPendingInterruptions: task.HasPendingInterruptions, HasWarningsOrErrors: task.HasWarningsOrErrors}
}

// deploymentItem is a deployment on the dashboard (DashboardItemResource).
type deploymentItem struct {
	common
	ReleaseID      string `json:"ReleaseId"`
	DeploymentID   string `json:"DeploymentId"`
	ChannelID      any    `json:"ChannelId"`
	ReleaseVersion string
	IsCurrent      bool
	IsPrevious     bool
	Links          struct{ Self, Release, Task string }
}

func (r reading) item(e ledger.Entry, current, previous bool) deploymentItem {
	base := collection.Base(e.Space)
	return deploymentItem{common: r.common(e), ReleaseID: e.Source, DeploymentID: e.ID, ChannelID: part.OrNull(e.Channel), ReleaseVersion: r.found[releases][e.Source].Version, IsCurrent: current, IsPrevious: previous,
		Links: struct{ Self, Release, Task string }{base + "/deployments/" + e.ID, base + "/releases/" + e.Source, "/api/tasks/" + e.Task}}
}

// runItem is a runbook run on the dashboard (RunbooksDashboardItemResource).
type runItem struct {
	common
	RunbookID            string `json:"RunbookId"`
	RunbookSnapshotID    string `json:"RunbookSnapshotId"`
	RunbookSnapshotName  string
	RunbookSnapshotNotes string
	RunBy                string
	Links                struct{ Self, RunbookSnapshot, Task string }
}

func (r reading) run(e ledger.Entry) runItem {
	base, snapshot := collection.Base(e.Space), r.found[snapshots][e.Source]
	return runItem{common: r.common(e), RunbookID: e.Line, RunbookSnapshotID: e.Source, RunbookSnapshotName: snapshot.Name, RunbookSnapshotNotes: snapshot.Notes, RunBy: r.found[ledger.RunbookRuns][e.ID].DeployedBy,
		Links: struct{ Self, RunbookSnapshot, Task string }{base + "/runbookRuns/" + e.ID, base + "/runbookSnapshots/" + e.Source, "/api/tasks/" + e.Task}}
}
