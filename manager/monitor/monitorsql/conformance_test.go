package monitorsql_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/kit/signal"
	"odcm/manager/monitor"
	"odcm/manager/monitor/monitorsql"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t *testing.T, d *db.DB) (*monitorsql.Store, *eventlog.Log) {
	t.Helper()
	bus, err := signal.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	log, err := eventlog.New(t.Context(), d, bus)
	if err != nil {
		t.Fatal(err)
	}
	s, err := monitorsql.New(t.Context(), d, log)
	if err != nil {
		t.Fatal(err)
	}
	return s, log
}

func change(space string, status monitor.Status, reason string, since time.Time) monitor.Change {
	return monitor.Change{Space: monitor.Space{ID: odcm.SpaceID(space), Name: "Name of " + space},
		Health: monitor.Health{Status: status, Reason: reason, Since: since, Checked: since, Detail: monitor.Detail{Version: "2026.1"}}}
}

func save(t *testing.T, s *monitorsql.Store, changes ...monitor.Change) []odcm.SpaceID {
	t.Helper()
	saved, err := s.Save(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]odcm.SpaceID, len(saved))
	for i, c := range saved {
		ids[i] = c.Space.ID
	}
	return ids
}

func TestSave(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, log := open(t, d)
		days := 5
		full := change("space-1", monitor.Online, "", start)
		full.Health.Detail = monitor.Detail{Version: "2026.1", Nodes: []monitor.Node{{Name: "a", Leader: true, LastSeen: start}},
			Licence: &monitor.Licence{Kind: "Trial", Compliant: true, DaysLeft: &days, Limits: []monitor.Limit{{Name: "Projects", Used: 1, Allowed: 10}}}}
		if ids := save(t, s, full, change("space-2", monitor.Offline, "gone", start)); len(ids) != 2 {
			t.Errorf("different: %v", ids)
		}
		got, err := s.HealthOf(t.Context(), []odcm.SpaceID{"space-1", "space-2", "space-none"})
		if err != nil || len(got) != 2 {
			t.Fatalf("%v, %v", got, err)
		}
		h := got["space-1"]
		if h.Status != monitor.Online || !h.Since.Equal(start) || h.Version != "2026.1" || h.Nodes[0].Name != "a" || *h.Licence.DaysLeft != 5 || h.Licence.Limits[0].Allowed != 10 {
			t.Errorf("%+v", h)
		}
		if ids := save(t, s, full); len(ids) != 0 {
			t.Errorf("the same again is different: %v", ids)
		}
		renewed := full
		renewed.Health.Version = "2026.2"
		save(t, s, renewed, change("space-2", monitor.Offline, "still gone", start.Add(time.Minute)))
		save(t, s, change("space-2", monitor.Online, "", start.Add(2*time.Minute)))
		events, err := log.List(t.Context(), eventlog.Filter{Types: []string{"monitor.status-changed"}})
		if err != nil || len(events) != 3 {
			t.Fatalf("%d events of three changes of status, %v", len(events), err)
		}
		if e := events[0]; e.Subject != "space-2" || e.Name != "Name of space-2" || string(e.Before) != `{"status":"offline","reason":"still gone","since":"2026-01-02T03:05:05Z"}` ||
			string(e.After) != `{"status":"online","since":"2026-01-02T03:06:05Z"}` {
			t.Errorf("event %+v: %s to %s", e, e.Before, e.After)
		}
		history, err := s.History(t.Context(), "space-2", start, start.Add(time.Hour), 10)
		if err != nil || len(history) != 3 || history[1].Reason != "still gone" || history[2].Status != monitor.Online {
			t.Errorf("history %+v, %v", history, err)
		}
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s, _ := open(t, d)
		var all []monitor.Change
		var ids []odcm.SpaceID
		for i := range 1100 { // more than one statement takes
			status := monitor.Online
			if i%300 == 0 {
				status = monitor.Offline
			}
			c := change(fmt.Sprintf("space-%04d", i), status, "", start)
			all, ids = append(all, c), append(ids, c.Space.ID)
		}
		save(t, s, all...)
		if found, err := s.All(ctx); err != nil || len(found) != 1100 || found["space-0300"].Status != monitor.Offline {
			t.Errorf("All: %d, %v", len(found), err)
		}
		if found, err := s.HealthOf(ctx, ids); err != nil || len(found) != 1100 {
			t.Errorf("HealthOf: %d, %v", len(found), err)
		}
		want := []odcm.SpaceID{"space-0000", "space-0300", "space-0600", "space-0900"}
		if found, err := s.InStatus(ctx, []monitor.Status{monitor.Offline, monitor.Draining}); err != nil || !slices.Equal(found, want) {
			t.Errorf("InStatus: %v, %v", found, err)
		}
		if found, err := s.InStatus(ctx, nil); err != nil || len(found) != 0 {
			t.Errorf("in no status: %v, %v", found, err)
		}
		for _, checked := range []time.Time{start.Add(time.Minute), start} { // the second comes late
			if err := s.Touch(ctx, ids[:1050], checked); err != nil {
				t.Fatal(err)
			}
		}
		found, _ := s.HealthOf(ctx, ids)
		if !found["space-1049"].Checked.Equal(start.Add(time.Minute)) || !found["space-1050"].Checked.Equal(start) {
			t.Errorf("checked %v and %v", found["space-1049"].Checked, found["space-1050"].Checked)
		}
		if err := s.Forget(ctx, ids[:1099], start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if found, err := s.All(ctx); err != nil || len(found) != 1 {
			t.Errorf("after forgetting: %v, %v", found, err)
		}
		if history, err := s.History(ctx, "space-0000", start, start.Add(time.Hour), 10); err != nil || len(history) != 2 || history[1].Status != monitor.Unknown {
			t.Errorf("the history went too, or does not end: %v, %v", history, err)
		}
	})
}

func TestHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s, _ := open(t, d)
		at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
		for m := range 6 {
			save(t, s, change("space-1", []monitor.Status{monitor.Online, monitor.Offline}[m%2], "", at(m)), change("space-2", monitor.Online, "", at(m)))
		}
		minutes := func(from, to time.Time, limit int) (all []int) {
			h, err := s.History(ctx, "space-1", from, to, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range h {
				all = append(all, int(e.Time.Sub(start).Minutes()))
			}
			return all
		}
		for _, c := range []struct {
			from, to time.Time
			limit    int
			want     []int
		}{
			{at(2), at(4), 10, []int{1, 2, 3}}, {at(-5), at(100), 10, []int{0, 1, 2, 3, 4, 5}}, {at(100), at(200), 10, []int{5}},
			{at(-5), at(0), 10, nil}, {at(2), at(100), 2, []int{1, 2}},
		} {
			if got := minutes(c.from, c.to, c.limit); !slices.Equal(got, c.want) {
				t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
			}
		}
		if err := s.Prune(ctx, start.Add(48*time.Hour), 0); err != nil {
			t.Fatal(err)
		}
		if got := minutes(at(-5), at(100), 10); len(got) != 6 {
			t.Errorf("deleted before it was rolled up: %v", got)
		}
		if err := s.RollUp(ctx, monitor.DayAt(start)); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(ctx, start.Add(48*time.Hour), 0); err != nil {
			t.Fatal(err)
		}
		if got := minutes(at(-5), at(100), 10); !slices.Equal(got, []int{5}) {
			t.Errorf("after pruning: %v", got)
		}
		if h, err := s.History(ctx, "space-2", at(0), at(100), 10); err != nil || len(h) != 1 {
			t.Errorf("a Space's last place in its history was pruned: %v, %v", h, err)
		}
	})
}
