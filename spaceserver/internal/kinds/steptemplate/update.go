package steptemplate

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Properties of an action by which it knows its template.
const (
	templateID         = "Octopus.Action.Template.Id"
	templateVersionKey = "Octopus.Action.Template.Version"
)

// updateActions brings steps that were made from a template to a version of it (ActionsUpdateProcessResource.cs): what the
// template says replaces what the step has, values of parameters stay. A step whose own changes would be lost is left as
// it is and told of, unless the caller overrides it; and so is one that lacks a value for a new parameter.
func updateActions(c *collection.Call) (any, error) {
	template, err := c.Find("ActionTemplates", c.Param("id"))
	if err != nil {
		return nil, err
	}
	var sent struct {
		Version              int
		ActionIDsByProcessID map[string][]string `json:"ActionIdsByProcessId"`
		ActionsToUpdate      []struct {
			ProcessID string   `json:"ProcessId"`
			ActionIDs []string `json:"ActionIds"`
		}
		DefaultPropertyValues map[string]json.RawMessage
		Overrides             map[string]json.RawMessage
	}
	if err := c.Decode(&sent); err != nil {
		return nil, err
	}
	if sent.Version == 0 {
		sent.Version = int(template.Object().Int("Version"))
	}
	u := update{call: c, template: template, defaults: sent.DefaultPropertyValues, overrides: sent.Overrides}
	if u.to, err = u.version(strconv.Itoa(sent.Version)); err != nil {
		return nil, err
	}
	if sent.ActionIDsByProcessID == nil {
		sent.ActionIDsByProcessID = map[string][]string{}
	}
	for _, a := range sent.ActionsToUpdate {
		sent.ActionIDsByProcessID[a.ProcessID] = append(sent.ActionIDsByProcessID[a.ProcessID], a.ActionIDs...)
	}
	results := []any{}
	for _, id := range slices.Sorted(maps.Keys(sent.ActionIDsByProcessID)) {
		some, err := u.process(id, sent.ActionIDsByProcessID[id])
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}

type update struct {
	call                *collection.Call
	template            collection.Document
	to                  octopus.Object // the version to bring steps to
	defaults, overrides map[string]json.RawMessage
}

func (u *update) version(n string) (octopus.Object, error) {
	d, err := u.call.Find("ActionTemplateVersions", u.template.ID+"-v"+n)
	if err != nil {
		return octopus.Object{}, problem.Invalid("The step template has no version " + n + ".")
	}
	return d.Object(), nil
}

func (u *update) process(id string, actions []string) (results []any, err error) {
	kind := "DeploymentProcesses"
	if strings.HasPrefix(id, "RunbookProcess-") {
		kind = "RunbookProcesses"
	}
	d, err := u.call.Find(kind, id)
	if err != nil {
		return nil, err
	}
	o := d.Object()
	steps, changed := o.Objects("Steps"), false
	for i := range steps {
		list := steps[i].Objects("Actions")
		for j := range list {
			if len(actions) > 0 && !slices.Contains(actions, list[j].Text("Id")) || list[j].Object("Properties").Text(templateID) != u.template.ID {
				continue
			}
			result, next, err := u.action(list[j], d.Project)
			if err != nil {
				return nil, err
			}
			if result["Outcome"] == "Success" {
				list[j], changed = next, true
			}
			results = append(results, result)
		}
		steps[i].Set("Actions", list)
	}
	if !changed {
		return results, nil
	}
	o.Set("Steps", steps)
	_, err = u.call.Service.Update(u.call.Context, u.call.Request, u.call.Service.Kind(kind), d.ID, o)
	return results, err
}

// action works out the step as it is with the new version, and what keeps it from being that.
func (u *update) action(action octopus.Object, project string) (map[string]any, octopus.Object, error) {
	have := action.Object("Properties")
	from, err := u.version(have.Text(templateVersionKey))
	if err != nil {
		from = octopus.Object{} // a version from elsewhere: everything counts as the step's own change
	}
	reasons, missing := map[string][]string{}, []string{}
	next := octopus.Object{}
	old := from.Object("Properties")
	for name, value := range u.to.Object("Properties").All() {
		mine, ok := have.Get(name)
		was, _ := old.Get(name)
		override, overridden := u.overrides[name]
		switch {
		case overridden:
			next.Set(name, override)
		case ok && string(mine) != string(was) && string(mine) != string(value):
			reasons[name] = []string{"The step has a value of its own, which the template's would replace."}
		default:
			next.Set(name, value)
		}
	}
	for _, p := range u.to.Objects("Parameters") {
		name := p.Text("Name")
		preset, ok := u.defaults[name]
		switch mine, has := have.Get(name); {
		case has:
			next.Set(name, mine)
		case ok:
			next.Set(name, preset)
		case p.Has("DefaultValue"):
			value, _ := p.Get("DefaultValue")
			next.Set(name, value)
		default:
			missing = append(missing, name)
		}
	}
	for name, value := range have.All() { // what is neither the template's nor a parameter's: target roles, run on server
		_, template := old.Get(name)
		_, there := next.Get(name)
		if !template && !there && reasons[name] == nil && !slices.ContainsFunc(from.Objects("Parameters"), func(p octopus.Object) bool { return p.Text("Name") == name }) {
			next.Set(name, value)
		}
	}
	next.Set(templateID, u.template.ID)
	next.Set(templateVersionKey, strconv.Itoa(int(u.to.Int("Version"))))
	packages, removed := u.packages(action, from)
	usages, err := u.used(project, action.Text("Name"), removed)
	if err != nil {
		return nil, action, err
	}
	outcome := "Success"
	switch {
	case len(usages) > 0:
		outcome = "RemovedPackageInUse"
	case len(reasons) > 0:
		outcome = "ManualMergeRequired"
	case len(missing) > 0:
		outcome = "DefaultParamterValueMissing" // as Octopus spells it
	}
	changed := action.Clone()
	changed.Set("Properties", next)
	changed.Set("Packages", packages)
	return map[string]any{"Id": action.Text("Id"), "Outcome": outcome, "ManualMergeRequiredReasonsByPropertyName": reasons, "NamesOfNewParametersMissingDefaultValue": missing,
		"RemovedPackageUsages": usages, "Links": map[string]string{}}, changed, nil
}
