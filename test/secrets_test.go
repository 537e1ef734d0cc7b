package test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"odcm/kit/db"
	"odcm/manager"
)

// record is what was written, by several at once.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// TestSecretsStaySecret does all that has to do with secrets, with the log as talkative as can be, and then looks for their
// clear text wherever anybody could read it: in the database, in the log, in events, in answers and pages, in process lists.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	var logged record
	o := open(t, func(o *manager.Options) {
		o.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	secrets := map[string]string{"the administrator's API key": adminKey, "the administrator's password": "Watch-it-2026", "the Octopus API key": fakeKey,
		"the second Octopus API key": "API-SECONDKEYOFTHEIRADMINISTRATOR", "a wrong Octopus API key": "API-AKEYTHATISWRONG", "a wrong password": "Tr0ub4dor-and-3"}

	// A session by the form, and one that fails.
	form := func(password string) reply {
		return o.ask("POST", "/sign-in", url.Values{"username": {"admin"}, "password": {password}, "return": {"/"}}.Encode(),
			map[string]string{"Authorization": "-", "Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"})
	}
	if r := form(secrets["a wrong password"]); r.status != 401 || bytes.Contains(r.body, []byte(secrets["a wrong password"])) {
		t.Errorf("sign-in with a wrong password: %d %s", r.status, r.body)
	}
	signedIn := form(secrets["the administrator's password"])
	for _, c := range (&http.Response{Header: signedIn.header}).Cookies() {
		if c.Name == "odcm-session" {
			secrets["the session's token"] = c.Value
		}
	}
	// API keys: told once, in the answer that makes them.
	made := o.ask("POST", "/api/v1/api-keys", `{"purpose":"build"}`, map[string]string{"Idempotency-Key": "make-a-key"})
	secrets["an API key"] = made.field("key")
	secrets["the key of a login"] = o.want(201, "POST", "/api/v1/sign-in", asJSON(map[string]string{"username": "admin", "password": "Watch-it-2026"})).field("key")
	secrets["an enrolment token"] = o.want(201, "POST", "/api/v1/servers/enrolment-tokens", `{}`).field("token")

	// A server that is enlisted and gets another key, and one that cannot be.
	theirs := &fakeOctopus{installation: "theirs", second: secrets["the second Octopus API key"]}
	there := serve(t, theirs.ServeHTTP)
	r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Shipping"}}}))
	o.ends(r.field("task"), "succeeded")
	o.want(204, "PUT", "/api/v1/spaces/shipping/key", asJSON(map[string]string{"apiKey": theirs.second}))
	o.want(422, "PUT", "/api/v1/spaces/shipping/key", asJSON(map[string]string{"apiKey": secrets["a wrong Octopus API key"]}))
	o.want(422, "POST", "/api/v1/spaces/plan", asJSON(map[string]any{"url": there, "apiKey": secrets["a wrong Octopus API key"], "colour": "red"}))
	// The wizard keeps the key between its pages.
	o.ask("POST", "/spaces/enlist", url.Values{"url": {there}, "apiKey": {fakeKey}}.Encode(),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"})
	var subscription struct {
		EventNotificationSubscription struct{ WebhookHeaderValue string }
	}
	if err := json.Unmarshal(theirs.made[0], &subscription); err != nil {
		t.Fatal(err)
	}
	secrets["the webhook's secret"] = subscription.EventNotificationSubscription.WebhookHeaderValue

	o.entrust(secrets)

	// A Space that is created: its server gets a key by its environment.
	o.besides()
	until(t, "the agent is there", func() bool {
		return strings.Contains(string(o.want(200, "GET", "/api/v1/servers", "").body), `"online":true`)
	})
	o.ends(o.want(202, "POST", "/api/v1/spaces", `{"name":"Blank"}`).field("task"), "succeeded")
	pids := spaceServersIn(t, o.data)
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pids[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range strings.Split(string(environ), "\x00") {
		if name, value, _ := strings.Cut(v, "="); strings.HasSuffix(name, "ADMIN_API_KEY") {
			secrets["the created server's API key"] = value
		}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pids[0]))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(o.data, "odcm.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["the key that seals"] = strings.TrimSpace(string(key))
	for what, secret := range secrets {
		if len(secret) < 12 {
			t.Errorf("%s is not known to this test: %q", what, secret)
		}
	}
	if len(secrets) != 25 {
		t.Errorf("%d secrets: one that there should be is missing", len(secrets))
	}

	seek := func(where, text string) {
		for what, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s has %s: ...%s...", where, what, text[max(0, i-100):min(len(text), i+len(secret)+20)])
			}
		}
	}
	seek("the process list", string(line))
	for place, text := range cells(t, o.d.Read()) {
		seek(place, text)
	}
	for _, name := range []string{"odcm.db", "odcm.db-wal"} { // also what was deleted, in free pages and in the log
		b, err := os.ReadFile(filepath.Join(o.data, name))
		if err != nil {
			t.Fatal(err)
		}
		seek(name, string(b))
	}
	answers := []string{"/api/v1/me", "/api/v1/spaces/shipping", "/api/v1/spaces/blank", "/api/v1/api-keys", "/api/v1/sessions", "/api/v1/tasks", "/api/v1/tasks/" + r.field("task"),
		"/api/v1/tasks/" + r.field("task") + "/log", "/api/v1/servers", "/api/v1/audit/events?limit=500", "/api/v1/audit/export", "/api/v1/spaces/choices", "/api/v1/switcher",
		"/api/v1/openapi.json", "/metrics", "/healthz", "/readyz", "/", "/spaces/shipping", "/spaces/blank", "/spaces/enlist", "/tasks", "/servers", "/audit", "/settings",
		"/settings/api-keys", "/settings/sessions", "/api/v1/users", "/api/v1/users/ada", "/api/v1/providers", "/api/v1/scim-directories", "/api/v1/relying-parties",
		"/api/v1/signing-keys", "/people", "/people/mail", "/providers", "/provisioning", "/relying-parties", "/signing-keys", "/oauth2/keys"}
	for _, path := range answers {
		got := o.ask("GET", path, "", map[string]string{"Accept": "text/html, */*"})
		if got.status != 200 {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
		seek(path, string(got.body)+fmt.Sprint(got.header))
	}
	seek("the log", logged.String())
	if !strings.Contains(logged.String(), "octopus request") {
		t.Error("the log does not even tell of requests: it was not looked at")
	}

	// Who may read the machine's files may read the keys; nobody else.
	err = filepath.WalkDir(o.data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went meanwhile
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode().IsRegular() && !strings.Contains(path, "launcher") && !strings.Contains(path, "versions") {
			if b, err := os.ReadFile(path); err == nil {
				seek(path+" (mode "+info.Mode().String()+")", string(b))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// entrust gives the office everything that people, directories and relying parties have to keep to themselves, and adds it
// to the secrets.
func (o *office) entrust(secrets map[string]string) {
	o.t.Helper()
	post := func(status int, path string, body any) reply {
		return o.want(status, "POST", "/api/v1"+path, asJSON(body))
	}
	keep := func(what string, r reply, field string) string {
		secrets[what] = r.field(field)
		return r.field("id")
	}
	// Directories and providers, with what is entered for them and what is entered wrongly.
	keytab := base64.StdEncoding.EncodeToString([]byte("\x05\x02 this is no keytab at all"))
	secrets["a bind password"], secrets["a new bind password"], secrets["a keytab"] = "bind-Passw0rd-of-AD", "bind-Passw0rd-renewed", keytab
	secrets["a provider's client secret"] = "client-secret-of-Entra"
	domain := map[string]any{"kind": "active-directory", "name": "Example", "enabled": true, "secrets": map[string]string{"bindPassword": secrets["a bind password"]},
		"settings": map[string]string{"servers": "127.0.0.1:1", "bindUser": "odcm@example.com", "domain": "example.com", "netbios": "EXAMPLE"}}
	id := post(201, "/providers", domain).field("id")
	o.want(200, "PATCH", "/api/v1/providers/"+id, asJSON(map[string]any{"secrets": map[string]string{"keytab": keytab}}))
	o.want(200, "PATCH", "/api/v1/providers/"+id, asJSON(map[string]any{"secrets": map[string]string{"bindPassword": secrets["a new bind password"]}}))
	o.want(200, "POST", "/api/v1/providers/"+id+"/test", "")
	o.want(202, "POST", "/api/v1/providers/"+id+"/sync", "")
	secrets["a password that a directory is asked about"] = "what-carol-knows"
	o.ask("POST", "/api/v1/sign-in", asJSON(map[string]string{"username": "carol", "password": secrets["a password that a directory is asked about"]}), map[string]string{"Authorization": "-"})
	post(201, "/providers", map[string]any{"kind": "openid-connect", "name": "Partner", "settings": map[string]string{"issuer": "https://127.0.0.1:1", "clientId": "odcm"},
		"secrets": map[string]string{"clientSecret": secrets["a provider's client secret"]}})

	// A directory that pushes, and a relying party.
	pushes := post(201, "/scim-directories", map[string]any{"name": "Pushes"}).field("provider")
	keep("a SCIM token", post(201, "/scim-directories/"+pushes+"/tokens", map[string]any{"purpose": "x"}), "token")
	party := keep("a client secret", post(201, "/relying-parties", map[string]any{"name": "Wiki", "redirectUris": []string{"https://wiki.example.com/"}}), "secret")
	keep("a new client secret", o.want(200, "POST", "/api/v1/relying-parties/"+party+"/secret", ""), "secret")
	o.ask("POST", "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {"no-code-at-all-of-ours"}, "client_id": {party},
		"client_secret": {secrets["a new client secret"]}}.Encode(), map[string]string{"Authorization": "-", "Content-Type": "application/x-www-form-urlencoded"})
	secrets["a code"] = "no-code-at-all-of-ours"

	// People: passwords, and the links of letters, which nobody else is told where they cannot be mailed.
	secrets["a user's password"] = "of-Ada-Lovelace-1815"
	ada := post(201, "/users", map[string]any{"username": "ada", "password": secrets["a user's password"]}).field("id")
	token := func(what string, r reply) {
		link, err := url.Parse(r.field("link"))
		if err != nil || link.RawQuery+link.Fragment == "" {
			o.t.Fatalf("%s: %s", what, r.body)
		}
		_, secrets[what], _ = strings.Cut(link.RawQuery+link.Fragment, "=")
	}
	token("an invitation's link", post(201, "/invitations", map[string]any{"email": "geoff@example.com"}))
	token("a password's link", o.want(200, "POST", "/api/v1/users/"+ada+"/password-link", ""))
	for _, path := range []string{"/invitation?token=", "/reset?token="} {
		o.ask("GET", path+url.QueryEscape(secrets["a password's link"]), "", map[string]string{"Authorization": "-", "Accept": "text/html"})
	}
}

// cells reads every cell of every table.
func cells(t testing.TB, d *sql.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	tables, err := db.Collect(t.Context(), d, func(r db.Row) (name string, err error) { return name, r.Scan(&name) },
		`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil || len(tables) < 25 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		columns, err := db.Collect(t.Context(), d, func(r db.Row) (name string, err error) { return name, r.Scan(&name) },
			`SELECT name FROM pragma_table_info($1)`, table)
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range columns {
			values, err := db.Collect(t.Context(), d, func(r db.Row) (v sql.NullString, err error) { return v, r.Scan(&v) },
				`SELECT "`+column+`" FROM "`+table+`"`)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				all[table+"."+column] += v.String + "\n"
			}
		}
	}
	return all
}
