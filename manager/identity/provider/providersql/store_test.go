package providersql_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/identity/group/groupsql"
	"odcm/manager/identity/identitysql"
	"odcm/manager/identity/provider"
	"odcm/manager/identity/provider/providersql"
)

func TestStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, conform)
}

func conform(t *testing.T, d *db.DB) {
	ctx := t.Context()
	bus, err := signal.New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(ctx, d, bus)
	if err != nil {
		t.Fatal(err)
	}
	s, err := providersql.New(ctx, d, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identitysql.New(ctx, d, log); err != nil {
		t.Fatal(err)
	}
	if _, err := groupsql.New(ctx, d, log); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	record := func(id odcm.ProviderID, name string, order int) provider.Record {
		return provider.Record{Provider: provider.Provider{ID: id, Kind: provider.LDAP, Name: name, Order: order, Settings: map[string]string{"servers": "a\nb"},
			SyncEvery: time.Minute, Revision: 1, Created: at}, Sealed: map[string]string{"bindPassword": "sealed"}}
	}
	event := func(typ string) odcm.Event { return odcm.NewEvent(odcm.System, typ, "x", "x", nil, nil) }
	told := func(provider.Leaving) ([]odcm.Event, error) { return []odcm.Event{event("provider.deleted")}, nil }
	one := record("provider-1", "Corp", 2)
	if err := s.Create(ctx, one, event("provider.created")); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(ctx, record("provider-2", "Branch", 1), event("provider.created")); err != nil {
		t.Fatal(err)
	}
	t.Run("a name is taken without regard to case", func(t *testing.T) {
		if err := s.Create(ctx, record("provider-3", "CORP", 1), event("provider.created")); odcm.CodeOf(err) != "provider.name-taken" {
			t.Errorf("%v", err)
		}
	})
	t.Run("what was written is read", func(t *testing.T) {
		got := get(t, s, one.ID)
		want := one
		want.Test.Findings = []provider.Finding{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		all, err := s.Providers(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "Branch" || all[1].Name != "Corp" {
			t.Errorf("%v, %v", all, err)
		}
	})
	t.Run("who read an older revision changes nothing", func(t *testing.T) {
		changed := one
		changed.Name, changed.Enabled, changed.Sealed = "Corporation", true, map[string]string{}
		if err := s.Update(ctx, changed, event("provider.changed")); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(ctx, changed, event("provider.changed")); odcm.CodeOf(err) != "provider.changed" {
			t.Errorf("%v", err)
		}
		if got := get(t, s, one.ID); got.Name != "Corporation" || !got.Enabled || got.Revision != 2 || len(got.Sealed) != 0 {
			t.Errorf("%+v", got)
		}
		changed.Revision, changed.Name = 2, "branch"
		if err := s.Update(ctx, changed, event("provider.changed")); odcm.CodeOf(err) != "provider.name-taken" {
			t.Errorf("%v", err)
		}
	})
	t.Run("readings and wishes for them do not disturb one another", func(t *testing.T) { conformSync(t, s, one.ID, at) })
	t.Run("a test is kept", func(t *testing.T) {
		test := provider.Test{Started: at, Ended: at.Add(time.Second), Findings: []provider.Finding{{Step: "Connect", OK: true, Warning: true, Message: "ok"}}}
		if err := s.SetTest(ctx, one.ID, test); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, one.ID).Test; !reflect.DeepEqual(got, test) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("what is deleted is gone", func(t *testing.T) {
		if err := s.Delete(ctx, one.ID, told); err != nil {
			t.Fatal(err)
		}
		_, err := s.Provider(ctx, one.ID)
		for _, err := range []error{err, s.Delete(ctx, one.ID, told), s.SetTest(ctx, one.ID, provider.Test{}),
			s.SetSync(ctx, one.ID, provider.Sync{}), s.Ask(ctx, one.ID, at, true, event("provider.sync-asked"))} {
			if odcm.CodeOf(err) != "provider.not-found" {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("every change left its event", func(t *testing.T) {
		events, err := log.List(ctx, eventlog.Filter{Limit: 50})
		counts := map[string]int{}
		for _, e := range events {
			counts[e.Type]++
		}
		want := map[string]int{"provider.created": 2, "provider.changed": 1, "provider.sync-asked": 2, "provider.sync-held": 1, "provider.deleted": 1}
		if err != nil || !reflect.DeepEqual(counts, want) {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

func conformSync(t *testing.T, s *providersql.Store, id odcm.ProviderID, at time.Time) {
	ctx := context.Background()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	asked := odcm.NewEvent(odcm.System, "provider.sync-asked", string(id), "", nil, nil)
	do(s.Ask(ctx, id, at, true, asked))
	do(s.SetSync(ctx, id, provider.Sync{Tried: at.Add(time.Second), Held: "too much"}, odcm.NewEvent(odcm.System, "provider.sync-held", string(id), "", nil, nil)))
	if got := get(t, s, id).Sync; !got.Asked.Equal(at) || !got.Accepted || got.Held != "too much" {
		t.Errorf("held: %+v", got)
	}
	want := provider.Sync{Succeeded: at.Add(time.Minute), Tried: at.Add(time.Minute), People: 3, Groups: 2, Memberships: 5}
	do(s.SetSync(ctx, id, want))
	want.Asked = at
	if got := get(t, s, id).Sync; got != want {
		t.Errorf("counted: %+v", got)
	}
	// Somebody accepts while a reading goes on that began before: it is for the next.
	do(s.Ask(ctx, id, at.Add(2*time.Hour), true, asked))
	want.Tried = at.Add(time.Hour)
	do(s.SetSync(ctx, id, want))
	if got := get(t, s, id).Sync; !got.Accepted || !got.Asked.After(got.Tried) {
		t.Errorf("accepted meanwhile: %+v", got)
	}
}

func get(t *testing.T, s *providersql.Store, id odcm.ProviderID) provider.Record {
	t.Helper()
	r, err := s.Provider(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
