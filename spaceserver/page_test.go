package spaceserver_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"odcm/spaceserver"
)

// person looks at pages with a browser's cookies.
type person struct {
	t      *testing.T
	w      *world
	client *http.Client
}

// visit signs somebody in by the form.
func (w *world) visit(username, password string) *person {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{w.t, w, &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if status, _, header := p.send("/sign-in", url.Values{"username": {username}, "password": {password}, "next": {"/audit"}}); status != http.StatusSeeOther || header.Get("Location") != "/audit" {
		w.t.Fatalf("sign-in: status %d to %q", status, header.Get("Location"))
	}
	return p
}

func (p *person) do(r *http.Request) (int, string, http.Header) {
	p.t.Helper()
	answer, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

func (p *person) look(path string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.w.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	status, text, _ := p.do(r)
	return status, text
}

// send posts a form as a browser without script does.
func (p *person) send(path string, form url.Values, headers ...string) (int, string, http.Header) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return p.do(r)
}

// must posts a form and returns where it leads.
func (p *person) must(path string, form url.Values) string {
	p.t.Helper()
	status, text, header := p.send(path, form)
	if status != http.StatusSeeOther {
		p.t.Fatalf("POST %s: status %d: %s", path, status, refusal.FindString(text))
	}
	return header.Get("Location")
}

var refusal = regexp.MustCompile(`(?s)form-error.{0,400}|callout-text.{0,200}`)

// sound fails where a page is not well-formed, or leaves out those who do not see it.
func sound(t *testing.T, path, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ids, labels, headings := map[string]int{}, map[string]bool{}, 0
	var fields []*html.Node
	get := func(n *html.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := get(n, "id"); id != "" {
			if ids[id]++; ids[id] == 2 {
				t.Errorf("%s: two elements have the id %s", path, id)
			}
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: <%s> has an attribute %s, which the policy forbids", path, n.Data, a.Key)
			}
		}
		switch n.Data {
		case "h1":
			headings++
		case "label":
			labels[get(n, "for")] = true
		case "input", "select", "textarea":
			if get(n, "type") != "hidden" {
				fields = append(fields, n)
			}
		case "button", "a":
			if strings.TrimSpace(words(n)) == "" && get(n, "aria-label") == "" {
				t.Errorf("%s: a <%s> has no words", path, n.Data)
			}
		case "script":
			if get(n, "src") == "" {
				t.Errorf("%s: a script stands in the page", path)
			}
		}
	}
	if headings != 1 {
		t.Errorf("%s: %d headings of the first level, want 1", path, headings)
	}
	for _, n := range fields {
		within := false
		for up := n.Parent; up != nil; up = up.Parent {
			within = within || up.Data == "label"
		}
		if !within && !labels[get(n, "id")] && get(n, "aria-label") == "" {
			t.Errorf("%s: the field %s has no label", path, get(n, "name"))
		}
	}
}

func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// shop is a space with something of everything.
type shop struct{ project, environment, release, task, runbook, tenant, team, machine string }

func (w *world) shop() shop {
	w.t.Helper()
	s := shop{environment: w.create("/api/Spaces-1/environments", fields{"Name": "Test & <b>more</b>"}).Text("Id")}
	project := w.project("Web <shop>")
	s.project = project.Text("Id")
	process := w.get("/api/Spaces-1/deploymentprocesses/" + project.Text("DeploymentProcessId"))
	process.Set("Steps", []any{fields{"Name": "Say", "Actions": []any{fields{"Name": "Say", "ActionType": "Octopus.Script", "Properties": fields{
		"Octopus.Action.RunOnServer": "True", "Octopus.Action.Script.ScriptSource": "Inline", "Octopus.Action.Script.Syntax": "Bash", "Octopus.Action.Script.ScriptBody": "echo hello #{Who}"}}}}})
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/deploymentprocesses/"+project.Text("DeploymentProcessId"), process)
	set := w.get("/api/Spaces-1/variables/" + project.Text("VariableSetId"))
	set.Set("Variables", []any{fields{"Name": "Who", "Value": "<you>", "Scope": fields{"Environment": []string{s.environment}}}, fields{"Name": "Key", "Value": "hidden", "Type": "Sensitive", "IsSensitive": true}})
	w.want(http.StatusOK, http.MethodPut, "/api/Spaces-1/variables/"+project.Text("VariableSetId"), set)
	s.release = w.create("/api/Spaces-1/releases", fields{"ProjectId": s.project, "Version": "1.0.0", "ReleaseNotes": "First"}).Text("Id")
	s.task = w.create("/api/Spaces-1/deployments", fields{"ReleaseId": s.release, "EnvironmentId": s.environment}).Text("TaskId")
	s.runbook = w.create("/api/Spaces-1/runbooks", fields{"Name": "Restart", "ProjectId": s.project}).Text("Id")
	s.tenant = w.create("/api/Spaces-1/tenants", fields{"Name": "Contoso"}).Text("Id")
	s.machine = w.create("/api/Spaces-1/machines", fields{"Name": "region", "EnvironmentIds": []string{s.environment}, "Roles": []string{"web"}, "Endpoint": fields{"CommunicationStyle": "None"}}).Text("Id")
	s.team = w.create("/api/teams", fields{"Name": "Viewers", "SpaceId": "Spaces-1"}).Text("Id")
	return s
}

