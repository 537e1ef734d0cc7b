package release

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/version"
)

// Defects keep a release from going further until they are resolved (DefectResource in the Swagger document).
func Defects() []*collection.Kind {
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
		return nil, part.OrInvalid(err, "The release has a defect already that is not resolved.")
	}
	return c.Service.Create(c.Context, c.Request, c.Service.Kind("Defects"),
		part.Object(map[string]any{"ReleaseId": release.ID, "ProjectId": release.Project, "Description": body.Text("Description"), "Status": "Unresolved"}))
}

func resolveDefect(c *collection.Call) (any, error) {
	release, err := c.Find("Releases", c.Param("id"))
	if err != nil {
		return nil, err
	}
	open, err := unresolved(c, release.ID)
	if err != nil || len(open) == 0 {
		return nil, part.OrInvalid(err, "The release has no defect that is not resolved.")
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

// TestRule tells whether a version fits a channel's rule (channels/rule-test): sent as a query or as a body.
func TestRule(c *collection.Call) (any, error) {
	var rule struct{ Version, VersionRange, PreReleaseTag string }
	if c.Header.Get("Content-Type") != "" && len(c.Query) == 0 {
		if err := c.Decode(&rule); err != nil {
			return nil, err
		}
	} else {
		rule.Version, rule.VersionRange, rule.PreReleaseTag = c.Query.Get("version"), c.Query.Get("versionRange"), c.Query.Get("preReleaseTag")
	}
	errors := []string{}
	v, ok := version.Parse(rule.Version)
	if !ok {
		errors = append(errors, "'"+rule.Version+"' is not a version.")
	}
	within, err := version.ParseRange(rule.VersionRange)
	if err != nil {
		errors = append(errors, "'"+rule.VersionRange+"' is not a range of versions.")
	}
	tag, wrong := version.ParseRule("", rule.PreReleaseTag)
	if wrong != nil {
		errors = append(errors, "'"+rule.PreReleaseTag+"' is not a regular expression.")
	}
	return map[string]any{"Errors": errors, "IsNull": false, "SatisfiesVersionRange": ok && err == nil && within.Has(v), "SatisfiesPreReleaseTag": ok && wrong == nil && tag.HasPre(v),
		"Links": map[string]string{}}, nil
}
