// Package task is the work of the server and what comes of it: tasks with their logs, interruptions and artifacts.
package task

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Kinds are tasks, their logs, interruptions and artifacts.
func Kinds(s *host.Host) []*collection.Kind {
	artifacts := host.Folder{Dir: filepath.Join(s.Data, "artifacts")}
	return []*collection.Kind{
		{
			Name: "ServerTasks", Type: "Task", Route: "tasks", RootLink: "Tasks", Scope: collection.InBoth, Shared: true, Project: "ProjectId", Order: document.NewestFirst,
			Template: `{"Name":"","Description":"","Arguments":{},"State":"Queued|Executing|Cancelling|Canceled|Failed|Success|TimedOut","Completed":"","QueueTime":null,"QueueTimeExpiry":null,"StartTime":null,
				"LastUpdatedTime":null,"CompletedTime":null,"ServerNode":null,"Duration":"","ErrorMessage":"","HasBeenPickedUpByProcessor":false,"IsCompleted":false,"FinishedSuccessfully":false,
				"HasPendingInterruptions":false,"HasWarningsOrErrors":false,"CanRerun":false,"ProjectId":null,"SpaceId":null}`,
			Without: "create edit delete all", Permission: collection.Verbs{View: "TaskView", Create: "TaskCreate", Edit: "TaskEdit", Delete: "TaskEdit"},
			Filters: map[string]string{"states": "State", "name": "Name", "project": "ProjectId", "environment": "Arguments.EnvironmentId", "tenant": "Arguments.TenantId",
				"hasPendingInterruptions": "HasPendingInterruptions", "hasWarningsOrErrors": "HasWarningsOrErrors", "node": "ServerNode"},
			Query: "skip,active,environment,tenant,runbook,project,name,node,running,states,hasPendingInterruptions,hasWarningsOrErrors,take,ids,partialName,spaces,includeSystem",
			Links: map[string]string{"Web": "/app#/tasks/{Id}", "Raw": "/api/tasks/{Id}/raw", "Rerun": "/api/tasks/rerun/{Id}", "Cancel": "/api/tasks/{Id}/cancel", "State": "/api/tasks/{Id}/state",
				"QueuedBehind": "/api/tasks/{Id}/queued-behind{?skip,take}", "Details": "/api/tasks/{Id}/details{?verbose,tail}", "Artifacts": "/api/artifacts?regarding={Id}", "Interruptions": "/api/interruptions?regarding={Id}"},
			Actions: (&rules{s}).actions(),
		},
		{
			// What a task wrote. It is apart from the task: lists of tasks must not read it.
			Name: "ActivityLogs", Type: "ActivityLog", Scope: collection.InBoth, Title: "-", Owner: "TaskId", RootLink: "-", Silent: true,
			Template: `{"TaskId":"","ActivityLogs":[]}`, Permission: collection.Verbs{View: "TaskViewLog", Create: "TaskEdit", Edit: "TaskEdit", Delete: "TaskEdit"},
			Number: func(c *collection.Change) (string, error) { return "activitylog-" + c.New.Text("TaskId"), nil },
		},
		{
			Name: "Interruptions", Type: "Interruption", Route: "interruptions", Title: "Title", Shared: true, Order: document.NewestFirst,
			Template: `{"Title":"","Created":null,"IsPending":true,"Form":{},"RelatedDocumentIds":[""],"ResponsibleTeamIds":[""],"ResponsibleUserId":null,"TaskId":null,"CorrelationId":null}`,
			Without:  "create edit delete all", Permission: collection.Verbs{View: "InterruptionView"},
			Filters: map[string]string{"regarding": "RelatedDocumentIds", "pendingOnly": "IsPending"}, Query: "skip,take,regarding,pendingOnly,ids",
		},
		{
			Name: "Artifacts", Type: "Artifact", Route: "artifacts", Title: "Filename", Shared: true, Order: document.NewestFirst,
			Template: `{"Filename":"","Source":null,"ServerTaskId":null,"LogCorrelationId":null,"Created":null}`,
			Required: []string{"Filename"}, Ours: []string{"Created"}, Without: "all delete", Permission: collection.Quartet("Artifact"),
			References: []collection.Reference{{Path: "ServerTaskId", Kind: "ServerTasks"}},
			Filters:    map[string]string{"regarding": "ServerTaskId"}, Query: "skip,take,regarding,ids,partialName,order",
			Links: map[string]string{"Content": "artifacts/{Id}/content"},
			Prepare: func(c *collection.Change) error {
				if c.Creating {
					c.New.Set("Created", c.Service.Now())
				}
				return nil
			},
			Actions: []collection.Action{
				{Method: "GET", Path: "artifacts/{id}/content", Permission: "ArtifactView", Handle: func(c *collection.Call) (any, error) {
					d, err := c.Find("Artifacts", c.Param("id"))
					if err != nil {
						return nil, err
					}
					file, err := artifacts.Open(d.Space + "/" + d.ID)
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
					r, err := artifacts.Receive(func(w io.Writer) error { _, err := io.Copy(w, c.Body); return err })
					if err != nil {
						return nil, err
					}
					defer r.Discard()
					return nil, artifacts.Place(c, r, d.Space+"/"+d.ID)
				}},
				{Method: "DELETE", Path: "artifacts/{id}", Handle: func(c *collection.Call) (any, error) {
					d, err := c.Find("Artifacts", c.Param("id"))
					if err != nil {
						return nil, err
					}
					if err := c.Service.Delete(c.Context, c.Request, c.Service.Kind("Artifacts"), d.ID); err != nil {
						return nil, err
					}
					return nil, artifacts.Remove(d.Space + "/" + d.ID)
				}},
			},
		},
	}
}

