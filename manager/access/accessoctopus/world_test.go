package accessoctopus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/access"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

const (
	instance = odcm.InstanceID("instance-1")
	spaceA   = odcm.SpaceID("space-a")
	spaceB   = odcm.SpaceID("space-b")
	adminKey = "API-ADMINISTRATOR"
	provider = "Okta"
)

type fields = map[string]any

// world is ODCM's side as a test wishes it, and real Space servers.
type world struct {
	t        testing.TB
	mu       sync.Mutex
	places   map[odcm.SpaceID]access.Place
	enter    map[odcm.SpaceID][]odcm.UserID
	teams    map[odcm.SpaceID][]access.DesiredTeam
	people   map[odcm.UserID]access.Person
	clients  map[odcm.InstanceID]*octoclient.Client
	slot     bool
	now      time.Time
	store    *accesssql.Pushes
	seen     observer
	wrap     func(roster.Server) roster.Server
	stewards map[odcm.UserID][]odcm.SpaceID
	roster   *roster.Roster
	push     *push.Push
	topics   []string       // that were published
	again    []odcm.SpaceID // that asked for another run
}

// Publish implements access.Bus.
func (w *world) Publish(topics ...string) { w.topics = append(w.topics, topics...) }

type observer struct {
	mu      sync.Mutex
	revoked []time.Duration
	drifted int
}

func (o *observer) Revoked(lag time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.revoked = append(o.revoked, lag)
}

func (o *observer) Drifted(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drifted += n
}

// serve starts a Space server until the end of the test.
func serve(t testing.TB) *octoclient.Client {
	t.Helper()
	s, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminAPIKey: adminKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return dial(t, s.URL(), adminKey)
}

// plenty is a budget that tests do not wait for.
var plenty = octoclient.Limits{PerSecond: 1e6, Burst: 1e6, Concurrency: 100}

func dial(t testing.TB, url, key string) *octoclient.Client {
	t.Helper()
	c, err := octoclient.New(octoclient.Options{URL: url, APIKey: key, Guard: egress.New(egress.Policy{}, egress.Limits{}), Budgets: octoclient.NewBudgets(plenty)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newWorld has one server with one Space, whose wishes are kept on SQLite.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, dbtest.Open(t, dbtest.SQLite(t)), serve(t))
}

func newWorldOn(t testing.TB, d *db.DB, client *octoclient.Client) *world {
	t.Helper()
	ctx := context.Background()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	events, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := accesssql.NewPushes(ctx, d, events)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, slot: true, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), store: store}
	w.clear(client)
	return w
}

// clear begins with one Space, nobody known and nothing wished.
func (w *world) clear(client *octoclient.Client) {
	w.places, w.enter, w.teams = map[odcm.SpaceID]access.Place{}, map[odcm.SpaceID][]odcm.UserID{}, map[odcm.SpaceID][]access.DesiredTeam{}
	w.people, w.clients = map[odcm.UserID]access.Person{}, map[odcm.InstanceID]*octoclient.Client{instance: client}
	w.place(spaceA, instance, "Spaces-1")
	w.restart()
}

func (w *world) place(id odcm.SpaceID, in odcm.InstanceID, octopusSpace string) {
	w.places[id] = access.Place{Space: id, Instance: in, Octopus: octopusSpace, Name: string(id), Slug: string(id), Active: true}
}

// restart is another replica of ODCM on the same database.
func (w *world) restart() {
	now := func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	w.roster = roster.New(roster.Options{People: w, Everybody: w, Newcomers: w, Places: w, Store: w.store, Servers: w, Gate: w, Signals: w, Now: now})
	w.push = push.New(push.Options{Gate: w, Roster: w.roster, Desires: w, People: w, Places: w, Store: w.store, Servers: w, Slots: w, Observer: &w.seen, Now: now,
		Again: func(id odcm.SpaceID) { w.again = append(w.again, id) }})
}

// Authorize permits administrators everything, and stewards what is theirs.
func (w *world) Authorize(_ context.Context, p odcm.Principal, a odcm.Action, space odcm.SpaceID) error {
	if p.Has(odcm.Administrator) || slices.Contains(w.stewards[p.User], space) {
		return nil
	}
	return odcm.E(odcm.Denied, "access.denied", "%s may not do %s.", p.Name, a)
}

