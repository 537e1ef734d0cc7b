package octopus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
)

// shared is the folder of input data, which is not part of the project.
func shared(t *testing.T, parts ...string) string {
	t.Helper()
	dir := os.Getenv("ODCM_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	dir = filepath.Join(append([]string{dir}, parts...)...)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no input data at %s; set ODCM_SHARED to its folder", dir)
	}
	return dir
}

// All step templates of the public library go through the types, and a change of one field changes that field only.
func TestStepTemplatesStayWhole(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(shared(t, "step-templates"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 600 {
		t.Fatalf("%d templates, want all 600", len(files))
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw = []byte(strings.TrimPrefix(string(raw), "\ufeff"))
		o, err := octopus.ParseObject(raw)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		template := octopus.ActionTemplate{Object: o}
		sameJSON(t, []byte(text(t, template)), raw)
		if template.Name() == "" || template.ActionType() == "" {
			t.Errorf("%s: no name or type", filepath.Base(file))
		}
		rewritten(t, template, raw)
		if t.Failed() {
			t.Fatal(file)
		}
	}
}

// rewritten takes the template apart through every accessor and puts it together again: nothing may differ but the field
// that is changed, and that change can be undone.
func rewritten(t *testing.T, template octopus.ActionTemplate, raw []byte) {
	t.Helper()
	changed := octopus.ActionTemplate{Object: template.Clone()}
	changed.Set("Properties", changed.Object.Object("Properties"))
	parameters := changed.Parameters()
	for i := range parameters {
		if value, ok := parameters[i].Get("DefaultValue"); ok {
			parameters[i].Set("DefaultValue", parameters[i].DefaultValue())
			if string(value) != "null" && parameters[i].DefaultValue().String() == "" && string(value) != `""` {
				t.Errorf("default value %s reads as empty", value)
			}
		}
	}
	if changed.Has("Parameters") {
		changed.Set("Parameters", parameters)
	}
	values := 0
	for name, value := range changed.Properties() {
		values++
		if b := text(t, value); value.Text() == "" && b != `""` && b != "null" && b[0] != '{' {
			t.Errorf("property %s %s reads as empty", name, b)
		}
	}
	if values != changed.Object.Object("Properties").Len() {
		t.Errorf("%d properties of %d", values, changed.Object.Object("Properties").Len())
	}
	before, had := changed.Get("Version")
	changed.Set("Version", 99)
	if changed.Version() != 99 {
		t.Error("Version was not set")
	}
	if had {
		changed.Set("Version", before)
	} else {
		changed.Delete("Version")
	}
	sameJSON(t, []byte(text(t, changed)), raw)
}

func TestPropertyValue(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`"a < b"`: "a < b", `null`: "", `true`: "true", `12`: "12", `""`: ""} {
		var v octopus.PropertyValue
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			t.Fatal(err)
		}
		if _, sensitive := v.Sensitive(); v.Text() != want || sensitive || text(t, v) != raw {
			t.Errorf("%s reads %q, writes %s", raw, v.Text(), text(t, v))
		}
	}
	var v octopus.PropertyValue
	if err := json.Unmarshal([]byte(`{"HasValue":true,"NewValue":null,"Hint":"API-A"}`), &v); err != nil {
		t.Fatal(err)
	}
	if s, ok := v.Sensitive(); !ok || !s.HasValue || s.NewValue != nil || s.Hint != "API-A" || v.Text() != "" {
		t.Errorf("%+v %v", s, ok)
	}
	if json.Unmarshal([]byte(`[]`), &v) == nil {
		t.Error("an array is no value")
	}
	if got := text(t, octopus.TextValue("<&>")); got != `"<&>"` {
		t.Error(got)
	}
	if got := text(t, octopus.PropertyValue{}); got != "null" {
		t.Error(got)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	for _, v := range []any{octopus.Secret("hunter2"), octopus.SecretValue("hunter2")} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(format, v); strings.Contains(s, "hunter2") {
				t.Errorf("%s of %T shows the secret: %s", format, v, s)
			}
		}
		if b, err := json.Marshal(v); err != nil || !strings.Contains(string(b), "hunter2") {
			t.Errorf("the secret is not written: %s %v", b, err)
		}
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	t.Parallel()
	ordered := []octopus.Version{"", "junk", "2018.1.0", "2019.7.12", "2020.1.0", "2020.5.0-rc.4", "2020.5.0", "2020.5.10", "2022.3.5512", "2025.4.1000"}
	for i := range ordered[1:] {
		a, b := ordered[i], ordered[i+1]
		if a.Valid() && a.Compare(b) >= 0 || b.Compare(a) < 0 {
			t.Errorf("%s is not before %s", a, b)
		}
		if b.Valid() && (!b.AtLeast(a) || !b.AtLeast(b)) || a.AtLeast(b) {
			t.Errorf("AtLeast of %s and %s", a, b)
		}
	}
	if octopus.Version("junk").AtLeast("") {
		t.Error("junk is at least something")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		octopus.Route():                                      "/api",
		octopus.Route("spaces"):                              "/api/spaces",
		octopus.SpaceRoute("", "environments"):               "/api/environments",
		octopus.SpaceRoute("Spaces-1", "projects", "a/b ü?"): "/api/Spaces-1/projects/a%2Fb%20%C3%BC%3F",
		octopus.SpaceRoute("Spaces-1", "projects", ".."):     "/api/Spaces-1/projects/%2E%2E",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	template := "/api/Spaces-1/tasks{/id}{?skip,take,name}"
	for _, c := range []struct {
		template string
		values   map[string]string
		want     string
	}{
		{template, nil, "/api/Spaces-1/tasks"},
		{template, map[string]string{"id": "ServerTasks-1"}, "/api/Spaces-1/tasks/ServerTasks-1"},
		{template, map[string]string{"take": "5", "name": "a b&c"}, "/api/Spaces-1/tasks?take=5&name=a+b%26c"},
		{"/x/{typeOrId}/logo{?cb}", map[string]string{"typeOrId": "../a"}, "/x/..%2Fa/logo"},
		{"/x?a=1{&b}", map[string]string{"b": "2"}, "/x?a=1&b=2"},
		{"/x{open", map[string]string{"open": "y"}, "/x{open"},
		{"plain", nil, "plain"},
	} {
		if got := octopus.Expand(c.template, c.values); got != c.want {
			t.Errorf("%s: got %s, want %s", c.template, got, c.want)
		}
	}
}

func TestParseError(t *testing.T) {
	t.Parallel()
	e, ok := octopus.ParseError([]byte(`{"ErrorMessage":"There was a problem with your request.","Errors":["Name is required."],"ParsedHelpLinks":null,"HelpText":"h","Details":{"a":1}}`))
	if !ok || e.ErrorMessage == "" || !slices.Equal(e.Errors, []string{"Name is required."}) || e.HelpText != "h" || e.Details.Int("a") != 1 {
		t.Errorf("%+v %v", e, ok)
	}
	for _, s := range []string{`<html>`, `{}`, `{"error":"x"}`, ``, `[]`} {
		if _, ok := octopus.ParseError([]byte(s)); ok {
			t.Errorf("%s is read as an error of Octopus", s)
		}
	}
	b, err := json.Marshal(octopus.Error{ErrorMessage: "none"})
	if err != nil || string(b) != `{"ErrorMessage":"none"}` {
		t.Errorf("a 404 must have no Errors: %s %v", b, err)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	p := octopus.PermissionSet{Object: parse(t, `{"SystemPermissions":["SpaceView"],"IsTeamsComplete":true,"IsPermissionsComplete":false,"SpacePermissions":{
		"EnvironmentView":[{"SpaceId":"Spaces-1","RestrictedToEnvironmentIds":[]}],
		"ProjectView":[{"SpaceId":"Spaces-1","RestrictedToProjectIds":["Projects-1"]}]}}`)}
	for _, c := range []struct {
		permission, space string
		want              bool
	}{{"SpaceView", "", true}, {"SpaceView", "Spaces-2", true}, {"EnvironmentView", "Spaces-1", true}, {"EnvironmentView", "Spaces-2", false},
		{"EnvironmentView", "", false}, {"ProjectView", "Spaces-1", false}, {"TeamView", "Spaces-1", false}} {
		if got := p.Has(c.permission, c.space); got != c.want {
			t.Errorf("%s in %q: %v", c.permission, c.space, got)
		}
	}
	if p.Complete() || len(p.InSpaces("ProjectView")) != 1 {
		t.Error("Complete or InSpaces")
	}
}

func TestServerResources(t *testing.T) {
	t.Parallel()
	nodes := octopus.Nodes{Object: parse(t, `{"Nodes":[{"Id":"OctopusServerNodes-a","Name":"a","MaxConcurrentTasks":5,"IsInMaintenanceMode":true,"LastSeen":"2026-08-01T10:00:00.000+00:00","IsLeader":true,"IsOffline":false,"RunningTaskCount":2}]}`)}.Nodes()
	if len(nodes) != 1 || !nodes[0].IsDraining() || !nodes[0].IsLeader() || nodes[0].IsOffline() || nodes[0].TaskCap() != 5 || nodes[0].RunningTasks() != 2 || nodes[0].LastSeen().Year() != 2026 {
		t.Errorf("%+v", nodes)
	}
	licence := octopus.LicenceStatus{Object: parse(t, `{"IsCompliant":true,"LicenseKind":"Trial","DaysToEffectiveExpiryDate":null,"Limits":[{"Name":"Projects","EffectiveLimit":10,"CurrentUsage":3,"IsUnlimited":false,"Disposition":"Information"}]}`)}
	if _, expires := licence.ExpiresInDays(); expires || !licence.IsCompliant() || licence.Kind() != "Trial" || licence.Limits()[0].CurrentUsage != 3 {
		t.Errorf("%+v", licence.Limits())
	}
	task := octopus.Task{Object: parse(t, `{"State":"Failed","ErrorMessage":"x","HasPendingInterruptions":true}`)}
	if !task.State().Done() || octopus.Executing.Done() || !task.NeedsAttention() || task.ErrorMessage() != "x" {
		t.Error("task")
	}
	subscription := octopus.NewSubscription("ODCM", "https://odcm/hook", "X-Odcm", "proof")
	if subscription.Name() != "ODCM" || subscription.WebhookURI() != "https://odcm/hook" || subscription.IsDisabled() {
		t.Error(text(t, subscription))
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("/api/Spaces-1/tasks{/id}{?skip,take}", "id", "a/b")
	f.Add("{", "", "")
	f.Fuzz(func(t *testing.T, template, name, value string) {
		out := octopus.Expand(template, map[string]string{name: value})
		if !strings.Contains(template, "{") && out != template {
			t.Errorf("%q became %q without a variable", template, out)
		}
		if strings.HasPrefix(template, "/x/{") && strings.Count(template, "{") == 1 && strings.HasSuffix(template, "}") && strings.Contains(strings.TrimPrefix(out, "/x/"), "../") {
			t.Errorf("%q with %q leads out: %q", template, value, out)
		}
	})
}
