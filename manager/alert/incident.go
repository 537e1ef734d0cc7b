package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// Phase is where an incident is.
type Phase string

// The phases.
const (
	Pending  Phase = "pending"
	Firing   Phase = "firing"
	Resolved Phase = "resolved"
)

// Incident is one time that a rule's condition held for a subject.
type Incident struct {
	ID       string            `json:"id"`
	Rule     string            `json:"rule"`
	RuleName string            `json:"ruleName"`
	Severity Severity          `json:"severity"`
	Signal   Signal            `json:"signal"`
	Subject  string            `json:"subject"`
	Kind     string            `json:"kind"`
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels,omitempty"`
	Phase    Phase             `json:"phase"`
	Summary  string            `json:"summary"` // a sentence
	Since    time.Time         `json:"since"`   // when the condition began
	Fired    time.Time         `json:"fired,omitzero"`
	Resolved time.Time         `json:"resolved,omitzero"`
	Flapping bool              `json:"flapping,omitempty"`
	Quiet    string            `json:"quiet,omitempty"` // why nobody is told
	Acked    Ack               `json:"acked,omitzero"`

	Told      []string  `json:"told,omitempty"` // receivers that know that it fires
	Queued    bool      `json:"queued,omitempty"`
	FlapTold  bool      `json:"flapTold,omitempty"`
	Escalated bool      `json:"escalated,omitempty"`
	Ended     bool      `json:"ended,omitempty"` // those who were told will hear that it is over
	FirstTold time.Time `json:"firstTold,omitzero"`
	LastTold  time.Time `json:"lastTold,omitzero"`
}

// Ack says who has taken an incident on.
type Ack struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// matched are the labels that matchers of silences and windows see.
func (i *Incident) matched() map[string]string {
	all := maps.Clone(i.Labels)
	if all == nil {
		all = map[string]string{}
	}
	all["rule"], all["severity"], all["signal"], all["kind"], all["name"] = i.RuleName, string(i.Severity), string(i.Signal), i.Kind, i.Name
	if i.Kind == KindSpace && all["space"] == "" {
		all["space"] = i.Name
	}
	return all
}

// digest names something by its parts, the same on every replica that works it out.
func digest(noun string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return noun + "-" + hex.EncodeToString(sum[:16])
}

// Note is a line of an incident's timeline.
type Note struct {
	Incident string
	At       time.Time
	Kind     string // pending, firing, resolved, quiet, heard, flapping, stable, acknowledged, told
	Text     string
}

// NoticeKind says what is told.
type NoticeKind string

// What is told.
const (
	Fires     NoticeKind = "firing"
	Flaps     NoticeKind = "flapping"
	Escalates NoticeKind = "escalation"
	Reminds   NoticeKind = "reminder"
	Resolves  NoticeKind = "resolved"
	Tests     NoticeKind = "test"
)

// Notice is what one receiver is told at one time. ID is made of what is told to whom: the same thing has the same ID however
// often it is worked out, and is the key by which receivers know a repetition.
type Notice struct {
	ID        string     `json:"id"`
	Kind      NoticeKind `json:"kind"`
	Receiver  string     `json:"receiver"`
	Rule      string     `json:"rule"`
	Incidents []Incident `json:"incidents"` // as they were at the time
	At        time.Time  `json:"at"`
}

// transition is what the key of a notice says of each incident in it. A reminder happens again and again.
func (n Notice) key() string {
	parts := []string{n.Receiver}
	ids := make([]string, 0, len(n.Incidents))
	for _, i := range n.Incidents {
		ids = append(ids, i.ID+"/"+string(n.Kind))
	}
	slices.Sort(ids)
	parts = append(parts, ids...)
	if n.Kind == Reminds {
		parts = append(parts, n.At.UTC().Format(time.RFC3339Nano))
	}
	return digest("notice", parts...)
}

// Test is the notice that a test sends.
func Test(receiver string, at time.Time) Notice {
	n := Notice{Kind: Tests, Receiver: receiver, At: at}
	n.ID = digest("notice", receiver, string(Tests), at.UTC().Format(time.RFC3339Nano))
	return n
}
