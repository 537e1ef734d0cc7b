package receiver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"odcm/kit/mail"
	"odcm/manager/alert"
)

// Message is a notice in words.
type Message struct {
	ID       string
	Kind     alert.NoticeKind
	Severity alert.Severity
	Title    string
	Lines    []Line
	Link     string // to the page of the incident, or of all
	At       time.Time
}

// Line is what a message says of one incident.
type Line struct {
	Incident alert.Incident
	Text     string
	Over     bool
	Link     string
}

// maxLines bounds what a message lists; the rest is counted.
const maxLines = 50

// Say puts the notice in words. Root is ODCM's own address, "" where it is not known.
func Say(n alert.Notice, root string) Message {
	m := Message{ID: n.ID, Kind: n.Kind, Severity: severity(n), At: n.At, Link: link(root, "/alerts")}
	all := 0
	for _, i := range n.Incidents {
		l := Line{Incident: i, Text: i.Summary, Over: i.Phase == alert.Resolved, Link: link(root, "/alerts/incidents/"+i.ID)}
		if l.Over {
			all++
			l.Text = fmt.Sprintf("%s: over since %s, after %s.", i.Name, i.Resolved.UTC().Format("15:04:05 MST"), alert.Took(max(i.Resolved.Sub(i.Since), 0)))
			if n.Kind != alert.Resolves {
				l.Text = i.Summary + " " + l.Text
			}
		}
		m.Lines = append(m.Lines, l)
	}
	slices.SortStableFunc(m.Lines, func(a, b Line) int { return cmp.Compare(a.Incident.Name, b.Incident.Name) })
	m.Title = title(n, all == len(n.Incidents) && n.Kind != alert.Resolves && n.Kind != alert.Tests)
	if len(n.Incidents) == 1 {
		m.Link = m.Lines[0].Link
	}
	return m
}

func link(root, path string) string {
	if root == "" {
		return ""
	}
	return strings.TrimRight(root, "/") + path
}

func severity(n alert.Notice) alert.Severity {
	worst := alert.Info
	for _, i := range n.Incidents {
		if i.Severity == alert.Critical || i.Severity == alert.Warning && worst == alert.Info {
			worst = i.Severity
		}
	}
	return worst
}

// title is one line, without line breaks: it becomes a subject.
func title(n alert.Notice, over bool) string {
	if n.Kind == alert.Tests {
		return "Test: ODCM can reach you"
	}
	if len(n.Incidents) == 0 {
		return string(n.Kind)
	}
	first := n.Incidents[0]
	what := first.Name
	if len(n.Incidents) > 1 {
		what = fmt.Sprintf("%d %s", len(n.Incidents), plural(n.Incidents))
		if server := first.Labels["server"]; server != "" && !slices.ContainsFunc(n.Incidents, func(i alert.Incident) bool { return i.Labels["server"] != server }) {
			what += " on " + server
		}
	}
	said := first.RuleName + ": " + what
	switch {
	case n.Kind == alert.Resolves:
		said = "Resolved: " + said
	case over:
		said = "Was and is over: " + said
	case n.Kind == alert.Flaps:
		said = "Flapping: " + said
	case n.Kind == alert.Escalates:
		said = "Nobody has taken this on: " + said
	case n.Kind == alert.Reminds:
		said = "Still: " + said
	}
	return oneLine(said, 150)
}

func plural(all []alert.Incident) string {
	if slices.ContainsFunc(all, func(i alert.Incident) bool { return i.Kind != all[0].Kind }) {
		return "subjects"
	}
	if all[0].Kind == alert.KindServer {
		return "machines"
	}
	return "Spaces"
}

// oneLine keeps control characters, and all that makes a line longer than it looks, out of titles.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit-1]) + "…"
	}
	return text
}

// Text is the message without markup.
func (m Message) Text() string {
	var b strings.Builder
	for _, t := range m.Says() {
		b.WriteString(t + "\n")
	}
	if m.Link != "" {
		b.WriteString("\n" + m.Link + "\n")
	}
	return b.String()
}

// Says are the sentences of the message, a line each.
func (m Message) Says() (all []string) {
	if m.Kind == alert.Tests {
		return []string{"This is a test. Nothing is wrong, and nothing needs to be done."}
	}
	for k, l := range m.Lines {
		if k == maxLines {
			return append(all, fmt.Sprintf("And %d more.", len(m.Lines)-maxLines))
		}
		all = append(all, oneLine(l.Text, 500))
	}
	return all
}

// Mails is the message as mail, one for each address.
func (m Message) Mails(to []string) ([]mail.Message, error) {
	all := []mail.Message{}
	for _, address := range to {
		l := mail.Letter{Product: "ODCM", Heading: m.Title, Lines: m.Says()}
		if m.Link != "" {
			l.Button, l.Link = "Open it in ODCM", m.Link
		}
		one, err := l.Message(address, m.Title)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
