package plan

import (
	"slices"
	"strings"

	"odcm/octopus"
)

// Machine is a deployment target or a worker: DeploymentTargetResource and WorkerResource in the Swagger document.
type Machine struct {
	ID                              string `json:"Id"`
	Name                            string
	EnvironmentIDs                  []string `json:"EnvironmentIds"`
	Roles                           []string
	TenantedDeploymentParticipation string
	TenantIDs                       []string `json:"TenantIds"`
	TenantTags                      []string
	WorkerPoolIDs                   []string `json:"WorkerPoolIds"`
	IsDisabled                      bool
	HealthStatus                    string
	Endpoint                        octopus.Object
}

// Style is how the machine is reached: None for cloud regions, Ssh, TentaclePassive, ...
func (m Machine) Style() string { return m.Endpoint.Text("CommunicationStyle") }

// HasRole tells whether the machine has one of the target tags.
func (m Machine) HasRole(roles []string) bool {
	return slices.ContainsFunc(m.Roles, func(role string) bool { return contains(roles, role) })
}

// Policy is what a project says of targets that are not well: ProjectConnectivityPolicy in the Swagger document.
type Policy struct {
	SkipMachineBehavior         string // None, SkipUnavailableMachines
	TargetRoles                 []string
	AllowDeploymentsToNoTargets bool
	ExcludeUnhealthyTargets     bool
}

// leavesOut tells why the policy does without a machine, "" where it does not (docs: projects/setting-up-projects). A target that could not be reached lately is otherwise tried: if it is still away, the
// deployment fails and says so.
func (p Policy) leavesOut(m Machine) string {
	switch {
	case m.HealthStatus == "Unavailable" && p.SkipMachineBehavior == "SkipUnavailableMachines" && (len(p.TargetRoles) == 0 || m.HasRole(p.TargetRoles)):
		return "it is unavailable"
	case m.HealthStatus == "Unhealthy" && p.ExcludeUnhealthyTargets:
		return "it is unhealthy"
	}
	return ""
}

// Exclusion is a target that would have been deployed to, and why it is not.
type Exclusion struct {
	Machine Machine
	Reason  string
}

// candidates are the targets of the environment and the tenant that may be deployed to, in the order of their names.
func (in Input) candidates() (chosen []Machine, excluded []Exclusion) {
	for _, m := range in.Machines {
		if !contains(m.EnvironmentIDs, in.Environment) || !m.Serves(in.Tenant, in.TenantTags) {
			continue
		}
		reason := ""
		switch {
		case m.IsDisabled:
			reason = "it is disabled"
		case contains(in.ExcludedMachines, m.ID):
			reason = "it was excluded from this deployment"
		case len(in.SpecificMachines) > 0 && !contains(in.SpecificMachines, m.ID):
			reason = "this deployment is to specific targets only"
		default:
			reason = in.Policy.leavesOut(m)
		}
		if reason == "" {
			chosen = append(chosen, m)
		} else {
			excluded = append(excluded, Exclusion{m, reason})
		}
	}
	slices.SortStableFunc(chosen, func(a, b Machine) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return chosen, excluded
}

// Serves tells whether a machine takes part in deployments for the tenant with the tags, or in those for none where the tenant
// is "" (docs: tenants/tenant-infrastructure).
func (m Machine) Serves(tenant string, tags []string) bool {
	if tenant == "" {
		return m.TenantedDeploymentParticipation != "Tenanted"
	}
	if m.TenantedDeploymentParticipation == "Untenanted" || m.TenantedDeploymentParticipation == "" {
		return false
	}
	return contains(m.TenantIDs, tenant) || len(m.TenantTags) > 0 && hasTags(tags, m.TenantTags)
}

// hasTags tells whether someone with the tags is meant by the wanted ones: one of each tag set that is named
// (docs: tenants/tenant-tags).
func hasTags(tags, wanted []string) bool {
	met := map[string]bool{}
	for _, tag := range wanted {
		set, _, _ := strings.Cut(tag, "/")
		set = strings.ToLower(set)
		met[set] = met[set] || contains(tags, tag)
	}
	for _, ok := range met {
		if !ok {
			return false
		}
	}
	return true
}

// contains looks for a text in any case: ids of documents and tags are written in several by clients.
func contains(list []string, text string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, text) })
}
