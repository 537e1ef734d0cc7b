package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	ground "odcm" // odcm is the program here
	"odcm/kit/db"
	"odcm/manager/alert"
)

// castle is an office with something of every kind in it, and somebody of every role who tries the doors.
type castle struct {
	*office
	keys            map[string]string // by role, as the Authorization header has it
	own             string            // the Space that the space administrator administers
	other           string            // a Space that only administrators and auditors may see
	task, elsewhere string            // what made the two
	// auditor is somebody in the Space, to do things to.
	auditor string
	guest   string // the cookie of a guest, who has no key
	count   int
}

// roles are who tries, the least powerful first: what an administrator destroys, nobody else can be refused.
var roles = []string{"nobody", "guest", "member", "keeper", "auditor", "manager"}

// untold are names, and who must never be told them.
var untold = map[string][]string{
	"Quietharbour": {"nobody", "guest", "member"},           // the Space
	"Backwater":    {"nobody", "guest", "member", "keeper"}, // the other Space
	"Nightowls":    {"nobody", "guest", "member"},           // groups
	"Ulyssa":       {"nobody", "guest", "member", "keeper"}, // people who are in no group that enters the keeper's Space
}

func newCastle(t *testing.T) *castle {
	t.Helper()
	c := &castle{office: open(t, nil), keys: map[string]string{"nobody": "-", "manager": "Bearer " + adminKey}}
	for name, role := range map[string]ground.Role{"member": ground.Member, "keeper": ground.SpaceAdministrator, "auditor": ground.Auditor} {
		c.keys[name] = "Bearer " + c.hire(name, role, time.Now, time.Hour)
	}
	c.want(200, "PUT", "/api/v1/guest", `{"on":true}`)
	r := c.ask("POST", "/sign-in/guest", "", map[string]string{"Authorization": "-", "Content-Type": "application/x-www-form-urlencoded"})
	for _, cookie := range (&http.Response{Header: r.header}).Cookies() {
		c.guest = cookie.Name + "=" + cookie.Value
	}
	if r.status != 303 || c.guest == "" {
		t.Fatalf("guests do not get in: %d %s", r.status, r.body)
	}
	enlist := func(name, at, key string) string {
		r := c.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": at, "apiKey": key,
			"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": name}}}))
		c.task = r.field("task")
		c.ends(c.task, "succeeded")
		return c.want(200, "GET", "/api/v1/spaces/"+strings.ToLower(name), "").field("id")
	}
	c.other = enlist("Backwater", serve(t, (&fakeOctopus{installation: "theirs"}).ServeHTTP), fakeKey)
	c.elsewhere = c.task
	c.own = enlist("Quietharbour", newTheirServer(t).url, theirKey)
	c.auditor = c.want(200, "GET", "/api/v1/users/auditor", "").field("id")
	c.want(201, "POST", "/api/v1/access/grants", asJSON(map[string]any{"space": c.own, "user": "keeper", "administer": true}))
	return c
}

// made makes something of a kind that nobody else uses, and gives its identifier.
func (c *castle) made(kind string) string {
	c.t.Helper()
	c.count++
	n := fmt.Sprint(c.count)
	post := func(path string, body any) reply {
		c.t.Helper()
		return c.want(201, "POST", "/api/v1"+path, asJSON(body))
	}
	switch kind {
	case "group":
		return post("/groups", map[string]any{"name": "Nightowls " + n}).field("id")
	case "user":
		return post("/users", map[string]any{"username": "ulyssa" + n, "displayName": "Ulyssa " + n, "email": "ulyssa" + n + "@example.com"}).field("id")
	case "provider":
		return post("/providers", map[string]any{"kind": "openid-connect", "name": "Elsewhere " + n,
			"settings": map[string]string{"issuer": "https://127.0.0.1:1", "clientId": "odcm"}, "secrets": map[string]string{"clientSecret": "not told to anybody"}}).field("id")
	case "directory":
		return post("/scim-directories", map[string]any{"name": "Pushes " + n}).field("provider")
	case "party":
		return post("/relying-parties", map[string]any{"name": "Wiki " + n, "redirectUris": []string{"https://wiki.example.com/" + n}}).field("id")
	case "grant":
		return post("/access/grants", map[string]any{"space": c.own, "group": c.made("group")}).field("id")
	case "task":
		return c.task
	case "rule":
		return post("/alerts/rules", map[string]any{"name": "Rule " + n, "signal": "status", "is": "offline", "severity": "info", "enabled": true}).field("id")
	case "receiver":
		return post("/alerts/receivers", map[string]any{"name": "Receiver " + n, "kind": "webhook", "url": "http://127.0.0.1:1/not-told-to-anybody", "enabled": true}).field("id")
	case "silence":
		return post("/alerts/silences", map[string]any{"space": c.own, "until": time.Now().Add(time.Hour), "comment": "Gates"}).field("id")
	case "window":
		return post("/alerts/windows", map[string]any{"name": "Window " + n, "schedule": "0 22 * * 6", "lastsSeconds": 3600, "enabled": true}).field("id")
	case "incident":
		c.fires("incident-own-"+n, c.own, "Quietharbour")
		c.fires("incident-other-"+n, c.other, "Backwater")
		return "incident-own-" + n
	case "schedule":
		return post("/report-schedules", map[string]any{"name": "Schedule " + n, "report": "deployments", "every": "daily", "hour": 8, "to": []string{"ulyssa@example.com"}}).field("id")
	}
	return "nothing"
}

