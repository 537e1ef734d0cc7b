package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/kinds/part"
)

// dashboardSetting is where the caller's choice for a space is kept: each has their own.
func dashboardSetting(c *collection.Call) string {
	return "dashboard/" + c.Space + "/" + c.Principal.ID
}

const noChoice = `{"Id":"dashboardconfiguration","IncludedProjectIds":[],"IncludedProjectGroupIds":[],"IncludedEnvironmentIds":[],"IncludedTenantIds":[],"IncludedTenantTags":[],"ProjectLimit":200}`

func dashboardConfiguration(c *collection.Call) (octopus.Object, error) {
	kept, err := c.Service.Store.Setting(c.Context, c.Service.Store.DB.Read(), dashboardSetting(c))
	if err != nil {
		return octopus.Object{}, err
	}
	o, err := octopus.ParseObject([]byte(cmp.Or(kept, noChoice)))
	o.Set("SpaceId", c.Space)
	o.Set("Links", map[string]string{"Self": collection.Base(c.Space) + "/dashboardconfiguration"})
	return o, err
}

func getDashboardConfiguration(c *collection.Call) (any, error) { return dashboardConfiguration(c) }

func putDashboardConfiguration(c *collection.Call) (any, error) {
	sent, err := c.Object()
	if err != nil {
		return nil, err
	}
	o, err := octopus.ParseObject([]byte(noChoice))
	if err != nil {
		return nil, err
	}
	for member := range o.Clone().All() {
		if strings.HasPrefix(member, "Included") {
			o.Set(member, part.Some(sent.Texts(member)))
		}
	}
	if sent.Int("ProjectLimit") > 0 {
		o.Set("ProjectLimit", sent.Int("ProjectLimit"))
	}
	if err := keepSetting(c, dashboardSetting(c), o); err != nil {
		return nil, err
	}
	return dashboardConfiguration(c)
}

func keepSetting(c *collection.Call, name string, o octopus.Object) error {
	text, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	return c.Transact(func(change *collection.Change) error {
		return c.Service.Store.Set(c.Context, change.Tx, name, string(text))
	})
}

// choice is what a dashboard is narrowed to; no ids mean all.
type choice map[string][]string

func (ch choice) has(member, id string) bool {
	return len(ch[member]) == 0 || slices.Contains(ch[member], id)
}

// narrowed joins what the caller has chosen with what the query says.
func narrowed(c *collection.Call, configuration octopus.Object) choice {
	ch := choice{}
	if !strings.EqualFold(c.Query.Get("showAll"), "true") {
		for _, member := range []string{"IncludedProjectGroupIds", "IncludedProjectIds", "IncludedEnvironmentIds", "IncludedTenantIds"} {
			ch[member] = configuration.Texts(member)
		}
	}
	for parameter, member := range map[string]string{"projectId": "IncludedProjectIds", "projects": "IncludedProjectIds", "environments": "IncludedEnvironmentIds", "selectedTenants": "IncludedTenantIds"} {
		if ids := collection.Split(c.Query, parameter); len(ids) > 0 {
			ch[member] = ids
		}
	}
	return ch
}
