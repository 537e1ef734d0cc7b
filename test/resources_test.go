package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ground "odcm" // odcm is the program here
	"odcm/api"
	"odcm/apiclient"
	"odcm/kit/db/dbtest"
	"odcm/manager"
	"odcm/spaceserver"
)

// TestRefusesToStart starts servers that cannot run, and wants a clear word, an exit code that says whose fault it is, and
// nothing left behind.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	program := build(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	port := taken.Addr().String()
	serve := func(more ...string) []string {
		return append([]string{"serve", "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", "--data", "DATA"}, more...)
	}
	file := func(t *testing.T, dir string) { // a file where the folder is to be
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// run before: a manager made the folder.
	ran := func(change func(t *testing.T, key string)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			o := manager.Options{Version: "1.0.0", Data: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", AdminPassword: "Watch-it-2026", Logger: slog.New(slog.DiscardHandler)}
			m, err := manager.New(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(m.Start(t.Context()), stopping(m.Stop)); err != nil {
				t.Fatal(err)
			}
			change(t, filepath.Join(dir, "odcm.key"))
		}
	}
	try := func(f func(key string) error) func(*testing.T, string) {
		return ran(func(t *testing.T, key string) {
			if err := f(key); err != nil {
				t.Fatal(err)
			}
		})
	}
	for _, c := range []struct {
		name   string
		args   []string
		before func(t *testing.T, dir string)
		exit   int
		says   []string
		leaves bool // the folder was there before
	}{
		{"manager, its port is taken", serve("--listen", port), nil, 6, []string{port, "address already in use", "--listen", "manager.listen"}, false},
		{"manager, the agents' port is taken", serve("--agent-listen", port), nil, 6, []string{port, "address already in use", "--agent-listen", "manager.listen"}, false},
		{"manager, a file is where its folder is to be", serve(), file, 6, []string{"data folder", "--data"}, true},
		{"manager, its key is gone", serve(), try(os.Remove), 2, []string{"is missing", "copy it from the replica or the backup", "seal.key-missing"}, true},
		{"manager, its key is another", serve(), try(func(key string) error {
			return os.WriteFile(key, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600)
		}), 2, []string{"not the key", "use the key of the other replicas", "seal.wrong-key"}, true},
		{"manager, its key is none", serve(), try(func(key string) error { return os.WriteFile(key, []byte("hello\n"), 0o600) }), 2,
			[]string{"openssl rand -base64 32", "seal.bad-key"}, true},
		{"manager, others can read its key", serve(), try(func(key string) error { return os.Chmod(key, 0o644) }), 2,
			[]string{"mode 0644", "chmod 600", "seal.key-exposed"}, true},
		{"manager, no certificate", serve("--tls-cert", "nowhere.pem", "--tls-key", "nowhere.key"), nil, 2, []string{"--tls-cert nowhere.pem", "no such file", "manager.tls"}, false},
		{"manager, no database", serve("--database", "mysql://x"), nil, 2, []string{"want sqlite:PATH or postgres://", "db.url"}, false},
		{"manager, its database is away", serve("--database", "postgres://odcm:hunter2@"+strings.TrimPrefix(refused(t), "http://")), nil, 6,
			[]string{"connect to PostgreSQL at", "connection refused"}, false},
		{"manager, a proxy that is none", serve("--trusted-proxies", "10.0.0.0/33"), nil, 2, []string{"--trusted-proxies 10.0.0.0/33", "want a network"}, false},
		{"Space server, its port is taken", []string{"space-server", "--listen", port, "--data", "DATA"}, nil, 0, []string{port, "address already in use", "--listen"}, false},
		{"Space server, a file is where its folder is to be", []string{"space-server", "--listen", "127.0.0.1:0", "--data", "DATA"}, file, 0, []string{"not a directory"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			if c.before != nil {
				c.before(t, dir)
			}
			before := filesIn(t, dir)
			args := slices.Clone(c.args)
			for i, a := range args {
				args[i] = strings.ReplaceAll(a, "DATA", dir)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, args...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() < 1 || c.exit != 0 && exit.ExitCode() != c.exit {
				t.Errorf("it ended with %v, want exit status %d", err, c.exit)
			}
			for _, s := range c.says {
				if !bytes.Contains(out, []byte(s)) {
					t.Errorf("it does not say %q", s)
				}
			}
			if bytes.Contains(out, []byte("hunter2")) || bytes.Contains(out, []byte("goroutine")) || bytes.Contains(out, []byte("First login")) {
				t.Error("it says too much")
			}
			if after := filesIn(t, dir); !slices.Equal(before, after) {
				t.Errorf("it left %q, before there was %q", after, before)
			}
			if t.Failed() {
				t.Logf("odcm %q: %s", args, out)
			}
		})
	}
}

// filesIn lists what is in the folder, but for the traces that SQLite leaves beside its file.
func filesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasSuffix(path, "-wal") && !strings.HasSuffix(path, "-shm") {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return names
}

// TestFolderThatCannotBeWritten takes the right to write away, or, from root who has every right, the possibility.
func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		dir = newSmall(t, 1).dir
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Skipf("a disk cannot be made read-only here: %v", err)
		}
	} else if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := manager.New(t.Context(), manager.Options{Data: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if ground.CodeOf(err) != "db.file" || ground.KindOf(err) != ground.Unavailable || !strings.Contains(err.Error(), "let this user write there") {
		t.Errorf("got %v", err)
	}
}

// small is a disk of a few megabytes that can be filled.
type small struct {
	t   testing.TB
	dir string
}

func newSmall(t testing.TB, megabytes int) small {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", megabytes)); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return small{t, dir}
}

func (s small) ballast() string { return filepath.Join(s.dir, "ballast") }

// fill leaves no byte free.
func (s small) fill() {
	s.t.Helper()
	f, err := os.Create(s.ballast())
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(b)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatalf("the disk is not full: %v", err)
	}
}

