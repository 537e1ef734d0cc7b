package monitor

import (
	"fmt"
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

// pingDraining is the status of a ping to a node that drains (GET /api/octopusservernodes/ping).
const pingDraining = 418

// observation is all that is known of a target when it is judged.
type observation struct {
	pong      Pong
	failed    error // of the ping, confirmed
	slow      bool
	inspected error // of the last inspection; nil where it went well
	misses    int   // inspections in a row that failed
	detail    Detail
}

// judge says how a server is doing, and why where it is not online. The first rule that applies decides.
func judge(o observation) (Status, string) {
	d := o.detail
	switch {
	case o.failed != nil:
		return Offline, explain(o.failed, "The server does not answer.")
	case d.Maintenance:
		return Maintenance, "The server is in maintenance mode."
	case o.pong.Code == pingDraining:
		return Draining, "The node finishes its tasks and takes no new ones."
	case o.pong.Code < 200 || o.pong.Code > 299:
		return Degraded, fmt.Sprintf("The server answers a ping with status %d.", o.pong.Code)
	case odcm.KindOf(o.inspected) == odcm.Unauthenticated || odcm.KindOf(o.inspected) == odcm.Denied:
		return Degraded, "The server refuses ODCM's API key: give the Space a new one."
	case o.inspected != nil && o.misses >= inspectTimes:
		return Degraded, explain(o.inspected, "The server does not tell of itself.")
	}
	if down := offline(d.Nodes); len(down) > 0 {
		return Degraded, fmt.Sprintf("%d of %d nodes do not run: %s.", len(down), len(d.Nodes), strings.Join(down, ", "))
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

func offline(nodes []Node) (names []string) {
	for _, n := range nodes {
		if n.Offline {
			names = append(names, n.Name)
		}
	}
	return names
}
