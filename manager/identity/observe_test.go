package identity_test

import (
	"fmt"
	"testing"
	"time"

	"odcm"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

const ad odcm.ProviderID = "provider-ad"

// staff signs n people in by the directory.
func (b *bundle) staff(n int) (ids []odcm.UserID) {
	for i := range n {
		ids = append(ids, b.must(person.Assertion{Provider: ad, Subject: fmt.Sprint("guid-", i), Username: fmt.Sprint("bob", i), Method: "ldap", Admit: true}))
	}
	return ids
}

func (b *bundle) observe(seen ...person.Observation) identity.Observed {
	b.t.Helper()
	counts, err := b.Observe(ctx, ad, seen)
	if err != nil {
		b.t.Fatal(err)
	}
	return counts
}

func TestWhatADirectoryShows(t *testing.T) {
	t.Parallel()
	t.Run("disables at once, with sessions, and enables again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.staff(1)[0]
		secret, _, err := b.SignInBy(ctx, person.Assertion{Provider: ad, Subject: "guid-0", Method: "ldap"}, session.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.observe(person.Observation{Subject: "guid-0", Disabled: true, Username: "bob0"}); got.Disabled != 1 {
			t.Errorf("counted %+v", got)
		}
		if p := b.person(id); !p.Disabled || p.DisabledBy != ad {
			t.Errorf("after: %+v", p.User)
		}
		_, err = b.Authenticate(ctx, session.Secret{Session: secret}, "")
		b.refused("the session", err, "identity.not-signed-in")
		if got := b.observe(person.Observation{Subject: "guid-0", Username: "bob0"}); got.Enabled != 1 || b.person(id).Disabled {
			t.Errorf("not enabled again: %+v", got)
		}
	})
	t.Run("never enables whom an administrator disabled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.staff(1)[0]
		off := true
		if _, err := b.Update(ctx, odcm.System, id, b.person(id).Revision, identity.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		b.observe(person.Observation{Subject: "guid-0", Username: "bob0"})
		if !b.person(id).Disabled {
			t.Error("enabled")
		}
		b.observe(person.Observation{Subject: "guid-0", Disabled: true})
		b.observe(person.Observation{Subject: "guid-0"})
		if !b.person(id).Disabled {
			t.Error("enabled after the directory had disabled him too")
		}
	})
	t.Run("is not another provider's business", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.staff(1)[0]
		b.observe(person.Observation{Subject: "guid-0", Disabled: true})
		if _, err := b.Observe(ctx, "provider-other", []person.Observation{{Subject: "guid-0"}}); err != nil {
			t.Fatal(err)
		}
		if !b.person(id).Disabled {
			t.Error("another provider enabled him")
		}
	})
	t.Run("is not believed where most have gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ids := b.staff(12)
		var seen []person.Observation
		for i := range ids {
			seen = append(seen, person.Observation{Subject: fmt.Sprint("guid-", i), Gone: i < 10})
		}
		_, err := b.Observe(ctx, ad, seen)
		b.refused("empty directory", err, "identity.reading-suspicious")
		for _, id := range ids {
			if b.person(id).Disabled {
				t.Fatal("somebody was disabled")
			}
		}
		if got := b.observe(seen[:1]...); got.Disabled != 1 {
			t.Errorf("one who has gone: %+v", got)
		}
	})
	t.Run("keeps the last administrator", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.staff(1)[0]
		roles := []odcm.Role{odcm.Administrator}
		if _, err := b.Update(ctx, odcm.System, id, b.person(id).Revision, identity.Change{Roles: &roles}); err != nil {
			t.Fatal(err)
		}
		b.observe(person.Observation{Subject: "guid-0", Disabled: true})
		if b.person(id).Disabled {
			t.Error("nobody could administer ODCM any more")
		}
	})
	t.Run("changes names, marks and groups, and nothing of who was not read", func(t *testing.T) {
		t.Parallel()
		g := &groups{}
		b := setup(t).with(identity.Options{Groups: g})
		ids := b.staff(2)
		b.clock.pass(time.Minute)
		got := b.observe(person.Observation{Subject: "guid-0", Username: "bob0", DisplayName: "Bob", Marks: map[string]string{"sid": "S-1-5-21-1"},
			Groups: []person.ExternalGroup{{ID: "g"}}, GroupsKnown: true})
		if p := b.person(ids[0]); got.Updated != 1 || p.Identities[0].Marks["sid"] != "S-1-5-21-1" || len(g.said[ids[0]]) != 1 {
			t.Errorf("%+v %+v", got, p)
		}
		if _, said := g.said[ids[1]]; said {
			t.Error("groups of somebody who was not read were touched")
		}
		if got := b.observe(person.Observation{Subject: "guid-0", Username: "bob0", DisplayName: "Bob", Marks: map[string]string{"sid": "S-1-5-21-1"}}); got.Updated != 0 {
			t.Errorf("the same again changed something: %+v", got)
		}
	})
}

func TestLinkedSubjectsArePaged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.staff(5)
	var all []string
	for after := ""; ; {
		page, err := b.Linked(ctx, ad, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all, after = append(all, page...), page[len(page)-1]
	}
	if len(all) != 5 || all[0] != "guid-0" || all[4] != "guid-4" {
		t.Errorf("subjects %q", all)
	}
}
