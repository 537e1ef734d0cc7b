package runbook

import (
	"cmp"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// post takes a run as a resource.
func (r *rules) post(c *collection.Call) (any, error) {
	var sent deployment.Sent
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	o := Order{Order: sent.Order(), Runbook: sent.RunbookID, Snapshot: sent.RunbookSnapshotID}
	if o.Runbook == "" && o.Snapshot != "" {
		snapshot, err := c.Find("RunbookSnapshots", o.Snapshot)
		if err != nil {
			return nil, err
		}
		o.Runbook = snapshot.Owner
	}
	if o.Runbook == "" || o.Environment == "" {
		return nil, problem.Invalid("Please provide values for RunbookId and EnvironmentId.")
	}
	made, err := r.place(c, o)
	if err != nil {
		return nil, err
	}
	return collection.Made{Value: shown(c, made)[0]}, nil
}

// shown are the runs as they are answered; whoever may run need not see runs.
func shown(c *collection.Call, made []octopus.Object) []any {
	all := []any{}
	for _, o := range made {
		d, err := c.Service.Get(c.Context, c.Request, c.Service.Kind("RunbookRuns"), o.Text("Id"))
		if err != nil {
			all = append(all, o)
			continue
		}
		all = append(all, d)
	}
	return all
}

// place runs all orders or none.
func (r *rules) place(c *collection.Call, orders ...Order) ([]octopus.Object, error) {
	for _, o := range orders {
		if len(o.Form)+len(o.Named) > 0 { // one of them may be secret
			if err := c.Service.Ready(); err != nil {
				return nil, err
			}
		}
	}
	var made []octopus.Object
	err := c.Transact(func(change *collection.Change) error {
		made = made[:0]
		for _, o := range orders {
			run, err := Run(r.Host, change, o)
			if err != nil {
				return err
			}
			made = append(made, run)
		}
		return nil
	})
	return made, err
}

// run runs a runbook in several environments, for several tenants (RunbookRunParameters in OctopusClients); it answers an array.
func (r *rules) run(c *collection.Call) (any, error) {
	var sent struct {
		deployment.Sent
		EnvironmentIDs           []string `json:"EnvironmentIds"`
		TenantIDs                []string `json:"TenantIds"`
		TenantTagNames           []string
		RunbookSnapshotNameOrID  string `json:"RunbookSnapshotNameOrId"`
		UseDefaultSnapshot       *bool
		SkipActionIDs            []string `json:"SkipActionIds"`
		IncludedMachineIDsOrName []string `json:"IncludedMachineIds"`
	}
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	runbook, err := c.Find("Runbooks", c.Param("id"))
	if err != nil {
		return nil, err
	}
	base := Order{Order: sent.Order(), Runbook: runbook.ID}
	base.SkipActions = append(base.SkipActions, sent.SkipActionIDs...)
	base.SpecificMachines = append(base.SpecificMachines, sent.IncludedMachineIDsOrName...)
	if base.Snapshot, err = snapshotOf(c, runbook, cmp.Or(sent.RunbookSnapshotNameOrID, sent.RunbookSnapshotID)); err != nil {
		return nil, err
	}
	if sent.EnvironmentID != "" {
		sent.EnvironmentIDs = append(sent.EnvironmentIDs, sent.EnvironmentID)
	}
	if sent.TenantID != "" {
		sent.TenantIDs = append(sent.TenantIDs, sent.TenantID)
	}
	orders, err := everywhere(c, runbook, base, sent.EnvironmentIDs, sent.TenantIDs, sent.TenantTagNames)
	if err != nil {
		return nil, err
	}
	made, err := r.place(c, orders...)
	if err != nil {
		return nil, err
	}
	return collection.Made{Value: shown(c, made)}, nil
}

// everywhere makes an order for each environment, and for each tenant where any are named.
func everywhere(c *collection.Call, runbook collection.Document, base Order, environments, tenants, tags []string) ([]Order, error) {
	in, err := deployment.Named(c, "Environments", "environment", environments)
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, problem.Invalid("Please name one environment at least.")
	}
	forTenants := []string{""}
	if len(tenants)+len(tags) > 0 {
		if forTenants, err = deployment.Tenants(c, runbook.Project, in, tenants, tags); err != nil {
			return nil, err
		}
	}
	var orders []Order
	for _, environment := range in {
		for _, tenant := range forTenants {
			o := base
			o.Environment, o.Tenant = environment, tenant
			orders = append(orders, o)
		}
	}
	return orders, nil
}

func snapshotOf(c *collection.Call, runbook collection.Document, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	d, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("RunbookSnapshots"), runbook.ID, name)
	return d.ID, err
}

// execute is the executions API: names instead of ids, camel case in, Pascal case out (runbook-runs/create/v1).
func (r *rules) execute(c *collection.Call) (any, error) {
	var command deployment.Command
	if err := c.Decode(&command); err != nil {
		return nil, err
	}
	owner, err := c.Find("Projects", cmp.Or(command.ProjectName, command.ProjectIDOrName))
	if err != nil {
		return nil, err
	}
	runbook, err := c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("Runbooks"), owner.ID, command.RunbookName)
	if err != nil {
		return nil, err
	}
	base, err := r.template(c, command, runbook)
	if err != nil {
		return nil, err
	}
	names := command.EnvironmentNames
	if command.EnvironmentName != "" {
		names = append(names, command.EnvironmentName)
	}
	orders, err := everywhere(c, runbook, base, names, command.Tenants, command.TenantTags)
	if err != nil {
		return nil, err
	}
	made, err := r.place(c, orders...)
	if err != nil {
		return nil, err
	}
	tasks := []any{}
	for _, o := range made {
		tasks = append(tasks, map[string]any{"RunbookRunId": o.Text("Id"), "ServerTaskId": o.Text("TaskId")})
	}
	return collection.Made{Value: map[string]any{"RunbookRunServerTasks": tasks}}, nil
}

// template is what all orders of a command have in common.
func (r *rules) template(c *collection.Call, command deployment.Command, runbook collection.Document) (o Order, err error) {
	o.Order = deployment.Order{Guided: command.UseGuidedFailure, Named: command.Variables, ForceDownload: command.ForcePackageDownload, Comments: command.Comments}
	o.Runbook = runbook.ID
	if o.QueueTime, o.Expires, err = command.Times(); err != nil {
		return o, err
	}
	if o.SpecificMachines, err = deployment.Named(c, "Machines", "deployment target", command.SpecificMachineNames); err != nil {
		return o, err
	}
	if o.ExcludeMachines, err = deployment.Named(c, "Machines", "deployment target", command.ExcludedMachineNames); err != nil {
		return o, err
	}
	if o.Snapshot, err = snapshotOf(c, runbook, command.Snapshot); err != nil || len(command.SkipStepNames) == 0 {
		return o, err
	}
	read := part.Outside(c, runbook.Space)
	snapshot, _, err := read.Get("RunbookSnapshots", cmp.Or(o.Snapshot, runbook.Object().Text("PublishedRunbookSnapshotId")))
	if err != nil {
		return o, err
	}
	process, _, err := read.Get("RunbookProcesses", snapshot.Text("FrozenRunbookProcessId"))
	if err != nil {
		return o, err
	}
	o.SkipActions, err = deployment.Steps(process, command.SkipStepNames)
	return o, err
}