func (s shop) paths() []string {
	in := []string{"dashboard", "dashboard?q=web", "projects", "projects/" + s.project, "tasks", "tasks?states=Failed", "tenants", "tenants/" + s.tenant, "releases/" + s.release,
		"infrastructure/environments", "infrastructure/environments/" + s.environment, "infrastructure/targets", "infrastructure/targets/" + s.machine, "infrastructure/workers", "infrastructure/accounts",
		"library/sets", "library/modules", "library/templates", "library/packages", "library/feeds", "library/feeds/feeds-builtin", "library/lifecycles", "library/lifecycles/Lifecycles-1", "library/tagsets", "tenants/" + s.tenant + "/variables",
		"projects/" + s.project + "/runbooks/" + s.runbook, "projects/" + s.project + "/runbooks/" + s.runbook + "/process"}
	for _, tab := range []string{"process", "variables", "releases", "runbooks", "channels", "triggers", "settings"} {
		in = append(in, "projects/"+s.project+"/"+tab)
	}
	paths := []string{"/", "/tasks/" + s.task, "/audit", "/people/teams", "/people/teams/" + s.team, "/people/users", "/people/users/Users-1", "/people/services", "/people/roles", "/profile", "/configuration", "/configuration/spaces", "/configuration/spaces/Spaces-1", "/configuration/sign-in", "/switch?q=web"}
	for _, path := range in {
		paths = append(paths, "/app/Spaces-1/"+path)
	}
	return paths
}