func (w *world) Find(ctx context.Context, p odcm.Principal, a odcm.Action, ref string) (access.Place, error) {
	place, err := w.FindPlace(ctx, ref)
	if err == nil && w.Authorize(ctx, p, a, place.Space) != nil {
		return access.Place{}, access.NoPlace()
	}
	return place, err
}

var barry = odcm.Principal{User: "user-barry", Name: "Barry", Roles: []odcm.Role{odcm.Administrator}}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Entrants(_ context.Context, id odcm.SpaceID) ([]odcm.UserID, error) {
	ids := slices.Clone(w.enter[id])
	slices.Sort(ids)
	return slices.DeleteFunc(ids, func(u odcm.UserID) bool { return w.people[u].Disabled }), nil
}

func (w *world) Teams(_ context.Context, id odcm.SpaceID) ([]access.DesiredTeam, error) {
	return w.teams[id], nil
}

func (w *world) People(_ context.Context, ids []odcm.UserID) (map[odcm.UserID]access.Person, error) {
	found := map[odcm.UserID]access.Person{}
	for _, id := range ids {
		if p, ok := w.people[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

func (w *world) FindPerson(context.Context, string) (access.Person, error) {
	return access.Person{}, errors.ErrUnsupported
}

func (w *world) GroupNames(_ context.Context, ids []odcm.GroupID) (map[odcm.GroupID]string, error) {
	names := map[odcm.GroupID]string{}
	for _, id := range ids {
		names[id] = "Group " + string(id)
	}
	return names, nil
}

func (w *world) FindGroup(context.Context, string) (odcm.GroupID, string, error) {
	return "", "", errors.ErrUnsupported
}

func (w *world) Everybody(context.Context) iter.Seq2[access.Person, error] {
	return func(yield func(access.Person, error) bool) {
		for _, p := range w.people {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (w *world) Invite(context.Context, odcm.Principal, string, string) error { return nil }

func (w *world) CreatePerson(_ context.Context, _ odcm.Principal, username, display, email string) (odcm.UserID, error) {
	id := odcm.UserID("user-" + username)
	w.people[id] = access.Person{ID: id, Username: username, DisplayName: display, Email: email}
	return id, nil
}

func (w *world) Place(_ context.Context, id odcm.SpaceID) (access.Place, error) {
	p, ok := w.places[id]
	if !ok {
		return p, odcm.E(odcm.NotFound, "space.not-found", "There is no such Space.")
	}
	return p, nil
}

func (w *world) FindPlace(ctx context.Context, ref string) (access.Place, error) {
	return w.Place(ctx, odcm.SpaceID(ref))
}

func (w *world) On(_ context.Context, id odcm.InstanceID) (on []access.Place, _ error) {
	for _, key := range slices.Sorted(maps.Keys(w.places)) {
		if w.places[key].Instance == id {
			on = append(on, w.places[key])
		}
	}
	return on, nil
}

func (w *world) Places(context.Context) ([]access.Place, error) { return nil, errors.ErrUnsupported }

func (w *world) Slot(context.Context, odcm.InstanceID) (push.Slot, bool, error) {
	if !w.slot {
		return push.Slot{}, false, nil
	}
	return push.Slot{Provider: provider}, true, nil
}

func (w *world) Server(ctx context.Context, id odcm.InstanceID) (roster.Server, error) {
	if w.wrap != nil && w.clients[id] == nil {
		return w.wrap(nil), nil
	}
	servers := accessoctopus.New(func(_ context.Context, id odcm.InstanceID) (*octoclient.Client, error) { return w.clients[id], nil }, w)
	s, err := servers.Server(ctx, id)
	if w.wrap != nil && err == nil {
		s = w.wrap(s)
	}
	return s, err
}

// person adds somebody whom ODCM knows, with a verified address.
func (w *world) person(name string) odcm.UserID {
	id := odcm.UserID("user-" + name)
	w.people[id] = access.Person{ID: id, Username: name, DisplayName: strings.ToUpper(name[:1]) + name[1:], Email: name + "@example.com", EmailVerified: true}
	return id
}

func (w *world) reconcile(id odcm.SpaceID) {
	w.t.Helper()
	if err := w.push.Reconcile(context.Background(), string(id)); err != nil {
		w.t.Fatalf("reconcile %s: %v", id, err)
	}
}

// send asks the server as the holder of a key; an empty one asks nobody.
func (w *world) send(key, method, path string, body any) (int, octopus.Object) {
	w.t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequest(method, w.clients[instance].URL()+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-Octopus-ApiKey", key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var o octopus.Object
	if len(text) > 0 && text[0] == '{' {
		if o, err = octopus.ParseObject(text); err != nil {
			w.t.Fatal(err)
		}
	}
	return answer.StatusCode, o
}

func (w *world) must(method, path string, body any) octopus.Object {
	w.t.Helper()
	status, o := w.send(adminKey, method, path, body)
	if status >= 300 {
		w.t.Fatalf("%s %s: %d %v", method, path, status, o)
	}
	return o
}

// local makes a user on the server by hand.
func (w *world) local(name string, more fields) string {
	w.t.Helper()
	user := fields{"Username": name, "DisplayName": name, "EmailAddress": name + "@elsewhere.example", "Password": "a long password 1"}
	maps.Copy(user, more)
	return w.must("POST", "/api/users", user).ID()
}

func (w *world) team(name string, members ...string) string {
	w.t.Helper()
	if members == nil {
		members = []string{}
	}
	return w.must("POST", "/api/teams", fields{"Name": name, "SpaceId": "Spaces-1", "MemberUserIds": members}).ID()
}

// users are the server's users by name.
func (w *world) users() map[string]octopus.Object {
	w.t.Helper()
	found := map[string]octopus.Object{}
	for u, err := range w.clients[instance].List(context.Background(), "/api/users") {
		if err != nil {
			w.t.Fatal(err)
		}
		found[u.Text("Username")] = u
	}
	return found
}

func (w *world) user(name string) octopus.Object {
	w.t.Helper()
	u, ok := w.users()[name]
	if !ok {
		w.t.Fatalf("the server has no user %s", name)
	}
	return u
}

// members are the names of a team's members, sorted.
func (w *world) members(team string) string {
	w.t.Helper()
	byID := map[string]string{}
	for name, u := range w.users() {
		byID[u.ID()] = name
	}
	var names []string
	for _, id := range w.must("GET", "/api/teams/"+team, nil).Texts("MemberUserIds") {
		names = append(names, byID[id])
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (w *world) arrival(space odcm.SpaceID, id odcm.UserID) roster.Acknowledgement {
	w.t.Helper()
	rows, err := w.store.Acknowledgements(context.Background(), space, []odcm.UserID{id})
	if err != nil || len(rows) != 1 {
		w.t.Fatalf("arrival of %s: %v %v", id, rows, err)
	}
	return rows[0]
}

// counting counts what is asked of a server, by sort.
type counting struct {
	roster.Server
	reads, writes int
}

func (c *counting) Users(ctx context.Context, ids []string) ([]octopus.Object, error) {
	c.reads++
	return c.Server.Users(ctx, ids)
}

func (c *counting) Teams(ctx context.Context, space string, ids []string) ([]octopus.Object, error) {
	c.reads++
	return c.Server.Teams(ctx, space, ids)
}

func (c *counting) Latest(ctx context.Context) (string, error) {
	c.reads++
	return c.Server.Latest(ctx)
}

func (c *counting) Me(ctx context.Context) (octopus.Object, error) {
	c.reads++
	return c.Server.Me(ctx)
}

func (c *counting) CreateUser(ctx context.Context, o octopus.Object) (octopus.Object, error) {
	c.writes++
	return c.Server.CreateUser(ctx, o)
}

func (c *counting) UpdateUser(ctx context.Context, o octopus.Object) (octopus.Object, error) {
	c.writes++
	return c.Server.UpdateUser(ctx, o)
}

func (c *counting) UpdateTeam(ctx context.Context, o octopus.Object) (octopus.Object, error) {
	c.writes++
	return c.Server.UpdateTeam(ctx, o)
}

func (c *counting) RevokeSessions(ctx context.Context, id string) error {
	c.writes++
	return c.Server.RevokeSessions(ctx, id)
}

func (c *counting) DeleteAPIKey(ctx context.Context, user, key string) error {
	c.writes++
	return c.Server.DeleteAPIKey(ctx, user, key)
}

func (c *counting) DeleteUser(ctx context.Context, id string) error {
	c.writes++
	return c.Server.DeleteUser(ctx, id)
}

func (c *counting) String() string { return fmt.Sprintf("%d reads, %d writes", c.reads, c.writes) }
