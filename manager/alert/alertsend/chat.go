package alertsend

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"odcm/manager/alert"
	"odcm/manager/alert/receiver"
)

var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slack is a message for an incoming webhook. What looks like markup in a name is text.
func slack(m receiver.Message) any {
	var b strings.Builder
	b.WriteString("*" + slackText.Replace(strings.ReplaceAll(m.Title, "*", "∗")) + "*")
	for _, line := range m.Says() {
		b.WriteString("\n• " + slackText.Replace(line))
	}
	if m.Link != "" {
		b.WriteString("\n<" + m.Link + "|Open it in ODCM>")
	}
	return map[string]any{"text": b.String()}
}

var teamsText = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, "`", "\\`")

// teams is an Adaptive Card, as a workflow for webhook requests takes it.
func teams(m receiver.Message) any {
	colour := map[alert.Severity]string{alert.Critical: "Attention", alert.Warning: "Warning", alert.Info: "Accent"}[m.Severity]
	if over(m) {
		colour = "Good"
	}
	block := func(text string, more map[string]any) map[string]any {
		b := map[string]any{"type": "TextBlock", "text": teamsText.Replace(text), "wrap": true}
		for k, v := range more {
			b[k] = v
		}
		return b
	}
	body := []any{block(m.Title, map[string]any{"weight": "Bolder", "size": "Medium", "color": colour})}
	for _, line := range m.Says() {
		body = append(body, block(line, nil))
	}
	card := map[string]any{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	if m.Link != "" {
		card["actions"] = []any{map[string]any{"type": "Action.OpenUrl", "title": "Open it in ODCM", "url": m.Link}}
	}
	return map[string]any{"type": "message", "attachments": []any{map[string]any{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}
}

const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// pagerDuty sends an event for each incident, so that each is resolved by itself there. The key of the incident makes a
// repetition harmless (Events API v2, dedup_key).
func (s *Sender) pagerDuty(ctx context.Context, r receiver.Receiver, m receiver.Message) error {
	to := r.Secrets.URL
	if to == "" {
		to = pagerDutyURL
	}
	send := func(action, key, summary, source string, at time.Time, link string) error {
		event := map[string]any{"routing_key": r.Secrets.Key, "event_action": action, "dedup_key": key, "client": "ODCM"}
		if action == "trigger" {
			event["payload"] = map[string]any{"summary": summary, "source": source, "severity": string(m.Severity), "timestamp": at.UTC().Format(time.RFC3339)}
			if link != "" {
				event["links"] = []any{map[string]any{"href": link, "text": "Open it in ODCM"}}
			}
		}
		body, err := json.Marshal(event)
		if err != nil {
			return err
		}
		return s.postTo(ctx, r, to, body, nil)
	}
	if m.Kind == alert.Tests {
		if err := send("trigger", m.ID, m.Title, "ODCM", m.At, m.Link); err != nil {
			return err
		}
		return send("resolve", m.ID, "", "", m.At, "")
	}
	for _, l := range m.Lines {
		if m.Kind != alert.Resolves {
			if err := send("trigger", l.Incident.ID, l.Text, l.Incident.Name, l.Incident.Since, l.Link); err != nil {
				return err
			}
		}
		if l.Over {
			if err := send("resolve", l.Incident.ID, "", "", m.At, ""); err != nil {
				return err
			}
		}
	}
	return nil
}
