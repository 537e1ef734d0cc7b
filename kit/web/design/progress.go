package design

import (
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
