package monitor

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"odcm"
)

// slowAfter is how long a ping may take before it counts as slow; slowTimes in a row make a server degraded, and as many
// quick ones make it well again.
const (
	slowAfter = time.Second
	slowTimes = 3
)

// inspectTimes is how often in a row a server may fail to tell of itself before it counts as degraded.
const inspectTimes = 2

// Statuses of pings that have a meaning of their own (GET /api/octopusservernodes/ping).
const (
	pingDraining = 418
	pingLimited  = 429
)

// observation is all that is known of a target when it is judged.
type observation struct {
	code      int      // of the last answer to a ping
	page      bool     // it was a web page
	slow      bool     // and those before it
	misses    int8     // inspections in a row that failed, up to inspectTimes
	to        string   // it redirects
	failed    error    // of the ping, confirmed
	verdict   *verdict // of the other vantage points, where it failed
	inspected error    // of the last inspection; nil where it went well
	detail    *Detail  // never changed, but replaced
}

// judge says how a server is doing, and why where it is not online. The first rule that applies decides.
func judge(o *observation) (Status, string) {
	d := o.detail
	switch {
	case o.failed != nil && o.verdict.reachable():
		return Degraded, o.verdict.partial() + " " + explain(o.failed, "The server does not answer.")
	case o.failed != nil:
		return Offline, explain(o.failed, "The server does not answer.") + o.verdict.confirmed()
	case d.Maintenance:
		return Maintenance, "The server is in maintenance mode."
	case o.code == pingDraining:
		return Draining, "The node finishes its tasks and takes no new ones."
	case o.to != "":
		return Degraded, "The server redirects to " + place(o.to) + ": give the Space the address at which it answers itself."
	case o.code == pingLimited:
		return Degraded, "The server limits how often it is asked (status 429)."
	case o.code < 200 || o.code > 299:
		return Degraded, fmt.Sprintf("The server answers a ping with status %d.", o.code)
	case odcm.KindOf(o.inspected) == odcm.Unauthenticated || odcm.KindOf(o.inspected) == odcm.Denied:
		return Degraded, "The server refuses ODCM's API key: give the Space a new one."
	case o.inspected != nil && (o.misses >= inspectTimes || o.page):
		return Degraded, explain(o.inspected, "The server does not tell of itself.")
	}
	if down := offline(d.Nodes); len(down) > 0 {
		return Degraded, fmt.Sprintf("%d of %d nodes do not run: %s.", len(down), len(d.Nodes), list(down))
	}
	if d.Licence != nil && !d.Licence.Compliant {
		return Degraded, "The server is used beyond its licence."
	}
	if o.slow {
		return Degraded, "The server answers slowly: pings take longer than " + slowAfter.String() + "."
	}
	return Online, ""
}

// explain is the public message of the error: a cause stays in the log.
func explain(err error, otherwise string) string {
	if e, ok := asError(err); ok && e.Kind != odcm.Internal && e.Message != "" {
		return e.Message
	}
	return otherwise
}

// place is an address without its query and user, which may hold secrets, and not longer than fits on a page.
func place(s string) string {
	const longest = 200
	u, err := url.Parse(s)
	if err != nil {
		return "an address that cannot be read"
	}
	s = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

func offline(nodes []Node) (names []string) {
	for _, n := range nodes {
		if n.Offline {
			names = append(names, n.Name)
		}
	}
	return names
}

// list names a few and counts the rest.
func list(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
