package access

import (
	"context"
	"time"

	"odcm"
)

// Store keeps grants and mappings. A method that takes an event commits it in the transaction of its change, and every
// change gives its Space a new, higher revision.
type Store interface {
	// Revision is that of the newest change, 0 before the first.
	Revision(ctx context.Context) (int64, error)
	// Load returns the whole content of each Space that changed after the revision, and the newest revision that the answer
	// holds in full. A Space of which nothing is left comes empty.
	Load(ctx context.Context, after int64) ([]Content, int64, error)
	// PutGrant adds the grant, or replaces all but identifier and Created of the one that the holder has in the Space.
	PutGrant(ctx context.Context, g Grant, e odcm.Event) error
	// DeleteGrant returns odcm.NotFound "access.grant-not-found" where there is none.
	DeleteGrant(ctx context.Context, id string, e odcm.Event) error
	// EndGrants marks as ended what expires at or before now, at most limit, each with the event that is made for it. Two
	// replicas that do it at once end each grant once.
	EndGrants(ctx context.Context, now time.Time, limit int, event func(Grant) odcm.Event) ([]Grant, error)
	// Map adds the group to the team's and writes the team's name; that the group is there already is no error.
	Map(ctx context.Context, space odcm.SpaceID, team Team, group odcm.GroupID, e odcm.Event) error
	// Unmap returns odcm.NotFound "access.mapping-not-found" where the group is not mapped to the team.
	Unmap(ctx context.Context, space odcm.SpaceID, team string, group odcm.GroupID, e odcm.Event) error
	// Forget deletes all that is known of the Space.
	Forget(ctx context.Context, space odcm.SpaceID) error
}
