package variable

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// row is a value of the table.
type row struct {
	Value                                                                 string
	Environment, Machine, Role, Action, Channel, Process, Tenant, Project []string
	TenantTag                                                             []string `yaml:"tenantTag"`
}

func (r row) variable() Variable {
	return Variable{Name: "V", Value: r.Value, Scope: Scope{
		Environment: r.Environment, Machine: r.Machine, Role: r.Role, Action: r.Action, Channel: r.Channel,
		TenantTag: r.TenantTag, ProcessOwner: r.Process, Tenant: r.Tenant, Project: r.Project,
	}}
}

func variables(rows []row) (all []Variable) {
	for _, r := range rows {
		all = append(all, r.variable())
	}
	return all
}

// TestPrecedence holds the choice of values against the public documentation.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/precedence.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Source          string
		Tenant, Project []row
		Library         [][]row
		Cases           []struct {
			At struct {
				Environment, Tenant, Channel, Process, Action, Machine, Project string
				Roles                                                           []string
				StepRoles                                                       []string `yaml:"stepRoles"`
				TenantTags                                                      []string `yaml:"tenantTags"`
			}
			Want string
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&groups); err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, g := range groups {
		if kind, where, _ := strings.Cut(g.Source, ": "); !slices.Contains([]string{"docs", "blog", "issue"}, kind) || where == "" {
			t.Errorf("a group has no source: %q", g.Source)
		}
		sets := Sets{Tenant: variables(g.Tenant), Project: variables(g.Project)}
		for _, set := range g.Library {
			sets.Library = append(sets.Library, variables(set))
		}
		for _, c := range g.Cases {
			cases++
			at := Place{
				Environment: c.At.Environment, Tenant: c.At.Tenant, Channel: c.At.Channel, ProcessOwner: c.At.Process, Action: c.At.Action,
				Machine: c.At.Machine, Project: c.At.Project, Roles: c.At.Roles, StepRoles: c.At.StepRoles, TenantTags: c.At.TenantTags,
			}
			if got, ok := Resolve(sets, at).Lookup("v"); got != c.Want && (ok || c.Want != "none") {
				t.Errorf("%s\nat %+v: got %q, want %q", g.Source, c.At, got, c.Want)
			}
		}
	}
	t.Logf("%d cases", cases)
	if cases < 60 {
		t.Errorf("%d cases, want at least 60", cases)
	}
}

// TestResolveEqualsTheRulesAsWritten compares with a slow model that says the rules one by one: of two values that apply
// the one with the higher dimension, and then the next, down to where it is defined.
func TestResolveEqualsTheRulesAsWritten(t *testing.T) {
	t.Parallel()
	ids := func(label string) *rapid.Generator[[]string] {
		return rapid.SliceOfN(rapid.SampledFrom([]string{label + "1", label + "2"}), 0, 2)
	}
	id := func(t *rapid.T, label string) string {
		return rapid.SampledFrom([]string{"", label + "1", strings.ToUpper(label) + "2"}).Draw(t, label)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		set := rapid.Custom(func(t *rapid.T) Variable {
			n++
			return Variable{Name: rapid.SampledFrom([]string{"A", "a", "B"}).Draw(t, "name"), Value: fmt.Sprint(n), Scope: Scope{
				Environment: ids("e").Draw(t, "e"), Machine: ids("m").Draw(t, "m"), Role: ids("r").Draw(t, "r"), Action: ids("a").Draw(t, "a"),
				Channel: ids("c").Draw(t, "c"), TenantTag: ids("g").Draw(t, "g"), ProcessOwner: ids("p").Draw(t, "p"), Tenant: ids("t").Draw(t, "t"),
				Project: ids("j").Draw(t, "j"),
			}}
		})
		list := rapid.SliceOfN(set, 0, 6)
		sets := Sets{Tenant: list.Draw(t, "tenant"), Project: list.Draw(t, "project"), Library: [][]Variable{list.Draw(t, "first"), list.Draw(t, "second")}}
		at := Place{
			Environment: id(t, "e"), Machine: id(t, "m"), Action: id(t, "a"), Channel: id(t, "c"), ProcessOwner: id(t, "p"), Tenant: id(t, "t"),
			Project: id(t, "j"), Roles: ids("r").Draw(t, "roles"), StepRoles: ids("r").Draw(t, "step"), TenantTags: ids("g").Draw(t, "tags"),
		}
		got := Resolve(sets, at)
		for _, name := range []string{"A", "B"} {
			want, found := model(sets, at, name)
			if value, ok := got.Lookup(name); ok != found || value != want {
				t.Fatalf("%s is %q %v, want %q %v", name, value, ok, want, found)
			}
		}
	})
}

func model(sets Sets, at Place, name string) (best string, found bool) {
	has := func(ids []string, here ...string) bool {
		return slices.ContainsFunc(ids, func(id string) bool {
			return slices.ContainsFunc(here, func(h string) bool { return h != "" && strings.EqualFold(id, h) })
		})
	}
	var most string
	consider := func(v Variable, tenants bool) {
		rank := ""
		mark := func(named, fits bool) bool {
			if named {
				rank += "1"
			} else {
				rank += "0"
			}
			return !named || fits
		}
		s := v.Scope
		var both []string
		for _, r := range at.Roles {
			if has(at.StepRoles, r) {
				both = append(both, r)
			}
		}
		targeted := has(s.Role, both...)
		fits := []bool{
			mark(len(s.Action) > 0, has(s.Action, at.Action)),
			mark(len(s.Machine) > 0, has(s.Machine, at.Machine)),
			mark(targeted, true),
			mark(len(s.Role) > 0, has(s.Role, at.Roles...)),
			mark(len(s.Tenant) > 0 || tenants, len(s.Tenant) == 0 || has(s.Tenant, at.Tenant)),
			mark(len(s.TenantTag) > 0, has(s.TenantTag, at.TenantTags...)),
			mark(len(s.Environment) > 0, has(s.Environment, at.Environment)),
			mark(len(s.Channel) > 0, has(s.Channel, at.Channel)),
			mark(len(s.ProcessOwner) > 0, has(s.ProcessOwner, at.ProcessOwner)),
			mark(len(s.Project) > 0, has(s.Project, at.Project)),
		}
		if strings.EqualFold(v.Name, name) && !slices.Contains(fits, false) && (!found || rank > most) {
			best, most, found = v.Value, rank, true
		}
	}
	for _, v := range sets.Tenant {
		consider(v, true)
	}
	for _, v := range slices.Concat(append([][]Variable{sets.Project}, sets.Library...)...) {
		consider(v, false)
	}
	return best, found
}

func manyVariables() Sets {
	var sets Sets
	for i := range 200 {
		v := Variable{ID: fmt.Sprint(i), Name: fmt.Sprintf("Project.Setting%d.Value", i), Value: "value #{Project.Name}"}
		sets.Project = append(sets.Project, v)
		v.Scope = Scope{Environment: []string{"Environments-1", "Environments-2"}, Role: []string{"web"}}
		sets.Project = append(sets.Project, v)
	}
	return sets
}

func BenchmarkResolve(b *testing.B) {
	sets := manyVariables()
	for b.Loop() {
		Resolve(sets, Place{Environment: "Environments-2", Machine: "Machines-1", Roles: []string{"db", "web"}})
	}
}

func BenchmarkTableAt(b *testing.B) {
	table := Compile(manyVariables())
	for b.Loop() {
		table.At(Place{Environment: "Environments-2", Machine: "Machines-1", Roles: []string{"db", "web"}})
	}
}
