package groupsql_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity/group"
	"odcm/manager/identity/group/graph"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/person"
	"odcm/manager/identity/role"
)

var admin = odcm.Principal{User: "user-admin", Name: "admin", Roles: []odcm.Role{odcm.Administrator}, Via: "session"}

// world is a replica: the service on a database that has users.
type world struct {
	*group.Service
	t      testing.TB
	db     *db.DB
	log    *eventlog.Log
	bus    *signal.Bus
	people *identitysql.Store
	uses   []string
	picks  *pickers
}

func open(t testing.TB, d *db.DB) *world {
	t.Helper()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	w := &world{t: t, db: d, bus: bus, picks: &pickers{}}
	if w.log, err = eventlog.New(t.Context(), d, bus); err != nil {
		t.Fatal(err)
	}
	if w.people, err = identitysql.New(t.Context(), d, w.log); err != nil {
		t.Fatal(err)
	}
	store, err := groupsql.New(t.Context(), d, w.log)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = group.New(group.Options{Store: store, Log: w.log, Bus: bus, Authorizer: role.NewAuthorizer(), Uses: w, Pickers: w.picks})
	return w
}

func (w *world) UsesOf(context.Context, odcm.GroupID) ([]string, error) { return w.uses, nil }

type pickers struct {
	sources []group.Source
	groups  []person.ExternalGroup
	err     error
}

func (p *pickers) Sources(context.Context) ([]group.Source, error) { return p.sources, nil }
func (p *pickers) FindGroups(context.Context, odcm.ProviderID, string, int) ([]person.ExternalGroup, error) {
	return p.groups, p.err
}

