package space

import (
	"context"
	"slices"
	"time"

	"odcm"
)

// Host runs Octopus servers on machines that have an agent. Launch and Retire write desired state and return; the rest
// follows and is seen by Observe. All are safe to repeat.
type Host interface {
	// Servers lists the machines that could take an instance, with what is free on each.
	Servers(ctx context.Context) ([]Server, error)
	// Versions lists what can be launched, the newest first.
	Versions(ctx context.Context) ([]Version, error)
	// Launch asks for an instance; asking again for the same id changes nothing.
	Launch(ctx context.Context, l Launch) error
	// Observe tells how it stands with an instance that was asked for; NotFound where it never was or is retired and gone.
	Observe(ctx context.Context, id odcm.InstanceID) (Observed, error)
	// Retire asks for the instance to be stopped and removed, with its data unless keepData. Unknown ids are no error.
	Retire(ctx context.Context, id odcm.InstanceID, keepData bool) error
}

// Server is a machine with an agent.
type Server struct {
	ID        odcm.ServerID
	Name      string
	Online    bool
	Instances int    // that run or should run there
	Capacity  int    // how many more it can take; 0 is full
	Reason    string // why it takes none, for people
}

// Version is a version of Octopus or of the Space server that can be launched.
type Version struct {
	Number  string
	Product string // "Space server", "Octopus Server"
	Default bool
}

// Launch is the instance that should run.
type Launch struct {
	Instance odcm.InstanceID
	Name     string // of the Space, for the server's own page and for people who look at the machine
	Server   odcm.ServerID
	Version  string
	APIKey   Secret // of the first administrator
}

// Phase is how far a launched instance is.
type Phase string

// The phases of an instance.
const (
	PhasePending Phase = "pending" // wanted; the agent has not begun
	PhaseStarts  Phase = "starts"
	PhaseRuns    Phase = "runs" // it answered on its URL
	PhaseFails   Phase = "fails"
	PhaseStops   Phase = "stops"
)

// Observed is an instance as its agent last reported it.
type Observed struct {
	Phase  Phase
	URL    string // where the manager reaches it, once it runs
	Doing  string // what is going on or went wrong, for people
	Server odcm.ServerID
	Since  time.Time
}

// line says for the log of a task how it stands.
func (o Observed) line() string {
	line := map[Phase]string{
		PhasePending: "The machine's agent is asked to start it",
		PhaseStarts:  "The server starts",
		PhaseRuns:    "The server runs",
		PhaseFails:   "The server does not start yet",
		PhaseStops:   "The server stops",
	}[o.Phase]
	if line != "" && o.Doing != "" {
		line += ": " + o.Doing
	}
	return line
}

// place chooses the machine for a new instance: the wanted one, or the online one with the most room.
func place(servers []Server, wanted odcm.ServerID) (Server, error) {
	if wanted != "" {
		i := slices.IndexFunc(servers, func(s Server) bool { return s.ID == wanted })
		if i < 0 {
			return Server{}, odcm.E(odcm.Invalid, "space.server-unknown", "There is no such server: choose one of the list.").OnField("server")
		}
		if s := servers[i]; !s.Online || s.Capacity < 1 {
			return Server{}, odcm.E(odcm.Unavailable, "space.server-full", "Server %s cannot take another instance now (%s): choose another.",
				s.Name, s.why()).OnField("server")
		}
		return servers[i], nil
	}
	var best *Server
	for i, s := range servers {
		if s.Online && s.Capacity > 0 && (best == nil || s.Capacity > best.Capacity) {
			best = &servers[i]
		}
	}
	if best == nil {
		return Server{}, odcm.E(odcm.Unavailable, "space.no-server", "No server can take another instance: start an agent on a machine with room, then try again.").
			OnField("server")
	}
	return *best, nil
}

func (s Server) why() string {
	switch {
	case s.Reason != "":
		return s.Reason
	case !s.Online:
		return "its agent is offline"
	}
	return "it is full"
}

// pick chooses the version: the wanted one, else the default, else the newest.
func pick(versions []Version, wanted string) (Version, error) {
	if len(versions) == 0 {
		return Version{}, odcm.E(odcm.Unavailable, "space.no-version", "No version is installed on any server: install one first.").OnField("version")
	}
	for _, v := range versions {
		if v.Number == wanted || wanted == "" && v.Default {
			return v, nil
		}
	}
	if wanted == "" {
		return versions[0], nil
	}
	return Version{}, odcm.E(odcm.Invalid, "space.version-unknown", "Version %s is not there to be launched: choose one of the list.", wanted).OnField("version")
}
