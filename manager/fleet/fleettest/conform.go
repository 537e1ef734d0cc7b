package fleettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/fleet"
	"odcm/manager/fleet/fleetsql"
)

// stores is what a store is tested with.
type stores struct {
	t     *testing.T
	store *fleetsql.Store
	log   *eventlog.Log
	now   time.Time
}

// Conform tests what the room relies on in a store.
func Conform(t *testing.T, d *db.DB) {
	ctx := t.Context()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := fleetsql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	s := stores{t, store, log, time.Now().UTC().Truncate(time.Millisecond)}
	for name, test := range map[string]func(stores, context.Context){
		"the first authority is kept":                    stores.authority,
		"a token enrols one machine, once":               stores.token,
		"two machines with one token: one wins":          stores.race,
		"a refusal changes nothing":                      stores.refusal,
		"an expired token is forgotten":                  stores.expired,
		"an instance is launched once":                   stores.launch,
		"an instance needs a server":                     stores.strange,
		"launching raises the desired revision":          stores.raises,
		"desiring nothing new changes nothing":           stores.same,
		"a report commits rows and events":               stores.report,
		"reports of one server take turns":               stores.turns,
		"a removed instance goes, and the agent is told": stores.removed,
		"servers are paged by id":                        stores.pages,
	} {
		t.Run(name, func(t *testing.T) {
			s := s
			s.t = t
			test(s, t.Context())
		})
	}
}

func (s stores) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func event(typ, subject string) odcm.Event {
	return odcm.NewEvent(odcm.System, typ, subject, "", nil, nil)
}

// events counts those about the subject.
func (s stores) events(ctx context.Context, subject string) int {
	s.t.Helper()
	all, err := s.log.List(ctx, eventlog.Filter{Subject: subject, Limit: 500})
	s.must(err)
	return len(all)
}

func (s stores) server(ctx context.Context) fleet.Server {
	s.t.Helper()
	hash := odcm.NewID[string]("hash")
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: hash, Created: s.now, Expires: s.now.Add(time.Hour)}, event("fleet.token-created", hash)))
	server, err := s.store.Enrol(ctx, hash, s.accept("key"))
	s.must(err)
	return server
}

func (s stores) accept(key string) func(fleet.Token) (fleet.Enrolment, error) {
	return func(t fleet.Token) (fleet.Enrolment, error) {
		if !t.Used.IsZero() {
			return fleet.Enrolment{}, fleet.ErrTokenRefused()
		}
		id := odcm.NewID[odcm.ServerID]("server")
		return fleet.Enrolment{Server: fleet.Server{ID: id, Name: "one", Enrolled: s.now, Key: key, DesiredRevision: 1, Revision: 1},
			Event: event("fleet.server-enrolled", string(id))}, nil
	}
}

func (s stores) instance(ctx context.Context, server odcm.ServerID) fleet.Instance {
	s.t.Helper()
	i, created, err := s.store.Launch(ctx, s.fresh(server), event("fleet.instance-desired", ""))
	if s.must(err); !created {
		s.t.Fatal("not created")
	}
	return i
}

func (s stores) fresh(server odcm.ServerID) fleet.Instance {
	return fleet.Instance{ID: odcm.NewID[odcm.InstanceID]("instance"), Server: server, Name: "Payments", Version: "1.0.0", Desired: fleet.Running, Port: 8085,
		SealedAdministrator: "sealed", Created: s.now, Observed: fleet.Observed{State: fleet.StatePending, Since: s.now}}
}

func (s stores) authority(ctx context.Context) {
	if _, err := s.store.KeptAuthority(ctx); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("before the first: %v", err)
	}
	for i := range 2 {
		kept, err := s.store.Authority(ctx, fleet.Authority{Certificate: []byte{0, byte(i)}, SealedKey: fmt.Sprint("key", i), Created: s.now})
		if s.must(err); kept.SealedKey != "key0" || !slices.Equal(kept.Certificate, []byte{0, 0}) || !kept.Created.Equal(s.now) {
			s.t.Errorf("kept %+v", kept)
		}
	}
}

func (s stores) token(ctx context.Context) {
	hash := "hash-token"
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: hash, Note: "for a test", Created: s.now, Expires: s.now.Add(time.Hour)}, event("fleet.token-created", hash)))
	server, err := s.store.Enrol(ctx, hash, s.accept("key1"))
	s.must(err)
	got, err := s.store.Server(ctx, server.ID)
	if s.must(err); got.Key != "key1" || got.Name != "one" || !got.Enrolled.Equal(s.now) || !got.LastSeen.IsZero() || got.DesiredRevision != 1 {
		s.t.Errorf("server %+v", got)
	}
	if n := s.events(ctx, string(server.ID)); n != 1 {
		s.t.Errorf("%d events of the enrolment", n)
	}
	again, err := s.store.Enrol(ctx, hash, func(t fleet.Token) (fleet.Enrolment, error) {
		if t.Key != "key1" || t.Server != server.ID || !t.Used.Equal(s.now) || t.Note != "for a test" {
			s.t.Errorf("used token %+v", t)
		}
		return fleet.Enrolment{Server: fleet.Server{ID: t.Server}, Again: true}, nil
	})
	if s.must(err); again.ID != server.ID || again.Name != "one" {
		s.t.Errorf("again %+v", again)
	}
	if _, err := s.store.Enrol(ctx, "unknown", s.accept("key")); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("an unknown token: %v", err)
	}
}

