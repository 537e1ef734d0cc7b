package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"odcm/agent"
	"odcm/kit/task"
	"odcm/manager"
)

// houses says what a process of its own plays: a manager, an agent or, as odcm dev, both.
type houses struct {
	Data     string
	Database string // of the manager; SQLite in Data if empty
	Manager  bool
	Agent    bool
	// For an agent without a manager: where the manager is, and a token to enrol with.
	ManagerAddress, Token string
	// Executable is what the agent starts Space servers from.
	Executable string
	// Replica runs the manager as one of several: with the key that they share, and with the product's own timing. Probes
	// come each second, so that a test sees soon that they come.
	Replica string
	Key     string
	// Stepping stops every task before and after each of its steps until the test lets it go on.
	Stepping      bool
	StopInstances bool
}

// houseVariable tells the test binary to play houses; the agent keeps it from the instances, as all that is ODCM's.
const houseVariable = "ODCM_TEST_HOUSE"

const adminKey = "odcm_theadministratorofthestories"

// said is a line that the process writes: that it is ready, or that a task is at a step.
type said struct {
	URL, Agents string
	At          *moment
}

// moment is a place in a task at which its process can die.
type moment struct {
	Kind, Step string
	After      bool // the step ran, and its result is not stored yet; the step "" is the end of the task
}

func (m moment) String() string {
	when, step := "before", m.Step
	if m.After {
		when = "after"
	}
	if step == "" {
		step = "the end"
	}
	return when + " " + step
}

// playHouse runs what it is told until SIGTERM.
func playHouse(told string) (err error) {
	var h houses
	if err := json.Unmarshal([]byte(told), &h); err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	out := json.NewEncoder(os.Stdout)
	var ready said
	token := func(context.Context) (string, error) { return h.Token, nil }
	if h.Manager {
		o := manager.Options{Version: "1.0.0", Data: h.Data, Database: h.Database, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0",
			AdminPassword: "Watch-it-2026", AdminAPIKey: adminKey, Logger: log}
		if h.Replica != "" {
			o.Replica, o.Key, o.ProbeEvery = h.Replica, h.Key, time.Second
		} else { // alone, so that nobody is to be mistaken for dead
			o.Tasks = task.Options{HeartbeatEvery: 300 * time.Millisecond, DeadAfter: 1500 * time.Millisecond}
		}
		if h.Stepping {
			o.Tasks.Hook = hook(out)
		}
		m, err := manager.New(ctx, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopping(m.Stop)) }()
		if err := m.Start(ctx); err != nil {
			return err
		}
		ready, token, h.ManagerAddress = said{URL: m.URL(), Agents: m.AgentAddress()}, m.EnrolLocal, m.AgentAddress()
	}
	if h.Agent {
		a, err := agent.New(agent.Options{Data: filepath.Join(h.Data, "agent"), Manager: h.ManagerAddress, Name: "here", Version: "1.0.0",
			Executable: h.Executable, Token: token, StopInstances: h.StopInstances, Logger: log})
		if err != nil {
			return err
		}
		if err := a.Start(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopping(a.Stop)) }()
	}
	if err := out.Encode(ready); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// hook says where a task is and waits for the test, which kills the process there or lets it go on.
func hook(out *json.Encoder) func(string, string, bool) {
	in := bufio.NewReader(os.Stdin)
	return func(kind, step string, after bool) {
		_ = out.Encode(said{At: &moment{kind, step, after}})
		_, _ = in.ReadString('\n')
	}
}

func stopping(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return f(ctx)
}

// house is a process that plays houses.
type house struct {
	t           testing.TB
	cmd         *exec.Cmd
	in          *os.File
	URL, Agents string
	said        chan said // closed when the process ended
}

// start runs the houses in a process of its own and waits until it is ready.
func (h houses) start(t testing.TB) *house {
	t.Helper()
	told, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	reader, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), houseVariable+"="+string(told))
	cmd.Stdin, cmd.Stderr = reader, output(t, "house")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	running := &house{t: t, cmd: cmd, in: in, said: make(chan said, 100)}
	go func() {
		defer close(running.said)
		for lines := json.NewDecoder(out); ; {
			var s said
			if lines.Decode(&s) != nil {
				return
			}
			running.said <- s
		}
	}()
	t.Cleanup(running.kill)
	ready := running.hear("it is ready")
	running.URL, running.Agents = ready.URL, ready.Agents
	return running
}

// patience is how long a test waits for what should come soon: a machine that does much else is no failure.
const patience = 60 * time.Second

func (h *house) hear(what string) said {
	h.t.Helper()
	select {
	case s, ok := <-h.said:
		if !ok {
			h.t.Fatalf("the process ended before %s", what)
		}
		return s
	case <-time.After(patience):
		h.t.Fatalf("waited %s until %s", patience, what)
	}
	return said{}
}

// next waits for the next moment of a task, at which the process stops.
func (h *house) next() moment {
	h.t.Helper()
	s := h.hear("a task came to its next step")
	if s.At == nil {
		h.t.Fatalf("the process said %+v", s)
	}
	return *s.At
}

// goOn lets the task go on.
func (h *house) goOn() {
	h.t.Helper()
	if _, err := fmt.Fprintln(h.in); err != nil {
		h.t.Fatal(err)
	}
}

// kill ends the process as a power cut does.
func (h *house) kill() {
	if h.cmd.ProcessState != nil {
		return
	}
	_ = h.cmd.Process.Kill()
	for range h.said { // its output is to be read to the end before Wait
	}
	_ = h.cmd.Wait()
	_ = h.in.Close()
}

// stop ends the process as a service manager does.
func (h *house) stop() {
	h.t.Helper()
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	impatient := time.AfterFunc(patience, func() { _ = h.cmd.Process.Kill() })
	defer impatient.Stop()
	for range h.said {
	}
	if err := h.cmd.Wait(); err != nil {
		h.t.Errorf("asked to end, the process ended with %v", err)
	}
	_ = h.in.Close()
}

// until waits until something holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("waited %s until %s", patience, what)
		}
	}
}
