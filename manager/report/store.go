package report

import (
	"context"
	"iter"
	"time"

	"odcm"
)

// Dimension is what counts are grouped by.
type Dimension string

// The dimensions.
const (
	BySpace       Dimension = "space"
	ByProject     Dimension = "project"
	ByEnvironment Dimension = "environment"
	ByTenant      Dimension = "tenant"
	ByPeriod      Dimension = "period"
)

// Scope says which facts to count. Empty fields match everything.
type Scope struct {
	Spaces      []odcm.SpaceID // these only; nil for all, empty for none
	Kind        Kind
	Project     string // by name, whatever the case, or by identifier; so are the next two
	Environment string
	Tenant      string
	Production  bool // in environments that are called Prod, Production, prod-eu and so on
	From, To    time.Time
}

// Count is how many runs of a group ended in a way.
type Count struct {
	Space                                 odcm.SpaceID
	Project, Environment, Tenant          string // identifiers
	ProjectName, EnvironmentName, TenName string
	Period                                int // index into the bounds
	Outcome                               Outcome
	N                                     int64
	Took                                  time.Duration // of all together
}

// Change is a deployment that ended, for what is computed from their order.
type Change struct {
	Space                        odcm.SpaceID
	Project, Environment, Tenant string
	Outcome                      Outcome
	Ended                        time.Time
}

// Lead is how long a release took to its first production deployment that succeeded.
type Lead struct {
	Space              odcm.SpaceID
	Project            string
	Released, Deployed time.Time
}

// SignIn is how often a person signed in within a quarter of an hour.
type SignIn struct {
	At   time.Time
	User odcm.UserID
	Name string
	N    int64
}

// Reading is what was asked of a server within an hour.
type Reading struct {
	Server string // its address
	At     time.Time
	Usage
}

// Standing is how it stands with the collection of a Space.
type Standing struct {
	Space    odcm.SpaceID
	Name     string // as it was called when last collected
	Since    time.Time
	Checked  time.Time // when it was last collected without an error
	Filling  bool      // what was before is still being read
	Error    string    // why it failed since, a sentence for people
	Requests int64     // made to its server for reports, ever
}

// Position is a place in the list of single deployments.
type Position struct {
	At    int64        `json:"at"`
	Space odcm.SpaceID `json:"space"`
	Kind  Kind         `json:"kind"`
	ID    string       `json:"id"`
}

// Listed is a single deployment with the names of what it refers to.
type Listed struct {
	Deployment
	ProjectName, EnvironmentName, TenantName string
	Position                                 Position
}

// Store answers questions about what was collected.
type Store interface {
	// Counts sums up what counts in the scope, by the dimensions. With ByPeriod the bounds, ascending, part the time: period i
	// is from bounds[i] to before bounds[i+1].
	Counts(ctx context.Context, s Scope, by []Dimension, bounds []time.Time) ([]Count, error)
	// Changes yields what ended in the scope, by project, environment and tenant, oldest first.
	Changes(ctx context.Context, s Scope) iter.Seq2[Change, error]
	// Leads lists the releases whose first deployment that succeeded within the scope's environments lies in its time.
	Leads(ctx context.Context, s Scope) ([]Lead, error)
	// List lists single deployments, newest first, after the position.
	List(ctx context.Context, s Scope, after Position, limit int) ([]Listed, error)
	// Samples lists, for each Space and metric, the last sample of each period that has one.
	Samples(ctx context.Context, spaces []odcm.SpaceID, metrics []string, from, to time.Time) ([]Sample, error)
	SignIns(ctx context.Context, from, to time.Time) ([]SignIn, error)
	Readings(ctx context.Context, from, to time.Time) ([]Reading, error)
	Standings(ctx context.Context, spaces []odcm.SpaceID) ([]Standing, error)
	Gaps(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time) ([]Gap, error)
	// Names lists what projects, environments and tenants are called, each name once, for choosing among them.
	Names(ctx context.Context, spaces []odcm.SpaceID, kind string, limit int) ([]string, error)
}

// Keeper is what the upkeep of facts needs.
type Keeper interface {
	// RollUp sums up and deletes facts that ended before the time, at most about limit, and returns how many.
	RollUp(ctx context.Context, before time.Time, limit int) (int, error)
	// Read adds what was asked of servers, in the hour of the time.
	Read(ctx context.Context, at time.Time, used map[string]Usage) error
	// SignInsAfter is up to which event sign-ins were counted.
	SignInsAfter(ctx context.Context) (odcm.EventID, error)
	// CountSignIns adds sign-ins and moves from one event to the next; it does nothing where another was faster.
	CountSignIns(ctx context.Context, from, to odcm.EventID, all []SignIn) error
}
