package runbook

import (
	"cmp"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/deployment"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/project"
	"odcm/spaceserver/internal/preview"
	"odcm/spaceserver/internal/problem"
	"odcm/spaceserver/internal/prompt"
)

// snapshotActions are the routes of snapshots and what can be asked of a runbook before it runs. Newer clients name the project
// in front.
func snapshotActions() []collection.Action {
	get := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: path, Permission: "RunbookView", Handle: handle}
	}
	return []collection.Action{
		get("runbookSnapshots/{id}/runbookRuns", runsOf),
		get("runbookSnapshots/{id}/runbookRuns/template", ofSnapshot(template)),
		get("runbookSnapshots/{id}/runbookRuns/preview/{environment}", ofSnapshot(show)),
		get("runbookSnapshots/{id}/runbookRuns/preview/{environment}/{tenant}", ofSnapshot(show)),
		get("runbooks/{id}/runbookRunTemplate", ofRunbook(template)),
		get("runbooks/{id}/runbookRuns/preview/{environment}", ofRunbook(show)),
		get("runbooks/{id}/runbookRuns/preview/{environment}/{tenant}", ofRunbook(show)),
		get("projects/{project}/runbooks/{id}/runbookRuns/preview/{environment}", ofRunbook(show)),
		get("projects/{project}/runbooks/{id}/runbookRunTemplate", ofRunbook(template)),
		{Method: "POST", Path: "projects/{project}/runbooks/{id}/runbookRuns/previews", Permission: "RunbookView", Handle: ofRunbook(showSeveral)},
		get("projects/{id}/runbookSnapshots", snapshotsOf),
		get("projects/{id}/runbookSnapshots/{name}", func(c *collection.Call) (any, error) {
			return c.Find("RunbookSnapshots", c.Param("name"))
		}),
		get("projects/{project}/runbooks/{id}/runbookSnapshots", func(c *collection.Call) (any, error) { return part.Owned(c, "Runbooks", "RunbookSnapshots") }),
		get("projects/{project}/runbooks/{id}/runbookSnapshots/{name}", func(c *collection.Call) (any, error) {
			return c.Service.GetOwned(c.Context, c.Request, c.Service.Kind("RunbookSnapshots"), c.Param("id"), c.Param("name"))
		}),
		{Method: "POST", Path: "runbookSnapshots/{id}/snapshot-variables", Permission: "RunbookSnapshotCreate", Handle: refresh},
	}
}

func snapshotsOf(c *collection.Call) (any, error) {
	owner, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("RunbookSnapshots"), collection.Listing{Filter: func(o octopus.Object) bool { return o.Text("ProjectId") == owner.ID }})
	p.Path = collection.Base(c.Space) + "/projects/" + owner.ID + "/runbookSnapshots"
	p.Template = p.Path + "{/name}{?skip,take,searchByName}"
	return p, err
}

func runsOf(c *collection.Call) (any, error) {
	d, err := c.Find("RunbookSnapshots", c.Param("id"))
	if err != nil {
		return nil, err
	}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("RunbookRuns"), collection.Listing{Owner: d.Owner, Filter: func(o octopus.Object) bool { return o.Text("RunbookSnapshotId") == d.ID }})
	p.Path = collection.Base(c.Space) + "/runbookSnapshots/" + d.ID + "/runbookRuns"
	p.Template = p.Path + "{?skip,take}"
	return p, err
}

// refresh takes the variables of a snapshot anew.
func refresh(c *collection.Call) (any, error) {
	d, err := c.Find("RunbookSnapshots", c.Param("id"))
	if err != nil {
		return nil, err
	}
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		if !c.Principal.Set.Changes("RunbookSnapshotCreate", part.Target(d)) {
			return problem.Denied("RunbookSnapshotCreate")
		}
		return change.Edit("RunbookSnapshots", d.ID, func(o *octopus.Object) error {
			at := *change
			at.New = o.Clone()
			if err := freeze(&at, d.Project); err != nil {
				return err
			}
			*o = at.New
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c.Find("RunbookSnapshots", d.ID)
}

// subject is a runbook as it would run: from a snapshot, or as it is now.
type subject struct {
	part.Reader
	self                      string
	runbook, project, process octopus.Object
	sets                      []octopus.Object
	frozen                    octopus.Object // empty for what would be frozen now
}

func ofSnapshot(handle func(c *collection.Call, s subject) (any, error)) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find("RunbookSnapshots", c.Param("id"))
		if err != nil {
			return nil, err
		}
		s, err := subjectOf(c, d.Space, d.Owner, d.Object())
		if err != nil {
			return nil, err
		}
		s.self = collection.Base(d.Space) + "/runbookSnapshots/" + d.ID
		return handle(c, s)
	}
}

// ofRunbook takes the runbook's published snapshot, or the runbook as it is now where there is none.
func ofRunbook(handle func(c *collection.Call, s subject) (any, error)) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		d, err := c.Find("Runbooks", c.Param("id"))
		if err != nil {
			return nil, err
		}
		snapshot, _, err := part.Outside(c, d.Space).Get("RunbookSnapshots", d.Object().Text("PublishedRunbookSnapshotId"))
		if err != nil {
			return nil, err
		}
		s, err := subjectOf(c, d.Space, d.ID, snapshot)
		if err != nil {
			return nil, err
		}
		s.self = collection.Base(d.Space) + "/runbooks/" + d.ID
		return handle(c, s)
	}
}

