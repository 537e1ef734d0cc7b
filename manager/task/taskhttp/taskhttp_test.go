package taskhttp_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/task"
	"odcm/kit/web"
	room "odcm/manager/task"
	"odcm/manager/task/taskhttp"
)

var people = map[string]odcm.Principal{
	"barry": {User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}},
	"lisa":  {User: "user-lisa", Name: "Lisa <b>", Roles: []odcm.Role{odcm.Member}},
	"bob":   {User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}},
}

// byName believes what the request says of itself.
type byName struct{}

func (byName) Authenticate(r *http.Request) (odcm.Principal, error) {
	if p, ok := people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]; ok {
		return p, nil
	}
	return odcm.Principal{}, odcm.E(odcm.Unauthenticated, "", "sign in")
}

func (byName) Authorize(_ context.Context, p odcm.Principal, _ odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) {
		return nil
	}
	return odcm.E(odcm.Denied, "", "no")
}

type world struct {
	t       *testing.T
	site    *web.Site
	engine  *task.Engine
	release chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	w := &world{t: t, release: make(chan struct{})}
	if w.engine, err = task.New(ctx, d, events, bus, task.Options{Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	w.engine.Register("copy", func(r *task.Run) error {
		r.Progress(40, "copying <all>")
		_, err := task.Step(r, "copy projects", func(ctx context.Context) (int, error) {
			for range 3 {
				r.Logf("copied <script>")
			}
			select {
			case <-w.release:
				return 1, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		return err
	})
	w.engine.Register("fail", func(*task.Run) error {
		return odcm.E(odcm.Unavailable, "octopus.unreachable", "octopus.example.com did not answer")
	})
	if err := w.engine.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := w.engine.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	w.site = web.New(web.Options{Authenticator: byName{}, Bus: bus, Logger: quiet})
	taskhttp.Register(w.site, room.New(w.engine, byName{}), w.engine)
	return w
}

func (w *world) submit(by, kind string) odcm.TaskID {
	w.t.Helper()
	id, err := w.engine.Submit(w.t.Context(), nil, task.Request{Kind: kind, Title: "Copy <everything>", Subject: "space-1", By: people[by]})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// ask sends a request as someone and returns status and body.
func (w *world) ask(as, method, path string) (int, string) {
	w.t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+as)
	rec := httptest.NewRecorder()
	w.site.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, string(b)
}

func get[T any](w *world, as, path string) (v T) {
	w.t.Helper()
	status, body := w.ask(as, "GET", "/api/v1"+path)
	if status != http.StatusOK {
		w.t.Fatalf("GET %s as %s: %d %s", path, as, status, body)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		w.t.Fatalf("GET %s: %v: %s", path, err, body)
	}
	return v
}

// busy submits a task and waits until its progress and log can be seen.
func (w *world) busy(by string) odcm.TaskID {
	w.t.Helper()
	id := w.submit(by, "copy")
	for {
		lines, err := w.engine.Log(w.t.Context(), id, 0, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(lines) == 3 {
			return id
		}
	}
}

func TestREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.busy("lisa")
	path := "/tasks/" + string(id)

	if got := get[api.TaskDetail](w, "lisa", path); got.State != "running" || got.Percent != 40 || got.Doing != "copying <all>" ||
		got.ByName != "Lisa <b>" || got.Started == nil || got.Ended != nil || len(got.Steps) != 1 || got.Steps[0].State != "running" {
		t.Errorf("got %+v", got)
	}
	if got := get[api.TaskLog](w, "lisa", path+"/log?after=1&limit=1"); len(got.Lines) != 1 || got.Lines[0].Number != 2 || got.Next != 2 || got.State != "running" {
		t.Errorf("log %+v", got)
	}
	if got := get[api.TaskLog](w, "lisa", path+"/log?after=3"); len(got.Lines) != 0 || got.Next != 3 {
		t.Errorf("end of the log %+v", got)
	}
	for _, refused := range []string{path, path + "/log", "/tasks/task-none"} {
		if status, body := w.ask("bob", "GET", "/api/v1"+refused); status != http.StatusNotFound {
			t.Errorf("GET %s as Bob: %d %s", refused, status, body)
		}
	}
	if status, _ := w.ask("nobody", "GET", "/api/v1/tasks"); status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", status)
	}

	if status, body := w.ask("lisa", "POST", "/api/v1"+path+"/cancel"); status != http.StatusAccepted {
		t.Errorf("cancel: %d %s", status, body)
	}
	if _, err := w.engine.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := get[api.TaskDetail](w, "barry", path); got.State != "canceled" || got.CanceledBy != "Lisa <b>" || got.Ended == nil {
		t.Errorf("after the cancel: %+v", got)
	}
	if status, body := w.ask("lisa", "POST", "/api/v1"+path+"/cancel"); status != http.StatusConflict || !strings.Contains(body, "task.finished") {
		t.Errorf("cancel again: %d %s", status, body)
	}
}

func TestRESTListPagesAndFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		id := w.submit("lisa", "fail")
		if _, err := w.engine.Wait(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	running := w.busy("bob")
	seen, pages, cursor := 0, 0, ""
	for {
		page := get[api.Page[api.Task]](w, "barry", "/tasks?limit=2&state=failed,canceled&subject=space-1&cursor="+cursor)
		seen += len(page.Items)
		pages++
		for _, x := range page.Items {
			if x.Error == nil || x.Error.Code != "octopus.unreachable" {
				t.Errorf("got %+v", x)
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if seen != 5 || pages != 3 {
		t.Errorf("%d tasks on %d pages", seen, pages)
	}
	if page := get[api.Page[api.Task]](w, "bob", "/tasks"); len(page.Items) != 1 || page.Items[0].ID != string(running) {
		t.Errorf("Bob sees %+v", page)
	}
	if page := get[api.Page[api.Task]](w, "barry", "/tasks?kind=none"); page.Items == nil || len(page.Items) != 0 {
		t.Errorf("none is %+v", page)
	}
	if status, _ := w.ask("barry", "GET", "/api/v1/tasks?state=lost"); status != http.StatusUnprocessableEntity {
		t.Errorf("a state that is none: %d", status)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, body := w.ask("lisa", "GET", "/tasks"); !strings.Contains(body, "No tasks yet") {
		t.Errorf("the empty list: %s", body)
	}
	id := w.busy("lisa")
	path := "/tasks/" + string(id)
	for _, c := range []struct {
		as, path string
		status   int
		want     []string
		not      []string
	}{
		{"lisa", "/tasks", 200, []string{path, "Copy &lt;everything&gt;", `data-live="task/` + string(id) + `"`, "copying &lt;all&gt;", `value="40"`}, nil},
		{"lisa", "/tasks?state=unfinished", 200, []string{path}, nil},
		{"lisa", "/tasks?state=failed", 200, []string{"No such task"}, []string{path}},
		{"bob", "/tasks", 200, []string{"No tasks yet"}, []string{path}},
		{"lisa", "/tasks?state=lost", 422, nil, nil},
		{"lisa", "/tasks?cursor=x", 422, nil, nil},
		{"lisa", path, 200, []string{"copy projects", "copied &lt;script&gt;", "Cancel the task", `data-live="task.log/` + string(id) + `"`}, []string{"copied <script>"}},
		{"barry", path, 200, []string{"Lisa &lt;b&gt;", "Cancel the task"}, nil},
		{"bob", path, 404, nil, []string{"everything"}},
		{"bob", path + "/log", 404, nil, nil},
		{"lisa", path + "/log", 200, []string{"Z copied <script>\n"}, nil},
	} {
		status, body := w.ask(c.as, "GET", c.path)
		if status != c.status {
			t.Errorf("GET %s as %s: %d, want %d", c.path, c.as, status, c.status)
		}
		for _, s := range c.want {
			if !strings.Contains(body, s) {
				t.Errorf("GET %s as %s lacks %q", c.path, c.as, s)
			}
		}
		for _, s := range c.not {
			if strings.Contains(body, s) {
				t.Errorf("GET %s as %s has %q", c.path, c.as, s)
			}
		}
	}
	if status, _ := w.ask("bob", "POST", path+"/cancel"); status != http.StatusNotFound {
		t.Errorf("Bob cancels: %d", status)
	}
	close(w.release)
	if _, err := w.engine.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, body := w.ask("lisa", "GET", path); strings.Contains(body, "Cancel the task") || !strings.Contains(body, "Succeeded") {
		t.Error("a finished task is offered for canceling, or does not say how it ended")
	}
}

func TestFilterSurvivesPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 51 {
		w.submit("lisa", "fail")
	}
	_, body := w.ask("lisa", "GET", "/tasks?subject=space-1")
	_, after, ok := strings.Cut(body, `href="/tasks?cursor=`)
	if !ok {
		t.Fatal("no next page")
	}
	next, _, _ := strings.Cut(after, `"`)
	q, err := url.ParseQuery("cursor=" + strings.ReplaceAll(next, "&amp;", "&"))
	if err != nil || q.Get("subject") != "space-1" {
		t.Errorf("the next page's query is %v, %v", q, err)
	}
	if _, body := w.ask("lisa", "GET", "/tasks?"+q.Encode()); strings.Count(body, "<tr data-live") != 1 {
		t.Errorf("the second page has %d rows, want 1", strings.Count(body, "<tr data-live"))
	}
}
