// Package library is the pages of what projects share: variable sets, script modules, step templates, packages, feeds,
// lifecycles and tag sets.
package library

import (
	"net/url"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/catalog"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/permission"
)

const base = "library/"

// Serve adds the pages.
func Serve(d *visit.Desk) {
	d.Show("/app/{space}/library", func(v *visit.Visit) visit.Page {
		for _, t := range tabs(v, "") {
			v.Leave(t.Href)
			break
		}
		return visit.Page{Title: "Library", Nav: visit.Library}
	})
	for _, k := range []*catalog.Kind{sets(), templates(), feeds(), tagSets()} {
		k.Serve(d)
	}
	serveModules(d, "/app/{space}/library/modules")
	serveLifecycles(d, "/app/{space}/library/lifecycles")
	servePackages(d, "/app/{space}/library/packages")
}

func tabs(v *visit.Visit, on string) []design.Tab {
	var list []design.Tab
	for _, t := range []struct {
		label, path string
		needs       permission.Name
	}{{"Variable sets", "sets", "LibraryVariableSetView"}, {"Script modules", "modules", "LibraryVariableSetView"}, {"Step templates", "templates", "ActionTemplateView"}, {"Packages", "packages", "FeedView"},
		{"Feeds", "feeds", "FeedView"}, {"Lifecycles", "lifecycles", "LifecycleView"}, {"Tag sets", "tagsets", "TenantView"}} {
		if v.May(t.needs) {
			list = append(list, design.Tab{Label: t.label, Href: v.To(base + t.path), On: base+t.path == on})
		}
	}
	return list
}

func sets() *catalog.Kind {
	return &catalog.Kind{
		One: "variable set", Many: "Variable sets", Icon: "tag", Nav: visit.Library, Base: base + "sets", Route: "libraryvariablesets", Query: "contentType=Variables", Tabs: tabs,
		Intro: "Variables that several projects include.", Empty: "Put variables that several projects need into a set, and include it in their settings.",
		View: "LibraryVariableSetView", Create: "LibraryVariableSetCreate", Edit: "LibraryVariableSetEdit", Delete: "LibraryVariableSetDelete", Start: map[string]any{"ContentType": "Variables"},
		Columns: []catalog.Column{{Label: "Description", Text: catalog.Member("Description")}, {Label: "Variables", Cell: variablesLink}},
		Fields: []catalog.Field{{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "Templates", Label: "Variables that each tenant gives", As: catalog.Area, Help: "One a line: Name | Label | default.", Get: parameterLines, Put: putParameters}},
		Actions: variablesButton,
	}
}

func tagSets() *catalog.Kind {
	return &catalog.Kind{
		One: "tag set", Many: "Tag sets", Icon: "tag", Nav: visit.Library, Base: base + "tagsets", Route: "tagsets", Tabs: tabs,
		Intro: "Tags group tenants.", Empty: "With tags tenants can be chosen by what they are: a region, a ring, a plan.",
		View: "TenantView", Create: "TagSetCreate", Edit: "TagSetEdit", Delete: "TagSetDelete", Start: map[string]any{},
		Columns: []catalog.Column{{Label: "Tags", Text: func(_ *visit.Visit, o octopus.Object) string {
			return strings.ReplaceAll(tagLines(o), "\n", ", ")
		}}},
		Fields: []catalog.Field{{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "Tags", Label: "Tags", As: catalog.Area, Help: "One a line.", Get: tagLines, Put: putTags}},
	}
}

func tagLines(o octopus.Object) string {
	var names []string
	for _, t := range o.Objects("Tags") {
		names = append(names, t.Text("Name"))
	}
	return strings.Join(names, "\n")
}

// putTags keeps the tags that there are: tenants name them.
func putTags(_ *visit.Visit, o *octopus.Object, text string) {
	known := map[string]octopus.Object{}
	for _, t := range o.Objects("Tags") {
		known[t.Text("Name")] = t
	}
	list := []octopus.Object{}
	for line := range strings.Lines(text) {
		if name := strings.TrimSpace(line); name != "" {
			t := known[name]
			t.Set("Name", name)
			if !t.Has("Color") {
				t.Set("Color", "#0D80D8")
			}
			list = append(list, t)
		}
	}
	o.Set("Tags", list)
}

var feedTypes = []catalog.Type{{Value: "NuGet", Label: "NuGet"}, {Value: "Docker", Label: "Container registry"}, {Value: "Maven", Label: "Maven"}, {Value: "GitHub", Label: "GitHub"}, {Value: "Helm", Label: "Helm"}}

