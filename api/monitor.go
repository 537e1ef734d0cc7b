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
