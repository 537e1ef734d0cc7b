package accessoctopus_test

import (
	"context"
	"strings"
	"testing"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/manager/access"
	"odcm/manager/access/accesstest"
)

func claims(provider string, values map[string]string) fields {
	all := fields{}
	for name, value := range values {
		all[name] = fields{"Value": value, "IsIdentifyingClaim": true}
	}
	return fields{"IdentityProviderName": provider, "Claims": all}
}

func (w *world) survey(t *testing.T) map[string]access.Seen {
	t.Helper()
	_, seen, err := w.push.AccountsOf(context.Background(), barry, string(spaceA))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]access.Seen{}
	for _, s := range seen {
		found[s.Username] = s
	}
	return found
}

func TestMatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	mark := func(name string, change func(p *access.Person)) odcm.UserID {
		id := w.person(name)
		p := w.people[id]
		change(&p)
		w.people[id] = p
		return id
	}
	ann := mark("ann", func(p *access.Person) { p.Marks = map[string]string{"upn": "Ann@CORP.example"} })
	gil := mark("gil", func(p *access.Person) { p.Identities = []access.Identity{{Kind: "google", Subject: "1234"}} })
	bob, two := w.person("bob"), w.person("two")
	mark("sly", func(p *access.Person) { p.EmailVerified = false })
	three := mark("three", func(p *access.Person) { p.Marks = map[string]string{"sam": `CORP\twin`} })
	four := mark("four", func(p *access.Person) { p.Marks = map[string]string{"sam": `CORP\twin`} })
	w.local("a.old", fields{"Identities": []fields{claims("Active Directory", map[string]string{"upn": "ann@corp.example", "sam": "ann"})}})
	w.local("gilbert", fields{"Identities": []fields{claims("Google Apps", map[string]string{"eid": "1234"})}})
	w.local("robert", fields{"EmailAddress": "BOB@example.com"})
	w.local("two-a", fields{"EmailAddress": "two@example.com"})
	w.local("two-b", fields{"EmailAddress": "two@example.com"})
	w.local("sly-theirs", fields{"EmailAddress": "sly@example.com"})
	w.local("twin", fields{"Identities": []fields{claims("Active Directory", map[string]string{"sam": `corp\twin`})}})
	w.local("robot", fields{"IsService": true, "Password": nil})
	seen := w.survey(t)
	for name, want := range map[string]access.Seen{
		"a.old": {Person: w.people[ann], Rule: access.SameAccount}, "gilbert": {Person: w.people[gil], Rule: access.SameSubject},
		"robert": {Person: w.people[bob], Rule: access.SameEmail}, "two-a": {Rule: access.SameEmail, Conflict: access.SeveralUsers},
		"two-b": {Rule: access.SameEmail, Conflict: access.SeveralUsers}, "sly-theirs": {}, "twin": {Rule: access.SameAccount, Conflict: access.SeveralPeople},
		"robot": {Untouched: "service"}, "admin": {Untouched: "key"},
	} {
		got := seen[name]
		if got.Person.ID != want.Person.ID || got.Rule != want.Rule || got.Conflict != want.Conflict || got.Untouched != want.Untouched {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Conflict != "" && got.Because() == "" {
			t.Errorf("%s: nothing is said", name)
		}
	}
	if between := seen["twin"].Between; len(between) != 2 || between[0].ID != four || between[1].ID != three {
		t.Errorf("between: %+v", between)
	}

	// What is chosen is kept, and what the survey found where nothing was.
	all := make([]access.Seen, 0, len(seen))
	for _, s := range seen {
		all = append(all, s)
	}
	choices := []access.Choice{{Account: seen["two-a"].ID, Do: access.Link, Person: two}, {Account: seen["two-b"].ID, Do: access.Local},
		{Account: seen["twin"].ID, Do: access.Link, Person: four}, {Account: seen["sly-theirs"].ID, Do: access.Create}}
	for range 2 {
		if linked, err := w.push.Accept(ctx, barry, instance, all, choices); err != nil || linked != 6 {
			t.Fatalf("%d %v", linked, err)
		}
	}
	seen = w.survey(t)
	if s := seen["two-a"]; s.Person.ID != two || s.Decision != access.ByHand || s.Conflict != "" {
		t.Errorf("two-a: %+v", s)
	}
	if s := seen["two-b"]; s.Untouched != "local" || s.Person.ID != "" || s.Conflict != "" {
		t.Errorf("two-b: %+v", s)
	}
	if s := seen["sly-theirs"]; s.Person.Username != "sly-theirs" {
		t.Errorf("sly-theirs: %+v", s)
	}
	err := w.push.DecideAt(ctx, barry, string(spaceA), []access.Choice{{Account: seen["two-b"].ID, Do: access.Link, Person: two}})
	if odcm.CodeOf(err) != "account.owned" {
		t.Errorf("one person with two accounts: %v", err)
	}
	if err := w.push.DecideAt(ctx, odcm.Principal{User: "user-bob"}, string(spaceA), nil); odcm.KindOf(err) != odcm.NotFound {
		t.Errorf("who may not see the Space learned of it: %v", err)
	}

	// Enlisting shuts nobody out: only who was let in once is managed.
	robert := func() string {
		u := w.user("robert")
		u.Delete("LastModifiedOn")
		text, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := robert()
	w.enter[spaceA] = []odcm.UserID{ann}
	w.reconcile(spaceA)
	if after := robert(); after != before {
		t.Errorf("touched without a grant: %s", after)
	}
	if u := w.user("a.old"); len(u.Objects("Identities")) != 2 || u.Text("DisplayName") != "Ann" {
		t.Errorf("the account was not taken over: %v", u)
	}
	if _, twice := w.users()["ann"]; twice {
		t.Error("a second account was made")
	}
	p := w.people[bob]
	p.Disabled = true // but who is disabled loses every Space
	w.people[bob] = p
	w.reconcile(spaceA)
	if w.user("robert").Bool("IsActive") {
		t.Error("a disabled person's account is open")
	}
	// Handing back gives everything as it was found.
	place := w.places[spaceA]
	if err := w.push.Release(ctx, place, true); err != nil {
		t.Fatal(err)
	}
	if after := robert(); after != before {
		t.Errorf("handed back: %s\nwas: %s", after, before)
	}
	if u := w.user("a.old"); len(u.Objects("Identities")) != 1 || u.Text("DisplayName") != "a.old" {
		t.Errorf("handed back: %v", u)
	}
}

func TestConflictsAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bob, eve, admin := w.person("bob"), w.person("eve"), w.person("admin")
	w.local("bob", fields{"EmailAddress": "other@elsewhere.example"})
	w.local("evelyn", fields{"EmailAddress": "eve@example.com"})
	w.enter[spaceA] = []odcm.UserID{bob, eve, admin}
	w.reconcile(spaceA)
	for id, want := range map[odcm.UserID]string{bob: "has an account bob already", eve: "account evelyn on the server has the same e-mail"} {
		if a := w.arrival(spaceA, id); a.State != access.Failed || !strings.Contains(a.Reason, want) {
			t.Errorf("%s: %+v", id, a)
		}
	}
	// The administrator whose key it is has a name that people may have too.
	if a := w.arrival(spaceA, admin); a.State != access.Applied || w.user("admin@example.com").Text("DisplayName") != "Admin" {
		t.Errorf("admin: %+v", a)
	}
	seen := w.survey(t)
	if err := w.push.DecideAt(context.Background(), barry, string(spaceA), []access.Choice{{Account: seen["bob"].ID, Do: access.Link, Person: bob}, {Account: seen["evelyn"].ID, Do: access.Link, Person: eve}}); err != nil {
		t.Fatal(err)
	}
	w.reconcile(spaceA)
	for _, id := range []odcm.UserID{bob, eve} {
		if a := w.arrival(spaceA, id); a.State != access.Applied {
			t.Errorf("%s after the decision: %+v", id, a)
		}
	}
	if len(w.users()) != 4 {
		t.Errorf("%d users", len(w.users()))
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorldOn(t, d, nil)
		accesstest.PushStore(t, w.store)
	})
}