// rules are the tasks of this server. It runs one kind of task, the health check, and that only of targets that need
// no contact; it refuses the others, because a task that claims to have run would be worse than none.
type rules struct{ *host.Host }

func (t *rules) actions() []collection.Action {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InBoth, Handle: handle}
	}
	return []collection.Action{
		on("POST", "tasks", t.create),
		on("GET", "tasks/tasktypes", func(*collection.Call) (any, error) {
			return []any{map[string]any{"Id": "Health", "Name": "Health", "Links": map[string]string{}}}, nil
		}),
		on("GET", "tasks/{id}/details", t.details),
		on("GET", "tasks/{id}/raw", t.raw),
		on("GET", "tasks/{id}/queued-behind", func(c *collection.Call) (any, error) {
			d, err := c.Find("ServerTasks", c.Param("id"))
			return part.Page(c, "Task", "tasks/"+d.ID+"/queued-behind", []octopus.Object{}), err // nothing waits: tasks run as they are made
		}),
		on("POST", "tasks/{id}/cancel", t.over("TaskCancel")),
		on("POST", "tasks/{id}/state", t.over("TaskEdit")),
		on("POST", "tasks/rerun/{id}", func(c *collection.Call) (any, error) {
			d, err := c.Find("ServerTasks", c.Param("id"))
			if err != nil {
				return nil, err
			}
			return t.run(c, d.Object())
		}),
	}
}

// over refuses to change a task that has ended, as all have here.
func (t *rules) over(name string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find("ServerTasks", c.Param("id"))
		if err != nil {
			return nil, err
		}
		if !c.Principal.Set.Holds(permission.Name(name), d.Space) {
			return nil, problem.Denied(name)
		}
		return nil, problem.Invalid("The task has ended: its state cannot be changed any more.")
	}
}

func (t *rules) create(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if space := body.Text("SpaceId"); space != "" && !c.Named {
		if !c.Service.Directory().Has(space) {
			return nil, problem.Invalid("The space '" + space + "' does not exist.")
		}
		c.Space = space
	}
	return t.run(c, body)
}

// run makes the task and runs it at once: there is no work in it that takes time.
func (t *rules) run(c *collection.Call, body octopus.Object) (any, error) {
	if space := body.Text("SpaceId"); space != "" {
		c.Space = space
	}
	if c.Space != "" && !c.Principal.Set.Enters(c.Space) || !c.Principal.Set.Holds("TaskCreate", c.Space) {
		return nil, problem.Denied("TaskCreate")
	}
	if !strings.EqualFold(body.Text("Name"), "Health") {
		return nil, problem.Unsupported("This Space server version does not run tasks of the kind '%s' yet.", body.Text("Name"))
	}
	if drained, err := t.Draining(c.Context, c.Service); err != nil || drained {
		return nil, errors.Join(err, problem.Invalid("The server is draining: it starts no tasks."))
	}
	lines, err := t.checkHealth(c, body.Object("Arguments"))
	if err != nil {
		return nil, err
	}
	var id string
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		change = change.In(c.Space)
		made, err := change.Create("ServerTasks", t.ended(c, body))
		if err != nil {
			return err
		}
		id = made.Text("Id")
		_, err = change.Create("ActivityLogs", part.Object(map[string]any{"TaskId": id, "SpaceId": part.OrNull(c.Space), "ActivityLogs": activity(id, body.Text("Description"), c.Service.Now(), lines)}))
		return err
	})
	if err != nil {
		return nil, err
	}
	d, err := c.Find("ServerTasks", id)
	if err != nil || c.Param("id") != "" {
		return d, err
	}
	return collection.Made{Value: d}, nil
}

