package monitor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/monitor"
)

func TestNewSpacesAreProbedAtOnce(t *testing.T) {
	t.Parallel()
	run(t, 20, func(w *world) {
		for i := range 20 {
			if h := w.of(fmt.Sprintf("s%d", i)); h.Status != monitor.Online || h.Reason != "" || h.Version != "2026.1.0" || h.Since.IsZero() {
				t.Errorf("s%d after two seconds: %+v", i, h)
			}
		}
		w.add("late")
		w.hints <- "space/space-late"
		w.within(t, "late", monitor.Online, 3*time.Second)
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		if !slices.Contains(w.topics, "space/space-late") {
			t.Errorf("published %v", w.topics)
		}
	})
}

func TestAKilledServerShowsWithinAnInterval(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		for range 5 {
			time.Sleep(1234 * time.Millisecond)
			w.change("s0", func(s *server) { s.err = odcm.E(odcm.Unavailable, "octopus.refused", "Nothing listens there.") })
			w.within(t, "s0", monitor.Offline, 10*time.Second+200*time.Millisecond)
			if h := w.of("s0"); h.Reason != "Nothing listens there." || h.Version != "2026.1.0" {
				t.Errorf("%+v", h)
			}
			w.change("s0", func(s *server) { s.err = nil })
			w.within(t, "s0", monitor.Online, 10*time.Second+200*time.Millisecond)
		}
	})
}

func TestAHangingServerShowsWithinFifteenSeconds(t *testing.T) {
	t.Parallel()
	run(t, 50, func(w *world) {
		w.change("s7", func(s *server) { s.hangs = true })
		w.within(t, "s7", monitor.Offline, 15*time.Second+200*time.Millisecond)
		for i := range 50 {
			if h := w.of(fmt.Sprintf("s%d", i)); i != 7 && h.Status != monitor.Online {
				t.Errorf("s%d suffers: %+v", i, h)
			}
		}
	})
}

func TestOneLostPacketIsNoOutage(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		for range 10 {
			w.change("s0", func(s *server) { s.lose = 1 })
			time.Sleep(10 * time.Second)
		}
		if len(w.recorded()) != 1 {
			t.Errorf("changes: %+v", w.recorded())
		}
	})
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	refused := odcm.E(odcm.Unauthenticated, "octopus.key", "no")
	for name, c := range map[string]struct {
		breaks func(*server)
		want   monitor.Status
		reason string
	}{
		"draining":             {func(s *server) { s.code = 418 }, monitor.Draining, "takes no new ones"},
		"unwell":               {func(s *server) { s.code = 503 }, monitor.Degraded, "with status 503."},
		"maintenance":          {func(s *server) { s.detail.Maintenance = true }, monitor.Maintenance, "maintenance mode"},
		"a node is down":       {func(s *server) { s.detail.Nodes = []monitor.Node{{Name: "a"}, {Name: "b", Offline: true}} }, monitor.Degraded, "1 of 2 nodes do not run: b."},
		"beyond the licence":   {func(s *server) { s.detail.Licence = &monitor.Licence{} }, monitor.Degraded, "licence"},
		"key refused":          {func(s *server) { s.fault = refused }, monitor.Degraded, "API key"},
		"API broken":           {func(s *server) { s.fault = errors.New("x") }, monitor.Degraded, "does not tell"},
		"slow":                 {func(s *server) { s.took = 2 * time.Second }, monitor.Degraded, "slowly"},
		"down, with a secret":  {func(s *server) { s.err = errors.New("key API-SECRET") }, monitor.Offline, "does not answer"},
		"down in maintenance":  {func(s *server) { s.detail.Maintenance, s.err = true, errors.New("x") }, monitor.Offline, "does not answer"},
		"drained for upgrades": {func(s *server) { s.detail.Maintenance, s.code = true, 418 }, monitor.Maintenance, "maintenance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, 1, func(w *world) {
				before := w.of("s0")
				w.change("s0", c.breaks)
				w.within(t, "s0", c.want, 2*time.Minute+11*time.Second)
				h := w.of("s0")
				if !strings.Contains(h.Reason, c.reason) || strings.Contains(h.Reason, "SECRET") || !h.Since.After(before.Since) {
					t.Errorf("%+v", h)
				}
				w.change("s0", func(s *server) { *s = server{code: 200, detail: monitor.Detail{Version: "2026.1.1"}} })
				w.within(t, "s0", monitor.Online, 2*time.Minute+11*time.Second)
				time.Sleep(time.Minute + 11*time.Second)
				if h := w.of("s0"); h.Reason != "" || h.Version != "2026.1.1" {
					t.Errorf("well again: %+v", h)
				}
			})
		})
	}
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	t.Parallel()
	run(t, 100, func(w *world) {
		saves := w.writes()
		w.change("s0", func(s *server) { s.detail.Nodes = []monitor.Node{{Name: "a", LastSeen: time.Now()}} })
		time.Sleep(2 * time.Minute)
		w.change("s0", func(s *server) { s.detail.Nodes[0].LastSeen = time.Now() })
		pinged := w.pings()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if w.writes() != saves+1 {
			t.Errorf("%d writes, want one for the node", w.writes()-saves)
		}
		if got := w.pings() - pinged; got < 5900 || got > 6100 {
			t.Errorf("%d pings of 100 targets in 10 minutes, want 6000", got)
		}
		w.memory.mu.Lock()
		defer w.memory.mu.Unlock()
		if age := time.Since(w.touched); age > time.Minute+11*time.Second {
			t.Errorf("the last look that was written is %v old", age)
		}
	})
}

