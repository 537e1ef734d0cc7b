package health

import (
	_ "embed"
	"fmt"
	"time"

	"odcm/octopus"
)

//go:embed health.sh
var standard string

// body is the script that checks a machine: the standard one, and behind it what the policy says. A policy that only wants
// to know about the connection gets neither.
func body(policy octopus.Object) string {
	own := policy.Object("BashHealthCheckPolicy")
	if policy.Text("HealthCheckType") == "OnlyConnectivity" || own.Text("RunType") == "OnlyConnectivity" {
		return "exit 0\n"
	}
	if own.Text("RunType") == "Inline" {
		return standard + "\n" + own.Text("ScriptBody") + "\n"
	}
	return standard
}

// span reads a duration as .NET writes it, [d.]hh:mm:ss; zero where it is none.
func span(text string) time.Duration {
	var days, hours, minutes, seconds int
	if _, err := fmt.Sscanf(text, "%d.%d:%d:%d", &days, &hours, &minutes, &seconds); err != nil {
		days = 0
		if _, err := fmt.Sscanf(text, "%d:%d:%d", &hours, &minutes, &seconds); err != nil {
			return 0
		}
	}
	return time.Duration(days)*24*time.Hour + time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
}
