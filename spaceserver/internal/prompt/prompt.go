// Package prompt is what people are asked when they deploy a release or run a runbook: variables with a prompt (docs:
// projects/variables/prompted-variables), as a form, and the values that they answered with.
package prompt

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"odcm/octopus"
	"odcm/spaceserver/internal/collection"
	"odcm/spaceserver/internal/problem"
)

// Prompt is one question.
type Prompt struct {
	ID                       string // of the variable: the key of its value in FormValues
	Name, Label, Description string
	Required, Sensitive      bool
	Default                  string // "" where there is none, or where it is secret
	Kept                     bool   // there is a secret default
	Type                     string
	Display                  json.RawMessage
}

// Place is where something is deployed to, for the scopes of variables.
type Place struct {
	Environment, Tenant, Channel string
	TenantTags                   []string
	Process                      string // the runbook's or, for a deployment, the project's id
}

// Of lists the prompts of variable sets that concern the place, in the order of the sets. Where several values of a variable
// are prompted for, each is a question of its own, as on an Octopus server.
func Of(sets []octopus.Object, at Place) []Prompt {
	var all []Prompt
	for _, set := range sets {
		raw, _ := set.Get("Variables")
		if !bytes.Contains(raw, []byte(`"Prompt":{`)) { // most sets ask nothing, and some are large
			continue
		}
		for _, v := range set.Objects("Variables") {
			asked := v.Object("Prompt")
			if asked.Len() == 0 || !at.within(v.Object("Scope")) {
				continue
			}
			p := Prompt{ID: v.Text("Id"), Name: v.Text("Name"), Label: asked.Text("Label"), Description: asked.Text("Description"), Required: asked.Bool("Required"), Type: v.Text("Type")}
			p.Sensitive = v.Bool("IsSensitive") || p.Type == "Sensitive"
			p.Default, p.Kept = v.Text("Value"), p.Sensitive
			p.Display, _ = asked.Get("DisplaySettings")
			all = append(all, p)
		}
	}
	return all
}

// within tells whether a scope reaches the place. Scopes that are narrower than a deployment (targets, roles, steps) do.
func (at Place) within(scope octopus.Object) bool {
	fits := func(member string, have ...string) bool {
		want := scope.Texts(member)
		return len(want) == 0 || slices.ContainsFunc(have, func(id string) bool { return id != "" && slices.Contains(want, id) })
	}
	return fits("Environment", at.Environment) && fits("Channel", at.Channel) && fits("Tenant", at.Tenant) && fits("TenantTag", at.TenantTags...) && fits("ProcessOwner", at.Process)
}

// Element shows a prompt as an element of a form (FormElement in the Swagger document).
func (p Prompt) Element() map[string]any {
	display := p.Display
	if len(display) == 0 {
		display = json.RawMessage("{}")
	}
	return map[string]any{"Name": p.ID, "IsValueRequired": p.Required, "Control": map[string]any{"Type": "VariableValue", "Name": p.Name, "Label": p.Label, "Description": p.Description,
		"IsSecure": p.Sensitive, "DisplaySettings": display}}
}

// Form shows the prompts with the values that they begin with (Form in the Swagger document).
func Form(prompts []Prompt) map[string]any {
	values, elements := map[string]any{}, []any{}
	for _, p := range prompts {
		values[p.ID] = p.Default
		elements = append(elements, p.Element())
	}
	return map[string]any{"Values": values, "Elements": elements}
}

// Answers are values for prompts, by the variables' ids. Secret ones are apart: they are sealed and never shown.
type Answers struct {
	Plain  map[string]string
	Secret map[string]octopus.SensitiveValue
}

// Take checks what was answered: by id, or by the variable's name as the executions API has it. A prompt that requires a value
// must have one, its own or a default.
func Take(prompts []Prompt, byID, byName map[string]string) (Answers, error) {
	answers := Answers{map[string]string{}, map[string]octopus.SensitiveValue{}}
	var problems []string
	used := map[string]bool{}
	for _, p := range prompts {
		value, given := byID[p.ID]
		for name, v := range byName {
			if strings.EqualFold(name, p.Name) || p.Label != "" && strings.EqualFold(name, p.Label) {
				value, given, used[name] = v, true, true
			}
		}
		switch {
		case !given || value == "":
			if p.Required && p.Default == "" && !(p.Kept && !given) {
				problems = append(problems, "Please provide a value for the prompted variable '"+p.title()+"'.")
			}
			if given && !p.Sensitive {
				answers.Plain[p.ID] = value
			}
		case p.Sensitive:
			answers.Secret[p.ID] = octopus.Secret(value)
		default:
			answers.Plain[p.ID] = value
		}
	}
	for name := range byName {
		if !used[name] {
			problems = append(problems, "There is no prompted variable '"+name+"' to set.")
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return answers, problem.Invalid(problems...)
	}
	return answers, nil
}

func (p Prompt) title() string {
	if p.Label != "" {
		return p.Label
	}
	return p.Name
}

// Keep puts the answers into a deployment or runbook run, where [Values] finds them.
func (a Answers) Keep(o *octopus.Object) {
	o.Set("FormValues", a.Plain)
	if len(a.Secret) > 0 {
		o.Set(secretMember, a.Secret)
	}
}

const secretMember = "SensitiveFormValues"

// Values reads what was answered for a deployment ("Deployments") or a run ("RunbookRuns"): values by the ids of variables,
// and which of them are secret. It is for the server's own use: nothing of it may be answered.
func Values(ctx context.Context, service *collection.Service, kind, id, space string) (values map[string]string, secret map[string]bool, err error) {
	o, err := service.Store.Object(ctx, service.Store.DB.Read(), kind, id, space)
	if err != nil {
		return nil, nil, err
	}
	values, secret = octopus.As[map[string]string](o, "FormValues"), map[string]bool{}
	if values == nil {
		values = map[string]string{}
	}
	if !o.Has(secretMember) {
		return values, secret, nil
	}
	sealed, err := service.Secrets(ctx, kind, id, space)
	if err != nil {
		return nil, nil, err
	}
	for path, plain := range sealed {
		if variable, ok := strings.CutPrefix(path, "/"+secretMember+"/"); ok {
			values[variable], secret[variable] = plain, true
		}
	}
	return values, secret, nil
}

// Sets reads the frozen variable sets that a release or a runbook's snapshot names.
func Sets(get func(kind, id string) (octopus.Object, bool, error), frozen octopus.Object, member string) ([]octopus.Object, error) {
	var sets []octopus.Object
	for _, id := range append([]string{frozen.Text(member)}, frozen.Texts("LibraryVariableSetSnapshotIds")...) {
		set, ok, err := get("VariableSets", id)
		if err != nil {
			return nil, err
		}
		if ok {
			sets = append(sets, set)
		}
	}
	return sets, nil
}