func (s small) empty() {
	s.t.Helper()
	if err := os.Remove(s.ballast()); err != nil {
		s.t.Fatal(err)
	}
}

// TestManagerOnAFullDisk fills the disk below a manager that works, and makes room again.
func TestManagerOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newSmall(t, 16)
	o := open(t, func(o *manager.Options) { o.Data = filepath.Join(disk.dir, "odcm") })
	theirs := &fakeOctopus{installation: "theirs"}
	there := serve(t, theirs.ServeHTTP)
	body := asJSON(map[string]any{"url": there, "apiKey": fakeKey, "spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Shipping"}}})
	disk.fill()
	before := o.tables()
	// What was written to the log lately may lie in pages that exist; a full one follows.
	var got reply
	until(t, "a change does not fit any more", func() bool {
		got = o.ask("POST", "/api/v1/api-keys", `{"purpose":"`+strings.Repeat("x", 100)+`"}`, nil)
		return got.status != 201
	})
	full := refusal{status: 507, code: "db.full", says: "Make room there, then try again"}
	full.check(t, got)
	full.check(t, o.ask("POST", "/api/v1/spaces/enlist", body, nil))
	o.want(200, "GET", "/api/v1/spaces", "") // reading goes on
	after := o.tables()
	for _, table := range []string{"space", "space_instance", "space_hook", "task", "workflow_status"} {
		if before[table] != after[table] {
			t.Errorf("%s: %d rows, before %d", table, after[table], before[table])
		}
	}
	if theirs.subscriptions() != 0 {
		t.Error("something was written on their server")
	}

	disk.empty()
	r := o.want(202, "POST", "/api/v1/spaces/enlist", body)
	o.ends(r.field("task"), "succeeded")
	var said string
	if err := o.d.Read().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Errorf("the database is %s, %v", said, err)
	}
}

// TestTaskOnAFullDisk fills the disk while a task works: it goes on when there is room.
func TestTaskOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newSmall(t, 16)
	o := open(t, func(o *manager.Options) { o.Data = filepath.Join(disk.dir, "odcm") })
	theirs := &fakeOctopus{installation: "theirs"}
	reached, goOn := make(chan struct{}, 1), make(chan struct{})
	there := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" { // the task makes the webhook
			reached <- struct{}{}
			<-goOn
		}
		theirs.ServeHTTP(w, r)
	})
	r := o.want(202, "POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
		"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": "Shipping"}}}))
	<-reached
	disk.fill()
	close(goOn)
	time.Sleep(500 * time.Millisecond) // it tries to store what it did, in vain
	disk.empty()
	until(t, "the task ends", func() bool {
		s := o.want(200, "GET", "/api/v1/tasks/"+r.field("task"), "").field("state")
		return s == "succeeded" || s == "failed"
	})
	switch rows, n := o.tables(), theirs.subscriptions(); {
	case rows["space"] == 1 && n == 1:
		if s := o.want(200, "GET", "/api/v1/spaces/shipping", "").field("state"); s != "active" {
			t.Errorf("the Space is %s", s)
		}
	case rows["space"] == 0 && rows["space_instance"] == 0:
	default:
		t.Errorf("half done: rows %v, %d subscriptions", rows, n)
	}
}

// TestSpaceServerOnAFullDisk does the same to a Space server.
func TestSpaceServerOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newSmall(t, 16)
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: filepath.Join(disk.dir, "server"), AdminAPIKey: theirKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopping(s.Stop); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.Ready().URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Octopus-ApiKey", theirKey)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	disk.fill()
	made, status, said := 0, 0, ""
	until(t, "a change does not fit any more", func() bool {
		status, said = ask("POST", "/api/Spaces-1/environments", fmt.Sprintf(`{"Name":"Environment %d","Description":%q}`, made, strings.Repeat("x", 2000)))
		if status == 201 {
			made++
		}
		return status != 201
	})
	if status != 507 || !strings.Contains(said, "disk is full") || !strings.Contains(said, "ErrorMessage") {
		t.Errorf("got %d %s", status, said)
	}
	disk.empty()
	if status, said := ask("POST", "/api/Spaces-1/environments", `{"Name":"After"}`); status != 201 {
		t.Errorf("with room again: %d %s", status, said)
	}
	_, all := ask("GET", "/api/Spaces-1/environments/all", "")
	var environments []struct{ Name string }
	if err := json.Unmarshal([]byte(all), &environments); err != nil || len(environments) != made+1 {
		t.Errorf("%d environments, want %d: %v", len(environments), made+1, err)
	}
}

