package spacehttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/web"
	"odcm/manager/space"
	"odcm/manager/space/spacehttp"
	"odcm/manager/space/spacetest"
	"odcm/octopus"
)

var update = flag.Bool("update", false, "write the goldens anew")

const theirURL = "https://octopus.test"

// who takes the principal from a header, "barry" where there is none.
type who struct{}

func (who) Authenticate(r *http.Request) (odcm.Principal, error) {
	switch r.Header.Get("X-Who") {
	case "":
		return spacetest.Barry, nil
	case "bob":
		return spacetest.Bob, nil
	}
	return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "unauthenticated", "Sign in.")
}

type site struct {
	*spacetest.Manager
	http.Handler
	vitals *atomic.Pointer[spacehttp.Vitals]
}

func serve(t testing.TB) site {
	t.Helper()
	o := spacetest.NewOutside()
	o.Add(theirURL, &spacetest.Server{InstallationID: "installation-theirs", Version: "2025.4.1", Key: "API-THEIRS", Spaces: []space.OctopusSpace{
		{ID: "Spaces-1", Name: "Default", Default: true}, {ID: "Spaces-2", Name: "Second", Description: "the other one"},
	}})
	d := dbtest.Open(t, dbtest.SQLite(t))
	m := spacetest.Start(t, d, o, nil)
	s := web.New(web.Options{Authenticator: who{}, DB: d, Bus: m.Bus, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	vitals := &atomic.Pointer[spacehttp.Vitals]{}
	vitals.Store(&spacehttp.Vitals{})
	h := &spacehttp.Handler{Spaces: m.Spaces, Tasks: m.Tasks, Site: s,
		Vitals: func(context.Context, odcm.Principal, odcm.SpaceID) (spacehttp.Vitals, error) {
			return *vitals.Load(), nil
		}}
	h.Mount()
	hints := m.Bus.Subscribe("space")
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = m.Spaces.FollowBoard(ctx, hints.C, h.BoardChanged) })
	t.Cleanup(func() { cancel(); hints.Close(); following.Wait() })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return site{m, s, vitals}
}

// ask sends a request: JSON where the path is of the API, a form otherwise.
func (s site) ask(t *testing.T, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s site) want(t *testing.T, status int, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := s.ask(t, method, path, body, header...)
	if w.Code != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return w
}

var (
	idPattern      = regexp.MustCompile(`(space|instance|task|draft|req)-[0-9a-f]{8}-[0-9a-f-]{27}`)
	requestPattern = regexp.MustCompile(`"instance": "[A-Z0-9]{16}"`)
	timePattern    = regexp.MustCompile(`"20\d\d-[0-9T:.-]+Z"`)
)

// golden compares the answer with what is kept, but for identifiers and times.
func golden(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, w.Body.Bytes(), "", "  "); err != nil {
		t.Fatalf("%s: %v: %s", name, err, w.Body)
	}
	got := idPattern.ReplaceAll(b.Bytes(), []byte("$1-ID"))
	got = timePattern.ReplaceAll(got, []byte(`"TIME"`))
	got = requestPattern.ReplaceAll(got, []byte(`"instance": "REQUEST"`))
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("%s differs from %s (%v):\n%s", name, path, err, got)
	}
}

