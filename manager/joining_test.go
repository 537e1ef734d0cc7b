package manager

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/kit/seal"
	"odcm/kit/task"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/manager/space"
	"odcm/manager/space/spaceoctopus"
	"odcm/manager/space/spacetest"
	"odcm/manager/sso/grant"
	"odcm/manager/sso/point"
	"odcm/manager/sso/ssooctopus"
	"odcm/manager/sso/ssosql"
	"odcm/manager/sso/ssotest"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

const joinKey = "API-THEIRS"

// joined is the rooms of spaces, access and sso together, with the real OpenID Provider and a real Space server of somebody's.
type joined struct {
	*spacetest.Manager
	t        *testing.T
	provider *ssotest.Provider
	pointer  *point.Pointer
	push     *push.Push
	access   accesstest.Rooms
	client   *octoclient.Client
}

func join(t *testing.T) *joined {
	t.Helper()
	ctx := context.Background()
	server, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminAPIKey: joinKey})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_ = server.Stop(ctx)
	})
	d := dbtest.Open(t, dbtest.SQLite(t))
	sealer, err := seal.Open(ctx, d, seal.Options{KeyFile: t.TempDir() + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	guard := egress.New(egress.Policy{}, egress.Limits{})
	adapter := spaceoctopus.New(spaceoctopus.Options{Guard: guard, Budgets: octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6, Concurrency: 100})})
	j := &joined{t: t}
	if j.client, err = adapter.Client(space.Connection{URL: server.URL(), APIKey: joinKey}); err != nil {
		t.Fatal(err)
	}
	m := &Manager{octopus: adapter}
	j.Manager = spacetest.Start(t, d, spacetest.NewOutside(), func(o *space.Options) { j.rooms(ctx, d, sealer, guard, m, o) })
	m.space = j.Spaces
	return j
}

// rooms makes the other rooms as the roof does, as far as this test needs them.
func (j *joined) rooms(ctx context.Context, d *db.DB, sealer *seal.Sealer, guard *egress.Guard, m *Manager, o *space.Options) {
	noEvents := unheard{}
	pointings, err := ssosql.NewPointings(ctx, d, noEvents, sealer)
	if err != nil {
		j.t.Fatal(err)
	}
	j.provider = ssotest.New(j.t, dbtest.Open(j.t, dbtest.SQLite(j.t)), func(o *grant.Options) {
		probing := point.Probing{Store: pointings, People: o.People, Access: o.Access}
		o.People, o.Access = probing, probing
	})
	on := signOn{octopus: m.octopus, guard: guard}
	j.pointer = point.New(point.Options{Store: pointings, Provider: j.provider, Instances: places{m},
		Servers: on.connecting(func(ctx context.Context, id odcm.InstanceID) (space.Connection, error) {
			return m.space.InstanceConnection(ctx, id)
		})})
	on.pointer = j.pointer
	world := accesstest.NewWorld()
	world.AddPeople("Ann", "Bob")
	grants := accesstest.NewMemory()
	options := world.Options(grants, nil)
	options.Places = places{m}
	pushes, err := accesssql.NewPushes(ctx, d, noEvents)
	if err != nil {
		j.t.Fatal(err)
	}
	if j.access, err = world.Open(ctx, options, nil); err != nil {
		j.t.Fatal(err)
	}
	servers := accessoctopus.New(places{m}.connect, places{m})
	people := roster.New(roster.Options{People: world, Everybody: everyone{world}, Places: places{m}, Store: pushes, Servers: servers, Gate: j.access})
	j.push = push.New(push.Options{Gate: j.access, Roster: people, Desires: j.access, People: world, Places: places{m}, Store: pushes, Servers: servers, Slots: slots{j.pointer}})
	o.Octopus, o.SignOn, o.Accounts = m.octopus, on, accounts{people, j.push, m.octopus}
}

var _ point.Servers = ssooctopus.Connect(nil)

// state is all that enlisting may change on the server, but for the times of changes.
func (j *joined) state() string {
	j.t.Helper()
	var b strings.Builder
	for _, path := range []string{"/api/configuration/authentication-generic-oidc/values", "/api/configuration/authentication-od/values",
		"/api/configuration/authentication-usernamepassword/values", "/api/users", "/api/teams", "/api/Spaces-1/subscriptions"} {
		o, err := j.client.Get(j.t.Context(), path)
		if err != nil {
			j.t.Fatal(err)
		}
		items := (octopus.Page{Object: o}).Items()
		if len(items) == 0 {
			items = []octopus.Object{o}
		}
		for _, item := range items {
			item.Delete("LastModifiedOn")
			item.Delete("LastModifiedBy")
			text, err := json.Marshal(item)
			if err != nil {
				j.t.Fatal(err)
			}
			b.WriteString(string(text) + "\n")
		}
	}
	return b.String()
}

func (j *joined) enlist(e space.Enlistment) task.Task {
	j.t.Helper()
	e.Connection = space.Connection{URL: j.client.URL(), APIKey: joinKey}
	e.Choices = []space.Choice{{Octopus: "Spaces-1", Name: "Theirs"}}
	made, err := j.Spaces.Enlist(spacetest.Request(j.t.Context()), spacetest.Barry, e)
	if err != nil {
		j.t.Fatal(err)
	}
	return j.Done(j.t, made[0].Task)
}

