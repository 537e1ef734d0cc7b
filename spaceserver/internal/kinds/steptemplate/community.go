package steptemplate

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/document"
	"odcm/spaceserver/internal/kinds/part"
	"odcm/spaceserver/internal/permission"
	"odcm/spaceserver/internal/problem"
)

// Community are step templates for the whole server, to be installed into spaces. An Octopus server fetches them
// from its maker; this one fetches nothing and is given them, with POST, by whoever administers it.
func Community() []*collection.Kind {
	return []*collection.Kind{{
		Name: "CommunityActionTemplates", Type: "CommunityActionTemplate", Route: "communityactiontemplates", Scope: collection.InSystem,
		Template:   `{"Name":"","Description":null,"Type":"","Author":null,"Website":null,"HistoryUrl":null,"ExternalId":null,"Version":1,"Packages":[],"StepPackageId":null,"Properties":{},"Parameters":` + part.Parameters + `}`,
		Required:   []string{"Name", "Type"},
		Permission: collection.Verbs{View: "", Create: "AdministerSystem", Edit: "AdministerSystem", Delete: "AdministerSystem"},
		Query:      "skip,take,ids",
		Links: map[string]string{"Installation": "/api/communityactiontemplates/{Id}/installation{/spaceId}", "InstalledTemplate": "/api/communityactiontemplates/{Id}/actiontemplate{/spaceId}",
			"Logo": "/api/communityactiontemplates/{Id}/logo"},
		Actions: communityActions(),
	}}
}

func communityActions() []collection.Action {
	var actions []collection.Action
	on := func(method, path string, needed permission.Name, handle func(c *collection.Call) (any, error)) {
		// The space is the last segment of the path, or the space of the route, or the default one.
		with := func(c *collection.Call) (any, error) {
			if space := c.Param("space"); space != "" {
				if !c.Service.Directory().Has(space) || !c.Principal.Set.Enters(space) {
					return nil, problem.NotFound("Space", space)
				}
				c.Space, c.Named = space, true
			}
			if !c.Principal.Set.Holds(needed, c.Space) {
				return nil, problem.Denied(string(needed))
			}
			return handle(c)
		}
		for _, tail := range []string{"", "/{space}"} {
			actions = append(actions, collection.Action{Method: method, Path: path + tail, Handle: with})
		}
	}
	on("POST", "communityactiontemplates/{id}/installation", "ActionTemplateCreate", installTemplate)
	on("PUT", "communityactiontemplates/{id}/installation", "ActionTemplateEdit", updateInstalled)
	on("GET", "communityactiontemplates/{id}/actiontemplate", "ActionTemplateView", func(c *collection.Call) (any, error) {
		community, err := c.Find("CommunityActionTemplates", c.Param("id"))
		if err != nil {
			return nil, err
		}
		return installed(c, community.ID)
	})
	return append(actions, collection.Action{Method: "GET", Path: "communityactiontemplates/{id}/logo", Scope: collection.InSystem, Handle: part.Logo})
}

// installed finds the template of the space that came from the community template.
func installed(c *collection.Call, community string) (collection.Document, error) {
	store := c.Service.Store
	rows, _, err := store.List(c.Context, store.DB.Read(), document.Query{Kind: "ActionTemplates", Spaces: []string{c.Space}, Contains: `"CommunityActionTemplateId":"` + community + `"`, Take: 1})
	if err != nil {
		return collection.Document{}, err
	}
	if len(rows) == 0 {
		return collection.Document{}, problem.New(404, "The community step template '%s' is not installed in this space.", community)
	}
	return c.Find("ActionTemplates", rows[0].ID)
}

// copied is the part of a community template that becomes a template of the space.
func copied(community collection.Document) map[string]json.RawMessage {
	o := community.Object()
	members := map[string]json.RawMessage{}
	for _, m := range []struct{ from, to string }{{"Name", "Name"}, {"Description", "Description"}, {"Type", "ActionType"}, {"Packages", "Packages"}, {"Properties", "Properties"}, {"Parameters", "Parameters"}} {
		members[m.to], _ = o.Get(m.from)
	}
	return members
}