// checkHealth looks at the targets that the task names, or at all of the space. One that must be contacted cannot be
// checked here.
func (t *rules) checkHealth(c *collection.Call, arguments octopus.Object) ([]string, error) {
	ids := arguments.Texts("MachineIds")
	var q document.Query
	if q = (document.Query{Kind: "Machines", Spaces: []string{c.Space}}); len(ids) > 0 {
		q.IDs = ids
	}
	lines := []string{}
	store := c.Service.Store
	for row, err := range store.Each(c.Context, store.DB.Read(), q) {
		if err != nil {
			return nil, err
		}
		o, err := octopus.ParseObject(row.Body)
		if err != nil {
			return nil, err
		}
		switch style := o.Object("Endpoint").Text("CommunicationStyle"); {
		case o.Bool("IsDisabled"):
			lines = append(lines, o.Text("Name")+" is disabled.")
		case style == "None":
			lines = append(lines, o.Text("Name")+" is a cloud region: there is nothing to contact.")
		default:
			return nil, problem.Unsupported("This Space server version contacts no deployment targets: it cannot check the health of '%s' (%s).", o.Text("Name"), style)
		}
	}
	return append(lines, fmt.Sprintf("Checked %d deployment targets.", len(lines))), nil
}

// ended is the document of a task that has run.
func (t *rules) ended(c *collection.Call, body octopus.Object) octopus.Object {
	now := c.Service.Now()
	o := part.Object(nil)
	for _, member := range []string{"Name", "Description", "Arguments"} {
		if value, ok := body.Get(member); ok {
			o.Set(member, value)
		}
	}
	for member, value := range map[string]any{"SpaceId": part.OrNull(c.Space), "State": "Success", "Completed": now.Format("Monday, 02 January 2006 15:04:05 -07:00"), "QueueTime": now, "StartTime": now,
		"LastUpdatedTime": now, "CompletedTime": now, "ServerNode": t.NodeID(), "Duration": "less than a second", "HasBeenPickedUpByProcessor": true, "IsCompleted": true, "FinishedSuccessfully": true, "CanRerun": true} {
		o.Set(member, value)
	}
	return o
}

// activity is the tree of a log: one element, with the lines (ActivityLogTreeNode in the Swagger document).
func activity(task, name string, at time.Time, lines []string) []any {
	entries := []any{}
	for _, line := range lines {
		entries = append(entries, map[string]any{"Category": "Info", "OccurredAt": at, "MessageText": line, "Detail": ""})
	}
	return []any{map[string]any{"Id": task + "_" + strings.ToUpper(fmt.Sprintf("%x", at.UnixNano())), "Name": name, "Status": "Success", "Started": at, "Ended": at, "ShowAtSummaryLevel": true,
		"ProgressPercentage": 100, "ProgressMessage": "", "LogElements": entries, "Children": []any{}}}
}

func (t *rules) log(c *collection.Call) (collection.Document, octopus.Object, error) {
	d, err := c.Find("ServerTasks", c.Param("id"))
	if err != nil {
		return d, octopus.Object{}, err
	}
	if !c.Principal.Set.Holds("TaskViewLog", d.Space) && !c.Principal.Set.Holds("TaskView", d.Space) {
		return d, octopus.Object{}, problem.Denied("TaskViewLog")
	}
	row, err := c.Service.Store.Get(c.Context, c.Service.Store.DB.Read(), "ActivityLogs", "activitylog-"+d.ID, "*")
	if errors.Is(err, document.ErrNone) {
		return d, octopus.Object{}, nil
	}
	if err != nil {
		return d, octopus.Object{}, err
	}
	log, err := octopus.ParseObject(row.Body)
	return d, log, err
}

func (t *rules) details(c *collection.Call) (any, error) {
	d, log, err := t.log(c)
	if err != nil {
		return nil, err
	}
	size, percent := 0, 0
	if raw, ok := log.Get("ActivityLogs"); ok {
		size = len(raw)
	}
	if d.Object().Bool("IsCompleted") {
		percent = 100
	}
	return map[string]any{"Id": "ServerTaskDetails-" + d.ID, "Task": d, "ActivityLogs": part.Some(log.Objects("ActivityLogs")), "PhysicalLogSize": size,
		"Progress": map[string]any{"ProgressPercentage": percent, "EstimatedTimeRemaining": ""}, "Links": map[string]string{"Self": "/api/tasks/" + d.ID + "/details"}}, nil
}

func (t *rules) raw(c *collection.Call) (any, error) {
	d, log, err := t.log(c)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	o := d.Object()
	fmt.Fprintf(&b, "Task ID:        %s\nTask status:    %s\nTask queued:    %s\nTask completed: %s\n", d.ID, o.Text("State"), o.Text("QueueTime"), o.Text("CompletedTime"))
	writeLog(&b, log.Objects("ActivityLogs"), 1)
	return collection.Content{Type: "text/plain; charset=utf-8", Body: strings.NewReader(b.String())}, nil
}

func writeLog(b *strings.Builder, nodes []octopus.Object, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, n := range nodes {
		fmt.Fprintf(b, "\n%s| %s: %s\n", indent, n.Text("Status"), n.Text("Name"))
		for _, line := range n.Objects("LogElements") {
			fmt.Fprintf(b, "%s%s  %-8s |   %s\n", line.Text("OccurredAt"), indent, line.Text("Category"), line.Text("MessageText"))
		}
		writeLog(b, n.Objects("Children"), depth+1)
	}
}
