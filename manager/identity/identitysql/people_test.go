package identitysql_test

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/mail"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/merge"
	"odcm/manager/identity/person"
)

const provider odcm.ProviderID = "provider-ad"

func linked(t *testing.T, s bundle, u person.User, subject string, change ...func(*person.Identity)) person.Identity {
	t.Helper()
	i := person.Identity{ID: odcm.NewID[person.IdentityID]("identity"), User: u.ID, Provider: provider, Subject: subject, Username: "CORP\\" + u.Username,
		Marks: map[string]string{}, Linked: start}
	for _, f := range change {
		f(&i)
	}
	if err := s.Link(t.Context(), i, event("identity.linked", string(u.ID))); err != nil {
		t.Fatal(err)
	}
	return i
}

func whole(t *testing.T, s bundle, u person.User) person.Person {
	t.Helper()
	all, err := s.People(t.Context(), []odcm.UserID{u.ID})
	if err != nil || len(all) != 1 {
		t.Fatalf("People = %+v, %v", all, err)
	}
	return all[0]
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob, ann := user(t, s, "bob"), user(t, s, "ann")
		i := linked(t, s, bob, "guid-1", func(i *person.Identity) {
			i.Email, i.EmailVerified, i.Marks = "bob@example.com", true, map[string]string{"sid": "S-1", "upn": "bob@corp"}
		})
		again := i
		again.ID, again.User = "identity-other", ann.ID
		wantKind(t, "one account of two users", s.Link(ctx, again, event("identity.linked", "x")), odcm.Exists, "identity.linked-elsewhere")

		got, u, err := s.IdentityBySubject(ctx, provider, "guid-1")
		if err != nil || u.ID != bob.ID || got.Username != `CORP\bob` || got.Marks["upn"] != "bob@corp" || !got.Linked.Equal(start) {
			t.Errorf("IdentityBySubject = %+v, %+v, %v", got, u, err)
		}
		_, _, err = s.IdentityBySubject(ctx, "provider-other", "guid-1")
		wantKind(t, "same subject elsewhere", err, odcm.NotFound, "identity.identity-not-found")

		i.Email, i.Marks, i.LastSignIn, i.Gone = "bob.new@example.com", map[string]string{"sid": "S-1"}, start.Add(time.Hour), true
		if err := s.Saw(ctx, []person.Identity{i}); err != nil {
			t.Fatal(err)
		}
		i.LastSignIn = time.Time{} // a reading, which is no sign-in
		if err := s.Saw(ctx, []person.Identity{i}); err != nil {
			t.Fatal(err)
		}
		p := whole(t, s, bob)
		if len(p.Identities) != 1 || !p.Identities[0].LastSignIn.Equal(start.Add(time.Hour)) || !p.Identities[0].Gone || len(p.Identities[0].Marks) != 1 {
			t.Errorf("kept %+v", p.Identities)
		}
		if len(p.Emails) != 1 || p.Emails[0].Address != "bob.new@example.com" || !p.Emails[0].Main || !p.HasPassword {
			t.Errorf("addresses %+v", p.Emails)
		}
		linked(t, s, ann, "guid-2")
		if all, err := s.IdentitiesBySubject(ctx, provider, []string{"guid-1", "guid-2", "guid-3"}); err != nil || len(all) != 2 {
			t.Errorf("IdentitiesBySubject = %+v, %v", all, err)
		}
		if all, err := s.Subjects(ctx, provider, "guid-1", 10); err != nil || !slices.Equal(all, []string{"guid-2"}) {
			t.Errorf("Subjects = %q, %v", all, err)
		}
		wantKind(t, "another's", s.Unlink(ctx, ann.ID, i.ID, event("identity.unlinked", "x")), odcm.NotFound, "identity.identity-not-found")
		if err := s.Unlink(ctx, bob.ID, i.ID, event("identity.unlinked", "x")); err != nil {
			t.Fatal(err)
		}
		if p := whole(t, s, bob); len(p.Identities) != 0 || len(p.Emails) != 0 {
			t.Errorf("left %+v", p)
		}

		carl := person.User{ID: "user-carl", Username: "carl", DisplayName: "Carl", Revision: 1, Created: start}
		mine := person.Identity{ID: "identity-carl", User: carl.ID, Provider: provider, Subject: "guid-2", Linked: start}
		wantKind(t, "new user of a known account", s.CreateLinked(ctx, carl, "carl", mine, event("identity.user-created", "x")), odcm.Exists, "identity.linked-elsewhere")
		mine.Subject = "guid-9"
		wantKind(t, "new user of a taken name", s.CreateLinked(ctx, carl, "bob", mine, event("identity.user-created", "x")), odcm.Exists, "identity.username-taken")
		if _, err := s.User(ctx, carl.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("half a user was left: %v", err)
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		ann, bob, carl := user(t, s, "ann", odcm.Administrator), user(t, s, "bob", odcm.Member), user(t, s, "carl_100%")
		linked(t, s, bob, "guid-1")
		if err := s.AddEmail(ctx, ann.ID, person.Email{Address: "Ann@Example.com"}, 5, event("identity.email-added", "x")); err != nil {
			t.Fatal(err)
		}
		carl.Disabled = true
		if err := s.UpdateUser(ctx, carl, event("identity.user-updated", "x")); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			f    person.Filter
			want []string
		}{
			"all":                {person.Filter{}, []string{"ann", "bob", "carl_100%"}},
			"active":             {person.Filter{State: person.Active}, []string{"ann", "bob"}},
			"disabled":           {person.Filter{State: person.Disabled}, []string{"carl_100%"}},
			"deleted":            {person.Filter{State: person.Deleted}, nil},
			"provider":           {person.Filter{Provider: provider}, []string{"bob"}},
			"local":              {person.Filter{Provider: person.Local}, []string{"ann", "bob", "carl_100%"}},
			"role":               {person.Filter{Role: odcm.Member}, []string{"bob"}},
			"by address":         {person.Filter{Text: "@EXAMPLE"}, []string{"ann"}},
			"by name":            {person.Filter{Text: "BOB's"}, []string{"bob"}},
			"signs mean nothing": {person.Filter{Text: "_100%"}, []string{"carl_100%"}},
			"a percent sign":     {person.Filter{Text: "n%n"}, nil},
		} {
			all, err := s.List(ctx, c.f, "", 10)
			var names []string
			for _, p := range all {
				names = append(names, p.Username)
			}
			if err != nil || !slices.Equal(names, c.want) {
				t.Errorf("%s: %q, %v; want %q", name, names, err, c.want)
			}
		}
		if page, err := s.List(ctx, person.Filter{}, "ann", 1); err != nil || len(page) != 1 || page[0].Username != "bob" || len(page[0].Identities) != 1 {
			t.Errorf("second page = %+v, %v", page, err)
		}
	})
}

