package alertsql_test

import (
	"fmt"
	"testing"
	"time"

	"odcm"
	"odcm/kit/db"
	"odcm/kit/db/dbtest"
	"odcm/kit/eventlog"
	"odcm/manager/alert"
	"odcm/manager/alert/alertsql"
	"odcm/manager/alert/alerttest"
	"odcm/manager/alert/desk"
	"odcm/manager/alert/watch"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func event(typ string) odcm.Event { return odcm.NewEvent(odcm.System, typ, "x", "x", nil, nil) }

func TestSettings(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := alerttest.New(t, d)
		s := w.Store
		rules, err := s.Settings(ctx, desk.KindRule, desk.SettingFilter{Limit: 100})
		if err != nil || len(rules) != len(alert.Defaults()) {
			t.Fatalf("%d rules at first, %v", len(rules), err)
		}
		if err := s.Delete(ctx, desk.KindRule, rules[0].ID, 0, event("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := alertsql.New(ctx, alertsql.Options{DB: d, Events: w.Log, Leases: w.Leases, Outbox: w.Outbox, Bus: w.Bus}); err != nil {
			t.Fatal(err)
		}
		if again, err := s.Settings(ctx, desk.KindRule, desk.SettingFilter{Limit: 100}); err != nil || len(again) != len(rules)-1 {
			t.Errorf("a deleted rule came back: %d, %v", len(again), err)
		}
		v := desk.Setting{Kind: desk.KindSilence, ID: "silence-1", Body: `{"comment":"x"}`, Ends: start}
		if v, err = s.Save(ctx, v, event("alert-silence.created")); err != nil || v.Revision != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		old := v
		v.Ends = start.Add(time.Hour)
		if v, err = s.Save(ctx, v, event("alert-silence.changed")); err != nil || v.Revision != 2 {
			t.Fatalf("%+v, %v", v, err)
		}
		if _, err := s.Save(ctx, old, event("x")); odcm.KindOf(err) != odcm.Conflict {
			t.Errorf("an old revision: %v", err)
		}
		if err := s.Delete(ctx, desk.KindSilence, v.ID, 1, event("x")); odcm.KindOf(err) != odcm.Conflict {
			t.Errorf("deleting an old revision: %v", err)
		}
		gone := v
		gone.ID = "silence-none"
		if _, err := s.Save(ctx, gone, event("x")); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("changing what is not there: %v", err)
		}
		if _, err := s.Setting(ctx, desk.KindSilence, "silence-none"); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("getting what is not there: %v", err)
		}
		for at, want := range map[time.Time][2]int{start: {1, 0}, start.Add(time.Hour): {0, 1}} {
			current, err := s.Settings(ctx, desk.KindSilence, desk.SettingFilter{Limit: 10, EndsAfter: at})
			ended, err2 := s.Settings(ctx, desk.KindSilence, desk.SettingFilter{Limit: 10, EndedBy: at})
			if err != nil || err2 != nil || len(current) != want[0] || len(ended) != want[1] {
				t.Errorf("at %v: %d and %d, %v %v", at, len(current), len(ended), err, err2)
			}
		}
		c, err := s.Config(ctx, start)
		if err != nil || len(c.Rules) != len(rules)-1 || len(c.Silences) != 1 || c.Silences[0].Comment != "x" {
			t.Errorf("config %+v, %v", c, err)
		}
		if events, err := w.Log.List(ctx, eventlog.Filter{Types: []string{"alert-silence.created", "alert-silence.changed"}}); err != nil || len(events) != 2 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}

