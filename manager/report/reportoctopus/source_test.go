package reportoctopus_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/manager/report"
	"odcm/manager/report/collect"
	"odcm/manager/report/reportoctopus"
	"odcm/manager/report/reportsql"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

const adminKey = "API-ADMINISTRATOR"

type fields = map[string]any

// server is a real Space server with one project, an environment and people's client of it.
type server struct {
	t      testing.TB
	client *octoclient.Client
	data   string
	stop   func()

	environment, release string // of what succeeds
}

func serve(t testing.TB, data string) *server {
	t.Helper()
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: data, AdminAPIKey: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	t.Cleanup(stop)
	return &server{t: t, client: dial(t, s.URL(), octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6, Concurrency: 100})), data: data, stop: stop}
}

func dial(t testing.TB, address string, budgets *octoclient.Budgets) *octoclient.Client {
	t.Helper()
	c, err := octoclient.New(octoclient.Options{URL: address, APIKey: adminKey, Guard: egress.New(egress.Policy{}, egress.Limits{}), Budgets: budgets, Timeout: 20 * time.Second, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) create(route string, body fields) octopus.Object {
	s.t.Helper()
	o, err := octopus.NewObject(body)
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := s.client.Post(s.t.Context(), octopus.SpaceRoute("Spaces-1", route), o)
	if err != nil {
		s.t.Fatalf("%s: %v", route, err)
	}
	return made
}

// furnish makes two projects with a release each, of which one fails, and an environment, and returns what deploys them.
func (s *server) furnish() (deploy func(n int, fails bool)) {
	environment := s.create("environments", fields{"Name": "Production"}).ID()
	releases := map[bool]string{}
	for fails, name := range map[bool]string{false: "Web", true: "Broken"} {
		project := s.create("projects", fields{"Name": name, "ProjectGroupId": "ProjectGroups-1", "LifecycleId": "Lifecycles-1"}).ID()
		if fails {
			p, err := s.client.Get(s.t.Context(), octopus.SpaceRoute("Spaces-1", "deploymentprocesses", "deploymentprocess-"+project))
			if err != nil {
				s.t.Fatal(err)
			}
			p.Set("Steps", []fields{{"Name": "Fail", "Properties": fields{}, "Actions": []fields{{"Name": "Fail", "ActionType": "Octopus.Script", "Properties": fields{"Octopus.Action.RunOnServer": "true",
				"Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": "exit 1"}}}}})
			if _, err := s.client.Put(s.t.Context(), octopus.SpaceRoute("Spaces-1", "deploymentprocesses", "deploymentprocess-"+project), p); err != nil {
				s.t.Fatal(err)
			}
		}
		releases[fails] = s.create("releases", fields{"ProjectId": project, "Version": "1.0.0"}).ID()
	}
	s.environment, s.release = environment, releases[false]
	return func(n int, fails bool) {
		for range n {
			s.create("deployments", fields{"ReleaseId": releases[fails], "EnvironmentId": environment})
		}
	}
}

// settle waits until nothing is under way.
func (s *server) settle() {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		page, err := s.client.Get(s.t.Context(), octopus.Route("tasks")+"?active=true&take=1")
		if err != nil {
			s.t.Fatal(err)
		}
		if (octopus.Page{Object: page}).Total() == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("tasks never end")
		}
		timer := time.NewTimer(100 * time.Millisecond)
		<-timer.C
	}
}

// count is what the server itself says, by state.
func (s *server) count() map[report.Outcome]int64 {
	s.t.Helper()
	counts := map[report.Outcome]int64{}
	for state, outcome := range map[string]report.Outcome{"Queued": report.Queued, "Executing": report.Running, "Success": report.Succeeded, "Failed": report.Failed, "Canceled": report.Canceled, "TimedOut": report.TimedOut} {
		page, err := s.client.Get(s.t.Context(), octopus.SpaceRoute("Spaces-1", "deployments")+"?take=1&taskState="+state)
		if err != nil {
			s.t.Fatal(err)
		}
		if n := (octopus.Page{Object: page}).Total(); n > 0 {
			counts[outcome] = int64(n)
		}
	}
	return counts
}

