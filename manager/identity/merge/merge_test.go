package merge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

// mover is another room.
type mover struct {
	moved [][2]odcm.UserID
	err   error
}

func (m *mover) Move(_ context.Context, from, to odcm.UserID) error {
	if m.err == nil {
		m.moved = append(m.moved, [2]odcm.UserID{from, to})
	}
	return m.err
}

type bundle struct {
	*merge.Service
	t      *testing.T
	people *identity.Service
	log    *eventlog.Log
	mover  *mover
}

var admin = odcm.Principal{User: "user-admin", Name: "barry", Roles: []odcm.Role{odcm.Administrator}}

func setup(t *testing.T) *bundle {
	t.Helper()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	store, err := identitysql.New(t.Context(), d, log)
	if err != nil {
		t.Fatal(err)
	}
	auth := role.NewAuthorizer()
	b := &bundle{t: t, log: log, mover: &mover{}}
	b.people = identity.New(identity.Options{Store: store, Bus: bus, Authorizer: auth, Now: func() time.Time { return time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC) }})
	b.Service = merge.New(merge.Options{People: b.people, Store: store, Authorizer: auth, Bus: bus, Movers: []merge.Mover{b.mover}})
	return b
}

// by signs somebody in who becomes a user.
func (b *bundle) by(provider odcm.ProviderID, subject, name, email string, marks map[string]string) odcm.UserID {
	b.t.Helper()
	_, s, err := b.people.SignInBy(b.t.Context(), person.Assertion{Provider: provider, Subject: subject, Username: name, Email: email, Marks: marks, Method: "oidc", Admit: true}, session.Client{})
	if err != nil {
		b.t.Fatal(err)
	}
	return s.User
}

func (b *bundle) proposals() []merge.Proposal {
	b.t.Helper()
	all, err := b.Proposals(b.t.Context(), admin)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func TestProposals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.by("provider-ad", "guid-1", "bob", "bob@example.com", map[string]string{"upn": "bob@corp.example"})
	other := b.by("provider-entra", "tid/oid", "bob.specialist", "BOB@example.com", map[string]string{"upn": "Bob@corp.example"})
	b.by("provider-entra", "tid/ann", "ann", "ann@example.com", map[string]string{"upn": "ann@corp.example"})
	all := b.proposals()
	if len(all) != 1 || merge.PairOf(all[0].One.ID, all[0].Other.ID) != merge.PairOf(one, other) || len(all[0].Reasons) != 2 ||
		all[0].Reasons[0].Sign != merge.SameAccount || all[0].Reasons[1].Sign != merge.Email {
		t.Fatalf("proposed %+v", all)
	}
	member := odcm.Principal{User: one, Roles: []odcm.Role{odcm.Member}}
	if _, err := b.Proposals(t.Context(), member); odcm.KindOf(err) != odcm.Denied {
		t.Errorf("a member sees them: %v", err)
	}
	for what, err := range map[string]error{"merge": b.Merge(t.Context(), member, one, other), "dismiss": b.Dismiss(t.Context(), member, one, other)} {
		if odcm.KindOf(err) != odcm.Denied {
			t.Errorf("a member may %s: %v", what, err)
		}
	}
	if err := b.Dismiss(t.Context(), admin, other, one); err != nil {
		t.Fatal(err)
	}
	if all := b.proposals(); len(all) != 0 {
		t.Errorf("proposed again: %+v", all)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	keep := b.by("provider-ad", "guid-1", "bob", "bob@example.com", nil)
	gone := b.by("provider-entra", "tid/oid", "rob", "bob@example.com", nil)
	b.mover.err = errors.New("the other room is down")
	if err := b.Merge(ctx, admin, keep, gone); !errors.Is(err, b.mover.err) {
		t.Errorf("%v", err)
	}
	if _, err := b.people.FindPerson(ctx, "rob"); err != nil {
		t.Errorf("merged by half: %v", err)
	}
	b.mover.err = nil
	if err := b.Merge(ctx, admin, keep, gone); err != nil {
		t.Fatal(err)
	}
	if len(b.mover.moved) != 1 || b.mover.moved[0] != [2]odcm.UserID{gone, keep} {
		t.Errorf("moved %v", b.mover.moved)
	}
	if again := b.by("provider-entra", "tid/oid", "rob", "bob@example.com", nil); again != keep {
		t.Errorf("signs in as %s, want %s", again, keep)
	}
	if events, err := b.log.List(ctx, eventlog.Filter{Types: []string{"identity.users-merged"}, Limit: 10}); err != nil || len(events) != 1 || events[0].By != "barry" {
		t.Errorf("%+v, %v", events, err)
	}
	for what, pair := range map[string][2]odcm.UserID{"oneself": {keep, keep}, "nobody": {keep, "user-none"}, "who is gone": {keep, gone}, "the guest": {keep, person.Guest}} {
		if err := b.Merge(ctx, admin, pair[0], pair[1]); err == nil {
			t.Errorf("merged with %s", what)
		}
	}
}
