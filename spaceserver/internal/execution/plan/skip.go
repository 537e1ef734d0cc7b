package plan

// Manual is the type of manual interventions: they run nothing.
const Manual = "Octopus.Manual"

// skips tells why an action is left out of this deployment, "" where it is not (docs: projects/steps/conditions).
func (in Input) skips(a Action) string {
	switch {
	case a.IsDisabled:
		return "it is disabled"
	case len(a.Environments) > 0 && !contains(a.Environments, in.Environment):
		return "it does not run in this environment"
	case contains(a.ExcludedEnvironments, in.Environment):
		return "it does not run in this environment"
	case in.Channel != "" && len(a.Channels) > 0 && !contains(a.Channels, in.Channel):
		return "it does not run for releases of this channel"
	case len(a.TenantTags) > 0 && !hasTags(in.TenantTags, a.TenantTags):
		return "it does not run for this tenant"
	case contains(in.SkipActions, a.ID) && !a.Required():
		return "it was skipped by whoever deployed"
	}
	return ""
}

// Required tells whether the action must not be skipped: it is marked so, or a team must approve
// (docs: projects/built-in-step-templates/manual-intervention-and-approvals).
func (a Action) Required() bool {
	return a.IsRequired || a.ActionType == Manual && a.Properties.Get("Octopus.Action.Manual.ResponsibleTeamIds") != ""
}
