package process

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/problem"
)

// form is a step's page: one step, and one of its actions.
type form struct {
	view
	step, action octopus.Object
	kind         string
	fresh        bool
	inside       bool           // it is one of several in its step
	template     octopus.Object // that the action is made from, if it is
}

// names of the properties that steps of the known types have (Octopus.Action.* in OctopusDeploy/Calamari).
const (
	onServer   = "Octopus.Action.RunOnServer"
	source     = "Octopus.Action.Script.ScriptSource"
	syntax     = "Octopus.Action.Script.Syntax"
	scriptBody = "Octopus.Action.Script.ScriptBody"

	packageID  = "Octopus.Action.Package.PackageId"
	feedID     = "Octopus.Action.Package.FeedId"
	features   = "Octopus.Action.EnabledFeatures"
	directory  = "Octopus.Action.Package.CustomInstallationDirectory"
	purge      = "Octopus.Action.Package.CustomInstallationDirectoryShouldBePurgedBeforeDeployment"
	substitute = "Octopus.Action.SubstituteInFiles.TargetFiles"
	deployBash = "Octopus.Action.CustomScripts.Deploy.sh"

	instructions = "Octopus.Action.Manual.Instructions"
	responsible  = "Octopus.Action.Manual.ResponsibleTeamIds"

	templateID      = "Octopus.Action.Template.Id"
	templateVersion = "Octopus.Action.Template.Version"
)

func readForm(v *visit.Visit) form {
	f := form{view: read(v)}
	if id := v.Path("step"); id != "" {
		i := slices.IndexFunc(f.steps, func(s octopus.Object) bool { return s.Text("Id") == id })
		if i < 0 {
			v.Fail(problem.NotFound("Step", id))
			return f
		}
		f.step, f.action = f.steps[i], first(f.steps[i])
		if f.inside = len(f.step.Objects("Actions")) > 1; strings.HasSuffix(v.Here(), "/add") {
			f.begin(v)
			f.inside = true
			return f
		}
		for _, a := range f.step.Objects("Actions") {
			if a.Text("Id") == v.Query("action") {
				f.action = a
			}
		}
		f.kind = f.action.Text("ActionType")
		if id := property(f.action, templateID); id != "" {
			f.template = v.Try("actiontemplates/" + id)
		}
		return f
	}
	f.begin(v)
	return f
}

// begin makes the action that is to be added.
func (f *form) begin(v *visit.Visit) {
	if !f.may && v.Err() == nil {
		v.Fail(problem.Denied("ProcessEdit"))
	}
	f.fresh, f.kind = true, types[0].kind
	if kind := v.Query("type"); slices.ContainsFunc(types, func(t struct{ kind, label, detail, icon string }) bool { return t.kind == kind }) {
		f.kind = kind
	}
	if id := v.Query("template"); id != "" {
		f.template = v.Get("actiontemplates/" + id)
		f.kind = f.template.Text("ActionType")
	}
	properties := f.starts()
	if _, runs := properties[onServer]; runs && property(f.step, rolesProperty) != "" {
		properties[onServer] = "False" // where the step's others run
	}
	f.action, _ = octopus.NewObject(map[string]any{"ActionType": f.kind, "Properties": properties})
}

// starts are the properties of a new step.
func (f form) starts() map[string]any {
	if f.template.Len() > 0 {
		all := map[string]any{}
		for name := range f.template.Object("Properties").All() {
			raw, _ := f.template.Object("Properties").Get(name)
			all[name] = raw
		}
		all[templateID], all[templateVersion] = f.template.Text("Id"), strconv.FormatInt(f.template.Int("Version"), 10)
		return all
	}
	switch f.kind {
	case "Octopus.Script":
		return map[string]any{onServer: "True", source: "Inline", syntax: "Bash", scriptBody: ""}
	case "Octopus.TentaclePackage":
		return map[string]any{feedID: "feeds-builtin"}
	}
	return map[string]any{}
}

func edit(v *visit.Visit) visit.Page {
	f := readForm(v)
	label, _ := typeOf(f.kind)
	if f.template.Len() > 0 {
		label = f.template.Text("Name")
	}
	title := f.step.Text("Name")
	switch {
	case f.fresh && f.inside:
		title = "New step in " + title
	case f.fresh:
		title = "New step"
	case f.inside:
		title += ": " + f.action.Text("Name")
	}
	return f.page(v, visit.Page{Title: title, Intro: label, Body: stepForm(v, f)})
}

// save writes the step as the form says. What the form does not show stays as it is.
func save(v *visit.Visit) (string, string) {
	f := readForm(v)
	if v.Err() != nil {
		return "", ""
	}
	name := v.Form("Name")
	properties := map[string]any{}
	for member := range f.action.Object("Properties").All() {
		properties[member], _ = f.action.Object("Properties").Get(member)
	}
	maps.Copy(properties, f.typed(v))
	for member, value := range properties {
		if value == "" {
			delete(properties, member)
		}
	}
	f.action.Set("Properties", properties)
	f.action.Set("Name", name)
	f.action.Set("Notes", orNull(v.Text("Notes")))
	f.action.Set("IsRequired", v.Flag("IsRequired"))
	f.action.Set("IsDisabled", v.Flag("IsDisabled"))
	for _, member := range []string{"Environments", "ExcludedEnvironments", "Channels"} {
		f.action.Set(member, v.Forms(member))
	}
	f.action.Set("TenantTags", v.Lines("TenantTags"))
	if f.kind == "Octopus.TentaclePackage" && f.template.Len() == 0 {
		f.choosePackage(v)
	}
	f.arrange(v, name)
	if f.fresh && !f.inside {
		f.steps = append(f.steps, f.step)
	} else {
		for i := range f.steps {
			if f.steps[i].Text("Id") == f.step.Text("Id") {
				f.steps[i] = f.step
			}
		}
	}
	f.put(v)
	if f.fresh {
		return f.path(v), "Added the step " + name + "."
	}
	return f.path(v), "Saved the step " + name + "."
}

