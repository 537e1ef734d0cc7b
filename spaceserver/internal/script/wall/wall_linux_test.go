package wall

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// behind gives a cell behind a wall of the kind, or skips where this host does not allow it.
func behind(t *testing.T, k kind) (c *Cell, data string) {
	t.Helper()
	base := t.TempDir()
	if err := os.Chmod(filepath.Dir(base), 0o755); err != nil { // as a folder for data lies usually
		t.Fatal(err)
	}
	data = filepath.Join(base, "data")
	root := filepath.Join(data, "work")
	if err := os.MkdirAll(root, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "key"), []byte("the-key"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, place, err := raise(t.Context(), k, Options{Data: data, Disk: 1 << 30, Memory: 1 << 30, Processes: 200, Files: 100, FirstUser: 53000 + users*int(k)}, root) // what other kinds kill may be a zombie for a while
	if err != nil {
		t.Skipf("this host does not allow it: %v", err)
	}
	if place != root {
		t.Cleanup(func() { _ = os.RemoveAll(place) })
	}
	user, free, err := w.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	folder := filepath.Join(place, "step")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	c = w.Cell(user, folder)
	open, err := os.OpenRoot(place)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := c.Own(open, "step"); err != nil {
		t.Fatal(err)
	}
	return c, data
}

func run(ctx context.Context, c *Cell, body string) (out, bad string, err error) {
	keep := func(to *string) func(io.Reader) error {
		return func(r io.Reader) error {
			b, err := io.ReadAll(r)
			*to = string(b)
			return err
		}
	}
	bash, err := Find("bash")
	if err != nil {
		return "", "", err
	}
	err = c.Run(ctx, Command{Args: []string{bash, "-c", body}, Dir: c.Folder, Env: []string{"PATH=" + Programs}, Stdin: strings.NewReader("fed"), Stdout: keep(&out), Stderr: keep(&bad)})
	return out, bad, err
}

func TestWalls(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]kind{"namespaces": ownNamespaces, "user namespace": userNamespace, "user": ownUser, "Landlock": landlocked, "bare": bare} {
		if os.Geteuid() != 0 && (k == ownNamespaces || k == ownUser) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("let a command run", func(t *testing.T) {
				c, _ := behind(t, k)
				out, bad, err := run(t.Context(), c, `cat; cat <&3; echo; pwd; echo x >file && cat file; echo err >/dev/stderr; ulimit -c; ulimit -n; exit 7`)
				var exit *ExitError
				if !errors.As(err, &exit) || exit.Code != 7 {
					t.Errorf("error %v", err)
				}
				if out != "fed\n"+c.Folder+"\nx\n0\n100\n" || bad != "err\n" {
					t.Errorf("it said %q and %q", out, bad)
				}
			})
			t.Run("keep it from the server's data", func(t *testing.T) {
				if k == bare {
					t.Skip("there is nothing to keep it")
				}
				c, data := behind(t, k)
				out, _, _ := run(t.Context(), c, "cat '"+data+"/key'; ls '"+data+"'; cat /proc/"+"[0-9]*/root'"+data+"/key'")
				if strings.Contains(out, "key") {
					t.Errorf("it read %q", out)
				}
			})
			t.Run("hold what it starts", func(t *testing.T) {
				c, _ := behind(t, k)
				ctx, cancel := context.WithCancelCause(t.Context())
				stopped := errors.New("stopped")
				mark := strconv.Itoa(300000000 + 10*os.Getpid() + int(k))
				err := c.Run(ctx, Command{Args: []string{"bash", "-c", "trap '' TERM; setsid sleep " + mark + " & (setsid sleep " + mark + " &) ; sleep 0.2; echo ready; while :; do sleep " + mark + "; done"},
					Dir: c.Folder, Env: []string{"PATH=/usr/bin:/bin"}, Stdin: strings.NewReader(""), Stdout: func(r io.Reader) error {
						_, err := r.Read(make([]byte, 100))
						if n := sleepers(mark); n < 2 {
							t.Errorf("%d sleep", n)
						}
						cancel(stopped)
						return err
					}, Stderr: func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }})
				if !errors.Is(err, stopped) {
					t.Errorf("error %v", err)
				}
				if n := sleepers(mark); n != 0 {
					t.Errorf("%d still sleep", n)
				}
			})
		})
	}
}

// sleepers counts the processes that sleep for so long.
func sleepers(mark string) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && string(line) == "sleep\x00"+mark+"\x00" {
			n++
		}
	}
	return n
}

func TestTheFirstWallThatHoldsIsChosen(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	root := filepath.Join(data, "work")
	if err := os.Mkdir(root, 0o711); err != nil {
		t.Fatal(err)
	}
	w, place, err := Choose(t.Context(), Options{Data: data, Disk: 1 << 30, Memory: 1 << 30, Processes: 200, Files: 100, FirstUser: 53000}, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s in %s", w.Describe(0), place)
	if place != root {
		_ = os.RemoveAll(place)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "try-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
