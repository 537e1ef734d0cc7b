package alert

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Signal is what is read of a subject.
type Signal string

// The signals.
const (
	Status      Signal = "status"         // Text: online, degraded, offline, ...
	Certificate Signal = "certificate"    // days that the server's certificate is still valid
	Queue       Signal = "queue"          // seconds that the oldest task has waited
	Disk        Signal = "disk"           // part of the disk that is free, 0 to 1
	Version     Signal = "version"        // releases behind the newest
	Sync        Signal = "sync"           // seconds that bringing the Space to its desired state has failed
	Revocation  Signal = "time-to-revoke" // seconds that taking somebody's access away took, or takes
)

// SignalInfo explains a signal.
type SignalInfo struct {
	Signal  Signal
	Label   string
	Unit    string // of the threshold
	Explain string
	Usual   Op
}

// Signals are all there are.
func Signals() []SignalInfo {
	return []SignalInfo{
		{Status, "Status", "", "How the server of a Space, or a machine, is doing.", ""},
		{Certificate, "Certificate", "days left", "How long the server's TLS certificate is still valid.", Below},
		{Queue, "Task queue", "seconds waited", "How long the oldest task of the Space waits already.", Above},
		{Disk, "Free disk", "part that is free, 0 to 1", "How much of the machine's disk is free.", Below},
		{Version, "Version", "releases behind", "How far the Space is behind the newest version.", Above},
		{Sync, "Sync failing", "seconds", "How long ODCM fails to bring people and settings to the Space.", Above},
		{Revocation, "Time to revoke", "seconds", "How long it takes until somebody's access is gone from the Space.", Above},
	}
}

// KindSpace and KindServer are the kinds of subjects.
const (
	KindSpace  = "space"
	KindServer = "server"
)

// Reading is what a signal says of a subject at a time. Labels are what matchers look at; "server" names the machine.
type Reading struct {
	Signal  Signal            `json:"signal"`
	Subject string            `json:"subject"` // identifier of a Space or a server
	Kind    string            `json:"kind"`
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Value   float64           `json:"value,omitempty"`
	Text    string            `json:"text,omitempty"`   // of Status: the status
	Reason  string            `json:"reason,omitempty"` // of Status: why, a sentence
	At      time.Time         `json:"at"`
}

// Says is a sentence about the reading.
func (r Reading) Says() string {
	v := r.Value
	switch r.Signal {
	case Status:
		return strings.TrimSpace(r.Name + " is " + or(r.Text, "not watched") + ". " + r.Reason)
	case Certificate:
		if v < 0 {
			return fmt.Sprintf("The certificate of %s expired %s ago.", r.Name, count(-v, "day"))
		}
		return fmt.Sprintf("The certificate of %s expires in %s.", r.Name, count(v, "day"))
	case Queue:
		return fmt.Sprintf("The oldest task of %s waits for %s.", r.Name, seconds(v))
	case Disk:
		return fmt.Sprintf("%.0f %% of the disk of %s is free.", math.Floor(v*100), r.Name)
	case Version:
		return fmt.Sprintf("%s is %s behind.", r.Name, count(v, "release"))
	case Sync:
		return fmt.Sprintf("Bringing %s to its desired state has failed for %s.", r.Name, seconds(v))
	case Revocation:
		return fmt.Sprintf("Taking access away in %s takes %s.", r.Name, seconds(v))
	}
	return fmt.Sprintf("%s of %s is %g.", r.Signal, r.Name, v)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func count(v float64, noun string) string {
	if math.Floor(v) == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%.0f %ss", math.Floor(v), noun)
}

// seconds says a time in words; a value from outside may be anything.
func seconds(v float64) string {
	if math.IsNaN(v) || v < 0 || v > 1e9 {
		return "a long time"
	}
	return Took(time.Duration(v * float64(time.Second)))
}

// Took says a time in two units at most.
func Took(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60), " 0 s")
	case d < 48*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60), " 0 min")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d days %d h", int(d.Hours())/24, int(d.Hours())%24), " 0 h")
}
