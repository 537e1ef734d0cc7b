package permission_test

import (
	"testing"

	"odcm/spaceserver/internal/permission"
)

func TestGrantsDecide(t *testing.T) {
	t.Parallel()
	const view = permission.Name("MachineView")
	in := func(g permission.Grant) *permission.Set {
		g.Space = "Spaces-1"
		return &permission.Set{Spaces: map[permission.Name][]permission.Grant{view: {g}}}
	}
	target := func(environments ...string) permission.Target {
		return permission.Target{Space: "Spaces-1", Environments: environments}
	}
	for name, c := range map[string]struct {
		set           *permission.Set
		target        permission.Target
		sees, changes bool
	}{
		"nobody":                         {nil, target(), false, false},
		"without restriction":            {in(permission.Grant{}), target("Environments-1"), true, true},
		"in another space":               {in(permission.Grant{}), permission.Target{Space: "Spaces-2"}, false, false},
		"on the whole server":            {in(permission.Grant{}), permission.Target{}, false, false},
		"in its environment":             {in(permission.Grant{Environments: []string{"Environments-1"}}), target("Environments-1"), true, true},
		"in another environment":         {in(permission.Grant{Environments: []string{"Environments-1"}}), target("Environments-2"), false, false},
		"in both environments":           {in(permission.Grant{Environments: []string{"Environments-1"}}), target("Environments-1", "Environments-2"), true, false},
		"in no environment":              {in(permission.Grant{Environments: []string{"Environments-1"}}), target(), true, true},
		"for its project":                {in(permission.Grant{Projects: []string{"Projects-1"}}), permission.Target{Space: "Spaces-1", Project: "Projects-1"}, true, true},
		"for another project":            {in(permission.Grant{Projects: []string{"Projects-1"}}), permission.Target{Space: "Spaces-1", Project: "Projects-2"}, false, false},
		"for a project of its group":     {in(permission.Grant{ProjectGroups: []string{"ProjectGroups-1"}}), permission.Target{Space: "Spaces-1", Project: "Projects-9", ProjectGroup: "ProjectGroups-1"}, true, true},
		"for its tenant":                 {in(permission.Grant{Tenants: []string{"Tenants-1"}}), permission.Target{Space: "Spaces-1", Tenants: []string{"Tenants-1"}}, true, true},
		"for another tenant":             {in(permission.Grant{Tenants: []string{"Tenants-1"}}), permission.Target{Space: "Spaces-1", Tenants: []string{"Tenants-2"}}, false, false},
		"as administrator of the server": {permission.System().Set, target("Environments-7"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.set.Sees(view, c.target); got != c.sees {
				t.Errorf("sees: %v", got)
			}
			if got := c.set.Changes(view, c.target); got != c.changes {
				t.Errorf("changes: %v", got)
			}
		})
	}
}

func TestBuiltInRolesGrantWhatThereIs(t *testing.T) {
	t.Parallel()
	kinds := map[permission.Name]permission.Description{}
	for _, d := range permission.All() {
		if _, twice := kinds[d.Name]; twice {
			t.Errorf("%s is twice in the table", d.Name)
		}
		kinds[d.Name] = d
	}
	roles := permission.BuiltIn()
	if len(roles) != 19 {
		t.Errorf("%d built-in roles, want the 19 of Octopus's documentation", len(roles))
	}
	for _, r := range roles {
		seen := map[permission.Name]bool{}
		for _, name := range r.Space {
			if d, ok := kinds[name]; !ok || !d.Space || seen[name] {
				t.Errorf("%s grants %s in a space: unknown, not of a space, or twice", r.Name, name)
			}
			seen[name] = true
		}
		for _, name := range r.System {
			if d, ok := kinds[name]; !ok || !d.System {
				t.Errorf("%s grants %s on the server: unknown or not of a server", r.Name, name)
			}
		}
		if r.ID == permission.SystemManager {
			for _, name := range r.System {
				if name == permission.AdministerSystem {
					t.Error("system managers must not administer the system")
				}
			}
		}
	}
}

// TestSetsCoverWhatTheyHold: who grants something must hold it as far as it goes.
func TestSetsCoverWhatTheyHold(t *testing.T) {
	t.Parallel()
	of := func(grants ...permission.Grant) *permission.Set {
		return &permission.Set{Spaces: map[permission.Name][]permission.Grant{"MachineView": grants}}
	}
	one, two := []string{"1"}, []string{"1", "2"}
	for name, c := range map[string]struct {
		held, granted *permission.Set
		covered       bool
	}{
		"everything by who administers":         {permission.System().Set, of(permission.Grant{Space: "Spaces-1"}), true},
		"nothing by nobody":                     {nil, of(), true},
		"something by nobody":                   {nil, of(permission.Grant{Space: "Spaces-1"}), false},
		"the same":                              {of(permission.Grant{Space: "A"}), of(permission.Grant{Space: "A"}), true},
		"another space":                         {of(permission.Grant{Space: "A"}), of(permission.Grant{Space: "B"}), false},
		"less":                                  {of(permission.Grant{Space: "A"}), of(permission.Grant{Space: "A", Environments: one}), true},
		"more":                                  {of(permission.Grant{Space: "A", Environments: one}), of(permission.Grant{Space: "A"}), false},
		"a part":                                {of(permission.Grant{Space: "A", Environments: two}), of(permission.Grant{Space: "A", Environments: one}), true},
		"beyond a part":                         {of(permission.Grant{Space: "A", Environments: one}), of(permission.Grant{Space: "A", Environments: two}), false},
		"every project by one":                  {of(permission.Grant{Space: "A", Projects: one}), of(permission.Grant{Space: "A"}), false},
		"a group by its projects":               {of(permission.Grant{Space: "A", Projects: one}), of(permission.Grant{Space: "A", ProjectGroups: one, Projects: one}), false},
		"a project by its group":                {of(permission.Grant{Space: "A", ProjectGroups: one, Projects: two}), of(permission.Grant{Space: "A", Projects: one}), true},
		"a tenant where environments are held":  {of(permission.Grant{Space: "A", Environments: one}), of(permission.Grant{Space: "A", Tenants: one}), false},
		"what two grants do not hold as one":    {of(permission.Grant{Space: "A", Environments: one}, permission.Grant{Space: "A", Tenants: one}), of(permission.Grant{Space: "A"}), false},
		"the server by a space":                 {of(permission.Grant{Space: "A"}), &permission.Set{System: map[permission.Name]bool{"TeamView": true}}, false},
		"the server by who holds it there also": {&permission.Set{System: map[permission.Name]bool{"TeamView": true}}, &permission.Set{System: map[permission.Name]bool{"TeamView": true}}, true},
	} {
		if _, ok := c.held.Covers(c.granted); ok != c.covered {
			t.Errorf("%s: %v", name, ok)
		}
	}
}
