package receiver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"odcm"
	"odcm/manager/alert"
	"odcm/manager/alert/alerttest"
	"odcm/manager/alert/receiver"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for shown, r := range map[string]receiver.Receiver{
		"a@example.com, b@example.com": {Kind: receiver.Email, To: []string{"b@example.com", "a@example.com", "b@example.com"}},
		"https://h.example.com":        {Kind: receiver.Webhook, Secrets: receiver.Secrets{URL: "https://u:p@h.example.com/s3cr3t?k=s3cr3t"}},
		"PagerDuty":                    {Kind: receiver.PagerDuty, Secrets: receiver.Secrets{Key: "0123456789abcdef"}},
		"ntfy":                         {Kind: receiver.Other, Secrets: receiver.Secrets{URL: "ntfy://s3cr3t@ntfy.sh/topic"}},
	} {
		r.Name = "x"
		if err := r.Check(); err != nil || r.Shown != shown {
			t.Errorf("%s: %q, %v", shown, r.Shown, err)
		}
		if said := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(said, "s3cr3t") {
			t.Errorf("printed: %s", said)
		}
	}
	for _, r := range []receiver.Receiver{{Kind: receiver.Email}, {Kind: receiver.Email, To: []string{"a@example.com\r\nBcc: b@example.com"}}, {Kind: "pigeon"}, {Kind: receiver.Slack},
		{Kind: receiver.Webhook, Secrets: receiver.Secrets{URL: "file:///etc/passwd"}}, {Kind: receiver.Other, Secrets: receiver.Secrets{URL: "https://x"}}, {Kind: receiver.PagerDuty}} {
		r.Name = "x"
		if err := r.Check(); odcm.KindOf(err) != odcm.Invalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestSealed(t *testing.T) {
	t.Parallel()
	r := receiver.Receiver{ID: "receiver-1", Secrets: receiver.Secrets{URL: "https://x", Key: "k"}}
	if err := r.Seal(alerttest.Sealer{}); err != nil {
		t.Fatal(err)
	}
	r.Secrets = receiver.Secrets{}
	other := r
	if err := r.Open(alerttest.Sealer{}); err != nil || r.Secrets.Key != "k" {
		t.Errorf("%v", err)
	}
	other.ID = "receiver-2"
	if other.Open(alerttest.Sealer{}) == nil {
		t.Error("secrets of one receiver open for another")
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	down := func(name, server string) alert.Incident {
		return alert.Incident{ID: "incident-" + name, RuleName: "Offline", Severity: alert.Critical, Kind: alert.KindSpace, Name: name, Labels: map[string]string{"server": server},
			Phase: alert.Firing, Summary: name + " is offline.", Since: at}
	}
	over := down("a", "h")
	over.Phase, over.Resolved = alert.Resolved, at.Add(90*time.Second)
	many := alert.Notice{Kind: alert.Fires}
	for i := range 60 {
		many.Incidents = append(many.Incidents, down(fmt.Sprint("s", i), "host-1"))
	}
	for title, n := range map[string]alert.Notice{
		"Offline: a":                           {Kind: alert.Fires, Incidents: []alert.Incident{down("a", "h")}},
		"Was and is over: Offline: a":          {Kind: alert.Fires, Incidents: []alert.Incident{over}},
		"Resolved: Offline: a":                 {Kind: alert.Resolves, Incidents: []alert.Incident{over}},
		"Offline: 2 Spaces":                    {Kind: alert.Fires, Incidents: []alert.Incident{down("a", "h"), down("b", "i")}},
		"Offline: 60 Spaces on host-1":         many,
		"Nobody has taken this on: Offline: a": {Kind: alert.Escalates, Incidents: []alert.Incident{down("a", "h")}},
		"Still: Offline: a":                    {Kind: alert.Reminds, Incidents: []alert.Incident{down("a", "h")}},
		"Flapping: Offline: a":                 {Kind: alert.Flaps, Incidents: []alert.Incident{down("a", "h")}},
		"Test: ODCM can reach you":             alert.Test("x", at),
	} {
		if m := receiver.Say(n, "https://odcm"); m.Title != title || m.Text() == "" {
			t.Errorf("title %q, want %q", m.Title, title)
		}
	}
	if m := receiver.Say(many, ""); len(m.Says()) != 51 || m.Says()[50] != "And 10 more." || m.Link != "" {
		t.Errorf("says %d lines", len(m.Says()))
	}
	if m := receiver.Say(alert.Notice{Kind: alert.Fires, Incidents: []alert.Incident{over}}, ""); m.Says()[0] != "a is offline. a: over since 03:05:35 UTC, after 1 min 30 s." {
		t.Errorf("says %q", m.Says())
	}
}

// FuzzSay draws messages about what has any name: no line breaks in a title or a line, and mail can be made of it.
func FuzzSay(f *testing.F) {
	f.Add("a", "is down", "host")
	f.Add("a\r\nBcc: b", "x\x00\u2028y", strings.Repeat("ä", 300))
	f.Add("\xff\xfe", "<script>", "*_`")
	f.Fuzz(func(t *testing.T, name, summary, server string) {
		i := alert.Incident{ID: "incident-1", RuleName: name, Name: name, Summary: summary, Labels: map[string]string{"server": server}, Phase: alert.Firing}
		m := receiver.Say(alert.Notice{ID: "n", Kind: alert.Fires, Incidents: []alert.Incident{i, i}}, "https://odcm")
		for _, line := range append(m.Says(), m.Title) {
			if strings.ContainsFunc(line, unicode.IsControl) || len([]rune(line)) > 500 {
				t.Fatalf("line %q", line)
			}
		}
		all, err := m.Mails([]string{"a@example.com"})
		if err != nil || len(all) != 1 {
			t.Fatal(err)
		}
		if strings.Contains(all[0].HTML, "<script") {
			t.Fatalf("markup in %s", all[0].HTML)
		}
	})
}
