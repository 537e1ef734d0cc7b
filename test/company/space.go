package company

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"odcm/octopus"
	"odcm/octopus/octoclient"
)

const octopusSpace = "Spaces-1"

type fields = map[string]any

// Space is a Space server with three or four projects, two environments, targets and a runbook.
type Space struct {
	Name    string
	Made    int // deployments that were asked for
	targets int
	idle    bool // it has a project of which nothing is deployed

	client       *octoclient.Client
	projects     map[string]string // identifiers by name
	environments map[string]string
	releases     map[string]string // by project
	snapshot     fields            // a run of the runbook
}

func newSpace(i int, address string) (*Space, error) {
	budgets := octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6, Concurrency: 100}) // people are not what is measured
	client, err := octoclient.New(octoclient.Options{URL: address, APIKey: spaceKey, Budgets: budgets, Attempts: 1})
	names := []string{"Payments", "Web shop", "Logistics", "Data platform", "Mobile", "Claims", "Pricing", "Search", "Billing", "Identity"}
	name := names[i%len(names)]
	if i >= len(names) {
		name = fmt.Sprintf("%s %d", name, 1+i/len(names))
	}
	return &Space{Name: name, targets: 1 + i%3, idle: i%2 == 1, client: client, projects: map[string]string{}, environments: map[string]string{}, releases: map[string]string{}}, err
}

func (s *Space) create(ctx context.Context, route string, body fields) (octopus.Object, error) {
	o, err := octopus.NewObject(body)
	if err != nil {
		return octopus.Object{}, err
	}
	made, err := s.client.Post(ctx, octopus.SpaceRoute(octopusSpace, route), o)
	if err != nil {
		err = fmt.Errorf("%s: %w", route, err)
	}
	return made, err
}

// steps puts one step that runs the script into a process.
func (s *Space) steps(ctx context.Context, route, id, script string) error {
	_, err := s.client.Update(ctx, octopus.SpaceRoute(octopusSpace, route, id), func(o *octopus.Object) error {
		o.Set("Steps", []fields{{"Name": "Run", "Properties": fields{}, "Actions": []fields{{"Name": "Run", "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.RunOnServer": "true",
			"Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": script}}}}})
		return nil
	})
	return err
}

func (s *Space) furnish(ctx context.Context) error {
	for _, name := range []string{"Test", "Production"} {
		made, err := s.create(ctx, "environments", fields{"Name": name})
		if err != nil {
			return err
		}
		s.environments[name] = made.ID()
	}
	if _, err := s.client.Update(ctx, octopus.SpaceRoute(octopusSpace, "lifecycles", "Lifecycles-1"), func(o *octopus.Object) error {
		o.Set("Phases", []fields{{"Name": "Any", "OptionalDeploymentTargets": []string{s.environments["Test"], s.environments["Production"]}}})
		return nil
	}); err != nil {
		return err
	}
	for i := range s.targets {
		if _, err := s.create(ctx, "machines", fields{"Name": fmt.Sprintf("host-%d", i), "EnvironmentIds": []string{s.environments["Production"]}, "Roles": []string{"web"},
			"Endpoint": fields{"CommunicationStyle": "None"}}); err != nil {
			return err
		}
	}
	names := []string{"Web", "API", "Importer"}
	if s.idle {
		names = append(names, "Legacy")
	}
	for _, name := range names {
		made, err := s.create(ctx, "projects", fields{"Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"})
		if err != nil {
			return err
		}
		s.projects[name] = made.ID()
		if name == "Importer" { // whose deployments fail
			if err := s.steps(ctx, "deploymentprocesses", "deploymentprocess-"+made.ID(), "exit 1"); err != nil {
				return err
			}
		}
		release, err := s.create(ctx, "releases", fields{"ProjectId": made.ID(), "Version": "1.0.0"})
		if err != nil {
			return err
		}
		s.releases[name] = release.ID()
	}
	book, err := s.create(ctx, "runbooks", fields{"Name": "Restart", "ProjectId": s.projects["Web"], "EnvironmentScope": "All"})
	if err != nil {
		return err
	}
	if err := s.steps(ctx, "runbookProcesses", "RunbookProcess-"+book.ID(), "true"); err != nil {
		return err
	}
	snapshot, err := s.create(ctx, "runbookSnapshots", fields{"Name": "First", "RunbookId": book.ID(), "ProjectId": s.projects["Web"]})
	s.snapshot = fields{"RunbookId": book.ID(), "RunbookSnapshotId": snapshot.ID(), "EnvironmentId": s.environments["Production"]}
	return err
}

// script says what the deployments are, over and over: of which project to which environment. The Importer fails, and what is
// wanted later is canceled.
var script = []struct {
	project, environment string
	canceled             bool
}{
	{"Web", "Test", false}, {"API", "Test", false}, {"Web", "Production", false}, {"Web", "Test", false}, {"Importer", "Production", false},
	{"API", "Production", false}, {"Web", "Test", false}, {"API", "Test", true}, {"Web", "Production", false}, {"API", "Test", false},
}

// deploy does the next of the script, each tenth with a run of the runbook, and waits until nothing is under way.
func (s *Space) deploy(ctx context.Context, n int) error {
	for range n {
		line := script[s.Made%len(script)]
		order := fields{"ReleaseId": s.releases[line.project], "EnvironmentId": s.environments[line.environment]}
		if line.canceled {
			order["QueueTime"] = time.Now().Add(time.Hour)
		}
		made, err := s.create(ctx, "deployments", order)
		if err != nil {
			return err
		}
		if line.canceled {
			if _, err := s.client.Post(ctx, octopus.Route("tasks", made.Text("TaskId"), "cancel"), nil); err != nil {
				return err
			}
		}
		if s.Made%len(script) == 0 {
			if _, err := s.create(ctx, "runbookRuns", s.snapshot); err != nil {
				return err
			}
		}
		s.Made++
	}
	return Wait(ctx, s.Name+" has deployed", 10*time.Minute, func() (string, error) {
		open, err := s.total(ctx, octopus.Route("tasks"), url.Values{"active": {"true"}})
		if open == 0 {
			return "", err
		}
		return fmt.Sprintf("%d tasks are under way", open), err
	})
}

// total is how many there are of something, as the server says.
func (s *Space) total(ctx context.Context, path string, q url.Values) (int, error) {
	q.Set("take", "1")
	page, err := s.client.Get(ctx, path+"?"+q.Encode())
	return octopus.Page{Object: page}.Total(), err
}
