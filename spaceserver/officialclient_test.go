package spaceserver_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm/spaceserver"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	show   = flag.String("show", "", "print what the official client's tests of these names (a regular expression) say")
)

const (
	officialClient = "github.com/OctopusDeploy/go-octopusdeploy/v2/test/e2e"
	officialGolden = "../test/officialclient/testdata/e2e.txt"
)

// TestOfficialClient runs the official Go client's own end-to-end tests, one process and one new Space server each, and
// compares what passes with a list that may only grow. The client is a requirement of the module in officialclient alone:
// the product does not depend on it.
func TestOfficialClient(t *testing.T) {
	if testing.Short() {
		t.Skip("runs 200 processes")
	}
	t.Parallel()
	binary := buildOfficial(t, officialClient)
	listed, err := exec.Command(binary, "-test.list", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := runOfficial(t, binary, strings.Fields(string(listed)))
	if *show != "" {
		return
	}
	golden := readVerdicts(t)
	if *update {
		writeVerdicts(t, golden, verdicts)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		got, was, known := verdicts[name], golden[name], golden[name] != ""
		switch {
		case !known:
			t.Errorf("%s is not in %s: run with -update", name, officialGolden)
		case was == "pass" && !got.passed:
			t.Errorf("%s passed and fails now: %s\n%s", name, got.why, got.output)
		case was != "pass" && got.passed:
			t.Errorf("%s passes now: run with -update, so that it stays so", name)
		case was == "fail" || strings.HasPrefix(was, "?"):
			t.Errorf("%s fails, and %s does not say why", name, officialGolden)
		}
	}
	for name := range golden {
		if _, there := verdicts[name]; !there {
			t.Errorf("%s is in %s and not among the client's tests", name, officialGolden)
		}
	}
}

// TestOfficialClientLife has the official client list, get, create, change and delete every kind of resource.
func TestOfficialClientLife(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the official client")
	}
	t.Parallel()
	binary := buildOfficial(t, ".")
	w := start(t, spaceserver.Options{})
	run := exec.CommandContext(t.Context(), binary, "-test.v", "-test.timeout", "60s")
	run.Env = append(os.Environ(), "OCTOPUS_URL="+w.url, "OCTOPUS_API_KEY="+adminKey)
	out, err := run.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestLife ")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// buildOfficial builds the tests of a package, as seen from the module that requires the client.
func buildOfficial(t *testing.T, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "official.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, pkg)
	build.Dir = "../test/officialclient"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s does not build: %v\n%s", pkg, err, out)
	}
	return binary
}

// verdict is the outcome of one test.
type verdict struct {
	passed bool
	why    string // first words of the first failure
	output string
}

func runOfficial(t *testing.T, binary string, names []string) map[string]verdict {
	verdicts := make(map[string]verdict, len(names))
	var mu sync.Mutex
	var running sync.WaitGroup
	work := make(chan string)
	shown := regexp.MustCompile(*show)
	for range 3 { // the processes mostly wait for one another
		running.Go(func() {
			for name := range work {
				v := runOne(t, binary, name)
				mu.Lock()
				verdicts[name] = v
				if *show != "" && shown.MatchString(name) {
					t.Logf("%s: passed %v\n%s", name, v.passed, v.output)
				}
				mu.Unlock()
			}
		})
	}
	for _, name := range names {
		if *show == "" || shown.MatchString(name) {
			work <- name
		}
	}
	close(work)
	running.Wait()
	return verdicts
}

// runOne gives the test a server of its own: what it leaves behind cannot fail another.
func runOne(t *testing.T, binary, name string) verdict {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Error(err)
		return verdict{}
	}
	server, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: dir, AdminAPIKey: adminKey, Name: "official"})
	if err == nil {
		err = server.Start(ctx)
	}
	if err != nil {
		t.Errorf("%s: the Space server did not start: %v", name, err)
		return verdict{}
	}
	defer func() {
		if err := server.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("%s: the Space server did not stop: %v", name, err)
		}
	}()
	if err := use(ctx, server.URL()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	run := exec.CommandContext(ctx, binary, "-test.run", "^"+name+"$", "-test.timeout", "50s")
	run.Dir = dir
	run.Env = append(os.Environ(), "OCTOPUS_HOST="+server.URL(), "OCTOPUS_URL="+server.URL(), "OCTOPUS_API_KEY="+adminKey,
		"OCTOPUS_APIKEY="+adminKey, "OCTOPUS_SPACE=")
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", name, err)
	}
	passed := err == nil && !bytes.Contains(out, []byte("no tests to run"))
	return verdict{passed: passed, why: firstFailure(string(out)), output: string(out)}
}

// use makes the server one that was used: it has run a task. The client's tests expect so of theirs.
func use(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/Spaces-1/tasks", strings.NewReader(`{"Name":"Health","Description":"Check the health of all targets"}`))
	if err != nil {
		return err
	}
	r.Header.Set("X-Octopus-ApiKey", adminKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("a health check was answered with %s", answer.Status)
	}
	return nil
}

var failureWords = regexp.MustCompile(`(?s)(?:panic: |Error:\s+|_test\.go:\d+: )(.{1,200}?)(?:\n\s*(?:Test:|expected|$)|\n\n|\n\t\t\w|$)`)

func firstFailure(output string) string {
	m := failureWords.FindStringSubmatch(output)
	if m == nil {
		return ""
	}
	return strings.Join(strings.Fields(m[1]), " ")
}

// readVerdicts reads the golden: "pass Name" or "fail Name  why". What fails maps to its reason, or to "fail" without one.
func readVerdicts(t *testing.T) map[string]string {
	text, err := os.ReadFile(officialGolden)
	if err != nil && (!*update || !errors.Is(err, os.ErrNotExist)) {
		t.Fatal(err)
	}
	golden := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		switch {
		case strings.HasPrefix(line, "#") || len(fields) < 2:
		case len(fields) == 3 && fields[0] == "fail":
			golden[fields[1]] = strings.TrimSpace(fields[2])
		default:
			golden[fields[1]] = fields[0]
		}
	}
	return golden
}

// writeVerdicts keeps the reasons that stand; a test that newly fails gets the words of its failure, to be replaced by a
// reason.
func writeVerdicts(t *testing.T, golden map[string]string, verdicts map[string]verdict) {
	var b bytes.Buffer
	passed := 0
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		v, reason := verdicts[name], golden[name]
		if v.passed {
			passed++
			fmt.Fprintf(&b, "pass %s\n", name)
			continue
		}
		if reason == "pass" {
			t.Errorf("%s passed and fails now: the list may only grow\n%s", name, v.output)
		}
		if reason == "fail" || reason == "pass" || strings.HasPrefix(reason, "?") || reason == "" {
			reason = "? " + v.why
		}
		fmt.Fprintf(&b, "fail %s  %s\n", name, reason)
	}
	if t.Failed() {
		return
	}
	head := fmt.Sprintf("# The official Go client's end-to-end tests on the Space server: %d of %d pass. This list may only grow.\n", passed, len(verdicts))
	if err := os.WriteFile(officialGolden, append([]byte(head), b.Bytes()...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d pass", passed, len(verdicts))
}
