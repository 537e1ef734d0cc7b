package alertsend

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

// document is what a webhook gets.
type document struct {
	Type      string    `json:"type"` // alert.firing, alert.resolved, ...
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	ID        string     `json:"id"` // the same however often it is sent
	Title     string     `json:"title"`
	Severity  string     `json:"severity"`
	Link      string     `json:"link,omitempty"`
	Incidents []incident `json:"incidents"`
}

type incident struct {
	ID       string            `json:"id"`
	Rule     string            `json:"rule"`
	Severity string            `json:"severity"`
	Subject  string            `json:"subject"`
	Kind     string            `json:"kind"`
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels,omitempty"`
	State    string            `json:"state"`
	Summary  string            `json:"summary"`
	Since    time.Time         `json:"since"`
	Resolved *time.Time        `json:"resolved,omitempty"`
	Link     string            `json:"link,omitempty"`
}

func (s *Sender) webhook(ctx context.Context, r receiver.Receiver, m receiver.Message) error {
	d := document{Type: "alert." + string(m.Kind), Timestamp: m.At.UTC(),
		Data: data{ID: m.ID, Title: m.Title, Severity: string(m.Severity), Link: m.Link, Incidents: []incident{}}}
	for _, l := range m.Lines {
		i := l.Incident
		one := incident{ID: i.ID, Rule: i.RuleName, Severity: string(i.Severity), Subject: i.Subject, Kind: i.Kind, Name: i.Name, Labels: i.Labels,
			State: string(i.Phase), Summary: i.Summary, Since: i.Since.UTC(), Link: l.Link}
		if i.Phase == alert.Resolved {
			at := i.Resolved.UTC()
			one.Resolved = &at
		}
		d.Data.Incidents = append(d.Data.Incidents, one)
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	at := strconv.FormatInt(s.now().Unix(), 10)
	header := http.Header{}
	header.Set("webhook-id", m.ID)
	header.Set("webhook-timestamp", at)
	if r.Secrets.Key != "" {
		header.Set("webhook-signature", "v1,"+Sign(r.Secrets.Key, m.ID, at, body))
	}
	return s.postTo(ctx, r, r.Secrets.URL, body, header)
}

// Sign is the signature of a webhook: HMAC-SHA256 over "id.timestamp.body" (Standard Webhooks), in base64. A key that begins
// with whsec_ is base64, any other is itself.
func Sign(key, id, timestamp string, body []byte) string {
	secret := []byte(key)
	if coded, ok := strings.CutPrefix(key, "whsec_"); ok {
		if plain, err := base64.StdEncoding.DecodeString(coded); err == nil {
			secret = plain
		}
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
