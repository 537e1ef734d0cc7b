package spaceserver_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"odcm/kit/db/dbtest"
	"odcm/spaceserver"
)

// packaged is a process that deploys the package App on the server.
func packaged() fields {
	return step("Deploy", "Octopus.TentaclePackage", fields{"Octopus.Action.RunOnServer": "true", "Octopus.Action.Package.PackageId": "App", "Octopus.Action.Package.FeedId": "feeds-builtin"})
}

// leading is a package with a symbolic link that leads out of it, and a file behind the link.
func leading(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	for _, h := range []*tar.Header{{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../../../.."}, {Name: "out/escaped", Typeflag: tar.TypeReg, Mode: 0o644}} {
		if err := a.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bomb is a small package of 300 MiB of nothing.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("zeros")
	nothing := make([]byte, 1<<20)
	for i := 0; i < 300 && err == nil; i++ {
		_, err = f.Write(nothing)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestHostileContentFailsItsTaskOnly: the task says why, nothing is left outside, and the server goes on.
func TestHostileContentFailsItsTaskOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		environment := w.environments("Dev")[0]
		growing := []fields{{"Name": "v0", "Value": "xxxxxxxxxx", "Type": "String"}}
		for i := range 9 {
			growing = append(growing, fields{"Name": fmt.Sprint("v", i+1), "Value": strings.Repeat(fmt.Sprintf("#{v%d}", i), 10), "Type": "String"})
		}
		run := func(name string, variables []fields, steps ...fields) (state, message string) {
			project := w.project(name).Text("Id")
			w.variables(project, variables...)
			w.process(project, steps...)
			task, _ := w.outcome(w.deploy(w.release(project, "1.0.0"), environment, nil))
			return task.Text("State"), task.Text("ErrorMessage")
		}
		for _, c := range []struct {
			name, file string
			content    func(t *testing.T) []byte
			variables  []fields
			step       fields
			says       string
		}{
			{"a package that leads out", "App.1.0.0.zip", func(t *testing.T) []byte { return zipped(t, "../../escaped", "out") }, nil, packaged(), "escaped"},
			{"a package with a link that leads out", "App.1.0.1.tar.gz", leading, nil, packaged(), "points out of the folder"},
			{"a package that is a bomb", "App.1.0.2.zip", bomb, nil, packaged(), "it is made to fill a disk"},
			{"a variable that is a bomb", "", nil, growing, bash("Run", "echo '#{v9}'"), "larger than it may be"},
			{"a variable that refers to itself", "", nil, []fields{{"Name": "Loop", "Value": "#{Again}", "Type": "String"}, {"Name": "Again", "Value": "#{Loop}", "Type": "String"}}, bash("Run", "echo '#{Loop}'"), "refers to itself"},
		} {
			if c.file != "" {
				if status, o := w.upload(http.MethodPost, space+"packages/raw", c.file, c.content(t)); status >= 300 {
					t.Fatalf("%s: push: %d %s", c.name, status, text(o))
				}
			}
			if state, message := run(c.name, c.variables, c.step); state != "Failed" || !strings.Contains(message, c.says) {
				t.Errorf("%s: %s: %q, want %q", c.name, state, message, c.says)
			}
		}
		if err := filepath.WalkDir(filepath.Dir(w.data), func(path string, _ os.DirEntry, err error) error {
			if strings.Contains(path, "escaped") || strings.HasSuffix(path, "zeros") {
				t.Errorf("a package left %s", path)
			}
			return nil // what goes away meanwhile is no matter
		}); err != nil {
			t.Error(err)
		}
		if state, message := run("Harmless", nil, bash("Run", "echo fine")); state != "Success" {
			t.Errorf("then %s: %s", state, message)
		}
	})
}

// disk is a folder on a disk of its own, of 96 MiB. Scripts are stopped where less than 32 are free.
type disk struct {
	t   *testing.T
	dir string
}

func newDisk(t *testing.T) disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m,mode=0700"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return disk{t, dir}
}

// leave leaves so many bytes free.
func (d disk) leave(bytes int64) {
	d.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	f, err := os.Create(d.ballast())
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4<<10)
	for left := int64(s.Bavail)*s.Bsize - bytes; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = f.Write(block)
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

