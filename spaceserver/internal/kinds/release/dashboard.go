package release

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
)

// Dashboards are the routes that show the state of deployments: what there is to deploy, and where to. There are no items
// on them while this version deploys nothing.
func Dashboards() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Permission: "ProjectView", Handle: handle}
	}
	return []collection.Action{
		on("dashboard", dashboard),
		on("dashboard/dynamic", dashboard),
		on("dashboardconfiguration", getDashboardConfiguration),
		{Method: "PUT", Path: "dashboardconfiguration", Permission: "ProjectView", Writes: true, Handle: putDashboardConfiguration},
		on("progression/{id}", progression),
		on("progression/runbooks/taskRuns", func(c *collection.Call) (any, error) {
			return part.Page(c, "RunbooksDashboardItem", "progression/runbooks/taskRuns", []octopus.Object{}), nil
		}),
		on("progression/runbooks/{id}", func(c *collection.Call) (any, error) {
			project, err := c.Find("Projects", c.Param("id"))
			if err != nil {
				return nil, err
			}
			environments, err := part.Seen(c, "Environments")
			return map[string]any{"Id": project.ID, "Environments": references(environments), "RunbooksSummary": []any{}, "RunbookRuns": map[string]any{}, "Links": map[string]string{}}, err
		}),
		on("reporting/deployments-counted-by-week", func(*collection.Call) (any, error) { return []any{}, nil }),
	}
}

func references(list []collection.Document) []part.Reference {
	all := []part.Reference{}
	for _, d := range list {
		all = append(all, part.Refer(d.ID, d.Object().Text("Name")))
	}
	return all
}

// choice is what a dashboard is narrowed to; no ids mean all.
type choice map[string][]string

func (ch choice) has(member, id string) bool {
	return len(ch[member]) == 0 || slices.Contains(ch[member], id)
}

// narrowed joins what the caller has chosen with what the query says.
func narrowed(c *collection.Call, configuration octopus.Object) choice {
	ch := choice{}
	if !strings.EqualFold(c.Query.Get("showAll"), "true") {
		for _, member := range []string{"IncludedProjectGroupIds", "IncludedProjectIds", "IncludedEnvironmentIds", "IncludedTenantIds"} {
			ch[member] = configuration.Texts(member)
		}
	}
	for parameter, member := range map[string]string{"projectId": "IncludedProjectIds", "projects": "IncludedProjectIds", "environments": "IncludedEnvironmentIds", "selectedTenants": "IncludedTenantIds"} {
		if ids := collection.Split(c.Query, parameter); len(ids) > 0 {
			ch[member] = ids
		}
	}
	return ch
}

