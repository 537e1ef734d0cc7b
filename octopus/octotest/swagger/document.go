// Package swagger checks answers against the Swagger 2.0 document that a real Octopus server serves of itself.
package swagger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is a part of the Swagger document, as JSON.
type Schema = map[string]any

// Document is the Swagger 2.0 document that a real Octopus server serves of itself, made ready to check answers.
type Document struct {
	definitions map[string]any
	operations  []Operation

	mu       sync.Mutex // a compiler is for one goroutine
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// Operation is a route with a method; Answers are the schemas by status, nil where the document has none.
type Operation struct {
	method   string
	segments []string
	Answers  map[int]Schema
}

// Load reads a document of Swagger 2.0.
func Load(file string) (*Document, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var swagger struct {
		Paths       map[string]map[string]json.RawMessage `json:"paths"`
		Definitions map[string]any                        `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &swagger); err != nil {
		return nil, fmt.Errorf("read the Swagger document: %w", err)
	}
	d := &Document{definitions: swagger.Definitions, compiled: map[string]*jsonschema.Schema{}}
	for path, methods := range swagger.Paths {
		for method, raw := range methods {
			var op struct {
				Responses map[string]struct{ Schema Schema }
			}
			if method == "parameters" || json.Unmarshal(raw, &op) != nil {
				continue
			}
			o := Operation{method: strings.ToUpper(method), segments: Split(path), Answers: map[int]Schema{}}
			for status, response := range op.Responses {
				if code, err := strconv.Atoi(status); err == nil {
					o.Answers[code] = response.Schema
				}
			}
			d.operations = append(d.operations, o)
		}
	}
	return d, d.prepare()
}

// Split takes a path apart.
func Split(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// Find returns the operation that a path belongs to: of several, the one that spells out most.
func (d *Document) Find(method, path string) (Operation, bool) {
	segments := Split(path)
	best, found := Operation{}, -1
	for _, o := range d.operations {
		if o.method != method || len(o.segments) != len(segments) {
			continue
		}
		if literal, ok := Matches(o.segments, segments); ok && literal > found {
			best, found = o, literal
		}
	}
	return best, found >= 0
}

// Matches tells whether the segments of a path are those of a template, and how many it spells out.
func Matches(template, segments []string) (literal int, ok bool) {
	for i, s := range template {
		switch {
		case strings.EqualFold(s, segments[i]):
			literal++
		case (s == "{baseSpaceId}" || s == "{spaceId}") && !strings.HasPrefix(segments[i], "Spaces-"):
			return 0, false
		case !strings.HasPrefix(s, "{"):
			return 0, false
		}
	}
	return literal, true
}

// Route is the operation's method and path, as the document writes them.
func (o Operation) Route() string { return o.method + " /" + strings.Join(o.segments, "/") }

// Has tells whether the document knows the operation.
func (d *Document) Has(method, path string) bool {
	_, ok := d.Find(method, path)
	return ok
}

// HasAll tells whether the document has the route's /all; "/{id}" is not it.
func (d *Document) HasAll(route string) bool {
	op, ok := d.Find("GET", route+"/all")
	return ok && op.segments[len(op.segments)-1] == "all"
}

const documentURL = "swagger.json"

// prepare turns the definitions into JSON Schema that says what the document means; see strict.
func (d *Document) prepare() error {
	definitions := map[string]any{}
	for name, definition := range d.definitions {
		definitions[name] = strict(definition.(Schema))
	}
	d.compiler = jsonschema.NewCompiler()
	d.compiler.AssertFormat()
	d.compiler.RegisterFormat(&jsonschema.Format{Name: "int32", Validate: fitsInt32})
	return d.compiler.AddResource(documentURL, Schema{"definitions": definitions})
}

func fitsInt32(v any) error {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	if i, err := n.Int64(); err != nil || i < math.MinInt32 || i > math.MaxInt32 {
		return fmt.Errorf("%s is no 32-bit integer", n)
	}
	return nil
}

// strict says in JSON Schema what a schema of the document means: names that it does not list are unknown; a text or an
// object may be null, because the server writes every property and .NET references may be null; a number, a boolean or a
// list may not; "object" without properties is .NET's object, which is any value.
func strict(in Schema) Schema {
	out := Schema{}
	for key, value := range in {
		switch key {
		case "readOnly", "default", "required": // about requests; what answers must have is checked by missing
		case "properties":
			properties := Schema{}
			for name, property := range value.(Schema) {
				properties[name] = strict(property.(Schema))
			}
			out[key] = properties
		case "items", "additionalProperties":
			out[key] = strict(value.(Schema))
		default:
			out[key] = value
		}
	}
	_, hasEnum := in["enum"]
	_, closed := in["properties"]
	_, open := in["additionalProperties"]
	switch {
	case in["type"] == "object" && closed:
		if !open {
			out["additionalProperties"] = false
		}
		out["type"] = []any{"object", "null"}
	case in["type"] == "object" && open:
		out["type"] = []any{"object", "null"}
	case in["type"] == "object":
		delete(out, "type")
	case in["type"] == "string" && !hasEnum:
		out["type"] = []any{"string", "null"}
	}
	return out
}

// Named is the schema of a definition.
func Named(definition string) Schema { return Schema{"$ref": "#/definitions/" + definition} }

// List is the schema of a bare array of a definition.
func List(definition string) Schema { return Schema{"type": "array", "items": Named(definition)} }

// Page is the schema of a page of a definition.
func Page(definition string) Schema { return Named("ResourceCollection_of_" + definition) }

// Check compares an answer with a schema. The error says that it is not JSON.
func (d *Document) Check(s Schema, body []byte) ([]Finding, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	compiled, err := d.compile(s)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return []Finding{{Definition: DefinitionOf(s), Problem: Type, Detail: "null instead of an answer"}}, nil
	}
	findings := d.missing(s, value)
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(value); errors.As(err, &invalid) {
		findings = append(findings, leaves(invalid)...)
	} else if err != nil {
		return nil, err
	}
	return findings, nil
}

func (d *Document) compile(s Schema) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	if c, ok := d.compiled[string(key)]; ok {
		return c, nil
	}
	at := fmt.Sprintf("answer-%d.json", len(d.compiled))
	if err := d.compiler.AddResource(at, absolute(strict(s))); err != nil {
		return nil, err
	}
	c, err := d.compiler.Compile(at)
	if err == nil {
		d.compiled[string(key)] = c
	}
	return c, err
}

// absolute makes references of an answer's Schema point into the document.
func absolute(v any) any {
	s, ok := v.(Schema)
	if !ok {
		return v
	}
	out := Schema{}
	for key, value := range s {
		if ref, ok := value.(string); ok && key == "$ref" {
			out[key] = documentURL + ref
			continue
		}
		out[key] = absolute(value)
	}
	return out
}

// Properties are the names and schemas of a definition; ok is false where there is no such definition.
func (d *Document) Properties(definition string) (properties map[string]any, ok bool) {
	s, ok := d.definitions[definition].(Schema)
	properties, _ = s["properties"].(Schema)
	return properties, ok
}

// DefinitionOf is the name that a schema refers to, directly or as items.
func DefinitionOf(s Schema) string {
	if items, ok := s["items"].(Schema); ok {
		return DefinitionOf(items)
	}
	ref, _ := s["$ref"].(string)
	return strings.TrimPrefix(ref, "#/definitions/")
}
