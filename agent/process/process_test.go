//go:build linux

package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin starts the shell script with the lock, and lets the script alone hold it.
func begin(t *testing.T, path, script string) *Process {
	t.Helper()
	lock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(exec.Command("/bin/sh", "-c", script), lock, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-p.PID, syscall.SIGKILL) })
	return p
}

func ends(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done:
	case <-time.After(10 * time.Second):
		t.Fatal("its end was not noticed")
	}
}

// The tests run one after another: a child that another test is just starting holds what this process holds until it executes
// its program, and would be found in its place.
func TestAProcessHoldsItsLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	p := begin(t, path, "exec sleep 60")
	if _, err := Lock(path); !errors.Is(err, ErrHeld) {
		t.Errorf("the lock of a running process: %v", err)
	}
	if p.Resident() == 0 {
		t.Error("it takes no memory")
	}
	p.Leave()
	for name, hint := range map[string]string{"by its hint": "", "without a hint": "\n", "in spite of a wrong hint": "1\n"} {
		t.Run("is found again "+name, func(t *testing.T) {
			if hint != "" {
				if err := os.WriteFile(path, []byte(hint), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			found, err := Adopt(path)
			if err != nil || found == nil || found.PID != p.PID || !found.Adopted {
				t.Fatalf("found %+v, %v; want process %d", found, err, p.PID)
			}
			found.Leave()
		})
	}
	found, err := Adopt(path)
	if err != nil || found == nil {
		t.Fatal(found, err)
	}
	found.Stop(t.Context(), 10*time.Second)
	if !found.Ended() || !strings.Contains(found.Exit, "signal 15") {
		t.Errorf("after Stop: ended %v, %q", found.Ended(), found.Exit)
	}
	if found, err := Adopt(path); err != nil || found != nil {
		t.Errorf("after its end: %+v, %v", found, err)
	}
}

func TestAnEndIsExplained(t *testing.T) {
	for script, want := range map[string]string{"exit 3": "exit status 3", "kill -9 $$": "signal 9", "kill -15 $$": "signal 15"} {
		t.Run(want, func(t *testing.T) {
			p := begin(t, filepath.Join(t.TempDir(), "lock"), script)
			defer p.Leave()
			if ends(t, p); !strings.Contains(p.Exit, want) {
				t.Errorf("%q does not say %q", p.Exit, want)
			}
		})
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, filepath.Join(dir, "lock"), `trap "" TERM; touch "`+dir+`/deaf"; while :; do sleep 1; done`)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "deaf")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the script does not run")
		}
	}
	p.Stop(t.Context(), 20*time.Millisecond)
	if !p.Ended() || !strings.Contains(p.Exit, "signal 9") {
		t.Errorf("ended %v, %q", p.Ended(), p.Exit)
	}
}

func TestSweepEndsWhatWasLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	p := begin(t, path, "sleep 60 & exit 0")
	defer p.Leave()
	ends(t, p)
	if found, err := Adopt(path); err != nil || found != nil {
		t.Errorf("a remainder was taken for the process: %+v, %v", found, err)
	}
	lock, err := Sweep(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := Lock(path); !errors.Is(err, ErrHeld) {
		t.Errorf("what Sweep returned is not locked: %v", err)
	}
}

func TestUnlockFreesWhatAnotherHasOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	open, err := syscall.Dup(int(lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(open) }()
	if err := Unlock(lock); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Unlock(again); err != nil {
		t.Error(err)
	}
	if err := Unlock(again); err == nil {
		t.Error("a file that is closed was unlocked")
	}
}
