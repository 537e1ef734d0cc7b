package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"odcm/api"
	"odcm/apiclient"
)

// TestGoldenOpenAPI holds docs/openapi.json to what a manager serves, and both to what a manager answers.
func TestGoldenOpenAPI(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	t.Parallel()
	dir := t.TempDir()
	t.Cleanup(func() { endAll(t, dir) })
	h := houses{Data: filepath.Join(dir, "odcm"), Manager: true, Agent: true, Executable: launcher(t, dir), StopInstances: true}.start(t)
	served := fetchDocument(t, h.URL+"/api/v1/openapi.json")

	path := filepath.Join("..", "docs", "openapi.json")
	if *update {
		if err := os.WriteFile(path, served, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if written, err := os.ReadFile(path); err != nil || !bytes.Equal(written, served) {
		t.Errorf("%s is not what the manager serves (%v): run make generate", path, err)
	}

	d := readDocument(t, served)
	d.speaksForItself()
	walk(t, h, d)
	d.wasWalked()
	h.stop()
}

// fetchDocument gets the document and indents it, so that changes are seen line by line.
func fetchDocument(t testing.TB, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s, %v", address, res.Status, err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	return indented.Bytes()
}

// document is an OpenAPI 3.1 document that answers are compared with. Its schemas are JSON Schema (draft 2020-12).
type document struct {
	t          testing.TB
	operations []*operation
	compiler   *jsonschema.Compiler

	mu sync.Mutex // guards what the operations count
}

type operation struct {
	method, path string
	said         struct {
		OperationID string                     `json:"operationId"`
		Summary     string                     `json:"summary"`
		Tags        []string                   `json:"tags"`
		Responses   map[string]documentedReply `json:"responses"`
	}
	succeeded, failed int
}

type documentedReply struct {
	Description string                     `json:"description"`
	Content     map[string]json.RawMessage `json:"content"`
}

const documentURL = "https://odcm.invalid/openapi.json"

func readDocument(t testing.TB, text []byte) *document {
	t.Helper()
	var top struct {
		OpenAPI string                                `json:"openapi"`
		Paths   map[string]map[string]json.RawMessage `json:"paths"`
		Servers []struct{ URL string }                `json:"servers"`
	}
	if err := json.Unmarshal(text, &top); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(top.OpenAPI, "3.1.") || len(top.Servers) != 1 || top.Servers[0].URL != "/api/v1" {
		t.Errorf("it is OpenAPI %s for the servers %v", top.OpenAPI, top.Servers)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{t: t, compiler: jsonschema.NewCompiler()}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(documentURL, plain); err != nil {
		t.Fatal(err)
	}
	for path, methods := range top.Paths {
		for method, text := range methods {
			o := &operation{method: strings.ToUpper(method), path: path}
			if err := json.Unmarshal(text, &o.said); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			d.operations = append(d.operations, o)
		}
	}
	if len(d.operations) < 25 {
		t.Errorf("only %d operations", len(d.operations))
	}
	return d
}

func (o *operation) String() string { return o.method + " " + o.path }

// speaksForItself wants every operation to say what it is, and what it answers when it cannot do it.
func (d *document) speaksForItself() {
	d.t.Helper()
	names := map[string]bool{}
	for _, o := range d.operations {
		if o.said.OperationID == "" || names[o.said.OperationID] {
			d.t.Errorf("%s has the operationId %q, which is to be its own", o, o.said.OperationID)
		}
		names[o.said.OperationID] = true
		if o.said.Summary == "" || strings.HasSuffix(o.said.Summary, ".") || len(o.said.Tags) != 1 {
			d.t.Errorf("%s is summed up as %q and tagged %q", o, o.said.Summary, o.said.Tags)
		}
		if _, ok := o.said.Responses["default"].Content["application/problem+json"]; !ok {
			d.t.Errorf("%s does not say how it fails", o)
		}
		for status, reply := range o.said.Responses {
			if reply.Description == "" {
				d.t.Errorf("%s does not describe its answer %s", o, status)
			}
		}
	}
}

// wasWalked wants every operation to have been asked, to have done what it does and to have refused something.
func (d *document) wasWalked() {
	d.t.Helper()
	for _, o := range d.operations {
		if o.succeeded == 0 && !o.elsewhere() {
			d.t.Errorf("%s was never seen to succeed", o)
		}
		if o.failed == 0 {
			d.t.Errorf("%s was never seen to fail", o)
		}
	}
}

// elsewhere tells of operations that succeed in tests of their own: what a group is in a directory needs one (odcm/test/directory),
// and alerts, reports and licences are called in the tests of their rooms, and in TestWhoMayDoWhat as everybody.
func (o *operation) elsewhere() bool {
	for _, begin := range []string{"/alerts/", "/licence", "/report-schedules", "/reports", "/reported-deployments", "/spaces/groups", "/spaces/{id}/uptime", "/providers/{id}/leaving"} {
		if strings.HasPrefix(o.path, begin) {
			return true
		}
	}
	return o.said.OperationID == "find-provider-groups"
}

// find returns the operation of a request; a path of fixed words goes before one with a parameter.
func (d *document) find(method, path string) *operation {
	var found *operation
	words := strings.Split(path, "/")
	for _, o := range d.operations {
		pattern := strings.Split(o.path, "/")
		fits := o.method == method && slices.EqualFunc(pattern, words, func(p, w string) bool { return p == w || strings.HasPrefix(p, "{") })
		if fits && (found == nil || strings.Count(o.path, "{") < strings.Count(found.path, "{")) {
			found = o
		}
	}
	return found
}

// RoundTrip compares each answer with what the document says of it.
func (d *document) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.compare(r, res, body); err != nil {
		d.t.Errorf("%s %s: %v\n%s", r.Method, r.URL.Path, err, body)
	}
	return res, nil
}

func (d *document) compare(r *http.Request, res *http.Response, body []byte) error {
	o := d.find(r.Method, strings.TrimPrefix(r.URL.Path, "/api/v1"))
	if o == nil {
		return fmt.Errorf("it is in no documented operation")
	}
	status := strconv.Itoa(res.StatusCode)
	if res.StatusCode < 400 {
		o.succeeded++
	} else {
		o.failed++
		if _, own := o.said.Responses[status]; !own {
			status = "default"
		}
	}
	reply, ok := o.said.Responses[status]
	if !ok {
		return fmt.Errorf("the answer %d is not documented", res.StatusCode)
	}
	if len(reply.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("the answer %d has a body, which is not documented", res.StatusCode)
		}
		return nil
	}
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	documented := func(c string) bool { return c == kind || strings.HasPrefix(c, kind+";") }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(reply.Content)), documented) {
		return fmt.Errorf("the answer %d is %s, which is not documented", res.StatusCode, kind)
	}
	if kind != "application/json" && kind != "application/problem+json" {
		return nil
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "%2B")
	schema, err := d.compiler.Compile(documentURL + "#/paths/" + escape.Replace(o.path) + "/" + strings.ToLower(o.method) +
		"/responses/" + status + "/content/" + escape.Replace(kind) + "/schema")
	if err != nil {
		return err
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(answer)
}

