// Package task is the work of the server and what comes of it: tasks with their logs, interruptions and artifacts.
package task

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/interruption"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/queue"
)

// rules are what the routes of tasks ask of the server.
type rules struct{ *host.Host }

// Kinds are tasks, interruptions and artifacts.
func Kinds(s *host.Host) []*collection.Kind {
	r := &rules{s}
	return []*collection.Kind{
		{
			// Silent: what a task does leaves events of its own, as DeploymentStarted.
			Name: "ServerTasks", Type: "Task", State: "State", Route: "tasks", RootLink: "Tasks", Scope: collection.InBoth, Shared: true, Silent: true, Order: document.NewestFirst,
			Project: "ProjectId", Environments: "Arguments.EnvironmentId", Tenants: "Arguments.TenantId",
			Template: `{"Name":"","Description":"","Arguments":{},"State":"Queued|Executing|Cancelling|Canceled|Failed|Success|TimedOut","Completed":"","QueueTime":null,"QueueTimeExpiry":null,"StartTime":null,
				"LastUpdatedTime":null,"CompletedTime":null,"ServerNode":null,"Duration":"","ErrorMessage":"","HasBeenPickedUpByProcessor":false,"IsCompleted":false,"FinishedSuccessfully":false,
				"HasPendingInterruptions":false,"HasWarningsOrErrors":false,"CanRerun":false,"ProjectId":null,"SpaceId":null}`,
			Without: "list create edit delete all", Permission: collection.Verbs{View: "TaskView", Create: "TaskCreate", Edit: "TaskEdit", Delete: "TaskEdit"},
			Filters: map[string]string{"states": "State", "name": "Name", "project": "ProjectId", "runbook": "Arguments.RunbookId", "environment": "Arguments.EnvironmentId", "tenant": "Arguments.TenantId",
				"hasPendingInterruptions": "HasPendingInterruptions", "hasWarningsOrErrors": "HasWarningsOrErrors"},
			Query: "skip,active,environment,tenant,runbook,project,name,node,running,states,hasPendingInterruptions,hasWarningsOrErrors,take,ids,partialName,spaces,includeSystem",
			Links: map[string]string{"Web": "/app#/tasks/{Id}", "Raw": "/api/tasks/{Id}/raw", "Rerun": "/api/tasks/rerun/{Id}", "Cancel": "/api/tasks/{Id}/cancel", "State": "/api/tasks/{Id}/state",
				"QueuedBehind": "/api/tasks/{Id}/queued-behind{?skip,take}", "Details": "/api/tasks/{Id}/details{?verbose,tail}", "Artifacts": "/api/artifacts?regarding={Id}", "Interruptions": "/api/interruptions?regarding={Id}"},
			Remove:  r.remove,
			Actions: r.actions(),
		},
		r.interruptions(),
		r.artifacts(),
	}
}

// Ended wraps what the end of a task means elsewhere with what it means here: nobody need answer it any more.
func Ended(next func(c *collection.Change, task octopus.Object) error) func(c *collection.Change, task octopus.Object) error {
	return func(c *collection.Change, task octopus.Object) error {
		if task.Text("SpaceId") != "" {
			if err := interruption.Withdraw(c, task.Text("Id")); err != nil {
				return err
			}
		}
		return next(c, task)
	}
}

// remove takes the log along, and refuses while the task has not ended.
func (r *rules) remove(c *collection.Change) error {
	if !c.Old.Bool("IsCompleted") && !c.Cascading() {
		return problem.Invalid("The task '" + c.Old.Text("Description") + "' has not ended: cancel it first.")
	}
	return r.Queue.Forget(c, c.ID)
}

func (r *rules) actions() []collection.Action {
	on := func(method, path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: method, Path: path, Scope: collection.InBoth, Handle: handle}
	}
	return []collection.Action{
		on("GET", "tasks", r.list), on("POST", "tasks", r.create), on("GET", "tasks/tasktypes", r.types),
		on("GET", "tasks/{id}/details", r.details), on("GET", "tasks/{id}/raw", r.raw), on("GET", "tasks/{id}/queued-behind", r.queuedBehind),
		on("POST", "tasks/{id}/cancel", r.cancel), on("POST", "tasks/{id}/state", r.setState), on("POST", "tasks/rerun/{id}", r.rerun),
	}
}

// target is what restricted grants look at.
func target(d collection.Document) permission.Target {
	t := part.Target(d)
	arguments := d.Object().Object("Arguments")
	for _, a := range []struct {
		name string
		to   *[]string
	}{{"EnvironmentId", &t.Environments}, {"TenantId", &t.Tenants}} {
		if id := arguments.Text(a.name); id != "" {
			*a.to = []string{id}
		}
	}
	return t
}

// mine finds the task of the route, to which the caller may do what the permission says.
func (r *rules) mine(c *collection.Call, name permission.Name) (collection.Document, error) {
	d, err := c.Find("ServerTasks", c.Param("id"))
	if err != nil {
		return d, err
	}
	if !c.Principal.Set.Changes(name, target(d)) {
		return d, problem.Denied(string(name))
	}
	return d, nil
}

// change changes the task of the route and answers it as it is then.
func (r *rules) change(c *collection.Call, name permission.Name, f func(change *collection.Change, d collection.Document) error) (any, error) {
	d, err := r.mine(c, name)
	if err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		return f(change.In(d.Space), d)
	})
	if err != nil {
		return nil, err
	}
	return c.Find("ServerTasks", d.ID)
}

func (r *rules) cancel(c *collection.Call) (any, error) {
	return r.change(c, "TaskCancel", func(change *collection.Change, d collection.Document) error {
		return r.Cancel(change, d.Object())
	})
}

