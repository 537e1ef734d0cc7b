package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"odcm"
	"odcm/manager/monitor"
)

// servers is a Prober over servers that the test breaks and mends.
type servers struct {
	mu       sync.Mutex
	state    map[odcm.InstanceID]*server
	atOnce   int
	most     int
	pinged   int
	inspects int
	looks    map[monitor.Look]int
	asking   map[odcm.InstanceID]int // pings under way
	twice    int                     // targets that were asked twice at once
	times    map[odcm.InstanceID][]time.Time
	lose     func(odcm.InstanceID)
}

type server struct {
	code   int
	err    error
	hangs  bool
	deaf   bool // answers pings but says nothing of itself
	page   bool
	to     string
	skew   *time.Duration
	lose   int // pings that get lost
	took   time.Duration
	detail monitor.Detail
	fault  error // of inspections
}

func (s *servers) Ping(ctx context.Context, t monitor.Target) (monitor.Pong, error) {
	s.mu.Lock()
	v := *s.state[t.Instance]
	s.pinged++
	s.atOnce++
	s.most = max(s.most, s.atOnce)
	if s.asking == nil {
		s.asking, s.times = map[odcm.InstanceID]int{}, map[odcm.InstanceID][]time.Time{}
	}
	if s.asking[t.Instance]++; s.asking[t.Instance] > 1 {
		s.twice++
	}
	s.times[t.Instance] = append(s.times[t.Instance], time.Now())
	if v.lose > 0 {
		s.state[t.Instance].lose--
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.atOnce--
		s.asking[t.Instance]--
		s.mu.Unlock()
	}()
	switch {
	case v.hangs:
		<-ctx.Done()
		return monitor.Pong{}, odcm.E(odcm.Unavailable, "octopus.timeout", "No answer in time.")
	case v.lose > 0:
		return monitor.Pong{}, errors.New("connection reset")
	case v.err != nil:
		return monitor.Pong{}, v.err
	}
	return monitor.Pong{Code: v.code, Took: v.took, Page: v.page, To: v.to, Skew: v.skew}, nil
}

func (s *servers) Inspect(ctx context.Context, t monitor.Target, was monitor.Detail, look monitor.Look) (monitor.Detail, error) {
	s.mu.Lock()
	s.inspects++
	if s.looks == nil {
		s.looks = map[monitor.Look]int{}
	}
	s.looks[look]++
	v := *s.state[t.Instance]
	s.mu.Unlock()
	if v.deaf {
		<-ctx.Done()
		return was, odcm.E(odcm.Unavailable, "octopus.unreachable", "It did not answer in time.")
	}
	return v.detail, v.fault
}

func (s *servers) Forget(odcm.InstanceID) {}

func (s *servers) Watch(ctx context.Context, lost func(odcm.InstanceID)) error {
	s.mu.Lock()
	s.lose = lost
	s.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// cut loses the connection to a server.
func (s *servers) cut(id odcm.InstanceID) {
	s.mu.Lock()
	lose := s.lose
	s.mu.Unlock()
	lose(id)
}

func (s *servers) change(id odcm.InstanceID, f func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.state[id])
}

// memory is a Store that remembers what was written.
type memory struct {
	mu      sync.Mutex
	health  map[odcm.SpaceID]monitor.Health
	changes []monitor.Change
	saves   int
	touched time.Time
	counted int64
	first   time.Time // transition
	next    monitor.Day
	rolled  []monitor.Day
	fail    error
}

func (m *memory) Save(_ context.Context, changes []monitor.Change) ([]monitor.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	m.saves++
	for _, c := range changes {
		m.health[c.Space.ID] = c.Health
	}
	m.changes = append(m.changes, changes...)
	return changes, nil
}

func (m *memory) Touch(_ context.Context, _ []odcm.SpaceID, checked time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.touched = checked
	return nil
}

func (m *memory) Forget(_ context.Context, ids []odcm.SpaceID, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.health, id)
	}
	return nil
}

func (m *memory) HealthOf(_ context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]monitor.Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[odcm.SpaceID]monitor.Health{}
	for _, id := range ids {
		if h, ok := m.health[id]; ok {
			found[id] = h
		}
	}
	return found, nil
}

func (m *memory) All(ctx context.Context) (map[odcm.SpaceID]monitor.Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[odcm.SpaceID]monitor.Health{}
	for id, h := range m.health {
		all[id] = h
	}
	return all, nil
}

func (m *memory) InStatus(context.Context, []monitor.Status) ([]odcm.SpaceID, error) { return nil, nil }
func (m *memory) Brief(ctx context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]monitor.Health, error) {
	return m.HealthOf(ctx, ids)
}

func (m *memory) Count(_ context.Context, tallies []monitor.Tally) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, t := range tallies {
		m.counted += t.Pings
	}
	return nil
}

