package ssooctopus_test

import (
	"context"
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
	"odcm/kit/seal"
	"odcm/kit/signal"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssooctopus"
	"odcm/manager/sso/ssosql"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

const (
	instance = odcm.InstanceID("instance-1")
	adminKey = "API-ADMINISTRATOR"
	generic  = "authentication-generic-oidc"
	okta     = "authentication-od"
	password = "authentication-usernamepassword"
)

type world struct {
	t       *testing.T
	client  *octoclient.Client
	http    http.RoundTripper
	store   *ssosql.Pointings
	issuer  *issuer
	pointer *point.Pointer
	wrap    func(point.Server) point.Server
}

func (w *world) server() point.Server {
	s := ssooctopus.Of(ssooctopus.Connection{Client: w.client, Transport: w.http})
	if w.wrap != nil {
		s = w.wrap(s)
	}
	return s
}

func (w *world) Server(context.Context, odcm.InstanceID) (point.Server, error) {
	return w.server(), nil
}

func (w *world) InstanceOf(context.Context, odcm.SpaceID) (odcm.InstanceID, string, error) {
	return instance, "Theirs", nil
}

func newStore(t *testing.T, d *db.DB) *ssosql.Pointings {
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
	sealer, err := seal.Open(ctx, d, seal.Options{KeyFile: t.TempDir() + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	store, err := ssosql.NewPointings(ctx, d, events, sealer)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newWorld(t *testing.T) *world {
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
	guard := egress.New(egress.Policy{}, egress.Limits{})
	transport, err := guard.Transport(egress.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := octoclient.New(octoclient.Options{URL: s.URL(), APIKey: adminKey, Guard: guard, Budgets: octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6, Concurrency: 100})})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, client: client, http: transport, store: newStore(t, dbtest.Open(t, dbtest.SQLite(t)))}
	w.issuer = newIssuer(t, w.store)
	w.pointer = point.New(point.Options{Store: w.store, Provider: w.issuer, Servers: w, Instances: w})
	return w
}

func (w *world) values(id string) string {
	w.t.Helper()
	o, err := w.client.Get(context.Background(), "/api/configuration/"+id+"/values")
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := o.MarshalJSON()
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) configure(id string, change func(*octopus.Object)) {
	w.t.Helper()
	_, err := w.client.Update(context.Background(), "/api/configuration/"+id+"/values", func(o *octopus.Object) error { change(o); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

// all are the settings and users, byte for byte.
func (w *world) all() string {
	w.t.Helper()
	var b strings.Builder
	for _, id := range []string{generic, okta, password, "authentication"} {
		b.WriteString(w.values(id) + "\n")
	}
	users, err := w.client.Get(context.Background(), "/api/users")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, u := range (octopus.Page{Object: users}).Items() {
		text, _ := u.MarshalJSON()
		b.Write(text)
	}
	return b.String()
}

func (w *world) point(o point.Choices) (point.Pointing, error) {
	return w.pointer.Point(context.Background(), instance, "Theirs", w.server(), o)
}

func TestPointAndUndo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	w.configure("authentication", func(o *octopus.Object) { o.Set("AutoLoginEnabled", true) })
	before := w.all()
	plan, err := w.pointer.Plan(ctx, w.server())
	if err != nil || plan.Slot.ID != generic || plan.State != point.SlotFree || !plan.Passwords || len(plan.Changes) == 0 || w.all() != before {
		t.Fatalf("plan: %+v, %v", plan, err)
	}
	if !slices.Contains(plan.Changes, point.Setting{Name: "Issuer", To: w.issuer.web.URL}) {
		t.Errorf("changes: %+v", plan.Changes)
	}
	is, err := w.point(point.Choices{ClosePasswords: true})
	if err != nil {
		t.Fatal(err)
	}
	if is.State != point.Applied || is.Tested.IsZero() || is.Probe != "" || !is.Closed {
		t.Errorf("pointing: %+v", is)
	}
	if name, on, err := w.pointer.ProviderOn(ctx, instance); err != nil || !on || name != "Generic OIDC" {
		t.Errorf("provider: %q %v %v", name, on, err)
	}
	if got := w.values(generic); !strings.Contains(got, `"IsEnabled":true`) || !strings.Contains(got, `"AllowAutoUserCreation":false`) || strings.Contains(got, is.Secret) {
		t.Errorf("values: %s", got)
	}
	if got := w.values(password); !strings.Contains(got, `"IsEnabled":false`) {
		t.Errorf("passwords: %s", got)
	}
	if strings.Contains(w.all(), "odcm-sign-in-test") {
		t.Error("the account of the test is left")
	}
	if again, err := w.point(point.Choices{}); err != nil || again.Secret != is.Secret {
		t.Errorf("pointing twice: %v", err)
	}
	left, err := w.pointer.Undo(ctx, instance, w.server())
	if err != nil || len(left) != 0 {
		t.Fatalf("undo: %v %v", left, err)
	}
	if after := w.all(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if w.issuer.removed != 1 {
		t.Errorf("the relying party was removed %d times", w.issuer.removed)
	}
	if _, err := w.pointer.Get(ctx, instance); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("kept: %v", err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	theirs := func(on bool) func(*octopus.Object) {
		return func(o *octopus.Object) {
			o.Set("Issuer", "https://login.example.com")
			o.Set("ClientId", "theirs")
			o.Set("IsEnabled", on)
			o.Set("ClientSecret", octopus.Secret("their secret"))
		}
	}
	t.Run("the next one where the best is in use", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.configure(generic, theirs(true))
		before := w.all()
		if is, err := w.point(point.Choices{}); err != nil || is.Slot.ID != okta || is.Slot.Provider != "Okta" {
			t.Fatalf("%+v %v", is, err)
		}
		if _, err := w.pointer.Undo(context.Background(), instance, w.server()); err != nil || w.all() != before {
			t.Errorf("undo: %v\n%s\n%s", err, before, w.all())
		}
	})
	t.Run("a conflict where all are in use", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.configure(generic, theirs(true))
		w.configure(okta, theirs(true))
		before := w.all()
		if _, err := w.point(point.Choices{}); odcm.CodeOf(err) != "sso.slot-taken" || w.all() != before {
			t.Fatalf("%v", err)
		}
		if _, err := w.point(point.Choices{Replace: true}); err != nil {
			t.Fatal(err)
		}
		left, err := w.pointer.Undo(context.Background(), instance, w.server())
		if err != nil || len(left) != 1 {
			t.Errorf("undo: %v %v", left, err)
		}
	})
}

func TestATestThatFailsLeavesTheOldWayOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.all()
	w.issuer.audience = "somebody else"
	_, err := w.point(point.Choices{ClosePasswords: true})
	if odcm.CodeOf(err) != "sso.test-failed" {
		t.Fatalf("got %v", err)
	}
	if got := w.values(password); !strings.Contains(got, `"IsEnabled":true`) {
		t.Errorf("passwords were closed: %s", got)
	}
	if _, on, err := w.pointer.ProviderOn(context.Background(), instance); on || err != nil {
		t.Errorf("believed to be pointed: %v", err)
	}
	if _, err := w.pointer.Undo(context.Background(), instance, w.server()); err != nil || w.all() != before {
		t.Errorf("undo: %v\n%s\n%s", err, before, w.all())
	}
}

func TestSettingsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	if err := w.pointer.Reconcile(ctx, "space-1"); err != nil { // not pointed: not touched
		t.Fatal(err)
	}
	if _, err := w.point(point.Choices{}); err != nil {
		t.Fatal(err)
	}
	want := w.values(generic)
	if err := w.pointer.Reconcile(ctx, "space-1"); err != nil || w.values(generic) != want {
		t.Fatalf("in sync: %v", err)
	}
	w.configure(generic, func(o *octopus.Object) {
		o.Set("Issuer", "https://elsewhere.example")
		o.Set("ClientSecret", octopus.SensitiveValue{})
	})
	if err := w.pointer.Reconcile(ctx, "space-1"); err != nil || w.values(generic) != want {
		t.Errorf("repair: %v %s", err, w.values(generic))
	}
	is, err := w.pointer.Get(ctx, instance)
	if err != nil || is.Repairs != 1 || !strings.Contains(is.Drift, "Issuer") {
		t.Errorf("%+v %v", is, err)
	}
}

// faulty ends the run at its n-th write, before or after it.
type faulty struct {
	point.Server
	at, passed *int
}

func (f faulty) through(write func() error) error {
	for _, effect := range []func() error{func() error { return nil }, write} {
		if err := effect(); err != nil {
			return err
		}
		if *f.passed++; *f.passed == *f.at {
			return errCrash
		}
	}
	return nil
}

func (f faulty) SetValues(ctx context.Context, id string, v octopus.Object) (out octopus.Object, err error) {
	return out, f.through(func() error { out, err = f.Server.SetValues(ctx, id, v); return err })
}

func (f faulty) AddUser(ctx context.Context, u octopus.Object) error {
	return f.through(func() error { return f.Server.AddUser(ctx, u) })
}

func (f faulty) RemoveUser(ctx context.Context, name string) error {
	return f.through(func() error { return f.Server.RemoveUser(ctx, name) })
}

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	before := w.all()
	for at := 1; ; at++ {
		passed := 0
		w.wrap = func(s point.Server) point.Server { return faulty{s, &at, &passed} }
		_, in := w.point(point.Choices{ClosePasswords: true, LeadOn: true})
		w.wrap = nil
		is, err := w.point(point.Choices{ClosePasswords: true, LeadOn: true})
		if err != nil || is.State != point.Applied || strings.Contains(w.all(), "odcm-sign-in-test") {
			t.Fatalf("crash at %d: %+v %v", at, is, err)
		}
		passed = 0
		w.wrap = func(s point.Server) point.Server { return faulty{s, &at, &passed} }
		_, out := w.pointer.Undo(ctx, instance, w.server())
		w.wrap = nil
		if _, err := w.pointer.Undo(ctx, instance, w.server()); err != nil || w.all() != before {
			t.Fatalf("crash at %d of undoing: %v\n%s\n%s", at, err, before, w.all())
		}
		if in == nil && out == nil {
			if at < 8 {
				t.Errorf("only %d places to crash at", at)
			}
			return
		}
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := newStore(t, d), context.Background()
		if _, err := s.Pointing(ctx, instance); odcm.CodeOf(err) != "sso.not-pointed" {
			t.Fatal(err)
		}
		want := point.Pointing{Instance: instance, State: point.Begun, Slot: point.Slots()[0], Secret: "top secret", Probe: "p", Previous: map[string][]byte{okta: []byte(`{"b":1}`)}}
		for range 2 {
			if err := s.SavePointing(ctx, want, odcm.NewEvent(odcm.System, "sso.pointed", "x", "x", nil, nil)); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.PointingOf(ctx, "p")
		if err != nil || got.Secret != want.Secret || string(got.Previous[okta]) != `{"b":1}` || got.Slot != want.Slot {
			t.Errorf("%+v %v", got, err)
		}
		var said, secret, previous string
		if err := d.Read().QueryRow("SELECT said, secret, previous FROM sso_pointing").Scan(&said, &secret, &previous); err != nil || strings.Contains(said+secret, "top secret") || strings.Contains(said+previous, `{"b":1}`) {
			t.Errorf("readable: %s %v", said, err)
		}
		if _, err := s.PointingOf(ctx, ""); odcm.KindOf(err) != odcm.NotFound {
			t.Error(err)
		}
		if err := s.DropPointing(ctx, instance); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pointing(ctx, instance); odcm.KindOf(err) != odcm.NotFound {
			t.Error(err)
		}
	})
}

// racing has the server handed back while its settings are repaired.
type racing struct {
	point.Server
	undo func()
}

func (r racing) SetValues(ctx context.Context, id string, v octopus.Object) (octopus.Object, error) {
	r.undo()
	return r.Server.SetValues(ctx, id, v)
}

func TestHandingBackWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	before := w.all()
	if _, err := w.point(point.Choices{}); err != nil {
		t.Fatal(err)
	}
	w.configure(generic, func(o *octopus.Object) { o.Set("IsEnabled", false) })
	plain := w.server()
	once := sync.OnceFunc(func() {
		if _, err := w.pointer.Undo(ctx, instance, plain); err != nil {
			t.Error(err)
		}
	})
	w.wrap = func(s point.Server) point.Server { return racing{s, once} }
	if err := w.pointer.Reconcile(ctx, "space-1"); err == nil {
		t.Error("nothing was said")
	}
	if w.all() != before {
		t.Errorf("left:\n%s\nwas:\n%s", w.all(), before)
	}
	if _, err := w.pointer.Get(ctx, instance); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("kept: %v", err)
	}
}

