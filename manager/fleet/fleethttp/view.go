package fleethttp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"odcm/manager/fleet"
)

type serversView struct {
	servers  []fleet.Server
	next     string
	first    bool
	mayEnrol bool
	now      time.Time
}

type serverView struct {
	fleet.Server
	now       time.Time
	instances []fleet.Instance
}

func status(s fleet.Server, now time.Time) string {
	if s.Online(now) {
		return "online"
	}
	return "offline"
}

func meta(s fleet.Server) []string {
	m := []string{plural(s.Counts.Running, "instance runs", "instances run")}
	if rest := s.Counts.Instances - s.Counts.Running; rest > 0 {
		m = append(m, strconv.Itoa(rest)+" not running")
	}
	return append(m, plural(s.Capacity.CPUs, "CPU", "CPUs"), "agent "+s.AgentVersion)
}

func reason(s fleet.Server, now time.Time) string {
	if room, why := s.Room(now); room < 1 {
		return "It takes no instance now: " + why + "."
	}
	return ""
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// size writes bytes in binary units (IEC 80000-13) with three figures.
func size(bytes int64) string {
	f, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, next
	}
	if unit == "B" || f >= 100 {
		return fmt.Sprintf("%.0f %s", f, unit)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + unit
}

func used(free, all int64) string { return size(all-free) + " of " + size(all) }

// tones say how an instance's state is shown; the word is beside it.
var tones = map[fleet.State]string{
	fleet.StatePending: "neutral", fleet.StateStarting: "info", fleet.StateRunning: "success", fleet.StateBackoff: "warning",
	fleet.StateFailed: "danger", fleet.StateStopped: "neutral", fleet.StateRemoved: "neutral",
}

// words say what an instance does, in the light of what it should do.
func word(i fleet.Instance) string {
	if i.Desired == fleet.Removed {
		return "Being removed"
	}
	switch i.Observed.State {
	case fleet.StatePending:
		return "Waiting for the agent"
	case fleet.StateStarting:
		return "Starting"
	case fleet.StateRunning:
		return "Running"
	case fleet.StateBackoff:
		return "Starting again soon"
	case fleet.StateFailed:
		return "Cannot start"
	default:
		return "Stopped"
	}
}

func room(v serverView) string {
	n, _ := v.Room(v.now) // why there is none stands above
	if n < 1 {
		return "none now"
	}
	return plural(n, "more instance", "more instances")
}

func first(v serversView) string {
	if v.first {
		return ""
	}
	return "/servers"
}

func next(v serversView) string {
	if v.next == "" {
		return ""
	}
	return "/servers?cursor=" + v.next
}