func (w *world) user(name string) odcm.UserID {
	w.t.Helper()
	u := person.User{ID: odcm.NewID[odcm.UserID]("user"), Username: name, DisplayName: strings.ToUpper(name[:1]) + name[1:], Revision: 1, Created: time.Now()}
	err := w.people.CreateUser(w.t.Context(), u, name, "", odcm.NewEvent(odcm.System, "identity.user-created", string(u.ID), name, nil, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	return u.ID
}

func (w *world) group(name string) group.Group {
	w.t.Helper()
	g, err := w.Create(w.t.Context(), admin, group.NewGroup{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *world) put(id odcm.GroupID, e group.Edit) {
	w.t.Helper()
	if _, err := w.Edit(w.t.Context(), admin, id, e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) graph() *graph.Graph {
	w.t.Helper()
	g, err := w.Graph(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func wantCode(t testing.TB, err error, kind odcm.Kind, code string) {
	t.Helper()
	if !errors.Is(err, odcm.E(kind, code, "")) {
		t.Errorf("got %v (%s), want %s %s", err, odcm.CodeOf(err), kind, code)
	}
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { f(t, open(t, d)) })
}

func TestGroupsHaveUniqueNamesAndRevisions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		g := w.group("  Developers ")
		if g.Name != "Developers" || g.Revision != 1 || g.IsExternal() {
			t.Errorf("made %+v", g)
		}
		_, err := w.Create(ctx, admin, group.NewGroup{Name: "DEVELOPERS"})
		wantCode(t, err, odcm.Exists, "group.name-taken")
		for _, bad := range []string{"", " ", "a\x00b", "a\u202eb", strings.Repeat("a", 101), "\xff"} {
			_, err := w.Create(ctx, admin, group.NewGroup{Name: bad})
			wantCode(t, err, odcm.Invalid, "")
		}
		other := w.group("Testers")
		name, text := "developers", "they test"
		_, err = w.Update(ctx, admin, other.ID, group.Update{Name: &name})
		wantCode(t, err, odcm.Exists, "group.name-taken")
		got, err := w.Update(ctx, admin, other.ID, group.Update{Description: &text, Revision: 1})
		if err != nil || got.Description != text || got.Name != "Testers" || got.Revision != 2 {
			t.Errorf("updated %+v, %v", got, err)
		}
		_, err = w.Update(ctx, admin, other.ID, group.Update{Description: &text, Revision: 1})
		wantCode(t, err, odcm.Conflict, "group.changed")
		wantCode(t, w.Delete(ctx, admin, other.ID, group.Deletion{Revision: 1}), odcm.Conflict, "group.changed")
		if err := w.Delete(ctx, admin, other.ID, group.Deletion{}); err != nil {
			t.Error(err)
		}
		_, err = w.Get(ctx, admin, other.ID)
		wantCode(t, err, odcm.NotFound, "group.not-found")
	})
}

func TestOnlyAdministratorsChangeAndAuditorsRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, g, bob := t.Context(), w.group("Developers"), w.user("bob")
		name := "x"
		auditor, member := odcm.Principal{User: "user-a", Roles: []odcm.Role{odcm.Auditor}}, odcm.Principal{User: bob, Roles: []odcm.Role{odcm.Member}}
		for _, p := range []odcm.Principal{auditor, member} {
			_, create := w.Create(ctx, p, group.NewGroup{Name: name})
			_, update := w.Update(ctx, p, g.ID, group.Update{Name: &name})
			_, edit := w.Edit(ctx, p, g.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
			for _, err := range []error{create, update, edit, w.Delete(ctx, p, g.ID, group.Deletion{})} {
				wantCode(t, err, odcm.Denied, "")
			}
		}
		if _, _, err := w.List(ctx, auditor, group.Query{Limit: 5}); err != nil {
			t.Error(err)
		}
		_, _, err := w.List(ctx, member, group.Query{Limit: 5})
		wantCode(t, err, odcm.Denied, "")
		if _, err := w.Of(ctx, member, bob); err != nil {
			t.Errorf("his own groups: %v", err)
		}
		_, err = w.Of(ctx, member, "user-other")
		wantCode(t, err, odcm.Denied, "")
	})
}

func TestNestedMembersArriveInTheGraphAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bob, ann := w.user("bob"), w.user("ann")
		all, dev, core := w.group("All"), w.group("Developers"), w.group("Core")
		w.put(all.ID, group.Edit{AddGroups: []odcm.GroupID{dev.ID}, AddUsers: []odcm.UserID{ann}})
		w.put(dev.ID, group.Edit{AddGroups: []odcm.GroupID{core.ID}})
		first := w.graph()
		w.put(core.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		g := w.graph()
		if got := g.Path(bob, all.ID); !slices.Equal(got, []odcm.GroupID{core.ID, dev.ID, all.ID}) {
			t.Errorf("path %v", got)
		}
		if got := graph.Diff(first, g); !slices.Equal(got, []odcm.UserID{bob}) || g.Revision() <= first.Revision() {
			t.Errorf("differs for %v, revision %d after %d", got, g.Revision(), first.Revision())
		}
		if w.graph() != g {
			t.Error("nothing happened, and the graph is another")
		}
		reached, total, _, err := w.Reach(t.Context(), admin, all.ID, "", 10)
		if err != nil || total != 2 || len(reached) != 2 || reached[0].User.Username != "bob" || reached[0].Path[0].Name != "Core" {
			t.Errorf("Reach = %+v, %d, %v", reached, total, err)
		}
		tree, err := w.Tree(t.Context(), admin, all.ID)
		if err != nil || tree.Size != 2 || tree.Branches[0].Name != "Developers" || tree.Branches[0].Branches[0].Name != "Core" {
			t.Errorf("Tree = %+v, %v", tree, err)
		}
		if err := w.Delete(t.Context(), admin, dev.ID, group.Deletion{Force: true}); err != nil {
			t.Fatal(err)
		}
		if got := w.graph().GroupsOf(bob); !slices.Equal(got, []odcm.GroupID{core.ID}) {
			t.Errorf("after a group between was deleted: %v", got)
		}
	})
}