func (s stores) race(ctx context.Context) {
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: "hash-race", Created: s.now, Expires: s.now.Add(time.Hour)}, event("fleet.token-created", "")))
	var machines sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		machines.Go(func() { _, errs[i] = s.store.Enrol(ctx, "hash-race", s.accept(fmt.Sprint("key", i))) })
	}
	machines.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case odcm.CodeOf(err) != "fleet.token-refused":
			s.t.Errorf("a loser: %v", err)
		}
	}
	if won != 1 {
		s.t.Errorf("%d machines enrolled with one token", won)
	}
}

func (s stores) refusal(ctx context.Context) {
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: "hash-refusal", Created: s.now, Expires: s.now.Add(time.Hour)}, event("fleet.token-created", "")))
	refused := errors.New("refused")
	if _, err := s.store.Enrol(ctx, "hash-refusal", func(fleet.Token) (fleet.Enrolment, error) { return fleet.Enrolment{}, refused }); !errors.Is(err, refused) {
		s.t.Errorf("%v", err)
	}
	_, err := s.store.Enrol(ctx, "hash-refusal", s.accept("key"))
	s.must(err)
}

func (s stores) expired(ctx context.Context) {
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: "hash-old", Created: s.now.Add(-2 * time.Hour), Expires: s.now.Add(-time.Hour)}, event("fleet.token-created", "")))
	s.must(s.store.CreateToken(ctx, fleet.Token{Hash: "hash-new", Created: s.now, Expires: s.now.Add(time.Hour)}, event("fleet.token-created", "")))
	if _, err := s.store.Enrol(ctx, "hash-old", s.accept("key")); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("%v", err)
	}
}

func (s stores) launch(ctx context.Context) {
	server := s.server(ctx)
	want := s.fresh(server.ID)
	kept, created, err := s.store.Launch(ctx, want, event("fleet.instance-desired", string(want.ID)))
	if s.must(err); !created {
		s.t.Fatal("not created")
	}
	want.Revision, want.ServerName = 1, "one"
	if kept != want {
		s.t.Errorf("kept %+v, want %+v", kept, want)
	}
	if on, err := s.store.Placed(ctx); err != nil || on[want.ID] != server.ID {
		s.t.Errorf("it is on %q, %v, and was put on %s", on[want.ID], err, server.ID)
	}
	other := want
	other.Name = "another"
	kept, created, err = s.store.Launch(ctx, other, event("fleet.instance-desired", string(want.ID)))
	if s.must(err); created || kept != want {
		s.t.Errorf("again: created %t, %+v", created, kept)
	}
	if n := s.events(ctx, string(want.ID)); n != 1 {
		s.t.Errorf("%d events of two launches", n)
	}
}

func (s stores) strange(ctx context.Context) {
	i := s.fresh("server-none")
	if _, _, err := s.store.Launch(ctx, i, event("fleet.instance-desired", string(i.ID))); odcm.CodeOf(err) != "fleet.server-unknown" {
		s.t.Errorf("%v", err)
	}
	if n := s.events(ctx, string(i.ID)); n != 0 {
		s.t.Errorf("%d events of a launch that failed", n)
	}
	if _, err := s.store.Instance(ctx, i.ID); odcm.CodeOf(err) != "fleet.instance-unknown" {
		s.t.Errorf("%v", err)
	}
}

func (s stores) raises(ctx context.Context) {
	server, other := s.server(ctx), s.server(ctx)
	s.instance(ctx, server.ID)
	for id, want := range map[odcm.ServerID]int64{server.ID: 2, other.ID: 1} {
		got, err := s.store.Server(ctx, id)
		if s.must(err); got.DesiredRevision != want || got.Counts.Instances != int(want)-1 {
			s.t.Errorf("revision %d with %d instances, want %d", got.DesiredRevision, got.Counts.Instances, want)
		}
	}
}

func (s stores) same(ctx context.Context) {
	i := s.instance(ctx, s.server(ctx).ID)
	_, err := s.store.Desire(ctx, i.ID, func(*fleet.Instance) (odcm.Event, bool) { return odcm.Event{}, false })
	s.must(err)
	if got, err := s.store.Server(ctx, i.Server); err != nil || got.DesiredRevision != 2 {
		s.t.Errorf("revision %d, %v", got.DesiredRevision, err)
	}
	if _, err := s.store.Desire(ctx, "instance-none", func(*fleet.Instance) (odcm.Event, bool) { return odcm.Event{}, true }); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("an unknown one: %v", err)
	}
}

