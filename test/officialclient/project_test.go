package officialclient

import (
	"testing"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/actions"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/channels"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/core"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/deployments"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/filters"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/lifecycles"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/newclient"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projectgroups"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projects"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/resources"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/runbooks"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/triggers"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/variables"
)

func (g *ground) projects(t *testing.T) {
	c := g.c
	live(t, "project groups", life[*projectgroups.ProjectGroup]{
		add: func() (*projectgroups.ProjectGroup, error) {
			return projectgroups.Add(c, projectgroups.NewProjectGroup("Another"))
		},
		get:  func(id string) (*projectgroups.ProjectGroup, error) { return projectgroups.GetByID(c, space, id) },
		list: func() ([]*projectgroups.ProjectGroup, error) { return projectgroups.GetAll(c, space) },
		update: func(p *projectgroups.ProjectGroup) (*projectgroups.ProjectGroup, error) {
			return projectgroups.Update(c, *p)
		},
		delete: func(id string) error { return projectgroups.DeleteByID(c, space, id) },
		change: func(p *projectgroups.ProjectGroup) { p.Description = "changed" },
		same:   func(p *projectgroups.ProjectGroup) bool { return p.Description == "changed" },
	})
	live(t, "lifecycles", life[*lifecycles.Lifecycle]{
		add:    func() (*lifecycles.Lifecycle, error) { return lifecycles.Add(c, lifecycles.NewLifecycle("Another")) },
		get:    func(id string) (*lifecycles.Lifecycle, error) { return lifecycles.GetByID(c, space, id) },
		list:   func() ([]*lifecycles.Lifecycle, error) { return lifecycles.GetAll(c, space) },
		update: func(l *lifecycles.Lifecycle) (*lifecycles.Lifecycle, error) { return lifecycles.Update(c, l) },
		delete: func(id string) error { return lifecycles.DeleteByID(c, space, id) },
		change: func(l *lifecycles.Lifecycle) { l.Description = "changed" },
		same:   func(l *lifecycles.Lifecycle) bool { return l.Description == "changed" },
	})
	live(t, "projects", life[*projects.Project]{
		add: func() (*projects.Project, error) {
			return projects.Add(c, projects.NewProject("Another", g.lifecycle.GetID(), g.group.GetID()))
		},
		get:    func(id string) (*projects.Project, error) { return projects.GetByID(c, space, id) },
		list:   func() ([]*projects.Project, error) { return projects.GetAll(c, space) },
		update: func(p *projects.Project) (*projects.Project, error) { return projects.Update(c, p) },
		delete: func(id string) error { return projects.DeleteByID(c, space, id) },
		change: func(p *projects.Project) { p.Description = "changed" },
		same:   func(p *projects.Project) bool { return p.Description == "changed" },
	})
	live(t, "channels", life[*channels.Channel]{
		add: func() (*channels.Channel, error) {
			return channels.Add(c, channels.NewChannel("Another", g.project.GetID()))
		},
		get:    func(id string) (*channels.Channel, error) { return channels.GetByID(c, space, id) },
		list:   func() ([]*channels.Channel, error) { return channels.GetAll(c, space) },
		update: func(ch *channels.Channel) (*channels.Channel, error) { return channels.Update(c, ch) },
		delete: func(id string) error { return channels.DeleteByID(c, space, id) },
		change: func(ch *channels.Channel) { ch.Description = "changed" },
		same:   func(ch *channels.Channel) bool { return ch.Description == "changed" },
	})
	live(t, "triggers", life[*triggers.ProjectTrigger]{
		add: func() (*triggers.ProjectTrigger, error) {
			return triggers.Add(c, triggers.NewProjectTrigger("Another", "", false, g.project, actions.NewAutoDeployAction(true),
				filters.NewDeploymentTargetFilter([]string{g.environment.GetID()}, []string{}, []string{}, []string{})))
		},
		get:    func(id string) (*triggers.ProjectTrigger, error) { return triggers.GetById(c, space, id) },
		list:   c.ProjectTriggers.GetAll,
		update: func(p *triggers.ProjectTrigger) (*triggers.ProjectTrigger, error) { return triggers.Update(c, p) },
		delete: func(id string) error { return triggers.DeleteById(c, space, id) },
		change: func(p *triggers.ProjectTrigger) { p.IsDisabled = true },
		same:   func(p *triggers.ProjectTrigger) bool { return p.IsDisabled },
	})
	live(t, "runbooks", life[*runbooks.Runbook]{
		add: func() (*runbooks.Runbook, error) {
			return runbooks.Add(c, runbooks.NewRunbook("Another", g.project.GetID()))
		},
		get:    func(id string) (*runbooks.Runbook, error) { return runbooks.GetByID(c, space, id) },
		list:   c.Runbooks.GetAll,
		update: func(r *runbooks.Runbook) (*runbooks.Runbook, error) { return runbooks.Update(c, r) },
		delete: func(id string) error { return runbooks.DeleteByID(c, space, id) },
		change: func(r *runbooks.Runbook) { r.Description = "changed" },
		same:   func(r *runbooks.Runbook) bool { return r.Description == "changed" },
	})
	live(t, "runbook snapshots", life[*runbooks.RunbookSnapshot]{
		add: func() (*runbooks.RunbookSnapshot, error) {
			return c.RunbookSnapshots.Add(runbooks.NewRunbookSnapshot("Another", g.project.GetID(), g.runbook.GetID()))
		},
		get: c.RunbookSnapshots.GetByID,
		list: func() ([]*runbooks.RunbookSnapshot, error) {
			return items(newclient.Get[resources.Resources[*runbooks.RunbookSnapshot]](c.HttpSession(), "/api/"+space+"/runbookSnapshots"))
		},
		delete: c.RunbookSnapshots.DeleteByID,
	})
	t.Run("processes", func(t *testing.T) {
		process, err := c.DeploymentProcesses.GetByID(g.project.DeploymentProcessID)
		must(t, "get", err)
		step := deployments.NewDeploymentStep("Hello")
		action := deployments.NewDeploymentAction("Hello", "Octopus.Script")
		action.Properties["Octopus.Action.Script.ScriptBody"] = core.NewPropertyValue("echo hello", false)
		step.Actions = append(step.Actions, action)
		process.Steps = append(process.Steps, step)
		changed, err := c.DeploymentProcesses.Update(process)
		must(t, "change", err)
		if len(changed.Steps) != 1 || changed.Version <= process.Version {
			t.Errorf("change: %d steps in version %d", len(changed.Steps), changed.Version)
		}
		own, err := c.RunbookProcesses.GetByID(g.runbook.RunbookProcessID)
		must(t, "get of a runbook's", err)
		own.Steps = append(own.Steps, step)
		if own, err = c.RunbookProcesses.Update(own); err != nil || len(own.Steps) != 1 {
			t.Errorf("change of a runbook's: %v", err)
		}
	})
	t.Run("variables", func(t *testing.T) {
		v := variables.NewVariable("Colour")
		v.Value = "blue"
		set, err := c.Variables.AddSingle(g.project.GetID(), v)
		must(t, "create", err)
		if len(set.Variables) != 1 {
			t.Fatalf("create: %d variables", len(set.Variables))
		}
		set.Variables[0].Value = "red"
		set, err = variables.Update(c, space, g.project.GetID(), set)
		must(t, "change", err)
		read, err := variables.GetByID(c, space, g.project.GetID(), set.Variables[0].ID)
		must(t, "get", err)
		if read.Value != "red" {
			t.Error("change: it did not stay")
		}
		_, err = c.Variables.DeleteSingle(g.project.GetID(), read.ID)
		must(t, "delete", err)
	})
}
