//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestMain lets the test binary play the Space server, and an agent in a process of its own that can be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "space-server":
			os.Exit(spaceServer(os.Args[2:]))
		case "agent":
			os.Exit(agentProcess())
		case "remainder":
			time.Sleep(time.Minute)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// spaceServer does what `odcm space-server` promises to an agent. How it misbehaves is told by the administrator's name.
func spaceServer(args []string) int {
	flags := flag.NewFlagSet("space-server", flag.ContinueOnError)
	listen, data := flags.String("listen", "", ""), flags.String("data", "", "")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	installed := filepath.Join(*data, "installation")
	behaviour := filepath.Join(*data, "behaviour")
	id, err := os.ReadFile(installed)
	if errors.Is(err, os.ErrNotExist) {
		if os.Getenv("ADMIN_API_KEY") == "" || os.Getenv("ADMIN_PASSWORD") == "" {
			fmt.Fprintln(os.Stderr, "no first administrator")
			return 2
		}
		_ = os.WriteFile(behaviour, []byte(os.Getenv("ADMIN_USERNAME")), 0o600)
	} else if os.Getenv("ADMIN_API_KEY") != "" {
		fmt.Fprintln(os.Stderr, "a first administrator for the second time")
		return 2
	}
	how, _ := os.ReadFile(behaviour)
	started, _ := os.OpenFile(filepath.Join(*data, "starts"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	fmt.Fprintln(started, os.Getpid())
	_ = started.Close()
	switch string(how) {
	case "crash":
		fmt.Fprintln(os.Stderr, "the database is broken, key", os.Getenv("ADMIN_API_KEY"))
		return 3
	case "mute":
		time.Sleep(time.Minute)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	case "parent":
		child := exec.Command("/proc/self/exe", "remainder", *data)
		if err := child.Start(); err != nil {
			return 4
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 5
	}
	if len(id) == 0 {
		id = []byte(uuid.NewString())
		_ = os.WriteFile(installed, id, 0o600)
	}
	line, _ := json.Marshal(map[string]string{"url": "http://" + l.Addr().String(), "version": "2026.1.0", "installationId": string(id)})
	fmt.Println("starting")
	fmt.Println(string(line))
	http.HandleFunc("GET /api/octopusservernodes/ping", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { os.Exit(7) })
	fmt.Fprintln(os.Stderr, http.Serve(l, nil))
	return 1
}

// agentSettings pass from a test to an agent in a process of its own.
type agentSettings struct{ Data, Manager, Token, CrashAt string }

const settingsVariable = "TEST_AGENT_SETTINGS"

func agentProcess() int {
	var s agentSettings
	if err := json.Unmarshal([]byte(os.Getenv(settingsVariable)), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	_ = os.Unsetenv(settingsVariable)
	o := quick(s.Data, s.Manager)
	o.Token = func(context.Context) (string, error) { return s.Token, nil }
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	o.step = func(name string) {
		if name == s.CrashAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal arrives before anything else happens
		}
	}
	a, err := New(o)
	if err == nil {
		err = a.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test closes it, or ends
	_ = a.Stop(context.Background())
	return 0
}

// quick are options under which a test does not wait.
func quick(data, manager string) Options {
	return Options{Data: data, Manager: manager, Name: "test", Version: "1.0.0", RetryFirst: 20 * time.Millisecond, RetryMost: 100 * time.Millisecond,
		StopWithin: 500 * time.Millisecond, ReadyWithin: 20 * time.Second}
}
