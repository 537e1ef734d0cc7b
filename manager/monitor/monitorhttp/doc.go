// Package monitorhttp tells how Spaces are doing: REST operations for all statuses at once and for the history of one, and
// the strip of a Space's history for its page.
package monitorhttp
