package spaceserver_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
	"odcm/spaceserver/internal/script/sshtest"
)

// TestOfficialCLI has the official Octopus CLI work with the Space server as a person types it: from the sign-in to the log of
// a deployment that changed a file on a real SSH target. The CLI is a requirement of the module in test/officialcli alone;
// ODCM_OCTOPUS_CLI names another build of it to try.
func TestOfficialCLI(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the official CLI")
	}
	t.Parallel()
	program := os.Getenv("ODCM_OCTOPUS_CLI")
	if program == "" {
		program = filepath.Join(t.TempDir(), "octopus")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/OctopusDeploy/cli/cmd/octopus")
		build.Dir = "../test/officialcli"
		build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("the official CLI does not build: %v\n%s", err, out)
		}
	}
	// Releases after 1.7.1 sign in by a command of their own; 1.7.1 keeps server and key in its configuration.
	login := exec.CommandContext(t.Context(), program, "login", "--help").Run() == nil
	dbtest.EachURL(t, func(t *testing.T, database string) {
		t.Parallel()
		target := sshtest.Start(t)
		testscript.Run(t, testscript.Params{
			Dir:                 filepath.Join("testdata", "script"),
			RequireExplicitExec: true,
			ContinueOnError:     false,
			Setup: func(e *testscript.Env) error {
				w := start(t, spaceserver.Options{Database: database, AdminPassword: adminPassword})
				home := filepath.Join(e.WorkDir, "home")
				for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "URL": w.url, "KEY": adminKey, "CLI": program, "NO_COLOR": "1",
					"SSH_HOST": target.Host, "SSH_PORT": strconv.Itoa(target.Port), "SSH_USER": target.User, "SSH_FINGERPRINT": target.Fingerprint, "SSH_HOME": target.Home, "CLI_LOGIN": map[bool]string{true: "1"}[login]} {
					e.Setenv(name, value)
				}
				e.Values["world"] = w
				return os.WriteFile(filepath.Join(e.WorkDir, "id"), []byte(target.PrivateKeyPEM), 0o600)
			},
			Condition: func(cond string) (bool, error) { return cond == "login" && login, nil },
			Cmds:      map[string]func(*testscript.TestScript, bool, []string){"octopus": runCLI, "api": callAPI, "capture": captureVariable, "settle": settle},
		})
	})
}

// runCLI is octopus ARGUMENT...: what a person types.
func runCLI(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(ts.Getenv("CLI"), args...)
	if (err != nil) != neg {
		ts.Fatalf("octopus %s: %v", strings.Join(args, " "), err)
	}
}

// settle waits until no task runs: the CLI asks every ten seconds only.
func settle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: settle")
	}
	w, _ := ts.Value("world").(*world)
	waitUntil(w.t, 30*time.Second, func() bool {
		return w.get("/api/tasks?states=Queued,Executing,Cancelling&take=1").Int("TotalResults") == 0
	})
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// callAPI is api METHOD PATH [FILE]: what the CLI has no command for. {{NAME}} in the file stands for a variable. The answer
// is the standard output.
func callAPI(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: api method path [file]")
	}
	w, _ := ts.Value("world").(*world)
	var body any
	if len(args) == 3 {
		body = placeholder.ReplaceAllStringFunc(ts.ReadFile(args[2]), func(m string) string { return ts.Getenv(m[2 : len(m)-2]) })
	}
	status, text := w.send(args[0], args[1], body)
	_, _ = ts.Stdout().Write(text)
	if (status >= http.StatusBadRequest) != neg {
		ts.Fatalf("%s %s: status %d: %s", args[0], args[1], status, text)
	}
}

// captureVariable is capture NAME REGEXP: sets a variable to what the first group finds in the last standard output.
func captureVariable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture name regexp")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s is not in the output", args[1])
	}
	ts.Setenv(args[0], found[1])
}
