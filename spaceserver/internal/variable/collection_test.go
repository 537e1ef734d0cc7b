package variable

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"odcm/octopus"
	"odcm/spaceserver/internal/substitution"
)

func TestCollection(t *testing.T) {
	t.Parallel()
	c := Resolve(Sets{}, Place{})
	c.Set("Server", "db01", false)
	c.Set("Password", "hunter2!", true)
	c.Set("Connection", "Server=#{Server};Password=#{password}", false)
	c.Set("Basic", "#{Connection | ToBase64}", false)
	c.Set("HasPassword", "#{if Password}yes#{/if}", false)
	c.Set("Loop", "#{Loop}", false)
	c.Set("Broken", "#{if x}", false)
	c.Set("Script", "echo #{not closed", false)
	c.Set("Nothing", "#{ | null}", false)
	c.Set("SECRET.composite", "x#{Server}", true)

	for name, want := range map[string]string{"connection": "Server=db01;Password=hunter2!", "HasPassword": "yes", "Script": "echo #{not closed", "Broken": "#{if x}"} {
		if got, ok, err := c.Get(name); got != want || !ok || err != nil {
			t.Errorf("%s is %q, %v, %v; want %q", name, got, ok, err, want)
		}
	}
	if _, ok, err := c.Get("Nothing"); ok || err != nil {
		t.Error("a value that is null is one")
	}
	if _, _, err := c.Get("loop"); !errors.Is(err, substitution.ErrLoop) {
		t.Errorf("loop: %v", err)
	}
	for name, want := range map[string]bool{"Password": true, "Connection": true, "Basic": true, "HasPassword": false, "Server": false, "Loop": false, "none": false} {
		if c.Sensitive(name) != want {
			t.Errorf("%s is sensitive: %v", name, !want)
		}
	}
	want := []string{"U2VydmVyPWRiMDE7UGFzc3dvcmQ9aHVudGVyMiE=", "x#{Server}", "hunter2!", "xdb01"}
	if got := c.Secrets(); !slices.Equal(got, want) {
		t.Errorf("secrets %q, want %q", got, want)
	}
	for text, want := range map[string]bool{"#{Server}": true, "#{missing}": false, "x#{missing}": false, "#{HasPassword}": true, "#{if": false, "": false, "no": false} {
		if got, err := c.Truthy(text); got != want || err != nil {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	if _, ok := maps.Collect(c.All())["Nothing"]; ok {
		t.Error("a value that is null is walked")
	}
}

func TestNamesComeInTheOrderOfSetting(t *testing.T) {
	t.Parallel()
	c := &Collection{}
	for _, name := range []string{"Octopus.Action[Z].Name", "Octopus.Action[A].Name", "octopus.action[m].name", "Other"} {
		c.Set(name, name, false)
	}
	c.Set("OCTOPUS.action[z].NAME", "again", false)
	if got, want := strings.Join(c.Names("octopus.ACTION["), " "), "Octopus.Action[Z].Name Octopus.Action[A].Name octopus.action[m].name"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if r, err := c.Expand("#{each a in Octopus.Action}#{a};#{/each}"); err != nil || r.Text != "Z;A;m;" {
		t.Errorf("got %q, %v", r.Text, err)
	}
}

func TestCloneIsItsOwn(t *testing.T) {
	t.Parallel()
	a := &Collection{}
	a.Set("x", "1", true)
	a.Names("")
	b := a.Clone()
	b.Set("X", "2", false)
	b.Set("y", "3", false)
	if got, _ := a.Lookup("x"); got != "1" || !a.Sensitive("x") || len(a.Names("")) != 1 || len(b.Names("")) != 2 || b.Sensitive("x") {
		t.Error("a change to the clone shows in the original")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	sets := Sets{
		Project: []Variable{{ID: "1", Name: "Asked", Value: "default", Prompt: &Prompt{}}, {ID: "2", Name: "Fixed", Value: "fixed"}},
		Library: [][]Variable{{{ID: "3", Name: "Secret", Value: "old", Sensitive: true, Prompt: &Prompt{Required: true}}, {ID: "4", Name: "Kept", Value: "kept", Prompt: &Prompt{}}}},
	}
	c := Resolve(sets.Answer(map[string]string{"1": "", "2": "no", "3": "new"}), Place{})
	for name, want := range map[string]string{"Asked": "", "Fixed": "fixed", "Secret": "new", "Kept": "kept"} {
		if got, _, _ := c.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got, _, _ := Resolve(sets, Place{}).Get("Secret"); got != "old" || !c.Sensitive("Secret") {
		t.Error("an answer changed the sets, or is no secret")
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	set, err := octopus.ParseObject([]byte(`{"Id": "variableset-Projects-1", "Variables": [
		{"Id": "a", "Name": "Plain", "Value": "v", "Type": "String", "IsSensitive": false,
		 "Scope": {"Environment": ["Environments-1"], "role": ["web", "db"], "ProcessOwner": "Projects-1", "User": ["x"]},
		 "Prompt": {"Label": "L", "Description": "D", "Required": true, "DisplaySettings": {"Octopus.ControlType": "Checkbox"}}},
		{"Id": "b", "Name": "Secret", "Value": null, "Type": "Sensitive", "IsSensitive": true, "Scope": {}, "Prompt": null},
		{"Id": "c", "Name": "Unopened", "Value": "leak", "Type": "Sensitive", "IsSensitive": true},
		{"Id": "d", "Name": "", "Value": "nameless"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := Read(set, map[string]string{"/Variables/b/Value": "s3cret"})
	if len(got) != 3 {
		t.Fatalf("%d variables", len(got))
	}
	a := got[0]
	if a.Value != "v" || a.Origin != "variableset-Projects-1" || !slices.Equal(a.Scope.Role, []string{"web", "db"}) ||
		!slices.Equal(a.Scope.ProcessOwner, []string{"Projects-1"}) || !slices.Equal(a.Scope.Environment, []string{"Environments-1"}) {
		t.Errorf("read %+v", a)
	}
	if p := a.Prompt; p == nil || p.Label != "L" || !p.Required || p.Display["Octopus.ControlType"] != "Checkbox" || got[1].Prompt != nil {
		t.Errorf("prompt %+v", p)
	}
	if !got[1].Sensitive || got[1].Value != "s3cret" || got[2].Value != "" {
		t.Errorf("secrets %+v", got[1:])
	}
}

func BenchmarkExpand(b *testing.B) {
	c := Resolve(manyVariables(), Place{Environment: "Environments-1", Roles: []string{"web"}})
	c.Set("Project.Name", "name", false)
	for b.Loop() {
		if got, _, _ := c.Get("Project.Setting7.Value"); got != "value name" {
			b.Fatal(got)
		}
	}
}