func dashboard(c *collection.Call) (any, error) {
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
	inGroup := map[string][]string{}
	for _, d := range lists["Projects"] {
		o := d.Object()
		group := o.Text("ProjectGroupId")
		if !ch.has("IncludedProjectIds", d.ID) || !ch.has("IncludedProjectGroupIds", group) {
			continue
		}
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
	filtered := slices.ContainsFunc([]string{"IncludedProjectGroupIds", "IncludedProjectIds", "IncludedEnvironmentIds", "IncludedTenantIds"}, func(member string) bool { return len(ch[member]) > 0 })
	return map[string]any{"Id": "dashboard", "Projects": projects, "ProjectGroups": groups, "Environments": environments, "Tenants": tenants, "Items": []any{}, "PreviousItems": []any{},
		"IsFiltered": filtered, "ProjectLimit": configuration.Int("ProjectLimit"), "Links": map[string]string{"Self": base + "/dashboard"}}, nil
}

// dashboardSetting is where the caller's choice for a space is kept: each has their own.
func dashboardSetting(c *collection.Call) string {
	return "dashboard/" + c.Space + "/" + c.Principal.ID
}

const noChoice = `{"Id":"dashboardconfiguration","IncludedProjectIds":[],"IncludedProjectGroupIds":[],"IncludedEnvironmentIds":[],"IncludedTenantIds":[],"IncludedTenantTags":[],"ProjectLimit":200}`

func dashboardConfiguration(c *collection.Call) (octopus.Object, error) {
	kept, err := c.Service.Store.Setting(c.Context, c.Service.Store.DB.Read(), dashboardSetting(c))
	if err != nil {
		return octopus.Object{}, err
	}
	o, err := octopus.ParseObject([]byte(cmp.Or(kept, noChoice)))
	o.Set("SpaceId", c.Space)
	o.Set("Links", map[string]string{"Self": collection.Base(c.Space) + "/dashboardconfiguration"})
	return o, err
}

func getDashboardConfiguration(c *collection.Call) (any, error) { return dashboardConfiguration(c) }

func putDashboardConfiguration(c *collection.Call) (any, error) {
	sent, err := c.Object()
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject([]byte(noChoice))
	if err != nil {
		return nil, err
	}
	for member := range o.Clone().All() {
		if strings.HasPrefix(member, "Included") {
			o.Set(member, part.Some(sent.Texts(member)))
		}
	}
	if sent.Int("ProjectLimit") > 0 {
		o.Set("ProjectLimit", sent.Int("ProjectLimit"))
	}
	if err := keepSetting(c, dashboardSetting(c), o); err != nil {
		return nil, err
	}
	return dashboardConfiguration(c)
}

func keepSetting(c *collection.Call, name string, o octopus.Object) error {
	text, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	return c.Transact(func(change *collection.Change) error {
		return c.Service.Store.Set(c.Context, change.Tx, name, string(text))
	})
}

// progression shows the newest releases of a project and where they can go (ProgressionResource).
func progression(c *collection.Call) (any, error) {
	owner, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	lists := map[string][]collection.Document{}
	for _, kind := range []string{"Environments", "Lifecycles"} {
		if lists[kind], err = part.Seen(c, kind); err != nil {
			return nil, err
		}
	}
	channels, err := owned(c, "Channels", owner.ID, 0)
	if err != nil {
		return nil, err
	}
	releases, err := owned(c, "Releases", owner.ID, 30)
	if err != nil {
		return nil, err
	}
	reached, lifecycle := project.Reach(lists["Lifecycles"], lists["Environments"]), map[string]octopus.Object{}
	for _, d := range lists["Lifecycles"] {
		lifecycle[d.ID] = d.Object()
	}
	byChannel, shown, of := map[string][]part.Reference{}, map[string]collection.Document{}, map[string]string{}
	for _, ch := range channels {
		of[ch.ID] = cmp.Or(ch.Object().Text("LifecycleId"), owner.Object().Text("LifecycleId"))
		shown[ch.ID], byChannel[ch.ID] = ch, []part.Reference{}
		for _, e := range lists["Environments"] {
			if slices.Contains(reached[of[ch.ID]], e.ID) {
				byChannel[ch.ID] = append(byChannel[ch.ID], part.Refer(e.ID, e.Object().Text("Name")))
			}
		}
	}
	all := []any{}
	for _, release := range releases {
		channel := release.Object().Text("ChannelId")
		l := lifecycle[of[channel]]
		period := func(member string) any {
			if value, ok := l.Get(member); ok {
				return value
			}
			return nil
		}
		all = append(all, map[string]any{"Release": release, "Channel": shown[channel], "Deployments": map[string]any{}, "NextDeployments": part.Some(first(phases(l, lists["Environments"]))), "HasUnresolvedDefect": false,
			"ReleaseRetentionPeriod": period("ReleaseRetentionPolicy"), "TentacleRetentionPeriod": period("TentacleRetentionPolicy")})
	}
	return map[string]any{"Id": owner.ID, "Environments": references(lists["Environments"]), "ChannelEnvironments": byChannel, "Releases": all,
		"Links": map[string]string{"Self": collection.Base(c.Space) + "/progression/" + owner.ID}}, nil
}

// owned lists what belongs to a document that the caller was found to see.
func owned(c *collection.Call, kind, owner string, take int) ([]collection.Document, error) {
	k := c.Service.Kind(kind)
	if !part.Allowed(c, string(k.Permission.View)) {
		return nil, nil
	}
	r := c.Request
	r.Query = nil
	if take > 0 {
		r.Query = map[string][]string{"take": {strconv.Itoa(take)}}
	}
	page, err := c.Service.List(c.Context, r, k, collection.Listing{Owner: owner, All: take == 0})
	return page.Items, err
}

// phase is a step of a lifecycle in effect.
type phase struct {
	octopus.Object
	environments []string
}

// phases of a lifecycle in effect: one for each environment where it names none.
func phases(lifecycle octopus.Object, environments []collection.Document) []phase {
	var all []phase
	for _, p := range lifecycle.Objects("Phases") {
		all = append(all, phase{p, append(p.Texts("AutomaticDeploymentTargets"), p.Texts("OptionalDeploymentTargets")...)})
	}
	if len(all) > 0 {
		return all
	}
	for _, e := range environments {
		o := part.Object(map[string]any{"Id": e.ID, "OptionalDeploymentTargets": []string{e.ID}})
		o.Set("Name", e.Object().Text("Name"))
		all = append(all, phase{o, []string{e.ID}})
	}
	return all
}

// first are the environments of the first phase and of those that can be left out before it.
func first(all []phase) []string {
	var ids []string
	for _, p := range all {
		ids = append(ids, p.environments...)
		if !p.Bool("IsOptionalPhase") {
			break
		}
	}
	return ids
}

// lifecycleOf finds the lifecycle that a release goes through: its channel's, or the project's.
func lifecycleOf(c *collection.Call, release collection.Document) (octopus.Object, error) {
	store := c.Service.Store
	get := func(kind, id string) (octopus.Object, error) {
		row, err := store.Get(c.Context, store.DB.Read(), kind, id, release.Space)
		if err != nil {
			return octopus.Object{}, err
		}
		return octopus.ParseObject(row.Body)
	}
	channel, err := get("Channels", release.Object().Text("ChannelId"))
	if err != nil && !strings.Contains(err.Error(), document.ErrNone.Error()) {
		return octopus.Object{}, err
	}
	id := channel.Text("LifecycleId")
	if id == "" {
		project, err := get("Projects", release.Project)
		if err != nil {
			return octopus.Object{}, err
		}
		id = project.Text("LifecycleId")
	}
	return get("Lifecycles", id)
}

// releaseProgression tells how far a release has come: nowhere, while nothing is deployed (LifecycleProgressionResource).
func releaseProgression(c *collection.Call) (any, error) {
	release, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	lifecycle, err := lifecycleOf(c, release)
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	all, steps := phases(lifecycle, environments), []any{}
	for i, p := range all {
		progress := "Pending"
		if i == 0 {
			progress = "Current"
		}
		steps = append(steps, map[string]any{"Id": p.Text("Id"), "Name": p.Text("Name"), "Blocked": false, "Progress": progress, "Deployments": []any{}, "AutomaticDeploymentTargets": part.Some(p.Texts("AutomaticDeploymentTargets")),
			"OptionalDeploymentTargets": part.Some(p.Texts("OptionalDeploymentTargets")), "MinimumEnvironmentsBeforePromotion": p.Int("MinimumEnvironmentsBeforePromotion"), "IsOptionalPhase": p.Bool("IsOptionalPhase")})
	}
	return map[string]any{"Id": release.ID, "Phases": steps, "NextDeployments": part.Some(first(all)), "NextDeploymentsMinimumRequired": 0,
		"Links": map[string]string{"Self": collection.Base(release.Space) + "/releases/" + release.ID + "/progression"}}, nil
}

// deploymentTemplate tells where a release can be deployed to next (DeploymentTemplateResource).
func deploymentTemplate(c *collection.Call) (any, error) {
	release, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	lifecycle, err := lifecycleOf(c, release)
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	tenants, err := part.Seen(c, "Tenants")
	if err != nil {
		return nil, err
	}
	base := collection.Base(release.Space) + "/releases/" + release.ID + "/deployments/preview/"
	next := first(phases(lifecycle, environments))
	promote := func(allowed func(id string) bool, tail string) []any {
		targets := []any{}
		for _, e := range environments {
			if slices.Contains(next, e.ID) && allowed(e.ID) {
				targets = append(targets, map[string]any{"Id": e.ID, "Name": e.Object().Text("Name"), "Links": map[string]string{"Preview": base + e.ID + tail}})
			}
		}
		return targets
	}
	forTenants := []any{}
	for _, t := range tenants {
		connected := t.Object().Object("ProjectEnvironments").Texts(release.Project)
		if targets := promote(func(id string) bool { return slices.Contains(connected, id) }, "/"+t.ID); len(targets) > 0 {
			forTenants = append(forTenants, map[string]any{"Id": t.ID, "Name": t.Object().Text("Name"), "PromoteTo": targets, "Links": map[string]string{}})
		}
	}
	return map[string]any{"Id": release.ID, "DeploymentNotes": nil, "IsDeploymentProcessModified": false, "IsVariableSetModified": false, "IsLibraryVariableSetModified": false,
		"PromoteTo": promote(func(string) bool { return true }, ""), "TenantPromotions": forTenants,
		"Links": map[string]string{"Self": collection.Base(release.Space) + "/releases/" + release.ID + "/deployments/template"}}, nil
}
