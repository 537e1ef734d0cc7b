package ldap_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/lease"
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/ldap"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/provider/providersql"
	"odcm/manager/identity/role"
	"odcm/test/directory"
)

// recorder is linked to one person and keeps what is observed of him.
type recorder struct {
	subject string
	mu      sync.Mutex
	last    person.Observation
	changed chan struct{}
}

func (r *recorder) Linked(_ context.Context, _ odcm.ProviderID, after string, _ int) ([]string, error) {
	if after >= r.subject {
		return nil, nil
	}
	return []string{r.subject}, nil
}

func (r *recorder) Observe(_ context.Context, _ odcm.ProviderID, seen []person.Observation) (identity.Observed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range seen {
		r.last = o
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return identity.Observed{}, nil
}

// until waits for an observation that is as it should be, and tells how long that took.
func (r *recorder) until(t *testing.T, what string, ok func(person.Observation) bool) {
	t.Helper()
	begun := time.Now()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		done := ok(r.last)
		r.mu.Unlock()
		if done {
			t.Logf("%s: observed after %s", what, time.Since(begun).Round(10*time.Millisecond))
			return
		}
		select {
		case <-r.changed:
		case <-deadline.C:
			t.Fatalf("%s: not observed within 30 s; last %+v", what, r.last)
		}
	}
}

// TestObserved reads a real domain in the background, as the product does, while the domain changes.
func TestObserved(t *testing.T) {
	t.Parallel()
	d := directory.Start(t)
	ctx := t.Context()
	base := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, base)
	must(t, err)
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, base, bus)
	must(t, err)
	store, err := providersql.New(ctx, base, log)
	must(t, err)
	leases, err := lease.New(ctx, base)
	must(t, err)
	sealer, err := seal.Open(ctx, base, seal.Options{KeyFile: t.TempDir() + "/key"})
	must(t, err)
	quiet := slog.New(slog.DiscardHandler)
	bob, err := verify(t, open(t, of(d)), "bob", directory.Password)
	must(t, err)
	people := &recorder{subject: bob.Subject, changed: make(chan struct{}, 1)}
	s := provider.New(provider.Options{Store: store, Sealer: sealer, Authorizer: role.NewAuthorizer(), Bus: bus, People: people, Leases: leases, Replica: "one",
		Connectors: ldap.Connectors(ldap.Options{Logger: quiet}), Logger: quiet})
	p := of(d)
	p.Enabled = true
	_, err = s.Create(ctx, odcm.System, p)
	must(t, err)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx, bus.Subscribe("provider").C) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		must(t, s.Close())
	})

	people.until(t, "the first reading", func(o person.Observation) bool { return o.GroupsKnown && !o.Disabled })
	must(t, d.AddMember(directory.OnCall, directory.PersonDN("bob")))
	people.until(t, "joining a nested group", func(o person.Observation) bool { return slices.Contains(names(o.Groups), directory.Admins) })
	must(t, d.RemoveMember(directory.OnCall, directory.PersonDN("bob")))
	people.until(t, "leaving it", func(o person.Observation) bool {
		return o.GroupsKnown && !slices.Contains(names(o.Groups), directory.Admins)
	})
	must(t, d.Disable("bob", true))
	people.until(t, "a disabled account", func(o person.Observation) bool { return o.Disabled })
	if _, err := s.Verify(ctx, "bob", directory.Password); odcm.CodeOf(err) != "ldap.account-disabled" {
		t.Errorf("%v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
