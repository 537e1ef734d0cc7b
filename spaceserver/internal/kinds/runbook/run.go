package runbook

import (
	"cmp"
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/lifecycle"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/prompt"
	"odcm/spaceserver/internal/queue"
)

// Order is a run that somebody or a trigger asks for. Release is not used: lifecycles do not apply to runbooks.
type Order struct {
	deployment.Order
	Runbook  string
	Snapshot string // the published one if ""
}

// Run checks an order by all rules, makes the run and queues its task, in the transaction of the change. It asks for the
// permission of the change's principal.
func Run(h *host.Host, c *collection.Change, o Order) (octopus.Object, error) {
	none, r := octopus.Object{}, part.In(c)
	runbook, ok, err := r.Get("Runbooks", o.Runbook)
	if err != nil || !ok {
		return none, part.OrInvalid(err, "There is no runbook '"+o.Runbook+"'.")
	}
	owner, ok, err := r.Get("Projects", runbook.Text("ProjectId"))
	if err != nil || !ok {
		return none, part.OrInvalid(err, "The runbook's project is gone.")
	}
	environment, ok, err := r.Get("Environments", o.Environment)
	if err != nil || !ok {
		return none, part.OrInvalid(err, "There is no environment '"+o.Environment+"'.")
	}
	var tenant octopus.Object
	if o.Tenant != "" {
		if tenant, ok, err = r.Get("Tenants", o.Tenant); err != nil || !ok {
			return none, part.OrInvalid(err, "There is no tenant '"+o.Tenant+"'.")
		}
	}
	if err := deployment.May(c, "RunbookRunCreate", owner, environment, tenant); err != nil {
		return none, err
	}
	if owner.Bool("IsDisabled") {
		return none, problem.Invalid("The project '" + owner.Text("Name") + "' is disabled: its runbooks do not run.")
	}
	if err := deployment.Tenancy("runbook '"+runbook.Text("Name")+"'", runbook.Text("MultiTenancyMode"), owner.Text("Id"), environment, tenant); err != nil {
		return none, err
	}
	if err := inScope(r, runbook, owner, environment); err != nil {
		return none, err
	}
	snapshot, err := chosen(c, runbook, owner, environment, tenant, o.Snapshot)
	if err != nil {
		return none, err
	}
	return enqueue(h, c, o, parts{owner, runbook, snapshot, environment, tenant})
}

type parts struct{ project, runbook, snapshot, environment, tenant octopus.Object }

// inScope asks whether the runbook may run in the environment (docs: runbooks/runbook-environments).
func inScope(r part.Reader, runbook, owner, environment octopus.Object) error {
	ids, err := Reach(r, runbook, owner)
	if err != nil || slices.Contains(ids, environment.Text("Id")) {
		return err
	}
	return problem.Invalid("The runbook '" + runbook.Text("Name") + "' does not run in '" + environment.Text("Name") + "': it is not one of its environments.")
}

// Reach lists the environments in which a runbook can run.
func Reach(r part.Reader, runbook, owner octopus.Object) ([]string, error) {
	environments, err := deployment.Environments(r)
	if err != nil {
		return nil, err
	}
	switch runbook.Text("EnvironmentScope") {
	case "Specified":
		return runbook.Texts("Environments"), nil
	case "FromProjectLifecycles":
		ids := []string{owner.Text("LifecycleId")}
		channels, err := r.List(document.Query{Kind: "Channels", Owner: owner.Text("Id")})
		if err != nil {
			return nil, err
		}
		for _, ch := range channels {
			ids = append(ids, ch.Text("LifecycleId"))
		}
		lifecycles, err := r.These("Lifecycles", ids)
		var reached []string
		for _, o := range lifecycles {
			reached = append(reached, lifecycle.Environments(deployment.Phases(o, environments))...)
		}
		return reached, err
	}
	return lifecycle.Environments(lifecycle.Complete(nil, environments)), nil
}

