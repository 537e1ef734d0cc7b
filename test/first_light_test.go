package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"odcm/test/browser"
)

var pictures = flag.Bool("pictures", false, "write the pictures of the documentation anew")

// TestFirstLight is the product's first promise, in a real browser: from nothing to a Space that is online within seconds;
// a server of somebody else enlisted, killed, back, and delisted as it was.
func TestFirstLight(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser and real processes")
	}
	t.Parallel()
	dir := t.TempDir()
	binary := build(t)
	manager := startManager(t, binary, filepath.Join(dir, "odcm"))
	tab := browser.Open(t)
	look := func(name string) {
		t.Helper()
		if *pictures {
			tab.Shoot(filepath.Join("..", "docs", "pictures"), name, browser.Views...)
		}
	}

	tab.Go(manager.url)
	tab.Until(5*time.Second, `location.pathname === "/sign-in"`)
	look("sign-in")
	tab.Type(`input[name="username"]`, manager.username)
	tab.Type(`input[name="password"]`, manager.password)
	tab.Click(`form button[type="submit"]`)
	tab.Until(5*time.Second, `document.body.innerText.includes("No Spaces yet")`)
	look("empty")

	// A blank Space: online within 5 s of the click, with progress on the way.
	tab.Go(manager.url + "/spaces/new")
	tab.Type(`input[name="name"]`, "First light")
	look("create")
	began := time.Now()
	tab.Click(`main form button[type="submit"]`)
	tab.Until(5*time.Second, `document.querySelector("main [data-live^='task']") || `+online)
	look("creating")
	tab.Until(5*time.Second-time.Since(began), online)
	took := time.Since(began)
	t.Logf("a blank Space was online %s after the click", took.Round(time.Millisecond))

	// Somebody else's server, enlisted by the browser.
	theirs := startSpaceServer(t, binary, filepath.Join(dir, "theirs"), "127.0.0.1:0")
	asked := &theirServer{theirs.url, octopusKey}
	before := asked.state(t)
	tab.Go(manager.url + "/spaces/enlist")
	tab.Type(`input[name="url"]`, theirs.url)
	tab.Type(`input[name="apiKey"]`, octopusKey)
	tab.Click(`main form button[type="submit"]`)
	tab.Until(10*time.Second, `document.querySelector("input[name='space']")`)
	look("plan")
	if page := browser.Eval[string](tab, `location.href + document.documentElement.outerHTML`); strings.Contains(page, octopusKey) {
		t.Error("the API key came back in a page or an address")
	}
	tab.Type(`main input[type="text"]`, "Shipping")
	tab.Click(`main form button[type="submit"]`)
	tab.Until(10*time.Second, `document.body.innerText.includes("Shipping") && document.querySelector("a[href='/spaces/shipping']")`)

	// Another, by the command line.
	others := startSpaceServer(t, binary, filepath.Join(dir, "others"), "127.0.0.1:0")
	key := filepath.Join(dir, "config")
	out := odcm(t, binary, key, manager.password+"\n", "login", manager.url, "--username", manager.username)
	if !strings.Contains(out, "signed in") {
		t.Errorf("login said %q", out)
	}
	odcm(t, binary, key, "", "space", "enlist", others.url, "--octopus-api-key", octopusKey, "--space", "Default", "--name", "Payments")

	// An open page: the tile follows the process, without reloading.
	tab.Go(manager.url + "/")
	tab.Until(15*time.Second, tile("Shipping", "online")+" && "+tile("Payments", "online")+" && "+tile("First light", "online"))
	browser.Eval[bool](tab, `window.notReloaded = true`)
	look("spaces")
	theirs.kill(t)
	offline := tab.Until(15*time.Second, tile("Shipping", "offline"))
	look("offline")
	theirs = startSpaceServer(t, binary, filepath.Join(dir, "theirs"), theirs.address())
	back := tab.Until(30*time.Second, tile("Shipping", "online"))
	t.Logf("the tile was offline %s after the kill, and online %s after the start", offline.Round(time.Millisecond), back.Round(time.Millisecond))
	if !browser.Eval[bool](tab, `window.notReloaded === true`) {
		t.Error("the page was reloaded")
	}

	// The switcher finds it from the keyboard. Its history tells of both.
	tab.Key("k", true)
	tab.Until(5*time.Second, `document.querySelector("#palette[open]")`)
	tab.Type("#palette input", "shipp")
	tab.Until(5*time.Second, `document.querySelector("#palette").innerText.includes("Shipping") && !document.querySelector("#palette").innerText.includes("Payments")`)
	look("palette")
	tab.Key(kb.Enter, false)
	tab.Until(5*time.Second, `location.pathname === "/spaces/shipping" || location.pathname.startsWith("/spaces/shipping")`)
	tab.Go(manager.url + "/spaces/shipping")
	tab.Until(5*time.Second, `/offline/i.test(document.querySelector("main").textContent) && /online/i.test(document.querySelector("main").textContent)`)
	look("space")
	for _, page := range []string{"tasks", "audit", "servers", "settings"} {
		tab.Go(manager.url + "/" + page)
		tab.Until(5*time.Second, `document.querySelector("main h1")`)
		look(page)
	}

	// Delisted, it works by itself, with nothing of ODCM's left.
	if names := theirs.subscriptions(t); len(names) != 1 {
		t.Errorf("while enlisted it has the subscriptions %v", names)
	}
	if asked.state(t) == before {
		t.Error("while enlisted its sign-in settings are as they were")
	}
	odcm(t, binary, key, "", "space", "delist", "shipping")
	if names := theirs.subscriptions(t); len(names) != 0 {
		t.Errorf("after delisting it has the subscriptions %v", names)
	}
	if after := asked.state(t); after != before {
		t.Errorf("after delisting it is left as\n%s\nand was\n%s", after, before)
	}
	tab.Go(manager.url + "/")
	tab.Until(10*time.Second, `!document.querySelector("a[href='/spaces/shipping']")`)
}

