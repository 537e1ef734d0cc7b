package octopus

import (
	"encoding/json"
	"iter"
)

// ActionTemplate is a step template, custom or from the community library: its file in the public library is the
// resource as the server exports it, with $Meta beside it.
type ActionTemplate struct{ Object }

// Description says what the step does, in Markdown.
func (t ActionTemplate) Description() string { return t.Text("Description") }

// ActionType is the step's sort, such as "Octopus.Script".
func (t ActionTemplate) ActionType() string { return t.Text("ActionType") }

// Version counts the changes: every PUT adds one.
func (t ActionTemplate) Version() int { return int(t.Int("Version")) }

// Properties yields what the step is set to, in order.
func (t ActionTemplate) Properties() iter.Seq2[string, PropertyValue] {
	return func(yield func(string, PropertyValue) bool) {
		for name, raw := range t.Object.Object("Properties").All() {
			var v PropertyValue
			if json.Unmarshal(raw, &v) == nil && !yield(name, v) {
				return
			}
		}
	}
}

// Parameters returns what a person fills in when they use the step.
func (t ActionTemplate) Parameters() []Parameter {
	objects := t.Objects("Parameters")
	parameters := make([]Parameter, len(objects))
	for i, o := range objects {
		parameters[i] = Parameter{o}
	}
	return parameters
}

// Parameter is one field of a step template, a project template or a variable set template.
type Parameter struct{ Object }

// Label is the caption of the field.
func (p Parameter) Label() string { return p.Text("Label") }

// HelpText stands beside the field, in Markdown.
func (p Parameter) HelpText() string { return p.Text("HelpText") }

// DefaultValue is what the field holds when left alone.
func (p Parameter) DefaultValue() PropertyValue { return As[PropertyValue](p.Object, "DefaultValue") }

// ControlType is the sort of field, such as "SingleLineText", "Sensitive" or "Select".
func (p Parameter) ControlType() string {
	return p.Object.Object("DisplaySettings").Text("Octopus.ControlType")
}
