package wall

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// inside runs a script behind namespaces and returns what it says of its process namespace.
func inside(t *testing.T, c *Cell, body string) string {
	t.Helper()
	out, bad, err := run(t.Context(), c, body+"\nreadlink /proc/self/ns/pid")
	if err != nil {
		t.Fatalf("%v: %s", err, bad)
	}
	return out
}

func TestANamespaceServesOneScriptAfterAnother(t *testing.T) {
	t.Parallel()
	c, _ := behind(t, ownNamespaces)
	first := inside(t, c, "")
	if again := inside(t, c, ""); again != first {
		t.Errorf("another one, %q after %q", again, first)
	}
	if again := inside(t, c, "(true &); (true &); while grep -qs '^State:.*Z' /proc/[0-9]*/status; do :; done"); again != first {
		t.Errorf("another one after what was orphaned has ended, %q after %q", again, first)
	}
	if last := len(c.namespaces.idle); last != 1 {
		t.Errorf("%d are idle", last)
	}
	c.namespaces.clear()
	if last := len(c.namespaces.idle); last != 0 {
		t.Errorf("%d are idle after a rest", last)
	}
	inside(t, c, "")
}

func TestNoScriptMeetsWhatAnotherLeft(t *testing.T) {
	t.Parallel()
	// With CLONE_PARENT it is a child of the server (clone(2)).
	sibling := `readlink /proc/self/ns/pid; exec python3 -c 'import ctypes, time; ctypes.CDLL(None).syscall(` + strconv.Itoa(unix.SYS_CLONE) + `, 0x8011, 0, 0, 0, 0) or time.sleep(600)' >/dev/null 2>&1`
	for name, body := range map[string]string{"a process": "sleep 600 >/dev/null 2>&1 &", "one of another session": "setsid sleep 600 >/dev/null 2>&1 &", "a sibling": sibling} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Find("python3"); err != nil && body == sibling {
				t.Skip("without Python nothing makes one")
			}
			c, _ := behind(t, ownNamespaces)
			first := inside(t, c, body)
			if runs(c.User) {
				t.Error("it runs on")
			}
			if again := inside(t, c, ""); again == first {
				t.Errorf("the next script was in the same namespace %q", again)
			}
		})
	}
}

func TestANamespaceThatWasKilledIsNotUsed(t *testing.T) {
	t.Parallel()
	c, _ := behind(t, ownNamespaces)
	inside(t, c, "")
	for _, n := range c.namespaces.idle {
		if err := n.first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for n.stands() { //nolint:revive // until it has ended
		}
	}
	inside(t, c, "")
}
