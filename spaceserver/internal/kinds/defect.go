package kinds

import (
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// defects keep a release from going further until they are resolved (DefectResource in the Swagger document).
func defects() []*collection.Kind {
	return []*collection.Kind{{
		Name: "Defects", Type: "Defect", Title: "-", Owner: "ReleaseId", Project: "ProjectId", RootLink: "-",
		Template:   `{"ReleaseId":"","ProjectId":"","Description":"","Status":"Unresolved|Resolved"}`,
		Required:   []string{"Description"},
		Permission: collection.Verbs{View: "ReleaseView", Create: "DefectReport", Edit: "DefectResolve", Delete: "DefectResolve"},
		Links:      map[string]string{"Self": "releases/{Owner}/defects"},
		Present: func(_ *collection.View, o *octopus.Object) error {
			for _, member := range []string{"ReleaseId", "ProjectId", "SpaceId"} {
				o.Delete(member)
			}
			return nil
		},
		Actions: []collection.Action{
			{Method: "GET", Path: "releases/{id}/defects", Handle: func(c *collection.Call) (any, error) {
				release, err := c.Find("Releases", c.Param("id"))
				if err != nil {
					return nil, err
				}
				p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Defects"), collection.Listing{Owner: release.ID})
				p.Path = collection.Base(release.Space) + "/releases/" + release.ID + "/defects"
				p.Template = p.Path + "{?skip,take}"
				return p, err
			}},
			{Method: "POST", Path: "releases/{id}/defects", Handle: reportDefect},
			{Method: "POST", Path: "releases/{id}/defects/resolve", Permission: "DefectResolve", Writes: true, Handle: resolveDefect},
		},
	}}
}

func unresolved(c *collection.Call, release string) ([]collection.Document, error) {
	p, err := c.Service.List(c.Context, collection.Request{Principal: c.Principal, Space: c.Space, Named: c.Named}, c.Service.Kind("Defects"),
		collection.Listing{Owner: release, All: true, Filter: func(o octopus.Object) bool { return o.Text("Status") == "Unresolved" }})
	return p.Items, err
}

func reportDefect(c *collection.Call) (any, error) {
	release, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	open, err := unresolved(c, release.ID)
	if err != nil || len(open) > 0 {
		return nil, orInvalid(err, "The release has a defect already that is not resolved.")
	}
	return c.Service.Create(c.Context, c.Request, c.Service.Kind("Defects"),
		object(map[string]any{"ReleaseId": release.ID, "ProjectId": release.Project, "Description": body.Text("Description"), "Status": "Unresolved"}))
}

func resolveDefect(c *collection.Call) (any, error) {
	release, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	open, err := unresolved(c, release.ID)
	if err != nil || len(open) == 0 {
		return nil, orInvalid(err, "The release has no defect that is not resolved.")
	}
	err = c.Transact(func(change *collection.Change) error {
		return change.In(release.Space).Edit("Defects", open[0].ID, func(o *octopus.Object) error {
			o.Set("Status", "Resolved")
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c.Find("Defects", open[0].ID)
}

// testRule tells whether a version fits a channel's rule (channels/rule-test): sent as a query or as a body.
func testRule(c *collection.Call) (any, error) {
	var rule struct{ Version, VersionRange, PreReleaseTag string }
	if c.Header.Get("Content-Type") != "" && len(c.Query) == 0 {
		if err := c.Decode(&rule); err != nil {
			return nil, err
		}
	} else {
		rule.Version, rule.VersionRange, rule.PreReleaseTag = c.Query.Get("version"), c.Query.Get("versionRange"), c.Query.Get("preReleaseTag")
	}
	errors := []string{}
	v, ok := parseVersion(rule.Version)
	if !ok {
		errors = append(errors, "'"+rule.Version+"' is not a version.")
	}
	within, err := parseRange(rule.VersionRange)
	if err != nil {
		errors = append(errors, "'"+rule.VersionRange+"' is not a range of versions.")
	}
	return map[string]any{"Errors": errors, "IsNull": false, "SatisfiesVersionRange": ok && err == nil && within.has(v), "SatisfiesPreReleaseTag": ok && preReleaseMatches(rule.PreReleaseTag, v.pre),
		"Links": map[string]string{}}, nil
}

// refusals are routes of Octopus that this server knows and does not serve, each with the reason: a client should learn
// more than that there is no such route.
func refusals() []collection.Action {
	var actions []collection.Action
	for _, r := range []struct{ method, path, reason string }{
		{"POST", "projects/import-export/export", "This Space server version does not export projects: read them with GET, which loses nothing."},
		{"POST", "projects/import-export/import", "This Space server version does not import projects: create them with POST."},
		{"POST", "projects/import-export/import/preview", "This Space server version does not import projects: create them with POST."},
		{"POST", "projects/import-export/import-files", "This Space server version does not import projects: create them with POST."},
		{"POST", "migrations/partialexport", "This Space server version does not take part in migrations."},
		{"POST", "migrations/import", "This Space server version does not take part in migrations."},
		{"POST", "certificates/generate", "This Space server makes no certificates: send one that you have."},
	} {
		scope := collection.InSpace
		if strings.HasPrefix(r.path, "migrations") {
			scope = collection.InBoth
		}
		actions = append(actions, collection.Action{Method: r.method, Path: r.path, Scope: scope, Handle: func(*collection.Call) (any, error) { return nil, problem.Unsupported("%s", r.reason) }})
	}
	return append(actions, collection.Action{Method: "GET", Path: "projects/import-export/import-files", Handle: func(*collection.Call) (any, error) {
		return map[string]any{"ProjectImportFiles": []any{}}, nil
	}}, collection.Action{Method: "GET", Path: "channels/rule-test", Handle: testRule}, collection.Action{Method: "POST", Path: "channels/rule-test", Handle: testRule})
}
