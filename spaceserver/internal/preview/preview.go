// Package preview shows ahead of a deployment or runbook run which steps it would run, and where (DeploymentPreviewResource and
// DeploymentTemplateStep in the Swagger document).
package preview

import (
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// Place is what would be deployed where.
type Place struct {
	Environment, Tenant octopus.Object // Tenant is empty for none
	Channel             string
	Disabled            bool // show disabled steps too
}

// Steps lists the actions of a process that concern the place, with the targets that they would run on. A step with one action
// has a number of its own, actions of a rolling step are numbered below it: 2.1.
func Steps(r part.Reader, process octopus.Object, at Place) ([]any, error) {
	shown := []any{}
	targets, err := targetsOf(r, at)
	if err != nil {
		return nil, err
	}
	number := 0
	for _, step := range process.Objects("Steps") {
		number++
		actions := step.Objects("Actions")
		roles := Roles(step)
		for i, action := range actions {
			if !at.concerns(action) || action.Bool("IsDisabled") && !at.Disabled {
				continue
			}
			name := strconv.Itoa(number)
			if len(actions) > 1 {
				name += "." + strconv.Itoa(i+1)
			}
			shown = append(shown, stepOf(action, name, roles, targets))
		}
	}
	return shown, nil
}

func stepOf(action octopus.Object, number string, roles []string, targets []octopus.Object) map[string]any {
	machines, names, away := []any{}, []string{}, []part.Reference{}
	for _, t := range targets {
		if !slices.ContainsFunc(t.Texts("Roles"), func(role string) bool {
			return slices.ContainsFunc(roles, func(r string) bool { return strings.EqualFold(r, role) })
		}) {
			continue
		}
		if t.Text("HealthStatus") == "Unavailable" {
			away = append(away, part.Refer(t.Text("Id"), t.Text("Name")))
			continue
		}
		names = append(names, t.Text("Name"))
		machines = append(machines, map[string]any{"Id": t.Text("Id"), "Name": t.Text("Name"), "HasLatestCalamari": true, "HealthStatus": t.Text("HealthStatus")})
	}
	return map[string]any{"ActionId": action.Text("Id"), "ActionName": action.Text("Name"), "ActionNumber": number, "Roles": part.Some(roles), "MachineNames": names, "Machines": machines,
		"CanBeSkipped": !action.Bool("IsRequired"), "IsDisabled": action.Bool("IsDisabled"), "HasNoApplicableMachines": len(roles) > 0 && len(names)+len(away) == 0, "UnavailableMachines": away,
		"ExcludedMachines": []part.Reference{}}
}

// Roles are those of the targets that a step runs on; none for a step that runs once, on the server.
func Roles(step octopus.Object) []string {
	var roles []string
	for role := range strings.SplitSeq(step.Object("Properties").Text("Octopus.Action.TargetRoles"), ",") {
		if role = strings.TrimSpace(role); role != "" {
			roles = append(roles, role)
		}
	}
	return roles
}

func (at Place) concerns(action octopus.Object) bool {
	environment := at.Environment.Text("Id")
	in := func(member, id string) bool {
		ids := action.Texts(member)
		return len(ids) == 0 || slices.Contains(ids, id)
	}
	if slices.Contains(action.Texts("ExcludedEnvironments"), environment) || !in("Environments", environment) || at.Channel != "" && !in("Channels", at.Channel) {
		return false
	}
	tags := action.Texts("TenantTags")
	return len(tags) == 0 || at.Tenant.Len() > 0 && part.Tagged(at.Tenant.Texts("TenantTags"), tags)
}

// targetsOf lists the enabled targets of the environment that take part for the tenant, or for none.
func targetsOf(r part.Reader, at Place) ([]octopus.Object, error) {
	all, err := r.List(document.Query{Kind: "Machines", Contains: `"` + at.Environment.Text("Id") + `"`})
	return slices.DeleteFunc(all, func(m octopus.Object) bool { return !TakesPart(m, at.Environment.Text("Id"), at.Tenant) }), err
}

// TakesPart tells whether a target is enabled, in the environment, and open to the tenant, or to untenanted deployments where
// the tenant is empty (docs: infrastructure/deployment-targets, tenanted deployments).
func TakesPart(machine octopus.Object, environment string, tenant octopus.Object) bool {
	if machine.Bool("IsDisabled") || !slices.Contains(machine.Texts("EnvironmentIds"), environment) {
		return false
	}
	mode := machine.Text("TenantedDeploymentParticipation")
	if tenant.Len() == 0 {
		return mode != "Tenanted"
	}
	if mode == "Untenanted" || mode == "" {
		return false
	}
	tags := machine.Texts("TenantTags")
	return slices.Contains(machine.Texts("TenantIds"), tenant.Text("Id")) || len(tags) > 0 && part.Tagged(tenant.Texts("TenantTags"), tags)
}