// TestComparisonRefuses shows that an answer which the document does not know is found.
func TestComparisonRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	d := readDocument(t, text)
	const me = `{"id": "user-1", "username": "barry", "displayName": "Barry", "roles": ["administrator"], "via": "session"}`
	for name, c := range map[string]struct {
		path, body, kind string
		status           int
		fits             bool
	}{
		"as documented":         {"/me", me, "application/json", 200, true},
		"a field more":          {"/me", strings.Replace(me, "{", `{"password": "x", `, 1), "application/json", 200, false},
		"a field less":          {"/me", `{"id": "user-1"}`, "application/json", 200, false},
		"a field of other type": {"/me", strings.Replace(me, `"user-1"`, "1", 1), "application/json", 200, false},
		"a word that is none":   {"/me", strings.Replace(me, `"session"`, `"magic"`, 1), "application/json", 200, false},
		"another status":        {"/me", me, "application/json", 203, false},
		"another content":       {"/me", "hello", "text/plain", 200, false},
		"an error of its own":   {"/me", `{"error": "no"}`, "application/problem+json", 500, false},
		"another route":         {"/you", me, "application/json", 200, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1"+c.path, nil)
		err := d.compare(r, &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}}}, []byte(c.body))
		if (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// walk asks for everything that there is to ask for, first without a key, then as it should be, then wrongly.
func walk(t testing.TB, h *house, d *document) {
	t.Helper()
	ctx := t.Context()
	open := func(key string) *apiclient.Client {
		c, err := apiclient.New(apiclient.Options{URL: h.URL, APIKey: key, HTTP: &http.Client{Transport: d}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	raw := func(key, method, path, body string, headers ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, h.URL+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("Authorization", "Bearer "+key)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := d.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, o := range d.operations {
		want := http.StatusUnauthorized
		if o.said.OperationID == "sign-in" {
			want = http.StatusUnprocessableEntity
		}
		body := ""
		if o.method == http.MethodPost || o.method == http.MethodPut || o.method == http.MethodPatch {
			body = "{}"
		}
		if res := raw("", o.method, strings.NewReplacer("{id}", "any").Replace(o.path), body); res.StatusCode != want {
			t.Errorf("%s without a key answers %s", o, res.Status)
		}
	}

	c := open(adminKey)
	_, err := c.SignIn(ctx, api.SignIn{Username: "admin", Password: "Watch-it-2026"})
	must(err)
	_, err = c.Me(ctx)
	must(err)
	key, err := c.CreateAPIKey(ctx, api.NewAPIKey{Purpose: "a walk"})
	must(err)
	_, err = apiclient.Collect(c.APIKeys(ctx), 0)
	must(err)
	must(c.DeleteAPIKey(ctx, key.ID))
	sessions(t, h, d)

	awaitRoom(t, c)
	server := first(t, c.Servers(ctx))
	_, err = c.Server(ctx, server.ID)
	must(err)
	_, err = c.CreateEnrolmentToken(ctx, api.NewEnrolmentToken{Note: "a walk"})
	must(err)

	made, err := c.CreateSpace(ctx, api.NewSpace{Name: "Walked"}, "walk")
	must(err)
	_, err = c.WaitTask(ctx, made.Task, nil)
	must(err)
	_, err = apiclient.Collect(c.Tasks(ctx, apiclient.TaskFilter{Subject: made.ID}), 0)
	must(err)
	until(t, "the Space was probed", func() bool {
		sp, err := c.Space(ctx, made.ID)
		must(err)
		return sp.Health.Status == "online" && sp.Health.Licence != nil && len(sp.Health.Nodes) > 0
	})
	must(c.StarSpace(ctx, made.ID, true))
	for _, path := range []string{"/spaces", "/spaces?starred=true&limit=1", "/switcher", "/statuses", "/spaces/choices",
		"/spaces/" + made.ID + "/status-history", "/audit/events?limit=2", "/audit/export?format=jsonl", "/audit/export?format=csv"} {
		if res := raw(adminKey, http.MethodGet, path, ""); res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", path, res.Status)
		}
	}
	must(c.StarSpace(ctx, made.ID, false))
	name := "Walked on"
	updated, err := c.UpdateSpace(ctx, made.ID, api.SpaceUpdate{Name: &name}, 0)
	must(err)

	theirs := newTheirServer(t)
	at := api.Connection{URL: theirs.url, APIKey: theirKey}
	_, err = c.PlanEnlistment(ctx, at)
	must(err)
	e, err := c.Enlist(ctx, api.Enlistment{Connection: at, Spaces: []api.EnlistedSpace{{OctopusSpace: "Spaces-1", Name: "Theirs"}}}, "walk too")
	must(err)
	_, err = c.WaitTask(ctx, e.Task, nil)
	must(err)
	must(c.RekeySpace(ctx, "theirs", theirKey))
	asker{t, h.URL, d}.people("theirs")

	// What is refused, each in its own way.
	for _, wrong := range []struct {
		method, path, body string
		headers            []string
		want               int
	}{
		{"GET", "/spaces/nowhere", "", nil, 404},
		{"GET", "/tasks/nowhere", "", nil, 404},
		{"GET", "/spaces?limit=0", "", nil, 422},
		{"GET", "/spaces?cursor=%25", "", nil, 422},
		{"GET", "/spaces?unknown=1", "", nil, 422},
		{"POST", "/spaces", "{", nil, 400},
		{"POST", "/spaces", `{"name": ""}`, nil, 422},
		{"POST", "/spaces", `{"name": "x", "colour": "red"}`, nil, 422},
		{"POST", "/spaces", `{"name": "walked ON"}`, nil, 409},
		{"POST", "/spaces", `{"name": "` + strings.Repeat("x", 2<<20) + `"}`, nil, 413},
		{"PATCH", "/spaces/" + made.ID, `{"name": "Other"}`, []string{"If-Match", `"1"`}, 412},
		{"PATCH", "/spaces/" + made.ID, `{"name": "Other"}`, []string{"If-Match", `one`}, 400},
		{"DELETE", "/spaces/" + made.ID, "", nil, 422},
		{"POST", "/tasks/" + made.Task + "/cancel", "", nil, 409},
		{"POST", "/spaces/plan", `{"url": "http://127.0.0.1:1", "apiKey": "API-X"}`, nil, 503},
		{"POST", "/sign-in", `{"username": "nobody", "password": "nothing"}`, nil, 401},
	} {
		if res := raw(adminKey, wrong.method, wrong.path, wrong.body, wrong.headers...); res.StatusCode != wrong.want {
			t.Errorf("%s %s with %.40q answers %s, want %d", wrong.method, wrong.path, wrong.body, res.Status, wrong.want)
		}
	}

	for ref, delisting := range map[string]apiclient.Delisting{made.ID: {Confirm: updated.Name}, "theirs": {}} {
		sp, err := c.DelistSpace(ctx, ref, delisting)
		must(err)
		_, err = c.WaitTask(ctx, sp.Task, nil)
		must(err)
	}
	// Something to cancel: a server that answers nobody. Its task waits until somebody does.
	later, err := c.CreateSpace(ctx, api.NewSpace{Name: "Canceled"}, "walk again")
	must(err)
	if err := c.CancelTask(ctx, later.Task); err != nil {
		t.Errorf("cancel: %v", err)
	}
	_, err = c.WaitTask(ctx, later.Task, nil)
	must(err)
}

// sessions lists and ends a session, which is had by signing in as a browser does.
func sessions(t testing.TB, h *house, d *document) {
	t.Helper()
	browser := signedIn(t, h.URL)
	browser.Transport = d
	var page api.Page[api.Session]
	res, err := browser.Get(h.URL + "/api/v1/sessions")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || len(page.Items) != 1 || time.Since(page.Items[0].Created) > time.Hour {
		t.Fatalf("sessions %+v, %v", page, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.URL+"/api/v1/sessions/"+page.Items[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	if res, err = d.RoundTrip(req); err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatalf("ending a session: %+v, %v", res, err)
	}
	if status := visit(t, browser, h.URL+"/api/v1/me"); status != http.StatusUnauthorized {
		t.Errorf("a session that was ended is answered %d", status)
	}
}

func first[T any](t testing.TB, all func(func(T, error) bool)) (item T) {
	t.Helper()
	found, err := apiclient.Collect(all, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0]
}