// forms are the pages that make something: nobody without the permission sees them.
func (s shop) forms() []string {
	return []string{"projects/new", "projects/groups/new", "projects/" + s.project + "/releases/new", "projects/" + s.project + "/process/steps/new?type=Octopus.Script", "projects/" + s.project + "/process/steps/new?type=Octopus.TentaclePackage",
		"projects/" + s.project + "/process/steps/new?type=Octopus.Manual", "projects/" + s.project + "/variables/new", "projects/" + s.project + "/channels/new", "projects/" + s.project + "/triggers/new", "projects/" + s.project + "/runbooks/new",
		"projects/" + s.project + "/runbooks/" + s.runbook + "/run", "releases/" + s.release + "/deploy", "releases/" + s.release + "/deploy?environment=" + s.environment, "releases/" + s.release + "/edit",
		"infrastructure/environments/new", "infrastructure/targets/new?type=Ssh", "infrastructure/targets/new?type=None", "infrastructure/accounts/new?type=SshKeyPair", "library/sets/new", "library/modules/new", "library/templates/new", "library/feeds/new?type=NuGet",
		"library/lifecycles/new", "library/tagsets/new", "tenants/new", "tenants/" + s.tenant + "/connect"}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	s := w.shop()
	admin := w.visit("admin", adminPassword)
	vera := w.create("/api/users", fields{"Username": "vera", "DisplayName": "Vera", "Password": "a long password 1"}).Text("Id")
	team := w.get("/api/teams/" + s.team)
	team.Set("MemberUserIds", []string{vera})
	w.want(http.StatusOK, http.MethodPut, "/api/teams/"+s.team, team)
	w.create("/api/scopeduserroles", fields{"TeamId": s.team, "UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
	viewer := w.visit("vera", "a long password 1")

	t.Run("are well-formed and have labels", func(t *testing.T) {
		paths := s.paths()
		for _, form := range s.forms() {
			paths = append(paths, "/app/Spaces-1/"+form)
		}
		for _, path := range paths {
			status, text := admin.look(path)
			if status != http.StatusOK {
				t.Errorf("%s: status %d", path, status)
			}
			sound(t, path, text)
			if strings.Contains(text, "hidden</") || strings.Contains(text, "<b>more</b>") || strings.Contains(text, "<you>") {
				t.Errorf("%s: shows a secret, or text as markup", path)
			}
		}
	})
	t.Run("show a viewer what is to be seen and nothing to press", func(t *testing.T) {
		for _, path := range []string{"dashboard", "projects", "projects/" + s.project, "projects/" + s.project + "/process", "releases/" + s.release} {
			status, text := viewer.look("/app/Spaces-1/" + path)
			if status != http.StatusOK {
				t.Errorf("%s: status %d", path, status)
			}
			sound(t, path, text)
			for _, word := range []string{"New project", "Add step", "Add variable", "Create release", "Deploy …", "Delete"} {
				if strings.Contains(text, word) {
					t.Errorf("%s: offers %q", path, word)
				}
			}
		}
	})
	t.Run("refuse forms to who may not send them", func(t *testing.T) {
		for _, path := range s.forms() {
			if status, text := viewer.look("/app/Spaces-1/" + path); status != http.StatusForbidden {
				t.Errorf("%s: status %d, want 403", path, status)
			} else {
				sound(t, path, text)
			}
		}
		for _, path := range []string{"/app/Spaces-1/projects/" + s.project + "/delete", "/app/Spaces-1/releases/" + s.release + "/delete", "/app/Spaces-1/projects/new", "/app/Spaces-1/infrastructure/environments/" + s.environment, "/people/users/" + vera, "/configuration/maintenance"} {
			if status, _, _ := viewer.send(path, url.Values{"Name": {"x"}, "DisplayName": {"x"}, "on": {"true"}}); status != http.StatusForbidden {
				t.Errorf("POST %s: status %d, want 403", path, status)
			}
		}
		if status, _ := viewer.look("/configuration/sign-in"); status != http.StatusForbidden {
			t.Errorf("configuration: status %d, want 403", status)
		}
	})
	t.Run("tell what does not exist", func(t *testing.T) {
		for _, path := range []string{"/nothing", "/app/Spaces-9/dashboard", "/app/Spaces-1/projects/Projects-99", "/tasks/ServerTasks-999", "/app/Spaces-1/projects/" + s.project + "/process/steps/none"} {
			if status, text := admin.look(path); status != http.StatusNotFound {
				t.Errorf("%s: status %d, want 404", path, status)
			} else {
				sound(t, path, text)
			}
		}
	})
	t.Run("show the API's sentence at the form and keep what was typed", func(t *testing.T) {
		form := url.Values{"Name": {"Web <shop>"}, "Description": {"typed"}, "ProjectGroupId": {"ProjectGroups-1"}, "LifecycleId": {"Lifecycles-1"}}
		status, text, _ := admin.send("/app/Spaces-1/projects/new", form)
		if status != http.StatusBadRequest && status != http.StatusConflict || !strings.Contains(text, "typed") || !strings.Contains(text, "already") {
			t.Errorf("status %d: %s", status, refusal.FindString(text))
		}
		status, text, header := admin.send("/app/Spaces-1/projects/new", form, "X-Odcm-Fetch", "1")
		if status < 400 || !strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") || !strings.Contains(text, "already") {
			t.Errorf("script: status %d: %s", status, text)
		}
	})
	t.Run("refuse a form of another site", func(t *testing.T) {
		if status, _, _ := admin.send("/app/Spaces-1/projects/"+s.project+"/delete", nil, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
			t.Errorf("status %d, want 403", status)
		}
	})
	t.Run("ask whoever is not signed in to sign in", func(t *testing.T) {
		stranger := &person{t, w, &http.Client{}}
		status, text := stranger.look("/app/Spaces-1/projects?q=x")
		if status != http.StatusOK || !strings.Contains(text, `value="/app/Spaces-1/projects?q=x"`) || !strings.Contains(text, `type="password"`) || strings.Contains(text, "Web ") {
			t.Errorf("status %d: %s", status, text)
		}
		sound(t, "sign-in", text)
		if status, text, _ := stranger.send("/sign-in", url.Values{"username": {"admin"}, "password": {"wrong"}}); status != http.StatusBadRequest || !strings.Contains(text, "Invalid username or password.") {
			t.Errorf("wrong password: status %d", status)
		}
		if status, _ := stranger.look("/live"); status != http.StatusOK {
			t.Errorf("live: status %d", status)
		}
	})
}

// A person makes everything by forms and deploys it, without script.
func TestStoryByForms(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	const in = "/app/Spaces-1/"
	p.must(in+"infrastructure/environments/new", url.Values{"Name": {"Production"}})
	project := strings.TrimSuffix(p.must(in+"projects/new", url.Values{"Name": {"Shop"}, "ProjectGroupId": {"ProjectGroups-1"}, "LifecycleId": {"Lifecycles-1"}}), "/process")
	p.must(project+"/variables/new", url.Values{"Name": {"Greeting"}, "Type": {"String"}, "Value": {"good morning"}})
	p.must(project+"/variables/new", url.Values{"Name": {"Key"}, "Type": {"Sensitive"}, "Secret": {"open sesame"}})
	p.must(project+"/process/steps/new?type=Octopus.Manual", url.Values{"Name": {"Approve"}, "Instructions": {"Look twice."}, "Condition": {"Success"}, "StartTrigger": {"StartAfterPrevious"}})
	p.must(project+"/process/steps/new?type=Octopus.Script", url.Values{"Name": {"Greet"}, "Where": {"server"}, "Syntax": {"Bash"}, "Script": {"echo '#{Greeting}'\r\necho '#{Key}'"}, "Condition": {"Success"}, "StartTrigger": {"StartAfterPrevious"}})
	release := p.must(project+"/releases/new", url.Values{"Version": {"1.2.3"}, "ReleaseNotes": {"Ready"}})
	task := p.must(release+"/deploy?environment=Environments-1", url.Values{"EnvironmentIds": {"Environments-1"}})
	if !strings.HasPrefix(task, "/tasks/") {
		t.Fatalf("the deployment leads to %s", task)
	}
	answer := regexp.MustCompile(regexp.QuoteMeta(task) + `/interruptions/Interruptions-\d+/`)
	page := p.until(task, "Look twice.")
	base := answer.FindString(page)
	p.must(base+"responsible", nil)
	sound(t, task, p.until(task, "Proceed"))
	p.must(base+"submit", url.Values{"Notes": {"fine"}, "Result": {"Proceed"}})
	page = p.until(task, "It took")
	if !strings.Contains(page, "good morning") || strings.Contains(page, "open sesame") || !strings.Contains(page, "********") {
		t.Errorf("the log is not as it should be: %s", page[strings.Index(page, "task-log"):])
	}
	if lines := p.stream(task + "/log"); !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "good morning") }) || !slices.Contains(lines, "event: end") {
		t.Errorf("the stream said %q", lines)
	}
	if _, text := p.look(in + "dashboard"); !strings.Contains(text, "1.2.3") {
		t.Error("the dashboard does not show the release")
	}
	if _, text := p.look(release); !strings.Contains(text, "Succeeded") || !strings.Contains(text, "Ready") {
		t.Error("the release does not show where it is")
	}
}

// until looks at a page until it holds the text.
func (p *person) until(path, text string) string {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		status, page := p.look(path)
		if status == http.StatusOK && strings.Contains(page, text) {
			return page
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: no %q in time (status %d)", path, text, status)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// stream reads an event stream to its end.
func (p *person) stream(path string) (lines []string) {
	p.t.Helper()
	answer, err := p.client.Get(p.w.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	return lines
}

// An open page learns within about a second that something changed.
func TestPagesFollowChanges(t *testing.T) {
	t.Parallel()
	w := start(t, spaceserver.Options{AdminPassword: adminPassword})
	p := w.visit("admin", adminPassword)
	answer, err := p.client.Get(w.url + "/live?topic=board")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	refreshes := make(chan time.Time, 10)
	go func() {
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
			if scanner.Text() == "event: refresh" {
				refreshes <- time.Now()
			}
		}
	}()
	<-refreshes // of the beginning
	w.create("/api/Spaces-1/environments", fields{"Name": "Fresh"})
	select {
	case <-refreshes:
	case <-time.After(10 * time.Second):
		t.Error("nothing was told")
	}
}
