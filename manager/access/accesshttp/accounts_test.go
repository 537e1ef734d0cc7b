package accesshttp_test

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/api"
	"odcm/kit/db/dbtest"
	"odcm/kit/egress"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/kit/web"
	"odcm/manager/access"
	"odcm/manager/access/accesshttp"
	"odcm/manager/access/accessoctopus"
	"odcm/manager/access/accesssql"
	"odcm/manager/access/accesstest"
	"odcm/manager/access/admit"
	"odcm/manager/access/push"
	"odcm/manager/access/roster"
	"odcm/octopus"
	"odcm/octopus/octoclient"
	"odcm/spaceserver"
)

// known lets the push look for people in the world.
type known struct{ *accesstest.World }

func (k known) Everybody(ctx context.Context) iter.Seq2[access.Person, error] {
	return func(yield func(access.Person, error) bool) {
		found, err := k.People(ctx, []odcm.UserID{"user-bob", "user-carol", "user-dana", "user-lisa"})
		if err != nil {
			yield(access.Person{}, err)
			return
		}
		for _, p := range found {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// serveAccounts is Payments on a real Space server, with users of its own.
func serveAccounts(t *testing.T) (site, *push.Push, *octoclient.Client) {
	t.Helper()
	server, err := spaceserver.New(spaceserver.Options{Listen: "127.0.0.1:0", Data: t.TempDir(), AdminAPIKey: "API-TEST"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Stop(ctx)
	})
	client, err := octoclient.New(octoclient.Options{URL: server.URL(), APIKey: "API-TEST", Guard: egress.New(egress.Policy{}, egress.Limits{}), Budgets: octoclient.NewBudgets(octoclient.Limits{PerSecond: 1e6, Burst: 1e6})})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, body map[string]any) octopus.Object {
		o, err := octopus.NewObject(body)
		if err != nil {
			t.Fatal(err)
		}
		made, err := client.Post(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	for name, email := range map[string]string{"bob": "bob@example.com", "carol.1": "carol@example.com", "carol.2": "carol@example.com", "stranger": "stranger@elsewhere.example"} {
		post("/api/users", map[string]any{"Username": name, "DisplayName": strings.ToUpper(name[:1]) + name[1:], "EmailAddress": email, "Password": "a long password 1"})
	}
	post("/api/users", map[string]any{"Username": "deployer", "DisplayName": "Deployer", "IsService": true})
	team := post("/api/teams", map[string]any{"Name": "Deploy to Dev", "SpaceId": "Spaces-1", "MemberUserIds": []string{}})
	w := accesstest.NewWorld()
	w.AddPeople("Barry", "Bob", "Carol", "Dana", "Lisa")
	w.AddGroup("Developers", "Dana")
	w.AddPlace("Payments", "instance-1", access.Team{ID: team.ID(), Name: "Deploy to Dev"})
	w.AddPlace("Ledger", "instance-2")
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	events, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := accesssql.NewPushes(t.Context(), d, events)
	if err != nil {
		t.Fatal(err)
	}
	o := w.Options(nil, nil)
	o.Bus = bus
	s, err := w.Open(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	servers := accessoctopus.New(func(context.Context, odcm.InstanceID) (*octoclient.Client, error) { return client, nil }, w)
	people := roster.New(roster.Options{People: w, Everybody: known{w}, Places: w, Store: store, Servers: servers, Gate: s, Signals: bus})
	pushing := push.New(push.Options{Gate: s, Roster: people, Desires: s, People: w, Places: w, Store: store, Servers: servers})
	pages := web.New(web.Options{Authenticator: who{}, DB: d, Bus: bus, Version: "test", Logger: slog.New(slog.DiscardHandler), Gallery: true})
	accesshttp.Register(accesshttp.Options{Site: pages, Access: s.Service, Grants: s.Grants, Explain: s.Explain, Pushed: accesshttp.Pushed(people, s.Service)})
	accesshttp.RegisterAccounts(pages, people, pushing)
	if err := pages.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pages.Stop(context.Background()) })
	if _, err := s.Grants.Grant(t.Context(), accesstest.Barry, admit.NewGrant{Space: "payments", Group: "Developers"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Grants.Map(t.Context(), accesstest.Barry, "payments", access.Team{ID: team.ID()}, "Developers"); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return site{pages, s, w}, pushing, client
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s, push, client := serveAccounts(t)
	const v1 = "/api/v1/spaces/payments"
	page := read[api.Page[api.Account]](t, s.want(t, 200, "GET", v1+"/accounts?limit=500", "", ""))
	by := map[string]api.Account{}
	for _, a := range page.Items {
		by[a.Username] = a
	}
	if by["bob"].Person != "user-bob" || by["carol.1"].Conflict != "accounts" || by["deployer"].Untouched != "service" || by["admin"].Untouched != "key" || by["stranger"].Person != "" {
		t.Errorf("accounts: %+v", by)
	}
	first := read[api.Page[api.Account]](t, s.want(t, 200, "GET", v1+"/accounts?limit=2", "", ""))
	if rest := read[api.Page[api.Account]](t, s.want(t, 200, "GET", v1+"/accounts?limit=500&cursor="+first.Next, "", "")); len(first.Items) != 2 || len(rest.Items) != len(page.Items)-2 {
		t.Errorf("%d and %d of %d", len(first.Items), len(rest.Items), len(page.Items))
	}
	s.want(t, 404, "GET", v1+"/accounts", "", "Bob")
	s.want(t, 404, "POST", v1+"/accounts", `{"choices":[{"account":"Users-1","do":"local"}]}`, "Bob")
	s.want(t, 422, "POST", v1+"/accounts", `{"choices":[{"account":"Users-99","do":"local"}]}`, "")
	s.want(t, 204, "POST", v1+"/accounts", `{"choices":[{"account":"`+by["carol.1"].Account+`","do":"link","person":"user-carol"}]}`, "")

	// Lisa administers the Space, and no other.
	if _, err := s.access.Grants.Grant(t.Context(), accesstest.Barry, admit.NewGrant{Space: "payments", User: "lisa", Steward: true}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{v1 + "/accounts", v1 + "/pushed", "/spaces/payments/access/accounts"} {
		s.want(t, 200, "GET", path, "", "Lisa")
		s.want(t, 404, "GET", strings.Replace(path, "payments", "ledger", 1), "", "Lisa")
	}
	s.want(t, 403, "POST", v1+"/accounts", `{"choices":[{"account":"`+by["stranger"].Account+`","do":"link","person":"user-lisa"}]}`, "Lisa")
	s.want(t, 204, "PUT", v1+"/pushed", `{"drift":"repair"}`, "Lisa")
	s.want(t, 404, "PUT", "/api/v1/spaces/ledger/pushed", `{"drift":"repair"}`, "Lisa")
	if html := s.want(t, 200, "GET", "/spaces/payments/access", "", "Lisa").Body.String(); !strings.Contains(html, "When somebody changes this on the server") {
		t.Error("she cannot choose what is done about drift")
	}

	if html := s.want(t, 200, "GET", "/spaces/payments/access/accounts", "", "Lisa").Body.String(); strings.Contains(html, "Make a person of it") || !strings.Contains(html, "Leave to the server for good") {
		t.Error("she is offered what she may not do, or not what she may")
	}
	html := s.want(t, 200, "GET", "/spaces/payments/access/accounts", "", "").Body.String()
	for _, want := range []string{"Stranger", "Is Carol", "Leave to the server for good", "A service account", "same e-mail address"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s.want(t, http.StatusSeeOther, "POST", "/spaces/payments/access/accounts", "account-"+by["stranger"].Account+"=local&account-"+by["carol.2"].Account+"=local", "")
	if got := s.want(t, 200, "GET", "/spaces/payments/access/accounts?show=untouched", "", "").Body.String(); !strings.Contains(got, "Stranger") || strings.Contains(got, "(bob)") {
		t.Error("what was decided is not shown")
	}

	reconcile := func() {
		t.Helper()
		if err := push.Reconcile(t.Context(), "space-payments"); err != nil {
			t.Fatal(err)
		}
	}
	reconcile()
	s.want(t, 204, "PUT", v1+"/pushed", `{"drift":"leave"}`, "")
	s.want(t, 422, "PUT", v1+"/pushed", `{"drift":"other"}`, "")
	s.want(t, 404, "PUT", v1+"/pushed", `{"drift":"repair"}`, "Bob")
	pushed := read[api.Pushed](t, s.want(t, 200, "GET", v1+"/pushed", "", ""))
	if !pushed.InSync || pushed.Drift != "leave" || len(pushed.Teams) != 1 || pushed.Teams[0].Members != 1 {
		t.Errorf("pushed: %+v", pushed)
	}
	if _, err := client.Update(t.Context(), "/api/teams/"+pushed.Teams[0].Team, func(o *octopus.Object) error {
		o.Set("MemberUserIds", []string{by["bob"].Account})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	reconcile()
	if html = s.want(t, 200, "GET", "/spaces/payments/access", "", "").Body.String(); !strings.Contains(html, "Somebody added Bob; took out Dana.") || !strings.Contains(html, "left so") {
		t.Errorf("drift is not shown: %s", html)
	}
	s.want(t, http.StatusSeeOther, "POST", "/spaces/payments/access/policy", "drift=repair", "")
	reconcile()
	if html = s.want(t, 200, "GET", "/spaces/payments/access", "", "").Body.String(); !strings.Contains(html, "Put right") {
		t.Error("the repair is not shown")
	}
}