// chosen is the snapshot that is to run. Whoever may not edit the runbook runs the published one only (docs:
// runbooks/runbook-publishing).
func chosen(c *collection.Change, runbook, owner, environment, tenant octopus.Object, id string) (octopus.Object, error) {
	published := runbook.Text("PublishedRunbookSnapshotId")
	if id == "" && published == "" {
		return octopus.Object{}, problem.Invalid("The runbook '" + runbook.Text("Name") + "' has no published snapshot: publish one, or name the snapshot to run.")
	}
	snapshot, ok, err := c.Get("RunbookSnapshots", cmp.Or(id, published))
	if err != nil || !ok || snapshot.Text("RunbookId") != runbook.Text("Id") {
		return snapshot, part.OrInvalid(err, "The runbook '"+runbook.Text("Name")+"' has no snapshot '"+cmp.Or(id, published)+"'.")
	}
	if snapshot.Text("Id") != published {
		if err := deployment.May(c, "RunbookEdit", owner, environment, tenant); err != nil {
			return snapshot, err
		}
	}
	return snapshot, nil
}

func enqueue(h *host.Host, c *collection.Change, o Order, p parts) (octopus.Object, error) {
	none, r, at := octopus.Object{}, part.In(c), c.Service.Now()
	process, _, err := r.Get("RunbookProcesses", p.snapshot.Text("FrozenRunbookProcessId"))
	if err != nil {
		return none, err
	}
	if err := deployment.CheckChoice(r, process, o.SkipActions, slices.Concat(o.SpecificMachines, o.ExcludeMachines)); err != nil {
		return none, err
	}
	sets, err := prompt.Sets(r.Get, p.snapshot, "FrozenProjectVariableSetId")
	if err != nil {
		return none, err
	}
	place := prompt.Place{Environment: p.environment.Text("Id"), Tenant: p.tenant.Text("Id"), TenantTags: p.tenant.Texts("TenantTags"), Process: p.runbook.Text("Id")}
	answers, err := prompt.Take(prompt.Of(sets, place), o.Form, o.Named)
	if err != nil {
		return none, err
	}
	if err := deployment.CheckTimes(o.QueueTime, o.Expires, at); err != nil {
		return none, err
	}
	title := "Run runbook " + p.runbook.Text("Name") + " of " + p.project.Text("Name") + " snapshot " + p.snapshot.Text("Name") + " in " + p.environment.Text("Name")
	if p.tenant.Len() > 0 {
		title += " for " + p.tenant.Text("Name")
	}
	body := part.Object(map[string]any{"Name": "Run in " + p.environment.Text("Name"), "ProjectId": p.project.Text("Id"), "RunbookId": p.runbook.Text("Id"), "RunbookSnapshotId": p.snapshot.Text("Id"),
		"FrozenRunbookProcessId": p.snapshot.Text("FrozenRunbookProcessId"), "EnvironmentId": p.environment.Text("Id"), "TenantId": part.OrNull(p.tenant.Text("Id")),
		"ManifestVariableSetId": p.snapshot.Text("FrozenProjectVariableSetId"), "Comments": part.OrNull(o.Comments), "Created": at, "QueueTime": cmp.Or(o.QueueTime, at), "QueueTimeExpiry": part.TimeOrNull(o.Expires),
		"UseGuidedFailure": deployment.Guided(o.Guided, p.runbook, p.environment), "SkipActions": part.Some(o.SkipActions), "SpecificMachineIds": part.Some(o.SpecificMachines), "ExcludedMachineIds": part.Some(o.ExcludeMachines),
		"ForcePackageDownload": o.ForceDownload || p.runbook.Bool("ForcePackageDownload"), "DeployedBy": c.Principal.Username, "DeployedById": c.Principal.ID})
	answers.Keep(&body)
	e := ledger.Entry{Kind: ledger.RunbookRuns, Space: c.Space, Project: p.project.Text("Id"), Line: p.runbook.Text("Id"), Source: p.snapshot.Text("Id"),
		Environment: p.environment.Text("Id"), Tenant: p.tenant.Text("Id"), Created: at}
	return deployment.Queue(h, c, e, body, queue.Request{Name: "RunbookRun", Description: title, Due: o.QueueTime, Expires: o.Expires,
		Arguments: map[string]any{"RunbookId": e.Line, "EnvironmentId": e.Environment, "TenantId": part.OrNull(e.Tenant)},
		Serial:    "run/" + e.Line + "/" + e.Environment + "/" + e.Tenant}, o.Trigger, "")
}