func TestDisabledUsersAreNotInTheGraph(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bob, dev := w.user("bob"), w.group("Developers")
		w.put(dev.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		w.graph()
		if _, err := w.db.Write().Exec(`UPDATE identity_user SET disabled = TRUE WHERE id = $1`, bob); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		if err := w.people.Record(t.Context(), odcm.NewEvent(odcm.System, "identity.user-updated", string(bob), "bob", nil, nil)); err != nil {
			t.Fatal(err)
		}
		w.bus.Publish("user/" + string(bob))
		eventually(t, func() bool { return w.graph().Size(dev.ID) == 0 })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if slices.Contains(w.graph().Users(), bob) {
			t.Error("a disabled user is in the graph")
		}
	})
}

// TestWhoIsNamedBesideIsLookedAtToo is about events of package merge: the subject is who stays, who goes is named beside.
func TestWhoIsNamedBesideIsLookedAtToo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		keep, gone := w.user("keep"), w.user("gone")
		w.graph()
		if _, err := w.db.Write().Exec(`UPDATE identity_user SET disabled = TRUE WHERE id = $1`, gone); err != nil {
			t.Fatal(err)
		}
		e := odcm.NewEvent(odcm.System, "identity.users-merged", string(keep), "keep", map[string]any{"gone": gone, "list": []any{1, "user-", "user-none"}}, nil)
		if err := w.people.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return !slices.Contains(w.graph().Users(), gone) })
		if !slices.Contains(w.graph().Users(), keep) {
			t.Error("who stays has gone")
		}
	})
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestCyclesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b, c := w.group("a"), w.group("b"), w.group("c")
		w.put(a.ID, group.Edit{AddGroups: []odcm.GroupID{b.ID}})
		w.put(b.ID, group.Edit{AddGroups: []odcm.GroupID{c.ID}})
		for _, parent := range []group.Group{b, c} {
			_, err := w.Edit(ctx, admin, parent.ID, group.Edit{AddGroups: []odcm.GroupID{a.ID}})
			wantCode(t, err, odcm.Conflict, "group.cycle")
		}
		_, err := w.Edit(ctx, admin, a.ID, group.Edit{AddGroups: []odcm.GroupID{a.ID}})
		wantCode(t, err, odcm.Conflict, "group.cycle")
		// What is taken out in the same edit is no longer in the way.
		w.put(a.ID, group.Edit{RemoveGroups: []odcm.GroupID{b.ID}})
		w.put(c.ID, group.Edit{AddGroups: []odcm.GroupID{a.ID}})
	})
}

func TestDepthIsBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		chain := []group.Group{w.group("0")}
		for i := 1; i < group.MaxDepth; i++ {
			g := w.group(fmt.Sprint(i))
			w.put(chain[len(chain)-1].ID, group.Edit{AddGroups: []odcm.GroupID{g.ID}})
			chain = append(chain, g)
		}
		_, err := w.Edit(t.Context(), admin, chain[len(chain)-1].ID, group.Edit{AddGroups: []odcm.GroupID{w.group("too deep").ID}})
		wantCode(t, err, odcm.Invalid, "group.too-deep")
		_, err = w.Edit(t.Context(), admin, w.group("too high").ID, group.Edit{AddGroups: []odcm.GroupID{chain[0].ID}})
		wantCode(t, err, odcm.Invalid, "group.too-deep")
	})
}

// TestTwoChangesDoNotMakeACycleTogether lets a ring of groups close from all sides at once: each change is right by itself.
func TestTwoChangesDoNotMakeACycleTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for round := range 5 {
			ring := make([]group.Group, 4)
			for i := range ring {
				ring[i] = w.group(fmt.Sprintf("%d of round %d", i, round))
			}
			errs := make([]error, len(ring))
			var wg sync.WaitGroup
			for i := range ring {
				wg.Go(func() {
					_, errs[i] = w.Edit(context.Background(), admin, ring[i].ID, group.Edit{AddGroups: []odcm.GroupID{ring[(i+1)%len(ring)].ID}})
				})
			}
			wg.Wait()
			refused := 0
			for _, err := range errs {
				if err != nil {
					refused++
					wantCode(t, err, odcm.Conflict, "group.cycle")
				}
			}
			if refused != 1 {
				t.Errorf("%d of %d changes were refused, want 1", refused, len(ring))
			}
		}
	})
}

