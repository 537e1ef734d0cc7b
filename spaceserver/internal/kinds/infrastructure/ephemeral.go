package infrastructure

import (
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
)

// Ephemeral are environments that come and go with a branch, and the parents that say how they are to be
// (environments/v2 in go-octopusdeploy). They have the ids of environments and are not among them: older clients would
// deploy to what is gone tomorrow.
func Ephemeral() []*collection.Kind {
	return []*collection.Kind{
		{
			Name: "ParentEnvironments", Type: "ParentEnvironment", Route: "parentenvironments", Slugged: true, RootLink: "-", Environments: "Id",
			Template: `{"Name":"","Slug":"","Description":"","UseGuidedFailure":false,"SortOrder":0,"AutomaticDeprovisioningRule":null}`,
			Required: []string{"Name"}, Permission: collection.Quartet("Environment"),
		},
		{
			Name: "EphemeralEnvironments", Type: "EphemeralEnvironment", Slugged: true, RootLink: "-", Environments: "Id", Project: "ProjectId",
			Template:   `{"Name":"","Slug":"","Description":"","Type":"Ephemeral","SortOrder":0,"UseGuidedFailure":false,"EnvironmentTags":[""],"ParentEnvironmentId":"","ProjectId":""}`,
			Permission: collection.Quartet("Environment"),
			References: []collection.Reference{{Path: "ParentEnvironmentId", Kind: "ParentEnvironments"}, {Path: "ProjectId", Kind: "Projects"}},
			Number: func(c *collection.Change) (string, error) {
				n, err := c.Service.Store.Next(c.Context, c.Tx, "Environments", 1)
				return "Environments-" + strconv.Itoa(int(n)), err
			},
			Links: map[string]string{"Self": "environments/ephemeral/{Id}"},
			Actions: []collection.Action{
				{Method: "GET", Path: "environments/v2", Permission: "EnvironmentView", Handle: listAllEnvironments},
				{Method: "GET", Path: "environments/ephemeral/{id}", Handle: func(c *collection.Call) (any, error) { return c.Find("EphemeralEnvironments", c.Param("id")) }},
				{Method: "POST", Path: "environments/ephemeral/{id}/deprovision", Handle: func(c *collection.Call) (any, error) {
					return map[string]any{"DeprovisioningRuns": []any{}}, deprovision(c, c.Param("id"))
				}},
				{Method: "POST", Path: "projects/{id}/environments/ephemeral", Permission: "EnvironmentCreate", Handle: createEphemeral},
				{Method: "POST", Path: "projects/{id}/environments/ephemeral/{environment}/deprovision", Handle: func(c *collection.Call) (any, error) {
					if _, err := c.Find("Projects", c.Param("id")); err != nil {
						return nil, err
					}
					return map[string]any{"DeprovisioningRun": nil}, deprovision(c, c.Param("environment"))
				}},
			},
		},
	}
}

// createEphemeral makes an environment for the project, under the parent that its channel for such environments names.
func createEphemeral(c *collection.Call) (any, error) {
	project, err := c.Find("Projects", c.Param("id"))
	if err != nil {
		return nil, err
	}
	var sent struct{ EnvironmentName string }
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	store := c.Service.Store
	channels, _, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: "Channels", Spaces: []string{project.Space}, Owner: project.ID, Contains: `"Type":"EphemeralEnvironment"`, Take: 1})
	if err != nil || len(channels) == 0 {
		return nil, part.OrInvalid(err, "The project has no channel of the type EphemeralEnvironment.")
	}
	channel, err := octopus.ParseObject(channels[0].Body)
	if err != nil || channel.Text("ParentEnvironmentId") == "" {
		return nil, part.OrInvalid(err, "The channel '"+channel.Text("Name")+"' names no parent environment.")
	}
	d, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("EphemeralEnvironments"), part.Object(map[string]any{"Name": strings.TrimSpace(sent.EnvironmentName),
		"Type": "Ephemeral", "ParentEnvironmentId": channel.Text("ParentEnvironmentId"), "ProjectId": project.ID}))
	return collection.Made{Value: map[string]any{"Id": d.ID}}, err
}

// deprovision removes the environment. No runbook cleans up behind it, because none runs here.
func deprovision(c *collection.Call, id string) error {
	if _, err := c.Find("EphemeralEnvironments", id); err != nil {
		return err
	}
	return c.Service.Delete(c.Context, c.Request, c.Service.Kind("EphemeralEnvironments"), id)
}

// listAllEnvironments is the newer list, with environments of every type.
func listAllEnvironments(c *collection.Call) (any, error) {
	types := collection.Split(c.Query, "type")
	wanted := func(typ string) bool {
		for _, t := range types {
			if strings.EqualFold(t, typ) {
				return true
			}
		}
		return len(types) == 0
	}
	all := []octopus.Object{}
	for _, kind := range []struct{ name, typ string }{{"Environments", "Static"}, {"ParentEnvironments", "Parent"}, {"EphemeralEnvironments", "Ephemeral"}} {
		if !wanted(kind.typ) {
			continue
		}
		p, err := c.Service.List(c.Context, c.Request, c.Service.Kind(kind.name), collection.Listing{All: true})
		if err != nil {
			return nil, err
		}
		for _, d := range p.Items {
			o := d.Object()
			o.Set("Type", kind.typ)
			all = append(all, o)
		}
	}
	return part.Page(c, "Environment", "environments/v2", all), nil
}