func (s stores) report(ctx context.Context) {
	i := s.instance(ctx, s.server(ctx).ID)
	want := fleet.Observed{State: fleet.StateRunning, PID: 7, Port: 20001, URL: "http://127.0.0.1:20001", Version: "2026.1", InstallationID: "abc", Restarts: 2,
		Reason: "none\n", Since: s.now, Memory: 1 << 40}
	capacity := fleet.Capacity{CPUs: 2, Memory: 1 << 35, MemoryFree: 1 << 34, Disk: 1 << 42, DiskFree: 1 << 41, InstancesMemory: 1 << 33}
	r := fleet.Report{Boot: "boot", Sequence: 1, AgentVersion: "1.0.0", Capacity: capacity, Versions: []string{"1.0.0", "0.9"}, Instances: map[odcm.InstanceID]fleet.Observed{i.ID: want}}
	_, err := s.store.Report(ctx, i.Server, func(server fleet.Server, rows []fleet.Instance) fleet.Changes { return r.Apply(server, rows, s.now) })
	s.must(err)
	got, err := s.store.Instance(ctx, i.ID)
	if s.must(err); got.Observed != want || !got.SeenAt.Equal(s.now) || got.Revision != i.Revision {
		s.t.Errorf("observed %+v", got)
	}
	server, err := s.store.Server(ctx, i.Server)
	s.must(err)
	if server.Capacity != capacity || !slices.Equal(server.Versions, r.Versions) || server.Boot != "boot" || server.Sequence != 1 || server.Counts.Running != 1 ||
		server.DesiredRevision != 2 {
		s.t.Errorf("server %+v", server)
	}
	if n := s.events(ctx, string(i.ID)); n != 2 { // it exited twice since, and started
		s.t.Errorf("%d events", n)
	}
	if _, err := s.store.Report(ctx, "server-none", func(fleet.Server, []fleet.Instance) fleet.Changes { return fleet.Changes{} }); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("of an unknown server: %v", err)
	}
}

func (s stores) turns(ctx context.Context) {
	i := s.instance(ctx, s.server(ctx).ID)
	var reports sync.WaitGroup
	for range 10 {
		reports.Go(func() {
			_, err := s.store.Report(ctx, i.Server, func(server fleet.Server, rows []fleet.Instance) fleet.Changes {
				rows[0].Observed.Restarts++
				server.Sequence++
				return fleet.Changes{Server: server, Updated: rows}
			})
			if err != nil {
				s.t.Error(err)
			}
		})
	}
	reports.Wait()
	got, err := s.store.Instance(ctx, i.ID)
	if s.must(err); got.Observed.Restarts != 10 {
		s.t.Errorf("%d of 10 reports counted", got.Observed.Restarts)
	}
}

func (s stores) removed(ctx context.Context) {
	i := s.instance(ctx, s.server(ctx).ID)
	got, err := s.store.Desire(ctx, i.ID, func(i *fleet.Instance) (odcm.Event, bool) {
		i.Desired, i.KeepData = fleet.Removed, true
		return event("fleet.instance-desired", string(i.ID)), true
	})
	if s.must(err); got.Desired != fleet.Removed || !got.KeepData || got.Revision != 2 {
		s.t.Errorf("desired %+v", got)
	}
	r := fleet.Report{Boot: "boot", Sequence: 1, Instances: map[odcm.InstanceID]fleet.Observed{i.ID: {State: fleet.StateRemoved}}}
	_, err = s.store.Report(ctx, i.Server, func(server fleet.Server, rows []fleet.Instance) fleet.Changes { return r.Apply(server, rows, s.now) })
	s.must(err)
	if _, err := s.store.Instance(ctx, i.ID); odcm.KindOf(err) != odcm.NotFound {
		s.t.Errorf("%v", err)
	}
	if server, err := s.store.Server(ctx, i.Server); err != nil || server.DesiredRevision != 4 {
		s.t.Errorf("revision %d, %v", server.DesiredRevision, err)
	}
	if on, err := s.store.Placed(ctx); err != nil || on[i.ID] != "" {
		s.t.Errorf("it is on %q still, %v", on[i.ID], err)
	}
}

func (s stores) pages(ctx context.Context) {
	for range 3 {
		s.server(ctx)
	}
	var seen []odcm.ServerID
	for after := odcm.ServerID(""); ; {
		page, err := s.store.Servers(ctx, after, 2)
		if s.must(err); len(page) == 0 {
			break
		}
		for _, server := range page {
			seen = append(seen, server.ID)
		}
		after = seen[len(seen)-1]
	}
	all, err := s.store.Servers(ctx, "", 500)
	if s.must(err); len(seen) != len(all) || !slices.IsSorted(seen) {
		s.t.Errorf("paged %d of %d servers, sorted %t", len(seen), len(all), slices.IsSorted(seen))
	}
}
