package octotest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"odcm/octopus"
	"odcm/octopus/octotest/swagger"
)

// fake is a small right server: a store of documents whose shapes come from the Swagger document. It shows that the suite
// can be passed; made wrong in one way, it shows that the suite sees it.
type fake struct {
	reference *Reference
	wrong     string // in which way

	mu    sync.Mutex
	order map[string][]string // ids by route
	store map[string]octopus.Object
}

func newFake(t *testing.T, wrong string) *fake {
	t.Helper()
	f := &fake{reference: reference(t), wrong: wrong, order: map[string][]string{}, store: map[string]octopus.Object{}}
	f.add("spaces", fields{"Id": "Spaces-1", "Name": "Default", "IsDefault": true})
	f.add("users", fields{"Id": "Users-1", "Username": "admin", "DisplayName": "admin"})
	return f
}

// definitions by route, for what kinds does not have.
func (f *fake) definition(route string) string {
	if route == "variables" {
		return "VariableSetResource"
	}
	for _, k := range kinds() {
		if strings.EqualFold(k.Route, route) {
			return k.Definition
		}
	}
	return ""
}

// zero is an empty resource of a definition, with every property.
func (f *fake) zero(definition string) octopus.Object {
	var o octopus.Object
	properties, _ := f.reference.document.Properties(definition)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := properties[name].(swagger.Schema)
		switch enum, _ := p["enum"].([]any); {
		case len(enum) > 0:
			o.Set(name, enum[0])
		case p["type"] == "array":
			o.Set(name, []any{})
		case p["type"] == "boolean":
			o.Set(name, false)
		case p["type"] == "integer":
			o.Set(name, 0)
		case p["type"] == "object":
			o.Set(name, map[string]any{})
		default:
			o.Set(name, nil)
		}
	}
	return o
}

func (f *fake) add(route string, body fields) octopus.Object {
	o := f.zero(f.definition(route))
	in, err := octopus.NewObject(body)
	if err != nil {
		panic(err)
	}
	return f.keep(route, o, in)
}

// keep merges what was sent into o and stores it.
func (f *fake) keep(route string, o, in octopus.Object) octopus.Object {
	for name, raw := range in.All() {
		var secret octopus.SensitiveValue
		switch {
		case strings.EqualFold(name, "Password") && raw[0] == '"':
			continue // of a user
		case strings.Contains(string(raw), `"NewValue"`) && json.Unmarshal(raw, &secret) == nil:
			if f.wrong == "shows secrets" {
				o.Set(name, raw)
				continue
			}
			o.Set(name, fields{"HasValue": (secret.HasValue || secret.NewValue != nil) && f.wrong != "forgets secrets", "NewValue": nil})
		default:
			o.Set(name, raw)
		}
	}
	if f.wrong == "loses a field" && route == "environments" {
		o.Set("Description", nil)
		o.Set("UseGuidedFailure", false)
	}
	if o.ID() == "" {
		o.Set("Id", fmt.Sprintf("%s%s-%d", strings.ToUpper(route[:1]), route[1:], len(f.order[route])+100))
	}
	for _, part := range []string{"Variables", "Steps"} {
		if o.Has(part) {
			o.Set(part, f.identified(o, part))
		}
	}
	o.Set("Links", fields{"Self": "/api/" + route + "/" + o.ID()})
	if _, had := f.store[route+"/"+o.ID()]; !had {
		f.order[route] = append(f.order[route], o.ID())
		for field, other := range map[string]string{"VariableSetId": "variables", "DeploymentProcessId": "deploymentprocesses", "RunbookProcessId": "runbookprocesses"} {
			if _, owns := o.Get(field); owns && route != other && (route == "projects" || route == "runbooks" || route == "libraryvariablesets") {
				o.Set(field, other+"-"+o.ID())
				f.add(other, fields{"Id": other + "-" + o.ID()})
			}
		}
	}
	f.store[route+"/"+o.ID()] = o
	return o
}

