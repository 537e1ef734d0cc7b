package officialclient

import (
	"net/url"
	"os"
	"slices"
	"testing"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/channels"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/client"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/environments"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/lifecycles"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projectgroups"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/projects"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/resources"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/runbooks"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/teams"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/userroles"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/users"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/workerpools"
)

const space = "Spaces-1"

// life is what the client can do with a kind of resource. change makes the one difference that same looks for.
type life[T interface{ GetID() string }] struct {
	add    func() (T, error)
	get    func(id string) (T, error)
	list   func() ([]T, error)
	update func(T) (T, error)
	delete func(id string) error
	change func(T)
	same   func(T) bool
}

// live takes a resource through its life: created, got, listed, changed, and deleted, after which it is not found.
func live[T interface{ GetID() string }](t *testing.T, name string, l life[T]) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		made, err := l.add()
		must(t, "create", err)
		if made.GetID() == "" {
			t.Fatal("create: no id")
		}
		read, err := l.get(made.GetID())
		must(t, "get", err)
		if read.GetID() != made.GetID() {
			t.Fatalf("get: %s instead of %s", read.GetID(), made.GetID())
		}
		all, err := l.list()
		must(t, "list", err)
		if !slices.ContainsFunc(all, func(one T) bool { return one.GetID() == made.GetID() }) {
			t.Errorf("list: %s is not among %d", made.GetID(), len(all))
		}
		if l.update != nil {
			if l.same(read) {
				t.Fatal("change: the resource is as it is to become")
			}
			l.change(read)
			_, err = l.update(read)
			must(t, "change", err)
			read, err = l.get(made.GetID())
			must(t, "get after change", err)
			if !l.same(read) {
				t.Error("change: it did not stay")
			}
		}
		must(t, "delete", l.delete(made.GetID()))
		if _, err = l.get(made.GetID()); err == nil {
			t.Errorf("delete: %s is still there", made.GetID())
		}
	})
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func items[T any](page *resources.Resources[T], err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// connect makes the client, or skips where the tests of spaceserver have not started a server.
func connect(t *testing.T) *client.Client {
	t.Helper()
	address := os.Getenv("OCTOPUS_URL")
	if address == "" {
		t.Skip("run by the tests of spaceserver, which start a server")
	}
	u, err := url.Parse(address)
	must(t, "address", err)
	c, err := client.NewClient(nil, u, os.Getenv("OCTOPUS_API_KEY"), space)
	must(t, "connect", err)
	return c
}

// ground is what other resources refer to.
type ground struct {
	c           *client.Client
	environment *environments.Environment
	lifecycle   *lifecycles.Lifecycle
	group       *projectgroups.ProjectGroup
	project     *projects.Project
	channel     *channels.Channel
	runbook     *runbooks.Runbook
	pool        workerpools.IWorkerPool
	team        *teams.Team
	role        *userroles.UserRole
	user        *users.User
}

func lay(t *testing.T, c *client.Client) *ground {
	t.Helper()
	g := &ground{c: c}
	var err error
	g.environment, err = environments.Add(c, environments.NewEnvironment("Ground"))
	must(t, "environment", err)
	g.lifecycle, err = lifecycles.Add(c, lifecycles.NewLifecycle("Ground"))
	must(t, "lifecycle", err)
	g.group, err = projectgroups.Add(c, projectgroups.NewProjectGroup("Ground"))
	must(t, "project group", err)
	g.project, err = projects.Add(c, projects.NewProject("Ground", g.lifecycle.GetID(), g.group.GetID()))
	must(t, "project", err)
	own, err := channels.GetByProjectID(c, space, channels.QueryByProjectID{ProjectID: g.project.GetID(), Take: 1})
	must(t, "channel", err)
	g.channel = own.Items[0]
	g.runbook, err = runbooks.Add(c, runbooks.NewRunbook("Ground", g.project.GetID()))
	must(t, "runbook", err)
	g.pool, err = workerpools.Add(c, workerpools.NewStaticWorkerPool("Ground"))
	must(t, "worker pool", err)
	team := teams.NewTeam("Ground")
	team.SpaceID = space
	g.team, err = c.Teams.Add(team)
	must(t, "team", err)
	role := userroles.NewUserRole("Ground")
	role.GrantedSpacePermissions = []string{"EnvironmentView"} // a role without any cannot be given in a space
	g.role, err = userroles.Add(c, role)
	must(t, "role", err)
	g.user, err = users.Add(c, account("ground"))
	must(t, "user", err)
	return g
}

func account(name string) *users.User {
	u := users.NewUser(name, name)
	u.Password = "a-long-Passw0rd"
	return u
}

// TestLife lists, gets, creates, changes and deletes every kind of resource with the official client.
func TestLife(t *testing.T) {
	g := lay(t, connect(t))
	g.people(t)
	g.infrastructure(t)
	g.projects(t)
	g.library(t)
	g.deployments(t)
	g.reads(t)
}
