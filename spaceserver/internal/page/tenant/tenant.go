// Package tenant is the pages of tenants: whom software is deployed for, with which projects, and their variables.
package tenant

import (
	"encoding/json"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/catalog"
	"odcm/spaceserver/internal/page/visit"
)

// Serve adds the pages.
func Serve(d *visit.Desk) {
	k := kind()
	k.Serve(d)
	const base = "/app/{space}/tenants/{id}"
	d.Form(base+"/connect", connectPage, connect)
	d.Form(base+"/variables", variablesPage, saveVariables)
}

func kind() *catalog.Kind {
	return &catalog.Kind{
		One: "tenant", Many: "Tenants", Icon: "users", Nav: visit.Tenants, Base: "tenants", Route: "tenants",
		Intro: "Whom software is deployed for: customers, sites, teams.", Empty: "With tenants one project is deployed many times, each time with values of its own.",
		View: "TenantView", Create: "TenantCreate", Edit: "TenantEdit", Delete: "TenantDelete", Start: map[string]any{},
		Columns: []catalog.Column{
			{Label: "Projects", Number: true, Text: func(_ *visit.Visit, o octopus.Object) string { return number(o.Object("ProjectEnvironments").Len()) }},
			{Label: "Tags", Text: catalog.Member("TenantTags")},
		},
		Fields: []catalog.Field{
			{Path: "Name", Label: "Name", Required: true}, {Path: "Description", Label: "Description", As: catalog.Area},
			{Path: "TenantTags", Label: "Tags", As: catalog.Many, Options: tags},
			{Path: "IsDisabled", Label: "Disabled: nothing is deployed for it", As: catalog.Flag},
		},
		Actions: actions, More: connections,
	}
}

// tags are all the tags there are, by their canonical names.
func tags(v *visit.Visit) []design.Option {
	var list []design.Option
	for _, set := range v.Maybe("tagsets/all") {
		for _, t := range set.Objects("Tags") {
			list = append(list, design.Option{Value: t.Text("CanonicalTagName"), Label: t.Text("CanonicalTagName")})
		}
	}
	return list
}

func crumbs(v *visit.Visit, o octopus.Object) []design.Crumb {
	return []design.Crumb{{Label: "Tenants", Href: v.To("tenants")}, {Label: o.Text("Name"), Href: v.To("tenants", o.Text("Id"))}}
}

func read(v *visit.Visit) octopus.Object { return v.Get("tenants/" + v.Path("id")) }

func connectPage(v *visit.Visit) visit.Page {
	v.Need("TenantEdit")
	o := read(v)
	return visit.Page{Title: "Projects of " + o.Text("Name"), Nav: visit.Tenants, Crumbs: crumbs(v, o), Body: connectForm(v, o, v.All("projects/all"), v.All("environments/all"))}
}

func connect(v *visit.Visit) (string, string) {
	o := read(v)
	connected := map[string][]string{}
	for _, pair := range v.Forms("connected") {
		project, environment, _ := strings.Cut(pair, "/")
		connected[project] = append(connected[project], environment)
	}
	o.Set("ProjectEnvironments", connected)
	v.Put("tenants/"+o.Text("Id"), o)
	return v.To("tenants", o.Text("Id")), "Saved."
}

// variables is TenantVariableResource, as far as it is edited: what is not shown is sent back as it came.
type variables struct {
	octopus.Object
	groups []group
}

// group is the variables of one project in one environment, or of one library set.
type group struct {
	title  string
	fields []field
}

type field struct {
	name, label, help, value string
	sensitive, set           bool
	standard                 string // the default
	put                      func(value any)
}

func readVariables(v *visit.Visit) variables {
	w := variables{Object: v.Get("tenants/" + v.Path("id") + "/variables")}
	environments := visit.Names(v.Maybe("environments/all"))
	change := func(member string, edit func(all map[string]map[string]json.RawMessage)) {
		var all map[string]map[string]json.RawMessage
		if raw, ok := w.Get(member); ok && json.Unmarshal(raw, &all) == nil {
			edit(all)
			w.Set(member, all)
		}
	}
	sets := w.Object.Object("LibraryVariables")
	for id := range sets.All() {
		set := sets.Object(id)
		g := group{title: set.Text("LibraryVariableSetName")}
		for _, t := range set.Objects("Templates") {
			template := t.Text("Id")
			g.fields = append(g.fields, templateField(t, set.Object("Variables"), "library/"+id+"/"+template, func(value any) {
				change("LibraryVariables", func(all map[string]map[string]json.RawMessage) {
					values, _ := octopus.ParseObject(all[id]["Variables"])
					values.Set(template, value)
					all[id]["Variables"], _ = values.MarshalJSON()
				})
			}))
		}
		w.groups = append(w.groups, g)
	}
	projects := w.Object.Object("ProjectVariables")
	for id := range projects.All() {
		project := projects.Object(id)
		for environment := range project.Object("Variables").All() {
			g := group{title: project.Text("ProjectName") + " in " + environments[environment]}
			for _, t := range project.Objects("Templates") {
				template := t.Text("Id")
				g.fields = append(g.fields, templateField(t, project.Object("Variables").Object(environment), "project/"+id+"/"+environment+"/"+template, func(value any) {
					change("ProjectVariables", func(all map[string]map[string]json.RawMessage) {
						values, _ := octopus.ParseObject(all[id]["Variables"])
						inner := values.Object(environment)
						inner.Set(template, value)
						values.Set(environment, inner)
						all[id]["Variables"], _ = values.MarshalJSON()
					})
				}))
			}
			w.groups = append(w.groups, g)
		}
	}
	return w
}

func templateField(t, values octopus.Object, name string, put func(any)) field {
	f := field{name: name, label: t.Text("Label"), help: t.Text("HelpText"), standard: t.Text("DefaultValue"), put: put}
	if f.label == "" {
		f.label = t.Text("Name")
	}
	f.sensitive = t.Object("DisplaySettings").Text("Octopus.ControlType") == "Sensitive"
	f.value, f.set = values.Text(t.Text("Id")), values.Has(t.Text("Id"))
	return f
}

func variablesPage(v *visit.Visit) visit.Page {
	o := read(v)
	return visit.Page{Title: "Variables of " + o.Text("Name"), Nav: visit.Tenants, Crumbs: crumbs(v, o), Body: variablesForm(v, o, readVariables(v))}
}

func saveVariables(v *visit.Visit) (string, string) {
	w := readVariables(v)
	for _, g := range w.groups {
		for _, f := range g.fields {
			text := v.Text(f.name)
			switch {
			case f.sensitive && text != "":
				f.put(map[string]any{"HasValue": true, "NewValue": text})
			case !f.sensitive && (text != "" || f.set):
				f.put(text)
			}
		}
	}
	v.Put("tenants/"+v.Path("id")+"/variables", w.Object)
	return "", "Saved."
}
