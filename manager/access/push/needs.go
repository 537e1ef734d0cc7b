package push

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/access"
)

// Desires says what Spaces are to have. [access.Service] is one.
type Desires interface {
	// Entrants are those who may enter the Space now: sorted, without anybody who is disabled.
	Entrants(ctx context.Context, id odcm.SpaceID) ([]odcm.UserID, error)
	// Teams are the teams of the Space that groups are mapped to.
	Teams(ctx context.Context, id odcm.SpaceID) ([]access.DesiredTeam, error)
}

// Slot is the place of an Octopus server's sign-in settings through which people of ODCM come.
type Slot struct {
	Provider string // the name that identities there have: "Okta"
}

// Slots knows through which slot people sign in on an instance. The roof fills it with the sso room.
type Slots interface {
	// Slot returns false where the server is not pointed at ODCM.
	Slot(ctx context.Context, id odcm.InstanceID) (Slot, bool, error)
}

// Observer is told what is measured; package accessoctopus has one for Prometheus.
type Observer interface {
	// Revoked is how long it took from the wish to its being done, once for each person and Space.
	Revoked(lag time.Duration)
	// Drifted is how many differences somebody else had made that were found just now.
	Drifted(n int)
}