// identified gives steps, actions and variables their identities, and hides sensitive values.
func (f *fake) identified(o octopus.Object, part string) []octopus.Object {
	items := o.Objects(part)
	for i := range items {
		items[i].Set("Id", fmt.Sprintf("%s-%d", part, i))
		if items[i].Bool("IsSensitive") && f.wrong != "shows secrets" {
			items[i].Set("Value", nil)
		}
		if items[i].Has("Actions") {
			items[i].Set("Actions", f.identified(items[i], "Actions"))
		}
	}
	return items
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/api"), "/")
	path = strings.TrimPrefix(strings.TrimPrefix(path, "Spaces-1"), "/")
	route, id, _ := strings.Cut(path, "/")
	if r.Header.Get("X-Octopus-ApiKey") != "API-RIGHT" && f.wrong != "lets anybody in" && path != "" {
		f.fail(w, 401, "You must be logged in.")
		return
	}
	if path == "users/me" {
		id = "Users-1"
	}
	route = strings.ToLower(route)
	switch {
	case path == "machinepolicies/template":
		o := f.zero("MachinePolicyResource")
		f.reply(w, 200, o)
	case f.definition(route) == "":
		f.fail(w, 404, "No such route.")
	case id == "" && r.Method == "GET":
		f.list(w, r, route)
	case id == "all":
		f.reply(w, 200, f.choose(route, nil, ""))
	case id == "" && r.Method == "POST":
		f.create(w, r, route)
	default:
		f.one(w, r, route, id)
	}
}

func (f *fake) create(w http.ResponseWriter, r *http.Request, route string) {
	raw, _ := io.ReadAll(r.Body)
	in, err := octopus.ParseObject(raw)
	o := f.zero(f.definition(route))
	_, named := o.Get("Name")
	named = named && route != "tasks"
	switch {
	case err != nil && f.wrong == "takes any text":
	case err != nil:
		f.fail(w, 400, "The body is not JSON.")
		return
	case named && in.Name() == "" && f.wrong != "takes no name":
		f.fail(w, 400, "There was a problem with your request.", "Name is required.")
		return
	case named && in.Name() != "" && len(f.choose(route, nil, in.Name())) > 0 && f.wrong != "takes a name twice":
		f.fail(w, 400, "There was a problem with your request.", "The name is taken.")
		return
	}
	if route == "tasks" { // they end as they are made
		in.Set("IsCompleted", true)
	}
	status := 201
	if f.wrong == "creates with 200" {
		status = 200
	}
	f.reply(w, status, f.keep(route, o, in))
}

func (f *fake) one(w http.ResponseWriter, r *http.Request, route, id string) {
	o, ok := f.store[route+"/"+id]
	switch {
	case !ok && f.wrong == "answers 404 with Errors":
		f.fail(w, 404, "not found", "There is none.")
	case !ok && f.wrong == "answers 404 with a page":
		http.NotFound(w, r)
	case !ok:
		f.fail(w, 404, "The resource was not found.")
	case r.Method == "DELETE":
		if f.wrong != "keeps what was deleted" {
			delete(f.store, route+"/"+id)
			f.order[route] = slices.DeleteFunc(f.order[route], func(s string) bool { return s == id })
		}
		w.WriteHeader(200)
	case r.Method == "PUT":
		raw, _ := io.ReadAll(r.Body)
		in, _ := octopus.ParseObject(raw)
		versioned := route == "variables" || route == "deploymentprocesses"
		if versioned && in.Int("Version") != o.Int("Version") && f.wrong != "takes an old version" {
			f.fail(w, 409, "submitted data was out of date")
			return
		}
		o = f.keep(route, o.Clone(), in)
		if _, ok := o.Get("Version"); ok && (versioned || route == "actiontemplates") && f.wrong != "counts no versions" {
			o.Set("Version", o.Int("Version")+1)
		}
		f.reply(w, 200, o)
	default:
		f.reply(w, 200, o)
	}
}

// choose returns the resources that the filters leave.
func (f *fake) choose(route string, ids []string, name string) []octopus.Object {
	out := []octopus.Object{}
	for _, id := range f.order[route] {
		o := f.store[route+"/"+id]
		if (ids == nil || slices.Contains(ids, id)) && strings.Contains(o.Name(), name) {
			out = append(out, o)
		}
	}
	return out
}

