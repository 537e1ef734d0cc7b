package swagger_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"odcm/octopus/octotest/swagger"
)

const document = `{"swagger":"2.0","paths":{
	"/api/things":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/ResourceCollection_of_Thing"}}}}},
	"/api/things/all":{"get":{"responses":{"200":{"schema":{"type":"array","items":{"$ref":"#/definitions/Thing"}}}}}},
	"/api/things/{id}":{"parameters":[],"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/Thing"}}}},"delete":{"responses":{"200":{}}}},
	"/api/others/{id}":{"get":{"responses":{"200":{"schema":{"$ref":"#/definitions/Thing"}}}}},
	"/api/{baseSpaceId}/things":{"get":{"responses":{"200":{}}}}},
	"definitions":{
	"ResourceCollection_of_Thing":{"type":"object","properties":{"Items":{"type":"array","items":{"$ref":"#/definitions/Thing"}}}},
	"Part":{"type":"object","properties":{"Size":{"type":"integer","format":"int32"}}},
	"Thing":{"type":"object","required":["Name"],"properties":{"Name":{"type":"string"},"Colour":{"type":"string","enum":["Red","Blue"]},"At":{"type":"string","format":"date-time"},
		"Parts":{"type":"array","items":{"$ref":"#/definitions/Part"}},"Tags":{"type":"object","additionalProperties":{"type":"string"}},"Any":{"type":"object"},"On":{"type":"boolean"}}}}}`

func load(t *testing.T) *swagger.Document {
	t.Helper()
	file := filepath.Join(t.TempDir(), "swagger.json")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := swagger.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPathsFindTheirOperation(t *testing.T) {
	t.Parallel()
	d := load(t)
	for path, want := range map[string]string{
		"/api/things":          "GET /api/things",
		"/api/Things/":         "GET /api/things",
		"/api/things/all":      "GET /api/things/all",
		"/api/things/Things-1": "GET /api/things/{id}",
		"/api/Spaces-1/things": "GET /api/{baseSpaceId}/things",
		"/api/nothing/things":  "",
		"/api/nothing":         "",
	} {
		op, ok := d.Find("GET", path)
		if got := op.Route(); ok != (want != "") || ok && got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if !d.HasAll("/api/things") || d.HasAll("/api/others") || !d.Has("DELETE", "/api/things/x") || d.Has("DELETE", "/api/things") {
		t.Error("Has or HasAll")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d := load(t)
	const right = `{"Name":null,"Colour":"Red","At":"2026-08-01T10:00:00.000+00:00","Parts":[{"Size":1}],"Tags":{"a":"b"},"Any":[1,"x"],"On":true}`
	for body, want := range map[string]*swagger.Finding{
		right: nil,
		`{"Name":"x","Colour":"Red","At":null,"Parts":[],"Tags":null,"Any":null,"On":false}`:                 nil,
		`{"Name":"x","Colour":"Red","At":null,"Parts":[{"Size":1,"Weight":2}],"Tags":{},"Any":1,"On":false}`: {Definition: "Part", Field: "Weight", Problem: swagger.Unknown},
		`{"Name":"x","Colour":"Red","At":null,"Parts":[{"Size":3000000000}],"Tags":{},"Any":1,"On":false}`:   {Definition: "Part", Field: "Size", Problem: swagger.Value},
		`{"Name":"x","Colour":"Red","At":null,"Parts":[],"Tags":{},"Any":1}`:                                 {Definition: "Thing", Field: "On", Problem: swagger.Missing},
		`{"Name":"x","Colour":"Pink","At":null,"Parts":[],"Tags":{},"Any":1,"On":false}`:                     {Definition: "Thing", Field: "Colour", Problem: swagger.Value},
		`{"Name":"x","Colour":"Red","At":"noon","Parts":[],"Tags":{},"Any":1,"On":false}`:                    {Definition: "Thing", Field: "At", Problem: swagger.Value},
		`{"Name":"x","Colour":"Red","At":null,"Parts":null,"Tags":{},"Any":1,"On":false}`:                    {Definition: "Thing", Field: "Parts", Problem: swagger.Type},
		`{"Name":"x","Colour":"Red","At":null,"Parts":[],"Tags":{"a":1},"Any":1,"On":false}`:                 {Definition: "Thing", Field: "Tags", Problem: swagger.Type},
		`null`: {Definition: "Thing", Problem: swagger.Type},
	} {
		findings, err := d.Check(swagger.Named("Thing"), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil && len(findings) > 0 {
			t.Errorf("%s: %v", body, findings)
		}
		if want != nil && !slices.ContainsFunc(findings, func(f swagger.Finding) bool { f.Detail = ""; return f == *want }) {
			t.Errorf("%s: %v, want %v", body, findings, want)
		}
	}
	for _, s := range []swagger.Schema{swagger.List("Thing"), swagger.Page("Thing")} {
		if findings, err := d.Check(s, []byte(right)); err != nil || len(findings) == 0 {
			t.Errorf("one thing passes as many: %v", err)
		}
	}
	if findings, err := d.Check(swagger.Page("Thing"), []byte(`{"Items":[{}]}`)); err != nil || len(findings) != 7 {
		t.Errorf("an empty item: %v %v", findings, err)
	}
	if _, err := d.Check(swagger.Named("Thing"), []byte(`<html>`)); err == nil {
		t.Error("a web page is JSON")
	}
}
