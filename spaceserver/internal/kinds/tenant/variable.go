package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/problem"
)

// Variables are a tenant's values for the templates of its projects and of the library sets that these include. One
// document holds them, as newer servers show them: each value with the environments that it is for
// (tenant_common_variable.go and tenant_project_variable.go in go-octopusdeploy). The older form, a map by environment
// (TenantVariableResource in the Swagger document), is made from it and taken apart into it.
func Variables() []*collection.Kind {
	value := `{"Id":"<guid>","TemplateId":"","Value":null,"Scope":{"EnvironmentIds":[""]}`
	return []*collection.Kind{{
		Name: "TenantVariables", Type: "TenantVariable", Title: "-", Owner: "TenantId", Tenants: "TenantId", RootLink: "-",
		Template:   `{"TenantId":"","Project":[` + value + `,"ProjectId":""}],"Common":[` + value + `,"LibraryVariableSetId":""}]}`,
		Permission: collection.Verbs{View: "TenantView", Create: "TenantEdit", Edit: "TenantEdit", Delete: "TenantEdit"},
		Number:     func(c *collection.Change) (string, error) { return tenantValues(c.New.Text("TenantId")), nil },
		Actions: []collection.Action{
			{Method: "GET", Path: "tenants/{id}/variables", Handle: getTenantVariables},
			{Method: "POST", Path: "tenants/{id}/variables", Handle: putTenantVariables},
			{Method: "PUT", Path: "tenants/{id}/variables", Handle: putTenantVariables},
			{Method: "GET", Path: "tenants/{id}/projectvariables", Handle: getValues("Project", "ProjectId")},
			{Method: "PUT", Path: "tenants/{id}/projectvariables", Handle: putValues("Project", "ProjectId")},
			{Method: "GET", Path: "tenants/{id}/commonvariables", Handle: getValues("Common", "LibraryVariableSetId")},
			{Method: "PUT", Path: "tenants/{id}/commonvariables", Handle: putValues("Common", "LibraryVariableSetId")},
			{Method: "GET", Path: "tenantvariables/all", Handle: allTenantVariables},
			{Method: "GET", Path: "tenants/variables-missing", Handle: missingVariables},
			{Method: "GET", Path: "tenants/tag-test", Permission: "TenantView", Handle: testTags},
		},
	}}
}

func tenantValues(tenant string) string { return "tenantvariables-" + tenant }

// filled is a tenant with everything that its variables are made of.
type filled struct {
	tenant   collection.Document
	projects []collection.Document
	sets     []collection.Document // library sets of the projects that have templates
	kept     octopus.Object
}

// fill reads what a tenant's variables are made of: its projects and their library sets in two queries.
func fill(c *collection.Call, tenant collection.Document) (f filled, err error) {
	f.tenant = tenant
	connected := tenant.Object().Object("ProjectEnvironments")
	var ids, sets []string
	for id := range connected.All() {
		ids = append(ids, id)
	}
	if f.projects, err = these(c, "Projects", ids); err != nil {
		return f, err
	}
	for _, p := range f.projects {
		for _, id := range p.Object().Texts("IncludedLibraryVariableSetIds") {
			if !slices.Contains(sets, id) {
				sets = append(sets, id)
			}
		}
	}
	if f.sets, err = these(c, "LibraryVariableSets", sets); err != nil {
		return f, err
	}
	f.sets = slices.DeleteFunc(f.sets, func(d collection.Document) bool { return len(d.Object().Objects("Templates")) == 0 })
	row, err := c.Service.Store.Get(c.Context, c.Service.Store.DB.Read(), "TenantVariables", tenantValues(tenant.ID), tenant.Space)
	if errors.Is(err, document.ErrNone) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.kept, err = octopus.ParseObject(row.Body)
	return f, err
}

// these reads documents of a kind by their ids, those that the caller may see.
func these(c *collection.Call, kind string, ids []string) ([]collection.Document, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	r := c.Request
	r.Query = map[string][]string{"ids": ids}
	page, err := c.Service.List(c.Context, r, c.Service.Kind(kind), collection.Listing{All: true})
	return page.Items, err
}

// environments are those in which the tenant is connected to the project.
func (f filled) environments(project string) []string {
	return f.tenant.Object().Object("ProjectEnvironments").Texts(project)
}

