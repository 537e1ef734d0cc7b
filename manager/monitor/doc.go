// Package monitor watches every Space: it probes the instance that holds it and says whether it is online, draining,
// degraded, offline or in maintenance, why, and since when.
//
// One scheduler sends what is due in bursts, ten a second: a timer for each target would wake the processor thousands of
// times for nothing. A target has no goroutine while nothing is asked of it. A ping that fails is repeated at once, so
// that one lost packet is no outage and a killed server shows within an interval. What the server says of itself
// (version, nodes, licence, maintenance) is asked for more rarely, and when a ping tells of a change.
//
// Replicas divide the instances among themselves. A change of status commits its row, its place in the history and its
// event in one transaction, with whatever else changed in the same moment; nothing is written while nothing changes but
// the time of the last look, once a minute for all.
package monitor