func TestAssertReplacesTheGroupsOfOneProvider(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, bob, own := t.Context(), w.user("bob"), w.group("Developers")
		w.put(own.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		assert := func(provider odcm.ProviderID, groups ...person.ExternalGroup) {
			t.Helper()
			if err := w.Assert(ctx, bob, provider, groups); err != nil {
				t.Fatal(err)
			}
		}
		names := func() (all []string) {
			t.Helper()
			ids := w.graph().GroupsOf(bob)
			found, err := w.Names(ctx, ids)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				all = append(all, found[id])
			}
			slices.Sort(all)
			return all
		}
		dev, ops := person.ExternalGroup{ID: "guid-1", Name: "Developers"}, person.ExternalGroup{ID: "guid-2", Name: "Ops"}
		assert("provider-a", dev, ops)
		assert("provider-b", person.ExternalGroup{ID: "guid-1", Name: "Guests"})
		if got := names(); !slices.Equal(got, []string{"Developers", "Developers", "Guests", "Ops"}) {
			t.Errorf("groups %v", got)
		}
		events := w.last()
		assert("provider-a", ops, dev)
		if w.last() != events {
			t.Error("the same groups again made an event")
		}
		assert("provider-a", person.ExternalGroup{ID: "guid-2", Name: "Operations"})
		if got := names(); !slices.Equal(got, []string{"Developers", "Guests", "Operations"}) {
			t.Errorf("groups %v", got)
		}
		assert("provider-a")
		if got := names(); !slices.Equal(got, []string{"Developers", "Guests"}) {
			t.Errorf("groups %v", got)
		}
		found, err := w.Find(ctx, "developers")
		if err != nil || found.ID != own.ID {
			t.Errorf("of several of a name, ODCM's own: %+v, %v", found, err)
		}
		wantCode(t, w.Assert(ctx, bob, "provider-a", []person.ExternalGroup{{ID: "", Name: "x"}}), odcm.Invalid, "group.external-invalid")
		many := make([]person.ExternalGroup, group.MaxAssert+1)
		for i := range many {
			many[i].ID = fmt.Sprint(i)
		}
		wantCode(t, w.Assert(ctx, bob, "provider-a", many), odcm.Invalid, "group.too-many")
		wantCode(t, w.Assert(ctx, "user-none", "provider-a", []person.ExternalGroup{dev}), odcm.NotFound, "group.member-unknown")
	})
}

func (w *world) last() odcm.EventID {
	w.t.Helper()
	id, err := w.log.Last(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func TestAssertionsAtOnceEndInOneOfThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bob := w.user("bob")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				groups := []person.ExternalGroup{{ID: fmt.Sprint("a", i)}, {ID: fmt.Sprint("b", i)}}
				if err := w.Assert(context.Background(), bob, "provider-a", groups); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		ids := w.graph().GroupsOf(bob)
		names, err := w.Names(t.Context(), ids)
		if err != nil || len(ids) != 2 || names[ids[0]][1:] != names[ids[1]][1:] {
			t.Errorf("a mixture: %v, %v", names, err)
		}
	})
}

