package monitor

import (
	"context"
	"time"

	"odcm"
)

// Change is a Space's health that is to be kept.
type Change struct {
	Space  Space
	Health Health
}

// Transition is a place in a Space's history: from then on it was in the status.
type Transition struct {
	Time   time.Time
	Status Status
	Reason string
}

// Store keeps health and history.
type Store interface {
	// Save writes the health of each. Where its status or reason is not the stored one, that becomes part of the history; where the
	// status is not, it leaves an event monitor.status-changed. It returns the Spaces of whom anything was different. All is one
	// transaction.
	Save(ctx context.Context, changes []Change) ([]odcm.SpaceID, error)
	// Touch writes when the Spaces were last probed.
	Touch(ctx context.Context, spaces []odcm.SpaceID, checked time.Time) error
	// Forget deletes the health of Spaces that are not watched any more; their history stays.
	Forget(ctx context.Context, spaces []odcm.SpaceID) error
	// HealthOf leaves out Spaces that were never probed.
	HealthOf(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]Health, error)
	// All returns the health of every Space, without details.
	All(ctx context.Context) (map[odcm.SpaceID]Health, error)
	// InStatus lists the Spaces that are in one of the statuses.
	InStatus(ctx context.Context, statuses []Status) ([]odcm.SpaceID, error)
	// History returns the transitions in [from, to), oldest first, after the last one before from, at most limit.
	History(ctx context.Context, space odcm.SpaceID, from, to time.Time, limit int) ([]Transition, error)
	// Prune deletes transitions before the time, but each Space's last one.
	Prune(ctx context.Context, before time.Time) error
}
