package letter_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/mail"
	"odcm/kit/signal"
	"odcm/manager/identity"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/letter"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
	"odcm/manager/identity/session"
)

// box is where mail goes that is written.
type box struct {
	mu    sync.Mutex
	got   []mail.Message
	ready bool
}

func (b *box) Put(_ context.Context, _ *sql.Tx, m mail.Message, _ time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m)
	return nil
}

func (b *box) Ready() bool { return b.ready }

type groups struct{ joined []odcm.GroupID }

func (g *groups) Join(_ context.Context, _ odcm.Principal, _ odcm.UserID, all []odcm.GroupID) error {
	if slices.Contains(all, "group-gone") {
		return odcm.E(odcm.NotFound, "group.not-found", "There is no such group.")
	}
	g.joined = append(g.joined, all...)
	return nil
}

type bundle struct {
	*letter.Service
	t      *testing.T
	people *identity.Service
	store  *identitysql.Store
	log    *eventlog.Log
	box    *box
	groups *groups
	now    time.Time
}

const password = "correct horse"

var (
	admin = odcm.Principal{User: "user-admin", Name: "barry", Roles: []odcm.Role{odcm.Administrator}}
	here  = session.Client{Address: "192.0.2.1"}
)

func setup(t *testing.T) *bundle {
	t.Helper()
	ctx := t.Context()
	d := dbtest.Open(t, dbtest.SQLite(t))
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	b := &bundle{t: t, box: &box{ready: true}, groups: &groups{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	if b.log, err = eventlog.New(ctx, d, bus); err != nil {
		t.Fatal(err)
	}
	if b.store, err = identitysql.New(ctx, d, b.log); err != nil {
		t.Fatal(err)
	}
	auth, clock := role.NewAuthorizer(), func() time.Time { return b.now }
	quiet := slog.New(slog.DiscardHandler)
	b.people = identity.New(identity.Options{Store: b.store, Bus: bus, Authorizer: auth, Now: clock, Logger: quiet})
	b.Service = b.restarted()
	return b
}

// restarted is another process on the same database.
func (b *bundle) restarted() *letter.Service {
	return letter.New(letter.Options{People: b.people, Store: b.store.Letters(b.box), Authorizer: role.NewAuthorizer(), Outbox: b.box, Groups: b.groups,
		PublicURL: func() string { return "https://odcm.example.com" }, Pace: time.Millisecond, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now }})
}

var linkPattern = regexp.MustCompile(`https://odcm\.example\.com/(invitation|verification|reset)\?link=([A-Za-z0-9_-]{43})`)

// secret is that of the last letter that was mailed.
func (b *bundle) secret() string {
	b.t.Helper()
	if len(b.box.got) == 0 {
		b.t.Fatal("nothing was mailed")
	}
	m := linkPattern.FindStringSubmatch(b.box.got[len(b.box.got)-1].Text)
	if m == nil {
		b.t.Fatalf("no link in %q", b.box.got[len(b.box.got)-1].Text)
	}
	return m[2]
}

func (b *bundle) code(what string, err error, code string) {
	b.t.Helper()
	if odcm.CodeOf(err) != code {
		b.t.Errorf("%s: %v (%s), want %s", what, err, odcm.CodeOf(err), code)
	}
}

// user makes one who has proved an address.
func (b *bundle) user(name, address string) person.User {
	b.t.Helper()
	u, err := b.people.Create(b.t.Context(), odcm.System, identity.NewUser{Username: name, Password: password, Email: address})
	if err == nil {
		err = b.people.VerifyEmail(b.t.Context(), odcm.System, u.ID, address)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

func self(u person.User) odcm.Principal {
	return odcm.Principal{User: u.ID, Name: u.Username, Roles: []odcm.Role{odcm.Member}}
}

// A group that is gone stops the invitation, and the next try finds the name free.
func TestInvitationIntoAGroupThatIsGone(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	n := letter.Invite{Email: "geoff@consult.example", Groups: []odcm.GroupID{"group-gone"}}
	_, _, err := b.Invite(ctx, admin, n)
	var e *odcm.Error
	if !errors.As(err, &e) || e.Code != "group.not-found" || len(e.Fields) != 1 || e.Fields[0].Field != "groups" {
		t.Errorf("%v", err)
	}
	if who, err := b.people.FindPerson(ctx, n.Email); odcm.KindOf(err) != odcm.NotFound || len(b.box.got) != 0 {
		t.Errorf("%+v, %v, mailed %v", who.User, err, b.box.got)
	}
	n.Groups = []odcm.GroupID{"group-1"}
	if u, _, err := b.Invite(ctx, admin, n); err != nil || u.Username != n.Email || len(b.groups.joined) != 1 {
		t.Errorf("again: %+v, %v", u, err)
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	invite := letter.Invite{Email: "geoff@consult.example", DisplayName: "Geoff Outsider", Groups: []odcm.GroupID{"group-1"}}
	t.Run("is taken up with a password, once, by whoever has the link, after a restart", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		u, link, err := b.Invite(ctx, admin, invite)
		if err != nil || link != "" || u.Username != "geoff@consult.example" || len(b.groups.joined) != 1 {
			t.Fatalf("%+v, %q, %v", u, link, err)
		}
		if m := b.box.got[0]; m.To != "geoff@consult.example" || !strings.Contains(m.HTML, "barry invites you") || !strings.Contains(m.HTML, b.secret()) {
			t.Errorf("mailed %+v", m)
		}
		after := b.restarted()
		for range 2 { // mail is read by machines too
			if _, who, err := after.Look(ctx, letter.Invitation, b.secret()); err != nil || who.ID != u.ID {
				t.Errorf("looking: %+v, %v", who.User, err)
			}
		}
		_, _, err = after.Accept(ctx, b.secret(), "short", here)
		b.code("a bad password uses nothing up", err, "identity.password-invalid")
		secret, session, err := after.Accept(ctx, b.secret(), password, here)
		if err != nil || session.User != u.ID || secret == "" {
			t.Fatalf("%+v, %v", session, err)
		}
		_, _, err = after.Accept(ctx, b.secret(), password, here)
		b.code("again", err, "letter.gone")
		if p, _ := b.people.Person(ctx, odcm.System, u.ID); p.Email().Verified.IsZero() {
			t.Error("that the link was read there proves the address")
		}
	})
	t.Run("is taken up with an account at a provider", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		u, _, err := b.Invite(ctx, admin, invite)
		if err != nil {
			t.Fatal(err)
		}
		a := person.Assertion{Provider: "provider-entra", Subject: "tid/oid", Method: "oidc", Username: "geoff"}
		_, session, err := b.AcceptBy(ctx, b.secret(), a, here)
		if err != nil || session.User != u.ID || session.Method != "oidc" {
			t.Fatalf("%+v, %v", session, err)
		}
		other, _, err := b.Invite(ctx, admin, letter.Invite{Email: "second@consult.example"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = b.AcceptBy(ctx, b.secret(), a, here)
		b.code("an account of somebody else", err, "letter.account-known")
		if _, who, err := b.Look(ctx, letter.Invitation, b.secret()); err != nil || who.ID != other.ID {
			t.Errorf("the invitation was used up by it: %v", err)
		}
	})
	t.Run("is for the administrator to hand over where no mail is set up, and then proves no address", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		b.box.ready = false
		u, link, err := b.Invite(ctx, admin, invite)
		m := linkPattern.FindStringSubmatch(link)
		if err != nil || m == nil || len(b.box.got) != 0 {
			t.Fatalf("%q, %v", link, err)
		}
		if _, _, err := b.Accept(ctx, m[2], password, here); err != nil {
			t.Fatal(err)
		}
		if p, _ := b.people.Person(ctx, odcm.System, u.ID); !p.Email().Verified.IsZero() {
			t.Error("an address was proved by a link that went elsewhere")
		}
	})
	t.Run("ends", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		u, _, err := b.Invite(ctx, admin, invite)
		if err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(7*24*time.Hour - time.Millisecond)
		if _, _, err := b.Look(ctx, letter.Invitation, b.secret()); err != nil {
			t.Error(err)
		}
		b.now = b.now.Add(time.Millisecond)
		_, _, err = b.Accept(ctx, b.secret(), password, here)
		b.code("after a week", err, "letter.gone")
		if _, err := b.InviteAgain(ctx, admin, u.ID); err != nil {
			t.Fatal(err)
		}
		off := true
		if _, err := b.people.Update(ctx, odcm.System, u.ID, u.Revision, identity.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		_, _, err = b.Accept(ctx, b.secret(), password, here)
		b.code("of a deactivated user", err, "letter.gone")
	})
	t.Run("is for administrators to send, to addresses that are nobody's", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		bob := b.user("bob", "bob@example.com")
		_, _, err := b.Invite(ctx, self(bob), invite)
		b.code("by a member", err, "identity.role-missing")
		_, _, err = b.Invite(ctx, admin, letter.Invite{Email: "BOB@example.com"})
		b.code("whom one knows", err, "letter.known")
		_, err = b.InviteAgain(ctx, admin, bob.ID)
		b.code("who came", err, "letter.came")
		for _, bad := range []string{"", "x", "a@b.example\r\nBcc: evil@example.com", "a@b.example, evil@example.com"} {
			if _, _, err := b.Invite(ctx, admin, letter.Invite{Email: bad}); odcm.KindOf(err) != odcm.Invalid {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if len(b.box.got) != 0 {
			t.Errorf("mailed %+v", b.box.got)
		}
	})
}

func TestVerification(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	bob, eve := b.user("bob", "bob@example.com"), b.user("eve", "eve@example.com")
	if err := b.people.AddEmail(ctx, self(eve), eve.ID, "victim@example.com"); err != nil {
		t.Fatal(err)
	}
	b.code("another's address", b.AskToVerify(ctx, self(bob), "victim@example.com"), "letter.no-address")
	if err := b.AskToVerify(ctx, self(eve), "VICTIM@example.com"); err != nil {
		t.Fatal(err)
	}
	_, err := b.Verify(ctx, self(bob), b.secret())
	b.code("by the one who got the mail and is somebody else", err, "letter.not-yours")
	_, err = b.Verify(ctx, odcm.Principal{}, b.secret())
	b.code("by nobody", err, "letter.not-yours")
	if a, err := b.Verify(ctx, self(eve), b.secret()); err != nil || a != "victim@example.com" {
		t.Errorf("%q, %v", a, err)
	}
	_, err = b.Verify(ctx, self(eve), b.secret())
	b.code("twice", err, "letter.gone")
	b.box.ready = false
	b.code("without mail", b.AskToVerify(ctx, self(eve), "victim@example.com"), "letter.no-mail")
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	t.Run("is replaced by a link that works once and ends all sessions", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		u := b.user("bob", "bob@example.com")
		secret, _, err := b.people.SignIn(ctx, identity.Credentials{Username: "bob", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Forgot(ctx, "BOB@example.com", here); err != nil || len(b.box.got) != 1 {
			t.Fatal(err, b.box.got)
		}
		_, err = b.ChoosePassword(ctx, b.secret(), "short")
		b.code("a bad one uses nothing up", err, "identity.password-invalid")
		if got, err := b.ChoosePassword(ctx, b.secret(), "battery staple"); err != nil || got.ID != u.ID {
			t.Fatal(err)
		}
		_, err = b.ChoosePassword(ctx, b.secret(), "battery staple 2")
		b.code("again", err, "letter.gone")
		if _, err := b.people.Authenticate(ctx, session.Secret{Session: secret}, ""); odcm.KindOf(err) != odcm.Unauthenticated {
			t.Errorf("an old session lives: %v", err)
		}
		if _, _, err := b.people.SignIn(ctx, identity.Credentials{Username: "bob", Password: "battery staple"}); err != nil {
			t.Error(err)
		}
	})
	t.Run("tells nobody who is known", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		off := true
		gone := b.user("gone", "gone@example.com")
		if _, err := b.people.Update(ctx, odcm.System, gone.ID, gone.Revision, identity.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.people.Create(ctx, odcm.System, identity.NewUser{Username: "typed", Password: password, Email: "typed@example.com"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.people.Create(ctx, odcm.System, identity.NewUser{Username: "external"}); err != nil {
			t.Fatal(err)
		}
		upstream, err := b.people.Create(ctx, odcm.System, identity.NewUser{Username: "upstream", Email: "upstream@example.com"}) // signs in elsewhere
		if err == nil {
			err = b.people.VerifyEmail(ctx, odcm.System, upstream.ID, "upstream@example.com")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{"upstream", "upstream@example.com", "nobody", "nobody@example.com", "gone", "gone@example.com", "typed@example.com", "typed", "external", "", "\x00", strings.Repeat("x", 5000)} {
			if err := b.Forgot(ctx, ref, here); err != nil {
				t.Errorf("%.20q: %v", ref, err)
			}
		}
		if len(b.box.got) != 0 {
			t.Errorf("mailed %+v", b.box.got)
		}
	})
	t.Run("is answered at a bounded rate", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		b.user("bob", "bob@example.com")
		var last error
		for range 30 {
			last = b.Forgot(ctx, "bob", here)
		}
		b.code("from one place", last, "identity.too-many-attempts")
		if n := len(b.box.got); n == 0 || n > 5 {
			t.Errorf("%d letters to one user", n)
		}
	})
	t.Run("is for an administrator where no mail is set up", func(t *testing.T) {
		t.Parallel()
		b, ctx := setup(t), t.Context()
		b.box.ready = false
		u := b.user("bob", "bob@example.com")
		b.code("by oneself", b.Forgot(ctx, "bob", here), "letter.no-mail")
		_, err := b.Offer(ctx, self(u), u.ID)
		b.code("by a member", err, "identity.role-missing")
		link, err := b.Offer(ctx, admin, u.ID)
		m := linkPattern.FindStringSubmatch(link)
		if err != nil || m == nil {
			t.Fatalf("%q, %v", link, err)
		}
		if _, err := b.ChoosePassword(ctx, m[2], "battery staple"); err != nil {
			t.Error(err)
		}
	})
}

func TestAnAnswerTakesAsLongWhetherSomebodyIsKnownOrNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("bob", "bob@example.com")
	slow := letter.New(letter.Options{People: b.people, Store: b.store.Letters(b.box), Authorizer: role.NewAuthorizer(), Outbox: b.box,
		PublicURL: func() string { return "https://odcm.example.com" }, Pace: 200 * time.Millisecond, Now: func() time.Time { return b.now }})
	for _, name := range []string{"bob", "nobody"} {
		began := time.Now()
		if err := slow.Forgot(t.Context(), name, here); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("%s: answered after %s", name, took)
		}
	}
}

func TestNoSecretIsKeptOrTold(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	if _, _, err := b.Invite(ctx, admin, letter.Invite{Email: "geoff@consult.example"}); err != nil {
		t.Fatal(err)
	}
	events, err := b.log.List(ctx, eventlog.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if strings.Contains(string(e.After)+string(e.Before), b.secret()) {
			t.Errorf("event %s tells the secret", e.Type)
		}
	}
}

func FuzzLook(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("A", 43))
	f.Add("' OR 1=1 --")
	f.Fuzz(func(t *testing.T, secret string) {
		_, _, err := letter.New(letter.Options{Store: nothing{}}).Look(context.Background(), letter.Reset, secret)
		if odcm.CodeOf(err) != "letter.gone" {
			t.Fatalf("%q: %v", secret, err)
		}
	})
}

// nothing holds no letter.
type nothing struct{ letter.Store }

func (nothing) Letter(context.Context, letter.Purpose, string, time.Time) (letter.Letter, error) {
	return letter.Letter{}, odcm.E(odcm.NotFound, "", "none")
}