func TestExternalGroupsAreTheProviders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, bob, own := t.Context(), w.user("bob"), w.group("Own")
		made, err := w.Remember(ctx, "provider-a", []person.ExternalGroup{{ID: "guid-1", Name: "Developers"}})
		if err != nil {
			t.Fatal(err)
		}
		ext, name := made[0], "Mine now"
		_, rename := w.Update(ctx, admin, ext.ID, group.Update{Name: &name})
		_, edit := w.Edit(ctx, admin, ext.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		_, nest := w.Edit(ctx, admin, ext.ID, group.Edit{AddGroups: []odcm.GroupID{own.ID}})
		for _, err := range []error{rename, edit, nest} {
			wantCode(t, err, odcm.Conflict, "group.external")
		}
		w.put(own.ID, group.Edit{AddGroups: []odcm.GroupID{ext.ID}})
		if _, err := w.Push(ctx, "provider-a", person.ExternalGroup{ID: "guid-1", Name: "Developers"}, []odcm.UserID{bob, "user-none"}, nil); err != nil {
			t.Fatal(err)
		}
		if !w.graph().Contains(own.ID, bob) {
			t.Error("who was pushed into the external group is not in the one that holds it")
		}
		wantCode(t, w.Delete(ctx, admin, ext.ID, group.Deletion{}), odcm.Conflict, "group.in-use")
		if err := w.Drop(ctx, "provider-a", "guid-1"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Get(ctx, admin, ext.ID); err != nil || w.graph().Contains(own.ID, bob) {
			t.Errorf("a dropped group that is used must stay, empty: %v", err)
		}
		w.put(own.ID, group.Edit{RemoveGroups: []odcm.GroupID{ext.ID}})
		w.uses = []string{"It may enter the Space Shipping."}
		wantCode(t, w.Delete(ctx, admin, ext.ID, group.Deletion{}), odcm.Conflict, "group.in-use")
		if err := w.Delete(ctx, admin, ext.ID, group.Deletion{Force: true}); err != nil {
			t.Error(err)
		}
	})
}

func TestMembersAndListsArePaged(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, g := t.Context(), w.group("Everyone")
		var e group.Edit
		for _, name := range []string{"carl", "ann", "bob"} {
			e.AddUsers = append(e.AddUsers, w.user(name))
			e.AddGroups = append(e.AddGroups, w.group("of "+name).ID)
		}
		w.put(g.ID, e)
		var names []string
		var after group.Position
		for more := true; more; {
			var page []group.Member
			var err error
			if page, more, err = w.Members(ctx, admin, g.ID, after, 2); err != nil {
				t.Fatal(err)
			}
			for _, m := range page {
				if m.Group != nil {
					names = append(names, m.Group.Name)
				} else {
					names = append(names, m.User.Username)
				}
			}
			after = page[len(page)-1].Position()
		}
		if want := []string{"of ann", "of bob", "of carl", "ann", "bob", "carl"}; !slices.Equal(names, want) {
			t.Errorf("members %v, want %v", names, want)
		}
		page, more, err := w.List(ctx, admin, group.Query{Text: "OF", Limit: 2})
		if err != nil || !more || len(page) != 2 || page[0].Name != "of ann" || page[0].Within != 1 {
			t.Errorf("List = %+v, %v, %v", page, more, err)
		}
		last := page[1]
		page, more, err = w.List(ctx, admin, group.Query{Text: "of", Limit: 2, After: group.Position{Name: group.Fold(last.Name), ID: string(last.ID)}})
		if err != nil || more || len(page) != 1 || page[0].Name != "of carl" {
			t.Errorf("second page = %+v, %v, %v", page, more, err)
		}
		if all, _, err := w.List(ctx, admin, group.Query{Kind: group.Foreign, Limit: 10}); err != nil || len(all) != 0 {
			t.Errorf("external groups: %v, %v", all, err)
		}
		if all, _, err := w.List(ctx, admin, group.Query{Text: "%", Limit: 10}); err != nil || len(all) != 0 {
			t.Errorf("a percent sign is itself: %v, %v", all, err)
		}
	})
}

