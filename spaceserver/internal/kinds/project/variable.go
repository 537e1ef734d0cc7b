package project

import (
	"fmt"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// scopes are what a variable's value can be bound to (ScopeField.cs).
var scopes = []string{"Environment", "Machine", "Role", "Action", "Channel", "TenantTag", "ProcessOwner", "Tenant", "Project", "ParentDeployment", "User", "Private", "Trigger"}

// prepareVariables checks names and scopes; secrets are taken out by the engine.
func prepareVariables(c *collection.Change) error {
	c.New.Set("ScopeValues", map[string]any{}) // computed when read
	var problems []string
	variables := c.New.Objects("Variables")
	for i, v := range variables {
		name := v.Text("Name")
		if v.Text("Type") == "Sensitive" {
			variables[i].Set("IsSensitive", true)
		}
		if strings.TrimSpace(name) == "" {
			problems = append(problems, fmt.Sprintf("Variables[%d]: please provide a name.", i))
		}
		for scope, value := range v.Object("Scope").All() {
			if !slices.ContainsFunc(scopes, func(s string) bool { return strings.EqualFold(s, scope) }) {
				problems = append(problems, fmt.Sprintf("Variables[%d] '%s': there is no scope '%s'.", i, name, scope))
			} else if len(value) == 0 || value[0] != '[' {
				problems = append(problems, fmt.Sprintf("Variables[%d] '%s': the scope %s must be an array of ids.", i, name, scope))
			}
		}
	}
	if len(problems) > 0 {
		return problem.Invalid(problems...)
	}
	c.New.Set("Variables", part.Some(variables))
	return nil
}

// presentVariables leaves out what the reader may not see, and adds what values of this set can be scoped to:
// VariableScopeValues in the Swagger document.
func presentVariables(v *collection.View, o *octopus.Object) error {
	o.Set("Variables", shownVariables(v.Request.Principal.Set, v.Row.Space, v.Row.Owner, *o))
	values := octopus.Object{}
	q, store := v.Service.Store.DB.Read(), v.Service.Store
	names := func(kind, owner string) ([]part.Reference, error) {
		rows, _, err := store.List(v.Context, q, document.Query{Kind: kind, Spaces: []string{v.Row.Space}, Owner: owner, Order: v.Service.Kind(kind).Order})
		list := []part.Reference{}
		for _, row := range rows {
			if d, err := octopus.ParseObject(row.Body); err == nil && v.Service.Sees(v.Request.Principal, row) {
				list = append(list, part.Refer(row.ID, d.Text("Name")))
			}
		}
		return list, err
	}
	environments, err := names("Environments", "")
	if err != nil {
		return err
	}
	roles, machines := map[string]bool{}, []part.Reference{}
	for row, err := range store.Each(v.Context, q, document.Query{Kind: "Machines", Spaces: []string{v.Row.Space}}) {
		if err != nil {
			return err
		}
		if !v.Service.Sees(v.Request.Principal, row) {
			continue
		}
		d, _ := octopus.ParseObject(row.Body)
		machines = append(machines, part.Refer(row.ID, d.Text("Name")))
		for _, role := range d.Texts("Roles") {
			roles[role] = true
		}
	}
	channels, actions, processes := []part.Reference{}, []part.Reference{}, []any{}
	if v.Row.Project != "" {
		if channels, err = names("Channels", v.Row.Owner); err != nil {
			return err
		}
		row, err := store.Get(v.Context, q, "DeploymentProcesses", "deploymentprocess-"+v.Row.Owner, v.Row.Space)
		if err == nil && v.Service.Sees(v.Request.Principal, row) {
			d, _ := octopus.ParseObject(row.Body)
			for _, step := range d.Objects("Steps") {
				for _, action := range step.Objects("Actions") {
					actions = append(actions, part.Refer(action.Text("Id"), action.Text("Name")))
					for _, role := range strings.Split(step.Object("Properties").Text("Octopus.Action.TargetRoles"), ",") {
						roles[strings.TrimSpace(role)] = true
					}
				}
			}
		}
		processes = append(processes, map[string]string{"ProcessType": "Deployment", "Id": v.Row.Owner, "Name": "Deployment process"})
		runbooks, err := names("Runbooks", v.Row.Owner)
		if err != nil {
			return err
		}
		for _, r := range runbooks {
			processes = append(processes, map[string]string{"ProcessType": "Runbook", "Id": r.ID, "Name": r.Name})
		}
	}
	tags := []part.Reference{}
	for row, err := range store.Each(v.Context, q, document.Query{Kind: "TagSets", Spaces: []string{v.Row.Space}, Order: document.ByPosition}) {
		if err != nil {
			return err
		}
		if !v.Service.Sees(v.Request.Principal, row) {
			continue
		}
		d, _ := octopus.ParseObject(row.Body)
		for _, tag := range d.Objects("Tags") {
			tags = append(tags, part.Refer(tag.Text("CanonicalTagName"), tag.Text("CanonicalTagName")))
		}
	}
	delete(roles, "")
	values.Set("Environments", environments)
	values.Set("Machines", machines)
	values.Set("Actions", actions)
	values.Set("Roles", sortedReferences(roles))
	values.Set("Channels", channels)
	values.Set("TenantTags", tags)
	values.Set("Processes", processes)
	o.Set("ScopeValues", values)
	return nil
}

func sortedReferences(set map[string]bool) []part.Reference {
	list := []part.Reference{}
	for name := range set {
		list = append(list, part.Refer(name, name))
	}
	slices.SortFunc(list, func(a, b part.Reference) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func variableActions() []collection.Action {
	return []collection.Action{
		{Method: "GET", Path: "projects/{id}/variables", Handle: projectVariables},
		{Method: "PUT", Path: "projects/{id}/variables", Handle: func(c *collection.Call) (any, error) {
			project, err := c.Find("Projects", c.Param("id"))
			if err != nil {
				return nil, err
			}
			body, err := c.Object()
			if err != nil {
				return nil, err
			}
			return c.Service.Update(c.Context, c.Request, c.Service.Kind("VariableSets"), "variableset-"+project.ID, body)
		}},
		{Method: "GET", Path: "variables/names", Handle: func(c *collection.Call) (any, error) {
			id := c.Query.Get("project")
			if id == "" {
				return []string{}, part.Needs(c, "VariableView")
			}
			set, err := c.Find("VariableSets", "variableset-"+id)
			if err != nil {
				return nil, err
			}
			names := []string{}
			for _, v := range set.Object().Objects("Variables") {
				if !slices.Contains(names, v.Text("Name")) {
					names = append(names, v.Text("Name"))
				}
			}
			slices.Sort(names)
			return names, nil
		}},
	}
}

func projectVariables(c *collection.Call) (any, error) {
	project, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	return c.Find("VariableSets", "variableset-"+project.ID)
}

func librarySetUsages(c *collection.Call) (any, error) {
	d, err := c.Find("LibraryVariableSets", c.Param("id"))
	if err != nil {
		return nil, err
	}
	used := []any{}
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Projects"), collection.Listing{All: true,
		Filter: func(o octopus.Object) bool { return slices.Contains(o.Texts("IncludedLibraryVariableSetIds"), d.ID) }})
	for _, p := range page.Items {
		used = append(used, map[string]any{"ProjectId": p.ID, "ProjectSlug": p.Slug, "ProjectName": p.Object().Text("Name"),
			"IsCurrentlyBeingUsedInProject": true, "Releases": []any{}, "RunbookSnapshots": []any{}})
	}
	return map[string]any{"Id": d.ID, "Projects": used, "CountOfProjectsUserCannotSee": 0, "CountOfReleasesUserCannotSee": 0, "CountOfRunbookSnapshotsUserCannotSee": 0,
		"Links": map[string]string{"Self": collection.Base(d.Space) + "/libraryvariablesets/" + d.ID + "/usages"}}, err
}
