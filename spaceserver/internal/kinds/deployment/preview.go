package deployment

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/ledger"
	"odcm/spaceserver/internal/lifecycle"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/preview"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/prompt"
)

// courseFor reads the course of the release that the route names.
func courseFor(c *collection.Call) (collection.Document, course, error) {
	d, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return d, course{}, err
	}
	k, err := courseOf(part.Outside(c, d.Space), d.ID)
	return d, k, err
}

// progression tells how far a release has come (LifecycleProgressionResource). With ?tenant=, for that tenant.
func progression(c *collection.Call) (any, error) {
	d, k, err := courseFor(c)
	if err != nil {
		return nil, err
	}
	var tenant octopus.Object
	if id := c.Query.Get("tenant"); id != "" {
		if tenant, _, err = k.Get("Tenants", id); err != nil {
			return nil, err
		}
	}
	progress, history := k.measure(tenant)
	if tenant.Len() == 0 && k.project.Text("TenantedDeploymentMode") != "Untenanted" {
		// Asked about nobody, a release has come as far as any tenant has it.
		history = k.anyone()
		progress = lifecycle.Measure(k.phases, history)
	}
	entries, err := ledger.List(k.Context, k.Q, ledger.Query{Source: d.ID})
	if err != nil {
		return nil, err
	}
	set, ids, tasks := c.Principal.Set, []string{}, []string{}
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return !set.Sees("DeploymentView", placeOf(e)) })
	for _, e := range entries {
		ids = append(ids, e.ID)
		if set.Sees("TaskView", placeOf(e)) {
			tasks = append(tasks, e.Task)
		}
	}
	found, err := k.These("ServerTasks", tasks)
	if err != nil {
		return nil, err
	}
	documents, err := k.These(ledger.Deployments, ids)
	if err != nil {
		return nil, err
	}
	steps := []any{}
	for _, s := range progress {
		in, deployed := s.Environments(), []any{}
		for _, e := range entries {
			if slices.Contains(in, e.Environment) && (tenant.Len() == 0 || e.Tenant == tenant.Text("Id")) {
				deployed = append(deployed, map[string]any{"Deployment": documents[e.ID], "Task": found[e.Task]})
			}
		}
		steps = append(steps, map[string]any{"Id": s.ID, "Name": s.Name, "Blocked": s.Blocked, "Progress": s.State, "Deployments": deployed, "AutomaticDeploymentTargets": part.Some(s.Automatic),
			"OptionalDeploymentTargets": part.Some(s.Optional), "MinimumEnvironmentsBeforePromotion": s.Minimum, "IsOptionalPhase": s.Skippable})
	}
	return map[string]any{"Id": d.ID, "Phases": steps, "NextDeployments": progress.Next(history), "NextDeploymentsMinimumRequired": progress.Required(history),
		"Links": map[string]string{"Self": collection.Base(d.Space) + "/releases/" + d.ID + "/progression"}}, nil
}

// placeOf is what restricted grants look at of a deployment or run.
func placeOf(e ledger.Entry) permission.Target {
	t := permission.Target{Space: e.Space, Project: e.Project, Environments: []string{e.Environment}}
	if e.Tenant != "" {
		t.Tenants = []string{e.Tenant}
	}
	return t
}

// anyone is what became of the release for whichever tenant, and for none.
func (k course) anyone() lifecycle.History {
	h := lifecycle.History{Succeeded: map[string]bool{}, Attempted: map[string]bool{}, Blocked: k.blocked}
	for _, o := range k.past {
		h.Attempted[o.Environment] = true
		h.Succeeded[o.Environment] = h.Succeeded[o.Environment] || o.Succeeded
	}
	return h
}

