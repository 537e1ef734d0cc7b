package provider_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/lease"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
)

// memory is a store without a database.
type memory struct {
	leaving provider.Leaving // what goes with any provider
	deleted []odcm.Event     // the events of the last deletion
	mu      sync.Mutex
	rows    map[odcm.ProviderID]provider.Record
	events  []string
}

func (m *memory) Providers(context.Context) (all []provider.Record, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all = slices.Collect(maps.Values(m.rows))
	slices.SortFunc(all, func(a, b provider.Record) int { return a.Order - b.Order })
	return all, nil
}

func (m *memory) Provider(_ context.Context, id odcm.ProviderID) (provider.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[id]
	if !ok {
		return r, odcm.E(odcm.NotFound, "provider.not-found", "none")
	}
	return r, nil
}

func (m *memory) edit(id odcm.ProviderID, f func(r *provider.Record), events ...odcm.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[id]
	f(&r)
	m.rows[id] = r
	for _, e := range events {
		m.events = append(m.events, e.Type+" "+string(e.Before)+string(e.After))
	}
	return nil
}

func (m *memory) Create(_ context.Context, n provider.Record, e odcm.Event) error {
	return m.edit(n.ID, func(r *provider.Record) { *r = n }, e)
}

func (m *memory) Update(_ context.Context, n provider.Record, e odcm.Event) error {
	return m.edit(n.ID, func(r *provider.Record) { n.Revision, n.Sync, n.Test = n.Revision+1, r.Sync, r.Test; *r = n }, e)
}

func (m *memory) Leaving(context.Context, odcm.ProviderID) (provider.Leaving, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaving, nil
}

func (m *memory) Delete(_ context.Context, id odcm.ProviderID, decide func(provider.Leaving) ([]odcm.Event, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	events, err := decide(m.leaving)
	if err == nil {
		delete(m.rows, id)
		m.deleted = events
	}
	return err
}

func (m *memory) Ask(_ context.Context, id odcm.ProviderID, at time.Time, accept bool, e odcm.Event) error {
	return m.edit(id, func(r *provider.Record) { r.Sync.Asked, r.Sync.Accepted = at, accept }, e)
}

func (m *memory) SetSync(_ context.Context, id odcm.ProviderID, n provider.Sync, events ...odcm.Event) error {
	return m.edit(id, func(r *provider.Record) {
		n.Asked, n.Accepted = r.Sync.Asked, r.Sync.Accepted && (n.Error != "" || n.Held != "")
		r.Sync = n
	}, events...)
}

func (m *memory) SetTest(_ context.Context, id odcm.ProviderID, n provider.Test) error {
	n.Findings = slices.Clone(n.Findings)
	return m.edit(id, func(r *provider.Record) { r.Test = n })
}

// sealer turns text around, bound to its place.
type sealer struct{}

func (sealer) Seal(plain []byte, place string) (string, error) {
	b := slices.Clone(plain)
	slices.Reverse(b)
	return place + "|" + string(b), nil
}

func (sealer) Open(sealed, place string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, place+"|")
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	b := []byte(text)
	slices.Reverse(b)
	return b, nil
}

type anyone struct{}

func (anyone) Authorize(_ context.Context, p odcm.Principal, _ odcm.Action, _ string) error {
	if p.Has(odcm.Administrator) {
		return nil
	}
	return odcm.E(odcm.Denied, "identity.role-missing", "no")
}

// hints brings what is published to everybody who listens.
type hints struct {
	mu   sync.Mutex
	subs []chan string
}

func (h *hints) Publish(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.subs {
		for _, t := range topics {
			select {
			case s <- t:
			default:
			}
		}
	}
}

func (h *hints) subscribe() <-chan string {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan string, 1000)
	h.subs = append(h.subs, c)
	return c
}

// always has the lease.
type always struct{}

func (always) Hold(ctx context.Context, _, _ string, _ time.Duration, f func(context.Context, lease.Lease) error) error {
	return f(ctx, lease.Lease{})
}