func field(t *testing.T, w *httptest.ResponseRecorder, name string) string {
	t.Helper()
	o, err := octopus.ParseObject(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return o.Text(name)
}

func TestREST(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const connection = `"url":"https://octopus.test","apiKey":"API-THEIRS"`

	golden(t, "choices", s.want(t, 200, "GET", "/api/v1/spaces/choices", ""))
	golden(t, "empty", s.want(t, 200, "GET", "/api/v1/spaces", ""))
	golden(t, "plan", s.want(t, 200, "POST", "/api/v1/spaces/plan", `{`+connection+`}`))
	golden(t, "refused", s.want(t, 422, "POST", "/api/v1/spaces/plan", `{"url":"https://octopus.test","apiKey":"API-WRONG"}`))

	w := s.want(t, 202, "POST", "/api/v1/spaces/enlist", `{`+connection+`,"spaces":[{"octopusSpace":"Spaces-1","name":"Shipping"},{"octopusSpace":"Spaces-2"}]}`)
	if w.Header().Get("Location") != "/api/v1/tasks/"+field(t, w, "task") {
		t.Errorf("Location %s", w.Header().Get("Location"))
	}
	s.Succeed(t, odcm.TaskID(field(t, w, "task")))

	s.want(t, 204, "PUT", "/api/v1/spaces/shipping/star", "")
	days := 12
	s.Monitor.Tell(odcm.SpaceID(field(t, s.want(t, 200, "GET", "/api/v1/spaces/shipping", ""), "id")), space.Health{
		Status: space.Degraded, Reason: "1 of 2 nodes is offline", Since: time.Now(), Checked: time.Now(), Version: "2025.4.2",
		Nodes:   []space.Node{{Name: "A", Leader: true, TaskCap: 5, LastSeen: time.Now()}, {Name: "B", Offline: true}},
		Licence: &space.Licence{Kind: "Trial", Compliant: true, DaysLeft: &days, Limits: []space.Limit{{Name: "Targets", Used: 3, Allowed: 10}}},
	})
	got := s.want(t, 200, "GET", "/api/v1/spaces/shipping", "")
	golden(t, "space", got)
	golden(t, "list", s.want(t, 200, "GET", "/api/v1/spaces?q=S&state=active", ""))
	golden(t, "switcher", s.want(t, 200, "GET", "/api/v1/switcher", ""))

	etag := got.Header().Get("ETag")
	renamed := s.want(t, 200, "PATCH", "/api/v1/spaces/shipping", `{"name":"Logistics"}`, "If-Match", etag)
	if field(t, renamed, "name") != "Logistics" || renamed.Header().Get("ETag") == etag {
		t.Errorf("got %s", renamed.Body)
	}
	s.want(t, 412, "PATCH", "/api/v1/spaces/shipping", `{"name":"Late"}`, "If-Match", etag)
	s.want(t, 409, "PATCH", "/api/v1/spaces/shipping", `{"name":"SECOND"}`)
	s.want(t, 422, "PATCH", "/api/v1/spaces/shipping", `{"nam":"x"}`)
	s.want(t, 204, "DELETE", "/api/v1/spaces/shipping/star", "")
	s.want(t, 422, "PUT", "/api/v1/spaces/shipping/key", `{"apiKey":"API-WRONG"}`)
	s.want(t, 204, "PUT", "/api/v1/spaces/shipping/key", `{"apiKey":"API-THEIRS"}`)

	w = s.want(t, 202, "DELETE", "/api/v1/spaces/shipping", "")
	golden(t, "delisting", w)
	s.Succeed(t, odcm.TaskID(field(t, w, "task")))
	s.want(t, 404, "GET", "/api/v1/spaces/shipping", "")

	w = s.want(t, 202, "POST", "/api/v1/spaces", `{"name":"Blank"}`)
	golden(t, "created", w)
	s.Succeed(t, odcm.TaskID(field(t, w, "task")))
	s.want(t, 422, "DELETE", "/api/v1/spaces/blank", "")
	s.want(t, 403, "POST", "/api/v1/spaces", `{"name":"Mine"}`, "X-Who", "bob")
	s.want(t, 404, "GET", "/api/v1/spaces/blank", "", "X-Who", "bob")
	s.want(t, 401, "GET", "/api/v1/spaces", "", "X-Who", "nobody")
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	page := func(path string, wants ...string) string {
		t.Helper()
		body := s.want(t, 200, "GET", path, "").Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
		if strings.Contains(body, "API-THEIRS") {
			t.Errorf("%s shows an API key", path)
		}
		return body
	}
	follow := func(path string, form url.Values) string {
		t.Helper()
		w := s.want(t, http.StatusSeeOther, "POST", path, form.Encode())
		location := w.Header().Get("Location")
		if strings.Contains(location, "API-") {
			t.Errorf("the key is in an address: %s", location)
		}
		return location
	}

	page("/", "No Spaces yet", "/spaces/new", "/spaces/enlist")
	page("/spaces/new", "2026.1.7", "its disk is full")
	page("/spaces/enlist", `name="apiKey"`)

	bad := s.want(t, 422, "POST", "/spaces/enlist", url.Values{"url": {theirURL}, "apiKey": {"API-SECRETWRONG"}}.Encode())
	if body := bad.Body.String(); strings.Contains(body, "API-SECRETWRONG") || !strings.Contains(body, "space.key-refused") {
		t.Errorf("got %s", body)
	}
	plan := follow("/spaces/enlist", url.Values{"url": {theirURL}, "apiKey": {"API-THEIRS"}})
	draft := plan[strings.Index(plan, "draft=")+len("draft="):]
	page(plan, "installation-theirs", `name="name-Spaces-1"`, "event subscription named ODCM")
	s.want(t, 404, "GET", plan, "", "X-Who", "bob")

	w := s.ask(t, "POST", "/spaces/enlist/apply", url.Values{"draft": {draft}, "space": {"Spaces-1", "Spaces-2"},
		"name-Spaces-1": {"Same"}, "name-Spaces-2": {"same"}}.Encode(), "X-Odcm-Fetch", "1")
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), `body.name-Spaces-2`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	working := follow("/spaces/enlist/apply", url.Values{"draft": {draft}, "space": {"Spaces-1"}, "name-Spaces-1": {"Theirs <b>"}})
	task := odcm.TaskID(working[strings.Index(working, "task=")+len("task="):])
	s.Succeed(t, task)
	page(working, "data-live=\"task.space/"+string(task), "Theirs &lt;b&gt;", "Activate Theirs")
	s.want(t, 404, "GET", working, "", "X-Who", "bob")

	page("/spaces", "Theirs &lt;b&gt;", `data-live="space/space-`, `data-live-region="spaces"`)
	page("/spaces?q=nothing", "No Space is like that")
	page("/switch?q=thrs", "Similar", "Theirs &lt;b&gt;", theirURL[len("https://"):])
	page("/switch?q=enlist", "/spaces/enlist")
	if w := s.want(t, 200, "GET", "/switch?q=thrs", "", "X-Who", "bob"); strings.Contains(w.Body.String(), "Theirs") {
		t.Error("the palette tells of a Space that the person may not enter")
	}
	page("/spaces?status=online&status=junk", "No Space is like that", "/spaces\"")
	page("/spaces/theirs-b", theirURL, "Applied", "Delist", "installation-theirs")
	if to := s.want(t, http.StatusSeeOther, "GET", "/spaces/theirs-b/open", "").Header().Get("Location"); to != theirURL+"/app#/Spaces-1" {
		t.Errorf("open leads to %s", to)
	}
	follow("/spaces/theirs-b/star", url.Values{"on": {"true"}})
	page("/spaces", "Starred")
	s.want(t, 422, "POST", "/spaces/theirs-b", url.Values{"name": {"x"}}.Encode())
	revision := regexp.MustCompile(`name="revision" value="(\d+)"`).FindStringSubmatch(page("/spaces/theirs-b"))[1]
	follow("/spaces/theirs-b", url.Values{"name": {"Renamed"}, "revision": {revision}})
	s.want(t, http.StatusConflict, "POST", "/spaces/theirs-b", url.Values{"name": {"Again"}, "revision": {revision}}.Encode())
	page("/spaces/theirs-b", "Renamed")

	to := follow("/spaces/new", url.Values{"name": {"Blank"}, "version": {"2026.2.1"}})
	if to != "/spaces/blank" {
		t.Errorf("creating leads to %s", to)
	}
	s.Succeed(t, taskOf(t, s, "blank"))
	page("/spaces/blank", "Stop and remove", "2026.2.1")
	follow("/spaces/blank/delist", url.Values{"confirm": {"Blank"}})
}

