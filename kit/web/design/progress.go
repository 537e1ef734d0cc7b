package design

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"
)

// Step is one step of a task.
type Step struct {
	Name, Detail string
	State        string // "waiting", "running", "succeeded", "failed" or "canceled"
	Took         string // "1.2 s", "" where unknown
}

// LogLine is one line of a task's log.
type LogLine struct {
	Number int64
	Time   time.Time
	Tone   string // "", "warning" or "danger"
	Text   string
}

// Took says how long something took, for people: "30 ms", "4.2 s", "4 min 10 s", "2 h 5 min".
func Took(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds()) // never "10.0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

func number(n int) string { return strconv.Itoa(n) }

func wizardState(i, at int) string {
	switch {
	case i < at:
		return "done"
	case i == at:
		return "current"
	}
	return "next"
}

func stepCurrent(on bool) templ.Attributes {
	if on {
		return templ.Attributes{"aria-current": "step"}
	}
	return nil
}

func confirmKind(c Confirm) string {
	if c.Danger {
		return "danger"
	}
	return "primary"
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
