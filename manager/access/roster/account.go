package roster

import (
	"time"

	"odcm"
	"odcm/manager/access"
)

// Account is what is kept of a user of an Octopus server: who it is in ODCM, who said so, and what was written to it.
type Account struct {
	Instance odcm.InstanceID
	ID       string // the user's id on the server, "Users-21"
	Username string
	Person   odcm.UserID // "" where it is nobody's
	Decision Decided
	Origin   AccountOrigin
	// Managed is set as soon as ODCM has written the account's state. Until then a person without a grant keeps the account
	// as it is: enlisting a server shuts nobody out.
	Managed bool
	Active  bool   // as ODCM wrote it last
	Applied string // digest of what was written last
	// Previous is the account as it was found, which delisting puts back: JSON of the server's own object; nil for one that
	// ODCM made.
	Previous []byte
	Changed  time.Time
}

// Decided is what stands of an account, and by whom.
type Decided string

// The decisions about accounts.
const (
	ByRule  Decided = "rule"  // a rule of matching found the person
	ByHand  Decided = "hand"  // an administrator did
	AsLocal Decided = "local" // an administrator left it as an account of that server alone: never touched
	Invited Decided = "invited"
)

// AccountOrigin says who made an account.
type AccountOrigin string

// The origins of accounts.
const (
	Found AccountOrigin = "found" // it was there before ODCM
	Made  AccountOrigin = "made"  // by ODCM: delisting removes it
)

// Acknowledgement is what a Space has of a person: what is wished since when, and when it was so.
type Acknowledgement struct {
	Space    odcm.SpaceID
	Person   odcm.UserID
	Enter    bool   // whether the person is to be let in
	Wish     string // digest of all that is wished for the person there: entry and teams
	State    access.ArrivalState
	Reason   string    // why it failed or drifted, for people
	Since    time.Time // when it was wished
	Applied  time.Time // when the server had it; zero while pending
	Revision int64     // of the Space's wishes at that time
}

// Lag is the time that it took, or has taken so far.
func (a Acknowledgement) Lag(now time.Time) time.Duration {
	if !a.Applied.IsZero() {
		now = a.Applied
	}
	return max(0, now.Sub(a.Since))
}

// DriftPolicy says what is done about what somebody else changed.
type DriftPolicy string

// The policies.
const (
	Repair DriftPolicy = "repair"
	Leave  DriftPolicy = "leave"
)

// PushState is what is known of pushing to a Space.
type PushState struct {
	Space    odcm.SpaceID
	Instance odcm.InstanceID
	Policy   DriftPolicy   // Repair where nobody chose
	Wanted   string        // digest of what is wished
	Revision int64         // grows with each other wish
	Done     int64         // the revision that was written in full
	Applied  time.Time     // when
	Looked   time.Time     // when everything was last compared with the server
	Latest   string        // the server's newest event at that time
	Failure  string        // why the last run failed, for people
	Revoke   time.Duration // how long the last revocation took until it was done here; 0: none yet
	// Making are the people whose accounts are being made: their names were free before, so after a crash the accounts are
	// known to be ODCM's.
	Making []odcm.UserID
}

// InSync tells whether the server has all that is wished.
func (s PushState) InSync() bool { return s.Done == s.Revision && s.Failure == "" }

// TeamState is what was written to a team.
type TeamState struct {
	Space   odcm.SpaceID
	Team    string
	Name    string
	Members []string // accounts that ODCM put there, sorted
	Groups  []string // groups of ODCM that are among the team's external groups, sorted
	Kept    []string // accounts that were there before ODCM and are nobody's in ODCM: they stay
	// Previous are members before ODCM wrote for the first time; delisting puts them back.
	Previous []string
	Mapped   bool // whether groups are mapped to it still
	Drift    TeamDrift
	Drifted  time.Time // when it was last found
	Repaired time.Time // when it was last put right; zero where it is left
	Repairs  int
	Failure  string
}

// TeamDrift is how a team differs from what was written to it.
type TeamDrift struct {
	Added   []DriftMember `json:",omitempty"` // by hand
	Removed []DriftMember `json:",omitempty"`
	Groups  []string      `json:",omitempty"` // of ODCM's that somebody took out
}

// Len is how many differences there are.
func (d TeamDrift) Len() int { return len(d.Added) + len(d.Removed) + len(d.Groups) }

// DriftMember is somebody in a diff.
type DriftMember struct {
	Account string
	Name    string      // as the server shows it
	Person  odcm.UserID `json:",omitempty"`
}
