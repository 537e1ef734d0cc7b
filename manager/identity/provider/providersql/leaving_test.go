package providersql_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/provider/providersql"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

// noSeal seals nothing: the provider here has no secrets.
type noSeal struct{}

func (noSeal) Seal(plain []byte, _ string) (string, error) { return string(plain), nil }
func (noSeal) Open(sealed, _ string) ([]byte, error)       { return []byte(sealed), nil }

// nothing is a kind of provider without settings.
type nothing struct{ provider.Source }

func (nothing) Kind() provider.Kind      { return provider.OpenID }
func (nothing) Fields() []provider.Field { return nil }
func (n nothing) Open(provider.Provider, string) (provider.Source, error) {
	return n, nil
}
func (nothing) Close() error { return nil }

func TestDeletionTakesAccountsAndGroupsAlong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		t.Parallel()
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		bus, err := signal.New(ctx, d)
		must(err)
		t.Cleanup(bus.Close)
		log, err := eventlog.New(ctx, d, bus)
		must(err)
		users, err := identitysql.New(ctx, d, log)
		must(err)
		members, err := groupsql.New(ctx, d, log)
		must(err)
		store, err := providersql.New(ctx, d, log)
		must(err)
		groups := group.New(group.Options{Store: members, Log: log, Bus: bus, Authorizer: role.NewAuthorizer()})
		people := identity.New(identity.Options{Store: users, Bus: bus, Authorizer: role.NewAuthorizer(), Groups: groups})
		s := provider.New(provider.Options{Store: store, Sealer: noSeal{}, Authorizer: role.NewAuthorizer(), Bus: bus,
			Connectors: []provider.Connector{nothing{}}, People: people})

		admin := odcm.Principal{User: "user-admin", Name: "Lisa", Roles: []odcm.Role{odcm.Administrator}}
		make := func(name string) odcm.ProviderID {
			t.Helper()
			p, err := s.Create(ctx, admin, provider.Provider{Kind: provider.OpenID, Name: name, Enabled: true})
			must(err)
			return p.ID
		}
		going, staying := make("Going"), make("Staying")
		arrive := func(p odcm.ProviderID, name, email string, in ...person.ExternalGroup) odcm.UserID {
			t.Helper()
			_, session, err := people.SignInBy(ctx, person.Assertion{Provider: p, Subject: name, Username: name, Email: email, EmailVerified: true,
				TrustEmail: true, Method: "oidc", Groups: in, GroupsKnown: true, Admit: true}, session.Client{})
			must(err)
			return session.User
		}
		developers, testers := person.ExternalGroup{ID: "1", Name: "Developers"}, person.ExternalGroup{ID: "2", Name: "Testers"}
		bob := arrive(going, "bob", "bob@example.com", developers, testers)
		carol := arrive(going, "carol", "carol@example.com", developers)
		if also := arrive(staying, "carol-2", "carol@example.com", developers); also != carol {
			t.Fatalf("carol is %s and %s", carol, also)
		}
		dave := arrive(going, "dave", "dave@example.com")
		must(people.SetPassword(ctx, admin, dave, "correct horse"))
		must(people.AddEmail(ctx, admin, dave, "dave@home.example"))
		erin := arrive(going, "erin", "erin@example.com") // who may not sign in has no way in to lose
		who, err := people.Get(ctx, admin, erin)
		must(err)
		off := true
		_, err = people.Update(ctx, admin, erin, who.Revision, identity.Change{Disabled: &off})
		must(err)
		// A group of ODCM's own has a group that goes, one that stays, and a person by himself.
		external, err := members.External(ctx, going, []string{"1"})
		must(err)
		kept, err := members.External(ctx, staying, []string{"1"})
		must(err)
		team, err := groups.Create(ctx, admin, group.NewGroup{Name: "Team"})
		must(err)
		_, err = groups.Edit(ctx, admin, team.ID, group.Edit{AddGroups: []odcm.GroupID{external["1"].ID, kept["1"].ID}, AddUsers: []odcm.UserID{dave}})
		must(err)
		in := func() (all []odcm.UserID) {
			t.Helper()
			g, err := groups.Graph(ctx)
			must(err)
			for _, id := range []odcm.UserID{bob, carol, dave} {
				if slices.Contains(g.GroupsOf(id), team.ID) {
					all = append(all, id)
				}
			}
			return all
		}
		if got := in(); !reflect.DeepEqual(got, []odcm.UserID{bob, carol, dave}) {
			t.Fatalf("before, the team is %v", got)
		}

		l, err := s.Leaving(ctx, admin, going)
		must(err)
		if len(l.Accounts) != 4 || len(l.Groups) != 2 || l.Memberships != 3 || !slices.Equal(l.Stranded(), []string{"bob"}) {
			t.Errorf("leaving %+v", l)
		}
		before, err := log.Last(ctx)
		must(err)
		err = s.Delete(ctx, admin, going, provider.Deletion{})
		if odcm.KindOf(err) != odcm.Conflict || odcm.CodeOf(err) != "provider.last-way-in" {
			t.Fatalf("unconfirmed: %v", err)
		}
		if after, err := log.Last(ctx); err != nil || after != before {
			t.Errorf("refused, it left events: %v", err)
		}
		if _, err := s.Get(ctx, admin, going); err != nil {
			t.Errorf("refused, it is gone: %v", err)
		}
		must(s.Delete(ctx, admin, going, provider.Deletion{Confirmed: true}))

		want := []odcm.UserID{carol, dave}
		for began := time.Now(); !reflect.DeepEqual(in(), want); time.Sleep(10 * time.Millisecond) { // the graph hears of it by the bus
			if time.Since(began) > 30*time.Second {
				t.Fatalf("after, the team is %v", in())
			}
		}
		for id, want := range map[odcm.UserID]int{bob: 0, carol: 1, dave: 0, erin: 0} {
			p, err := people.Person(ctx, admin, id)
			must(err)
			if len(p.Identities) != want {
				t.Errorf("%s has %+v", p.Username, p.Identities)
			}
			if id == dave && (len(p.Emails) != 1 || p.Email().Address != "dave@home.example" || !p.Email().Main) {
				t.Errorf("dave's addresses are %+v", p.Emails)
			}
		}
		if left, err := members.Sources(ctx); err != nil || left[going] != 0 || left[staying] != 1 {
			t.Errorf("groups %v, %v", left, err)
		}
		counts := map[string]int{}
		events, err := log.List(ctx, eventlog.Filter{Limit: 100})
		must(err)
		for _, e := range events {
			if e.ID > before {
				counts[e.Type]++
			}
		}
		if want := map[string]int{"provider.deleted": 1, "identity.unlinked": 4, "group.deleted": 2}; !reflect.DeepEqual(counts, want) {
			t.Errorf("events %v", counts)
		}
		if _, err := s.Leaving(ctx, admin, going); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("of one that is gone: %v", err)
		}
		if _, err := people.FindPerson(ctx, "bob"); err != nil {
			t.Errorf("bob is gone: %v", err)
		}
	})
}