// fake is a directory whose answers the test sets. It is Passwords, Domains, Directory and Watched.
type fake struct {
	mu       sync.Mutex
	password map[string]string // of people, by their username
	err      error             // every answer, where it is set
	domains  []string
	asked    []string // usernames that were to be verified
	people   map[string]provider.Person
	reads    int      // questions about people
	changed  []string // told once
	all      bool
	closed   int
	opened   []provider.Provider
	slow     time.Duration // how long a question about people takes
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

func (f *fake) set(change func(f *fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// source is what fake's connector opens.
type source struct{ *fake }

func (s source) Close() error {
	s.set(func(f *fake) { f.closed++ })
	return nil
}

func (s source) Test(_ context.Context, tell func(provider.Finding)) {
	tell(provider.Finding{Step: "first", OK: true})
	tell(provider.Finding{Step: "second", Message: "wrong"})
}

func (s source) Domains() []string { return s.domains }

func (s source) Verify(_ context.Context, username, password string) (person.Assertion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, username)
	right, known := s.password[username]
	switch {
	case s.err != nil:
		return person.Assertion{}, s.err
	case !known:
		return person.Assertion{}, odcm.E(odcm.NotFound, "ldap.user-unknown", "none")
	case right == "disabled":
		return person.Assertion{}, odcm.E(odcm.Denied, "ldap.account-disabled", "disabled")
	case right != password:
		return person.Assertion{}, odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "no")
	}
	return person.Assertion{Subject: username, Provider: odcm.ProviderID(s.domains[0])}, nil
}

func (s source) People(_ context.Context, subjects []string) iter.Seq2[provider.Person, error] {
	return func(yield func(provider.Person, error) bool) {
		s.mu.Lock()
		slow := s.slow
		s.mu.Unlock()
		time.Sleep(slow) // of a bubble's clock
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads++
		if s.err != nil {
			yield(provider.Person{}, s.err)
			return
		}
		for _, subject := range subjects {
			p, ok := s.people[subject]
			if p.Subject = subject; !ok {
				p.Gone = true
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (s source) FindGroups(context.Context, string, int) ([]person.ExternalGroup, error) {
	return []person.ExternalGroup{{ID: "g", Name: "Group"}}, nil
}

func (s source) FindPeople(context.Context, string, int) ([]person.Assertion, error) {
	return nil, nil
}

func (s source) Changes(_ context.Context, mark string) (c provider.Changes, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = provider.Changes{Mark: "now", People: s.changed, All: s.all || mark == ""}
	s.changed, s.all = nil, false
	return c, s.err
}

// kind opens the fake that the setting names.
type kind struct{ fakes map[string]*fake }

func (kind) Kind() provider.Kind { return provider.LDAP }

func (kind) Fields() []provider.Field {
	return []provider.Field{{Name: "which", Label: "Which", Required: true}, {Name: "mode", Label: "Mode", Default: "a", Options: []string{"a", "b"}},
		{Name: "password", Label: "Password", Required: true, Secret: true}, {Name: "keytab", Label: "Keytab", Secret: true}}
}

func (k kind) Open(p provider.Provider, _ string) (provider.Source, error) {
	f, ok := k.fakes[p.Settings["which"]]
	if !ok {
		return nil, odcm.E(odcm.Invalid, "fake.which", "none").OnField("which")
	}
	f.set(func(f *fake) { f.opened = append(f.opened, p) })
	return source{f}, nil
}

// linked are those who are linked to any provider.
type linked struct {
	mu       sync.Mutex
	subjects []string
	seen     map[string]person.Observation
	calls    int
}

func (l *linked) Linked(_ context.Context, _ odcm.ProviderID, after string, limit int) (page []string, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subjects {
		if s > after && len(page) < limit {
			page = append(page, s)
		}
	}
	return page, nil
}

func (l *linked) Observe(_ context.Context, _ odcm.ProviderID, seen []person.Observation) (identity.Observed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	for _, o := range seen {
		l.seen[o.Subject] = o
	}
	return identity.Observed{}, nil
}

func (l *linked) of(subject string) person.Observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[subject]
}

// world is a service with fakes all around.
type world struct {
	*provider.Service
	t      *testing.T
	store  *memory
	bus    *hints
	people *linked
	fakes  map[string]*fake
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: &memory{rows: map[odcm.ProviderID]provider.Record{}}, bus: &hints{}, people: &linked{seen: map[string]person.Observation{}}, fakes: map[string]*fake{}}
	for _, name := range []string{"one", "two", "three"} {
		w.fakes[name] = &fake{domains: []string{name, name + ".test"}, password: map[string]string{}, people: map[string]provider.Person{}}
	}
	w.Service = w.replica()
	return w
}

func (w *world) replica() *provider.Service {
	return provider.New(provider.Options{Store: w.store, Sealer: sealer{}, Authorizer: anyone{}, Bus: w.bus, People: w.people, Leases: always{},
		Connectors: []provider.Connector{kind{w.fakes}}, Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) add(which string, order int) provider.Provider {
	w.t.Helper()
	p, err := w.Create(context.Background(), odcm.System, provider.Provider{Kind: provider.LDAP, Name: which, Enabled: true, Order: order,
		Settings: map[string]string{"which": which}, Secrets: map[string]string{"password": "secret of " + which}})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}
