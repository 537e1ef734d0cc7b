package space

import (
	"context"
	"time"

	"odcm"
)

// Monitor knows how Spaces are doing. A list asks for its page at once, never for one Space at a time.
type Monitor interface {
	// HealthOf tells the latest health of each; a Space that was never probed is left out.
	HealthOf(ctx context.Context, ids []odcm.SpaceID) (map[odcm.SpaceID]Health, error)
	// InStatus lists the Spaces that are in one of the statuses.
	InStatus(ctx context.Context, statuses []Status) ([]odcm.SpaceID, error)
}

// Status is how the server of a Space is doing.
type Status string

// The statuses. Unknown is a Space that was not probed yet.
const (
	Unknown     Status = ""
	Online      Status = "online"
	Draining    Status = "draining"
	Degraded    Status = "degraded"
	Offline     Status = "offline"
	Maintenance Status = "maintenance"
)

// Statuses lists the statuses that a probe can give.
func Statuses() []Status { return []Status{Online, Draining, Degraded, Offline, Maintenance} }

// Health is the latest that is known of how a Space is doing.
type Health struct {
	Status  Status
	Reason  string    // why it is not online, for people
	Since   time.Time // when it came into this status
	Checked time.Time // when it was last probed
	Version string    // what the server says it runs; empty while it never answered
	Nodes   []Node
	Licence *Licence // nil where the key may not read it
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
