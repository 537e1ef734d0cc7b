package alertsend_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"odcm"
	"odcm/kit/egress"
	"odcm/kit/mail"
	"odcm/manager/alert"
	"odcm/manager/alert/alertsend"
	"odcm/manager/alert/receiver"
)

const secret = "s3cr3t-token"

// sink answers what it is told to and keeps what it got.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	headers []http.Header
	answer  http.HandlerFunc
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies, s.headers = append(s.bodies, string(body)), append(s.headers, r.Header.Clone())
		answer := s.answer
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

func sender() *alertsend.Sender {
	return &alertsend.Sender{Guard: egress.New(egress.Policy{}, egress.Limits{}), Agent: "odcm/test"}
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func notice(kind alert.NoticeKind, phases ...alert.Phase) receiver.Message {
	n := alert.Notice{ID: "notice-1", Kind: kind, At: at}
	for k, p := range phases {
		i := alert.Incident{ID: fmt.Sprint("incident-", k), RuleName: "Offline", Severity: alert.Critical, Kind: alert.KindSpace, Subject: fmt.Sprint("space-", k), Name: fmt.Sprintf("Pay<b>*%d", k),
			Phase: p, Summary: "It is offline.", Since: at}
		if p == alert.Resolved {
			i.Resolved = at.Add(time.Minute)
		}
		n.Incidents = append(n.Incidents, i)
	}
	return receiver.Say(n, "https://odcm.example.com")
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := receiver.Receiver{Kind: receiver.Webhook, Secrets: receiver.Secrets{URL: s.URL, Key: "whsec_c2VjcmV0"}}
	if err := sender().Send(t.Context(), r, notice(alert.Fires, alert.Firing, alert.Resolved)); err != nil {
		t.Fatal(err)
	}
	h := s.headers[0]
	if want := "v1," + alertsend.Sign("secret", h.Get("webhook-id"), h.Get("webhook-timestamp"), []byte(s.bodies[0])); h.Get("webhook-signature") != want || h.Get("webhook-id") != "notice-1" {
		t.Errorf("headers %v, want the signature %s", h, want)
	}
	var d struct {
		Type string
		Data struct {
			ID        string
			Incidents []struct{ Name, State, Link string }
		}
	}
	if err := json.Unmarshal([]byte(s.bodies[0]), &d); err != nil || d.Type != "alert.firing" || d.Data.ID != "notice-1" || len(d.Data.Incidents) != 2 ||
		d.Data.Incidents[1].State != "resolved" || d.Data.Incidents[0].Link != "https://odcm.example.com/alerts/incidents/incident-0" {
		t.Errorf("body %s, %v", s.bodies[0], err)
	}
}

// TestSign holds the signature against the example of Standard Webhooks.
func TestSign(t *testing.T) {
	t.Parallel()
	got := alertsend.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestChats(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	m := notice(alert.Fires, alert.Firing)
	for kind, want := range map[receiver.Kind]string{
		receiver.Slack: `Pay\u0026lt;b\u0026gt;∗0`, receiver.Teams: `"type":"AdaptiveCard"`,
	} {
		if err := sender().Send(t.Context(), receiver.Receiver{Kind: kind, Secrets: receiver.Secrets{URL: s.URL}}, m); err != nil {
			t.Fatal(err)
		}
		if body := s.got()[len(s.got())-1]; !strings.Contains(body, want) || !strings.Contains(body, "odcm.example.com/alerts/incidents/incident-0") {
			t.Errorf("%s got %s", kind, body)
		}
	}
}

func TestPagerDuty(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }
	r := receiver.Receiver{Kind: receiver.PagerDuty, Secrets: receiver.Secrets{URL: s.URL, Key: "routing"}}
	for _, m := range []receiver.Message{notice(alert.Fires, alert.Firing, alert.Resolved), notice(alert.Resolves, alert.Resolved), notice(alert.Tests)} {
		if err := sender().Send(t.Context(), r, m); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	for _, body := range s.got() {
		var e struct {
			Action string `json:"event_action"`
			Key    string `json:"dedup_key"`
			Routes string `json:"routing_key"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Routes != "routing" {
			t.Fatal(body, err)
		}
		said = append(said, e.Action+" "+e.Key)
	}
	if got, want := strings.Join(said, ", "), "trigger incident-0, trigger incident-1, resolve incident-1, resolve incident-0, trigger notice-1, resolve notice-1"; got != want {
		t.Errorf("said %s", got)
	}
}

// TestFailures holds every answer that is none against what becomes of it, and looks for the secret in what is said.
func TestFailures(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	host := strings.TrimPrefix(s.URL, "http://")
	receivers := []receiver.Receiver{
		{Kind: receiver.Webhook, Secrets: receiver.Secrets{URL: s.URL + "/" + secret}},
		{Kind: receiver.Slack, Secrets: receiver.Secrets{URL: s.URL + "/" + secret}},
		{Kind: receiver.PagerDuty, Secrets: receiver.Secrets{URL: s.URL + "/" + secret, Key: secret}},
		{Kind: receiver.Other, Secrets: receiver.Secrets{URL: "ntfy://" + host + "/" + secret + "?scheme=http"}},
		{Kind: receiver.Other, Secrets: receiver.Secrets{URL: "mattermost://" + host + "/" + secret + "?disabletls=yes"}},
	}
	for _, c := range []struct {
		answer http.HandlerFunc
		want   odcm.Kind
	}{
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, odcm.Unavailable},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, odcm.Unavailable},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, odcm.Unavailable},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, odcm.Invalid},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, odcm.Invalid},
		{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, odcm.Invalid},
		{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/"+secret, http.StatusTemporaryRedirect)
		}, odcm.Invalid},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, odcm.Unavailable},
		{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, odcm.Unavailable},
	} {
		s.mu.Lock()
		s.answer = c.answer
		s.mu.Unlock()
		for _, r := range receivers {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			err := sender().Send(ctx, r, notice(alert.Fires, alert.Firing))
			cancel()
			if odcm.KindOf(err) != c.want {
				t.Errorf("%s %s: %v, want %s", r.Kind, r.Secrets.URL, err, c.want)
			}
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("%s tells its secret: %v", r.Kind, err)
			}
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }
	host := strings.TrimPrefix(s.URL, "http://")
	for _, to := range []string{"ntfy://" + host + "/topic?scheme=http", "mattermost://" + host + "/token?disabletls=yes"} {
		before := len(s.got())
		if err := sender().Send(t.Context(), receiver.Receiver{Kind: receiver.Other, Secrets: receiver.Secrets{URL: to}}, notice(alert.Fires, alert.Firing)); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if got := s.got()[before:]; len(got) != 1 || !strings.Contains(got[0], "It is offline.") {
			t.Errorf("%s got %q", to, got)
		}
	}
	for to, want := range map[string]odcm.Kind{"telegram://" + secret + "@telegram?chats=x": odcm.Unsupported, "generic://" + host + "/x": odcm.Unsupported,
		"logger://x": odcm.Unsupported, "discord://" + secret: odcm.Invalid, "ntfy://%zz": odcm.Invalid} {
		err := sender().Send(t.Context(), receiver.Receiver{Kind: receiver.Other, Secrets: receiver.Secrets{URL: to}}, notice(alert.Fires, alert.Firing))
		if odcm.KindOf(err) != want || strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// TestGuard asks every kind to reach an address that ODCM may not.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, r := range []receiver.Receiver{
		{Kind: receiver.Webhook, Secrets: receiver.Secrets{URL: "http://169.254.169.254/latest"}},
		{Kind: receiver.Slack, Secrets: receiver.Secrets{URL: "http://169.254.169.254/latest"}},
		{Kind: receiver.Other, Secrets: receiver.Secrets{URL: "ntfy://169.254.169.254/topic?scheme=http"}},
		{Kind: receiver.Other, Secrets: receiver.Secrets{URL: "mattermost://169.254.169.254/token"}},
		{Kind: receiver.Other, Secrets: receiver.Secrets{URL: "rocketchat://169.254.169.254/tokena/tokenb/channel"}},
	} {
		if err := sender().Send(t.Context(), r, notice(alert.Fires, alert.Firing)); odcm.CodeOf(err) != "egress.denied" {
			t.Errorf("%s: %v", r.Secrets.URL, err)
		}
	}
}

type post struct{ all []mail.Message }

func (p *post) Send(_ context.Context, _ string, m mail.Message) error {
	p.all = append(p.all, m)
	return nil
}

func TestMail(t *testing.T) {
	t.Parallel()
	r := receiver.Receiver{Kind: receiver.Email, To: []string{"a@example.com", "b@example.com"}}
	if err := sender().Send(t.Context(), r, notice(alert.Tests)); odcm.CodeOf(err) != "mail.not-set-up" {
		t.Errorf("without a server: %v", err)
	}
	p := &post{}
	s := sender()
	s.Mailer = p
	if err := s.Send(t.Context(), r, notice(alert.Tests)); err != nil || len(p.all) != 2 || p.all[1].To != "b@example.com" || !strings.Contains(p.all[0].Text, "This is a test") {
		t.Errorf("mail %+v, %v", p.all, err)
	}
}
