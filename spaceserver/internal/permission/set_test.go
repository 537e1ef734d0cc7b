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