// valueFor finds what a tenant has set: a value for the environment before one for all.
func valueFor(values []octopus.Object, member, owner, template, environment string) (octopus.Object, bool) {
	var general *octopus.Object
	for _, v := range values {
		if v.Text(member) != owner || v.Text("TemplateId") != template {
			continue
		}
		in := v.Object("Scope").Texts("EnvironmentIds")
		if slices.Contains(in, environment) {
			return v, true
		}
		if len(in) == 0 {
			general = &v
		}
	}
	if general == nil {
		return octopus.Object{}, false
	}
	return *general, true
}

// older makes TenantVariableResource.
func (f filled) older() octopus.Object {
	base := collection.Base(f.tenant.Space)
	projects, libraries := map[string]any{}, map[string]any{}
	for _, p := range f.projects {
		o := p.Object()
		variables := map[string]map[string]json.RawMessage{}
		for _, environment := range f.environments(p.ID) {
			variables[environment] = f.chosen("Project", "ProjectId", p.ID, environment, o.Objects("Templates"))
		}
		projects[p.ID] = map[string]any{"ProjectId": p.ID, "ProjectName": o.Text("Name"), "Templates": part.Some(o.Objects("Templates")), "Variables": variables,
			"Links": map[string]string{"Project": base + "/projects/" + p.ID}}
	}
	for _, s := range f.sets {
		o := s.Object()
		libraries[s.ID] = map[string]any{"LibraryVariableSetId": s.ID, "LibraryVariableSetName": o.Text("Name"), "Templates": o.Objects("Templates"),
			"Variables": f.chosen("Common", "LibraryVariableSetId", s.ID, "", o.Objects("Templates")), "Links": map[string]string{"LibraryVariableSet": base + "/libraryvariablesets/" + s.ID}}
	}
	var o octopus.Object
	o.Set("Id", "TenantVariables-"+f.tenant.ID)
	o.Set("TenantId", f.tenant.ID)
	o.Set("TenantName", f.tenant.Object().Text("Name"))
	o.Set("ProjectVariables", projects)
	o.Set("LibraryVariables", libraries)
	o.Set("SpaceId", f.tenant.Space)
	o.Set("Links", map[string]string{"Self": base + "/tenants/" + f.tenant.ID + "/variables"})
	return o
}

func (f filled) chosen(list, member, owner, environment string, templates []octopus.Object) map[string]json.RawMessage {
	values := f.kept.Objects(list)
	chosen := map[string]json.RawMessage{}
	for _, t := range templates {
		if v, ok := valueFor(values, member, owner, t.Text("Id"), environment); ok {
			chosen[t.Text("Id")], _ = v.Get("Value")
		}
	}
	return chosen
}

func getTenantVariables(c *collection.Call) (any, error) {
	tenant, err := c.Find("Tenants", c.Param("id"))
	if err != nil {
		return nil, err
	}
	f, err := fill(c, tenant)
	return f.older(), err
}

// putTenantVariables takes the older form: it tells every value that there is.
func putTenantVariables(c *collection.Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	var project, common []octopus.Object
	entry := func(member, owner, template string, value json.RawMessage, environments ...string) octopus.Object {
		o := part.Object(map[string]any{member: owner, "TemplateId": template, "Scope": map[string]any{"EnvironmentIds": part.Some(environments)}})
		o.Set("Value", value)
		return o
	}
	for id, raw := range body.Object("ProjectVariables").All() {
		of, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, problem.Invalid("ProjectVariables." + id + " must be an object.")
		}
		for environment := range of.Object("Variables").All() {
			for template, value := range of.Object("Variables").Object(environment).All() {
				project = append(project, entry("ProjectId", id, template, value, environment))
			}
		}
	}
	for id, raw := range body.Object("LibraryVariables").All() {
		of, err := octopus.ParseObject(raw)
		if err != nil {
			return nil, problem.Invalid("LibraryVariables." + id + " must be an object.")
		}
		for template, value := range of.Object("Variables").All() {
			common = append(common, entry("LibraryVariableSetId", id, template, value))
		}
	}
	f, err := keepValues(c, map[string][]octopus.Object{"Project": project, "Common": common})
	return f.older(), err
}

// getValues answers the newer form.
func getValues(list, member string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		tenant, err := c.Find("Tenants", c.Param("id"))
		if err != nil {
			return nil, err
		}
		f, err := fill(c, tenant)
		if err != nil {
			return nil, err
		}
		missing := []octopus.Object{}
		if strings.EqualFold(strings.Join(collection.Split(c.Query, "includeMissingVariables"), ""), "true") {
			missing = f.missing(list, member)
		}
		return map[string]any{"TenantId": tenant.ID, "Variables": f.shown(list, member), "MissingVariables": missing,
			"Links": map[string]string{"Self": collection.Base(tenant.Space) + "/tenants/" + tenant.ID + "/" + strings.ToLower(list) + "variables"}}, nil
	}
}