func feeds() *catalog.Kind {
	return &catalog.Kind{
		One: "feed", Many: "Feeds", Icon: "globe", Nav: visit.Library, Base: base + "feeds", Route: "feeds", Tabs: tabs,
		Intro: "Where packages come from. The built-in feed is this server's own.", Empty: "The built-in feed is always there.",
		View: "FeedView", Create: "FeedEdit", Edit: "FeedEdit", Delete: "FeedEdit", Type: "FeedType", Types: feedTypes, Start: map[string]any{},
		Columns: []catalog.Column{{Label: "Type", Text: func(_ *visit.Visit, o octopus.Object) string { return o.Text("FeedType") }}, {Label: "Address", Text: catalog.Member("FeedUri")}},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true},
			{Path: "FeedUri", Label: "Address", Types: []string{"NuGet", "Docker", "Maven", "GitHub", "Helm"}, Required: true, Placeholder: "https://"},
			{Path: "Username", Label: "Username", Types: []string{"NuGet", "Docker", "Maven", "GitHub", "Helm"}},
			{Path: "Password", Label: "Password", As: catalog.Secret, Types: []string{"NuGet", "Docker", "Maven", "GitHub", "Helm"}},
			{Path: "ApiVersion", Label: "API version", Types: []string{"Docker"}, Placeholder: "v2"},
			{Path: "EnhancedMode", Label: "Find packages the fast way", As: catalog.Flag, Types: []string{"NuGet"}},
		},
	}
}

// Properties of the script that a step template runs.
const (
	syntax = "Octopus.Action.Script.Syntax"
	body   = "Octopus.Action.Script.ScriptBody"
)

func property(name string) func(o octopus.Object) string {
	return func(o octopus.Object) string { return o.Object("Properties").Text(name) }
}

func putProperty(name string) func(*visit.Visit, *octopus.Object, string) {
	return func(_ *visit.Visit, o *octopus.Object, text string) {
		properties := o.Object("Properties")
		properties.Set(name, text)
		properties.Set("Octopus.Action.Script.ScriptSource", "Inline")
		if !properties.Has("Octopus.Action.RunOnServer") {
			properties.Set("Octopus.Action.RunOnServer", "True")
		}
		o.Set("Properties", properties)
	}
}

func templates() *catalog.Kind {
	script := []string{"Octopus.Script"}
	return &catalog.Kind{
		One: "step template", Many: "Step templates", Icon: "layers", Nav: visit.Library, Base: base + "templates", Route: "actiontemplates", Tabs: tabs,
		Intro: "Steps that several processes use, with what differs as parameters.", Empty: "Make a script that is needed in many places a step template.",
		View: "ActionTemplateView", Create: "ActionTemplateCreate", Edit: "ActionTemplateEdit", Delete: "ActionTemplateDelete", Type: "ActionType",
		Types: []catalog.Type{{Value: "Octopus.Script", Label: "Run a script"}}, Start: map[string]any{"Properties": map[string]any{syntax: "Bash"}},
		Columns: []catalog.Column{{Label: "Description", Text: catalog.Member("Description")}, {Label: "Version", Text: catalog.Member("Version"), Number: true}},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "Parameters", Label: "Parameters", As: catalog.Area, Help: "One a line: Name | Label | default.", Get: parameterLines, Put: putParameters},
			{Path: "Syntax", Label: "Language", As: catalog.Choice, Required: true, Types: script, Options: catalog.Static("Bash", "Bash", "PowerShell", "PowerShell", "Python", "Python"), Get: property(syntax), Put: putProperty(syntax)},
			{Path: "Script", Label: "Script", As: catalog.Code, Required: true, Types: script, Get: property(body), Put: putProperty(body)},
		},
		More: templateUsage,
	}
}

// parameterLines are templates of variables or parameters of steps, one a line.
func parameterLines(o octopus.Object) string {
	list := o.Objects("Parameters")
	if !o.Has("Parameters") {
		list = o.Objects("Templates")
	}
	var lines []string
	for _, p := range list {
		lines = append(lines, strings.TrimRight(p.Text("Name")+" | "+p.Text("Label")+" | "+p.Text("DefaultValue"), " |"))
	}
	return strings.Join(lines, "\n")
}

func putParameters(_ *visit.Visit, o *octopus.Object, text string) {
	member := "Templates"
	if o.Has("Parameters") || o.Has("ActionType") {
		member = "Parameters"
	}
	known := map[string]octopus.Object{}
	for _, p := range o.Objects(member) {
		known[p.Text("Name")] = p
	}
	list := []octopus.Object{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line)+"||", "|", 3)
		name := strings.TrimSpace(parts[0])
		if name == "" {
			continue
		}
		p := known[name]
		p.Set("Name", name)
		p.Set("Label", strings.TrimSpace(parts[1]))
		p.Set("DefaultValue", strings.TrimSpace(strings.TrimRight(parts[2], "|")))
		if !p.Has("DisplaySettings") {
			p.Set("DisplaySettings", map[string]string{"Octopus.ControlType": "SingleLineText"})
		}
		list = append(list, p)
	}
	o.Set(member, list)
}

