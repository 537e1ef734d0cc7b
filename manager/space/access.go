package space

import (
	"context"
	"slices"

	"odcm"
)

// Actions on Spaces that an [odcm.Authorizer] decides about. The resource is the Space's id, "" for the first two.
const (
	ActionCreate odcm.Action = "space.create"
	ActionEnlist odcm.Action = "space.enlist"
	ActionUpdate odcm.Action = "space.update"
	ActionRekey  odcm.Action = "space.rekey"
	ActionDelist odcm.Action = "space.delist"
)

// Access knows which Spaces a principal may see and enter.
type Access interface {
	Reach(ctx context.Context, p odcm.Principal) (Reach, error)
}

// Reach is the set of Spaces that a principal may see. The zero value is the empty set.
type Reach struct {
	All    bool
	Spaces []odcm.SpaceID // where not All
}

// Holds tells whether the Space is in reach.
func (r Reach) Holds(id odcm.SpaceID) bool { return r.All || slices.Contains(r.Spaces, id) }

// ByRole is the [Access] of an ODCM without grants: whoever administers or audits it sees every Space, others none.
type ByRole struct{}

// Reach implements [Access].
func (ByRole) Reach(_ context.Context, p odcm.Principal) (Reach, error) {
	return Reach{All: p.Has(odcm.Administrator) || p.Has(odcm.Auditor)}, nil
}