func putValues(list, member string) func(c *collection.Call) (any, error) {
	return func(c *collection.Call) (any, error) {
		body, err := c.Object()
		if err != nil {
			return nil, err
		}
		values := body.Objects("Variables")
		for i := range values {
			for _, name := range []string{"Template", member[:len(member)-2] + "Name", "Links"} {
				values[i].Delete(name)
			}
		}
		f, err := keepValues(c, map[string][]octopus.Object{list: values})
		return map[string]any{"TenantId": f.tenant.ID, "Variables": f.shown(list, member), "Links": map[string]string{}}, err
	}
}

// owners are the documents that a list of values is about.
func (f filled) owners(list string) []collection.Document {
	if list == "Common" {
		return f.sets
	}
	return f.projects
}

func (f filled) shown(list, member string) []octopus.Object {
	shown := []octopus.Object{}
	values := f.kept.Objects(list)
	for _, owner := range f.owners(list) {
		o := owner.Object()
		for _, template := range o.Objects("Templates") {
			for _, v := range values {
				if v.Text(member) == owner.ID && v.Text("TemplateId") == template.Text("Id") {
					v = v.Clone()
					v.Set(member[:len(member)-2]+"Name", o.Text("Name"))
					v.Set("Template", template)
					shown = append(shown, v)
				}
			}
		}
	}
	return shown
}

// missing lists the templates that have neither a value nor a default, for each environment where one is needed.
func (f filled) missing(list, member string) []octopus.Object {
	missing := []octopus.Object{}
	values := f.kept.Objects(list)
	for _, owner := range f.owners(list) {
		o := owner.Object()
		environments := []string{""}
		if list == "Project" {
			environments = f.environments(owner.ID)
		}
		for _, template := range o.Objects("Templates") {
			if template.Has("DefaultValue") && template.Text("DefaultValue") != "" {
				continue
			}
			for _, environment := range environments {
				if v, ok := valueFor(values, member, owner.ID, template.Text("Id"), environment); ok && v.Has("Value") {
					continue
				}
				in := []string{}
				if environment != "" {
					in = append(in, environment)
				}
				one := part.Object(map[string]any{member: owner.ID, "TemplateId": template.Text("Id"), "Scope": map[string]any{"EnvironmentIds": in}})
				one.Set(member[:len(member)-2]+"Name", o.Text("Name"))
				one.Set("Template", template)
				missing = append(missing, one)
			}
		}
	}
	return missing
}

// keepValues replaces the lists that are given. A secret that was read and sent back stays, also where its value moved to
// another place.
func keepValues(c *collection.Call, lists map[string][]octopus.Object) (filled, error) {
	tenant, err := c.Find("Tenants", c.Param("id"))
	if err != nil {
		return filled{}, err
	}
	if err := c.Service.Ready(); err != nil {
		return filled{}, err
	}
	id := tenantValues(tenant.ID)
	err = c.Transact(func(change *collection.Change) error {
		if err := c.Service.MayChange(c.Principal); err != nil {
			return err
		}
		t := part.Target(tenant)
		t.Tenants = []string{tenant.ID}
		if !c.Principal.Set.Changes("TenantEdit", t) {
			return problem.Denied("TenantEdit")
		}
		change = change.In(tenant.Space)
		old, there, err := change.Get("TenantVariables", id)
		if err != nil {
			return err
		}
		secrets, err := change.Secrets("TenantVariables", id, tenant.Space)
		if err != nil {
			return err
		}
		body := part.Object(map[string]any{"TenantId": tenant.ID})
		for _, list := range []string{"Project", "Common"} {
			values, given := lists[list]
			if !given {
				values = old.Objects(list)
			}
			for i := range values {
				settleValue(&values[i], old.Objects(list), secrets, list)
			}
			body.Set(list, part.Some(values))
		}
		if !there {
			_, err = change.Create("TenantVariables", body)
			return err
		}
		return change.Edit("TenantVariables", id, func(o *octopus.Object) error { *o = body; return nil })
	})
	if err != nil {
		return filled{}, err
	}
	return fill(c, tenant)
}