func taskOf(t *testing.T, s site, ref string) odcm.TaskID {
	t.Helper()
	d, err := s.Spaces.Get(t.Context(), spacetest.Barry, ref)
	if err != nil {
		t.Fatal(err)
	}
	return d.Task
}

func TestHook(t *testing.T) {
	t.Parallel()
	s := serve(t)
	made, err := s.Spaces.Enlist(t.Context(), spacetest.Barry, space.Enlistment{Connection: space.Connection{URL: theirURL, APIKey: "API-THEIRS"},
		Choices: []space.Choice{{Octopus: "Spaces-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Succeed(t, made[0].Task)
	hook := s.Outside.Hooks(theirURL, "Spaces-1")[0].Object("EventNotificationSubscription")
	path := strings.TrimPrefix(hook.Text("WebhookURI"), spacetest.PublicURL)
	secret := hook.Text("WebhookHeaderValue")
	const nobody = "nobody" // the server is not signed in to ODCM
	s.want(t, 204, "POST", path, `{"EventType":"SubscriptionPayload"}`, "X-Who", nobody, space.SecretHeader, secret)
	if heard := <-s.Heard; heard != made[0].ID {
		t.Errorf("heard %s", heard)
	}
	s.want(t, 413, "POST", path, strings.Repeat("x", 64<<10+1), "X-Who", nobody, space.SecretHeader, secret)
	for _, header := range [][]string{{"X-Who", nobody}, {"X-Who", nobody, space.SecretHeader, "wrong"}} {
		s.want(t, 401, "POST", path, `{}`, header...)
	}
	s.want(t, 401, "POST", "/hooks/spaces/space-none", `{}`, "X-Who", nobody, space.SecretHeader, secret)
}
