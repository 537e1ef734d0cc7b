package swagger

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Problem is what sort of difference a [Finding] is.
type Problem string

// The problems.
const (
	Unknown Problem = "unknown" // a name that the definition does not have
	Missing Problem = "missing" // a name that the definition has and the answer not
	Type    Problem = "type"    // another JSON type
	Value   Problem = "value"   // not one of the enumeration, or not of the format
	Status  Problem = "status"  // a status that the operation does not list; Field is the status
	Route   Problem = "route"   // an operation that the document does not have; Definition is method and path
)

// Finding is one difference between an answer and the document.
type Finding struct {
	Definition string // "ProjectResource"
	Field      string // "Templates"
	Problem    Problem
	Detail     string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s %s.%s: %s", f.Problem, f.Definition, f.Field, f.Detail)
}

// missing looks for properties that a resource lacks: the server writes all, null or not. Only the resources of the
// answer themselves are held to it, not what is inside them.
func (d *Document) missing(s Schema, value any) (findings []Finding) {
	if items, ok := value.([]any); ok {
		inner, _ := s["items"].(Schema)
		for _, item := range items {
			findings = append(findings, d.missing(inner, item)...)
		}
		return findings
	}
	name := DefinitionOf(s)
	definition, ok := d.definitions[name].(Schema)
	if !ok {
		definition = s
	}
	object, ok := value.(Schema)
	properties, _ := definition["properties"].(Schema)
	if !ok {
		return nil
	}
	for property, inner := range properties {
		v, present := object[property]
		if !present {
			findings = append(findings, Finding{Definition: name, Field: property, Problem: Missing, Detail: "the answer does not have it"})
		}
		if property == "Items" {
			findings = append(findings, d.missing(inner.(Schema), v)...)
		}
	}
	return findings
}

// leaves turns the validator's tree into findings.
func leaves(e *jsonschema.ValidationError) (findings []Finding) {
	for _, cause := range e.Causes {
		findings = append(findings, leaves(cause)...)
	}
	if len(e.Causes) > 0 {
		return findings
	}
	f := Finding{Detail: "at /" + strings.Join(e.InstanceLocation, "/")}
	f.Definition, f.Field = place(e.SchemaURL)
	if f.Field == "" && len(e.InstanceLocation) > 0 {
		f.Field = e.InstanceLocation[len(e.InstanceLocation)-1]
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			findings = append(findings, Finding{Definition: f.Definition, Field: name, Problem: Unknown, Detail: f.Detail})
		}
		return findings
	case *kind.Type:
		f.Problem, f.Detail = Type, fmt.Sprintf("%s instead of %v %s", k.Got, k.Want, f.Detail)
	case *kind.Enum:
		f.Problem, f.Detail = Value, fmt.Sprintf("%v %s", k.Got, f.Detail)
	default:
		f.Problem, f.Detail = Value, fmt.Sprintf("%T %s", k, f.Detail)
	}
	return append(findings, f)
}

// place reads definition and property out of ".../definitions/X/properties/Y/...".
func place(schemaURL string) (definition, property string) {
	_, fragment, _ := strings.Cut(schemaURL, "#")
	parts := strings.Split(strings.Trim(fragment, "/"), "/")
	for i := 0; i+1 < len(parts); i += 2 {
		name, err := url.PathUnescape(parts[i+1])
		if err != nil {
			name = parts[i+1]
		}
		switch parts[i] {
		case "definitions":
			definition = name
		case "properties":
			return definition, name
		}
	}
	return definition, ""
}