// Cancel asks a task to end, and notes who did.
func (r *rules) Cancel(change *collection.Change, task octopus.Object) error {
	id, title := task.Text("Id"), task.Text("Description")
	if err := r.Queue.Cancel(change, id); err != nil {
		return err
	}
	n := *change
	n.Kind = change.Service.Kind("ServerTasks")
	n.Note("TaskCanceled", change.Space, cmp.Or(title, id)+" was canceled", title, related(task), collection.ChangeDetails{})
	return nil
}

// related are the ids that an event about a task is found by: itself, its project and what its arguments name.
func related(task octopus.Object) []string {
	ids := []string{task.Text("Id")}
	if project := task.Text("ProjectId"); project != "" {
		ids = append(ids, project)
	}
	for name := range task.Object("Arguments").All() {
		if id := task.Object("Arguments").Text(name); id != "" && strings.HasSuffix(name, "Id") {
			ids = append(ids, id)
		}
	}
	return ids
}

// setState forces the state of a task: {state, reason}.
func (r *rules) setState(c *collection.Call) (any, error) {
	var body struct{ State, Reason string }
	if err := c.Decode(&body); err != nil {
		return nil, err
	}
	return r.change(c, "TaskEdit", func(change *collection.Change, d collection.Document) error {
		o := d.Object()
		if err := r.Queue.Force(change, d.ID, body.State, body.Reason); err != nil {
			return err
		}
		n := *change
		n.Kind = change.Service.Kind("ServerTasks")
		message := "state of " + cmp.Or(o.Text("Description"), d.ID) + " was set from " + o.Text("State") + " to " + body.State
		if body.Reason != "" {
			message += ": " + body.Reason
		}
		n.Note("Modified", d.Space, message, o.Text("Description"), related(o), collection.ChangeDetails{})
		return nil
	})
}

// titles are the kinds of tasks that people know (BuiltInTasks.cs in OctopusClients).
var titles = map[string]string{"AdHocScript": "Run a script", "Deploy": "Deploy", "Health": "Check health", "Retention": "Apply retention policies", "RunbookRun": "Run a runbook", "TestEmail": "Send a test email"}

func (r *rules) types(*collection.Call) (any, error) {
	names := r.Queue.Names()
	slices.Sort(names)
	all := []map[string]any{}
	for _, name := range names {
		all = append(all, map[string]any{"Id": name, "Name": cmp.Or(titles[name], name), "Links": map[string]string{}})
	}
	return all, nil
}

// start tells whether people may start a task of the kind by itself. Deployments and runbook runs come of what is deployed
// or run; "Note that deployment tasks cannot be re-run" (Swagger document, tasks/rerun).
func (r *rules) start(name string) error {
	switch {
	case strings.EqualFold(name, "Deploy"):
		return problem.Invalid("A task of the kind 'Deploy' is not started by itself: deploy the release again.")
	case strings.EqualFold(name, "RunbookRun"):
		return problem.Invalid("A task of the kind 'RunbookRun' is not started by itself: run the runbook again.")
	case name == "":
		return problem.Invalid("Name says which kind of task is to be started: it is missing.")
	case !r.Queue.Handles(name):
		return problem.Unsupported("This Space server version does not run tasks of the kind '%s'.", name)
	}
	return nil
}

func (r *rules) create(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	if space := body.Text("SpaceId"); space != "" {
		if !c.Service.Directory().Has(space) {
			return nil, problem.Invalid("The space '" + space + "' does not exist.")
		}
		c.Space = space
	}
	d, err := r.enqueue(c, body)
	return collection.Made{Value: d}, err
}

func (r *rules) rerun(c *collection.Call) (any, error) {
	d, err := c.Find("ServerTasks", c.Param("id"))
	if err != nil {
		return nil, err
	}
	o := d.Object()
	if !o.Bool("IsCompleted") {
		return nil, problem.Invalid("The task has not ended: it can be run again when it has.")
	}
	c.Space = d.Space
	o.Delete("QueueTime")
	o.Delete("QueueTimeExpiry")
	return r.enqueue(c, o)
}

// enqueue makes a task of the body: Name, Description, Arguments, QueueTime, QueueTimeExpiry.
func (r *rules) enqueue(c *collection.Call, body octopus.Object) (any, error) {
	for _, name := range r.Queue.Names() { // clients may write a name in any case
		if strings.EqualFold(name, body.Text("Name")) {
			body.Set("Name", name)
		}
	}
	request := queue.Request{Name: body.Text("Name"), Description: body.Text("Description"), Space: c.Space, Project: body.Text("ProjectId"), By: c.Principal.ID,
		Arguments: octopus.As[map[string]any](body, "Arguments"), Due: octopus.As[time.Time](body, "QueueTime"), Expires: octopus.As[time.Time](body, "QueueTimeExpiry")}
	request.Description = cmp.Or(request.Description, titles[request.Name], request.Name)
	t := permission.Target{Space: c.Space, Project: request.Project}
	if id, _ := request.Arguments["EnvironmentId"].(string); id != "" {
		t.Environments = []string{id}
	}
	if c.Space != "" && !c.Principal.Set.Enters(c.Space) || !c.Principal.Set.Changes("TaskCreate", t) {
		return nil, problem.Denied("TaskCreate")
	}
	if err := r.start(request.Name); err != nil {
		return nil, err
	}
	var id string
	err := c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		made, err := r.Queue.Enqueue(change.In(c.Space), request)
		id = made.Text("Id")
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.Find("ServerTasks", id)
}
