// Package variable decides which value a variable has where: scopes, their precedence, and evaluation (docs:
// projects/variables/getting-started#scope-specificity).
package variable

// Variable is one value of a variable, with where it applies.
type Variable struct {
	ID        string
	Name      string
	Value     string
	Type      string // String, Sensitive, Certificate, AmazonWebServicesAccount, ...
	Sensitive bool
	Scope     Scope
	Prompt    *Prompt // nil where people are not asked
	Origin    string  // id of the variable set, for messages and ties
}

// Scope names where a value applies: within one dimension any of the ids, in all dimensions that are named. An empty one
// applies everywhere. Tags of tenants are no exception: several are alternatives, whichever sets they are of (docs:
// projects/variables/getting-started#mutually-exclusive-scopes); only filters of tenants tell sets apart.
type Scope struct {
	Environment, Machine, Role, Action, Channel, TenantTag, ProcessOwner, Tenant, Project []string
}

// Prompt is what people are asked when they deploy.
type Prompt struct {
	Label, Description string
	Required           bool
	Display            map[string]string // Octopus.ControlType, ...
}

// Place is where values are wanted.
type Place struct {
	Environment, Tenant, Channel, ProcessOwner, Action, Machine, Project string

	TenantTags []string // of the tenant, by canonical name: "Region/West"
	Roles      []string // of the machine: its target tags
	// StepRoles are those that the step is for. A value for one that the machine has as well is more specific than a value
	// for another of the machine's.
	StepRoles []string
}

// Sets are the variables that are in play, each list in the order of its precedence among equals: of two values with the same
// scope the tenant's own wins, then the project's, then the library sets' in their order. What is in Tenant applies to the
// tenant alone and counts as scoped to it; a default of a template that the tenant left alone belongs in Project or Library.
type Sets struct {
	Tenant, Project []Variable
	Library         [][]Variable
}

// Answer gives the sets with what people answered to prompts, by the ids of variables: an answer takes the place of the
// value, also of one that is sensitive, and a prompt without an answer keeps it
// (docs: projects/variables/prompted-variables). Answers to what is no prompt count for nothing.
func (s Sets) Answer(values map[string]string) Sets {
	if len(values) == 0 {
		return s
	}
	answered := Sets{Tenant: answer(s.Tenant, values), Project: answer(s.Project, values)}
	for _, set := range s.Library {
		answered.Library = append(answered.Library, answer(set, values))
	}
	return answered
}

func answer(set []Variable, values map[string]string) []Variable {
	answered := make([]Variable, len(set))
	for i, v := range set {
		if value, ok := values[v.ID]; ok && v.Prompt != nil {
			v.Value = value
		}
		answered[i] = v
	}
	return answered
}
