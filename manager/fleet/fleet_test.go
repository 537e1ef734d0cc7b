package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleettest"
)

var member = odcm.Principal{User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}, Via: "session"}

// room is a fleet whose time the test moves.
type room struct {
	*fleettest.Fleet
	t     *testing.T
	clock *fleettest.Clock
}

func open(t *testing.T) *room {
	t.Helper()
	clock := fleettest.NewClock()
	return &room{fleettest.New(t, dbtest.Open(t, dbtest.SQLite(t)), fleettest.NewSealer(t), clock.Now), t, clock}
}

func plain(secret string) string { return "hash of " + secret }

func key(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k, request(t, k)
}

func request(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// enrol makes a server that reports a machine with room for ten instances.
func (r *room) enrol() odcm.ServerID {
	r.t.Helper()
	token, err := r.CreateToken(r.t.Context(), odcm.System, "", 0, plain)
	if err != nil {
		r.t.Fatal(err)
	}
	_, csr := key(r.t)
	e, err := r.Enrol(r.t.Context(), plain(token.Secret), csr, "machine", "1.0.0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.report(e.Server, 1, nil)
	return e.Server
}

func (r *room) report(id odcm.ServerID, sequence int64, instances map[odcm.InstanceID]fleet.Observed) {
	r.t.Helper()
	err := r.Report(r.t.Context(), id, fleet.Report{Boot: "boot", Sequence: sequence, AgentVersion: "1.0.0", Versions: []string{"1.0.0", "0.9.0"},
		Capacity: fleet.Capacity{CPUs: 2, Memory: 8 << 30, MemoryFree: 4 << 30, Disk: 1 << 40, DiskFree: 1 << 39}, Instances: instances})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) launch(change func(*fleet.Spec)) (fleet.Instance, error) {
	spec := fleet.Spec{ID: odcm.NewID[odcm.InstanceID]("instance"), Name: "Payments"}
	if change != nil {
		change(&spec)
	}
	return r.Launch(r.t.Context(), odcm.System, spec)
}

func TestLaunch(t *testing.T) {
	t.Parallel()
	r := open(t)
	t.Run("without a server it says what to do", func(t *testing.T) {
		if _, err := r.launch(nil); odcm.CodeOf(err) != "fleet.no-server" {
			t.Errorf("%v", err)
		}
	})
	server := r.enrol()
	spec := fleet.Spec{ID: odcm.NewID[odcm.InstanceID]("instance"), Name: "Payments", Administrator: fleet.Administrator{APIKey: "API-GIVEN"}}
	i, err := r.Launch(t.Context(), odcm.System, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("what is not asked for is chosen", func(t *testing.T) {
		if i.Server != server || i.Version != "1.0.0" || i.Desired != fleet.Running || i.Observed.State != fleet.StatePending {
			t.Errorf("%+v", i)
		}
	})
	t.Run("the administrator is sealed, and what was given is kept", func(t *testing.T) {
		a, err := r.Administrator(t.Context(), odcm.System, i.ID)
		if err != nil || a.APIKey != "API-GIVEN" || len(a.Password) < 20 || a.Username == "" || strings.Contains(i.SealedAdministrator, "API-GIVEN") {
			t.Errorf("%v", err)
		}
		if _, err := r.Administrator(t.Context(), member, i.ID); odcm.KindOf(err) != odcm.Denied {
			t.Errorf("to a member: %v", err)
		}
	})
	t.Run("again is once", func(t *testing.T) {
		again, err := r.Launch(t.Context(), odcm.System, spec)
		if err != nil || again.SealedAdministrator != i.SealedAdministrator {
			t.Errorf("%v", err)
		}
		if all, err := r.Store.Instances(t.Context(), server); err != nil || len(all) != 1 {
			t.Errorf("%d instances, %v", len(all), err)
		}
	})
	t.Run("again otherwise is refused", func(t *testing.T) {
		other := spec
		other.Name = "Billing"
		if _, err := r.Launch(t.Context(), odcm.System, other); odcm.CodeOf(err) != "fleet.instance-exists" {
			t.Errorf("%v", err)
		}
	})
	for name, c := range map[string]struct {
		change func(*fleet.Spec)
		code   string
	}{
		"no name":                {func(s *fleet.Spec) { s.Name = " " }, "fleet.instance-name"},
		"an id that is a path":   {func(s *fleet.Spec) { s.ID = "../instance" }, "fleet.instance-id"},
		"a privileged port":      {func(s *fleet.Spec) { s.Port = 80 }, "fleet.instance-port"},
		"an unknown server":      {func(s *fleet.Spec) { s.Server = "server-none" }, "fleet.server-unknown"},
		"a version nobody has":   {func(s *fleet.Spec) { s.Version = "7" }, "fleet.no-server"},
		"a version it lacks":     {func(s *fleet.Spec) { s.Server, s.Version = server, "7" }, "fleet.version-missing"},
		"a name over many lines": {func(s *fleet.Spec) { s.Name = "a\nb" }, "fleet.instance-name"},
	} {
		t.Run("refuses: "+name, func(t *testing.T) {
			if _, err := r.launch(c.change); odcm.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
	t.Run("a server that is silent gets none", func(t *testing.T) {
		r.clock.Add(fleet.OfflineAfter)
		if _, err := r.launch(func(s *fleet.Spec) { s.Server = server }); odcm.CodeOf(err) != "fleet.server-full" {
			t.Errorf("%v", err)
		}
		if i, err := r.Observe(t.Context(), i.ID); err != nil || !strings.Contains(i.Observed.Reason, "has not been heard") {
			t.Errorf("%q, %v", i.Observed.Reason, err)
		}
	})
}

func TestTheRoomiestServerIsChosen(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.enrol()
	want := r.enrol()
	err := r.Report(t.Context(), want, fleet.Report{Boot: "boot", Sequence: 2, Versions: []string{"1.0.0"},
		Capacity: fleet.Capacity{Memory: 64 << 30, MemoryFree: 32 << 30, Disk: 1 << 40, DiskFree: 1 << 39}})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := r.launch(nil); err != nil || i.Server != want {
		t.Errorf("%s, %v; want %s", i.Server, err, want)
	}
}

func TestDesired(t *testing.T) {
	t.Parallel()
	r := open(t)
	server := r.enrol()
	known, err := r.Desired(t.Context(), server, 0, 0)
	if err != nil || known == nil {
		t.Fatal(known, err)
	}
	t.Run("nothing new is no answer", func(t *testing.T) {
		if d, err := r.Desired(t.Context(), server, known.Revision, 0); d != nil || err != nil {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("a launch ends the wait at once", func(t *testing.T) {
		answer := make(chan *fleet.DesiredState, 1)
		go func() {
			d, _ := r.Desired(context.Background(), server, known.Revision, time.Minute)
			answer <- d
		}()
		time.Sleep(10 * time.Millisecond) // either order must do; this one is the rarer
		began := time.Now()
		i, err := r.launch(nil)
		if err != nil {
			t.Fatal(err)
		}
		d := <-answer
		if d == nil || len(d.Instances) != 1 || d.Instances[0].ID != i.ID || d.Instances[0].Administrator == nil {
			t.Fatalf("%+v", d)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("closing ends the wait", func(t *testing.T) {
		ended := make(chan error, 1)
		go func() {
			d, _ := r.Desired(context.Background(), server, 0, 0)
			_, err := r.Desired(context.Background(), server, d.Revision, time.Minute)
			ended <- err
		}()
		time.Sleep(10 * time.Millisecond)
		r.Close()
		if err := <-ended; odcm.CodeOf(err) != "fleet.closing" {
			t.Errorf("%v", err)
		}
	})
}

func TestRetire(t *testing.T) {
	t.Parallel()
	r := open(t)
	server := r.enrol()
	i, err := r.launch(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := r.Retire(ctx, member, i.ID, false); odcm.KindOf(err) != odcm.Denied {
		t.Fatalf("by a member: %v", err)
	}
	for range 2 {
		if err := r.Retire(ctx, odcm.System, i.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Retire(ctx, odcm.System, "instance-none", true); err != nil {
		t.Errorf("an unknown one: %v", err)
	}
	t.Run("the choice of the first call stands", func(t *testing.T) {
		if err := r.Retire(ctx, odcm.System, i.ID, false); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Observe(ctx, i.ID); err != nil || !got.KeepData || got.Revision != 2 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("it cannot be launched again", func(t *testing.T) {
		if _, err := r.launch(func(s *fleet.Spec) { s.ID = i.ID }); odcm.CodeOf(err) != "fleet.instance-retired" {
			t.Errorf("%v", err)
		}
	})
	t.Run("its administrator is told nobody any more", func(t *testing.T) {
		d, err := r.Desired(ctx, server, 0, 0)
		if err != nil || len(d.Instances) != 1 || d.Instances[0].Administrator != nil {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("who waits learns that it is gone", func(t *testing.T) {
		gone := make(chan error, 1)
		go func() {
			_, err := r.Wait(context.Background(), i.ID, func(fleet.Instance) bool { return false })
			gone <- err
		}()
		r.report(server, 2, map[odcm.InstanceID]fleet.Observed{i.ID: {State: fleet.StateRemoved}})
		if err := <-gone; odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("%v", err)
		}
	})
}

func TestApply(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	server := fleet.Server{ID: "server-1", Boot: "a", Sequence: 5}
	row := fleet.Instance{ID: "instance-1", Name: "Payments", Desired: fleet.Running,
		Observed: fleet.Observed{State: fleet.StateRunning, PID: 7, InstallationID: "abc", Memory: 100 << 20, Since: now}}
	apply := func(sequence int64, change func(*fleet.Observed)) fleet.Changes {
		seen := row.Observed
		change(&seen)
		r := fleet.Report{Boot: "a", Sequence: sequence, Instances: map[odcm.InstanceID]fleet.Observed{row.ID: seen, "instance-strange": seen}}
		return r.Apply(server, []fleet.Instance{row}, now)
	}
	types := func(c fleet.Changes) string {
		var all []string
		for _, e := range c.Events {
			all = append(all, strings.TrimPrefix(e.Type, "fleet.instance-"))
		}
		return strings.Join(all, " ")
	}
	for name, c := range map[string]struct {
		sequence int64
		change   func(*fleet.Observed)
		updated  int
		events   string
	}{
		"nothing changed":                      {6, func(*fleet.Observed) {}, 0, ""},
		"memory that trembles is no change":    {6, func(o *fleet.Observed) { o.Memory += 1 << 20 }, 0, ""},
		"memory that grows is one":             {6, func(o *fleet.Observed) { o.Memory *= 2 }, 1, ""},
		"an overtaken report is dropped":       {5, func(o *fleet.Observed) { o.State = fleet.StateFailed }, 0, ""},
		"it ended":                             {6, func(o *fleet.Observed) { o.State, o.Restarts = fleet.StateBackoff, 1 }, 1, "exited"},
		"it ended and runs again unseen":       {6, func(o *fleet.Observed) { o.PID, o.Restarts = 8, 1 }, 1, "exited started"},
		"another state of not running":         {6, func(o *fleet.Observed) { o.State = fleet.StateStopped }, 1, "exited"},
		"once initialised it stays so":         {6, func(o *fleet.Observed) { o.InstallationID = "" }, 0, ""},
		"removed without being asked is noted": {6, func(o *fleet.Observed) { o.State = fleet.StateRemoved }, 1, "exited"},
	} {
		t.Run(name, func(t *testing.T) {
			got := apply(c.sequence, c.change)
			if len(got.Updated) != c.updated || types(got) != c.events || len(got.Removed) != 0 {
				t.Errorf("updated %+v, removed %v, events %q", got.Updated, got.Removed, types(got))
			}
			if fresh := c.sequence > 5; got.Server.LastSeen.Equal(now) != fresh {
				t.Errorf("last seen %s", got.Server.LastSeen)
			}
		})
	}
}

func TestAReportIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := open(t)
	server := r.enrol()
	i, err := r.launch(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.report(server, 2, map[odcm.InstanceID]fleet.Observed{i.ID: {State: fleet.StateRunning, PID: -1, Port: 1 << 20, URL: "javascript:alert(1)",
		Version: "a\x00b\n", Reason: strings.Repeat("é\x00", 10_000), Restarts: -5, Memory: -1, Since: r.clock.Now().Add(time.Hour)}})
	got, err := r.Observe(t.Context(), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	o := got.Observed
	if o.PID != 0 || o.Port != 0 || o.URL != "" || o.Version != "ab" || len(o.Reason) > 4000 || strings.Contains(o.Reason, "\x00") || o.Restarts != 0 ||
		o.Memory != 0 || o.Since.After(r.clock.Now()) {
		t.Errorf("%+v", o)
	}
	strange := make(map[odcm.InstanceID]fleet.Observed, 10_001)
	for range 10_001 {
		strange[odcm.NewID[odcm.InstanceID]("instance")] = fleet.Observed{}
	}
	if err := r.Report(t.Context(), server, fleet.Report{Instances: strange}); odcm.CodeOf(err) != "fleet.report-too-large" {
		t.Errorf("%v", err)
	}
}

func TestSilenceIsHinted(t *testing.T) {
	t.Parallel()
	r := open(t)
	server := r.enrol()
	hints := r.Bus.Subscribe("server")
	defer hints.Close()
	r.SetBeat(5 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	time.Sleep(200 * time.Millisecond) // its first look
	r.clock.Add(fleet.OfflineAfter)
	select {
	case topic := <-hints.C:
		if topic != "server/"+string(server) {
			t.Errorf("hint %q", topic)
		}
	case <-time.After(fleet.Heartbeat):
		t.Error("no hint")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	r := open(t)
	server := r.enrol()
	for sequence, versions := range map[int64][]string{2: {"dev", "1.9.0", "1.10.0", "1.10.0-rc.1"}} {
		if err := r.Report(t.Context(), server, fleet.Report{Boot: "boot", Sequence: sequence, Versions: versions}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range all {
		got = append(got, v.Number)
	}
	if want := "1.10.0 1.10.0-rc.1 1.9.0 dev"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
