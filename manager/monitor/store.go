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
	Quiet  bool // only figures are different that change all the time: nobody need look again
}

// Transition is a place in a Space's history: from then on it was in the status.
type Transition struct {
	Time   time.Time
	Status Status
	Reason string
}

// Tally is how a Space answered pings on one day.
type Tally struct {
	Space       odcm.SpaceID
	Day         Day
	Pings, Slow int64
	Sum, Max    time.Duration // of the time that answers took
}

// Store keeps health and history.
type Store interface {
	// Save writes the health of each. Where its status or reason is not the stored one, that becomes part of the history; where the
	// status is not, it leaves an event monitor.status-changed. A change that seems older than the one before it, by the clock of
	// another replica or one that was set back, is put right after that. It returns what was different, as it is stored now. All is
	// one transaction.
	Save(ctx context.Context, changes []Change) ([]Change, error)
	// Touch writes when the Spaces were last probed.
	Touch(ctx context.Context, spaces []odcm.SpaceID, checked time.Time) error
	// Forget deletes the health of Spaces that are not watched any more; their history stays, and ends at the time.
	Forget(ctx context.Context, spaces []odcm.SpaceID, at time.Time) error
	// HealthOf leaves out Spaces that were never probed.
	HealthOf(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]Health, error)
	// Brief is HealthOf without details.
	Brief(ctx context.Context, spaces []odcm.SpaceID) (map[odcm.SpaceID]Health, error)
	// All returns the health of every Space, without details.
	All(ctx context.Context) (map[odcm.SpaceID]Health, error)
	// InStatus lists the Spaces that are in one of the statuses.
	InStatus(ctx context.Context, statuses []Status) ([]odcm.SpaceID, error)
	// History returns the transitions in [from, to), oldest first, after the last one before from, at most limit.
	History(ctx context.Context, space odcm.SpaceID, from, to time.Time, limit int) ([]Transition, error)

	// Count adds the tallies to those of their days.
	Count(ctx context.Context, tallies []Tally) error
	// Rolled returns the first day that is not rolled up, and the day of the oldest transition; false where there is none.
	Rolled(ctx context.Context) (next, oldest Day, some bool, err error)
	// RollUp sums up the transitions of a day, which is over, into one row for each Space. It may be repeated.
	RollUp(ctx context.Context, day Day) error
	// Days returns what is kept of each day in [from, to), oldest first; what was not rolled up yet has no times, only tallies.
	Days(ctx context.Context, space odcm.SpaceID, from, to Day) ([]DayOf, error)
	// Spent returns what is known of each Space's time in [from, to): from whole days that are rolled up, else from transitions;
	// before the oldest transition that is kept, part of a day counts as its share of the day. All Spaces, if none are named.
	Spent(ctx context.Context, spaces []odcm.SpaceID, from, to time.Time) (map[odcm.SpaceID]Uptime, error)
	// Prune deletes transitions before the time that are rolled up, but each Space's last one; and days before the day.
	Prune(ctx context.Context, before time.Time, days Day) error
}
