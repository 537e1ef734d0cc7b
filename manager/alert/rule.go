package alert

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"odcm"
)

// Severity says how bad it is.
type Severity string

// The severities.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Op compares a value with a threshold.
type Op string

// The comparisons.
const (
	Below Op = "<"
	Above Op = ">"
)

// Rule says what is wrong and who is to know.
type Rule struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Signal    Signal   `json:"signal"`
	Is        string   `json:"is,omitempty"` // of Status: offline, degraded
	Op        Op       `json:"op,omitempty"` // of all others
	Threshold float64  `json:"threshold,omitempty"`
	Kind      string   `json:"kind,omitempty"` // of subjects; any if empty
	Matchers  Matchers `json:"matchers"`

	FailureThreshold int `json:"failureThreshold"` // so many looks in a row must find it before it fires
	SuccessThreshold int `json:"successThreshold"` // so many must not before it is resolved

	Severity      Severity      `json:"severity"`
	Receivers     []string      `json:"receivers,omitempty"` // the default ones if empty
	GroupBy       []string      `json:"groupBy,omitempty"`   // labels; what has them in common is told together
	GroupWait     time.Duration `json:"groupWait,omitempty"` // how long it is waited for others
	EscalateAfter time.Duration `json:"escalateAfter,omitempty"`
	EscalateTo    []string      `json:"escalateTo,omitempty"`
	RepeatEvery   time.Duration `json:"repeatEvery,omitempty"`
	FlapChanges   int           `json:"flapChanges,omitempty"` // more changes than this in FlapWindow are flapping; 0: never
	FlapWindow    time.Duration `json:"flapWindow,omitempty"`
	FlapRest      time.Duration `json:"flapRest,omitempty"` // without a change before it counts as stable
	Enabled       bool          `json:"enabled"`
	Revision      int64         `json:"revision"`
}

// Defaults are the rules that are there from the start.
func Defaults() []Rule {
	rule := func(id, name string, r Rule) Rule {
		r.ID, r.Name, r.Enabled = "rule-"+id, name, true
		r.GroupBy, r.GroupWait = []string{"server"}, 10*time.Second
		r.FlapChanges, r.FlapWindow, r.FlapRest = 6, 15*time.Minute, 10*time.Minute
		r.FailureThreshold, r.SuccessThreshold = max(r.FailureThreshold, 1), max(r.SuccessThreshold, 1)
		return r
	}
	return []Rule{
		rule("offline", "Offline", Rule{Signal: Status, Is: "offline", Kind: KindSpace, Severity: Critical}),
		rule("server-offline", "Machine offline", Rule{Signal: Status, Is: "offline", Kind: KindServer, Severity: Critical}),
		rule("degraded", "Degraded", Rule{Signal: Status, Is: "degraded", Severity: Warning, FailureThreshold: 6, SuccessThreshold: 3}),
		rule("certificate", "Certificate near expiry", Rule{Signal: Certificate, Op: Below, Threshold: 14, Severity: Warning, RepeatEvery: 24 * time.Hour}),
		rule("queue", "Task queue stuck", Rule{Signal: Queue, Op: Above, Threshold: 900, Severity: Warning, FailureThreshold: 2}),
		rule("disk", "Disk nearly full", Rule{Signal: Disk, Op: Below, Threshold: .1, Severity: Critical, FailureThreshold: 4, SuccessThreshold: 4}),
		rule("version", "Version behind", Rule{Signal: Version, Op: Above, Threshold: 3, Severity: Info}),
		rule("sync", "Sync failing", Rule{Signal: Sync, Op: Above, Threshold: 600, Severity: Warning}),
		rule("revocation", "Revoking takes long", Rule{Signal: Revocation, Op: Above, Threshold: 60, Severity: Warning}),
	}
}

// Covers tells whether the rule is about what was read.
func (r Rule) Covers(v Reading) bool {
	return r.Signal == v.Signal && (r.Kind == "" || r.Kind == v.Kind) && r.Matchers.Match(v.Labels)
}

// Holds tells whether what was read is what the rule is about; known is false where the reading does not say.
func (r Rule) Holds(v Reading) (holds, known bool) {
	if r.Signal == Status {
		return v.Text == r.Is, v.Text != "" && v.Text != "unknown"
	}
	if math.IsNaN(v.Value) {
		return false, false
	}
	if r.Op == Below {
		return v.Value < r.Threshold, true
	}
	return v.Value > r.Threshold, true
}

