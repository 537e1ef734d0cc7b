package variable

import (
	"encoding/json"
	"strings"

	"odcm/octopus"
)

// Read reads the variables of a VariableSets document, in their order. Sensitive values do not stand in it: secrets has
// them opened, by path ("/Variables/<Id>/Value"). A variable without a name is none.
func Read(set octopus.Object, secrets map[string]string) []Variable {
	items := set.Objects("Variables")
	variables := make([]Variable, 0, len(items))
	for _, o := range items {
		v := Variable{ID: o.Text("Id"), Name: o.Text("Name"), Value: o.Text("Value"), Type: o.Text("Type"), Origin: set.Text("Id")}
		if v.Name == "" {
			continue
		}
		v.Sensitive = o.Bool("IsSensitive") || strings.EqualFold(v.Type, "Sensitive")
		if v.Sensitive {
			v.Value = ""
		}
		if value, ok := secrets["/Variables/"+v.ID+"/Value"]; ok {
			v.Value = value
		}
		v.Scope = readScope(o.Object("Scope"))
		if p := o.Object("Prompt"); p.Len() > 0 {
			v.Prompt = &Prompt{
				Label: p.Text("Label"), Description: p.Text("Description"), Required: p.Bool("Required"),
				Display: octopus.As[map[string]string](p, "DisplaySettings"),
			}
		}
		variables = append(variables, v)
	}
	return variables
}

// readScope reads the dimensions that this package knows; clients send each as a list, and old ones a single id.
func readScope(o octopus.Object) Scope {
	var s Scope
	for name, raw := range o.All() {
		for _, d := range dimensions {
			if !strings.EqualFold(name, d.name) {
				continue
			}
			var ids []string
			var id string
			if json.Unmarshal(raw, &ids) != nil && json.Unmarshal(raw, &id) == nil {
				ids = []string{id}
			}
			*d.of(&s) = ids
		}
	}
	return s
}