func TestPickingFindsUsersGroupsAndDirectories(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, bob, own := t.Context(), w.user("devbob"), w.group("Developers")
		w.picks.sources = []group.Source{{ID: "provider-a", Name: "Contoso", Picks: true}, {ID: "provider-b", Name: "Quiet"}}
		w.picks.groups = []person.ExternalGroup{{ID: "guid:1", Name: "Dev: all"}}
		found, silent, err := w.Pick(ctx, admin, "DEV")
		if err != nil || len(silent) != 0 || len(found) != 3 {
			t.Fatalf("Pick = %+v, %v, %v", found, silent, err)
		}
		var refs []string
		for _, c := range found {
			refs = append(refs, c.Ref)
		}
		users, groups, err := w.Resolve(ctx, admin, append(refs, "DevBob", "developers"))
		if err != nil || !slices.Equal(users, []odcm.UserID{bob, bob}) || len(groups) != 3 || groups[0] != own.ID || groups[2] != own.ID {
			t.Fatalf("Resolve = %v, %v, %v", users, groups, err)
		}
		if g, err := w.Get(ctx, admin, groups[1]); err != nil || g.Name != "Dev: all" || g.External != (group.External{Provider: "provider-a", ID: "guid:1"}) {
			t.Errorf("picked %+v, %v", g, err)
		}
		for _, ref := range []string{"nobody", "external:provider-z:x:y", "external:", "external:a", "user-x", "", "%"} {
			_, _, err := w.Resolve(ctx, admin, []string{ref})
			wantCode(t, err, odcm.NotFound, "")
		}
		w.picks.err = errors.New("no answer")
		if found, silent, err = w.Pick(ctx, admin, "dev"); err != nil || !slices.Equal(silent, []string{"Contoso"}) || len(found) != 3 {
			t.Errorf("with a directory that does not answer: %+v, %v, %v", found, silent, err)
		}
	})
}

func TestMoveGivesMembershipsToAnother(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bob, robert, a, b := w.user("bob"), w.user("robert"), w.group("a"), w.group("b")
		w.put(a.ID, group.Edit{AddUsers: []odcm.UserID{bob, robert}})
		w.put(b.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		w.graph()
		if err := w.Move(t.Context(), bob, robert); err != nil {
			t.Fatal(err)
		}
		if g := w.graph(); len(g.GroupsOf(bob)) != 0 || !slices.Equal(g.GroupsOf(robert), []odcm.GroupID{a.ID, b.ID}) {
			t.Errorf("bob %v, robert %v", g.GroupsOf(bob), g.GroupsOf(robert))
		}
	})
}