// Script modules are library sets with one variable, which holds the script (LibraryVariableSetResource).
func moduleVariable(name string) string { return "Octopus.Script.Module[" + name + "]" }

func moduleLanguage(name string) string { return "Octopus.Script.Module.Language[" + name + "]" }

func serveModules(d *visit.Desk, path string) {
	d.Show(path, func(v *visit.Visit) visit.Page {
		return visit.Page{Title: "Script modules", Nav: visit.Library, Tabs: tabs(v, base+"modules"), Intro: "Functions that scripts of several projects use.", Body: modules(v, v.Page("libraryvariablesets?contentType=ScriptModule", 50)), Actions: add(v, "LibraryVariableSetCreate", "Add script module", base+"modules/new")}
	})
	show := func(v *visit.Visit) visit.Page {
		page := visit.Page{Title: "New script module", Nav: visit.Library, Crumbs: []design.Crumb{{Label: "Script modules", Href: v.To(base + "modules")}}}
		m := readModule(v)
		if m.set.Text("Id") == "" {
			v.Need("LibraryVariableSetCreate")
		} else {
			page.Title = m.set.Text("Name")
		}
		page.Body = moduleForm(v, m)
		return page
	}
	save := func(v *visit.Visit) (string, string) {
		m := readModule(v)
		name := v.Form("Name")
		if m.set.Text("Id") == "" {
			m.set = v.Post("libraryvariablesets", map[string]any{"Name": name, "Description": v.Text("Description"), "ContentType": "ScriptModule"})
		} else {
			m.set.Set("Name", name)
			m.set.Set("Description", v.Text("Description"))
			m.set = v.Put("libraryvariablesets/"+m.set.Text("Id"), m.set)
		}
		set := v.Get("variables/" + m.set.Text("VariableSetId"))
		set.Set("Variables", []map[string]any{{"Name": moduleVariable(name), "Value": v.Text("Script"), "Scope": map[string]any{}}, {"Name": moduleLanguage(name), "Value": v.Form("Syntax"), "Scope": map[string]any{}}})
		v.Put("variables/"+m.set.Text("VariableSetId"), set)
		return v.To(base + "modules"), "Saved " + name + "."
	}
	d.Form(path+"/new", show, save)
	d.Form(path+"/{id}", show, save)
	d.Do(path+"/{id}/delete", show, func(v *visit.Visit) (string, string) {
		v.Delete("libraryvariablesets/" + v.Path("id"))
		return v.To(base + "modules"), "Deleted the script module."
	})
}

type module struct {
	set            octopus.Object
	script, syntax string
}

func readModule(v *visit.Visit) module {
	id := v.Path("id")
	if id == "" {
		return module{syntax: "Bash"}
	}
	m := module{set: v.Get("libraryvariablesets/" + id)}
	for _, o := range v.Get("variables/" + m.set.Text("VariableSetId")).Objects("Variables") {
		switch {
		case strings.HasPrefix(o.Text("Name"), "Octopus.Script.Module["):
			m.script = o.Text("Value")
		case strings.HasPrefix(o.Text("Name"), "Octopus.Script.Module.Language["):
			m.syntax = o.Text("Value")
		}
	}
	return m
}

func servePackages(d *visit.Desk, path string) {
	show := func(v *visit.Visit) visit.Page {
		query := ""
		if q := v.Query("q"); q != "" {
			query = "?filter=" + url.QueryEscape(q)
		}
		return visit.Page{Title: "Packages", Nav: visit.Library, Tabs: tabs(v, base+"packages"), Intro: "The built-in feed of this space.", Body: packages(v, v.Page("packages"+query, 50))}
	}
	d.Show(path, show)
	d.Do(path+"/upload", show, func(v *visit.Visit) (string, string) {
		mode := "FailIfExists"
		if v.Query("replace") != "" {
			mode = "OverwriteExisting"
		}
		made := v.Forward("packages/raw?overwriteMode=" + mode)
		return v.To(base + "packages"), "Uploaded " + made.Text("PackageId") + " " + made.Text("Version") + "."
	})
	d.Do(path+"/{id}/delete", show, func(v *visit.Visit) (string, string) {
		v.Delete("packages/" + url.PathEscape(v.Path("id")))
		return v.To(base + "packages"), "Deleted the package."
	})
}