// fires puts an incident of the Space where alerts keep theirs: what is watched here does well.
func (c *castle) fires(id, space, name string) {
	c.t.Helper()
	i := alert.Incident{ID: id, Rule: "offline", RuleName: "Offline", Severity: alert.Critical, Subject: space, Kind: alert.KindSpace, Name: name, Phase: alert.Firing, Since: time.Now(), Fired: time.Now()}
	_, err := c.d.Write().ExecContext(c.t.Context(), `INSERT INTO alert_incident (id, rule, severity, subject, name, phase, since, resolved, body, acked_by, acked_at, ack_note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '', 0, '')`, i.ID, i.Rule, i.Severity, i.Subject, i.Name, i.Phase, db.Millis(i.Since), asJSON(i))
	if err != nil {
		c.t.Fatal(err)
	}
}

// kinds of things by how their paths begin.
var kinds = []struct{ prefix, kind string }{
	{"/groups/{id}", "group"}, {"/users/{", "user"}, {"/people/{id}", "user"}, {"/providers/{id}", "provider"}, {"/scim-directories/{id}", "directory"},
	{"/provisioning/{id}", "directory"}, {"/relying-parties/{id}", "party"}, {"/access/grants/{id}", "grant"}, {"/tasks/{id}", "task"},
	{"/alerts/rules/{id}", "rule"}, {"/alerts/rule/{id}", "rule"}, {"/alerts/receivers/{id}", "receiver"}, {"/alerts/silences/{id}", "silence"}, {"/alerts/windows/{id}", "window"},
	{"/alerts/incidents/{id}", "incident"}, {"/report-schedules/{id}", "schedule"},
}

var placeholder = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// fill replaces the parameters of a path by things that there are. Every call makes things of its own.
func (c *castle) fill(path, space string) string {
	c.t.Helper()
	if strings.HasPrefix(path, "/spaces/{id}") {
		path = strings.Replace(path, "{id}", space, 1)
	}
	path = strings.Replace(strings.Replace(path, "/alerts/{kind}", "/alerts/rule", 1), "{verb}", "pause", 1)
	for _, k := range kinds {
		if strings.HasPrefix(path, k.prefix) {
			id := c.made(k.kind)
			path = placeholder.ReplaceAllStringFunc(path, func(name string) string {
				switch name {
				case "{address}":
					return fmt.Sprintf("ulyssa%d@example.com", c.count)
				case "{id}", "{ref}":
					return id
				}
				return name
			})
		}
	}
	path = strings.ReplaceAll(path, "{algorithm}", "ES256")
	path = strings.ReplaceAll(path, "/reports/{name}", "/reports/deployments")
	path = strings.ReplaceAll(path, "{$}", "")
	return placeholder.ReplaceAllString(path, "nothing")
}

// tell looks for what a role must never be told.
func (c *castle) tell(what, role string, r reply) {
	c.t.Helper()
	for name, roles := range untold {
		if slices.Contains(roles, role) && strings.Contains(string(r.body)+fmt.Sprint(r.header), name) {
			i := strings.Index(string(r.body), name)
			c.t.Errorf("%s tells the %s of %s: %s", what, role, name, r.body[max(0, i-200):min(len(r.body), i+100)])
		}
	}
}