func (m *memory) Rolled(context.Context) (monitor.Day, monitor.Day, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next, monitor.DayAt(m.first), true, nil
}

func (m *memory) RollUp(_ context.Context, day monitor.Day) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rolled = append(m.rolled, day)
	m.next = day + 1
	return nil
}
func (m *memory) Prune(context.Context, time.Time, monitor.Day) error { return nil }
func (m *memory) Days(context.Context, odcm.SpaceID, monitor.Day, monitor.Day) ([]monitor.DayOf, error) {
	return nil, nil
}
func (m *memory) Spent(context.Context, []odcm.SpaceID, time.Time, time.Time) (map[odcm.SpaceID]monitor.Uptime, error) {
	return nil, nil
}
func (m *memory) History(context.Context, odcm.SpaceID, time.Time, time.Time, int) ([]monitor.Transition, error) {
	return nil, nil
}

// world is everything that a service needs. It owns all instances whose name it does not list in lost.
type world struct {
	*servers
	*memory
	*monitor.Service
	list    []monitor.Target
	lost    []string
	changed chan struct{}
	topics  []string
	hints   chan string
	options func(*monitor.Options)
}

func (w *world) Targets(context.Context) ([]monitor.Target, error) {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	return slices.Clone(w.list), nil
}

func (w *world) Owns(key string) bool {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	return !slices.Contains(w.lost, key)
}

func (w *world) Changed() <-chan struct{} {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	return w.changed
}

// share tells that the replica's share changed.
func (w *world) share() {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) Publish(topics ...string) {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	w.topics = append(w.topics, topics...)
}

func (w *world) Authorize(context.Context, odcm.Principal, odcm.Action, string) error { return nil }

// Reach lets the system see all Spaces, and others the first.
func (w *world) Reach(_ context.Context, p odcm.Principal) (bool, []odcm.SpaceID, error) {
	return p.User == odcm.System.User, []odcm.SpaceID{"space-s0"}, nil
}

func (w *world) Find(ctx context.Context, p odcm.Principal, ref string) (odcm.SpaceID, error) {
	if all, these, _ := w.Reach(ctx, p); all || slices.Contains(these, odcm.SpaceID(ref)) {
		return odcm.SpaceID(ref), nil
	}
	return "", odcm.E(odcm.NotFound, "space.not-found", "no")
}

func target(name string) monitor.Target {
	return monitor.Target{Instance: odcm.InstanceID(name), URL: "http://" + name, Revision: 1, Spaces: []monitor.Space{{ID: odcm.SpaceID("space-" + name), Name: name}}}
}

// run starts a service over n healthy servers and gives it the time of a first probe.
func run(t *testing.T, n int, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range n {
			w.add(fmt.Sprintf("s%d", i))
		}
		w.start(t, func() { f(w) })
	})
}

func newWorld() *world {
	return &world{servers: &servers{state: map[odcm.InstanceID]*server{}}, memory: &memory{health: map[odcm.SpaceID]monitor.Health{}, first: time.Now()},
		changed: make(chan struct{}), hints: make(chan string)}
}

func (w *world) add(name string) {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	w.list = append(w.list, target(name))
	w.state[odcm.InstanceID(name)] = &server{code: 200, took: time.Millisecond, detail: monitor.Detail{Version: "2026.1.0"}}
}

// start runs a service, as after a start of the manager, until f returns.
func (w *world) start(t *testing.T, f func()) {
	stop := w.launch(t)
	time.Sleep(10 * time.Second) // within one interval everything is probed
	synctest.Wait()
	f()
	stop()
}

// launch runs a service until stop.
func (w *world) launch(t *testing.T) (stop func()) {
	o := monitor.Options{Store: w.memory, Prober: w.servers, Targets: w, Owner: w, Bus: w, Authorizer: w, Access: w, Logger: slog.New(slog.DiscardHandler)}
	if w.options != nil {
		w.options(&o)
	}
	w.Service = monitor.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx, w.hints) }()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	}
}

func (w *world) of(name string) monitor.Health {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	return w.health[odcm.SpaceID("space-"+name)]
}

// pings and writes count what was done so far; recorded is what was written.
func (w *world) pings() int {
	w.servers.mu.Lock()
	defer w.servers.mu.Unlock()
	return w.pinged
}

func (w *world) writes() int {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	return w.saves
}

func (w *world) recorded() []monitor.Change {
	w.memory.mu.Lock()
	defer w.memory.mu.Unlock()
	return slices.Clone(w.changes)
}

// within waits for the status and returns how long it took; it fails after the time.
func (w *world) within(t *testing.T, name string, want monitor.Status, limit time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) <= limit {
		synctest.Wait()
		if w.of(name).Status == want {
			return time.Since(start)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%s is %q (%s) after %v, want %q", name, w.of(name).Status, w.of(name).Reason, limit, want)
	return 0
}
