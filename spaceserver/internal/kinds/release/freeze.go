package release

import (
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Freezes are times in which nothing may be deployed, for the whole server (deploymentfreezes in go-octopusdeploy). Nothing
// is deployed by this version: they are kept for the one that does, and for whoever copies them.
func Freezes() []*collection.Kind {
	return []*collection.Kind{{
		Name: "DeploymentFreezes", Type: "DeploymentFreeze", Route: "deploymentfreezes", Scope: collection.InSystem, RootLink: "-",
		Template:   `{"Name":"","Start":null,"End":null,"ProjectEnvironmentScope":{},"TenantProjectEnvironmentScope":[{"TenantId":"","ProjectId":"","EnvironmentId":""}],"RecurringSchedule":null,"OwnerId":null}`,
		Required:   []string{"Name", "Start", "End"},
		Without:    "list all",
		Permission: collection.Verbs{View: "", Create: "DeploymentFreezeAdminister", Edit: "DeploymentFreezeAdminister", Delete: "DeploymentFreezeAdminister"},
		References: []collection.Reference{{Path: "ProjectEnvironmentScope{key}", Kind: "Projects", Dropped: true}, {Path: "ProjectEnvironmentScope{}[]", Kind: "Environments", Dropped: true},
			{Path: "TenantProjectEnvironmentScope[].TenantId", Kind: "Tenants", Loose: true}},
		Prepare: prepareFreeze,
		Actions: []collection.Action{{Method: "GET", Path: "deploymentfreezes", Scope: collection.InSystem, Handle: listFreezes}},
	}}
}

func prepareFreeze(c *collection.Change) error {
	start, end := octopus.As[time.Time](c.New, "Start"), octopus.As[time.Time](c.New, "End")
	if start.IsZero() || end.IsZero() {
		return problem.Invalid("Start and End must be times, as 2026-01-31T12:00:00Z.")
	}
	if !end.After(start) {
		return problem.Invalid("A deployment freeze must end after it starts.")
	}
	schedule := c.New.Object("RecurringSchedule")
	if schedule.Len() == 0 {
		return nil
	}
	for member, choices := range map[string][]string{"Type": {"Daily", "Weekly", "Monthly", "Annually"}, "EndType": {"Never", "OnDate", "AfterOccurrences"}} {
		if !slices.Contains(choices, schedule.Text(member)) {
			return problem.Invalid("RecurringSchedule." + member + " must be one of " + strings.Join(choices, ", ") + ".")
		}
	}
	return nil
}

// listFreezes answers in a shape of its own: {DeploymentFreezes, Count}.
func listFreezes(c *collection.Call) (any, error) {
	projects, environments, tenants := collection.Split(c.Query, "projectIds"), collection.Split(c.Query, "environmentIds"), collection.Split(c.Query, "tenantIds")
	status, complete := c.Query.Get("status"), strings.EqualFold(c.Query.Get("includeComplete"), "true")
	now := c.Service.Now()
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("DeploymentFreezes"), collection.Listing{Filter: func(o octopus.Object) bool {
		state := freezeState(o, now)
		return (complete || state != "Completed" || status != "") && (status == "" || strings.EqualFold(status, state)) && concerns(o, projects, environments, tenants)
	}})
	if err != nil {
		return nil, err
	}
	return map[string]any{"DeploymentFreezes": page.Items, "Count": page.Total}, nil
}

// freezeState tells of one that recurs only whether it has begun: when it ends for good, its schedule says.
func freezeState(o octopus.Object, now time.Time) string {
	switch {
	case now.Before(octopus.As[time.Time](o, "Start")):
		return "Scheduled"
	case o.Has("RecurringSchedule") || now.Before(octopus.As[time.Time](o, "End")):
		return "Active"
	}
	return "Completed"
}

// concerns tells whether a freeze is about one of the projects, one of the environments and one of the tenants; no ids ask
// nothing.
func concerns(o octopus.Object, projects, environments, tenants []string) bool {
	var ofProjects, ofEnvironments, ofTenants []string
	scope := o.Object("ProjectEnvironmentScope")
	for project := range scope.All() {
		ofProjects = append(ofProjects, project)
		ofEnvironments = append(ofEnvironments, scope.Texts(project)...)
	}
	for _, t := range o.Objects("TenantProjectEnvironmentScope") {
		ofProjects, ofEnvironments, ofTenants = append(ofProjects, t.Text("ProjectId")), append(ofEnvironments, t.Text("EnvironmentId")), append(ofTenants, t.Text("TenantId"))
	}
	any := func(wanted, have []string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(id string) bool { return slices.Contains(have, id) })
	}
	return any(projects, ofProjects) && any(environments, ofEnvironments) && any(tenants, ofTenants)
}