func TestEmails(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob := user(t, s, "bob")
		e := event("identity.email-added", "x")
		for _, a := range []string{"a@example.com", "b@example.com"} {
			if err := s.AddEmail(ctx, bob.ID, person.Email{Address: a}, 2, e); err != nil {
				t.Fatal(err)
			}
		}
		wantKind(t, "a third", s.AddEmail(ctx, bob.ID, person.Email{Address: "c@example.com"}, 2, e), odcm.Invalid, "identity.emails-full")
		wantKind(t, "not verified", s.UseEmail(ctx, bob.ID, "b@example.com", e), odcm.Conflict, "identity.email-not-verified")
		wantKind(t, "not his", s.VerifyEmail(ctx, bob.ID, "x@example.com", start, e), odcm.NotFound, "")
		if err := s.VerifyEmail(ctx, bob.ID, "b@example.com", start, e); err != nil {
			t.Fatal(err)
		}
		if err := s.UseEmail(ctx, bob.ID, "b@example.com", e); err != nil {
			t.Fatal(err)
		}
		if all, err := s.UsersByEmail(ctx, "b@example.com"); err != nil || len(all) != 1 {
			t.Errorf("UsersByEmail = %+v, %v", all, err)
		}
		if all, err := s.UsersByEmail(ctx, "a@example.com"); err != nil || len(all) != 0 {
			t.Errorf("an unverified address finds %+v, %v", all, err)
		}
		if err := s.RemoveEmail(ctx, bob.ID, "b@example.com", e); err != nil {
			t.Fatal(err)
		}
		if p := whole(t, s, bob); len(p.Emails) != 1 || !p.Emails[0].Main {
			t.Errorf("left %+v", p.Emails)
		}
	})
}

func TestPictures(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob := user(t, s, "bob")
		_, _, err := s.Picture(ctx, bob.ID)
		wantKind(t, "none", err, odcm.NotFound, "identity.picture-not-found")
		for _, tag := range []string{"one", "two"} {
			if err := s.SetPicture(ctx, bob.ID, tag, []byte{0, 1, 0xff}, event("identity.picture-changed", "x")); err != nil {
				t.Fatal(err)
			}
		}
		if tag, jpeg, err := s.Picture(ctx, bob.ID); err != nil || tag != "two" || string(jpeg) != "\x00\x01\xff" {
			t.Errorf("Picture = %q, %x, %v", tag, jpeg, err)
		}
		if err := s.SetPicture(ctx, bob.ID, "", nil, event("identity.picture-changed", "x")); err != nil {
			t.Fatal(err)
		}
		if u, _ := s.User(ctx, bob.ID); u.Picture != "" {
			t.Errorf("tag left: %q", u.Picture)
		}
		wantKind(t, "nobody's", s.SetPicture(ctx, "user-none", "x", nil, event("identity.picture-changed", "x")), odcm.NotFound, "")
	})
}

// outbox keeps what it is given.
type outbox struct{ put []mail.Message }

func (o *outbox) Put(_ context.Context, _ *sql.Tx, m mail.Message, _ time.Time) error {
	if m.Subject == "fails" {
		return odcm.E(odcm.Unavailable, "mail.not-set-up", "no")
	}
	o.put = append(o.put, m)
	return nil
}

