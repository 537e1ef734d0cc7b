package access

import (
	"slices"
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
func (g Grant) Counts(now time.Time) bool {
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

// DesiredTeam is a team of an octopus.Space that groups are mapped to.
type DesiredTeam struct {
	Team    string         // its id on the server, "Teams-21"
	Groups  []odcm.GroupID // sorted
	Members []odcm.UserID  // of these groups, nesting flattened, who may enter the Space; sorted
}

// Team is the team of the identifier: with it for a name where no group is mapped to it.
func (c Content) Team(id string) Team {
	for _, m := range c.Mappings {
		if m.Team.ID == id {
			return m.Team
		}
	}
	return Team{ID: id, Name: id}
}

// Held finds the grant of a holder.
func (c Content) Held(h Holder) (Grant, bool) {
	i := slices.IndexFunc(c.Grants, func(g Grant) bool { return g.Holder == h })
	if i < 0 {
		return Grant{}, false
	}
	return c.Grants[i], true
}

// Maps tells whether the group is mapped to the team.
func (c Content) Maps(team string, group odcm.GroupID) bool {
	return slices.ContainsFunc(c.Mappings, func(m Mapping) bool { return m.Team.ID == team && slices.Contains(m.Groups, group) })
}
