package server

import (
	"slices"
	"unicode/utf8"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/kinds/people"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Spaces is the kind that all others lie in.
func Spaces() []*collection.Kind {
	return []*collection.Kind{{
		Name: "Spaces", Type: "Space", Route: "spaces", Scope: collection.InSystem, Slugged: true, Decides: true,
		Order: document.OldestFirst,
		Template: `{"Name":"","Slug":"","Description":"","IsDefault":false,"IsPrivate":false,"TaskQueueStopped":false,
			"SpaceManagersTeams":[""],"SpaceManagersTeamMembers":[""],"Icon":null}`,
		Required:   []string{"Name"},
		Permission: collection.Verbs{View: permission.None, Create: "SpaceCreate", Edit: "SpaceEdit", Delete: "SpaceDelete"},
		References: []collection.Reference{
			{Path: "SpaceManagersTeams[]", Kind: "Teams", Loose: true}, {Path: "SpaceManagersTeamMembers[]", Kind: "Users", Loose: true}},
		Links:   map[string]string{"SpaceHome": "/api/{Id}", "Web": "/app#/{Id}", "Logo": "/api/spaces/{Id}/logo", "Search": "/api/spaces/{Id}/search{?keyword}"},
		Query:   "skip,ids,take,name,partialName",
		Prepare: prepareSpace, Settle: settleSpace, Remove: removeSpace,
		Visible: func(p permission.Principal, row document.Row) bool {
			return p.Set.Holds("SpaceView", "") || p.Set.Enters(row.ID)
		},
		Actions: []collection.Action{
			{Method: "GET", Path: "spaces/{id}/search", Scope: collection.InSystem, Handle: searchSpace},
			{Method: "GET", Path: "spaces/{id}/logo", Scope: collection.InSystem, Handle: part.Logo},
		},
	}}
}

func prepareSpace(c *collection.Change) error {
	name := c.New.Text("Name")
	if utf8.RuneCountInString(name) > 50 {
		return problem.Invalid("Name must be at most 50 characters long.")
	}
	teams, members := c.New.Texts("SpaceManagersTeams"), c.New.Texts("SpaceManagersTeamMembers")
	if len(teams) == 0 && len(members) == 0 {
		return problem.Invalid("A space needs at least one space manager: name a user in SpaceManagersTeamMembers or a team in SpaceManagersTeams.")
	}
	if !slices.Contains(teams, people.Managers(c.ID)) {
		c.New.Set("SpaceManagersTeams", append(teams, people.Managers(c.ID)))
	}
	for _, id := range members {
		if _, ok, err := c.In("").Get("Users", id); err != nil || !ok {
			return part.OrInvalid(err, "There is no user '"+id+"'.")
		}
	}
	if c.New.Bool("IsDefault") && !c.Old.Bool("IsDefault") {
		rows, err := c.List(document.Query{Kind: "Spaces"})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if o, err := octopus.ParseObject(row.Body); err == nil && o.Bool("IsDefault") && row.ID != c.ID {
				return problem.Invalid("There is a default space already: '" + o.Text("Name") + "'.")
			}
		}
	}
	return nil
}

// settleSpace makes what every new space has, and keeps the team of managers in step.
func settleSpace(c *collection.Change) error {
	in := c.In(c.ID)
	if !c.Creating {
		err := in.Edit("Teams", people.Managers(c.ID), func(o *octopus.Object) error {
			o.Set("MemberUserIds", c.New.Texts("SpaceManagersTeamMembers"))
			return nil
		})
		if err != nil {
			return err
		}
		return manage(in, c.Old.Texts("SpaceManagersTeams"), c.New.Texts("SpaceManagersTeams"))
	}
	if _, err := in.Create("Teams", part.Object(map[string]any{"Id": people.Managers(c.ID), "SpaceId": c.ID, "Name": "Space Managers", "MemberUserIds": c.New.Texts("SpaceManagersTeamMembers"),
		"CanBeDeleted": false, "CanBeRenamed": false, "CanChangeRoles": false, "CanChangeMembers": true})); err != nil {
		return err
	}
	if err := manage(in, nil, c.New.Texts("SpaceManagersTeams")); err != nil {
		return err
	}
	builtIn := map[string]any{"Name": "Octopus Server (built-in)", "FeedType": "BuiltIn"}
	if c.New.Bool("IsDefault") {
		builtIn["Id"] = "feeds-builtin"
	}
	for _, first := range []struct {
		kind string
		body map[string]any
	}{
		{"Feeds", builtIn},
		{"Lifecycles", map[string]any{"Name": "Default Lifecycle"}},
		{"ProjectGroups", map[string]any{"Name": "Default Project Group"}},
		{"MachinePolicies", map[string]any{"Name": "Default Machine Policy", "IsDefault": true}},
		{"WorkerPools", map[string]any{"Name": "Default Worker Pool", "IsDefault": true, "SortOrder": 0}},
	} {
		if _, err := in.Create(first.kind, part.Object(first.body)); err != nil {
			return err
		}
	}
	return nil
}

// manage grants the role of space manager to teams that became managers, and takes it from those that no longer are.
func manage(c *collection.Change, before, after []string) error {
	for _, team := range after {
		if slices.Contains(before, team) {
			continue
		}
		if _, err := c.Create("ScopedUserRoles", part.Object(map[string]any{"UserRoleId": permission.SpaceManager, "TeamId": team, "SpaceId": c.Space})); err != nil {
			return err
		}
	}
	for _, team := range before {
		if slices.Contains(after, team) {
			continue
		}
		rows, err := c.List(document.Query{Kind: "ScopedUserRoles", Owner: team, Spaces: []string{c.Space}})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if o, err := octopus.ParseObject(row.Body); err == nil && o.Text("UserRoleId") == permission.SpaceManager {
				if err := c.Delete("ScopedUserRoles", row.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func removeSpace(c *collection.Change) error {
	if c.Old.Bool("IsDefault") {
		return problem.Invalid("The default space cannot be deleted.")
	}
	if !c.Old.Bool("TaskQueueStopped") {
		return problem.Invalid("The task queue of the space must be stopped before it is deleted: set TaskQueueStopped.")
	}
	return c.Service.Store.DeleteSpace(c.Context, c.Tx, c.ID)
}

// searchSpace finds things of a space by part of their name.
func searchSpace(c *collection.Call) (any, error) {
	d, err := c.Find("Spaces", c.Param("id"))
	if err != nil {
		return nil, err
	}
	c.Space, c.Named = d.ID, true
	hits := []map[string]string{}
	c.Query.Set("partialName", c.Query.Get("keyword"))
	c.Query.Set("take", "20")
	for _, name := range []string{"Projects", "Environments", "Machines", "Tenants", "LibraryVariableSets", "Accounts", "Feeds", "Lifecycles", "Runbooks", "ActionTemplates"} {
		k := c.Service.Kind(name)
		if !c.Principal.Set.Holds(k.Permission.View, c.Space) || !c.Principal.Set.Enters(c.Space) {
			continue
		}
		page, err := c.Service.List(c.Context, c.Request, k, collection.Listing{})
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			hits = append(hits, map[string]string{"Id": item.ID, "Name": item.Object().Text("Name"), "Type": k.Type})
		}
	}
	return hits, nil
}
