package octotest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"odcm/octopus"
	"odcm/octopus/octotest/swagger"
)

// loaded is the document, read once for all tests.
var loaded = sync.OnceValues(func() (*Reference, error) {
	shared, err := SharedFolder()
	if err != nil {
		return nil, err
	}
	return Load(shared)
})

func reference(t *testing.T) *Reference {
	t.Helper()
	d, err := loaded()
	if err != nil {
		return LoadForTest(t) // skips, or says what is wrong
	}
	return d
}

// recorded reads an answer of a real server.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	shared, err := SharedFolder()
	if err != nil {
		t.Skip(err)
	}
	raw, err := os.ReadFile(filepath.Join(shared, "octopus-wire", "recorded", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
}

// uncovered are the findings that no known deviation covers.
func uncovered(t *testing.T, d *Reference, s swagger.Schema, body []byte) []swagger.Finding {
	t.Helper()
	findings, err := d.document.Check(s, body)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(findings, func(f swagger.Finding) bool {
		return slices.ContainsFunc(known, func(d Deviation) bool { return d.covers(f) })
	})
}

var taskPages = []string{"0", "30", "60", "90", "120"}

func TestRecordedAnswersPass(t *testing.T) {
	t.Parallel()
	d := reference(t)
	if f := uncovered(t, d, swagger.Named("RootResource"), recorded(t, "2019.7.12/api.GET.json")); len(f) > 0 {
		t.Errorf("root: %v", f)
	}
	for _, skip := range taskPages {
		body := recorded(t, "machines/Machines-1/tasks.skip="+skip+".GET.json")
		if f := uncovered(t, d, swagger.Page("TaskResource"), body); len(f) > 0 {
			t.Errorf("tasks %s: %v", skip, f)
		}
		if problems := pageShape(body); len(problems) > 0 {
			t.Errorf("tasks %s: %v", skip, problems)
		}
	}
}

func TestSpoiledAnswersFail(t *testing.T) {
	t.Parallel()
	d := reference(t)
	body := recorded(t, "machines/Machines-1/tasks.skip=0.GET.json")
	for name, c := range map[string]struct {
		spoil func(task *octopus.Object)
		want  swagger.Finding
	}{
		"a name that nobody knows":    {func(o *octopus.Object) { o.Set("Colour", "red") }, swagger.Finding{Definition: "TaskResource", Field: "Colour", Problem: swagger.Unknown}},
		"a name in another case":      {func(o *octopus.Object) { o.Delete("ServerNode"); o.Set("serverNode", "x") }, swagger.Finding{Definition: "TaskResource", Field: "serverNode", Problem: swagger.Unknown}},
		"a property is missing":       {func(o *octopus.Object) { o.Delete("Completed") }, swagger.Finding{Definition: "TaskResource", Field: "Completed", Problem: swagger.Missing}},
		"a number for a text":         {func(o *octopus.Object) { o.Set("Name", 7) }, swagger.Finding{Definition: "TaskResource", Field: "Name", Problem: swagger.Type}},
		"a text for a boolean":        {func(o *octopus.Object) { o.Set("CanRerun", "false") }, swagger.Finding{Definition: "TaskResource", Field: "CanRerun", Problem: swagger.Type}},
		"null for a boolean":          {func(o *octopus.Object) { o.Set("CanRerun", nil) }, swagger.Finding{Definition: "TaskResource", Field: "CanRerun", Problem: swagger.Type}},
		"a state that does not exist": {func(o *octopus.Object) { o.Set("State", "Sleeping") }, swagger.Finding{Definition: "TaskResource", Field: "State", Problem: swagger.Value}},
		"a time that is none":         {func(o *octopus.Object) { o.Set("QueueTime", "yesterday") }, swagger.Finding{Definition: "TaskResource", Field: "QueueTime", Problem: swagger.Value}},
		"a link that is no text":      {func(o *octopus.Object) { o.Set("Links", map[string]any{"Self": 1}) }, swagger.Finding{Definition: "TaskResource", Field: "Links", Problem: swagger.Type}},
		"an array for an object":      {func(o *octopus.Object) { o.Set("Arguments", []any{}) }, swagger.Finding{Definition: "TaskResource", Field: "Arguments", Problem: swagger.Type}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := octopus.ParseObject(body)
			if err != nil {
				t.Fatal(err)
			}
			items := p.Objects("Items")
			c.spoil(&items[3])
			p.Set("Items", items)
			raw, err := p.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			found := uncovered(t, d, swagger.Page("TaskResource"), raw)
			if len(found) == 0 {
				t.Fatal("the spoiled answer passes")
			}
			if !slices.ContainsFunc(found, func(f swagger.Finding) bool { f.Detail = ""; return f == c.want }) {
				t.Errorf("found %v, want %v", found, c.want)
			}
		})
	}
}