func installTemplate(c *collection.Call) (any, error) {
	community, err := c.Find("CommunityActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	var refused *problem.Error
	if d, err := installed(c, community.ID); err == nil {
		return nil, problem.Invalid("The community step template is installed already, as '" + d.Object().Text("Name") + "'.")
	} else if !errors.As(err, &refused) || refused.Status != 404 {
		return nil, err
	}
	body := part.Object(map[string]any{"CommunityActionTemplateId": community.ID})
	for member, value := range copied(community) {
		body.Set(member, value)
	}
	d, err := c.Service.Create(c.Context, c.Request, c.Service.Kind("ActionTemplates"), body)
	return collection.Made{Value: d}, err
}

func updateInstalled(c *collection.Call) (any, error) {
	community, err := c.Find("CommunityActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	d, err := installed(c, community.ID)
	if err != nil {
		return nil, err
	}
	body := d.Object()
	for member, value := range copied(community) {
		body.Set(member, value)
	}
	return c.Service.Update(c.Context, c.Request, c.Service.Kind("ActionTemplates"), d.ID, body)
}

// stepTypes are the kinds of step that a space can name without any template, with their category (ActionTypes in
// go-octopusdeploy's constants).
var stepTypes = []struct{ typ, name, category string }{
	{"Octopus.Script", "Run a Script", "Script"}, {"Octopus.TentaclePackage", "Deploy a Package", "Package"}, {"Octopus.TransferPackage", "Transfer a Package", "Package"},
	{"Octopus.Manual", "Manual Intervention Required", "BuiltInStep"}, {"Octopus.Email", "Send an Email", "BuiltInStep"}, {"Octopus.HealthCheck", "Health Check", "BuiltInStep"},
	{"Octopus.DeployRelease", "Deploy a Release", "BuiltInStep"}, {"Octopus.IIS", "Deploy to IIS", "WindowsServer"}, {"Octopus.WindowsService", "Deploy a Windows Service", "WindowsServer"},
	{"Octopus.KubernetesDeployContainers", "Configure and apply Kubernetes resources", "Kubernetes"}, {"Octopus.KubernetesDeployRawYaml", "Deploy Kubernetes YAML", "Kubernetes"},
	{"Octopus.KubernetesRunScript", "Run a kubectl script", "Kubernetes"}, {"Octopus.HelmChartUpgrade", "Deploy a Helm Chart", "Kubernetes"},
	{"Octopus.AwsRunScript", "Run an AWS CLI Script", "Aws"}, {"Octopus.AwsRunCloudFormation", "Deploy an AWS CloudFormation template", "Aws"},
	{"Octopus.AzurePowerShell", "Run an Azure Script", "Azure"}, {"Octopus.AzureWebApp", "Deploy an Azure Web App", "Azure"},
	{"Octopus.TerraformApply", "Apply a Terraform template", "Terraform"}, {"Octopus.TerraformPlan", "Plan to apply a Terraform template", "Terraform"},
}

var stepCategories = []struct{ id, name string }{{"Featured", "Featured"}, {"Script", "Script"}, {"Package", "Package"}, {"WindowsServer", "Windows Server"}, {"Kubernetes", "Kubernetes"}, {"Aws", "AWS"}, {"Azure", "Azure"},
	{"Terraform", "Terraform"}, {"BuiltInStep", "Built-in Steps"}, {"StepTemplate", "Library"}, {"Community", "Community Contributed"}}

// Search are the routes by which clients choose a step: built-in ones and templates, by category.
func Search() []collection.Action {
	return []collection.Action{
		{Method: "GET", Path: "actiontemplates/categories", Permission: "ActionTemplateView", Handle: func(*collection.Call) (any, error) {
			all := []any{}
			for i, category := range stepCategories {
				all = append(all, map[string]any{"Id": category.id, "Name": category.name, "DisplayOrder": i + 1, "Links": map[string]string{}})
			}
			return all, nil
		}},
		{Method: "GET", Path: "actiontemplates/search", Permission: "ActionTemplateView", Handle: searchTemplates},
	}
}

// searchTemplates lists every step that a process can have: built-in kinds, the space's templates, and community templates
// that are not installed (ActionTemplateSearchResource).
func searchTemplates(c *collection.Call) (any, error) {
	typ := c.Query.Get("type")
	all := []any{}
	add := func(id, typ, name, description, category, community, author, website string, builtIn, in, update bool, links map[string]string) {
		all = append(all, map[string]any{"Id": id, "Type": typ, "Name": name, "Description": description, "Keywords": "", "Category": category, "Categories": []string{category}, "Author": author, "Website": website,
			"CommunityActionTemplateId": part.OrNull(community), "IsBuiltIn": builtIn, "IsInstalled": in, "HasUpdate": update, "Links": links})
	}
	wanted := func(t string) bool { return typ == "" || strings.EqualFold(t, typ) }
	for _, s := range stepTypes {
		if wanted(s.typ) {
			add(s.typ, s.typ, s.name, "", s.category, "", "", "", true, true, false, map[string]string{})
		}
	}
	mine, err := part.Seen(c, "ActionTemplates")
	if err != nil {
		return nil, err
	}
	var community []collection.Document
	if p, err := c.Service.List(c.Context, collection.Request{Principal: c.Principal}, c.Service.Kind("CommunityActionTemplates"), collection.Listing{All: true}); err != nil {
		return nil, err
	} else {
		community = p.Items
	}
	var have []string
	for _, d := range mine {
		o := d.Object()
		from := o.Text("CommunityActionTemplateId")
		have = append(have, from)
		if wanted(o.Text("ActionType")) {
			newer := slices.ContainsFunc(community, func(c collection.Document) bool { return c.ID == from && differs(c, o) })
			add(d.ID, o.Text("ActionType"), o.Text("Name"), o.Text("Description"), "StepTemplate", from, "", "", false, true, newer, map[string]string{"Self": collection.Base(d.Space) + "/actiontemplates/" + d.ID})
		}
	}
	for _, d := range community {
		o := d.Object()
		if wanted(o.Text("Type")) && !slices.Contains(have, d.ID) {
			add(d.ID, o.Text("Type"), o.Text("Name"), o.Text("Description"), "Community", d.ID, o.Text("Author"), o.Text("Website"), false, false, false, map[string]string{"Self": "/api/communityactiontemplates/" + d.ID})
		}
	}
	return all, nil
}

// differs tells whether a community template has something else than the template that was installed from it.
func differs(community collection.Document, installed octopus.Object) bool {
	for member, value := range copied(community) {
		if have, _ := installed.Get(member); string(have) != string(value) {
			return true
		}
	}
	return false
}