// settleValue gives a value the identity that it had, and its secret where only the mark of one was sent.
func settleValue(v *octopus.Object, old []octopus.Object, secrets map[string]string, list string) {
	owner := func(o octopus.Object) string { return o.Text("ProjectId") + o.Text("LibraryVariableSetId") }
	environment := strings.Join(v.Object("Scope").Texts("EnvironmentIds"), ",")
	var was octopus.Object
	for _, o := range old {
		if owner(o) != owner(*v) || o.Text("TemplateId") != v.Text("TemplateId") {
			continue
		}
		in := o.Object("Scope").Texts("EnvironmentIds")
		if v.Text("Id") != "" && o.Text("Id") == v.Text("Id") || v.Text("Id") == "" && (strings.Join(in, ",") == environment || slices.Contains(in, environment) || was.Len() == 0 && len(in) == 0) {
			was = o
		}
	}
	raw, _ := v.Get("Value")
	value := v.Object("Value")
	if bytes.HasPrefix(raw, []byte("{")) && value.Bool("HasValue") && !value.Has("NewValue") {
		if secret, ok := secrets["/"+list+"/"+was.Text("Id")+"/Value"]; ok {
			v.Set("Value", octopus.Secret(secret))
		}
	}
	if v.Text("Id") == "" && strings.Join(was.Object("Scope").Texts("EnvironmentIds"), ",") == environment && was.Len() > 0 {
		v.Set("Id", was.Text("Id"))
	}
}

func allTenantVariables(c *collection.Call) (any, error) {
	project := c.Query.Get("projectId")
	page, err := c.Service.List(c.Context, c.Request, c.Service.Kind("Tenants"), collection.Listing{All: true,
		Filter: func(o octopus.Object) bool { return project == "" || o.Object("ProjectEnvironments").Has(project) }})
	all := []octopus.Object{}
	for _, tenant := range page.Items {
		f, err := fill(c, tenant)
		if err != nil {
			return nil, err
		}
		all = append(all, f.older())
	}
	return all, err
}

// missingVariables lists, for tenants, the templates without a value (TenantsMissingVariablesResource).
func missingVariables(c *collection.Call) (any, error) {
	tenant, project, environment := c.Query.Get("tenantId"), c.Query.Get("projectId"), c.Query.Get("environmentId")
	page, err := c.Service.List(c.Context, collection.Request{Principal: c.Principal, Space: c.Space, Named: c.Named}, c.Service.Kind("Tenants"), collection.Listing{All: true})
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, d := range page.Items {
		if tenant != "" && d.ID != tenant {
			continue
		}
		f, err := fill(c, d)
		if err != nil {
			return nil, err
		}
		missing := []any{}
		for _, m := range slices.Concat(f.missing("Project", "ProjectId"), f.missing("Common", "LibraryVariableSetId")) {
			in := strings.Join(m.Object("Scope").Texts("EnvironmentIds"), "")
			if project != "" && m.Text("ProjectId") != project || environment != "" && in != "" && in != environment {
				continue
			}
			missing = append(missing, map[string]any{"ProjectId": part.OrNull(m.Text("ProjectId")), "LibraryVariableSetId": part.OrNull(m.Text("LibraryVariableSetId")), "EnvironmentId": part.OrNull(in),
				"VariableTemplateId": m.Text("TemplateId"), "VariableTemplateName": m.Object("Template").Text("Name"), "Links": map[string]string{}})
		}
		all = append(all, map[string]any{"TenantId": d.ID, "MissingVariables": missing, "Links": map[string]string{"Self": collection.Base(d.Space) + "/tenants/" + d.ID}})
	}
	return all, nil
}

// testTags tells of each tenant whether it has the tags: one of each tag set that is named.
func testTags(c *collection.Call) (any, error) {
	wanted := map[string][]string{}
	for _, tag := range collection.Split(c.Query, "tags") {
		set, _, _ := strings.Cut(tag, "/")
		wanted[set] = append(wanted[set], tag)
	}
	tenants, err := these(c, "Tenants", collection.Split(c.Query, "tenantIds"))
	answer := map[string]any{}
	for _, d := range tenants {
		has, reason := d.Object().Texts("TenantTags"), ""
		for set, tags := range wanted {
			if !slices.ContainsFunc(tags, func(tag string) bool { return slices.Contains(has, tag) }) {
				reason = "The tenant has none of the tags of " + set + "."
			}
		}
		answer[d.ID] = map[string]any{"IsMatched": reason == "", "Reason": reason}
	}
	return answer, err
}
