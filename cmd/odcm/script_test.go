package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"odcm/agent"
	"odcm/apiclient"
	"odcm/manager"
	"odcm/spaceserver"
)

// TestMain lets scripts run this program as odcm.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"odcm": main})
}

const (
	adminPassword = "Watch-it-2026"
	adminKey      = "odcm_theadministratorofthescripts"
	octopusKey    = "API-SCRIPTSCRIPTSCRIPT"
)

// TestScripts runs the command line against one manager and its agent. Scripts run side by side: each makes its own things.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	address := startProduct(t)
	// In a subtest, so that the product ends when all scripts have.
	t.Run("script", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir:                 filepath.Join("testdata", "script"),
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			Setup: func(e *testscript.Env) error {
				home := filepath.Join(e.WorkDir, "home")
				for name, value := range map[string]string{
					"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "XDG_STATE_HOME": filepath.Join(home, ".state"),
					"MANAGER": address, "ADMIN_KEY": adminKey, "OCTOPUS_KEY": octopusKey, "LOGIN": filepath.Join(home, ".config", "odcm", "login.json"),
				} {
					e.Setenv(name, value)
				}
				return os.WriteFile(filepath.Join(e.WorkDir, "password"), []byte(adminPassword+"\n"), 0o600)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"exits": exits, "capture": capture, "octopus": octopus, "slow": slow, "stranger": stranger, "taken": taken,
			},
		})
	})
}

// startProduct runs a manager and an agent in this process and returns the manager's URL.
func startProduct(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := exec.LookPath("odcm") // what testscript made of this test
	if err != nil {
		t.Fatal(err)
	}
	launcher := filepath.Join(dir, "launcher")
	if err := os.WriteFile(launcher, []byte("#!/bin/sh\nexec '"+program+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	m, err := manager.New(t.Context(), manager.Options{Version: version, Data: filepath.Join(dir, "manager"), Listen: "127.0.0.1:0",
		AgentListen: "127.0.0.1:0", AdminPassword: adminPassword, AdminAPIKey: adminKey, ProbeEvery: time.Second, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ending(t, m.Stop)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(agent.Options{Data: filepath.Join(dir, "agent"), Manager: m.AgentAddress(), Name: "here", Version: version,
		Executable: launcher, Token: m.EnrolLocal, StopInstances: true, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ending(t, a.Stop)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := apiclient.New(apiclient.Options{URL: m.URL(), APIKey: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		servers, err := apiclient.Collect(c.Servers(t.Context()), 0)
		if err != nil || time.Since(began) > time.Minute {
			t.Fatalf("the agent has no room: %+v, %v", servers, err)
		}
		if len(servers) == 1 && servers[0].Room > 0 {
			return m.URL()
		}
	}
}

// ending stops something at the end of the test.
func ending(t *testing.T, f func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
}

// exits CODE PROGRAM ARGUMENT... runs the program and wants that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program argument...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// capture NAME REGEXP sets a variable to what the first group finds in the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture name regexp")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s is not in the output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// octopus NAME starts a Space server that is somebody else's and sets the variable to its URL.
func octopus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: octopus name")
	}
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: filepath.Join(ts.Getenv("WORK"), args[0]), AdminAPIKey: octopusKey})
	ts.Check(err)
	ts.Check(s.Start(context.Background()))
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ts.Check(s.Stop(ctx))
	})
	ts.Setenv(args[0], s.Ready().URL)
}

// slow NAME starts a Space server that never answers the first to write a subscription, and sets the variable to its URL.
func slow(ts *testscript.TestScript, neg bool, args []string) {
	octopus(ts, neg, args)
	behind, err := url.Parse(ts.Getenv(args[0]))
	ts.Check(err)
	pass := httputil.NewSingleHostReverseProxy(behind)
	var first sync.Once
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/subscriptions") {
			first.Do(func() {
				_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the client has gone
				<-r.Context().Done()
			})
		}
		pass.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

// stranger NAME [URL] starts a web server that is neither ODCM nor Octopus and sets the variable to its URL. The script fails
// at its end if the server was told a key; one that redirects to another may be told.
func stranger(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: stranger name [url]")
	}
	var told atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(args) == 2 {
			http.Redirect(w, r, args[1], http.StatusTemporaryRedirect)
			return
		}
		if r.Header.Get("Authorization") != "" {
			told.Store(true)
		}
		_, _ = w.Write([]byte("hello"))
	}))
	ts.Defer(func() {
		s.Close()
		if told.Load() {
			ts.Fatalf("the key was sent to a stranger")
		}
	})
	ts.Setenv(args[0], s.URL)
}

// taken NAME takes a port until the end of the script and sets the variable to its number.
func taken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: taken name")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}
