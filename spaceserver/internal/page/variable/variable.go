// Package variable is the editor of variables: of projects and of the library's variable sets.
package variable

import (
	"cmp"
	"slices"
	"strings"

	"odcm/kit/web/design"
	"odcm/octopus"
	"odcm/spaceserver/internal/page/visit"
	"odcm/spaceserver/internal/page/within"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Serve adds the pages: the same for projects and library sets.
func Serve(d *visit.Desk) {
	for _, base := range []string{"/app/{space}/projects/{project}/variables", "/app/{space}/library/sets/{set}/variables"} {
		d.Show(base, list)
		d.Form(base+"/new", edit, save)
		d.Form(base+"/{variable}", edit, save)
		d.Do(base+"/{variable}/delete", list, remove)
	}
}

// view is a variable set and whose it is.
type view struct {
	owner, set octopus.Object
	project    bool
	variables  []octopus.Object
	may        bool
}

func read(v *visit.Visit) view {
	w := view{project: v.Path("project") != ""}
	edits := permission.Name("LibraryVariableSetEdit")
	if w.project {
		w.owner, edits = within.Project(v), "VariableEdit"
	} else {
		w.owner = v.Get("libraryvariablesets/" + v.Path("set"))
	}
	w.set = v.Get("variables/" + w.owner.Text("VariableSetId"))
	w.variables = w.set.Objects("Variables")
	w.may = v.May(edits)
	return w
}

func (w view) path(v *visit.Visit, parts ...string) string {
	if w.project {
		return within.Path(v, w.owner, append([]string{"variables"}, parts...)...)
	}
	return v.To(append([]string{"library/sets", w.owner.Text("Id"), "variables"}, parts...)...)
}

func (w view) below(v *visit.Visit, p visit.Page) visit.Page {
	if w.project {
		return within.Below(v, w.owner, within.Variables, "variables", p)
	}
	p.Nav = visit.Library
	p.Crumbs = []design.Crumb{{Label: "Variable sets", Href: v.To("library/sets")}, {Label: w.owner.Text("Name"), Href: w.path(v)}}
	return p
}

func list(v *visit.Visit) visit.Page {
	w := read(v)
	page := visit.Page{Actions: adder(w, v), Body: table(v, w, sorted(w.variables, v.Query("q")))}
	if w.project {
		return within.Page(v, w.owner, within.Variables, page)
	}
	page.Title, page.Intro, page.Nav = w.owner.Text("Name"), w.owner.Text("Description"), visit.Library
	page.Crumbs = []design.Crumb{{Label: "Variable sets", Href: v.To("library/sets")}}
	return page
}

// sorted are the variables by name, in any case, as far as they are asked for.
func sorted(variables []octopus.Object, q string) []octopus.Object {
	list := slices.DeleteFunc(slices.Clone(variables), func(o octopus.Object) bool {
		return !strings.Contains(strings.ToLower(o.Text("Name")+" "+o.Text("Value")), strings.ToLower(q))
	})
	slices.SortStableFunc(list, func(a, b octopus.Object) int {
		return cmp.Compare(strings.ToLower(a.Text("Name")), strings.ToLower(b.Text("Name")))
	})
	return list
}

// scopes are what a value can be bound to: the member of Scope, the list in ScopeValues, the label.
var scopes = []struct{ member, values, label string }{
	{"Environment", "Environments", "Environments"}, {"Role", "Roles", "Target roles"}, {"Machine", "Machines", "Targets"}, {"Action", "Actions", "Steps"},
	{"Channel", "Channels", "Channels"}, {"TenantTag", "TenantTags", "Tenant tags"}, {"ProcessOwner", "Processes", "Processes"},
}

// bound tells what a value is bound to: "Environments: Test".
type bound struct{ label, names string }

func (w view) bounds(o octopus.Object) []bound {
	var list []bound
	scope := o.Object("Scope")
	for _, s := range scopes {
		if ids := scope.Texts(s.member); len(ids) > 0 {
			list = append(list, bound{s.label, visit.Join(ids, visit.Names(w.set.Object("ScopeValues").Objects(s.values)))})
		}
	}
	return list
}

func (w view) find(id string) (octopus.Object, int) {
	for i, o := range w.variables {
		if o.Text("Id") == id {
			return o, i
		}
	}
	return octopus.Object{}, -1
}

func edit(v *visit.Visit) visit.Page {
	w := read(v)
	o, at := w.find(v.Path("variable"))
	if v.Path("variable") != "" && at < 0 && v.Err() == nil {
		v.Fail(problem.NotFound("Variable", v.Path("variable")))
	}
	if v.Path("variable") == "" && !w.may && v.Err() == nil {
		v.Fail(problem.Denied("VariableEdit"))
	}
	title := o.Text("Name")
	if at < 0 {
		title = "New variable"
		if name := v.Query("name"); name != "" {
			o.Set("Name", name)
		}
	}
	return w.below(v, visit.Page{Title: title, Body: form(v, w, o, at < 0)})
}

func save(v *visit.Visit) (string, string) {
	w := read(v)
	o, at := w.find(v.Path("variable"))
	sensitive := v.Form("Type") == "Sensitive"
	o.Set("Name", v.Form("Name"))
	o.Set("Description", v.Text("Description"))
	o.Set("Type", v.Form("Type"))
	was := o.Bool("IsSensitive")
	o.Set("IsSensitive", sensitive)
	switch {
	case sensitive && v.Text("Secret") != "":
		o.Set("Value", v.Text("Secret"))
	case sensitive && was: // nothing sent keeps it
		o.Set("Value", nil)
	case sensitive:
		o.Set("Value", v.Text("Value"))
	default:
		o.Set("Value", v.Text("Value"))
	}
	scope := map[string][]string{}
	for _, s := range scopes {
		if ids := v.Forms("Scope" + s.member); len(ids) > 0 {
			scope[s.member] = ids
		}
	}
	for member := range o.Object("Scope").All() { // what the form does not know
		if !slices.ContainsFunc(scopes, func(s struct{ member, values, label string }) bool { return s.member == member }) {
			scope[member] = o.Object("Scope").Texts(member)
		}
	}
	o.Set("Scope", scope)
	o.Set("Prompt", nil)
	if v.Flag("Prompted") {
		o.Set("Prompt", map[string]any{"Label": v.Form("PromptLabel"), "Description": v.Form("PromptDescription"), "Required": v.Flag("PromptRequired"), "DisplaySettings": map[string]string{}})
	}
	if at < 0 {
		w.variables = append(w.variables, o)
	} else {
		w.variables[at] = o
	}
	w.set.Set("Variables", w.variables)
	v.Put("variables/"+w.set.Text("Id"), w.set)
	return w.path(v), "Saved " + o.Text("Name") + "."
}

func remove(v *visit.Visit) (string, string) {
	w := read(v)
	o, at := w.find(v.Path("variable"))
	if at >= 0 {
		w.set.Set("Variables", slices.Delete(w.variables, at, at+1))
		v.Put("variables/"+w.set.Text("Id"), w.set)
	}
	return w.path(v), "Deleted " + o.Text("Name") + "."
}

// types are what a value can be (VariableType.cs in OctopusClients).
var types = []design.Option{{Value: "String", Label: "Text"}, {Value: "Sensitive", Label: "Sensitive: sealed, never shown again"}, {Value: "Certificate", Label: "Certificate (its id)"},
	{Value: "AmazonWebServicesAccount", Label: "AWS account (its id)"}, {Value: "AzureAccount", Label: "Azure account (its id)"}, {Value: "GoogleCloudAccount", Label: "Google Cloud account (its id)"},
	{Value: "UsernamePasswordAccount", Label: "Username and password account (its id)"}, {Value: "WorkerPool", Label: "Worker pool (its id)"}}
