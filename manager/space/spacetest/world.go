package spacetest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/task"
	"odcm/manager/space"
	"odcm/manager/space/spacesql"
)

// Manager is a manager with this room alone: the real rules, store and task engine, and an [Outside] to act on.
type Manager struct {
	Spaces  *space.Service
	Store   space.Store
	Tasks   *task.Engine
	Events  *eventlog.Log
	Bus     *signal.Bus
	Monitor *Monitor
	Outside *Outside
	Heard   chan odcm.SpaceID
}

// Barry administers ODCM; Bob is a member without a grant.
var (
	Barry = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}, Via: "session", Address: "192.0.2.1"}
	Bob   = odcm.Principal{User: "user-bob", Name: "Bob", Roles: []odcm.Role{odcm.Member}, Via: "session"}
)

// PublicURL is where servers reach the manager.
const PublicURL = "https://odcm.test"

// Start starts a manager on the database; it is stopped at the end of the test. Adjust may change its options.
func Start(t testing.TB, d *db.DB, o *Outside, adjust func(*space.Options)) *Manager {
	t.Helper()
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m := &Manager{Outside: o, Monitor: &Monitor{}, Heard: make(chan odcm.SpaceID, 16)}
	var err error
	m.Bus, err = signal.New(ctx, d)
	must(err)
	t.Cleanup(m.Bus.Close)
	m.Events, err = eventlog.New(ctx, d, m.Bus)
	must(err)
	m.Tasks, err = task.New(ctx, d, m.Events, m.Bus, task.Options{Replica: "replica", Logger: quiet,
		HeartbeatEvery: 100 * time.Millisecond, DeadAfter: 400 * time.Millisecond})
	must(err)
	store, err := spacesql.New(ctx, d, m.Events, m.Tasks, Bound{})
	must(err)
	m.Store = gated{store, &o.Gate}
	options := space.Options{Store: m.Store, Octopus: o, Host: o.Host(), Monitor: m.Monitor, Access: space.ByRole{}, Authorizer: administrators{},
		Signals: m.Bus, PublicURL: func() string { return PublicURL }, Heard: func(id odcm.SpaceID) { m.Heard <- id }, Logger: quiet}
	if adjust != nil {
		adjust(&options)
	}
	m.Spaces = space.New(options)
	m.Spaces.Register(m.Tasks)
	must(m.Tasks.Start(ctx))
	t.Cleanup(m.Crash)
	return m
}

// Crash ends the manager at once: a step that is stopped at the gate leaves nothing behind but its effects so far.
func (m *Manager) Crash() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.Tasks.Stop(gone) // that steps were cut off is the point
}

// Done waits for the end of a task.
func (m *Manager) Done(t testing.TB, id odcm.TaskID) task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done, err := m.Tasks.Wait(ctx, id)
	if err != nil {
		steps, _ := m.Tasks.Steps(context.Background(), id)
		t.Fatalf("task %s: %v; steps %+v", id, err, steps)
	}
	return done
}

// Succeed waits for the end of a task and fails the test if it was not success.
func (m *Manager) Succeed(t testing.TB, id odcm.TaskID) {
	t.Helper()
	if done := m.Done(t, id); done.State != task.Succeeded {
		t.Fatalf("task %s is %s: %+v", done.Title, done.State, done.Error)
	}
}

// gated passes the gate around what tasks write.
type gated struct {
	space.Store
	gate *Gate
}

func (g gated) Commit(ctx context.Context, c space.Change) error {
	return g.gate.through(ctx, func() error { return g.Store.Commit(ctx, c) })
}

func (g gated) SaveHook(ctx context.Context, h space.Hook) error {
	return g.gate.through(ctx, func() error { return g.Store.SaveHook(ctx, h) })
}

// administrators lets administrators do everything and others nothing.
type administrators struct{}

func (administrators) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) {
		return nil
	}
	return odcm.E(odcm.Denied, "access.denied", "%s may not do %s.", p.Name, a)
}

// Monitor is a [space.Monitor] that knows what it is told, and counts how often it is asked.
type Monitor struct {
	mu    sync.Mutex
	known map[odcm.SpaceID]space.Health
	Asked int
}

// Tell sets the health of a Space.
func (m *Monitor) Tell(id odcm.SpaceID, h space.Health) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[odcm.SpaceID]space.Health{}
	}
	m.known[id] = h
}

// HealthOf implements [space.Monitor].
func (m *Monitor) HealthOf(_ context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]space.Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Asked++
	found := map[odcm.SpaceID]space.Health{}
	for _, id := range ids {
		if h, ok := m.known[id]; ok {
			found[id] = h
		}
	}
	return found, nil
}

// InStatus implements [space.Monitor].
func (m *Monitor) InStatus(_ context.Context, statuses []space.Status) (ids []odcm.SpaceID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, h := range m.known {
		for _, s := range statuses {
			if h.Status == s {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}
