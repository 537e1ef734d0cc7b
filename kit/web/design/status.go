package design

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"
)

// look is how a state is shown: never by colour alone.
type look struct{ label, tone, icon string }

// looks holds the states of Spaces, servers and tasks.
var looks = map[string]look{
	"online":      {"Online", "success", "check"},
	"draining":    {"Draining", "info", "pause"},
	"degraded":    {"Degraded", "warning", "alert"},
	"offline":     {"Offline", "danger", "offline"},
	"maintenance": {"Maintenance", "info", "wrench"},
	"unknown":     {"Unknown", "neutral", "help"},
	"creating":    {"Creating", "progress", "refresh"},
	"removing":    {"Removing", "progress", "refresh"},
	"queued":      {"Queued", "neutral", "clock"},
	"running":     {"Running", "progress", "refresh"},
	"succeeded":   {"Succeeded", "success", "check"},
	"failed":      {"Failed", "danger", "x"},
	"canceled":    {"Canceled", "neutral", "stop"},
	"canceling":   {"Canceling", "warning", "stop"},
	"waiting":     {"Waiting", "neutral", "clock"},
	"firing":      {"Firing", "danger", "bell"},
	"resolved":    {"Resolved", "success", "check"},
	"enabled":     {"Enabled", "success", "check"},
	"disabled":    {"Disabled", "neutral", "minus"},
	"healthy":     {"Healthy", "success", "check"},
	"warnings":    {"Warnings", "warning", "alert"},
	"unhealthy":   {"Unhealthy", "danger", "x"},
	"unavailable": {"Unavailable", "danger", "offline"},
	"enlisting":   {"Enlisting", "progress", "refresh"},
	"delisting":   {"Delisting", "progress", "refresh"},
	"skipped":     {"Skipped", "neutral", "minus"},
	"attention":   {"Needs a person", "warning", "user"},
}

func lookOf(state string) look {
	if l, ok := looks[state]; ok {
		return l
	}
	l := looks["unknown"]
	if state != "" {
		first, n := utf8.DecodeRuneInString(state)
		l.label = string(unicode.ToUpper(first)) + state[n:]
	}
	return l
}

// LabelOf is the word that people read for a state ("degraded" is "Degraded").
func LabelOf(state string) string { return lookOf(state).label }

// ToneOf is the colour that a state is shown in: what data-tone says.
func ToneOf(state string) string { return lookOf(state).tone }

func initials(name string) string {
	var b strings.Builder
	for _, word := range strings.Fields(name) {
		r, _ := utf8.DecodeRuneInString(word)
		b.WriteRune(unicode.ToUpper(r))
		if b.Len() >= 2 {
			break
		}
	}
	return b.String()
}

func pressed(on bool) string {
	if on {
		return "true"
	}
	return "false"
}

// currentPage marks the link that leads to the page itself (WAI-ARIA 1.2, aria-current).
func currentPage(on bool) templ.Attributes {
	if on {
		return templ.Attributes{"aria-current": "page"}
	}
	return nil
}