func TestLetters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		bob := user(t, s, "bob")
		box := &outbox{}
		letters := s.Letters(box)
		write := func(token string, p letter.Purpose, m *mail.Message) error {
			l := letter.Letter{ID: "letter-" + token, Purpose: p, User: bob.ID, Address: "bob@example.com", Created: start, Expires: start.Add(time.Hour)}
			return letters.CreateLetter(ctx, l, token, m, start.Add(-time.Hour), 3, event("identity.letter-written", "x"))
		}
		if err := write("one", letter.Reset, &mail.Message{To: "bob@example.com", Subject: "hello"}); err != nil || len(box.put) != 1 {
			t.Fatal(err, box.put)
		}
		wantKind(t, "mail that cannot be kept", write("lost", letter.Reset, &mail.Message{Subject: "fails"}), odcm.Unavailable, "")
		if _, err := letters.Letter(ctx, letter.Reset, "lost", start); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("a letter without its mail was kept: %v", err)
		}
		for what, try := range map[string]func() error{
			"another purpose": func() error { _, err := letters.UseLetter(ctx, letter.Invitation, "one", start); return err },
			"another secret":  func() error { _, err := letters.UseLetter(ctx, letter.Reset, "two", start); return err },
			"at its end":      func() error { _, err := letters.UseLetter(ctx, letter.Reset, "one", start.Add(time.Hour)); return err },
		} {
			wantKind(t, what, try(), odcm.NotFound, "")
		}
		if err := write("two", letter.Reset, nil); err != nil {
			t.Fatal(err)
		}
		if open, err := letters.Open(ctx, bob.ID, start); err != nil || len(open) != 2 {
			t.Errorf("Open = %+v, %v", open, err)
		}
		var wins int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if l, err := letters.UseLetter(context.Background(), letter.Reset, "one", start); err == nil && l.User == bob.ID {
					mu.Lock()
					wins++
					mu.Unlock()
				} else if odcm.KindOf(err) != odcm.NotFound {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			t.Errorf("the link worked %d times", wins)
		}
		_, err := letters.Letter(ctx, letter.Reset, "two", start)
		wantKind(t, "an older link after a newer one was used", err, odcm.NotFound, "")
		for _, token := range []string{"3", "4", "5"} {
			if err := write(token, letter.Invitation, nil); err != nil {
				t.Fatal(err)
			}
		}
		wantKind(t, "a fourth in an hour", write("6", letter.Invitation, nil), odcm.Unavailable, "letter.too-many")
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), open(t, d)
		ann, bob, rob := user(t, s, "ann", odcm.Administrator), user(t, s, "bob"), user(t, s, "rob", odcm.Administrator)
		sid := func(sid, email string) func(*person.Identity) {
			return func(i *person.Identity) {
				i.Marks["sid"], i.Email, i.EmailVerified = sid, email, true
			}
		}
		linked(t, s, bob, "guid-1", sid("S-1-5", "bob@example.com"))
		linked(t, s, rob, "guid-2", sid("s-1-5", "bob@example.com"))
		linked(t, s, ann, "guid-3", sid("S-1-6", "ann@example.com"))
		key(t, s, rob, "key of rob", time.Time{})
		signedIn(t, s, rob, "session of rob")
		alike, err := s.Alike(ctx, 10)
		if err != nil || len(alike) != 2 || alike[0].Pair != merge.PairOf(rob.ID, bob.ID) || alike[0].Sign != merge.SameAccount || alike[1].Sign != merge.VerifiedEmail {
			t.Fatalf("Alike = %+v, %v", alike, err)
		}
		if err := s.Distinguish(ctx, merge.PairOf(bob.ID, rob.ID), start, "ann", event("identity.merge-dismissed", "x")); err != nil {
			t.Fatal(err)
		}
		if alike, err := s.Alike(ctx, 10); err != nil || len(alike) != 0 {
			t.Errorf("a decision was forgotten: %+v, %v", alike, err)
		}
		e := event("identity.users-merged", string(bob.ID))
		stale := rob
		stale.Revision = 9
		wantKind(t, "changed meanwhile", s.Merge(ctx, bob, stale, start, e), odcm.Conflict, "identity.user-changed")
		if err := s.Merge(ctx, bob, rob, start, e); err != nil {
			t.Fatal(err)
		}
		if p := whole(t, s, bob); len(p.Identities) != 2 || len(p.Emails) != 1 || len(p.Roles) != 0 {
			t.Errorf("kept %+v", p)
		}
		if p := whole(t, s, rob); p.MergedInto != bob.ID || p.Deleted.IsZero() || p.HasPassword || len(p.Identities) != 0 {
			t.Errorf("gone %+v", p)
		}
		if _, u, err := s.KeyByToken(ctx, "key of rob"); err != nil || u.ID != bob.ID {
			t.Errorf("the key is %+v's, %v", u, err)
		}
		_, _, err = s.SessionByToken(ctx, "session of rob")
		wantKind(t, "his session", err, odcm.NotFound, "")
		bob.Revision++
		wantKind(t, "the last administrator", s.Merge(ctx, bob, ann, start, e), odcm.Conflict, "identity.last-administrator")
	})
}
