package api

import "time"

// Account is a user of a Space's server beside whom it is in ODCM.
type Account struct {
	PlannedAccount
	Decision  string   `json:"decision,omitempty" doc:"Kept from before" enum:"rule,hand,local,invited"`
	Conflict  string   `json:"conflict,omitempty" doc:"Why somebody must say whose it is: it looks like several people's, several accounts look like one person's, several have one address, or the person has another" enum:"people,accounts,address,owned"`
	Untouched string   `json:"untouched,omitempty" doc:"Why ODCM never writes to it" enum:"service,key,local"`
	Providers []string `json:"providers,omitempty" doc:"Through which it signs in on that server"`
}

// AccountChoices are decisions about accounts.
type AccountChoices struct {
	Choices []AccountChoice `json:"choices" minItems:"1" maxItems:"5000"`
}

// Pushed is how it stands with what ODCM brings to a Space.
type Pushed struct {
	Drift    string       `json:"drift" doc:"What is done about what somebody else changes there" enum:"repair,leave"`
	InSync   bool         `json:"inSync" doc:"The server has all that is wished"`
	Revision int64        `json:"revision" doc:"Of what is wished"`
	Done     int64        `json:"done" doc:"The revision that the server has in full"`
	Applied  *time.Time   `json:"applied,omitempty"`
	Checked  *time.Time   `json:"checked,omitempty" doc:"When everything was last compared"`
	Failure  string       `json:"failure,omitempty"`
	RevokeMS int64        `json:"revokeMs,omitempty" doc:"Milliseconds from the last loss of access to its being done"`
	Teams    []PushedTeam `json:"teams"`
	Open     []Arrival    `json:"open" doc:"Who has not arrived as wished"`
}

// PushedTeam is a team that groups are mapped to.
type PushedTeam struct {
	Team     string     `json:"team" example:"Teams-21"`
	Name     string     `json:"name"`
	Members  int        `json:"members" doc:"Whom ODCM put there"`
	Added    []string   `json:"added,omitempty" doc:"Members whom somebody added there by hand"`
	Removed  []string   `json:"removed,omitempty" doc:"Members whom somebody took out"`
	Groups   []string   `json:"groups,omitempty" doc:"Groups whom somebody took out"`
	Drifted  *time.Time `json:"drifted,omitempty" doc:"When that was last found"`
	Repaired *time.Time `json:"repaired,omitempty"`
	Repairs  int        `json:"repairs"`
	Failure  string     `json:"failure,omitempty"`
}

// Arrival is how it stands with one person in a Space.
type Arrival struct {
	Person  string     `json:"person"`
	Enter   bool       `json:"enter" doc:"Whether the person is to be let in, or out"`
	State   string     `json:"state" enum:"pending,applied,failed,drifted"`
	Reason  string     `json:"reason,omitempty"`
	Since   time.Time  `json:"since"`
	Applied *time.Time `json:"applied,omitempty"`
}

// PushPolicy chooses what is done about drift.
type PushPolicy struct {
	Drift string `json:"drift" enum:"repair,leave"`
}
