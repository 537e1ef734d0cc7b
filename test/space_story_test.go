package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"odcm/test/browser"
)

// TestSpaceStory is the Space server's own promise, in a real browser and a real process: from an empty space to software in
// production, with a person who approves, a failure that somebody guides, a deployment that is canceled, and one who may
// only look.
func TestSpaceStory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser and real processes")
	}
	t.Parallel()
	server := startSpaceServer(t, build(t), filepath.Join(t.TempDir(), "space"), "127.0.0.1:0")
	// The shop that is deployed is not up at first: the check of it fails in Production.
	var up atomic.Bool
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(shop.Close)
	managers := server.create(t, "/api/teams", map[string]any{"Name": "Release managers", "SpaceId": "Spaces-1", "MemberUserIds": []string{"Users-1"}})
	server.viewer(t, "vera", "A-viewers-own-words")
	s := &spaceStory{t: t, Tab: browser.Open(t), url: server.url}

	s.Go(server.url + "/app")
	s.Until(5*time.Second, `document.querySelector('input[name="password"]')`)
	s.look("space-sign-in")
	s.signIn("lisa", "Ship-it-2026")
	s.shows("Three steps to the first deployment")
	s.look("space-empty")

	for _, name := range []string{"Dev", "Production"} {
		s.open("infrastructure/environments/new")
		s.Type(`input[name="Name"]`, name)
		s.Press("Add environment")
		s.until(`!location.pathname.endsWith("/new")`)
	}
	s.open("projects/new")
	s.Type(`input[name="Name"]`, "Web shop")
	s.Type(`textarea[name="Description"]`, "What customers see.")
	s.Press("Create project")
	s.until(`location.pathname.endsWith("/process")`)
	project := strings.TrimSuffix(browser.Eval[string](s.Tab, `location.pathname.replace(/^\/app\/Spaces-1\//, "")`), "/process")

	s.Press("Run a script")
	pace := "0.1"
	if *pictures {
		pace = "1" // else it is done before the pictures are
	}
	s.step("Build", `for i in $(seq 20); do echo "compiled part $i of 20"; sleep `+pace+`; done`)
	s.Press("Add step")
	s.Press("Manual intervention")
	s.Type(`input[name="Name"]`, "Approve")
	s.Type(`textarea[name="Instructions"]`, "Is #{Octopus.Environment.Name} free for release #{Octopus.Release.Number}?")
	s.Press("Release managers")
	s.Press("Add step")
	s.until(`location.pathname.endsWith("/process")`)
	s.Press("Add step")
	s.Press("Run a script")
	s.step("Check", strings.Join([]string{`echo "#{Greeting}, #{Octopus.Environment.Name}: the token is #{Token}"`, `if [ "#{Octopus.Environment.Name}" = Production ]; then`,
		`exec 3<>"/dev/tcp/#{Shop}"; printf 'GET / HTTP/1.0\r\n\r\n' >&3; grep -q 200 <&3 || fail_step "The shop does not answer yet."`, "fi"}, "\n"))
	s.look("space-process")

	s.variable(project, "Greeting", "Good morning")
	s.variable(project, "Shop", strings.Replace(shop.Listener.Addr().String(), ":", "/", 1))
	s.open(project + "/variables/new")
	s.Type(`input[name="Name"]`, "Token")
	s.Choose(`select[name="Type"]`, "Sensitive")
	s.Type(`input[name="Secret"]`, "open sesame")
	s.Press("Save")
	s.until(`location.pathname.endsWith("/variables")`)
	s.hidesSecret()
	s.look("space-variables")

	s.open(project + "/releases/new")
	s.Type(`textarea[name="ReleaseNotes"]`, "The first one.")
	s.Press("Create release")
	s.until(`/\/releases\/Releases-\d+$/.test(location.pathname)`)
	release := browser.Eval[string](s.Tab, `location.pathname.replace(/^\/app\/Spaces-1\//, "")`)
	version := strings.TrimPrefix(browser.Eval[string](s.Tab, `document.querySelector("h1").innerText`), "Release ")
	s.look("space-release")

	// To Dev: the log grows while one looks.
	dev := s.deploy(release, "Dev")
	s.stays()
	s.until(state("running") + ` && ` + logged("compiled part 2 of 20"))
	if browser.Eval[bool](s.Tab, logged("compiled part 20 of 20")) {
		t.Error("the log came at once, not as it was written")
	}
	if got := server.get(t, "/api/tasks/"+dev).State; got != "Executing" {
		t.Errorf("a line was shown while the task was %s, not while it was Executing", got)
	}
	s.look("space-log")
	s.until(logged("compiled part 20 of 20") + ` && document.querySelector("main").innerText.includes("Is Dev free for release ` + version + `?")`)
	s.stayed()
	s.look("space-intervention")
	s.Press("Take responsibility")
	s.until(`document.querySelector('textarea[name="Notes"]')`)
	s.Type(`textarea[name="Notes"]`, "Nobody is testing.")
	s.Press("Proceed")
	s.until(state("succeeded") + ` && ` + logged("Good morning, Dev: the token is ********"))
	s.hidesSecret()
	s.look("space-task")
	s.open("dashboard")
	s.until(cell("Web shop", "Dev", version))
	s.look("space-dashboard")

	// To Production: the check fails, and a person says what to do.
	s.open(release + "/deploy")
	s.Press("Production")
	s.until(`document.body.innerText.includes("Deploy to Production")`)
	s.Press("Ask a person when a step fails")
	s.look("space-deploy")
	s.Press("Deploy to Production")
	s.until(`location.pathname.startsWith("/tasks/")`)
	s.decide("Proceed")
	s.take()
	for _, answer := range []string{"Retry", "Ignore", "Fail"} {
		s.until(fmt.Sprintf(`[...document.querySelectorAll(".question button")].some(b => b.innerText.trim() === %q)`, answer))
	}
	s.look("space-guided-failure")
	up.Store(true)
	s.Press("Retry")
	s.until(state("warnings")) // it succeeded, though not at once

	// What runs can be stopped.
	s.deploy(release, "Dev")
	s.until(logged("compiled part 1 of 20"))
	s.Press("Cancel")
	s.Press("Cancel the task")
	s.until(state("canceled"))

	s.open("dashboard")
	s.until(cell("Web shop", "Production", version) + ` && ` + cell("Web shop", "Dev", "Canceled"))
	for name, path := range map[string]string{"space-project": project, "space-tasks": "tasks", "space-library": "library/lifecycles"} {
		s.open(path)
		s.look(name)
	}
	s.Go(server.url + "/people/teams/" + managers)
	s.shows("Release managers")
	s.look("space-team")
	s.Go(server.url + "/people/teams")
	s.look("space-teams")
	s.Go(server.url + "/audit")
	for _, told := range []string{"Deploy Web shop release " + version + " to Dev was canceled", "Deploy Web shop release " + version + " to Production", "lisa"} {
		s.shows(told)
	}
	s.hidesSecret()
	s.look("space-audit")

	// Somebody who may look and do nothing.
	s.Press("Account:")
	s.Press("Sign out")
	s.until(`document.querySelector('input[name="password"]')`)
	s.signIn("vera", "A-viewers-own-words")
	for _, path := range []string{"dashboard", project, project + "/process", project + "/variables", project + "/releases", release, "tasks", "infrastructure/environments"} {
		s.open(path)
		if forms := browser.Eval[[]string](s.Tab, `[...document.querySelectorAll("main form[method=post], main .button.primary, main dialog")].map(e => e.outerHTML.slice(0, 120))`); len(forms) > 0 {
			t.Errorf("%s offers a viewer %q", path, forms)
		}
	}
	s.Go(server.url + "/tasks/" + dev)
	s.until(state("succeeded") + ` && !document.body.innerText.includes("Run again")`)
	s.open(release + "/deploy")
	s.shows("You may not see this")
}