// TestWhoMayDoWhat calls every operation as everybody.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	c := newCastle(t)
	var api struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct{ Content map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(c.want(200, "GET", "/api/v1/openapi.json", "").body, &api); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		for method, op := range api.Paths[path] {
			g, known := gates[op.OperationID]
			if !known {
				t.Errorf("%s %s: say in gates who may do %s", method, path, op.OperationID)
				continue
			}
			seen[op.OperationID] = true
			if _, ours := op.Responses["default"].Content["application/problem+json"]; !ours {
				t.Errorf("%s was not registered through web.Register: its errors are not ours", op.OperationID)
			}
			if op.OperationID == "delist-space" {
				continue
			}
			c.try(op.OperationID, method, "/api/v1", path, g, nil)
		}
	}
	c.try("delist-space", "delete", "/api/v1", "/spaces/{id}", gates["delist-space"], nil) // nothing is left to try then
	for name := range gates {
		if !seen[name] {
			t.Errorf("there is no operation %s", name)
		}
	}
}

// try asks one thing as everybody.
func (c *castle) try(name, method, prefix, path string, g gate, headers map[string]string) {
	c.t.Helper()
	fill := []string{"OWN", c.own, "USER", "nothing", "AUDITOR", c.auditor, "UNTIL", time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04")}
	filled := prefix + c.fill(path, c.own) + g.query
	if strings.Contains(g.body+g.query, "GROUP") {
		fill = append(fill, "GROUP", c.made("group"))
	}
	things := strings.NewReplacer(fill...)
	filled, body := things.Replace(filled), things.Replace(g.body)
	closed := 401
	if prefix == "" && method == "GET" {
		closed = 303
	}
	for _, role := range roles {
		if g.of(role, closed) == untried {
			continue
		}
		h := map[string]string{"Authorization": c.keys[role]}
		if role == "guest" {
			h = map[string]string{"Authorization": "-", "Cookie": c.guest}
		}
		maps.Copy(h, headers)
		if strings.HasPrefix(path, "/live") {
			if status := c.knock(filled, h); status != g.of(role, closed) {
				c.t.Errorf("%s as %s: got %d, want %d", name, role, status, g.of(role, closed))
			}
			continue
		}
		r := c.ask(strings.ToUpper(method), filled, body, h)
		if want := g.of(role, closed); r.status != want {
			c.t.Errorf("%s as %s: got %d %.300s, want %d", name, role, r.status, r.body, want)
		}
		c.tell(name, role, r)
		if other := strings.NewReplacer(c.own, c.other, c.task, c.elsewhere, "incident-own", "incident-other").Replace(filled); role == "keeper" && other != filled {
			r := c.ask(strings.ToUpper(method), other, body, h)
			if r.status != 404 {
				c.t.Errorf("%s of another Space as keeper: got %d %.300s, want 404", name, r.status, r.body)
			}
			c.tell(name, role, r)
		}
	}
}

// knock asks for what never ends, and tells whether it begins.
func (c *castle) knock(path string, headers map[string]string) int {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "GET", c.m.URL()+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestWhoMayOpenWhat opens every page, and sends every form empty, as everybody.
func TestWhoMayOpenWhat(t *testing.T) {
	t.Parallel()
	c := newCastle(t)
	seen := map[string]bool{}
	patterns := slices.Sorted(slices.Values(c.m.Patterns()))
	for _, last := range []string{"POST /spaces/{id}/delist", "POST /sign-in/guest", "POST /sign-out"} { // what ends what others are tried with
		patterns = append(slices.DeleteFunc(patterns, func(p string) bool { return p == last }), last)
	}
	for _, pattern := range patterns {
		p, known := pages[pattern]
		if !known {
			t.Errorf("say in pages who may open %s", pattern)
			continue
		}
		seen[pattern] = true
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = "GET", pattern
		}
		headers := map[string]string{"Accept": "text/html"}
		if method == "POST" {
			headers["Content-Type"] = "application/x-www-form-urlencoded"
		}
		c.try(pattern, method, "", path, p, headers)
	}
	for pattern := range pages {
		if !seen[pattern] {
			t.Errorf("nothing is at %s", pattern)
		}
	}
}