// Each known deviation must be about something that the document really says otherwise.
func TestKnownDeviationsAreNeeded(t *testing.T) {
	t.Parallel()
	d := reference(t)
	for _, k := range known {
		if k.Reason == "" {
			t.Errorf("%s %s.%s has no reason", k.Problem, k.Definition, k.Field)
		}
		if strings.HasSuffix(k.Definition, "*") {
			continue
		}
		if method, path, ok := strings.Cut(k.Definition, " "); ok {
			if !d.document.Has(method, path) {
				t.Errorf("%s: the document has no such operation", k.Definition)
			}
			continue
		}
		properties, ok := d.document.Properties(k.Definition)
		if !ok {
			t.Errorf("%s: the document has no such definition", k.Definition)
			continue
		}
		if _, has := properties[k.Field]; k.Field != "*" && has == (k.Problem == swagger.Unknown) {
			t.Errorf("%s %s.%s: not needed, the document says so itself", k.Problem, k.Definition, k.Field)
		}
	}
}

func TestEveryKindIsInTheDocument(t *testing.T) {
	t.Parallel()
	d := reference(t)
	for _, k := range kinds() {
		route := "/api/" + k.Route
		op, ok := d.document.Find("GET", route)
		properties, has := d.document.Properties(k.Definition)
		if !ok || !has {
			t.Errorf("%s or %s is not in the document", route, k.Definition)
			continue
		}
		if got := swagger.DefinitionOf(op.Answers[200]); got != "ResourceCollection_of_"+k.Definition {
			t.Errorf("%s lists %s, the table says %s", route, got, k.Definition)
		}
		if k.Body != nil && !d.document.Has("POST", route) {
			t.Errorf("%s has a body and cannot be created", route)
		}
		if _, has := properties[k.Change]; k.Change != "" && !has && k.Definition != "FeedResource" {
			t.Errorf("%s has no %s to change", k.Definition, k.Change)
		}
		if (k.Change != "") != (k.Body != nil && d.document.Has("PUT", route+"/x")) {
			t.Errorf("%s: Change %q, and the document has PUT: %v", route, k.Change, d.document.Has("PUT", route+"/x"))
		}
	}
}

// wrong is a server that answers everything alike: a suite that it passes tests nothing.
func wrong(t *testing.T, answer http.HandlerFunc) []Result {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	results, err := Check(t.Context(), Server{URL: server.URL, APIKey: "API-TEST", Space: "Spaces-1"}, reference(t))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// mayPass are steps that a wrong server can pass: nobody told their answer, or they are about the run itself.
var mayPass = []string{"lists", "cleanup", "read/serverstatus/system-info"}

func TestWrongServerFailsEveryStep(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"that knows only one resource": `{"Id":"Things-1","Name":"thing","Links":{"Self":"/api/x"}}`,
		"that answers with empty JSON": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := wrong(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(body))
			})
			if len(results) < 100 {
				t.Errorf("only %d steps", len(results))
			}
			for _, r := range results {
				if len(r.Problems) == 0 && !slices.Contains(mayPass, r.Name) {
					t.Errorf("%s passes", r.Name)
				}
			}
		})
	}
}

