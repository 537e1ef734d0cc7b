package infrastructure

import (
	"slices"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/host"
)

// settleTarget has a deployment target checked, and tells what became of it beside the plain event of its document: triggers and
// subscriptions listen (docs: projects/project-triggers/deployment-target-triggers).
func settleTarget(h *host.Host) func(c *collection.Change) error {
	plan := planHealth(h)
	return func(c *collection.Change) error {
		name := c.New.Text("Name")
		note := func(category, what string) {
			c.Note(category, c.Space, "deployment target "+name+" was "+what, name, slices.Concat([]string{c.ID}, c.New.Texts("EnvironmentIds"), c.New.Texts("TenantIds")), collection.ChangeDetails{})
		}
		was, is := c.Old.Bool("IsDisabled"), c.New.Bool("IsDisabled")
		switch {
		case c.Creating:
			note("MachineAdded", "created")
		case was && !is:
			note("MachineEnabled", "enabled")
		case is && !was:
			note("MachineDisabled", "disabled")
		}
		if !c.Creating && concernsDeployments(c) {
			note("MachineDeploymentRelatedPropertyWasUpdated", "changed in a way that matters for deployments")
		}
		return plan(c)
	}
}

// concernsDeployments tells whether a change decides what is deployed to the target.
func concernsDeployments(c *collection.Change) bool {
	for _, member := range []string{"EnvironmentIds", "Roles", "TenantedDeploymentParticipation", "TenantIds", "TenantTags", "Endpoint"} {
		before, _ := c.Old.Get(member)
		now, _ := c.New.Get(member)
		if string(before) != string(now) {
			return true
		}
	}
	return false
}
