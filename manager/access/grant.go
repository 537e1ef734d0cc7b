package access

import (
	"time"

	"odcm"
)

// Holder is who holds a grant: a group or a user, never both.
type Holder struct {
	Group odcm.GroupID
	User  odcm.UserID
}

// Grant lets its holder enter a Space. There is at most one for a holder and a Space.
type Grant struct {
	ID      string
	Space   odcm.SpaceID
	Holder  Holder
	Steward bool      // the holder administers the Space in ODCM: sees who enters, and maps groups to teams
	Expires time.Time // from then on it lets nobody in; zero: never
	Ended   bool      // it has expired, and the event of that is committed; it stays to be seen and renewed
	Note    string    // why, for people
	By      odcm.UserID
	Created time.Time
}

// counts tells whether the grant lets its holder in.
func (g Grant) counts(now time.Time) bool {
	return !g.Ended && (g.Expires.IsZero() || now.Before(g.Expires))
}

// Team is an Octopus team of a Space.
type Team struct{ ID, Name string }

// Mapping puts into a team whoever enters the Space and is in one of the groups.
type Mapping struct {
	Space  odcm.SpaceID
	Team   Team
	Groups []odcm.GroupID // sorted
}

// Content is all that the store knows of one Space.
type Content struct {
	Space    odcm.SpaceID
	Grants   []Grant   // by identifier
	Mappings []Mapping // by the team's identifier
}