func TestListsAreHeldTight(t *testing.T) {
	t.Parallel()
	s := &session{used: map[int]bool{1: true}, server: Server{
		Deviations: []Deviation{{"A", "x", swagger.Unknown, "not met"}, {"B", "x", swagger.Unknown, "met"}, {"C", "x", swagger.Unknown, ""}},
		Gaps:       map[string]string{"a": "closed", "b": "open", "c": "no such step"},
	}}
	s.results = []Result{{Name: "a"}, {Name: "b", Problems: []string{"broken"}}}
	results := s.settle()
	if results[1].Gap != "open" || results[0].Gap != "" {
		t.Error("an open gap is not marked")
	}
	want := []string{"A.x (not met) was not met", "C.x () was not met", "C.x has no reason", `gap "a" (closed) is closed`, `gap "c" is no step`}
	for _, w := range want {
		if !slices.ContainsFunc(results[2].Problems, func(p string) bool { return strings.Contains(p, w) }) {
			t.Errorf("no problem says %q: %q", w, results[2].Problems)
		}
	}
	if len(results[2].Problems) != len(want) {
		t.Errorf("%q", results[2].Problems)
	}
}

func TestErrorShape(t *testing.T) {
	t.Parallel()
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	for body, right := range map[string]bool{
		`{"ErrorMessage":"There was a problem with your request.","Errors":["Name is required."]}`: true,
		`{"ErrorMessage":"x","Errors":[1]}`:  false,
		`{"Errors":["x"]}`:                   false,
		`{"ErrorMessage":"x","Code":"y"}`:    false,
		`[]`:                                 false,
		``:                                   false,
		`{"title":"Not Found","status":404}`: false,
	} {
		if problems := errorShape(400, header, []byte(body)); (len(problems) == 0) != right {
			t.Errorf("%s: %q", body, problems)
		}
	}
	if len(errorShape(404, header, []byte(`{"ErrorMessage":"x","Errors":[]}`))) == 0 {
		t.Error("a 404 with Errors passes")
	}
	if len(errorShape(400, http.Header{}, []byte(`{"ErrorMessage":"x"}`))) == 0 {
		t.Error("an error that does not say it is JSON passes")
	}
}

func TestPageShape(t *testing.T) {
	t.Parallel()
	right := map[string]any{"ItemType": "Task", "TotalResults": 5, "ItemsPerPage": 2, "NumberOfPages": 3, "LastPageNumber": 2, "Items": []any{1, 2},
		"Links": map[string]any{"Self": "/a", "Template": "/a{?skip}", "Page.Current": "/a?skip=0", "Page.Next": "/a?skip=2"}}
	check := func(change map[string]any) []string {
		p := map[string]any{}
		for k, v := range right {
			p[k] = v
		}
		for k, v := range change {
			p[k] = v
		}
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return pageShape(raw)
	}
	if problems := check(nil); len(problems) > 0 {
		t.Fatalf("a right page: %q", problems)
	}
	for name, value := range map[string]any{"TotalResults": 1, "ItemsPerPage": 1, "NumberOfPages": 9, "LastPageNumber": 3, "ItemType": "", "Links": map[string]any{}} {
		if len(check(map[string]any{name: value})) == 0 {
			t.Errorf("a page with %s %v passes", name, value)
		}
	}
}

// Any server can be held to the API by hand:
//
//	OCTOTEST_URL=https://octopus.example.com OCTOTEST_API_KEY=API-... go test ./octopus/octotest -run TestServerByHand -v
func TestServerByHand(t *testing.T) {
	url := os.Getenv("OCTOTEST_URL")
	if url == "" {
		t.Skip("set OCTOTEST_URL and OCTOTEST_API_KEY to a server on which things may be made and removed")
	}
	Run(t, Server{URL: url, APIKey: os.Getenv("OCTOTEST_API_KEY"), Space: os.Getenv("OCTOTEST_SPACE")})
}
