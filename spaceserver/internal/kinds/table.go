// Package kinds is the table of the resources that the Space server keeps: for each kind what is special about it, after
// the Swagger document of a real server and OC/Model/<Name>Resource.cs in OctopusClients. What all kinds have in common
// is in package collection, whose documentation says how to add one.
package kinds

import (
	"slices"

	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/dashboard"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/host"
	"odcm/spaceserver/internal/kinds/infrastructure"
	"odcm/spaceserver/internal/kinds/library"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/kinds/release"
	"odcm/spaceserver/internal/kinds/runbook"
	"odcm/spaceserver/internal/kinds/server"
	"odcm/spaceserver/internal/kinds/steptemplate"
	"odcm/spaceserver/internal/kinds/task"
	"odcm/spaceserver/internal/kinds/tenant"
	"odcm/spaceserver/internal/kinds/trigger"
	"odcm/spaceserver/internal/transfer"
)

// Table lists every kind, in the order of their links in the root document.
func Table(h *host.Host) []*collection.Kind {
	return slices.Concat(server.Spaces(), people.Kinds(h), project.Kinds(), project.Runbooks(), runbook.Kinds(h), trigger.Kinds(h), infrastructure.Kinds(h), []*collection.Kind{release.RetentionPolicies()}, library.Kinds(), steptemplate.Kinds(), tenant.Kinds(), release.Kinds(h), deployment.Kinds(h), task.Kinds(h), server.Audit(), server.RateLimiting(),
		library.Packages(h), library.Builds(), infrastructure.Certificates(), tenant.Variables(), steptemplate.Community(), deployment.Freezes(), infrastructure.Ephemeral(), release.Defects(), transfer.Kinds())
}

// Actions are the routes that belong to no kind.
func Actions(h *host.Host) []collection.Action {
	return slices.Concat(server.Actions(h), dashboard.Actions(), steptemplate.Search(), project.RunbookTemplates(), refusals())
}
