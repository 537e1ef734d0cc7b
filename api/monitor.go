package api

import "time"

// SpaceStatus is how the server of a Space is doing.
type SpaceStatus struct {
	Space  string    `json:"space" doc:"Identifier of the Space" example:"space-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Status string    `json:"status" doc:"unknown: not probed yet, or not for a while" enum:"unknown,online,draining,degraded,offline,maintenance"`
	Reason string    `json:"reason,omitempty" doc:"Why it is not online" example:"1 of 2 nodes do not run: node-2."`
	Since  time.Time `json:"since" doc:"When it came into this status"`
}

// StatusHistory is how a Space was doing over a time.
type StatusHistory struct {
	From           time.Time      `json:"from"`
	To             time.Time      `json:"to"`
	Uptime         float64        `json:"uptime" doc:"The part of the watched time in which the server answered" minimum:"0" maximum:"1"`
	WatchedSeconds int64          `json:"watchedSeconds" doc:"How long it was watched at all"`
	Periods        []StatusPeriod `json:"periods" doc:"Oldest first, without gaps"`
}

// StatusPeriod is a stretch of time in one status.
type StatusPeriod struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Status string    `json:"status" enum:"unknown,online,draining,degraded,offline,maintenance"`
	Reason string    `json:"reason,omitempty"`
}

// SpaceUptime is a Space's uptime over the times in which people ask for it.
type SpaceUptime struct {
	Windows []UptimeWindow `json:"windows" doc:"24h, 7d, 30d, 90d and 365d, each up to now"`
}

// UptimeWindow is the uptime over one of them.
type UptimeWindow struct {
	Window         string           `json:"window" enum:"24h,7d,30d,90d,365d"`
	From           time.Time        `json:"from"`
	To             time.Time        `json:"to"`
	Uptime         float64          `json:"uptime" doc:"The part of the watched time in which the server answered" minimum:"0" maximum:"1"`
	WatchedSeconds int64            `json:"watchedSeconds" doc:"How long it was watched at all; with 0 the uptime says nothing"`
	Seconds        map[string]int64 `json:"seconds" doc:"How long it was in each status"`
	Pings          int64            `json:"pings" doc:"That were answered"`
	MeanMillis     float64          `json:"meanMilliseconds" doc:"How long answers took"`
	MaxMillis      float64          `json:"maxMilliseconds"`
}