// spaceStory is a person at the Space server's pages.
type spaceStory struct {
	*browser.Tab
	t   *testing.T
	url string
}

func (s *spaceStory) look(name string) {
	s.t.Helper()
	if *pictures {
		s.Shoot(filepath.Join("..", "docs", "pictures"), name, browser.Views...)
	}
}

// until waits long: a machine that tests many things at once takes its time, and what fails is told sooner elsewhere.
func (s *spaceStory) until(expression string) {
	s.t.Helper()
	s.Until(30*time.Second, expression)
}

func (s *spaceStory) shows(text string) {
	s.t.Helper()
	s.until(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

func (s *spaceStory) open(path string) {
	s.t.Helper()
	s.Go(s.url + "/app/Spaces-1/" + path)
	s.until(`document.querySelector("main h1")`)
}

func (s *spaceStory) signIn(username, password string) {
	s.t.Helper()
	s.Type(`input[name="username"]`, username)
	s.Type(`input[name="password"]`, password)
	s.Key(kb.Enter, false)
	s.until(`location.pathname.startsWith("/app/Spaces-1/")`)
}

// step fills the form of a script's step.
func (s *spaceStory) step(name, script string) {
	s.t.Helper()
	s.until(`document.querySelector('textarea[name="Script"]')`)
	s.Type(`input[name="Name"]`, name)
	s.Type(`textarea[name="Script"]`, script)
	s.Press("Add step")
	s.until(`location.pathname.endsWith("/process")`)
}

func (s *spaceStory) variable(project, name, value string) {
	s.t.Helper()
	s.open(project + "/variables/new")
	s.Type(`input[name="Name"]`, name)
	s.Type(`textarea[name="Value"]`, value)
	s.Press("Save")
	s.until(`location.pathname.endsWith("/variables")`)
}

// deploy starts a deployment and returns its task, whose page it leaves open.
func (s *spaceStory) deploy(release, environment string) string {
	s.t.Helper()
	s.open(release + "/deploy")
	s.Press(environment)
	s.Press("Deploy to " + environment)
	s.until(`location.pathname.startsWith("/tasks/")`)
	return browser.Eval[string](s.Tab, `location.pathname.slice("/tasks/".length)`)
}

// take takes responsibility for the question that stands open.
func (s *spaceStory) take() {
	s.t.Helper()
	s.until(`document.querySelector(".question")`)
	if !browser.Eval[bool](s.Tab, `!!document.querySelector('.question form[action$="/submit"]')`) {
		s.Press("Take responsibility")
		s.until(`document.querySelector('.question form[action$="/submit"]')`)
	}
}

func (s *spaceStory) decide(answer string) {
	s.t.Helper()
	s.take()
	s.Press(answer)
	s.until(`!document.querySelector('.question form[action$="/submit"]')`)
}

// stays and stayed tell whether the page was loaded again in between.
func (s *spaceStory) stays() { browser.Eval[bool](s.Tab, `window.stays = true`) }

func (s *spaceStory) stayed() {
	s.t.Helper()
	if !browser.Eval[bool](s.Tab, `window.stays === true`) {
		s.t.Error("the page was loaded again")
	}
}

func (s *spaceStory) hidesSecret() {
	s.t.Helper()
	if strings.Contains(browser.Eval[string](s.Tab, `location.href + document.documentElement.outerHTML`), "open sesame") {
		s.t.Error("the page holds the sensitive value")
	}
}

// state is true on a task's page that says the state.
func state(name string) string {
	return fmt.Sprintf(`document.querySelector(".headline [data-state=%s]")`, name)
}

// logged is true where the log shows the line.
func logged(line string) string {
	return fmt.Sprintf(`document.querySelector(".task-log").textContent.includes(%q)`, line)
}

// cell is true on a dashboard whose cell of the project and the environment tells so.
func cell(project, environment, told string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".board tbody tr")].some(r => r.innerText.includes(%q) && (r.querySelector('td[data-label=%q]')?.innerHTML || "").includes(%q))`, project, environment, told)
}

// ask sends a request as the administrator and reads the answer.
func (s *spaceServer) ask(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Octopus-ApiKey", octopusKey)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err == nil {
		err = json.Unmarshal(b, answer)
	}
	if err != nil || got.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s %v: %s", method, path, got.Status, err, b)
	}
}

type made struct{ ID, State string }

func (s *spaceServer) create(t testing.TB, path string, body any) string {
	t.Helper()
	var m made
	s.ask(t, http.MethodPost, path, body, &m)
	return m.ID
}

func (s *spaceServer) get(t testing.TB, path string) (m made) {
	t.Helper()
	s.ask(t, http.MethodGet, path, nil, &m)
	return m
}

// viewer makes an account that may see the default space's projects and change nothing.
func (s *spaceServer) viewer(t testing.TB, username, password string) {
	t.Helper()
	user := s.create(t, "/api/users", map[string]any{"Username": username, "DisplayName": username, "Password": password})
	team := s.create(t, "/api/teams", map[string]any{"Name": "Viewers", "SpaceId": "Spaces-1", "MemberUserIds": []string{user}})
	s.create(t, "/api/scopeduserroles", map[string]any{"TeamId": team, "UserRoleId": "userroles-projectviewer", "SpaceId": "Spaces-1"})
}