// TestDatabaseGoesAway stops PostgreSQL below two replicas and starts it again: one holds what is to be done once, the other
// waits for it.
func TestDatabaseGoesAway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and stops a PostgreSQL of its own")
	}
	t.Parallel()
	server := dbtest.Private(t)
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	o := open(t, func(o *manager.Options) { o.Database, o.Key, o.Replica = server.URL, key, "one" })
	standby := open(t, func(o *manager.Options) { o.Database, o.Key, o.Replica = server.URL, key, "two" })
	theirs := &fakeOctopus{installation: "theirs"}
	there := serve(t, theirs.ServeHTTP)
	enlist := func(name string) reply {
		return o.ask("POST", "/api/v1/spaces/enlist", asJSON(map[string]any{"url": there, "apiKey": fakeKey,
			"spaces": []any{map[string]any{"octopusSpace": "Spaces-1", "name": name}}}), nil)
	}
	o.want(200, "GET", "/readyz", "")
	server.Stop(t)
	until(t, "it is not ready", func() bool { return o.ask("GET", "/readyz", "", nil).status == 503 })
	o.want(200, "GET", "/healthz", "") // the process is well: do not restart it
	away := refusal{status: 503, code: "db.unavailable", says: "Try again in a moment"}
	away.check(t, o.ask("GET", "/api/v1/spaces", "", nil))
	away.check(t, enlist("Shipping"))
	time.Sleep(3 * time.Second) // leases end, heartbeats fail, loops try again
	server.Start(t)
	until(t, "it is ready", func() bool { return o.ask("GET", "/readyz", "", nil).status == 200 })
	var made reply
	until(t, "it works", func() bool { made = enlist("Shipping"); return made.status == 202 })
	o.ends(made.field("task"), "succeeded")
	until(t, "background work goes on", func() bool {
		return strings.Contains(string(o.want(200, "GET", "/api/v1/audit/events", "").body), "monitor.status-changed")
	})
	until(t, "the other is ready too", func() bool { return standby.ask("GET", "/readyz", "", nil).status == 200 })
	for _, replica := range []*office{o, standby} {
		ended := make(chan error, 1)
		go func() { ended <- replica.m.Wait() }()
		select {
		case err := <-ended:
			t.Errorf("background work ended: %v", err)
		case <-time.After(time.Second):
		}
	}
}

// TestKilledAmidCreations kills manager and agent while they make many Spaces at once, and starts them again: each Space
// becomes active or goes, and nothing runs that nobody knows.
func TestKilledAmidCreations(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen processes")
	}
	t.Parallel()
	dir := t.TempDir()
	h := houses{Data: filepath.Join(dir, "odcm"), Manager: true, Agent: true, Executable: launcher(t, dir), StopInstances: true}
	t.Cleanup(func() { endAll(t, dir) })
	running := h.start(t)
	until(t, "the agent is there", func() bool {
		servers, err := apiclient.Collect(running.client().Servers(t.Context()), 0)
		return err == nil && len(servers) == 1 && servers[0].Online
	})
	const many = 8
	asked := make(chan struct{}, many)
	for i := range many {
		go func() {
			defer func() { asked <- struct{}{} }()
			_, _ = running.client().CreateSpace(context.Background(), api.NewSpace{Name: fmt.Sprintf("Space %d", i)}, fmt.Sprint("space-", i))
		}()
	}
	<-asked
	<-asked
	time.Sleep(300 * time.Millisecond) // some launch, some wait, some are not asked for yet
	running.kill()
	for range many - 2 {
		<-asked
	}
	running = h.start(t)
	c := running.client()
	var spaces []api.Space
	until(t, "every task ended", func() bool {
		var err error
		if spaces, err = apiclient.Collect(c.Spaces(t.Context(), apiclient.SpaceFilter{}), 0); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(spaces, func(s api.Space) bool { return s.State != "active" })
	})
	if len(spaces) == 0 {
		t.Error("no Space is left of those that were asked for")
	}
	until(t, "as many servers run as there are Spaces", func() bool { return len(spaceServersIn(t, dir)) == len(spaces) })
	for _, s := range spaces {
		until(t, s.Name+" answers", func() bool {
			res, err := http.Get(s.URL + "/api")
			if err != nil {
				return false
			}
			defer res.Body.Close()
			return res.StatusCode == 200
		})
	}
	running.stop()
}