func (j *joined) user(username string, more map[string]any) {
	j.t.Helper()
	values := map[string]any{"Username": username, "DisplayName": username, "EmailAddress": username + "@example.com", "Password": "a long password 1"}
	for name, value := range more {
		values[name] = value
	}
	o, err := octopus.NewObject(values)
	if err != nil {
		j.t.Fatal(err)
	}
	if _, err := j.client.Post(j.t.Context(), "/api/users", o); err != nil {
		j.t.Fatal(err)
	}
}

// me is who a browser is on the server after it went to sign in there.
func (j *joined) me(browser *http.Client) string {
	j.t.Helper()
	get := func(address string) (int, string) {
		answer, err := browser.Get(address)
		if err != nil {
			j.t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			j.t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	browser.CheckRedirect = nil
	get(j.client.URL() + "/signin/GenericOidc?return=/api/users/me")
	status, text := get(j.client.URL() + "/api/users/me")
	o, err := octopus.ParseObject([]byte(text))
	if status != http.StatusOK || err != nil {
		return text
	}
	return o.Text("Username")
}

func TestEnlistingJoinsPeopleAndSignIn(t *testing.T) {
	t.Parallel()
	j := join(t)
	j.user("bob", nil)
	j.user("stranger", nil)
	j.user("robot", map[string]any{"IsService": true, "Password": nil})
	before := j.state()

	plan, err := j.Spaces.Plan(t.Context(), spacetest.Barry, space.Connection{URL: j.client.URL(), APIKey: joinKey})
	if err != nil {
		t.Fatal(err)
	}
	if !plan.SignIn.Proposed || plan.SignIn.Provider != "Generic OIDC" || !slices.Contains(plan.SignIn.Settings, space.SettingChange{Name: "Issuer", To: j.provider.URL}) {
		t.Errorf("sign-in: %+v", plan.SignIn)
	}
	if p := plan.People; len(p.Matched) != 1 || p.Matched[0].Person != "user-bob" || len(p.Unmatched) != 1 || p.Unmatched[0].Username != "stranger" || p.Untouched != 2 {
		t.Errorf("people: %+v", p)
	}
	if j.state() != before {
		t.Fatal("the plan wrote something")
	}

	if done := j.enlist(space.Enlistment{}); done.State != task.Succeeded {
		t.Fatalf("%+v", done.Error)
	}
	sp, err := j.Spaces.Locate(t.Context(), "theirs")
	if err != nil {
		t.Fatal(err)
	}
	if is, err := j.pointer.Get(t.Context(), sp.Instance); err != nil || is.State != point.Applied || is.Tested.IsZero() {
		t.Errorf("pointing: %v %v", is, err)
	}
	for _, user := range []string{"bob", "ann"} {
		if _, err := j.access.Grants.Grant(t.Context(), accesstest.Barry, admit.NewGrant{Space: "theirs", User: user}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.access.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := j.push.Reconcile(t.Context(), string(sp.ID)); err != nil {
		t.Fatal(err)
	}
	if err := j.pointer.Reconcile(t.Context(), string(sp.ID)); err != nil {
		t.Fatal(err)
	}
	// Ann has an account that ODCM made, and Bob goes on with his own; nobody else gets in.
	for user, want := range map[odcm.UserID]string{"user-ann": "ann", "user-bob": "bob"} {
		if got := j.me(j.provider.Browser(user)); got != want {
			t.Errorf("%s is %q on the server", user, got)
		}
	}
	if got := j.me(j.provider.Browser("user-eve")); got == "eve" || !strings.Contains(got, "ErrorMessage") {
		t.Errorf("eve is %q on the server", got)
	}

	deleted, err := j.Spaces.Delist(spacetest.Request(t.Context()), spacetest.Barry, "theirs", space.Delisting{})
	if err != nil {
		t.Fatal(err)
	}
	j.Succeed(t, deleted.Task)
	if after := j.state(); after != before {
		t.Errorf("handed back:\n%s\nwas:\n%s", after, before)
	}
	if _, err := j.provider.Store.PartyOf(t.Context(), sp.Instance); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("the relying party is left: %v", err)
	}
}

func TestEnlistingWithoutAWayToOdcm(t *testing.T) {
	t.Parallel()
	for choice, want := range map[space.SignInChoice]task.State{space.SignInDefault: task.Succeeded, space.SignInOn: task.Failed, space.SignInOff: task.Succeeded} {
		t.Run("choice "+string(choice), func(t *testing.T) {
			t.Parallel()
			j := join(t)
			before := j.state()
			j.provider.URL = "http://127.0.0.1:9" // nobody answers there
			if done := j.enlist(space.Enlistment{SignIn: choice, SignInOptions: space.SignInOptions{ClosePasswords: true}}); done.State != want {
				t.Fatalf("%s: %+v", done.State, done.Error)
			}
			after := j.state()
			if at := strings.Index(after, `{"Id":"Subscriptions`); at >= 0 { // the webhook is there where enlisting succeeded
				after = after[:at]
			}
			if want == task.Failed && after != before || want != task.Failed && !strings.HasPrefix(before, after) {
				t.Errorf("sign-in settings are left:\n%s\nwas:\n%s", after, before)
			}
		})
	}
}
