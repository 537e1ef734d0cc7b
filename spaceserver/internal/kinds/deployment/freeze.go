package deployment

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/schedule"
)

// Freezes are times in which nothing may be deployed, for the whole server (deploymentfreezes in go-octopusdeploy).
func Freezes() []*collection.Kind {
	return []*collection.Kind{{
		Name: "DeploymentFreezes", Type: "DeploymentFreeze", Route: "deploymentfreezes", Scope: collection.InSystem, RootLink: "-",
		Template:   `{"Name":"","Start":null,"End":null,"ProjectEnvironmentScope":{},"TenantProjectEnvironmentScope":[{"TenantId":"","ProjectId":"","EnvironmentId":""}],"RecurringSchedule":null,"OwnerId":null}`,
		Required:   []string{"Name", "Start", "End"},
		Without:    "list all",
		Permission: collection.Verbs{View: "", Create: "DeploymentFreezeAdminister", Edit: "DeploymentFreezeAdminister", Delete: "DeploymentFreezeAdminister"},
		References: []collection.Reference{{Path: "ProjectEnvironmentScope{key}", Kind: "Projects", Dropped: true}, {Path: "ProjectEnvironmentScope{}[]", Kind: "Environments", Dropped: true},
			{Path: "TenantProjectEnvironmentScope[].TenantId", Kind: "Tenants", Loose: true}},
		Permit: permitFreeze, Prepare: prepareFreeze,
		Actions: []collection.Action{{Method: "GET", Path: "deploymentfreezes", Scope: collection.InSystem, Handle: listFreezes}},
	}}
}

// permitFreeze: "permissions will need to be scoped to all requested projects and environments when creating, editing or overriding"
// (docs: deployments/deployment-freezes). The permission to deploy is taken for them: it is what a freeze takes away.
func permitFreeze(c *collection.Change) error {
	for _, o := range []octopus.Object{c.Old, c.New} {
		scope := o.Object("ProjectEnvironmentScope")
		var all []permission.Target
		for id := range scope.All() {
			all = append(all, permission.Target{Project: id, Environments: scope.Texts(id)})
		}
		for _, t := range o.Objects("TenantProjectEnvironmentScope") {
			all = append(all, permission.Target{Project: t.Text("ProjectId"), Environments: []string{t.Text("EnvironmentId")}, Tenants: []string{t.Text("TenantId")}})
		}
		for _, t := range all {
			row, err := c.Service.Store.Get(c.Context, c.Tx, "Projects", t.Project, "*")
			if errors.Is(err, document.ErrNone) {
				continue // that there is no such project is said elsewhere
			}
			if err != nil {
				return err
			}
			if t.Space = row.Space; !c.Principal.Set.Changes("DeploymentCreate", t) {
				return problem.Denied("DeploymentCreate")
			}
		}
	}
	return nil
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

// freezeState tells whether a freeze is to come, goes on or is over. One that recurs is over when its schedule ends.
func freezeState(o octopus.Object, now time.Time) string {
	start, end := octopus.As[time.Time](o, "Start"), octopus.As[time.Time](o, "End")
	if o.Object("RecurringSchedule").Len() == 0 {
		switch {
		case now.Before(start):
			return "Scheduled"
		case now.Before(end):
			return "Active"
		}
		return "Completed"
	}
	r := recurrence(o.Object("RecurringSchedule"))
	switch {
	case r.Within(start, end, now):
		return "Active"
	case r.Over(start, end, now):
		return "Completed"
	}
	return "Scheduled"
}

// recurrence reads a RecurringSchedule (deploymentfreezes in go-octopusdeploy).
func recurrence(o octopus.Object) schedule.Recurrence {
	return schedule.Recurrence{Type: o.Text("Type"), Unit: int(o.Int("Unit")), Days: o.Texts("DaysOfWeek"), Monthly: o.Text("MonthlyScheduleType"), Date: o.Text("DateOfMonth"),
		Ordinal: o.Text("DayNumberOfMonth"), Day: o.Text("DayOfWeek"), Offset: time.Duration(o.Int("UserUtcOffsetInMinutes")) * time.Minute,
		Until: octopus.As[time.Time](o, "EndOnDate"), Times: int(o.Int("EndAfterOccurrences"))}
}

// frozen refuses an order that a deployment freeze is in the way of. A freeze that the order names, with a reason, is
// overridden; the answer says which and why, for the audit trail.
func frozen(r part.Reader, project, environment, tenant octopus.Object, now time.Time, o Order) (overridden string, err error) {
	at := cmp.Or(o.QueueTime, now)
	system := r
	system.Space = ""
	freezes, err := system.List(document.Query{Kind: "DeploymentFreezes"})
	if err != nil {
		return "", err
	}
	var names []string
	for _, f := range freezes {
		if !covers(f, project.Text("Id"), environment.Text("Id"), tenant.Text("Id")) || freezeState(f, at) != "Active" {
			continue
		}
		name := f.Text("Name")
		if !slices.ContainsFunc(o.FreezeNames, func(n string) bool { return strings.EqualFold(n, name) }) {
			return "", problem.Invalid("The deployment freeze '" + name + "' is in force for '" + project.Text("Name") + "' in '" + environment.Text("Name") + "': nothing is deployed until it ends. To override it, name it with a reason.")
		}
		names = append(names, name)
	}
	if len(names) > 0 && o.FreezeReason == "" {
		return "", problem.Invalid("Please provide a reason for overriding the deployment freeze '" + names[0] + "'.")
	}
	if len(names) == 0 {
		return "", nil
	}
	return strings.Join(names, ", ") + " (" + o.FreezeReason + ")", nil
}

// Thawed asks when a deployment starts, perhaps long after it was asked for, that no deployment freeze is in its way by now. Those
// that were overridden then still are. The error is a sentence that people read in the task.
func Thawed(ctx context.Context, service *collection.Service, space string, o octopus.Object) error {
	r := part.Reader{Context: ctx, Service: service, Q: service.Store.DB.Read(), Space: space}
	var about [3]octopus.Object
	for i, at := range []struct{ kind, id string }{{"Projects", o.Text("ProjectId")}, {"Environments", o.Text("EnvironmentId")}, {"Tenants", o.Text("TenantId")}} {
		var err error
		if about[i], _, err = r.Get(at.kind, at.id); err != nil {
			return err
		}
	}
	_, err := frozen(r, about[0], about[1], about[2], service.Now(), Order{FreezeNames: o.Texts("DeploymentFreezeNames"), FreezeReason: o.Text("DeploymentFreezeOverrideReason")})
	if problem.IsRefusal(err) {
		return errors.New(problem.Reason(err))
	}
	return err
}

// covers tells whether a freeze is about the project in the environment: for everyone, or for the tenant.
func covers(f octopus.Object, project, environment, tenant string) bool {
	if slices.Contains(f.Object("ProjectEnvironmentScope").Texts(project), environment) {
		return true
	}
	return tenant != "" && slices.ContainsFunc(f.Objects("TenantProjectEnvironmentScope"), func(t octopus.Object) bool {
		return t.Text("TenantId") == tenant && t.Text("ProjectId") == project && t.Text("EnvironmentId") == environment
	})
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
