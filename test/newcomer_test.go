package test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNewcomer does what the README says first: start the product, sign in with what it prints, make a Space, stop it, start
// it again.
func TestNewcomer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes")
	}
	t.Parallel()
	dir := t.TempDir()
	t.Cleanup(func() { endAll(t, dir) })
	n := &newcomer{t: t, binary: build(t), data: filepath.Join(dir, "odcm"), config: filepath.Join(dir, "config")}

	first := n.dev()
	if first.login == nil {
		t.Fatalf("the first run does not say how to sign in: %q", first.text)
	}
	if res := get(t, first.url+"/"); res.Request.URL.Path != "/sign-in" {
		t.Errorf("the front page leads to %s", res.Request.URL)
	}
	odcm(t, n.binary, n.config, first.login[1]+"\n", "login", first.url, "--username", first.login[0])
	odcm(t, n.binary, n.config, "", "space", "create", "Newcomer")
	before := spaceServersIn(t, dir)
	if len(before) != 1 {
		t.Fatalf("the processes %v run for one Space", before)
	}
	first.ends()
	if after := spaceServersIn(t, dir); !slices.Equal(after, before) {
		t.Fatalf("the Space server %v ran before the end, and %v after it", before, after)
	}

	// Nothing is told twice, and the Space server is found again: the same process, and no other.
	second := n.dev("--stop-instances")
	if second.login != nil {
		t.Errorf("the second run prints a login: %q", second.text)
	}
	odcm(t, n.binary, n.config, first.login[1]+"\n", "login", second.url, "--username", first.login[0])
	until(t, "the server says that the instance runs", func() bool {
		return strings.Contains(odcm(t, n.binary, n.config, "", "server", "list"), "1 of 1 run")
	})
	if after := spaceServersIn(t, dir); !slices.Equal(after, before) {
		t.Errorf("the Space server %v ran before the start, and %v after it", before, after)
	}
	if out := odcm(t, n.binary, n.config, "", "space", "list"); !strings.Contains(out, "Newcomer") {
		t.Errorf("the Space is forgotten: %s", out)
	}
	second.ends()
	if left := spaceServersIn(t, dir); len(left) > 0 {
		t.Errorf("with --stop-instances the processes %v go on", left)
	}

	// Nothing was told to other users of the machine.
	err := filepath.WalkDir(n.data, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newcomer runs the program that was built.
type newcomer struct {
	t                    testing.TB
	binary, data, config string
}

// devRun is odcm dev as it runs: what it printed, and the URL and first login in it.
type devRun struct {
	t     testing.TB
	cmd   *exec.Cmd
	text  string
	url   string
	login []string // user name and password; nil where it printed none
}

var (
	readyLine = regexp.MustCompile(`ODCM is ready: +(http://\S+)`)
	loginLine = regexp.MustCompile(`First login: +(\S+) +(\S+)`)
)

func (n *newcomer) dev(more ...string) *devRun {
	n.t.Helper()
	cmd := exec.Command(n.binary, append([]string{"dev", "--data", n.data, "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0"}, more...)...)
	cmd.Stderr = output(n.t, "odcm dev")
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	r := &devRun{t: n.t, cmd: cmd}
	n.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(r.text, n.data); {
		r.text += lines.Text() + "\n"
	}
	if found := readyLine.FindStringSubmatch(r.text); found != nil {
		r.url = found[1]
	} else {
		n.t.Fatalf("odcm dev does not say where it is: %q", r.text)
	}
	if found := loginLine.FindStringSubmatch(r.text); found != nil {
		r.login = found[1:]
	}
	return r
}

// ends asks the process to end, as service managers do.
func (r *devRun) ends() {
	r.t.Helper()
	asked := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			r.t.Errorf("asked to end, odcm dev ended with %v", err)
		}
		r.t.Logf("odcm dev ended within %s", time.Since(asked).Round(time.Millisecond))
	case <-time.After(patience):
		r.t.Fatalf("odcm dev did not end within %s", patience)
	}
}

// get opens a page as a browser does.
func get(t testing.TB, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", address, res.Status)
	}
	return res
}