func commit(t *testing.T, w *alerttest.World, o alert.Outcome, parts ...alert.Part) {
	t.Helper()
	l, err := w.Leases.Acquire(t.Context(), "alert", "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Commit(t.Context(), watch.Change{Lease: l, Outcome: o, Put: parts, Wall: start}); err != nil {
		t.Fatal(err)
	}
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		w := alerttest.New(t, d)
		var o alert.Outcome
		for i := range 25 {
			one := alert.Incident{ID: fmt.Sprintf("incident-%02d", i), Rule: "rule-offline", RuleName: "Offline", Severity: alert.Critical, Subject: fmt.Sprintf("space-%d", i%5), Name: fmt.Sprintf("Space 100%%_%d", i),
				Phase: alert.Firing, Since: start.Add(time.Duration(i/2) * time.Minute)}
			if i%2 == 1 {
				one.Phase, one.Resolved = alert.Resolved, one.Since.Add(time.Minute)
			}
			o.Incidents = append(o.Incidents, one)
			o.Notes = append(o.Notes, alert.Note{Incident: one.ID, At: one.Since, Kind: "firing", Text: "x"})
		}
		commit(t, w, o, alert.Part{Part: "track", Key: "a/b", Body: "1"}, alert.Part{Part: "clock", Body: "2"})
		var seen []string
		f := desk.IncidentFilter{All: true, Limit: 4}
		for {
			page, err := w.Store.Incidents(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page {
				seen = append(seen, i.ID)
			}
			if len(page) < 4 {
				break
			}
			f.Before = desk.Position{Since: page[3].Since, ID: page[3].ID}
		}
		if len(seen) != 25 || seen[0] != "incident-24" || seen[24] != "incident-00" {
			t.Errorf("pages: %v", seen)
		}
		for name, c := range map[string]struct {
			f    desk.IncidentFilter
			want int
		}{
			"open": {desk.IncidentFilter{All: true, Phase: "open"}, 13}, "resolved": {desk.IncidentFilter{All: true, Phase: "resolved"}, 12}, "some": {desk.IncidentFilter{Subjects: []string{"space-1", "space-2"}}, 10},
			"none": {desk.IncidentFilter{}, 0}, "text": {desk.IncidentFilter{All: true, Text: "100%_2"}, 6}, "wild": {desk.IncidentFilter{All: true, Text: "1%2"}, 0},
			"from": {desk.IncidentFilter{All: true, From: start.Add(12 * time.Minute)}, 1}, "to": {desk.IncidentFilter{All: true, To: start.Add(time.Minute)}, 2},
			"rule": {desk.IncidentFilter{All: true, Rule: "x"}, 0}, "severity": {desk.IncidentFilter{All: true, Severity: "critical", Subject: "space-3"}, 5},
		} {
			c.f.Limit = 100
			found, err := w.Store.Incidents(ctx, c.f)
			n, err2 := w.Store.CountIncidents(ctx, c.f)
			if err != nil || err2 != nil || len(found) != c.want || n != c.want {
				t.Errorf("%s: %d found, %d counted, want %d, %v %v", name, len(found), n, c.want, err, err2)
			}
		}
		ack := alert.Ack{By: "Bob", At: start, Note: "mine"}
		if err := w.Store.Acknowledge(ctx, "incident-00", ack, event("alert.acknowledged")); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"incident-00", "incident-01", "incident-none"} {
			if err := w.Store.Acknowledge(ctx, id, ack, event("x")); odcm.KindOf(err) != odcm.Conflict {
				t.Errorf("%s: %v", id, err)
			}
		}
		commit(t, w, alert.Outcome{Incidents: o.Incidents[:1]}) // the evaluation does not undo what people did
		if i, err := w.Store.Incident(ctx, "incident-00"); err != nil || i.Acked.By != "Bob" {
			t.Errorf("%+v, %v", i, err)
		}
		if c, err := w.Store.Config(ctx, start); err != nil || c.Acks["incident-00"].Note != "mine" || len(c.Acks) != 1 {
			t.Errorf("acks %+v, %v", c.Acks, err)
		}
		if parts, err := w.Store.Load(ctx); err != nil || len(parts) != 2 {
			t.Errorf("parts %v, %v", parts, err)
		}
		commit(t, w, alert.Outcome{Gone: []string{"incident-02"}})
		if _, err := w.Store.Incident(ctx, "incident-02"); odcm.KindOf(err) != odcm.NotFound {
			t.Errorf("what came to nothing: %v", err)
		}
		if err := w.Store.Prune(ctx, start.Add(5*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := w.Store.CountIncidents(ctx, desk.IncidentFilter{All: true}); err != nil || n != 20 {
			t.Errorf("after pruning %d, %v", n, err)
		}
		if notes, err := w.Store.Notes(ctx, "incident-00", 10); err != nil || len(notes) != 2 {
			t.Errorf("notes %+v, %v", notes, err)
		}
		if events, err := w.Log.List(ctx, eventlog.Filter{Types: []string{"alert.fired"}}); err != nil || len(events) != 25 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}