// deploymentTemplate tells where a release can be deployed to now (DeploymentTemplateResource).
func deploymentTemplate(c *collection.Call) (any, error) {
	d, k, err := courseFor(c)
	if err != nil {
		return nil, err
	}
	environments, err := part.Seen(c, "Environments")
	if err != nil {
		return nil, err
	}
	self := collection.Base(d.Space) + "/releases/" + d.ID + "/deployments"
	promote := func(tenant octopus.Object) []any {
		targets := []any{}
		progress, _ := k.measure(tenant)
		connected := tenant.Object("ProjectEnvironments").Texts(k.project.Text("Id"))
		for _, e := range environments {
			if progress.May(e.ID) != lifecycle.Allowed || tenant.Len() > 0 && !slices.Contains(connected, e.ID) {
				continue
			}
			link := self + "/preview/" + e.ID
			if tenant.Len() > 0 {
				link += "/" + tenant.Text("Id")
			}
			targets = append(targets, map[string]any{"Id": e.ID, "Name": e.Object().Text("Name"), "Links": map[string]string{"Preview": link}})
		}
		return targets
	}
	untenanted, forTenants := []any{}, []any{}
	mode := k.project.Text("TenantedDeploymentMode")
	if mode != "Tenanted" {
		untenanted = promote(octopus.Object{})
	}
	if mode != "Untenanted" {
		tenants, err := part.Seen(c, "Tenants")
		if err != nil {
			return nil, err
		}
		for _, t := range tenants {
			o := t.Object()
			if targets := promote(o); len(targets) > 0 && k.suits(o) {
				forTenants = append(forTenants, map[string]any{"Id": t.ID, "Name": o.Text("Name"), "PromoteTo": targets, "Links": map[string]string{}})
			}
		}
	}
	changed, err := project.Changed(k.Reader, k.project, k.release, "ProjectVariableSetSnapshotId")
	if err != nil {
		return nil, err
	}
	process, _, err := k.Get("DeploymentProcesses", "deploymentprocess-"+k.project.Text("Id"))
	if err != nil {
		return nil, err
	}
	frozen, _, err := k.Get("DeploymentProcesses", k.release.Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"Id": d.ID, "DeploymentNotes": nil, "IsDeploymentProcessModified": process.Int("Version") != frozen.Int("Version"), "IsVariableSetModified": changed[0], "IsLibraryVariableSetModified": changed[1],
		"PromoteTo": untenanted, "TenantPromotions": forTenants, "Links": map[string]string{"Self": self + "/template"}}, nil
}

// preview shows what a deployment would do (DeploymentPreviewResource).
func (k course) preview(environment, tenant string, disabled bool) (any, error) {
	e, ok, err := k.Get("Environments", environment)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.NotFound("Environment", environment)
	}
	var t octopus.Object
	if tenant != "" {
		if t, ok, err = k.Get("Tenants", tenant); err != nil {
			return nil, err
		}
		if !ok {
			return nil, problem.NotFound("Tenant", tenant)
		}
	}
	process, _, err := k.Get("DeploymentProcesses", k.release.Text("ProjectDeploymentProcessSnapshotId"))
	if err != nil {
		return nil, err
	}
	steps, err := preview.Steps(k.Reader, process, preview.Place{Environment: e, Tenant: t, Channel: k.channel.Text("Id"), Disabled: disabled})
	if err != nil {
		return nil, err
	}
	prompts, err := k.prompts(e, t)
	if err != nil {
		return nil, err
	}
	id := k.release.Text("Id") + "-" + environment
	return map[string]any{"Id": id, "Changes": k.changes(), "ChangesMarkdown": k.release.Text("ReleaseNotes"), "Form": prompt.Form(prompts), "StepsToExecute": steps,
		"UseGuidedFailureModeByDefault": Guided(nil, k.project, e), "Links": map[string]string{"Self": collection.Base(k.Space) + "/releases/" + k.release.Text("Id") + "/deployments/preview/" + environment}}, nil
}

func deploymentPreview(c *collection.Call) (any, error) {
	_, k, err := courseFor(c)
	if err != nil {
		return nil, err
	}
	if err := Known(c, c.Param("environment"), c.Param("tenant")); err != nil {
		return nil, err
	}
	return k.preview(c.Param("environment"), c.Param("tenant"), part.True(c.Query, "includeDisabledSteps"))
}

// Known refuses to show what would be done in an environment or for a tenant that the caller does not see.
func Known(c *collection.Call, environment, tenant string) error {
	for kind, id := range map[string]string{"Environments": environment, "Tenants": tenant} {
		if id == "" {
			continue
		}
		if _, err := c.Find(kind, id); err != nil {
			return err
		}
	}
	return nil
}

// deploymentPreviews shows several at once, as the body lists them.
func deploymentPreviews(c *collection.Call) (any, error) {
	var sent struct {
		DeploymentPreviews []struct {
			EnvironmentID string `json:"EnvironmentId"`
			TenantID      string `json:"TenantId"`
		}
		IncludeDisabledSteps bool
	}
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	const most = 1000
	if len(sent.DeploymentPreviews) > most {
		return nil, problem.Invalid("Ask for at most 1000 previews at a time.")
	}
	_, k, err := courseFor(c)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, p := range sent.DeploymentPreviews {
		if err := Known(c, p.EnvironmentID, p.TenantID); err != nil {
			return nil, err
		}
		one, err := k.preview(p.EnvironmentID, p.TenantID, sent.IncludeDisabledSteps)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