// TestAnotherReplicaIsNeverLongBehind changes groups on one replica without hints and asks the other after a second.
func TestAnotherReplicaIsNeverLongBehind(t *testing.T) {
	t.Parallel()
	dbtest.EachURL(t, func(t *testing.T, url string) {
		one := open(t, dbtest.Open(t, url))
		two := open(t, dbtest.Open(t, url))
		bob, dev := one.user("bob"), one.group("Developers")
		two.graph()
		one.put(dev.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		at := time.Now()
		eventually(t, func() bool { return two.graph().Contains(dev.ID, bob) })
		if late := time.Since(at); late > time.Second {
			t.Errorf("it was %s behind", late)
		}
	})
}

// TestWhoChangedSeesIt lets many change and ask at once: what one changed is in the next graph that he gets.
func TestWhoChangedSeesIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		dev := w.group("Developers")
		var wg sync.WaitGroup
		for i := range 4 {
			bob := w.user(fmt.Sprint("bob", i))
			wg.Go(func() {
				for round := range 10 {
					e, want := group.Edit{AddUsers: []odcm.UserID{bob}}, true
					if round%2 == 1 {
						e, want = group.Edit{RemoveUsers: []odcm.UserID{bob}}, false
					}
					if _, err := w.Edit(context.Background(), admin, dev.ID, e); err != nil {
						t.Error(err)
					}
					if g, err := w.Graph(context.Background()); err != nil || g.Contains(dev.ID, bob) != want {
						t.Errorf("round %d: not seen, %v", round, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestPrunedEventsAreNoHarm(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bob, dev := w.user("bob"), w.group("Developers")
		w.graph()
		w.put(dev.ID, group.Edit{AddUsers: []odcm.UserID{bob}})
		w.group("another")
		if _, err := w.db.Write().Exec(`DELETE FROM event WHERE id < $1`, int64(w.last())); err != nil {
			t.Fatal(err)
		}
		if !w.graph().Contains(dev.ID, bob) {
			t.Error("a change whose event is no longer kept is not in the graph")
		}
	})
}

func TestAGraphThatCannotLookIsNoAnswer(t *testing.T) {
	t.Parallel()
	now := time.Now()
	log := &brokenLog{}
	k := graph.NewKeeper(log, nothing{}, func() time.Time { return now })
	if _, err := k.Graph(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.err = errors.New("the database is away")
	if _, err := k.Graph(t.Context()); err != nil {
		t.Errorf("just looked: %v", err)
	}
	now = now.Add(time.Second)
	if _, err := k.Graph(t.Context()); err == nil {
		t.Error("answered from a graph that may be wrong")
	}
}

type brokenLog struct {
	eventlog.Log
	err error
}

func (b *brokenLog) Last(context.Context) (odcm.EventID, error) { return 1, b.err }

type nothing struct{}

func (nothing) Everything(context.Context) (graph.Facts, error) { return graph.Facts{}, nil }
func (nothing) Some(context.Context, []odcm.UserID, []odcm.GroupID) (graph.Facts, error) {
	return graph.Facts{}, nil
}

// BenchmarkGraph moves one of 10,000 users between two of 1,000 nested groups, and compares going along with reading anew.
func BenchmarkGraph(b *testing.B) {
	for _, kind := range []struct {
		name string
		url  func(testing.TB) string
	}{{"SQLite", dbtest.SQLite}, {"PostgreSQL", dbtest.PostgreSQL}} {
		w := open(b, dbtest.Open(b, kind.url(b)))
		fill(b, w.db)
		b.Run(kind.name+"/advance", func(b *testing.B) {
			w.graph()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				e := group.Edit{AddUsers: []odcm.UserID{"user-05000"}}
				if i%2 == 1 {
					e = group.Edit{RemoveUsers: []odcm.UserID{"user-05000"}}
				}
				w.put("group-0999", e)
				b.StartTimer()
				w.graph()
			}
		})
		b.Run(kind.name+"/rebuild", func(b *testing.B) {
			store, err := groupsql.New(b.Context(), w.db, w.log)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := graph.NewKeeper(w.log, store, time.Now).Graph(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func fill(b *testing.B, d *db.DB) {
	b.Helper()
	exec := func(query string, rows []string) {
		for chunk := range slices.Chunk(rows, 200) {
			if _, err := d.Write().Exec(query + strings.Join(chunk, ",")); err != nil {
				b.Fatal(err)
			}
		}
	}
	var users, groups, in, nested []string
	for i := range 10_000 {
		users = append(users, fmt.Sprintf(`('user-%05d','u%d','u%d','U','',FALSE,0,1)`, i, i, i))
		for _, g := range []int{i % 1000, i * 7 % 1000, i*31%1000 + 0} {
			in = append(in, fmt.Sprintf(`('group-%04d','user-%05d')`, g, i))
		}
	}
	for i := range 1000 {
		groups = append(groups, fmt.Sprintf(`('group-%04d','g%d','g%d','','','',0,1)`, i, i, i))
		if i > 0 {
			nested = append(nested, fmt.Sprintf(`('group-%04d','group-%04d')`, (i-1)/8, i))
		}
	}
	slices.Sort(in)
	exec(`INSERT INTO identity_user (id, username, username_key, display_name, roles, disabled, created, revision) VALUES `, users)
	exec(`INSERT INTO identity_group (id, name, name_key, description, provider, external_id, created, revision) VALUES `, groups)
	exec(`INSERT INTO identity_group_user (group_id, user_id) VALUES `, slices.Compact(in))
	exec(`INSERT INTO identity_group_nested (parent_id, child_id) VALUES `, nested)
}