func (d disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// empty makes room again.
func (d disk) empty() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// TestContentThatFillsTheDiskFailsItsTaskOnly: a package that does not fit where it is extracted, an artifact that does not fit
// where it is kept.
func TestContentThatFillsTheDiskFailsItsTaskOnly(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		d := newDisk(t)
		w := start(t, spaceserver.Options{Database: "sqlite:" + filepath.Join(t.TempDir(), "apart.db"), Data: d.dir})
		if strings.HasPrefix(url, "postgres") {
			w = start(t, spaceserver.Options{Database: url, Data: d.dir})
		}
		environment := w.environments("Dev")[0]
		content := make([]byte, 0, 16<<20) // compresses to a thirtieth, so that it is no bomb
		source := rand.NewChaCha8([32]byte{})
		for len(content) < cap(content) {
			block := make([]byte, 32<<10)
			_, _ = source.Read(block[:1<<10])
			content = append(content, block...)
		}
		w.push("App.1.0.0.zip", "large", string(content))
		outcome := func(name string, steps ...fields) (state, message string) {
			project := w.project(name).Text("Id")
			w.process(project, steps...)
			task, _ := w.outcome(w.deploy(w.release(project, "1.0.0"), environment, nil))
			return task.Text("State"), task.Text("ErrorMessage")
		}
		d.leave(8 << 20)
		if state, message := outcome("A package", packaged()); state != "Failed" || !strings.Contains(message, "no space left on device") {
			t.Errorf("a package: %s: %s", state, message)
		}
		d.empty()
		if state, message := outcome("An artifact", bash("Give", "head -c 56000000 /dev/zero >large; new_octopusartifact large")); state != "Failed" || !strings.Contains(message, "the artifact 'large' was not kept: ") || !strings.Contains(message, "disk") {
			t.Errorf("an artifact: %s: %s", state, message)
		}
		if state, message := outcome("Then", bash("Give", "echo fine >small; new_octopusartifact small")); state != "Success" {
			t.Errorf("then %s: %s", state, message)
		}
	})
}

// TestALogThatFillsTheDisk: the database is on the disk that is full. The script is stopped, the task comes to its end when there is
// room, and tells what happened; the server answers throughout.
func TestALogThatFillsTheDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	w := start(t, spaceserver.Options{Data: d.dir})
	environment, project := w.environments("Dev")[0], w.project("Web").Text("Id")
	w.process(project, bash("Talk", "echo begun; [ #{Octopus.Release.Number} = 2.0.0 ] || while head -c 3000 /dev/urandom | base64; do sleep 0.01; done"))
	task := w.deploy(w.release(project, "1.0.0"), environment, nil)
	waitUntil(t, 20*time.Second, func() bool {
		_, log := w.send(http.MethodGet, "/api/tasks/"+task+"/raw", nil)
		return strings.Contains(string(log), "begun")
	})
	d.leave(0)
	waitUntil(t, 20*time.Second, func() bool { // what fits into pages that exist is still written
		status, _ := w.send(http.MethodPost, space+"environments", fields{"Name": fmt.Sprint(time.Now().UnixNano()), "Description": strings.Repeat("x", 1<<16)})
		return status == http.StatusInsufficientStorage
	})
	w.get("/api/tasks/" + task)
	waitUntil(t, 20*time.Second, func() bool { // the script is stopped, and its folder gone
		left, err := filepath.Glob(filepath.Join(d.dir, "work", "Work", task, "*"))
		return err == nil && len(left) == 0
	})
	d.empty()
	if o, log := w.outcome(task); o.Text("State") != "Failed" || !strings.Contains(o.Text("ErrorMessage"), "disk") {
		t.Errorf("it ended as %s %q: %.2000s", o.Text("State"), o.Text("ErrorMessage"), log)
	}
	if o, _ := w.outcome(w.deploy(w.release(project, "2.0.0"), environment, nil)); o.Text("State") != "Success" {
		t.Errorf("then %s: %s", o.Text("State"), o.Text("ErrorMessage"))
	}
}
