//go:build linux

package agent

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleettest"
)

// world is a manager and the folder of one agent.
type world struct {
	*fleettest.Fleet
	t    *testing.T
	data string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Fleet: fleettest.New(t, dbtest.Open(t, dbtest.SQLite(t)), fleettest.NewSealer(t), nil), t: t, data: t.TempDir()}
	t.Cleanup(func() { // after the agents': whatever a test left, it does not stay
		for _, pid := range w.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return w
}

// agent starts an agent in this process. Its instances outlive it, as they do.
func (w *world) agent(change ...func(*Options)) *Agent {
	w.t.Helper()
	o := quick(w.data, w.Listener.Addr())
	o.Token = w.Token
	o.Logger = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	for _, f := range change {
		f(&o)
	}
	a, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := a.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) stop(a *Agent) {
	w.t.Helper()
	if err := a.Stop(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// launch waits for a server and launches an instance that behaves as told.
func (w *world) launch(behaviour string, port int) odcm.InstanceID {
	w.t.Helper()
	w.until("a server is online", func() bool {
		v, err := w.Versions(w.t.Context())
		return err == nil && len(v) == 1
	})
	id := odcm.NewID[odcm.InstanceID]("instance")
	_, err := w.Launch(w.t.Context(), odcm.System, fleet.Spec{ID: id, Name: "Test " + behaviour, Port: port, Administrator: fleet.Administrator{Username: behaviour}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) await(id odcm.InstanceID, what string, until func(fleet.Instance) bool) fleet.Instance {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	i, err := w.Wait(ctx, id, until)
	if err != nil {
		w.t.Fatalf("%s: %v; last seen %+v", what, err, i.Observed)
	}
	return i
}

func (w *world) awaitGone(id odcm.InstanceID) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if i, err := w.Wait(ctx, id, func(fleet.Instance) bool { return false }); odcm.KindOf(err) != odcm.NotFound {
		w.t.Fatalf("still there: %v; %+v", err, i.Observed)
	}
}

func running(i fleet.Instance) bool { return i.Observed.State == fleet.StateRunning }

func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("it did not come about that %s", what)
		}
	}
}

// processes lists what lives and was started for an instance of this world. A zombie does not live.
func (w *world) processes() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		args := strings.Split(string(line), "\x00")
		if len(args) > 2 && (args[1] == "space-server" || args[1] == "remainder") && strings.Contains(string(line), w.data+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (w *world) folder(id odcm.InstanceID) string {
	return filepath.Join(w.data, "instances", string(id))
}

// starts lists the processes that ran on the instance's data, ever.
func (w *world) starts(id odcm.InstanceID) []string {
	data, _ := os.ReadFile(filepath.Join(w.folder(id), "data", "starts"))
	return strings.Fields(string(data))
}

func (w *world) events(id odcm.InstanceID) []string {
	w.t.Helper()
	var types []string
	for e, err := range w.Log.Follow(w.t.Context(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Subject == string(id) {
			types = append(types, e.Type)
		}
		if last, _ := w.Log.Last(w.t.Context()); e.ID == last {
			break
		}
	}
	return types
}

func TestAnInstanceIsLaunchedAndRetired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	defer w.stop(a)
	asked := time.Now()
	id := w.launch("", 0)
	i := w.await(id, "running", running)
	t.Logf("launched to running: %s", time.Since(asked))
	o := i.Observed
	if o.Version != "2026.1.0" || o.InstallationID == "" || o.PID == 0 || o.Port == 0 || !strings.HasPrefix(o.URL, "http://127.0.0.1:") {
		t.Errorf("observed %+v", o)
	}
	if answer, err := http.Get(o.URL + "/api/octopusservernodes/ping"); err != nil {
		t.Error(err)
	} else {
		_ = answer.Body.Close()
	}
	administrator, err := w.Administrator(t.Context(), odcm.System, id)
	if err != nil || !strings.HasPrefix(administrator.APIKey, "API-") {
		t.Fatalf("administrator: %v", err)
	}
	t.Run("no secret is on the disk", func(t *testing.T) {
		err := filepath.WalkDir(w.data, func(path string, e os.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || strings.Contains(path, "/versions/") {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte(administrator.APIKey)) || bytes.Contains(data, []byte(administrator.Password)) {
				t.Errorf("%s holds a secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("the agent gets the administrator no more", func(t *testing.T) {
		d, err := w.Desired(t.Context(), i.Server, 0, 0)
		if err != nil || len(d.Instances) != 1 || d.Instances[0].Administrator != nil {
			t.Errorf("desired %+v, %v", d, err)
		}
	})
	asked = time.Now()
	if err := w.Retire(t.Context(), odcm.System, id, false); err != nil {
		t.Fatal(err)
	}
	w.awaitGone(id)
	t.Logf("retired to gone: %s", time.Since(asked))
	if _, err := os.Stat(w.folder(id)); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
	if left := w.processes(); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
	// Whether its end was reported before its removal depends on how quick both were.
	got := slices.DeleteFunc(w.events(id), func(typ string) bool { return typ == "fleet.instance-exited" })
	want := []string{"fleet.instance-desired", "fleet.instance-started", "fleet.instance-desired", "fleet.instance-removed"}
	if !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestDataIsKeptByChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	defer w.stop(a)
	id := w.launch("", 0)
	w.await(id, "running", running)
	if err := w.Retire(t.Context(), odcm.System, id, true); err != nil {
		t.Fatal(err)
	}
	w.awaitGone(id)
	if kept, _ := filepath.Glob(filepath.Join(w.data, "retired", string(id)+"-*", "data", "installation")); len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
}

func TestAnInstanceOutlivesItsAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	id := w.launch("", 0)
	before := w.await(id, "running", running)
	w.stop(a)
	if got := w.processes(); !slices.Equal(got, []int{int(before.Observed.PID)}) {
		t.Fatalf("processes %v, want the one of before: %d", got, before.Observed.PID)
	}
	a = w.agent()
	defer w.stop(a)
	boot := a.boot
	w.until("the new agent reports", func() bool {
		s, err := w.Store.Server(t.Context(), before.Server)
		return err == nil && s.Boot == boot
	})
	after := w.await(id, "running again", running)
	if after.Observed.PID != before.Observed.PID || after.Observed.URL != before.Observed.URL || after.Observed.Restarts != 0 {
		t.Errorf("before %+v, after %+v", before.Observed, after.Observed)
	}
	t.Run("its end is noticed though it is no child", func(t *testing.T) {
		if err := syscall.Kill(int(before.Observed.PID), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		i := w.await(id, "running anew", func(i fleet.Instance) bool { return running(i) && i.Observed.PID != before.Observed.PID })
		if i.Observed.Restarts != 1 || i.Observed.InstallationID != before.Observed.InstallationID || i.Observed.Port != before.Observed.Port {
			t.Errorf("observed %+v", i.Observed)
		}
		if got := w.processes(); len(got) != 1 {
			t.Errorf("processes %v", got)
		}
	})
}

func TestInstancesEndWithTheAgentByChoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ends := func(o *Options) { o.StopInstances = true }
	a := w.agent(ends)
	id := w.launch("", 0)
	before := w.await(id, "running", running)
	w.stop(a)
	if left := w.processes(); len(left) != 0 {
		t.Fatalf("processes %v are left", left)
	}
	a = w.agent(ends)
	defer w.stop(a)
	i := w.await(id, "running again", func(i fleet.Instance) bool { return running(i) && i.Observed.PID != before.Observed.PID })
	if i.Observed.InstallationID != before.Observed.InstallationID {
		t.Error("it lost its data")
	}
}

func TestACrashingInstanceBacksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	defer w.stop(a)
	id := w.launch("crash", 0)
	i := w.await(id, "backing off", func(i fleet.Instance) bool { return i.Observed.State == fleet.StateBackoff && i.Observed.Restarts >= 3 })
	if r := i.Observed.Reason; !strings.Contains(r, "exit status 3") || !strings.Contains(r, "the database is broken") {
		t.Errorf("reason %q", r)
	} else if administrator, _ := w.Administrator(t.Context(), odcm.System, id); strings.Contains(r, administrator.APIKey) || !strings.Contains(r, "(secret)") {
		t.Errorf("the reason tells the secret: %q", r)
	}
	if err := w.Retire(t.Context(), odcm.System, id, false); err != nil {
		t.Fatal(err)
	}
	w.awaitGone(id)
}

func TestAnInstanceThatIsNeverReadyIsStartedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(func(o *Options) { o.ReadyWithin = 100 * time.Millisecond })
	defer w.stop(a)
	i := w.await(w.launch("mute", 0), "backing off", func(i fleet.Instance) bool { return i.Observed.State == fleet.StateBackoff })
	if !strings.Contains(i.Observed.Reason, "not ready within 100ms") {
		t.Errorf("reason %q", i.Observed.Reason)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	t.Run("asked for: it waits and says so", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.agent()
		defer w.stop(a)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		id := w.launch("", port)
		i := w.await(id, "failed", func(i fleet.Instance) bool { return i.Observed.State == fleet.StateFailed })
		if !strings.Contains(i.Observed.Reason, "port "+strconv.Itoa(port)+" is taken") {
			t.Errorf("reason %q", i.Observed.Reason)
		}
		_ = l.Close()
		if i = w.await(id, "running once it is free", running); i.Observed.Port != port {
			t.Errorf("port %d, want %d", i.Observed.Port, port)
		}
	})
	t.Run("chosen by the agent: it chooses another", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		ends := func(o *Options) { o.StopInstances = true }
		a := w.agent(ends)
		id := w.launch("", 0)
		before := w.await(id, "running", running)
		w.stop(a)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(before.Observed.Port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		a = w.agent(ends)
		defer w.stop(a)
		after := w.await(id, "running elsewhere", func(i fleet.Instance) bool { return running(i) && i.Observed.PID != before.Observed.PID })
		if after.Observed.Port == before.Observed.Port {
			t.Error("it runs on a port that is taken")
		}
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"stubborn", "parent"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.agent()
			defer w.stop(a)
			id := w.launch(behaviour, 0)
			i := w.await(id, "running", running)
			if behaviour == "parent" { // what an instance leaves when it crashes does not meet its successor
				if err := syscall.Kill(int(i.Observed.PID), syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				w.await(id, "running anew", func(n fleet.Instance) bool { return running(n) && n.Observed.PID != i.Observed.PID })
				if got := w.processes(); len(got) != 2 {
					t.Errorf("processes %v, want the instance and its child", got)
				}
			}
			if err := w.Retire(t.Context(), odcm.System, id, false); err != nil {
				t.Fatal(err)
			}
			w.awaitGone(id)
			if left := w.processes(); len(left) != 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

func TestAMissingExecutableIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	defer w.stop(a)
	id := w.launch("", 0)
	i := w.await(id, "running", running)
	own, err := a.versions.Resolve("1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(a.versions.Path(own))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(int(i.Observed.PID), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i = w.await(id, "failed", func(i fleet.Instance) bool { return i.Observed.State == fleet.StateFailed })
	if !strings.Contains(i.Observed.Reason, "executable") || !strings.Contains(i.Observed.Reason, "install version 1.0.0 again") {
		t.Errorf("reason %q", i.Observed.Reason)
	}
}

func TestAFolderIsUsedByOneAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	defer w.stop(a)
	if _, err := New(quick(w.data, w.Listener.Addr())); odcm.CodeOf(err) != "agent.folder-used" {
		t.Errorf("a second agent: %v", err)
	}
}

// TestAFolderIsFreeAfterStop holds the lock file open a second time, as a process does that is just being started.
func TestAFolderIsFreeAfterStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	free := func(after string, a *Agent, stop func() error) {
		t.Helper()
		held, err := syscall.Dup(int(a.lock.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Close(held) })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		next, err := New(quick(w.data, w.Listener.Addr()))
		if err != nil {
			t.Fatalf("after %s: %v", after, err)
		}
		if err := next.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	started := w.agent()
	free("Stop", started, func() error { return started.Stop(t.Context()) })
	idle, err := New(quick(w.data, w.Listener.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	free("Stop without Start", idle, func() error { return idle.Stop(t.Context()) })
}

func TestWithoutTheManagerWhatRanRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ends := func(o *Options) { o.StopInstances = true }
	a := w.agent(ends)
	w.await(w.launch("", 0), "running", running)
	w.stop(a)
	if err := w.Listener.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	a = w.agent(ends)
	defer w.stop(a)
	w.until("it runs again", func() bool { return len(w.processes()) == 1 })
}

// TestAnotherManager gives the agent's folder to a manager that knows nothing of it: lost, or restored from before.
func TestAnotherManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent()
	id := w.launch("", 0)
	w.await(id, "running", running)
	w.stop(a)
	w.Fleet = fleettest.New(t, dbtest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "other.db")), fleettest.NewSealer(t), nil)
	a = w.agent()
	defer w.stop(a)
	w.until("the machine is enrolled anew", func() bool {
		servers, err := w.Servers(t.Context())
		return err == nil && len(servers) == 1 && servers[0].ID == a.Server()
	})
	w.until("what the manager does not know is stopped", func() bool { return len(w.processes()) == 0 })
	w.until("its data is put aside", func() bool {
		kept, _ := filepath.Glob(filepath.Join(w.data, "retired", string(id)+"-*", "data", "installation"))
		return len(kept) == 1
	})
}

func TestTheCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	clock := fleettest.NewClock()
	clock.Add(-20 * 24 * time.Hour)
	w := newWorld(t)
	w.Fleet = fleettest.New(t, dbtest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "past.db")), fleettest.NewSealer(t), clock.Now)
	a := w.agent()
	w.launch("", 0)
	w.stop(a)
	before, err := loadCredentials(a.folder.Identity())
	if err != nil {
		t.Fatal(err)
	}
	clock.Add(20 * 24 * time.Hour)
	a = w.agent()
	defer w.stop(a)
	w.until("it has a new certificate for the same key", func() bool {
		c, err := loadCredentials(a.folder.Identity())
		return err == nil && c.leaf.NotAfter.After(before.leaf.NotAfter) && c.key.Equal(before.key)
	})
	w.until("it reports with it", func() bool {
		servers, err := w.Servers(t.Context())
		return err == nil && len(servers) == 1 && servers[0].Boot == a.boot && servers[0].Online(clock.Now())
	})
}
