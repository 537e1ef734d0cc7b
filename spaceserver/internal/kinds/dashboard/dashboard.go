// Package dashboard shows the state of deployments and runbook runs: what is where, how far releases came, and how much was
// deployed. What it costs depends on how many projects and environments there are, not on how long they have been used.
package dashboard

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/ledger"
)

// Actions are the routes.
func Actions() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Permission: "ProjectView", Handle: handle}
	}
	return []collection.Action{
		on("dashboard", board),
		on("dashboard/dynamic", board),
		on("dashboardconfiguration", getDashboardConfiguration),
		{Method: "PUT", Path: "dashboardconfiguration", Permission: "ProjectView", Writes: true, Handle: putDashboardConfiguration},
		on("progression/{id}", progression),
		on("projects/{id}/progression", progression),
		on("progression/runbooks/taskRuns", taskRuns),
		on("progression/runbooks/{id}", runbookProgression),
		on("reporting/deployments-counted-by-week", countedByWeek),
		on("reporting/deployments/xml", history),
	}
}

func references(list []collection.Document) []part.Reference {
	all := []part.Reference{}
	for _, d := range list {
		all = append(all, part.Refer(d.ID, d.Object().Text("Name")))
	}
	return all
}

func board(c *collection.Call) (any, error) {
	configuration, err := dashboardConfiguration(c)
	if err != nil {
		return nil, err
	}
	ch := narrowed(c, configuration)
	base := collection.Base(c.Space)
	lists := map[string][]collection.Document{}
	for _, kind := range []string{"Projects", "ProjectGroups", "Environments", "Tenants", "Lifecycles"} {
		if lists[kind], err = part.Seen(c, kind); err != nil {
			return nil, err
		}
	}
	reached := project.Reach(lists["Lifecycles"], lists["Environments"])
	environments, projects, groups, tenants := []any{}, []any{}, []any{}, []any{}
	for _, d := range lists["Environments"] {
		if ch.has("IncludedEnvironmentIds", d.ID) {
			environments = append(environments, map[string]any{"Id": d.ID, "Name": d.Object().Text("Name"), "Links": map[string]string{"Self": base + "/environments/" + d.ID}})
		}
	}
	inGroup, shown := map[string][]string{}, map[string]octopus.Object{}
	for _, d := range lists["Projects"] {
		o := d.Object()
		group := o.Text("ProjectGroupId")
		if !ch.has("IncludedProjectIds", d.ID) || !ch.has("IncludedProjectGroupIds", group) {
			continue
		}
		shown[d.ID] = o
		ids := slices.DeleteFunc(slices.Clone(reached[o.Text("LifecycleId")]), func(id string) bool { return !ch.has("IncludedEnvironmentIds", id) })
		for _, id := range ids {
			if !slices.Contains(inGroup[group], id) {
				inGroup[group] = append(inGroup[group], id)
			}
		}
		projects = append(projects, map[string]any{"Id": d.ID, "Name": o.Text("Name"), "Slug": d.Slug, "ProjectGroupId": group, "EnvironmentIds": part.Some(ids), "IsDisabled": o.Bool("IsDisabled"),
			"TenantedDeploymentMode": o.Text("TenantedDeploymentMode"), "CanPerformUntenantedDeployment": o.Text("TenantedDeploymentMode") != "Tenanted", "Links": map[string]string{"Self": base + "/projects/" + d.ID}})
	}
	for _, d := range lists["ProjectGroups"] {
		if ch.has("IncludedProjectGroupIds", d.ID) {
			groups = append(groups, map[string]any{"Id": d.ID, "Name": d.Object().Text("Name"), "EnvironmentIds": part.Some(inGroup[d.ID]), "Links": map[string]string{"Self": base + "/projectgroups/" + d.ID}})
		}
	}
	for _, d := range lists["Tenants"] {
		o := d.Object()
		if ch.has("IncludedTenantIds", d.ID) {
			connected, _ := o.Get("ProjectEnvironments")
			tenants = append(tenants, map[string]any{"Id": d.ID, "Name": o.Text("Name"), "ProjectEnvironments": connected, "TenantTags": part.Some(o.Texts("TenantTags")), "Links": map[string]string{"Self": base + "/tenants/" + d.ID}})
		}
	}
	items, previous, err := present(c, ch, shown)
	if err != nil {
		return nil, err
	}
	filtered := slices.ContainsFunc([]string{"IncludedProjectGroupIds", "IncludedProjectIds", "IncludedEnvironmentIds", "IncludedTenantIds"}, func(member string) bool { return len(ch[member]) > 0 })
	return map[string]any{"Id": "dashboard", "Projects": projects, "ProjectGroups": groups, "Environments": environments, "Tenants": tenants, "Items": items, "PreviousItems": previous,
		"IsFiltered": filtered, "ProjectLimit": configuration.Int("ProjectLimit"), "Links": map[string]string{"Self": base + "/dashboard"}}, nil
}

// present shows what is where: the newest deployment of each project, environment and tenant, of each channel too where the
// project treats channels apart; and beside one that did not succeed the one that is there still.
func present(c *collection.Call, ch choice, projects map[string]octopus.Object) (items, previous []any, err error) {
	q := c.Service.Store.DB.Read()
	entries, err := ledger.List(c.Context, q, ledger.Query{Kind: ledger.Deployments, Space: c.Space, Project: only(ch["IncludedProjectIds"]), Shown: true})
	if err != nil {
		return nil, nil, err
	}
	release := c.Query.Get("releaseId")
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool {
		o, shown := projects[e.Project]
		return !shown || !ch.has("IncludedEnvironmentIds", e.Environment) || e.Tenant != "" && !ch.has("IncludedTenantIds", e.Tenant) || release != "" && e.Source != release || !sees(c, e, o)
	})
	newest, good := ahead(entries, projects)
	read, err := newReading(c, append(slices.Clone(newest), good...))
	if err != nil {
		return nil, nil, err
	}
	items, previous = []any{}, []any{}
	for _, e := range newest {
		items = append(items, read.item(e, true, false))
	}
	for _, e := range good {
		previous = append(previous, read.item(e, false, true))
	}
	return items, previous, nil
}

// only is the one of a list of one, for SQL to look for.
func only(ids []string) string {
	if len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// ahead picks of entries, which come newest first, the newest of each place; and the newest good one where the newest is not.
func ahead(entries []ledger.Entry, projects map[string]octopus.Object) (newest, good []ledger.Entry) {
	type place struct{ project, environment, tenant, channel string }
	apart := map[string]bool{}
	for id, o := range projects {
		apart[id] = o.Bool("DiscreteChannelRelease")
	}
	state, succeeded := map[place]string{}, map[place]bool{}
	for _, e := range entries {
		at := place{project: e.Project, environment: e.Environment, tenant: e.Tenant}
		if apart[e.Project] {
			at.channel = e.Channel
		}
		was, seen := state[at]
		switch {
		case !seen:
			state[at] = e.State
			newest = append(newest, e)
		case e.Good && was != "Success" && !succeeded[at]:
			good = append(good, e)
			succeeded[at] = true
		}
	}
	return newest, good
}

// sees asks whether the caller may see a deployment or run.
func sees(c *collection.Call, e ledger.Entry, project octopus.Object) bool {
	name := c.Service.Kind(e.Kind).Permission.View
	if c.Principal.Set.Unrestricted(name, e.Space) {
		return true
	}
	return c.Principal.Set.Sees(name, target(e, project))
}