func subjectOf(c *collection.Call, space, runbook string, snapshot octopus.Object) (s subject, err error) {
	s.Reader, s.frozen = part.Outside(c, space), snapshot
	if s.runbook, _, err = s.Get("Runbooks", runbook); err != nil {
		return s, err
	}
	if s.project, _, err = s.Get("Projects", s.runbook.Text("ProjectId")); err != nil {
		return s, err
	}
	if s.process, _, err = s.Get("RunbookProcesses", cmp.Or(snapshot.Text("FrozenRunbookProcessId"), s.runbook.Text("RunbookProcessId"))); err != nil {
		return s, err
	}
	if snapshot.Len() > 0 {
		s.sets, err = prompt.Sets(s.Get, snapshot, "FrozenProjectVariableSetId")
		return s, err
	}
	for _, id := range append([]string{s.project.Text("Id")}, s.project.Texts("IncludedLibraryVariableSetIds")...) {
		set, ok, err := s.Get("VariableSets", "variableset-"+id)
		if err != nil {
			return s, err
		}
		if ok {
			s.sets = append(s.sets, set)
		}
	}
	return s, nil
}

// show tells what a run would do (RunbookRunPreviewResource).
func show(c *collection.Call, s subject) (any, error) {
	if err := deployment.Known(c, c.Param("environment"), c.Param("tenant")); err != nil {
		return nil, err
	}
	return s.preview(c.Param("environment"), c.Param("tenant"), part.True(c.Query, "includeDisabledSteps"))
}

func showSeveral(c *collection.Call, s subject) (any, error) {
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
	if len(sent.DeploymentPreviews) > 1000 {
		return nil, problem.Invalid("Ask for at most 1000 previews at a time.")
	}
	all := []any{}
	for _, p := range sent.DeploymentPreviews {
		if err := deployment.Known(c, p.EnvironmentID, p.TenantID); err != nil {
			return nil, err
		}
		one, err := s.preview(p.EnvironmentID, p.TenantID, sent.IncludeDisabledSteps)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s subject) preview(environment, tenant string, disabled bool) (any, error) {
	e, ok, err := s.Get("Environments", environment)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.NotFound("Environment", environment)
	}
	t, ok, err := s.Get("Tenants", tenant)
	if err != nil {
		return nil, err
	}
	if !ok && tenant != "" {
		return nil, problem.NotFound("Tenant", tenant)
	}
	steps, err := preview.Steps(s.Reader, s.process, preview.Place{Environment: e, Tenant: t, Disabled: disabled})
	if err != nil {
		return nil, err
	}
	place := prompt.Place{Environment: environment, Tenant: tenant, TenantTags: t.Texts("TenantTags"), Process: s.runbook.Text("Id")}
	return map[string]any{"Id": s.runbook.Text("Id") + "-" + environment, "Form": prompt.Form(prompt.Of(s.sets, place)), "StepsToExecute": steps,
		"UseGuidedFailureModeByDefault": deployment.Guided(nil, s.runbook, e), "Links": map[string]string{"Self": s.self + "/runbookRuns/preview/" + environment}}, nil
}

// template tells where the runbook can run (RunbookRunTemplateResource).
func template(c *collection.Call, s subject) (any, error) {
	reached, err := Reach(s.Reader, s.runbook, s.project)
	if err != nil {
		return nil, err
	}
	found, err := s.These("Environments", reached)
	if err != nil {
		return nil, err
	}
	targets := func(ids []string, tail string) []any {
		all := []any{}
		for _, id := range ids {
			if o, ok := found[id]; ok {
				all = append(all, map[string]any{"Id": id, "Name": o.Text("Name"), "Links": map[string]string{"Preview": s.self + "/runbookRuns/preview/" + id + tail}})
			}
		}
		return all
	}
	untenanted, forTenants := []any{}, []any{}
	mode := s.runbook.Text("MultiTenancyMode")
	if mode != "Tenanted" {
		untenanted = targets(reached, "")
	}
	if mode != "Untenanted" {
		tenants, err := part.Seen(c, "Tenants")
		if err != nil {
			return nil, err
		}
		for _, t := range tenants {
			o := t.Object()
			if to := targets(o.Object("ProjectEnvironments").Texts(s.project.Text("Id")), "/"+t.ID); len(to) > 0 && !o.Bool("IsDisabled") {
				forTenants = append(forTenants, map[string]any{"Id": t.ID, "Name": o.Text("Name"), "PromoteTo": to, "Links": map[string]string{}})
			}
		}
	}
	changed, err := project.Changed(s.Reader, s.project, s.frozen, "FrozenProjectVariableSetId")
	if err != nil {
		return nil, err
	}
	process, _, err := s.Get("RunbookProcesses", s.runbook.Text("RunbookProcessId"))
	if err != nil {
		return nil, err
	}
	return map[string]any{"Id": s.runbook.Text("Id"), "IsRunbookProcessModified": process.Int("Version") != s.process.Int("Version"), "IsVariableSetModified": changed[0], "IsLibraryVariableSetModified": changed[1],
		"PromoteTo": untenanted, "TenantPromotions": forTenants, "Links": map[string]string{"Self": s.self + "/runbookRuns/template"}}, nil
}