// online is true on a page that shows a Space online.
const online = `document.querySelector("main [data-status='online'], main .status-online, main [data-state='online']")`

// tile is true where the tile of that name has that status.
func tile(name, status string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("[data-live^='space/']")].some(t => t.innerText.includes(%q) && /%s/i.test(t.innerText))`, name, status)
}

// build makes the product's one binary, once.
func build(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "odcm-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "odcm")
	if out, err := exec.Command("go", "build", "-o", path, "odcm/cmd/odcm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

type runningManager struct{ url, username, password string }

// startManager runs odcm dev as a newcomer does and reads what it prints.
func startManager(t testing.TB, binary, data string) runningManager {
	t.Helper()
	cmd := exec.Command(binary, "dev", "--data", data, "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", "--stop-instances", "--log-level", "warn")
	cmd.Stderr = output(t, "manager")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("odcm dev ended with %v", err)
		}
	})
	var m runningManager
	ready, login := regexp.MustCompile(`ready:\s+(\S+)`), regexp.MustCompile(`First login:\s+(\S+)\s+(\S+)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			m.url = found[1]
		}
		if found := login.FindStringSubmatch(lines.Text()); found != nil {
			m.username, m.password = found[1], found[2]
		}
		if strings.Contains(lines.Text(), "Data:") {
			return m
		}
	}
	t.Fatal("odcm dev ended before it was ready")
	return m
}

const octopusKey = "API-FIRSTLIGHTFIRSTLIGHT"

type spaceServer struct {
	url string
	cmd *exec.Cmd
}

// startSpaceServer runs somebody else's server.
func startSpaceServer(t testing.TB, binary, data, listen string) *spaceServer {
	t.Helper()
	cmd := exec.Command(binary, "space-server", "--listen", listen, "--data", data)
	cmd.Env = append(os.Environ(), "ADMIN_USERNAME=lisa", "ADMIN_PASSWORD=Ship-it-2026", "ADMIN_API_KEY="+octopusKey)
	cmd.Stderr = output(t, "space-server")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &spaceServer{cmd: cmd}
	t.Cleanup(func() { s.kill(t) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ URL, Version, InstallationID string }
	if err := json.Unmarshal(line, &ready); err != nil || ready.Version == "" || ready.InstallationID == "" {
		t.Fatalf("ready line %q: %v", line, err)
	}
	s.url = ready.URL
	return s
}

func (s *spaceServer) address() string { return strings.TrimPrefix(s.url, "http://") }

func (s *spaceServer) kill(t testing.TB) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = s.cmd.Wait()
	// The port is free again when nobody answers there.
	for {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			return
		}
		c.Close()
	}
}

// subscriptions asks the server itself.
func (s *spaceServer) subscriptions(t testing.TB) (names []string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/api/Spaces-1/subscriptions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Octopus-ApiKey", octopusKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page struct{ Items []struct{ Name string } }
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("subscriptions: %s, %v", res.Status, err)
	}
	for _, i := range page.Items {
		names = append(names, i.Name)
	}
	return names
}

// odcm runs the command line with a configuration folder of its own and returns what it prints.
func odcm(t testing.TB, binary, config, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config, "ODCM_URL=", "ODCM_API_KEY=")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("odcm %s: %v\n%s%s", strings.Join(args[:2], " "), err, out.String(), errs.String())
	}
	return out.String()
}

// output is a file for what a process says, shown where the test fails.
func output(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			b, _ := os.ReadFile(f.Name())
			t.Logf("%s said:\n%s", name, b)
		}
	})
	return f
}
