package monitor

import (
	"context"
	"time"

	"odcm"
)

// Status is how the server of a Space is doing.
type Status string

// The statuses. Unknown is a Space that was not probed yet, or not for a while.
const (
	Unknown     Status = ""
	Online      Status = "online"
	Draining    Status = "draining"
	Degraded    Status = "degraded"
	Offline     Status = "offline"
	Maintenance Status = "maintenance"
)

// Up tells whether the server answered. Maintenance and draining are not outages.
func (s Status) Up() bool { return s != Unknown && s != Offline }

// Health is the latest that is known of how a Space is doing.
type Health struct {
	Status  Status
	Reason  string    // why it is not online, a sentence for people
	Since   time.Time // when it came into this status
	Checked time.Time // when it was last probed, at most a minute or so ago
	Detail
}

// Detail is what a server says of itself, and what its answers show.
type Detail struct {
	Version     string // empty while it never answered
	Maintenance bool
	Nodes       []Node        `json:",omitempty"` // empty where the key may not read them
	Licence     *Licence      `json:",omitempty"` // nil where the key may not read it
	Queue       *Queue        `json:",omitempty"` // nil where the key may not read it
	Certificate *Certificate  `json:",omitempty"` // nil without TLS
	Skew        time.Duration `json:",omitempty"` // the server's clock minus ours, in whole seconds: answers tell no more
	Machine     *Machine      `json:",omitempty"` // nil where no agent is
}

// Queue is what a server has to do.
type Queue struct {
	Waiting, Executing int
	Oldest             time.Duration // how long the first in the queue waits by now
}

// Certificate is what a server showed in its last handshake.
type Certificate struct {
	NotAfter        time.Time
	Subject, Issuer string
}

// Machine is what an agent tells of the machine that an instance runs on. Sizes are in bytes.
type Machine struct {
	DiskTotal, DiskFree     uint64
	MemoryTotal, MemoryFree uint64
	At                      time.Time
}

// Machines knows the machines of instances that have an agent.
type Machines interface {
	Of(ctx context.Context, ids []odcm.InstanceID) (map[odcm.InstanceID]Machine, error)
}

// Node is an Octopus server node, as the server itself lists it.
type Node struct {
	Name     string
	Leader   bool
	Offline  bool
	Draining bool
	Tasks    int // running now
	TaskCap  int
	LastSeen time.Time
}

// Licence is what the server says about its licence.
type Licence struct {
	Kind      string // "Trial", "CommunityEdition", "CommercialLicense", "Unlicensed"
	Compliant bool
	DaysLeft  *int // to the effective expiry; nil where it does not expire
	Limits    []Limit
}

// Limit is one bound of a licence and how much of it is used.
type Limit struct {
	Name      string
	Used      int
	Allowed   int
	Unlimited bool
}

// Target is an instance to watch, with the Spaces that it holds. Two targets with equal Revision are the same.
type Target struct {
	Instance       odcm.InstanceID
	URL            string
	CA, Thumbprint string // as for egress.TLS
	Revision       int64  // grows when URL, trust or key change
	Spaces         []Space
	Key            func(ctx context.Context) (string, error) // the API key, read when it is needed
}

// Space is a Space on an instance.
type Space struct {
	ID   odcm.SpaceID
	Name string // for events
}

// Pong is a server's answer to a ping.
type Pong struct {
	Code        int // HTTP status; 418 is draining
	Took        time.Duration
	Page        bool           // it answered with a web page, as proxies and sign-in pages do
	To          string         // where it redirects
	Skew        *time.Duration // its clock minus ours; nil where it does not tell its time
	Certificate *Certificate   // nil without TLS
}

// Look says how much of itself a server is asked: only what may have changed since.
type Look int

// Each look includes those before it.
const (
	Quick Look = iota // maintenance, nodes, queue: changes at any time
	Full              // and the version and whether the key still is accepted: changes with a restart, or rarely
	Whole             // and the licence: changes rarely
)

// Prober asks servers. Its methods return when ctx ends.
type Prober interface {
	// Ping asks cheaply and without a key, over the connection that is held where there is one. An error means that there was no
	// answer; its message is shown to people.
	Ping(ctx context.Context, t Target) (Pong, error)
	// Inspect asks the server about itself, and returns was with what it said. What the key may not read is left out. An error of
	// kind Denied or Unauthenticated means that the key is not accepted at all.
	Inspect(ctx context.Context, t Target, was Detail, look Look) (Detail, error)
	// Forget drops what is kept for an instance that is not watched any more, or changed.
	Forget(id odcm.InstanceID)
	// Watch holds connections open and tells at once of each that is lost while nothing is asked over it, until ctx ends.
	Watch(ctx context.Context, lost func(odcm.InstanceID)) error
}

// Targets lists everything to watch.
type Targets interface {
	Targets(ctx context.Context) ([]Target, error)
}

// Owner tells which instances this replica watches (lease.Shards).
type Owner interface {
	Owns(key string) bool
	Changed() <-chan struct{} // closed when Owns changes next
}
