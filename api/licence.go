package api

import "time"

// LicenceOverview is what is used against what was bought, of all servers and of ODCM itself.
type LicenceOverview struct {
	Spaces      int            `json:"spaces" doc:"Spaces that ODCM manages; any number is free"`
	Servers     int            `json:"servers" doc:"Octopus servers that hold them"`
	States      map[string]int `json:"states" doc:"How many servers are in which state"`
	Totals      []LicenceTotal `json:"totals" doc:"Each limit over all servers, the fullest first"`
	Entitlement *Entitlement   `json:"entitlement,omitempty" doc:"Absent where none is installed"`
}

// LicenceTotal sums one limit over the servers that count it. What two servers know is counted by both.
type LicenceTotal struct {
	Name        string `json:"name" example:"Targets"`
	Servers     int    `json:"servers" doc:"That count it"`
	Used        int    `json:"used" doc:"By all of them"`
	UsedBounded int    `json:"usedBounded" doc:"By those with a bound"`
	Allowed     int    `json:"allowed" doc:"To those with a bound"`
	Unlimited   int    `json:"unlimited" doc:"Servers without a bound"`
}

// LicenceServer is an Octopus server and what it last said of its licence.
type LicenceServer struct {
	Instance string         `json:"instance" example:"instance-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Spaces   []LicenceSpace `json:"spaces" doc:"That it holds"`
	State    string         `json:"state" enum:"exceeded,expired,expiring,near,unknown,fine" doc:"expiring: within 30 days; near: nine tenths of a limit are used; unknown: the API key may not read it"`
	Licence  *Licence       `json:"licence,omitempty" doc:"Absent where it is unknown"`
	Checked  *time.Time     `json:"checked,omitempty" doc:"When the server was last probed"`
}

// LicenceSpace is a Space on a server.
type LicenceSpace struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Entitlement is what was bought for ODCM itself: a file that its publisher signed.
type Entitlement struct {
	ID        string             `json:"id,omitempty" doc:"Absent, as all that it says, where it cannot be proven"`
	Holder    string             `json:"holder,omitempty" example:"Example Ltd"`
	Standing  string             `json:"standing" enum:"valid,expired,early,unproven" doc:"Whatever it is, nothing stops"`
	Problem   string             `json:"problem,omitempty"`
	Issued    *time.Time         `json:"issued,omitempty"`
	NotBefore *time.Time         `json:"notBefore,omitempty"`
	Expires   *time.Time         `json:"expires,omitempty" doc:"Absent where it does not expire"`
	DaysLeft  *int               `json:"daysLeft,omitempty" doc:"Absent where it has expired or does not expire"`
	Extras    []EntitlementExtra `json:"extras"`
	Key       string             `json:"key,omitempty" doc:"Fingerprint of the key that signed it"`
	Installed time.Time          `json:"installed"`
	By        string             `json:"by"`
}

// EntitlementExtra is one thing that was bought.
type EntitlementExtra struct {
	Name   string `json:"name" example:"Support"`
	Detail string `json:"detail,omitempty"`
}

// EntitlementFile is the file that an entitlement comes in.
type EntitlementFile struct {
	File string `json:"file" doc:"Its text, unchanged"`
}