// TestPeopleAreLedOn has the server send who has no session to ODCM without a click, keeps it so, and leaves no trace.
func TestPeopleAreLedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	before := w.all()
	led := func() string {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.client.URL()+"/app/Spaces-1/dashboard", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.Header.Get("Location")
	}
	plan, err := w.pointer.Plan(ctx, w.server())
	if err != nil || plan.LeadsOn {
		t.Fatalf("%+v %v", plan, err)
	}
	is, err := w.point(point.Choices{LeadOn: true, ClosePasswords: true})
	if err != nil || !is.LeadsOn() {
		t.Fatalf("%+v %v", is, err)
	}
	if to := led(); !strings.HasPrefix(to, "/signin/GenericOidc?") {
		t.Errorf("whoever has no session gets to %q", to)
	}
	if plan, err = w.pointer.Plan(ctx, w.server()); err != nil || !plan.LeadsOn {
		t.Errorf("%+v %v", plan, err)
	}
	// Somebody turns it off, and changes something that is not ODCM's.
	w.configure("authentication", func(o *octopus.Object) { o.Set("AutoLoginEnabled", false); o.Set("SessionTimeoutInSeconds", 600) })
	if err := w.pointer.Reconcile(ctx, "space-1"); err != nil || !strings.HasPrefix(led(), "/signin/GenericOidc?") {
		t.Errorf("repair: %v", err)
	}
	if is, err = w.pointer.Get(ctx, instance); err != nil || is.Repairs != 1 || is.Drift != "AutoLoginEnabled" {
		t.Errorf("%+v %v", is, err)
	}
	if _, err := w.pointer.Undo(ctx, instance, w.server()); err != nil {
		t.Fatal(err)
	}
	if got := w.values("authentication"); !strings.Contains(got, `"AutoLoginEnabled":false`) || !strings.Contains(got, `"SessionTimeoutInSeconds":600`) {
		t.Errorf("undone: %s", got)
	}
	w.configure("authentication", func(o *octopus.Object) { o.Set("SessionTimeoutInSeconds", 1200) })
	if w.all() != before {
		t.Errorf("left:\n%s\nwas:\n%s", w.all(), before)
	}
	// What the server did before stays its own.
	w.configure("authentication", func(o *octopus.Object) { o.Set("AutoLoginEnabled", true) })
	if is, err = w.point(point.Choices{LeadOn: true}); err != nil || is.LeadsOn() {
		t.Errorf("%+v %v", is, err)
	}
	if _, err := w.pointer.Undo(ctx, instance, w.server()); err != nil || !strings.Contains(w.values("authentication"), `"AutoLoginEnabled":true`) {
		t.Errorf("undone: %v %s", err, w.values("authentication"))
	}
}
