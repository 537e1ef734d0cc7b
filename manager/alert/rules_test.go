package alert_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"odcm"
	"odcm/manager/alert"
)

func TestMatchers(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"server": "host-1", "version": "2025.4.1", "space": `Pay, "now"`}
	for text, want := range map[string]bool{
		"": true, "server=host-1": true, "server = host-1 ,version~2025[.].*": true, "server!=host-1": false, "version=~2025": false, "version!~2025": true,
		"missing=": true, "missing!=": false, `space="Pay, \"now\""`: true, `space="Pay",server=host-1`: false, "server~host-[0-9]+": true,
	} {
		m, err := alert.ParseMatchers(text)
		if err != nil || m.Match(labels) != want {
			t.Errorf("%q: %v, %v", text, m.Match(labels), err)
		}
	}
	for _, bad := range []string{"server", "=x", "server~(", `server="x`, `server="x"y`, "1=2", strings.Repeat("a=b,", 21), strings.Repeat("x", 1001), "server>x"} {
		if _, err := alert.ParseMatchers(bad); odcm.CodeOf(err) != "alert.matcher" {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzMatchers(f *testing.F) {
	for _, seed := range []string{"", "server=host-1", `a="b\"c",d~e.*`, `a!="`, "a=~,b!~x", "ä=ö"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := alert.ParseMatchers(text)
		if err != nil {
			if odcm.KindOf(err) != odcm.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, err := alert.ParseMatchers(m.String())
		if err != nil {
			t.Fatalf("%q was read, and what it says is not: %v", text, err)
		}
		for _, labels := range []map[string]string{nil, {"server": "host-1"}, {"a": "b"}} {
			if m.Match(labels) != again.Match(labels) {
				t.Fatalf("%q matches otherwise when read again", text)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this machine knows no time zones")
	}
	weekly := alert.Window{Name: "x", Schedule: "0 22 * * 6", Zone: "Europe/Berlin", Lasts: 4 * time.Hour, Enabled: true}
	at := func(m time.Month, d, h, min int) time.Time { return time.Date(2026, m, d, h, min, 0, 0, berlin) }
	for _, c := range []struct {
		at   time.Time
		want bool
	}{
		{at(1, 3, 21, 59), false}, {at(1, 3, 22, 0), true}, {at(1, 4, 1, 59), true}, {at(1, 4, 2, 0), false}, {at(1, 5, 22, 0), false},
		{at(3, 28, 22, 0), true}, {at(3, 29, 1, 59), true}, {at(3, 29, 3, 0), false}, // the clocks go forward in that night
		{at(10, 24, 22, 30), true}, {at(7, 4, 22, 0), true}, {at(7, 4, 21, 0), false},
	} {
		if got := weekly.Active(c.at); got != c.want {
			t.Errorf("at %v: %v", c.at, got)
		}
	}
	if next := weekly.Next(at(1, 5, 0, 0)); !next.Equal(at(1, 10, 22, 0)) {
		t.Errorf("next %v", next)
	}
	once := alert.Window{Name: "x", From: start, Lasts: time.Hour, Enabled: true}
	if once.Active(start.Add(-1)) || !once.Active(start) || once.Active(start.Add(time.Hour)) || !once.Next(start).IsZero() {
		t.Error("once")
	}
	later := weekly
	later.From = at(2, 1, 0, 0)
	if later.Active(at(1, 3, 22, 30)) || !later.Active(at(2, 7, 22, 30)) {
		t.Error("a schedule that begins later")
	}
	for name, w := range map[string]alert.Window{
		"name": {Schedule: "0 22 * * 6", Lasts: time.Hour}, "lasts": {Name: "x", From: start}, "from": {Name: "x", Lasts: time.Hour}, "zone": {Name: "x", From: start, Lasts: time.Hour, Zone: "Mars"},
		"schedule": {Name: "x", Lasts: time.Hour, Schedule: "TZ=UTC 0 22 * * 6"}, "never": {Name: "x", Lasts: time.Hour, Schedule: "0 0 31 2 *"}, "descriptor": {Name: "x", Lasts: time.Hour, Schedule: "@daily"},
	} {
		if odcm.KindOf(w.Check()) != odcm.Invalid {
			t.Errorf("%s: %v", name, w.Check())
		}
	}
}

func TestRuleCheck(t *testing.T) {
	t.Parallel()
	for _, r := range alert.Defaults() {
		if err := r.Check(); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		b, err := json.Marshal(r)
		var again alert.Rule
		if err == nil {
			err = json.Unmarshal(b, &again)
		}
		if err != nil || again.Name != r.Name || again.GroupWait != r.GroupWait {
			t.Errorf("%s: %v", b, err)
		}
	}
	for field, change := range map[string]func(*alert.Rule){
		"name": func(r *alert.Rule) { r.Name = " " }, "signal": func(r *alert.Rule) { r.Signal = "x" }, "is": func(r *alert.Rule) { r.Is = "" }, "kind": func(r *alert.Rule) { r.Kind = "x" },
		"severity": func(r *alert.Rule) { r.Severity = "" }, "failureThreshold": func(r *alert.Rule) { r.FailureThreshold = 0 }, "groupWait": func(r *alert.Rule) { r.GroupWait = -1 },
		"repeatEvery": func(r *alert.Rule) { r.RepeatEvery = time.Second }, "escalateTo": func(r *alert.Rule) { r.EscalateAfter = time.Hour }, "flapWindow": func(r *alert.Rule) { r.FlapRest = 0 },
		"threshold": func(r *alert.Rule) { r.Signal, r.Op, r.Threshold = alert.Queue, alert.Above, math.NaN() }, "groupBy": func(r *alert.Rule) { r.GroupBy = []string{"a b"} },
	} {
		r := alert.Defaults()[0]
		change(&r)
		if err := r.Check(); err == nil || !strings.Contains(strings.Join(fieldsOf(err), " "), field) {
			t.Errorf("%s: %v", field, fieldsOf(err))
		}
	}
	if _, known := alert.Defaults()[5].Holds(alert.Reading{Signal: alert.Disk, Value: math.NaN()}); known {
		t.Error("a value that is none is known")
	}
}

func fieldsOf(err error) (all []string) {
	if e, ok := err.(*odcm.Error); ok {
		for _, f := range e.Fields {
			all = append(all, f.Field)
		}
	}
	return all
}

func TestSilenceCheck(t *testing.T) {
	t.Parallel()
	good := alert.Silence{Space: "space-1", From: start, Until: start.Add(time.Hour), Comment: "x"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*alert.Silence){
		"everything": func(s *alert.Silence) { s.Space = "" }, "backwards": func(s *alert.Silence) { s.Until = s.From }, "for ever": func(s *alert.Silence) { s.Until = s.From.AddDate(2, 0, 0) },
		"why": func(s *alert.Silence) { s.Comment = " " },
	} {
		s := good
		change(&s)
		if odcm.KindOf(s.Check()) != odcm.Invalid {
			t.Errorf("%s: %v", name, s.Check())
		}
	}
}

func TestSays(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]alert.Reading{
		"a is offline. No answer.":                                  {Signal: alert.Status, Text: "offline", Reason: "No answer."},
		"The certificate of a expires in 1 day.":                    {Signal: alert.Certificate, Value: 1.5},
		"The certificate of a expired 2 days ago.":                  {Signal: alert.Certificate, Value: -2},
		"The oldest task of a waits for 20 min.":                    {Signal: alert.Queue, Value: 1200},
		"9 % of the disk of a is free.":                             {Signal: alert.Disk, Value: .099},
		"a is 4 releases behind.":                                   {Signal: alert.Version, Value: 4},
		"Bringing a to its desired state has failed for 2 h 1 min.": {Signal: alert.Sync, Value: 7260},
		"Taking access away in a takes a long time.":                {Signal: alert.Revocation, Value: math.Inf(1)},
	} {
		if r.Name = "a"; r.Says() != want {
			t.Errorf("%q, want %q", r.Says(), want)
		}
	}
}
