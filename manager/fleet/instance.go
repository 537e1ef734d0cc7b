package fleet

import (
	"slices"
	"time"

	"odcm"
)

// Desired is what an instance should be.
type Desired string

// The desired states.
const (
	Running Desired = "running"
	Stopped Desired = "stopped"
	Removed Desired = "removed" // stopped, its folder deleted or put aside; then its row goes too
)

// State is what an instance is, as its agent sees it.
type State string

// The observed states.
const (
	StatePending  State = "pending"  // the agent has not begun
	StateStarting State = "starting" // the process is there and not ready yet
	StateRunning  State = "running"  // it said that it is ready
	StateBackoff  State = "backoff"  // it ended by itself and is started again after a pause
	StateFailed   State = "failed"   // it cannot be started until somebody helps; it is tried again from time to time
	StateStopped  State = "stopped"
	StateRemoved  State = "removed"
)

// Instance is an Octopus server process that should run on a server, and how it is.
type Instance struct {
	ID       odcm.InstanceID
	Server   odcm.ServerID
	Name     string
	Version  string // it is pinned to it
	Desired  Desired
	Port     int  // 0: the agent chooses one and keeps it
	KeepData bool // put its folder aside instead of deleting it when it is removed
	Created  time.Time
	Revision int64

	Observed Observed

	// SealedAdministrator holds an [Administrator] until the row goes. The agent gets it only until the instance has been
	// seen running.
	SealedAdministrator string

	ServerName string    // of its server
	SeenAt     time.Time // when its server's agent was last heard
}

// Observed is an instance as its agent last reported it.
type Observed struct {
	State          State
	PID            int64
	Port           int
	URL            string // where it answers, once it runs
	Version        string // as it says itself
	InstallationID string // as it says itself; empty until it first ran
	Restarts       int64  // how often it ended by itself
	Reason         string // why it is not running: what happened, what to do, the last lines of its log
	Since          time.Time
	Memory         int64 // resident, in bytes
}

// Silent tells whether the agent of the instance's server has not been heard lately, so that Observed may be out of date.
func (i Instance) Silent(now time.Time) bool { return now.Sub(i.SeenAt) >= OfflineAfter }

// Initialised tells whether the instance ever ran, so that it has its first administrator.
func (i Instance) Initialised() bool { return i.Observed.InstallationID != "" }

// Administrator is the first person of a new instance.
type Administrator struct {
	Username string `json:"username"`
	Password string `json:"password"`
	APIKey   string `json:"apiKey"`
}

// Spec asks for an instance. Zero fields are chosen: the server with the most room, the newest version there, a free
// port, a made-up administrator.
type Spec struct {
	ID            odcm.InstanceID // required; the same one again changes nothing
	Name          string          // required, for people
	Server        odcm.ServerID
	Version       string
	Port          int
	Administrator Administrator
}

// Limits on what an agent may report, in characters and instances: an agent is a machine that may be broken or broken into.
const (
	maxName   = 200
	maxReason = 4000
	maxURL    = 500
	maxList   = 10_000
)

// Report is all that an agent sees.
type Report struct {
	Boot         string
	Sequence     int64
	AgentVersion string
	Capacity     Capacity
	Versions     []string
	Instances    map[odcm.InstanceID]Observed
}

// Changes is what a report makes of a server and its instances.
type Changes struct {
	Server  Server
	Touched bool // the server's row changed beyond its time
	Updated []Instance
	Removed []odcm.InstanceID
	Events  []odcm.Event
}

// Apply compares a report with the rows. It is a pure function of its input: a store may call it again.
func (r Report) Apply(server Server, rows []Instance, now time.Time) Changes {
	c := Changes{Server: server}
	if r.Boot == server.Boot && r.Sequence <= server.Sequence {
		return c // overtaken by a later one
	}
	c.Server.Boot, c.Server.Sequence, c.Server.LastSeen = r.Boot, r.Sequence, now
	c.Touched = r.AgentVersion != server.AgentVersion || r.Capacity != server.Capacity || !slices.Equal(r.Versions, server.Versions)
	c.Server.AgentVersion, c.Server.Capacity, c.Server.Versions = r.AgentVersion, r.Capacity, r.Versions
	for _, row := range rows {
		seen, ok := r.Instances[row.ID]
		if !ok {
			continue // the agent has not heard of it yet
		}
		if seen.State == StateRemoved && row.Desired == Removed {
			c.Removed = append(c.Removed, row.ID)
			c.Events = append(c.Events, odcm.NewEvent(odcm.System, "fleet.instance-removed", string(row.ID), row.Name,
				map[string]any{"server": row.Server, "keepData": row.KeepData}, nil))
			continue
		}
		was := row.Observed
		if seen.InstallationID == "" {
			seen.InstallationID = was.InstallationID // once initialised, always
		}
		if alike(seen.Memory, was.Memory) {
			seen.Memory = was.Memory // resident memory trembles: a row is not written for that
		}
		if seen == was {
			continue
		}
		row.Observed = seen
		c.Updated = append(c.Updated, row)
		c.Events = append(c.Events, transitions(row, was)...)
	}
	return c
}

func transitions(row Instance, was Observed) []odcm.Event {
	var events []odcm.Event
	is := row.Observed
	if is.Restarts > was.Restarts || up(was.State) && !up(is.State) {
		events = append(events, odcm.NewEvent(odcm.System, "fleet.instance-exited", string(row.ID), row.Name,
			map[string]any{"state": was.State, "pid": was.PID},
			map[string]any{"state": is.State, "restarts": is.Restarts, "reason": is.Reason}))
	}
	if is.State == StateRunning && (was.State != StateRunning || is.PID != was.PID) {
		events = append(events, odcm.NewEvent(odcm.System, "fleet.instance-started", string(row.ID), row.Name, nil,
			map[string]any{"server": row.Server, "pid": is.PID, "url": is.URL, "version": is.Version}))
	}
	return events
}

func alike(a, b int64) bool { return max(a, b)-min(a, b) <= max(a, b)/8 }

func up(s State) bool { return s == StateStarting || s == StateRunning }
