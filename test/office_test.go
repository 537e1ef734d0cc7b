package test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ground "odcm" // odcm is the program here
	"odcm/agent"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager"
	"odcm/manager/identity"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

// office is a manager in this process, and people who ask it over REST.
type office struct {
	t    testing.TB
	m    *manager.Manager
	data string
	d    *db.DB // a second handle, to look and to make people with
}

// open starts a manager with its data in a folder of its own. Adjust may change its options.
func open(t testing.TB, adjust func(*manager.Options)) *office {
	t.Helper()
	o := manager.Options{Version: "1.0.0", Data: t.TempDir(), Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", AdminPassword: "Watch-it-2026",
		AdminAPIKey: adminKey, ProveWithin: time.Second, ProbeEvery: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	if adjust != nil {
		adjust(&o)
	}
	m, err := manager.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopping(m.Stop); err != nil {
			t.Errorf("stop the manager: %v", err)
		}
	})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	url := o.Database
	if url == "" {
		url = "sqlite:" + filepath.Join(o.Data, "odcm.db")
	}
	d, err := db.Open(t.Context(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &office{t: t, m: m, data: o.Data, d: d}
}

// people is the identity room on the office's database, at a time of its own.
func (o *office) people(now func() time.Time) *identity.Service {
	o.t.Helper()
	bus, err := signal.New(o.t.Context(), o.d)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(bus.Close)
	events, err := eventlog.New(o.t.Context(), o.d, bus)
	if err != nil {
		o.t.Fatal(err)
	}
	store, err := identitysql.New(o.t.Context(), o.d, events)
	if err != nil {
		o.t.Fatal(err)
	}
	return identity.New(identity.Options{Store: store, Bus: bus, Authorizer: role.NewAuthorizer(), Now: now, Logger: slog.New(slog.DiscardHandler)})
}

// hire makes a user of the role with an API key that ends after life.
func (o *office) hire(name string, role ground.Role, now func() time.Time, life time.Duration) (key string) {
	o.t.Helper()
	s := o.people(now)
	u, err := s.Create(o.t.Context(), ground.System, identity.NewUser{Username: name, Password: "correct horse", Roles: []ground.Role{role}})
	if err != nil {
		o.t.Fatal(err)
	}
	key, _, err = s.CreateKey(o.t.Context(), ground.Principal{User: u.ID, Name: name, Roles: u.Roles}, session.NewKey{Purpose: "test", Expires: now().Add(life)})
	if err != nil {
		o.t.Fatal(err)
	}
	return key
}

// besides runs an agent beside the manager, whose Space servers end with it.
func (o *office) besides() {
	o.t.Helper()
	a, err := agent.New(agent.Options{Data: filepath.Join(o.data, "agent"), Manager: o.m.AgentAddress(), Name: "here", Version: "1.0.0",
		Executable: launcher(o.t, o.data), Token: o.m.EnrolLocal, StopInstances: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := a.Start(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		if err := stopping(a.Stop); err != nil {
			o.t.Errorf("stop the agent: %v", err)
		}
	})
}

// reply is what the manager answered.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of a refusal.
type problem struct {
	Status         int
	Title, Detail  string
	Code, Instance string
	Errors         []struct{ Location, Message string }
}

func (r reply) problem() (p problem) {
	_ = json.Unmarshal(r.body, &p)
	return p
}

func (r reply) field(name string) string {
	var all map[string]any
	_ = json.Unmarshal(r.body, &all)
	s, _ := all[name].(string)
	return s
}

// ask sends a request as the administrator, unless the headers say otherwise; "-" takes a header away.
func (o *office) ask(method, path, body string, headers map[string]string) reply {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, o.m.URL()+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		if value == "-" {
			r.Header.Del(name)
		} else {
			r.Header.Set(name, value)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		o.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, b}
}

// want asks and insists on the status.
func (o *office) want(status int, method, path, body string) reply {
	o.t.Helper()
	r := o.ask(method, path, body, nil)
	if r.status != status {
		o.t.Fatalf("%s %s: got %d %s, want %d", method, path, r.status, r.body, status)
	}
	return r
}

// ends waits for the end of a task.
func (o *office) ends(task, state string) {
	o.t.Helper()
	var r reply
	until(o.t, "the task ends", func() bool {
		r = o.want(200, "GET", "/api/v1/tasks/"+task, "")
		s := r.field("state")
		return s == "succeeded" || s == "failed" || s == "canceled"
	})
	if r.field("state") != state {
		o.t.Fatalf("the task ended as %s, want %s", r.body, state)
	}
}

// tables is how many rows there are of all that a refused request could have written.
func (o *office) tables() map[string]int {
	o.t.Helper()
	rows := map[string]int{}
	for _, table := range []string{"space", "space_instance", "space_hook", "space_draft", "space_star", "space_visit", "task", "event", "fleet_instance",
		"fleet_server", "identity_user", "identity_key", "identity_session", "identity_email",
		"identity_group", "identity_group_user", "identity_letter", "identity_linked", "identity_provider", "identity_scim_directory", "identity_scim_token",
		"access_account", "access_grant", "access_push", "access_team_group", "mail_message", "sso_consent", "sso_grant", "sso_key", "sso_party", "workflow_status", "web_idempotency"} {
		var n int
		if err := o.d.Read().QueryRowContext(o.t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			o.t.Fatalf("%s: %v", table, err)
		}
		rows[table] = n
	}
	return rows
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