func TestManyThatFallTogetherAreOneWrite(t *testing.T) {
	t.Parallel()
	run(t, 1000, func(w *world) {
		saves := w.writes()
		for i := range 1000 {
			w.change(odcm.InstanceID(fmt.Sprintf("s%d", i)), func(s *server) { s.err = errors.New("the network is gone") })
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		for i := range 1000 {
			if w.of(fmt.Sprintf("s%d", i)).Status != monitor.Offline {
				t.Fatalf("s%d: %+v", i, w.of(fmt.Sprintf("s%d", i)))
			}
		}
		if got := w.writes() - saves; got > 120 { // one for each burst
			t.Errorf("%d writes of 1000 changes", got)
		}
	})
}

func TestWritesThatFailAreRepeated(t *testing.T) {
	t.Parallel()
	run(t, 1, func(w *world) {
		w.memory.mu.Lock()
		w.fail = errors.New("the database is away")
		w.memory.mu.Unlock()
		w.change("s0", func(s *server) { s.err = errors.New("x") })
		time.Sleep(15 * time.Second)
		w.memory.mu.Lock()
		w.fail = nil
		w.memory.mu.Unlock()
		w.within(t, "s0", monitor.Offline, 2*time.Second)
	})
}

func TestAfterARestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away    time.Duration
		changes int
	}{"soon, nothing is new": {time.Minute, 0}, "late, the gap is kept": {time.Hour, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.add("s0")
				w.start(t, func() {})
				before, old := len(w.recorded()), w.of("s0")
				time.Sleep(c.away)
				w.start(t, func() {})
				made := w.recorded()[before:]
				if len(made) != c.changes {
					t.Fatalf("changes %+v, want %d", made, c.changes)
				}
				if c.changes == 0 {
					if !w.of("s0").Since.Equal(old.Since) {
						t.Errorf("since %v, was %v", w.of("s0").Since, old.Since)
					}
					return
				}
				if made[0].Health.Status != monitor.Unknown || !made[0].Health.Since.Equal(old.Checked) || made[1].Health.Status != monitor.Online {
					t.Errorf("changes %+v", made)
				}
			})
		})
	}
}

func TestReplicasDivideTheWork(t *testing.T) {
	t.Parallel()
	run(t, 2, func(w *world) {
		w.servers.mu.Lock()
		w.lost = []string{"s0"}
		w.servers.mu.Unlock()
		w.share()
		w.change("s0", func(s *server) { s.err = errors.New("x") })
		w.change("s1", func(s *server) { s.err = errors.New("x") })
		w.within(t, "s1", monitor.Offline, 11*time.Second)
		time.Sleep(time.Minute)
		if w.of("s0").Status != monitor.Online {
			t.Error("an instance of another replica was judged here, or forgotten")
		}
	})
}

func TestDelistedSpacesAreForgotten(t *testing.T) {
	t.Parallel()
	run(t, 2, func(w *world) {
		w.servers.mu.Lock()
		w.list = w.list[1:]
		w.servers.mu.Unlock()
		w.hints <- "space/space-s0"
		time.Sleep(time.Second)
		pinged := w.pings()
		time.Sleep(100 * time.Second)
		if w.of("s0").Status != monitor.Unknown || w.of("s1").Status != monitor.Online {
			t.Errorf("s0 %+v, s1 %+v", w.of("s0"), w.of("s1"))
		}
		if got := w.pings() - pinged; got < 9 || got > 11 {
			t.Errorf("%d pings of one target in 100 s", got)
		}
	})
}

func TestStatusesAreCached(t *testing.T) {
	t.Parallel()
	run(t, 3, func(w *world) {
		first, err := w.Statuses(t.Context(), odcm.System)
		if err != nil || len(first.Spaces) != 3 {
			t.Fatalf("%v, %v", first, err)
		}
		if again, _ := w.Statuses(t.Context(), odcm.System); again != first {
			t.Error("read anew though nothing changed")
		}
		w.change("s0", func(s *server) { s.err = errors.New("x") })
		w.within(t, "s0", monitor.Offline, 11*time.Second)
		second, _ := w.Statuses(t.Context(), odcm.System)
		if second.Spaces["space-s0"].Status != monitor.Offline {
			t.Errorf("a stale board: %+v", second.Spaces["space-s0"])
		}
	})
}

// Who may not enter a Space learns nothing of its health.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	run(t, 2, func(w *world) {
		bob := odcm.Principal{User: "user-bob", Roles: []odcm.Role{odcm.Member}}
		for p, want := range map[string]struct {
			principal odcm.Principal
			spaces    int
		}{"the system": {odcm.System, 2}, "bob": {bob, 1}} {
			if b, err := w.Statuses(t.Context(), want.principal); err != nil || len(b.Spaces) != want.spaces || b.Spaces["space-s0"].Status != monitor.Online {
				t.Errorf("%s sees %+v, %v", p, b, err)
			}
		}
		from, to := time.Now().Add(-time.Hour), time.Now()
		if _, err := w.Service.History(t.Context(), bob, "space-s0", from, to); err != nil {
			t.Errorf("his own: %v", err)
		}
		if _, err := w.Service.History(t.Context(), bob, "space-s1", from, to); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("another's: %v", err)
		}
	})
}
