package audit

import "slices"

// Category is a kind of event (EventCategoryResource). Names are those of the list in the documentation
// (administration/managing-infrastructure/subscriptions).
type Category struct{ ID, Name string }

// Group is a set of categories that people subscribe to together (EventGroupResource).
type Group struct {
	ID, Name   string
	Categories []string
}

// Categories are all that there may be events of, in the order of the documentation; the last ones are this server's own.
func Categories() []Category {
	return []Category{
		{"ApiKeyExpired", "API key expired"}, {"ApiKeyExpiry10DayWarning", "API key expiry 10-day warning"}, {"ApiKeyExpiry20DayWarning", "API key expiry 20-day warning"},
		{"TriggerBlocked", "Auto-deploy trigger blocked"}, {"TriggerSucceeded", "Auto-deploy trigger succeeded"},
		{"CertificateExpired", "Certificate expired"}, {"CertificateExpiry10DayWarning", "Certificate expiry 10-day warning"}, {"CertificateExpiry20DayWarning", "Certificate expiry 20-day warning"},
		{"CertificatePrivateKeyExported", "Certificate private-key exported"}, {"CertificateReplaced", "Certificate replaced"}, {"Comment", "Comment"},
		{"DeploymentFailed", "Deployment failed"}, {"DeploymentQueued", "Deployment queued"}, {"DeploymentResumed", "Deployment resumed"}, {"DeploymentStarted", "Deployment started"},
		{"DeploymentSucceeded", "Deployment succeeded"}, {"Created", "Document created"}, {"Deleted", "Document deleted"}, {"Modified", "Document modified"},
		{"ExportCompleted", "Export complete"}, {"GuidedFailureInterruptionRaised", "Guided failure interruption raised"}, {"ImportCompleted", "Import complete"},
		{"InterruptionSubmitted", "Interruption submitted"}, {"MachineCleanupFailed", "Machine cleanup failed"}, {"MachineAdded", "Machine created"}, {"MachineDeleted", "Machine deleted"},
		{"MachineDeploymentRelatedPropertyWasUpdated", "Machine deployment-related property modified"}, {"MachineDisabled", "Machine disabled"}, {"MachineEnabled", "Machine enabled"},
		{"MachineHealthy", "Machine found healthy"}, {"MachineUnavailable", "Machine found to be unavailable"}, {"MachineUnhealthy", "Machine found to be unhealthy"},
		{"MachineHasWarnings", "Machine found to have warnings"}, {"MachineHealthChanged", "Machine health changed"},
		{"ManualInterventionInterruptionRaised", "Manual intervention interruption raised"}, {"MaintenanceModeEntered", "Maintenance mode entered"}, {"MaintenanceModeExited", "Maintenance mode exited"},
		{"RunbookRunFailed", "Runbook run failed"}, {"RunbookRunQueued", "Runbook run queued"}, {"RunbookRunStarted", "Runbook run started"}, {"RunbookRunSucceeded", "Runbook run succeeded"},
		{"TaskCanceled", "Task canceled"}, {"RateLimitExceeded", "Rate limit exceeded"}, {"LoginFailed", "Sign-in through a provider refused"}, {"LoginSucceeded", "Sign-in by the entitlement snapshot"},
	}
}

// Groups are all groups.
func Groups() []Group {
	available := []string{"MachineEnabled", "MachineHealthy", "MachineHasWarnings"}
	return []Group{
		{"AutoDeploy", "Auto-deploy events", []string{"TriggerSucceeded", "TriggerBlocked"}},
		{"AutoDeployCritical", "Auto-deploy critical-events", []string{"TriggerBlocked"}},
		{"Deployment", "Deployment events", []string{"DeploymentQueued", "DeploymentStarted", "DeploymentResumed", "DeploymentSucceeded", "DeploymentFailed", "GuidedFailureInterruptionRaised", "ManualInterventionInterruptionRaised"}},
		{"DeploymentCritical", "Deployment critical-events", []string{"DeploymentFailed", "GuidedFailureInterruptionRaised", "ManualInterventionInterruptionRaised"}},
		{"RunbookRun", "Runbook run events", []string{"RunbookRunQueued", "RunbookRunStarted", "RunbookRunSucceeded", "RunbookRunFailed"}},
		{"Machine", "Machine events", []string{"MachineAdded", "MachineDeleted", "MachineDeploymentRelatedPropertyWasUpdated", "MachineDisabled", "MachineEnabled", "MachineHealthy", "MachineUnavailable",
			"MachineUnhealthy", "MachineHasWarnings", "MachineHealthChanged", "MachineCleanupFailed"}},
		{"MachineCritical", "Machine critical-events", []string{"MachineCleanupFailed", "MachineUnavailable", "MachineUnhealthy", "MachineHasWarnings"}},
		{"MachineAvailableForDeployment", "Machine becomes available for deployment", append(available, "MachineAdded", "MachineDeploymentRelatedPropertyWasUpdated")},
		{"MachineUnavailableForDeployment", "Machine is no longer available for deployment", []string{"MachineDeleted", "MachineDisabled", "MachineUnavailable", "MachineUnhealthy"}},
		{"CertificateExpiry", "Certificate expiry events", []string{"CertificateExpired", "CertificateExpiry10DayWarning", "CertificateExpiry20DayWarning"}},
		{"ApiKeyExpiry", "API key expiry events", []string{"ApiKeyExpired", "ApiKeyExpiry10DayWarning", "ApiKeyExpiry20DayWarning"}},
		{"Document", "Document events", []string{"Created", "Modified", "Deleted"}},
	}
}

// Agents are what may stand behind an event: how its cause came to the server.
func Agents() []Category {
	return []Category{{"Server", "Octopus Server"}, {"Portal", "Octopus Web Portal"}, {"RestApi", "REST API"}, {"Other", "Other"}}
}

// AgentOf tells by which agent an event came, from how its cause proved who it is.
func AgentOf(established string) string {
	switch established {
	case "Session cookie":
		return "Portal"
	case "API key", "Access token":
		return "RestApi"
	}
	return "Server"
}

// In lists the categories of the groups.
func In(groups []string) []string {
	var all []string
	for _, g := range Groups() {
		if slices.ContainsFunc(groups, func(id string) bool { return fold(id, g.ID) }) {
			all = append(all, g.Categories...)
		}
	}
	return all
}
