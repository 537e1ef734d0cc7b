package officialclient

import (
	"fmt"
	"testing"

	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/artifacts"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/events"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/newclient"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/releases"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/resources"
	"github.com/OctopusDeploy/go-octopusdeploy/v2/pkg/tasks"
)

func (g *ground) deployments(t *testing.T) {
	c := g.c
	live(t, "releases", life[*releases.Release]{
		add: func() (*releases.Release, error) {
			return c.Releases.Add(releases.NewRelease(g.channel.GetID(), g.project.GetID(), "1.0.0"))
		},
		get:  c.Releases.GetByID,
		list: func() ([]*releases.Release, error) { return items(c.Releases.Get(releases.ReleasesQuery{})) },
		update: func(r *releases.Release) (*releases.Release, error) {
			return newclient.Put[releases.Release](c.HttpSession(), "/api/"+space+"/releases/"+r.GetID(), r)
		},
		delete: c.Releases.DeleteByID,
		change: func(r *releases.Release) { r.ReleaseNotes = "changed" },
		same:   func(r *releases.Release) bool { return r.ReleaseNotes == "changed" },
	})
	t.Run("releases by name", func(t *testing.T) {
		made, err := releases.CreateReleaseV1(c, releases.NewCreateReleaseCommandV1(space, g.project.GetName()))
		must(t, "create", err)
		must(t, "delete", c.Releases.DeleteByID(made.ReleaseID))
	})
	task, err := newclient.Post[tasks.Task](c.HttpSession(), "/api/tasks", map[string]any{"Name": "Health", "SpaceId": space})
	must(t, "task", err)
	live(t, "artifacts", life[*artifacts.Artifact]{
		add: func() (*artifacts.Artifact, error) {
			a := artifacts.NewArtifact("another.txt")
			a.ServerTaskID = task.GetID()
			return c.Artifacts.Add(a)
		},
		get:    c.Artifacts.GetByID,
		list:   func() ([]*artifacts.Artifact, error) { return items(c.Artifacts.Get(artifacts.Query{Take: 1000})) },
		update: func(a *artifacts.Artifact) (*artifacts.Artifact, error) { return c.Artifacts.Update(*a) },
		delete: c.Artifacts.DeleteByID,
		change: func(a *artifacts.Artifact) { a.Filename = "changed.txt" },
		same:   func(a *artifacts.Artifact) bool { return a.Filename == "changed.txt" },
	})
}

// reads asks for what a client can only read on a server that deploys nothing yet.
func (g *ground) reads(t *testing.T) {
	c := g.c
	for name, read := range map[string]func() (int, error){
		"tasks": func() (int, error) { all, err := items(c.Tasks.Get(tasks.TasksQuery{})); return len(all), err },
		"events": func() (int, error) {
			all, err := items(c.Events.Get(events.EventsQuery{Take: 5}))
			return len(all), err
		},
		"permissions": func() (int, error) {
			all, err := newclient.Get[map[string]any](c.HttpSession(), "/api/permissions/all")
			return len(*all), err
		},
		"nodes": func() (int, error) {
			all, err := items(newclient.Get[resources.Resources[map[string]any]](c.HttpSession(), "/api/octopusservernodes"))
			return len(all), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := read()
			must(t, "list", err)
			if n == 0 {
				t.Error("list: nothing")
			}
		})
	}
	for _, path := range []string{"deployments", "interruptions", "runbookRuns", "communityactiontemplates", "dashboard", "progression/" + g.project.GetID()} {
		t.Run(path, func(t *testing.T) {
			_, err := newclient.Get[map[string]any](c.HttpSession(), fmt.Sprintf("/api/%s/%s", space, path))
			must(t, "list", err)
		})
	}
}