func (f *fake) list(w http.ResponseWriter, r *http.Request, route string) {
	q := r.URL.Query()
	var ids []string
	if q.Has("ids") && f.wrong != "knows no ids" {
		ids = strings.Split(q.Get("ids"), ",")
	}
	name := q.Get("partialName")
	if f.wrong == "knows no partialName" {
		name = ""
	}
	all := f.choose(route, ids, name)
	skip, _ := strconv.Atoi(q.Get("skip"))
	take, err := strconv.Atoi(q.Get("take"))
	if err != nil {
		take = 30
	}
	if f.wrong == "knows no skip" {
		skip = 0
	}
	from, to := min(skip, len(all)), min(skip+take, len(all))
	if f.wrong == "counts a page only" {
		all = all[from:to]
		from, to = 0, len(all)
	}
	pages := max(1, (len(all)+take-1)/take)
	if take == 2147483647 {
		pages = 1
	}
	at := func(skip int) string {
		return fmt.Sprintf("/api/Spaces-1/%s?partialName=%s&skip=%d&take=%d", route, strings.ReplaceAll(name, " ", "%20"), skip, take)
	}
	links := map[string]string{"Self": at(skip), "Template": "/api/" + route + "{?skip,take}", "Page.All": at(0), "Page.Current": at(skip), "Page.Last": at(0)}
	if to < len(all) {
		links["Page.Next"] = at(to)
	}
	if f.wrong == "gives items without some fields" {
		all = slices.Clone(all)
		for i := range all {
			all[i] = all[i].Clone()
			all[i].Delete("Description")
		}
	}
	f.reply(w, 200, fields{"ItemType": strings.TrimSuffix(f.definition(route), "Resource"), "TotalResults": len(all), "ItemsPerPage": take,
		"NumberOfPages": pages, "LastPageNumber": pages - 1, "Items": all[from:to], "Links": links})
}

func (f *fake) reply(w http.ResponseWriter, status int, v any) {
	raw := encode(v)
	if f.wrong == "writes names in lower case" {
		raw = []byte(strings.ReplaceAll(string(raw), `"Name":`, `"name":`))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func (f *fake) fail(w http.ResponseWriter, status int, message string, errors ...string) {
	if f.wrong == "says nothing in errors" {
		errors = nil
	}
	f.reply(w, status, octopus.Error{ErrorMessage: message, Errors: errors})
}

// steps runs the suite, with all kinds or only some, and returns the steps that failed among those that the fake is made for.
func (f *fake) steps(t *testing.T, only ...string) (failed map[string][]string, passed int) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s := newSession(t.Context(), Server{URL: server.URL, APIKey: "API-RIGHT"}, f.reference)
	results, err := s.perform(func(k *Kind) bool { return only == nil || slices.Contains(only, k.Route) })
	if err != nil {
		return map[string][]string{"session": {err.Error()}}, 0
	}
	failed = map[string][]string{}
	for _, r := range results {
		first, _, _ := strings.Cut(r.Name, "/")
		switch {
		case slices.Contains([]string{"read", "setting", "root", "recorded", "tasks", "apikeys", "invitations", "packages", "build-information", "ping", "sign-in", "project", "events", "executions", "octoclient", "space"}, first):
		case len(r.Problems) > 0:
			failed[r.Name] = r.Problems
		default:
			passed++
		}
	}
	return failed, passed
}

func TestRightServerPasses(t *testing.T) {
	t.Parallel()
	failed, passed := newFake(t, "").steps(t)
	for name, problems := range failed {
		t.Errorf("%s: %s", name, strings.Join(problems, "\n\t"))
	}
	if passed < 250 {
		t.Errorf("only %d steps", passed)
	}
}

// Each way to be wrong must fail at least these steps.
func TestEachWayToBeWrongIsSeen(t *testing.T) {
	t.Parallel()
	for wrong, steps := range map[string][]string{
		"loses a field":                   {"environments/change"},
		"shows secrets":                   {"accounts/create", "variables/secret"},
		"forgets secrets":                 {"accounts/secret", "proxies/secret"},
		"lets anybody in":                 {"errors/no-key", "errors/wrong-key"},
		"takes any text":                  {"errors/invalid-json"},
		"takes no name":                   {"environments/create/no-name", "projects/create/no-name"},
		"takes a name twice":              {"environments/create/same-name"},
		"creates with 200":                {"environments/create"},
		"answers 404 with Errors":         {"environments/get/unknown", "projects/change/unknown", "tenants/delete/unknown"},
		"answers 404 with a page":         {"environments/get/unknown"},
		"keeps what was deleted":          {"environments/delete"},
		"takes an old version":            {"process/version", "variables/version"},
		"counts no versions":              {"process/version", "variables/version", "template/version"},
		"knows no ids":                    {"environments/list/ids"},
		"knows no partialName":            {"environments/list/partialName"},
		"knows no skip":                   {"paging"},
		"counts a page only":              {"paging"},
		"gives items without some fields": {"environments/list"},
		"writes names in lower case":      {"environments/create", "session"},
		"says nothing in errors":          {"environments/create/no-name"},
	} {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			failed, _ := newFake(t, wrong).steps(t, "environments", "projects", "tenants", "accounts", "proxies")
			for _, step := range steps {
				if _, ok := failed[step]; !ok && failed["session"] == nil {
					t.Errorf("%s passes", step)
				}
			}
		})
	}
}
