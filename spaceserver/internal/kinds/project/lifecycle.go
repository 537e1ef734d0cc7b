package project

import (
	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
)

// previewLifecycle shows the phases that a lifecycle has in effect: one for each environment where it names none.
func previewLifecycle(c *collection.Call) (any, error) {
	d, err := c.Find("Lifecycles", c.Param("id"))
	if err != nil {
		return nil, err
	}
	o := d.Object()
	if len(o.Objects("Phases")) > 0 {
		return d, nil
	}
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Environments"), collection.Listing{All: true})
	if err != nil {
		return nil, err
	}
	phases := []any{}
	for _, e := range page.Items {
		phases = append(phases, map[string]any{"Id": e.ID, "Name": e.Object().Text("Name"), "AutomaticDeploymentTargets": []string{}, "OptionalDeploymentTargets": []string{e.ID},
			"MinimumEnvironmentsBeforePromotion": 0, "IsOptionalPhase": false, "ReleaseRetentionPolicy": nil, "TentacleRetentionPolicy": nil})
	}
	o.Set("Phases", phases)
	o.Set("Links", map[string]string{"Self": collection.Base(d.Space) + "/lifecycles/" + d.ID + "/preview"})
	return o, nil
}

// lifecycleProjects is a bare array, unlike its siblings.
func lifecycleProjects(c *collection.Call) (any, error) {
	d, err := c.Find("Lifecycles", c.Param("id"))
	if err != nil {
		return nil, err
	}
	p, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Projects"), collection.Listing{All: true,
		Filter: func(o octopus.Object) bool { return o.Text("LifecycleId") == d.ID }})
	return p.Items, err
}

// Reach tells to which environments each lifecycle leads: those of its phases, or all where it has none.
func Reach(lifecycles, environments []collection.Document) map[string][]string {
	reached := map[string][]string{}
	for _, d := range lifecycles {
		phases := d.Object().Objects("Phases")
		if len(phases) == 0 {
			for _, e := range environments {
				reached[d.ID] = append(reached[d.ID], e.ID)
			}
			continue
		}
		for _, p := range phases {
			reached[d.ID] = append(reached[d.ID], append(p.Texts("AutomaticDeploymentTargets"), p.Texts("OptionalDeploymentTargets")...)...)
		}
	}
	return reached
}