// hold and clear are how long the condition must hold, or be gone: a look every so often.
func (r Rule) hold(every time.Duration) time.Duration {
	return time.Duration(max(r.FailureThreshold-1, 0)) * every
}
func (r Rule) clear(every time.Duration) time.Duration {
	return time.Duration(max(r.SuccessThreshold-1, 0)) * every
}

// maxWait bounds all times of a rule.
const maxWait = 30 * 24 * time.Hour

// Check returns what is wrong with the rule.
func (r Rule) Check() error {
	e := odcm.E(odcm.Invalid, "alert.rule", "The rule is not complete.")
	bad := func(field, why string, args ...any) {
		e.Fields = append(e.Fields, odcm.FieldError{Field: field, Message: fmt.Sprintf(why, args...)})
	}
	if n := len(strings.TrimSpace(r.Name)); n == 0 || n > 100 {
		bad("name", "Give it a name of at most 100 letters.")
	}
	info, known := InfoOf(r.Signal)
	switch {
	case !known:
		bad("signal", "There is no such signal.")
	case r.Signal == Status && !slices.Contains([]string{"offline", "degraded"}, r.Is):
		bad("is", "A status to alert about is offline or degraded.")
	case r.Signal != Status && r.Op != Below && r.Op != Above:
		bad("op", "Say < or >: usually %s here.", info.Usual)
	case r.Signal != Status && (math.IsNaN(r.Threshold) || math.IsInf(r.Threshold, 0)):
		bad("threshold", "Give a number.")
	case r.Signal == Disk && (r.Threshold < 0 || r.Threshold > 1):
		bad("threshold", "A part of the disk is between 0 and 1.")
	}
	if !slices.Contains([]string{"", KindSpace, KindServer}, r.Kind) {
		bad("kind", "Say space, server or nothing.")
	}
	if !slices.Contains([]Severity{Critical, Warning, Info}, r.Severity) {
		bad("severity", "Say critical, warning or info.")
	}
	for field, n := range map[string]int{"failureThreshold": r.FailureThreshold, "successThreshold": r.SuccessThreshold} {
		if n < 1 || n > 10_000 {
			bad(field, "Give a number of looks from 1 to 10000.")
		}
	}
	for field, d := range map[string]time.Duration{"groupWait": r.GroupWait, "escalateAfter": r.EscalateAfter, "repeatEvery": r.RepeatEvery,
		"flapWindow": r.FlapWindow, "flapRest": r.FlapRest} {
		if d < 0 || d > maxWait {
			bad(field, "Give a time of at most 30 days.")
		}
	}
	if r.RepeatEvery > 0 && r.RepeatEvery < time.Minute {
		bad("repeatEvery", "Remind once a minute at most.")
	}
	if r.FlapChanges < 0 || r.FlapChanges > 1000 {
		bad("flapChanges", "Give a number up to 1000, 0 for never.")
	}
	if r.FlapChanges > 0 && (r.FlapWindow == 0 || r.FlapRest == 0) {
		bad("flapWindow", "Say within which time changes count, and how long it must rest.")
	}
	if (r.EscalateAfter > 0) != (len(r.EscalateTo) > 0) {
		bad("escalateTo", "Say both after how long and to whom.")
	}
	if len(r.Receivers) > 50 || len(r.EscalateTo) > 50 || len(r.GroupBy) > 10 {
		bad("receivers", "That are too many.")
	}
	for _, name := range r.GroupBy {
		if labelName.FindString(name) != name || name == "" {
			bad("groupBy", "%q is no label.", name)
		}
	}
	if len(e.Fields) > 0 {
		slices.SortFunc(e.Fields, func(a, b odcm.FieldError) int { return strings.Compare(a.Field, b.Field) })
		return e
	}
	return nil
}

// InfoOf explains a signal.
func InfoOf(s Signal) (SignalInfo, bool) {
	for _, i := range Signals() {
		if i.Signal == s {
			return i, true
		}
	}
	return SignalInfo{}, false
}

// Says is the rule's condition in words.
func (r Rule) Says() string {
	what := "A Space or machine"
	switch r.Kind {
	case KindSpace:
		what = "A Space"
	case KindServer:
		what = "A machine"
	}
	if r.Signal == Status {
		return what + " is " + r.Is
	}
	info, _ := InfoOf(r.Signal)
	than := "more"
	if r.Op == Below {
		than = "less"
	}
	return fmt.Sprintf("%s: %s than %g %s", info.Label, than, r.Threshold, info.Unit)
}
