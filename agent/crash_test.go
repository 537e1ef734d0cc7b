//go:build linux

package agent

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"odcm"
)

// TestKilledAtEveryStep kills the agent at each step of its work, starts it again, and finds what was asked for: once.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"enrolled", "prepared", "locked", "forked", "hinted", "ready", "recorded"} {
		t.Run("starting: "+step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			killed := w.process(step)
			if step == "enrolled" {
				killed.dies()
				defer w.process("").ends()
				w.await(w.launch("", 0), "running", running)
				if servers, err := w.Servers(t.Context()); err != nil || len(servers) != 1 {
					t.Errorf("servers %v, %v: want one machine to be one server", servers, err)
				}
				return
			}
			id := w.launch("", 0)
			killed.dies()
			defer w.process("").ends()
			i := w.await(id, "running", running)
			if got := w.processes(); !slices.Equal(got, []int{int(i.Observed.PID)}) {
				t.Errorf("processes %v, want only %d", got, i.Observed.PID)
			}
			if started := w.starts(id); len(started) != 1 {
				t.Errorf("started %d times: %v", len(started), started)
			}
		})
	}
	for _, step := range []string{"stopping", "stopped", "trashed"} {
		t.Run("removing: "+step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			killed := w.process(step)
			id := w.launch("", 0)
			w.await(id, "running", running)
			if err := w.Retire(t.Context(), odcm.System, id, false); err != nil {
				t.Fatal(err)
			}
			killed.dies()
			defer w.process("").ends()
			w.awaitGone(id)
			if left := w.processes(); len(left) != 0 {
				t.Errorf("processes %v are left", left)
			}
			w.until("no folder is left", func() bool {
				left, _ := filepath.Glob(filepath.Join(w.data, "[it]*", "*"))
				return len(left) == 0
			})
		})
	}
}

// agentChild is an agent in a process of its own.
type agentChild struct {
	w     *world
	cmd   *exec.Cmd
	stdin io.Closer
}

func (w *world) process(crashAt string) *agentChild {
	w.t.Helper()
	path := filepath.Join(w.data, "..", "token") // one for all processes of a test: the machine may use it again
	token, err := os.ReadFile(path)
	if err != nil {
		text, err := w.Token(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		token = []byte(text)
		if err := os.WriteFile(path, token, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	settings, err := json.Marshal(agentSettings{Data: w.data, Manager: w.Listener.Addr(), Token: string(token), CrashAt: crashAt})
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "agent")
	cmd.Env = append(os.Environ(), settingsVariable+"="+string(settings))
	cmd.Stdout, cmd.Stderr = w.t.Output(), w.t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return &agentChild{w, cmd, stdin}
}

// dies waits until the agent has killed itself.
func (c *agentChild) dies() {
	c.w.t.Helper()
	end := time.AfterFunc(30*time.Second, func() { _ = c.cmd.Process.Kill() })
	_ = c.cmd.Wait()
	if !end.Stop() {
		c.w.t.Fatal("the agent did not come to the step at which it was to die")
	}
	if status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		c.w.t.Fatalf("the agent ended by itself: %v", c.cmd.ProcessState)
	}
}

func (c *agentChild) ends() {
	_ = c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		c.w.t.Errorf("the agent: %v", err)
	}
}
