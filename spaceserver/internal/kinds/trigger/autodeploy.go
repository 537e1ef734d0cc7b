package trigger

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/audit"
	"odcm/spaceserver/internal/execution/plan"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/problem"
)

// spot is where a project's releases go: an environment, for a tenant or for none.
type spot struct{ environment, tenant string }

func (s spot) compare(o spot) int {
	return slices.Compare([]string{s.environment, s.tenant}, []string{o.environment, o.tenant})
}

// autoDeploy deploys to the targets what is current where they are, as it was deployed there: the same release, without the steps
// that were skipped (docs: projects/project-triggers/deployment-target-triggers).
func (a actor) autoDeploy(filter octopus.Object, ids []string) error {
	machines, err := a.machines(filter, ids)
	if err != nil || len(machines) == 0 {
		return err
	}
	shown, err := ledger.List(a.Context, a.Q, ledger.Query{Kind: ledger.Deployments, Space: a.Space, Project: a.project.Text("Id"), Shown: true})
	if err != nil {
		return err
	}
	current := map[spot]deployment.Order{}
	for _, e := range slices.Backward(shown) { // the newest last
		if !e.Good {
			continue
		}
		o, _, err := a.Get(ledger.Deployments, e.ID)
		if err != nil {
			return err
		}
		guided := o.Bool("UseGuidedFailure")
		current[spot{e.Environment, e.Tenant}] = deployment.Order{Release: e.Source, Guided: &guided, SkipActions: o.Texts("SkipActions"), Form: octopus.As[map[string]string](o, "FormValues")}
	}
	for _, o := range a.project.Objects("AutoDeployReleaseOverrides") {
		current[spot{o.Text("EnvironmentId"), o.Text("TenantId")}] = deployment.Order{Release: o.Text("ReleaseId")}
	}
	var refused []error
	for _, at := range slices.SortedFunc(maps.Keys(current), spot.compare) {
		if !overlap(filter.Texts("EnvironmentIds"), []string{at.environment}) {
			continue
		}
		order := current[at]
		order.Environment, order.Tenant = at.environment, at.tenant
		if order.SpecificMachines, err = a.due(at, order.Release, machines); err != nil {
			return err
		}
		if len(order.SpecificMachines) == 0 {
			continue
		}
		if err := a.deploy(order); problem.IsRefusal(err) {
			refused = append(refused, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(refused...)
}

// machines are those targets that are there still and meant. One that was disabled since is left out, unless that is what the
// trigger waits for.
func (a actor) machines(filter octopus.Object, ids []string) ([]plan.Machine, error) {
	found, err := a.These("Machines", ids)
	if err != nil {
		return nil, err
	}
	disabled := slices.Contains(append(audit.In(filter.Texts("EventGroups")), filter.Texts("EventCategories")...), "MachineDisabled")
	var all []plan.Machine
	for _, id := range slices.Sorted(maps.Keys(found)) {
		o := found[id]
		if !concerns(filter, o) || o.Bool("IsDisabled") && !disabled {
			continue
		}
		var m plan.Machine
		if err := o.Decode(&m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// due are the ids of the targets that take part in what the release does there, and that it is to be deployed to.
func (a actor) due(at spot, release string, machines []plan.Machine) ([]string, error) {
	tenant, _, err := a.Get("Tenants", at.tenant)
	if err != nil {
		return nil, err
	}
	frozen, _, err := a.Get("Releases", release)
	if err != nil {
		return nil, err
	}
	process, _, err := a.Get("DeploymentProcesses", frozen.Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return nil, err
	}
	has := func(string) bool { return false }
	if !a.action.Bool("ShouldRedeployWhenMachineHasBeenDeployedTo") {
		if has, err = a.deployed(at, release); err != nil {
			return nil, err
		}
	}
	var ids []string
	for _, m := range machines {
		if slices.Contains(m.EnvironmentIDs, at.environment) && m.Serves(at.tenant, tenant.Texts("TenantTags")) && takesPart(process, m) && !has(m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

// takesPart tells whether a step of the process is for the target. Target tags that only a deployment knows may be.
func takesPart(process octopus.Object, m plan.Machine) bool {
	return slices.ContainsFunc(process.Objects("Steps"), func(step octopus.Object) bool {
		tags := step.Object("Properties").Text("Octopus.Action.TargetRoles")
		var all []string
		for tag := range strings.SplitSeq(tags, ",") {
			all = append(all, strings.TrimSpace(tag))
		}
		return strings.Contains(tags, "#{") || m.HasRole(all)
	})
}

// deployed tells of targets whether the release is what they got there last, or is about to be.
func (a actor) deployed(at spot, release string) (func(machine string) bool, error) {
	const looked = 50 // deployments behind the last: whoever got nothing in so many gets it again
	entries, err := ledger.List(a.Context, a.Q, ledger.Query{Kind: ledger.Deployments, Space: a.Space, Project: a.project.Text("Id"), Environment: at.environment, Tenant: at.tenant, Untenanted: at.tenant == "", Take: looked})
	if err != nil {
		return nil, err
	}
	last := map[string]string{} // the release by machine; "" is for those that a deployment to all will reach
	for _, e := range entries { // the newest first
		if e.Ended() && e.State != "Success" {
			continue
		}
		o, _, err := a.Get(ledger.Deployments, e.ID)
		if err != nil {
			return nil, err
		}
		reached := o.Texts("DeployedToMachineIds")
		if !e.Ended() && len(reached) == 0 { // it has not begun: it is for those that it names, or for all
			if reached = o.Texts("SpecificMachineIds"); len(reached) == 0 {
				reached = []string{""}
			}
		}
		for _, id := range reached {
			if _, known := last[id]; !known && !slices.Contains(o.Texts("ExcludedMachineIds"), id) {
				last[id] = e.Source
			}
		}
	}
	return func(machine string) bool { return last[machine] == release || last[""] == release }, nil
}
