// Package tenant is for whom something is deployed: tenants, the sets of tags that they carry, and their variables.
package tenant

import (
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// Kinds are tenants and the sets of their tags.
func Kinds() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "TagSets", Type: "TagSet", Route: "tagsets", Slugged: true, Order: document.ByPosition, Position: "SortOrder",
			Template:   `{"Name":"","Slug":"","Description":"","SortOrder":0,"Type":"MultiSelect|SingleSelect|FreeText","Scopes":["Tenant"],"Tags":[{"Id":"<guid>","Name":"","CanonicalTagName":"","Color":"#333333","Description":"","SortOrder":0}]}`,
			Required:   []string{"Name"},
			Permission: collection.Verbs{View: "TenantView", Create: "TagSetCreate", Edit: "TagSetEdit", Delete: "TagSetDelete"},
			Prepare: func(c *collection.Change) error {
				tags := c.New.Objects("Tags")
				for i := range tags {
					tags[i].Set("CanonicalTagName", c.New.Text("Name")+"/"+tags[i].Text("Name"))
				}
				c.New.Set("Tags", part.Some(tags))
				return part.AtTheEnd("TagSets")(c)
			},
			Actions: []collection.Action{{Method: "PUT", Path: "tagsets/sortorder", Permission: "TagSetEdit", Writes: true, Handle: part.SortOrder("TagSets")}},
		},
		{
			Name: "Tenants", Type: "Tenant", Route: "tenants", Slugged: true, Tenants: "Id",
			Template:   `{"Name":"","Slug":"","Description":null,"ProjectEnvironments":{},"TenantTags":[""],"ClonedFromTenantId":null,"IsDisabled":false,"Icon":null}`,
			Required:   []string{"Name"},
			Permission: collection.Quartet("Tenant"),
			References: []collection.Reference{{Path: "ProjectEnvironments{key}", Kind: "Projects", Dropped: true}, {Path: "ProjectEnvironments{}[]", Kind: "Environments", Dropped: true}},
			Filters:    map[string]string{"tags": "TenantTags", "clonedFromTenantId": "ClonedFromTenantId"}, Query: "skip,projectId,name,tags,take,ids,clone,partialName,clonedFromTenantId",
			Links: map[string]string{"Variables": "tenants/{Id}/variables", "Logo": "tenants/{Id}/logo", "Web": "/app#/{Space}/tenants/{Id}"},
			Actions: []collection.Action{
				{Method: "GET", Path: "tenants/status", Permission: "TenantView", Handle: func(*collection.Call) (any, error) {
					return map[string]any{"Enabled": true, "Links": map[string]string{}}, nil
				}},
				{Method: "GET", Path: "tenants/{id}/logo", Permission: "TenantView", Handle: part.Logo},
			},
		},
	}
}
