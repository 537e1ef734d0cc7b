// Package monitor watches every Space: it probes the instance that holds it and says whether it is online, draining,
// degraded, offline or in maintenance, why, and since when.
//
// One scheduler sends what is due in bursts, ten a second: a timer for each target would wake the processor thousands of
// times for nothing. A target has no goroutine while nothing is asked of it. A ping that fails is repeated at once, so
// that one lost packet is no outage. A connection to each server is held open; that it is lost is a reason to probe at once,
// and the probe decides, so that a killed server shows within a second and a hanging one within an interval and the timeout.
// What the server says of itself (version, nodes, licence, queue, maintenance) is asked for beside the pings, more rarely, only
// as far as it may have changed, and within the server's budget.
//
// Replicas divide the instances among themselves. Before one calls a server offline it asks the others, and agents where there
// are any, whether they reach it: where half of them do, the network is at fault and the server is degraded.
//
// A change of status commits its row, its place in the history and its event in one transaction, with whatever else changed in
// the same moment; nothing is written while nothing changes but the time of the last look, once a minute for all, and sums of
// answers. Days that are over are summed up, so that the uptime of a year is one query and outlives the single changes.
// What is due comes from the time that passes; clocks that are set bring nothing out of order.
package monitor
