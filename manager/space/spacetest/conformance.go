// Package spacetest holds what any [space.Store] must keep to, and fakes of what package space needs.
package spacetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/task"
	"odcm/manager/space"
)

// Witness sees what a store committed beside its own rows.
type Witness interface {
	Tasks(t testing.TB) []odcm.TaskID
	Events(t testing.TB) []string // types
	// Refuse makes the next commit fail at its very end.
	Refuse(err error)
}

// Run holds the store, which is empty, to its contract.
func Run(t *testing.T, s space.Store, w Witness) {
	ctx := context.Background()
	var now = time.UnixMilli(1_700_000_000_000).UTC()
	n := 0
	fresh := func(name string) (space.Instance, space.Space) {
		n++
		in := space.Instance{ID: odcm.NewID[odcm.InstanceID]("instance"), URL: fmt.Sprintf("https://o%d.test", n), APIKey: "API-KEY", TLS: space.TLS{CA: "pem", Thumbprint: "ab"},
			InstallationID: fmt.Sprintf("installation-%d", n), Version: "2026.1.0", Origin: space.Enlisted, Server: "server-1", Created: now}
		sp := space.Space{ID: odcm.NewID[odcm.SpaceID]("space"), Instance: in.ID, Octopus: "Spaces-1", Slug: space.Slug(name), Name: name,
			Description: "d", State: space.StateActive, Task: "task-1", Created: now}
		return in, sp
	}
	add := func(t *testing.T, name string) (space.Instance, space.Space) {
		t.Helper()
		in, sp := fresh(name)
		if err := s.Commit(ctx, space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}}); err != nil {
			t.Fatal(err)
		}
		in.Revision, sp.Revision = 1, 1
		return in, sp
	}
	wantCode := func(t *testing.T, err error, kind odcm.Kind, code string) {
		t.Helper()
		if !errors.Is(err, odcm.E(kind, code, "")) {
			t.Errorf("got error %v, want %s %s", err, kind, code)
		}
	}

	t.Run("reads back what was committed", func(t *testing.T) {
		in, sp := add(t, "Round Trip")
		for _, ref := range []string{string(sp.ID), "round-trip"} {
			if got, err := s.Get(ctx, ref); err != nil || got != sp {
				t.Errorf("Get(%s) = %+v, %v; want %+v", ref, got, err, sp)
			}
		}
		got, err := s.Instance(ctx, in.ID)
		if err != nil || got != in {
			t.Errorf("Instance = %+v, %v; want %+v", got, err, in)
		}
		if string(got.APIKey) != "API-KEY" {
			t.Errorf("the key did not survive")
		}
		if got, err := s.InstanceOf(ctx, in.InstallationID); err != nil || got.ID != in.ID {
			t.Errorf("InstanceOf = %v, %v", got.ID, err)
		}
		if on, err := s.On(ctx, in.ID); err != nil || len(on) != 1 || on[0] != sp {
			t.Errorf("On = %+v, %v", on, err)
		}
	})
	t.Run("says what it does not have", func(t *testing.T) {
		_, err := s.Get(ctx, "nothing")
		wantCode(t, err, odcm.NotFound, "space.not-found")
		_, err = s.Instance(ctx, "nothing")
		wantCode(t, err, odcm.NotFound, "space.instance-not-found")
		_, err = s.InstanceOf(ctx, "")
		wantCode(t, err, odcm.NotFound, "space.instance-not-found")
		_, err = s.Hook(ctx, "nothing")
		wantCode(t, err, odcm.NotFound, "space.hook-not-found")
		_, err = s.Draft(ctx, "nothing", "u", now)
		wantCode(t, err, odcm.NotFound, "space.draft-not-found")
	})
	t.Run("keeps names unique in any case", func(t *testing.T) {
		add(t, "Straße")
		in, sp := fresh("STRASSE")
		err := s.Commit(ctx, space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}})
		wantCode(t, err, odcm.Exists, "space.name-taken")
		if _, err := s.Instance(ctx, in.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("the instance of a refused Space is there: %v", err)
		}
		taken, err := s.Taken(ctx, []string{"strasse", "no such name"})
		if err != nil || !taken[space.Fold("STRASSE")] || len(taken) != 1 {
			t.Errorf("Taken = %v, %v", taken, err)
		}
		_, other := add(t, "Avenue")
		other.Name = "straße"
		wantCode(t, s.Commit(ctx, space.Change{Spaces: []space.Space{other}}), odcm.Exists, "space.name-taken")
	})
	t.Run("gives two names of one slug two slugs", func(t *testing.T) {
		add(t, "A b")
		_, second := add(t, "A-b")
		_, third := add(t, "A.b")
		for i, sp := range []space.Space{second, third} {
			if got, err := s.Get(ctx, fmt.Sprintf("a-b-%d", i+2)); err != nil || got.ID != sp.ID {
				t.Errorf("slug of %s: %+v, %v", sp.Name, got.Slug, err)
			}
		}
	})
	t.Run("keeps an installation's Space once", func(t *testing.T) {
		in, sp := add(t, "Once")
		again := space.Space{ID: "space-again", Instance: in.ID, Octopus: sp.Octopus, Slug: "again", Name: "Again", State: space.StateEnlisting, Created: now}
		wantCode(t, s.Commit(ctx, space.Change{Spaces: []space.Space{again}}), odcm.Exists, "space.already-enlisted")
		other, otherSpace := fresh("Other")
		other.InstallationID = in.InstallationID
		wantCode(t, s.Commit(ctx, space.Change{Instances: []space.Instance{other}, Spaces: []space.Space{otherSpace}}), odcm.Exists, "space.already-enlisted")
		again.Octopus = "Spaces-2"
		if err := s.Commit(ctx, space.Change{Spaces: []space.Space{again}}); err != nil {
			t.Errorf("a second octopus.Space of one server: %v", err)
		}
	})
	t.Run("refuses a stale revision and changes nothing", func(t *testing.T) {
		in, sp := add(t, "Stale")
		sp.Name = "Stale renamed"
		if err := s.Commit(ctx, space.Change{Spaces: []space.Space{sp}}); err != nil {
			t.Fatal(err)
		}
		in.Version = "2027.1.0"
		err := s.Commit(ctx, space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}})
		wantCode(t, err, odcm.Conflict, "space.changed")
		if got, _ := s.Instance(ctx, in.ID); got.Version != "2026.1.0" || got.Revision != 1 {
			t.Errorf("the instance was changed by a refused commit: %+v", got)
		}
		if got, _ := s.Get(ctx, string(sp.ID)); got.Name != "Stale renamed" || got.Revision != 2 || got.Slug != "stale" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("commits tasks and events with the rows or not at all", func(t *testing.T) {
		in, sp := fresh("Together")
		c := space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}, Tasks: []task.Request{{ID: "task-together", Kind: "k"}},
			Events: []odcm.Event{odcm.NewEvent(odcm.System, "space.together", string(sp.ID), sp.Name, nil, nil)}}
		refusal := errors.New("refused")
		w.Refuse(refusal)
		if err := s.Commit(ctx, c); !errors.Is(err, refusal) {
			t.Fatalf("got %v", err)
		}
		if _, err := s.Get(ctx, string(sp.ID)); odcm.KindOf(err) != odcm.NotFound || slices.Contains(w.Tasks(t), "task-together") {
			t.Errorf("something of a refused commit is there: %v", err)
		}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(w.Tasks(t), "task-together") || !slices.Contains(w.Events(t), "space.together") {
			t.Errorf("tasks %v, events %v", w.Tasks(t), w.Events(t))
		}
	})
	t.Run("removes an instance with its last Space", func(t *testing.T) {
		in, sp := add(t, "First of two")
		second := space.Space{ID: "space-second", Instance: in.ID, Octopus: "Spaces-2", Slug: "second", Name: "Second of two", State: space.StateActive, Created: now}
		if err := s.Commit(ctx, space.Change{Spaces: []space.Space{second}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Star(ctx, "u1", sp.ID, true), s.Visit(ctx, "u1", sp.ID, now), s.SaveHook(ctx, space.Hook{Space: sp.ID, Secret: "s"})); err != nil {
			t.Fatal(err)
		}
		remove := func(id odcm.SpaceID) {
			t.Helper()
			for range 2 { // twice is once
				if err := s.Commit(ctx, space.Change{Removed: []odcm.SpaceID{id}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		remove(sp.ID)
		if _, err := s.Instance(ctx, in.ID); err != nil {
			t.Errorf("instance of the other Space: %v", err)
		}
		remove(second.ID)
		if _, err := s.Instance(ctx, in.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("instance without Spaces: %v", err)
		}
		if _, err := s.Hook(ctx, sp.ID); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("hook of a removed Space: %v", err)
		}
	})
	t.Run("lists in order, page by page, within reach", func(t *testing.T) {
		var ids []odcm.SpaceID
		for _, name := range []string{"list e", "List C", "list a", "list 100%", "list d"} {
			_, sp := add(t, name)
			ids = append(ids, sp.ID)
		}
		const u = odcm.UserID("user-list")
		if err := errors.Join(s.Star(ctx, u, ids[4], true), s.Star(ctx, u, ids[4], true), s.Star(ctx, u, ids[0], true), s.Star(ctx, "other", ids[1], true),
			s.Visit(ctx, u, ids[1], now), s.Visit(ctx, u, ids[2], now.Add(time.Minute)), s.Visit(ctx, u, ids[0], now.Add(-time.Hour))); err != nil {
			t.Fatal(err)
		}
		names := func(q space.Query) (got []string) {
			t.Helper()
			q.User, q.Limit = u, 2
			for range 10 {
				page, err := s.List(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					return got
				}
				for _, e := range page {
					got = append(got, e.Name)
					if e.URL == "" || e.Version != "2026.1.0" || e.Origin != space.Enlisted {
						t.Errorf("entry lacks its instance: %+v", e)
					}
				}
				q.After = page[len(page)-1].Position()
			}
			t.Fatal("pages never end")
			return nil
		}
		here := space.Reach{Spaces: ids}
		for _, c := range []struct {
			name string
			q    space.Query
			want []string
		}{
			{"starred first", space.Query{Reach: here}, []string{"list d", "list e", "list 100%", "list a", "List C"}},
			{"by name", space.Query{Reach: here, Order: space.ByName}, []string{"list 100%", "list a", "List C", "list d", "list e"}},
			{"latest visit first", space.Query{Reach: here, Order: space.ByVisit}, []string{"list a", "List C", "list e"}},
			{"starred only", space.Query{Reach: here, Starred: true, Order: space.ByName}, []string{"list d", "list e"}},
			{"part of the name, in any case", space.Query{Reach: space.Reach{All: true}, Text: " IST C"}, []string{"List C"}},
			{"a percent sign is itself", space.Query{Reach: here, Text: "0%"}, []string{"list 100%"}},
			{"an underscore is itself", space.Query{Reach: here, Text: "_"}, nil},
			{"nothing in reach", space.Query{}, nil},
			{"within nothing", space.Query{Reach: here, Within: []odcm.SpaceID{}}, nil},
			{"within and in reach", space.Query{Reach: here, Within: []odcm.SpaceID{ids[2], "space-else"}}, []string{"list a"}},
			{"of a task", space.Query{Reach: here, Task: "task-2"}, nil},
			{"by state", space.Query{Reach: here, States: []space.State{space.StateCreating, space.StateFailed}}, nil},
		} {
			if got := names(c.q); !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
		if err := s.Star(ctx, u, ids[4], false); err != nil {
			t.Fatal(err)
		}
		if on, err := s.Starred(ctx, u, ids[4]); on || err != nil {
			t.Errorf("Starred = %v, %v", on, err)
		}
		if on, err := s.Starred(ctx, u, ids[0]); !on || err != nil {
			t.Errorf("Starred = %v, %v", on, err)
		}
	})
	t.Run("marks of a Space that is gone do nothing", func(t *testing.T) {
		if err := errors.Join(s.Star(ctx, "u", "space-gone", true), s.Visit(ctx, "u", "space-gone", now), s.SaveHook(ctx, space.Hook{Space: "space-gone"})); err != nil {
			t.Error(err)
		}
	})
	t.Run("keeps hooks whole", func(t *testing.T) {
		_, sp := add(t, "Hooked")
		for _, h := range []space.Hook{
			{Space: sp.ID, Secret: "s1", State: space.HookPending},
			{Space: sp.ID, Subscription: "Subscriptions-1", Secret: "s2", Previous: []byte(`{"Id":"x"}`), URL: "u", State: space.HookApplied, Reason: "r",
				Checked: now, Applied: now.Add(1e9), Drift: "Name", Drifted: now.Add(2e9), Repairs: 3},
		} {
			if err := s.SaveHook(ctx, h); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Hook(ctx, sp.ID); err != nil || !reflect.DeepEqual(got, h) {
				t.Errorf("got %+v, %v; want %+v", got, err, h)
			}
		}
	})
	t.Run("keeps drafts for their owner and their time", func(t *testing.T) {
		d := space.Draft{ID: "draft-1", Owner: "u1", Connection: space.Connection{URL: "https://x", APIKey: "API-1", TLS: space.TLS{CA: "c"}}, Expires: now.Add(time.Minute)}
		if err := s.SaveDraft(ctx, d); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Draft(ctx, "draft-1", "u1", now); err != nil || got != d {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err := s.Draft(ctx, "draft-1", "u2", now)
		wantCode(t, err, odcm.NotFound, "space.draft-not-found")
		_, err = s.Draft(ctx, "draft-1", "u1", now.Add(time.Minute))
		wantCode(t, err, odcm.NotFound, "space.draft-not-found")
		if err := s.DropDraft(ctx, "none", "u2", now.Add(time.Minute)); err != nil { // whoever drops one sweeps the expired
			t.Fatal(err)
		}
		_, err = s.Draft(ctx, "draft-1", "u1", now)
		wantCode(t, err, odcm.NotFound, "space.draft-not-found")
	})
	t.Run("gives a name to one of many at once", func(t *testing.T) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			in, sp := fresh("Contended")
			wg.Go(func() {
				errs[i] = s.Commit(ctx, space.Change{Instances: []space.Instance{in}, Spaces: []space.Space{sp}})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantCode(t, err, odcm.Exists, "space.name-taken")
		}
		if won != 1 {
			t.Errorf("%d of them won", won)
		}
	})
}