// typed are the properties that the form of the step's type has.
func (f form) typed(v *visit.Visit) map[string]any {
	all := map[string]any{}
	if f.template.Len() > 0 {
		for _, p := range f.template.Objects("Parameters") {
			name := p.Text("Name")
			switch {
			case control(p) == "Checkbox":
				all[name] = truth(v.Flag("property." + name))
			case control(p) == "Sensitive" && v.Text("property."+name) == "":
			case control(p) == "Sensitive":
				all[name] = map[string]any{"HasValue": true, "NewValue": v.Text("property." + name)}
			default:
				all[name] = v.Text("property." + name)
			}
		}
		return all
	}
	switch f.kind {
	case "Octopus.Script":
		all[source] = "Inline"
		all[syntax] = v.Form("Syntax")
		all[scriptBody] = v.Text("Script")
		all[onServer] = truth(v.Form("Where") != "targets")
	case "Octopus.TentaclePackage":
		all[packageID], all[feedID] = v.Form("PackageId"), v.Form("FeedId")
		all[directory], all[purge] = v.Form("Directory"), truth(v.Flag("Purge") && v.Form("Directory") != "")
		all[substitute], all[deployBash] = v.Text("Substitute"), v.Text("DeployScript")
		var on []string
		for feature, value := range map[string]string{"Octopus.Features.CustomDirectory": v.Form("Directory"), "Octopus.Features.SubstituteInFiles": v.Text("Substitute"), "Octopus.Features.CustomScripts": v.Text("DeployScript")} {
			if value != "" {
				on = append(on, feature)
			}
		}
		slices.Sort(on)
		all[features] = strings.Join(on, ",")
		all["Octopus.Action.SubstituteInFiles.Enabled"] = truth(v.Text("Substitute") != "")
	case "Octopus.Manual":
		all[instructions] = v.Text("Instructions")
		all[responsible] = strings.Join(v.Forms("Teams"), ",")
	default:
		for name := range f.action.Object("Properties").All() {
			if f.action.Object("Properties").Text(name) != "" || v.Text("property."+name) != "" {
				all[name] = v.Text("property." + name)
			}
		}
	}
	return all
}

// choosePackage makes the package the action's first: it has no name, by which clients know the one that is deployed.
func (f *form) choosePackage(v *visit.Visit) {
	packages := f.action.Objects("Packages")
	if len(packages) == 0 {
		packages = make([]octopus.Object, 1)
	}
	for name, value := range map[string]any{"Name": "", "PackageId": v.Form("PackageId"), "FeedId": v.Form("FeedId"), "AcquisitionLocation": "Server"} {
		packages[0].Set(name, value)
	}
	f.action.Set("Packages", packages)
}

// arrange puts the action into its step, and what belongs to the step as a whole.
func (f *form) arrange(v *visit.Visit, name string) {
	actions := f.step.Objects("Actions")
	switch {
	case !f.inside:
		f.step.Set("Name", name)
		actions = []octopus.Object{f.action}
	case f.fresh:
		actions = append(actions, f.action)
	}
	for i := range actions {
		if actions[i].Text("Id") == f.action.Text("Id") {
			actions[i] = f.action
		}
	}
	f.step.Set("Actions", actions)
	f.step.Set("Condition", v.Form("Condition"))
	f.step.Set("StartTrigger", v.Form("StartTrigger"))
	properties := f.step.Object("Properties")
	keep := func(name, value string) {
		properties.Set(name, value)
		if value == "" {
			properties.Delete(name)
		}
	}
	if f.kind != "Octopus.Manual" {
		roles := strings.Join(v.Lines("Roles"), ",")
		if f.kind == "Octopus.Script" && f.template.Len() == 0 && v.Form("Where") == "server" && !f.inside {
			roles = ""
		}
		keep(rolesProperty, roles)
		keep(windowProperty, v.Form("Window"))
	}
	keep(whenProperty, "")
	if v.Form("Condition") == "Variable" {
		keep(whenProperty, v.Form("Expression"))
	}
	f.step.Set("Properties", properties)
}

// where tells on what a script runs: the server, the server for each target, the targets.
func (f form) where() string {
	switch {
	case !strings.EqualFold(property(f.action, onServer), "true"):
		return "targets"
	case property(f.step, rolesProperty) != "":
		return "behalf"
	}
	return "server"
}

func (f form) value(name string) string { return property(f.action, name) }

func (f form) on(name string) bool { return strings.EqualFold(property(f.action, name), "true") }

// others are the properties of a type that has no form here.
func (f form) others() []string {
	var names []string
	for name := range f.action.Object("Properties").All() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func control(parameter octopus.Object) string {
	return parameter.Object("DisplaySettings").Text("Octopus.ControlType")
}

// choices are the lines of a parameter's select options: "value|label".
func choices(parameter octopus.Object) []design.Option {
	var list []design.Option
	for line := range strings.Lines(parameter.Object("DisplaySettings").Text("Octopus.SelectOptions")) {
		value, label, ok := strings.Cut(strings.TrimSpace(line), "|")
		if !ok {
			label = value
		}
		list = append(list, design.Option{Value: value, Label: label})
	}
	return list
}

// parameter is the value of a template's parameter in the action, or the default.
func (f form) parameter(p octopus.Object) string {
	if f.action.Object("Properties").Has(p.Text("Name")) {
		return f.value(p.Text("Name"))
	}
	return p.Text("DefaultValue")
}

func truth(on bool) string {
	if on {
		return "True"
	}
	return "False"
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