func counted(t *testing.T, store *reportsql.Store) map[report.Outcome]int64 {
	t.Helper()
	all, err := store.Counts(t.Context(), report.Scope{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[report.Outcome]int64{}
	for _, c := range all {
		counts[c.Outcome] = c.N
	}
	return counts
}

var space = collect.Space{ID: "space-1", Name: "Payments"}

// collectAll reads until nothing is left, by a collector that knows nothing but what is stored, and returns the requests made.
func collectAll(t *testing.T, store *reportsql.Store, client *octoclient.Client) int64 {
	t.Helper()
	source := reportoctopus.New(client, "Spaces-1")
	for range 50 {
		c := collect.New(collect.Options{Store: store, Connect: func(context.Context, odcm.SpaceID) (collect.Source, error) { return source, nil }})
		more, err := c.Round(t.Context(), space)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return source.Asked()
		}
	}
	t.Fatal("it never comes to an end")
	return 0
}

// The whole of it against the Space server: what was before, what comes, what came while ODCM was down and the server was
// restarted, and what its budget was used for.
func TestFromASpaceServer(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	store, err := reportsql.New(t.Context(), dbtest.Open(t, dbtest.SQLite(t)))
	if err != nil {
		t.Fatal(err)
	}
	deploy := s.furnish()
	deploy(12, false)
	deploy(3, true)
	s.settle()
	first := collectAll(t, store, s.client)
	if got, want := counted(t, store), s.count(); !maps.Equal(got, want) || got[report.Succeeded] != 12 || got[report.Failed] != 3 {
		t.Fatalf("counted %v, the server says %v", got, want)
	}
	if first > 30 {
		t.Errorf("%d requests for 15 deployments", first)
	}
	listed, err := store.List(t.Context(), report.Scope{}, report.Position{}, 1)
	if err != nil || len(listed) != 1 || listed[0].Version != "1.0.0" || listed[0].ProjectName == "" || listed[0].EnvironmentName != "Production" || listed[0].By == "" ||
		listed[0].Started.IsZero() || listed[0].Ended.Before(listed[0].Started) || listed[0].Released.IsZero() {
		t.Errorf("%+v %v", listed, err)
	}

	// ODCM is down for this, and the server restarts; one is canceled before it begins.
	deploy(8, false)
	later := s.create("deployments", fields{"ReleaseId": s.release, "EnvironmentId": s.environment, "QueueTime": time.Now().Add(time.Hour)})
	if _, err := s.client.Post(t.Context(), octopus.Route("tasks", later.Text("TaskId"), "cancel"), nil); err != nil {
		t.Fatal(err)
	}
	deploy(2, true)
	s.settle()
	s.stop()
	s = serve(t, s.data)
	second := collectAll(t, store, s.client)
	if got, want := counted(t, store), s.count(); !maps.Equal(got, want) || got[report.Canceled] != 1 {
		t.Fatalf("counted %v, the server says %v", got, want)
	}
	if second > 12 {
		t.Errorf("%d requests for eleven deployments", second)
	}
	if idle := collectAll(t, store, s.client); idle != 1 {
		t.Errorf("%d requests where nothing happened", idle)
	}
	usage := s.client.Budget().Usage()
	if usage.Background == 0 {
		t.Errorf("not in the background: %+v", usage)
	}
	counts, err := reportoctopus.New(s.client, "Spaces-1").Counts(t.Context())
	if err != nil || counts[report.Releases] != 2 || counts[report.Users] == 0 {
		t.Errorf("%v %v", counts, err)
	}
}

func TestServersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Welcome to nginx")) },
		"an array": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[1,2,3]`)) },
		"no items": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"TotalResults":1e9}`)) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		},
		"nothing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"limited": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := httptest.NewServer(answer)
			t.Cleanup(l.Close)
			source := reportoctopus.New(dial(t, l.URL, octoclient.NewBudgets(octoclient.Limits{})), "Spaces-1")
			if _, err := source.Events(t.Context(), collect.EventQuery{Take: 1}); odcm.KindOf(err) != odcm.Invalid && odcm.KindOf(err) != odcm.Unavailable {
				t.Errorf("events: %v", err)
			}
		})
	}
}

// Whatever a server answers, reading it does not panic, and what is read has numbers and identifiers.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{"Items":[{"Id":"Events-7","Category":"DeploymentQueued","Occurred":"2026-03-01T12:00:00.123+00:00","RelatedDocumentIds":["Deployments-1","Projects-1"],"SpaceId":"Spaces-1"}],"TotalResults":1}`,
		`{"Items":[{"Id":"Deployments-1","TaskId":"ServerTasks-1","Created":"x"}],"TotalResults":-5}`, `{"Items":[null,1,{"Id":"Events-"},{"Id":7}]}`, `{"Items":{}}`, `{"Items":[{"Id":"ServerTasks-1","State":"Newer","IsCompleted":true}]}`} {
		f.Add(s)
	}
	var body string
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
	f.Cleanup(l.Close)
	c, err := octoclient.New(octoclient.Options{URL: l.URL, APIKey: adminKey, Budgets: octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6})})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		body = s
		source := reportoctopus.New(c, "Spaces-1")
		page, err := source.Events(t.Context(), collect.EventQuery{Take: 5})
		for _, e := range page.Events {
			if err != nil || e.Number <= 0 {
				t.Fatalf("%q: %+v %v", s, e, err)
			}
		}
		runs, _, _ := source.List(t.Context(), report.Deployments, 0, 5)
		for _, d := range runs {
			if d.ID == "" {
				t.Fatalf("%q: %+v", s, d)
			}
		}
		if _, err := source.Tasks(t.Context(), []string{"ServerTasks-1"}); err != nil && strings.Contains(err.Error(), adminKey) {
			t.Fatal("the key is in an error")
		}
		_, _ = source.Releases(t.Context(), []string{"Releases-1"})
		_, _ = source.Counts(t.Context())
		_, _ = source.Names(t.Context())
	})
}
