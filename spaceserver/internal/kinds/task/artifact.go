package task

import (
	"io"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/artifact"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/problem"
)

// artifacts is the kind of files that tasks leave for people (ArtifactResource in the Swagger document). ProjectId, EnvironmentId
// and TenantId are those of the task and decide who sees one; they are not answered.
func (r *rules) artifacts() *collection.Kind {
	folder := artifact.Folder(r.Data)
	return &collection.Kind{
		Name: "Artifacts", Type: "Artifact", Route: "artifacts", Title: "Filename", Shared: true, Order: document.NewestFirst, Owner: "ServerTaskId",
		Project: "ProjectId", Environments: "EnvironmentId", Tenants: "TenantId",
		Template: `{"Filename":"","Source":null,"ServerTaskId":null,"LogCorrelationId":null,"Created":null,"ProjectId":"","EnvironmentId":"","TenantId":""}`,
		Required: []string{"Filename"}, Ours: []string{"Created", "ProjectId", "EnvironmentId", "TenantId"}, Without: "list all delete", Permission: collection.Quartet("Artifact"),
		References: []collection.Reference{{Path: "ServerTaskId", Kind: "ServerTasks"}},
		Query:      "skip,take,regarding,ids,partialName,order",
		Links:      map[string]string{"Content": "artifacts/{Id}/content"},
		Prepare: func(c *collection.Change) error {
			if !c.Creating {
				return nil
			}
			c.New.Set("Created", c.Service.Now())
			task, _, err := c.Get("ServerTasks", c.New.Text("ServerTaskId"))
			c.New.Set("ProjectId", task.Text("ProjectId"))
			c.New.Set("EnvironmentId", task.Object("Arguments").Text("EnvironmentId"))
			c.New.Set("TenantId", task.Object("Arguments").Text("TenantId"))
			return err
		},
		Present: func(_ *collection.View, o *octopus.Object) error { withoutPlace(o); return nil },
		Actions: []collection.Action{
			{Method: "GET", Path: "artifacts", Permission: "ArtifactView", Handle: r.listArtifacts},
			{Method: "GET", Path: "artifacts/{id}/content", Permission: "ArtifactView", Handle: func(c *collection.Call) (any, error) {
				d, err := c.Find("Artifacts", c.Param("id"))
				if err != nil {
					return nil, err
				}
				file, err := folder.Open(d.Space + "/" + d.ID)
				if err != nil {
					return nil, err
				}
				return collection.Content{Type: "application/octet-stream", Name: d.Object().Text("Filename"), Body: file}, nil
			}},
			{Method: "PUT", Path: "artifacts/{id}/content", Permission: "ArtifactEdit", Writes: true, Large: true, Handle: func(c *collection.Call) (any, error) {
				d, err := c.Find("Artifacts", c.Param("id"))
				if err != nil {
					return nil, err
				}
				o, err := octopus.ParseObject(d.Body)
				if err == nil && !c.Principal.Set.Changes("ArtifactEdit", placeOf(d.Row, o)) {
					err = problem.Denied("ArtifactEdit")
				}
				if err != nil {
					return nil, err
				}
				received, err := folder.Receive(func(w io.Writer) error { _, err := io.Copy(w, c.Body); return err })
				if err != nil {
					return nil, err
				}
				defer received.Discard()
				return nil, folder.Place(c, received, d.Space+"/"+d.ID)
			}},
			{Method: "DELETE", Path: "artifacts/{id}", Handle: func(c *collection.Call) (any, error) {
				d, err := c.Find("Artifacts", c.Param("id"))
				if err != nil {
					return nil, err
				}
				if err := c.Service.Delete(c.Context, c.Request, c.Service.Kind("Artifacts"), d.ID); err != nil {
					return nil, err
				}
				return nil, folder.Remove(d.Space + "/" + d.ID)
			}},
		},
	}
}

// withoutPlace takes away what is kept only to decide who sees something.
func withoutPlace(o *octopus.Object) {
	for _, name := range []string{"ProjectId", "EnvironmentId", "TenantId"} {
		o.Delete(name)
	}
}

// listArtifacts lists artifacts; regarding names a task, or the deployment or runbook run that a task carried out.
func (r *rules) listArtifacts(c *collection.Call) (any, error) {
	l := collection.Listing{Owner: c.Query.Get("regarding")}
	for prefix, kind := range map[string]string{"Deployments-": "Deployments", "RunbookRuns-": "RunbookRuns"} {
		if !strings.HasPrefix(l.Owner, prefix) || c.Service.Kind(kind) == nil {
			continue
		}
		row, err := c.Service.Store.Get(c.Context, c.Service.Store.DB.Read(), kind, l.Owner, c.Space)
		if err != nil {
			break // nothing regards what is not there
		}
		if o, err := octopus.ParseObject(row.Body); err == nil {
			l.Owner = o.Text("TaskId")
		}
	}
	return listed(c, c.Service.Kind("Artifacts"), l)
}
