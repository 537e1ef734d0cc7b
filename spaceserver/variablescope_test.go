package spaceserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
)

// TestVariablesOutsideOfOnesEnvironments: who may read or edit variables in some environments only reads and edits the values
// that hold in no other (security/users-and-teams/security-and-un-scoped-variables). That a value in two environments takes both
// was settled in OctopusDeploy/Issues 1178; that hidden values survive being written back in 3570; that a value for a machine
// alone is one without environments in 4417.
func TestVariablesOutsideOfOnesEnvironments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		in := w.environments("Dev", "Live")
		dev, live := in[0], in[1]
		project := w.create(space+"projects", fields{"Name": "Web", "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1", "TenantedDeploymentMode": "TenantedOrUntenanted"}).Text("Id")
		machine := w.create(space+"machines", fields{"Name": "M", "EnvironmentIds": []string{dev}, "Roles": []string{"r"}, "Endpoint": fields{"CommunicationStyle": "None"}}).Text("Id")
		acme := w.create(space+"tenants", fields{"Name": "Acme", "ProjectEnvironments": fields{project: in}}).Text("Id")
		library := w.create(space+"libraryvariablesets", fields{"Name": "Set"}).Text("Id")
		value := func(name string, scope fields) fields {
			return fields{"Id": name, "Name": name, "Value": "is " + name, "Type": "String", "Scope": scope}
		}
		all := []fields{value("unscoped", fields{}), value("dev", fields{"Environment": []string{dev}}), value("live", fields{"Environment": []string{live}}), value("both", fields{"Environment": in}),
			value("machine", fields{"Machine": []string{machine}}), value("role", fields{"Role": []string{"r"}, "Environment": []string{dev}}), value("acme", fields{"Tenant": []string{acme}})}
		secret := value("secret", fields{"Environment": []string{live}})
		secret["Type"], secret["IsSensitive"] = "Sensitive", true
		all = append(all, secret)
		w.variables(project, all...)
		w.variables(library, all[0], all[1], all[2])
		role := func(name string, permissions ...string) string {
			return w.create("/api/userroles", fields{"Name": name, "GrantedSpacePermissions": append(permissions, "ProjectView", "LibraryVariableSetView", "EventView")}).Text("Id")
		}
		edits, opens := role("Edits", "VariableView", "VariableEdit"), role("Opens", "VariableView", "VariableEdit", "VariableViewUnscoped")
		person := func(name, role string, restricted fields) *world {
			restricted["UserRoleId"], restricted["SpaceId"] = role, "Spaces-1"
			return w.user(name, restricted)
		}
		people := map[string]struct {
			who   *world
			shown string
		}{
			"in every environment":         {person("every", edits, fields{}), "acme both dev live machine role secret unscoped"},
			"in Dev":                       {person("dev", edits, fields{"EnvironmentIds": in[:1]}), "dev role"},
			"in Dev, and what is open":     {person("open", opens, fields{"EnvironmentIds": in[:1]}), "acme dev machine role unscoped"},
			"in both":                      {person("both", edits, fields{"EnvironmentIds": in}), "both dev live role secret"},
			"in both and yet in neither":   {w.user("apart", fields{"UserRoleId": edits, "SpaceId": "Spaces-1", "EnvironmentIds": in[:1]}, fields{"UserRoleId": edits, "SpaceId": "Spaces-1", "EnvironmentIds": in[1:]}), "dev live role secret"},
			"for Acme":                     {person("acme", edits, fields{"TenantIds": []string{acme}}), "acme"},
			"in Dev by a second, open one": {w.user("added", fields{"UserRoleId": edits, "SpaceId": "Spaces-1", "EnvironmentIds": in[:1]}, fields{"UserRoleId": opens, "SpaceId": "Spaces-1", "EnvironmentIds": in[1:]}), "acme dev live machine role secret unscoped"},
		}
		path := space + "variables/variableset-" + project
		names := func(o octopus.Object) string {
			var list []string
			for _, v := range o.Objects("Variables") {
				list = append(list, v.Text("Name"))
			}
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		for name, p := range people {
			if got := names(p.who.get(path)); got != p.shown {
				t.Errorf("%s: %q is shown, want %q", name, got, p.shown)
			}
			for _, other := range []string{space + "variables/all", space + "projects/" + project + "/variables", space + "variables/names?project=" + project, space + "variables?ids=variableset-" + project, space + "events?take=1000", space + "variables/variableset-" + library} {
				_, text := p.who.send(http.MethodGet, other, nil)
				for _, v := range all {
					if hidden := v["Name"].(string); !slices.Contains(strings.Fields(p.shown), hidden) && (strings.Contains(string(text), `"is `+hidden) || strings.Contains(other, "names") && strings.Contains(string(text), `"`+hidden+`"`)) {
						t.Errorf("%s: %s tells %s", name, other, hidden)
					}
				}
			}
		}

		d := people["in Dev"].who
		// Written back, what is hidden is still there, secrets too.
		mine := d.want(http.StatusOK, http.MethodPut, path, d.get(path))
		if names(mine) != "dev role" || names(w.get(path)) != "acme both dev live machine role secret unscoped" {
			t.Errorf("after writing back: %s of %s", names(mine), names(w.get(path)))
		}
		change := func(p *world, edit func(list []octopus.Object) []octopus.Object) int {
			o := p.get(path)
			o.Set("Variables", edit(o.Objects("Variables")))
			status, _ := p.send(http.MethodPut, path, o)
			return status
		}
		object := func(f fields) octopus.Object {
			var o octopus.Object
			for name, v := range f {
				o.Set(name, v)
			}
			return o
		}
		set := func(id, member string, v any) func([]octopus.Object) []octopus.Object {
			return func(list []octopus.Object) []octopus.Object {
				for i := range list {
					if list[i].Text("Id") == id {
						list[i].Set(member, v)
					}
				}
				return list
			}
		}
		add := func(f fields) func([]octopus.Object) []octopus.Object {
			return func(list []octopus.Object) []octopus.Object { return append(list, object(f)) }
		}
		without := func(id string) func([]octopus.Object) []octopus.Object {
			return func(list []octopus.Object) []octopus.Object {
				return slices.DeleteFunc(list, func(o octopus.Object) bool { return o.Text("Id") == id })
			}
		}
		open := people["in Dev, and what is open"].who
		for name, c := range map[string]struct {
			who  *world
			edit func([]octopus.Object) []octopus.Object
			want int
		}{
			"a value of one's own environment":            {d, set("dev", "Value", "new"), http.StatusOK},
			"a new one there":                             {d, add(value("more", fields{"Environment": []string{dev}})), http.StatusOK},
			"one's own, widened to another":               {d, set("dev", "Scope", fields{"Environment": in}), http.StatusForbidden},
			"one's own, without a scope":                  {d, set("dev", "Scope", fields{}), http.StatusForbidden},
			"a new one without a scope":                   {d, add(value("wide", fields{})), http.StatusForbidden},
			"a new one in another":                        {d, add(value("far", fields{"Environment": []string{live}})), http.StatusForbidden},
			"a hidden one by its id":                      {d, add(fields{"Id": "secret", "Name": "secret", "Value": "stolen", "Type": "Sensitive", "Scope": fields{"Environment": []string{dev}}}), http.StatusForbidden},
			"an open one that may only be read":           {open, set("unscoped", "Value", "new"), http.StatusForbidden},
			"an open one, deleted":                        {open, without("unscoped"), http.StatusForbidden},
			"one's own beside open ones":                  {open, set("role", "Value", "new"), http.StatusOK},
			"whatever one likes without being restricted": {people["in every environment"].who, set("unscoped", "Value", "newer"), http.StatusOK},
		} {
			if got := change(c.who, c.edit); got != c.want {
				t.Errorf("%s: %d, want %d", name, got, c.want)
			}
		}
		if got := names(w.get(path)); got != "acme both dev live machine more role secret unscoped" {
			t.Errorf("in the end: %s", got)
		}
		if got := change(d, without("more")); got != http.StatusOK {
			t.Errorf("deleting one's own: %d", got)
		}
	})
}
