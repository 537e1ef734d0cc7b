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
	"odcm/manager/access/roster"
)

func claims(provider string, values map[string]string) fields {
	all := fields{}
	for name, value := range values {
		all[name] = fields{"Value": value, "IsIdentifyingClaim": true}
	}
	return fields{"IdentityProviderName": provider, "Claims": all}
}

func (w *world) survey(t *testing.T) map[string]roster.Seen {
	t.Helper()
	_, seen, err := w.roster.AccountsOf(context.Background(), barry, string(spaceA))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]roster.Seen{}
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
	for name, want := range map[string]roster.Seen{
		"a.old": {Person: w.people[ann], Rule: roster.SameAccount}, "gilbert": {Person: w.people[gil], Rule: roster.SameSubject},
		"robert": {Person: w.people[bob], Rule: roster.SameEmail}, "two-a": {Rule: roster.SameEmail, Conflict: roster.SeveralUsers},
		"two-b": {Rule: roster.SameEmail, Conflict: roster.SeveralUsers}, "sly-theirs": {}, "twin": {Rule: roster.SameAccount, Conflict: roster.SeveralPeople},
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
	all := make([]roster.Seen, 0, len(seen))
	for _, s := range seen {
		all = append(all, s)
	}
	choices := []roster.Choice{{Account: seen["two-a"].ID, Do: roster.Link, Person: two}, {Account: seen["two-b"].ID, Do: roster.Local},
		{Account: seen["twin"].ID, Do: roster.Link, Person: four}, {Account: seen["sly-theirs"].ID, Do: roster.Create}}
	for range 2 {
		if linked, err := w.roster.Accept(ctx, barry, instance, all, choices); err != nil || linked != 6 {
			t.Fatalf("%d %v", linked, err)
		}
	}
	seen = w.survey(t)
	if s := seen["two-a"]; s.Person.ID != two || s.Decision != roster.ByHand || s.Conflict != "" {
		t.Errorf("two-a: %+v", s)
	}
	if s := seen["two-b"]; s.Untouched != "local" || s.Person.ID != "" || s.Conflict != "" {
		t.Errorf("two-b: %+v", s)
	}
	if s := seen["sly-theirs"]; s.Person.Username != "sly-theirs" {
		t.Errorf("sly-theirs: %+v", s)
	}
	err := w.roster.DecideAt(ctx, barry, string(spaceA), []roster.Choice{{Account: seen["two-b"].ID, Do: roster.Link, Person: two}})
	if odcm.CodeOf(err) != "account.owned" {
		t.Errorf("one person with two accounts: %v", err)
	}
	if err := w.roster.DecideAt(ctx, odcm.Principal{User: "user-bob"}, string(spaceA), nil); odcm.KindOf(err) != odcm.NotFound {
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
	if err := w.roster.DecideAt(context.Background(), barry, string(spaceA), []roster.Choice{{Account: seen["bob"].ID, Do: roster.Link, Person: bob}, {Account: seen["evelyn"].ID, Do: roster.Link, Person: eve}}); err != nil {
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

// TestStewardsSeeToTheirOwn is somebody who administers one Space, then shares its server with another.
func TestStewardsSeeToTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	lisa := odcm.Principal{User: "user-lisa", Name: "Lisa"}
	w.stewards = map[odcm.UserID][]odcm.SpaceID{lisa.User: {spaceA}}
	w.place(spaceB, "instance-2", "Spaces-2")
	bob, ann := w.person("bob"), w.person("ann")
	robert := w.local("robert", fields{"EmailAddress": "bob@example.com"})

	if _, seen, err := w.roster.AccountsOf(ctx, lisa, string(spaceA)); err != nil || len(seen) < 2 {
		t.Errorf("she sees %d accounts: %v", len(seen), err)
	}
	link := func(to odcm.UserID) error {
		return w.roster.DecideAt(ctx, lisa, string(spaceA), []roster.Choice{{Account: robert, Do: roster.Link, Person: to}})
	}
	for _, to := range []odcm.UserID{ann, "ann", "user-nobody", ""} {
		if err := link(to); odcm.CodeOf(err) != "account.link-any" {
			t.Errorf("she links an account to %q, whom nothing suggests: %v", to, err)
		}
	}
	for _, do := range []roster.Doing{roster.Invite, roster.Create} {
		if err := w.roster.DecideAt(ctx, lisa, string(spaceA), []roster.Choice{{Account: robert, Do: do}}); odcm.CodeOf(err) != "account.newcomers" {
			t.Errorf("%s: %v", do, err)
		}
	}
	if err := link("bob"); err != nil {
		t.Error(err)
	}
	if s := w.survey(t)["robert"]; s.Person.ID != bob || s.Decision != roster.ByHand {
		t.Errorf("robert: %+v", s)
	}
	if err := w.push.SetPolicy(ctx, lisa, string(spaceA), roster.Leave); err != nil {
		t.Error(err)
	}
	if _, pushed, err := w.roster.PushedTo(ctx, lisa, string(spaceA)); err != nil || pushed.Policy != roster.Leave {
		t.Errorf("%+v: %v", pushed, err)
	}

	// Of another Space she learns nothing.
	_, _, seen := w.roster.AccountsOf(ctx, lisa, string(spaceB))
	_, _, pushed := w.roster.PushedTo(ctx, lisa, string(spaceB))
	for what, err := range map[string]error{"accounts": seen, "pushed": pushed, "decide": w.roster.DecideAt(ctx, lisa, string(spaceB), nil),
		"policy": w.push.SetPolicy(ctx, lisa, string(spaceB), roster.Leave)} {
		if odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("%s of another Space: %v", what, err)
		}
	}

	// The users of a server are those of all Spaces on it; its teams are not.
	w.place(spaceB, instance, "Spaces-2")
	for what, err := range map[string]error{"accounts": func() error { _, _, err := w.roster.AccountsOf(ctx, lisa, string(spaceA)); return err }(), "decide": link(bob)} {
		if odcm.CodeOf(err) != "account.shared-server" {
			t.Errorf("%s of a server that others share: %v", what, err)
		}
	}
	if _, _, err := w.roster.PushedTo(ctx, lisa, string(spaceA)); err != nil {
		t.Error(err)
	}
	w.stewards[lisa.User] = []odcm.SpaceID{spaceA, spaceB}
	if _, _, err := w.roster.AccountsOf(ctx, lisa, string(spaceA)); err != nil {
		t.Errorf("she administers all that is on the server: %v", err)
	}
}
