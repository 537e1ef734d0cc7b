package server

import (
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// licence are the routes of the licence. This server needs none: everything is unlimited, and what is counted is counted.
func (s *rules) licence() []collection.Action {
	on := func(path string, handle func(c *collection.Call) (any, error)) collection.Action {
		return collection.Action{Method: "GET", Path: "licenses/licenses-current" + path, Scope: collection.InSystem, Handle: handle}
	}
	return []collection.Action{
		on("", func(*collection.Call) (any, error) {
			return map[string]any{"Id": "licenses-current", "LicenseText": "", "SerialNumber": "", "Links": map[string]string{"Self": "/api/licenses/licenses-current"}}, nil
		}),
		{Method: "PUT", Path: "licenses/licenses-current", Scope: collection.InSystem, Permission: "ConfigureServer", Handle: func(*collection.Call) (any, error) {
			return nil, problem.Unsupported("ODCM's Space server needs no licence and keeps none.")
		}},
		on("-status", s.licenceStatus),
		on("-usage", s.licenceUsage),
	}
}

// counted are the kinds that Octopus's licences count.
var counted = []struct{ name, kind string }{{"Projects", "Projects"}, {"Deployment Targets", "Machines"}, {"Tenants", "Tenants"}, {"Workers", "Workers"}, {"Spaces", "Spaces"}, {"Users", "Users"}}

const unlimited = 2147483647

func (s *rules) limits(c *collection.Call) ([]map[string]any, error) {
	limits := []map[string]any{}
	for _, l := range counted {
		n, err := c.Service.Store.Count(c.Context, c.Service.Store.DB.Read(), l.kind, "*")
		if err != nil {
			return nil, err
		}
		limits = append(limits, map[string]any{"Name": l.name, "EffectiveLimit": unlimited, "EffectiveLimitDescription": "Unlimited", "CurrentUsage": n, "IsUnlimited": true, "Disposition": "Information", "Message": ""})
	}
	return limits, nil
}

func (s *rules) licenceStatus(c *collection.Call) (any, error) {
	limits, err := s.limits(c)
	if err != nil {
		return nil, err
	}
	all, here, err := s.caps(c)
	return map[string]any{"Id": "licenses-current-status", "LicenseKind": "CommunityEdition", "IsCompliant": true, "ComplianceSummary": "ODCM's Space server needs no licence.", "EffectiveExpiryDate": "9999-12-31",
		"DaysToEffectiveExpiryDate": unlimited, "Limits": limits, "Messages": []any{}, "PermissionsMode": "Full", "HostingEnvironment": "SelfHosted", "IsClusterTaskLimitControlledByLicense": false,
		"IsNodeTaskLimitControlledByLicense": false, "EffectiveClusterTaskLimit": all, "EffectiveNodeTaskLimit": here, "DoesExpiryBlockKeyActivities": false,
		"Links": map[string]string{"Self": "/api/licenses/licenses-current-status"}}, err
}

// caps are how many tasks all nodes run at a time, and this one.
func (s *rules) caps(c *collection.Call) (all, here int, err error) {
	nodes, err := s.Queue.Nodes(c.Context)
	for _, n := range nodes {
		if !n.Offline {
			all += n.Cap
		}
		if n.Name == s.Node {
			here = n.Cap
		}
	}
	return all, here, err
}

// licenceUsage tells what is used in each space that the caller may enter (LicenseUsageResource.cs in OctopusClients).
func (s *rules) licenceUsage(c *collection.Call) (any, error) {
	limits, err := s.limits(c)
	if err != nil {
		return nil, err
	}
	counts, err := c.Service.Store.Counts(c.Context, c.Service.Store.DB.Read(), "Projects", "Machines", "Tenants")
	if err != nil {
		return nil, err
	}
	spaces := []map[string]any{}
	for _, space := range c.Service.Directory().Spaces {
		if c.Principal.Set.Enters(space.ID) {
			n := counts[space.ID]
			spaces = append(spaces, map[string]any{"SpaceName": space.Name, "Projects": n["Projects"], "Machines": n["Machines"], "Tenants": n["Tenants"]})
		}
	}
	all, _, err := s.caps(c)
	return map[string]any{"Id": "licenses-current-usage", "Limits": limits, "SpaceUsage": part.Some(spaces), "TaskCap": all, "Links": map[string]string{"Self": "/api/licenses/licenses-current-usage"}}, err
}
