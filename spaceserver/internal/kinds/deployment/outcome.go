package deployment

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Started records that the task of a deployment or runbook run begins, in the transaction in which the queue says so. Tasks of
// other kinds are left alone.
func Started(c *collection.Change, task octopus.Object) error {
	e, ok, err := ledger.Of(c.Context, c.Tx, task.Text("Id"))
	if err != nil || !ok || e.State == "Executing" { // one that was parked goes on
		return err
	}
	if err := ledger.Began(c.Context, c.Tx, e.ID, "Executing"); err != nil {
		return err
	}
	return note(acting(c, e), noun(e)+"Started", task.Text("Description"), "started", e)
}

// Ended records how the task of a deployment or runbook run ended, in the transaction in which it does: the event, what is where
// now, and the deployments that follow by themselves because a phase of the lifecycle was reached.
func Ended(h *host.Host) func(c *collection.Change, task octopus.Object) error {
	return func(c *collection.Change, task octopus.Object) error {
		e, ok, err := ledger.Of(c.Context, c.Tx, task.Text("Id"))
		if err != nil || !ok {
			return err
		}
		state := task.Text("State")
		if err := ledger.End(c.Context, c.Tx, e, state, c.Service.Now()); err != nil {
			return err
		}
		c = acting(c, e)
		switch state {
		case "Success":
			err = note(c, noun(e)+"Succeeded", task.Text("Description"), "succeeded", e)
		case "Failed", "TimedOut":
			err = note(c, noun(e)+"Failed", task.Text("Description"), "failed", e)
		}
		if err != nil || state != "Success" || e.Kind != ledger.Deployments {
			return err
		}
		return promote(h, c, e.Source, e.Tenant)
	}
}

// acting is the change as the server's own doing, in the entry's space.
func acting(c *collection.Change, e ledger.Entry) *collection.Change {
	at := c.In(e.Space)
	if at.Principal.Set == nil {
		at.Principal = permission.System()
	}
	return at
}

func noun(e ledger.Entry) string {
	if e.Kind == ledger.RunbookRuns {
		return "RunbookRun"
	}
	return "Deployment"
}

// promote deploys a release by itself to the automatic environments of the phases that it has reached, where nobody tried yet,
// for one tenant or for none. What is not allowed there leaves an event: people can still do it by hand.
func promote(h *host.Host, c *collection.Change, release, tenant string) error {
	k, leads, err := leaderOf(part.In(c), release)
	if err != nil || !leads {
		return err
	}
	var t octopus.Object
	if tenant != "" {
		var ok bool
		if t, ok, err = k.Get("Tenants", tenant); err != nil || !ok {
			return err
		}
	}
	return k.deployDue(h, c, t)
}

func (k course) deployDue(h *host.Host, c *collection.Change, tenant octopus.Object) error {
	system := *c
	system.Principal = permission.System()
	progress, history := k.measure(tenant)
	for _, id := range progress.Due(history) {
		name := "the lifecycle " + k.lifecycle.Text("Name")
		_, err := Deploy(h, &system, Order{Release: k.release.Text("Id"), Environment: id, Tenant: tenant.Text("Id"), Trigger: name})
		if problem.IsRefusal(err) {
			Blocked(&system, name, "The "+k.title()+" was not deployed. "+problem.Reason(err), k.lifecycle.Text("Id"), k.release.Text("Id"), k.project.Text("Id"), id)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Begin deploys a new release by itself where the first phase of its lifecycle says so: for each tenant that is connected there and
// suits the channel, and for none, as the project allows (docs: releases/lifecycles).
func Begin(h *host.Host, c *collection.Change, release string) error {
	k, leads, err := leaderOf(part.In(c), release)
	if err != nil || !leads {
		return err
	}
	progress, history := k.measure(octopus.Object{})
	if len(progress.Due(history)) == 0 || k.project.Bool("IsDisabled") {
		return nil
	}
	mode := k.project.Text("TenantedDeploymentMode")
	if mode != "Tenanted" {
		if err := k.deployDue(h, c, octopus.Object{}); err != nil {
			return err
		}
	}
	if mode == "Untenanted" {
		return nil
	}
	tenants, err := k.List(document.Query{Kind: "Tenants"})
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if t.Object("ProjectEnvironments").Has(k.project.Text("Id")) && k.suits(t) {
			if err := k.deployDue(h, c, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Blocked adds the event that something was not deployed by itself, and why. The first of what it is about is what should have
// done it: a trigger, a lifecycle.
func Blocked(c *collection.Change, name, reason string, about ...string) {
	at := *c
	at.Kind = nil
	at.Note("TriggerBlocked", c.Space, name+" was blocked: "+reason, name, about, collection.ChangeDetails{})
}
