package release

import (
	"slices"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// retentions are the defaults of a space for what lifecycles and runbooks leave open (pkg/retention in go-octopusdeploy).
// They are made when they are first asked for.
var retentions = []struct{ typ, name, unit string }{
	{"LifecycleRelease", "Lifecycle release", "Days"}, {"LifecycleTentacle", "Lifecycle tentacle", "Days"}, {"RunbookRetention", "Runbook", "Items"},
}

// RetentionPolicies is the kind of the space's defaults for how long things are kept.
func RetentionPolicies() *collection.Kind {
	return &collection.Kind{
		Name: "SpaceDefaultRetentionPolicies", Type: "RetentionPolicy", Route: "retentionpolicies", Title: "RetentionType", RootLink: "-", Order: document.OldestFirst,
		Template:   `{"Name":"","RetentionType":"","Strategy":"Forever|Count","QuantityToKeep":0,"Unit":"Days|Items"}`,
		Ours:       []string{"RetentionType", "Name"},
		Without:    "list create delete all",
		Permission: collection.Verbs{View: "LifecycleView", Create: "LifecycleEdit", Edit: "LifecycleEdit", Delete: "LifecycleEdit"},
		Number: func(c *collection.Change) (string, error) {
			return c.New.Text("RetentionType") + "RetentionDefault-" + c.Space, nil
		},
		Prepare: func(c *collection.Change) error {
			if c.New.Text("Strategy") == "Count" && c.New.Int("QuantityToKeep") < 1 {
				return problem.Invalid("QuantityToKeep must be at least 1 where the strategy is Count.")
			}
			return nil
		},
		Actions: []collection.Action{{Method: "GET", Path: "retentionpolicies", Permission: "LifecycleView", Handle: listRetention}},
	}
}

// listRetention answers the policy of one type, as newer clients ask for it, or a page of all.
func listRetention(c *collection.Call) (any, error) {
	k := c.Service.Kind("SpaceDefaultRetentionPolicies")
	store := c.Service.Store
	rows, _, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: k.Name, Spaces: []string{c.Space}})
	if err != nil {
		return nil, err
	}
	if len(rows) < len(retentions) {
		if err := seedRetention(c); err != nil {
			return nil, err
		}
	}
	wanted := collection.Split(c.Query, "RetentionType")
	p, err := c.Service.List(c.Context, c.Request, k, collection.Listing{All: true,
		Filter: func(o octopus.Object) bool {
			return len(wanted) == 0 || slices.Contains(wanted, o.Text("RetentionType"))
		}})
	if err != nil {
		return nil, err
	}
	if len(wanted) == 1 {
		if len(p.Items) == 0 {
			return nil, problem.NotFound("RetentionPolicy", wanted[0])
		}
		return p.Items[0], nil
	}
	p.Path, p.Template = collection.Base(c.Space)+"/retentionpolicies", collection.Base(c.Space)+"/retentionpolicies{/id}{?RetentionType}"
	return p, nil
}

func seedRetention(c *collection.Call) error {
	return c.Service.Quietly(c.Context, c.Request, func(change *collection.Change) error {
		for _, r := range retentions {
			if _, ok, err := change.Get("SpaceDefaultRetentionPolicies", r.typ+"RetentionDefault-"+c.Space); ok || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if _, err := change.Create("SpaceDefaultRetentionPolicies", part.Object(map[string]any{"Name": r.name, "RetentionType": r.typ, "Strategy": "Forever", "Unit": r.unit})); err != nil {
				return err
			}
		}
		return nil
	})
}
