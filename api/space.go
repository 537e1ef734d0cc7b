package api

import "time"

// Space is one octopus.Space under management.
type Space struct {
	ID           string     `json:"id" example:"space-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Slug         string     `json:"slug" doc:"For addresses; unique, and kept when the Space is renamed" example:"shipping"`
	Name         string     `json:"name" doc:"Unique without regard to case" example:"Shipping"`
	Description  string     `json:"description"`
	State        string     `json:"state" doc:"Where it is in its life under ODCM" enum:"creating,enlisting,active,delisting,failed"`
	Reason       string     `json:"reason,omitempty" doc:"Why it failed"`
	Task         string     `json:"task,omitempty" doc:"The task that works on it, or did last" example:"task-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Health       Health     `json:"health"`
	URL          string     `json:"url,omitempty" doc:"Of its server; absent until a created one runs" example:"https://octopus.example.com"`
	Version      string     `json:"version,omitempty" doc:"Of its server, as last seen" example:"2026.2.1203"`
	Origin       string     `json:"origin" doc:"Who runs its server: ODCM or somebody else" enum:"created,enlisted"`
	Instance     string     `json:"instance" doc:"Identifier of its server, which may hold other Spaces too" example:"instance-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	OctopusSpace string     `json:"octopusSpace,omitempty" doc:"Its identifier on that server" example:"Spaces-1"`
	Starred      bool       `json:"starred" doc:"By you"`
	Visited      *time.Time `json:"visited,omitempty" doc:"When you last opened it from ODCM"`
	Created      time.Time  `json:"created" doc:"When it came under management"`
	Revision     int64      `json:"revision" doc:"Grows with every change; also the ETag" example:"3"`

	// The rest is told where one Space is read, not in lists.
	InstallationID string        `json:"installationId,omitempty" doc:"The server's own identity; only where one Space is read"`
	Server         string        `json:"server,omitempty" doc:"Machine that a created one runs on; only where one Space is read"`
	Neighbours     int           `json:"neighbours,omitempty" doc:"Other Spaces on the same server; only where one Space is read"`
	Webhook        *SpaceWebhook `json:"webhook,omitempty" doc:"Only where one Space is read"`
}

// Health is how the server of a Space is doing, as the last probe saw it.
type Health struct {
	Status  string     `json:"status" doc:"unknown: not probed yet" enum:"unknown,online,draining,degraded,offline,maintenance"`
	Reason  string     `json:"reason,omitempty" doc:"Why it is not online"`
	Since   *time.Time `json:"since,omitempty" doc:"When it came into this status"`
	Checked *time.Time `json:"checked,omitempty" doc:"When it was last probed"`
	Nodes   []Node     `json:"nodes,omitempty"`
	Licence *Licence   `json:"licence,omitempty" doc:"Absent where the API key may not read it"`
}

// Node is an Octopus server node.
type Node struct {
	Name     string     `json:"name"`
	Leader   bool       `json:"leader"`
	Offline  bool       `json:"offline"`
	Draining bool       `json:"draining"`
	Tasks    int        `json:"tasks" doc:"Running now"`
	TaskCap  int        `json:"taskCap"`
	LastSeen *time.Time `json:"lastSeen,omitempty"`
}

// Licence is what an Octopus server says about its licence.
type Licence struct {
	Kind      string         `json:"kind" example:"CommercialLicense"`
	Compliant bool           `json:"compliant"`
	DaysLeft  *int           `json:"daysLeft,omitempty" doc:"Absent where it does not expire"`
	Limits    []LicenceLimit `json:"limits,omitempty"`
}

// LicenceLimit is one bound of a licence.
type LicenceLimit struct {
	Name      string `json:"name" example:"Targets"`
	Used      int    `json:"used"`
	Allowed   int    `json:"allowed"`
	Unlimited bool   `json:"unlimited"`
}

// SpaceWebhook is the event subscription by which a Space's server tells ODCM that something happened.
type SpaceWebhook struct {
	State   string     `json:"state" doc:"applied: the server holds it; pending: to be done when it answers; skipped: it cannot be had" enum:"pending,applied,skipped"`
	Reason  string     `json:"reason,omitempty"`
	Checked *time.Time `json:"checked,omitempty" doc:"When it was last compared with what it should be"`
	Applied *time.Time `json:"applied,omitempty" doc:"When it was last written"`
	Repairs int        `json:"repairs" doc:"How often somebody had changed it"`
	Drift   string     `json:"drift,omitempty" doc:"What was changed when it was last repaired"`
	Drifted *time.Time `json:"drifted,omitempty"`
}

// NewSpace asks for a blank Space on a server that ODCM runs.
type NewSpace struct {
	Name        string `json:"name" minLength:"1" maxLength:"100" example:"Shipping"`
	Description string `json:"description,omitempty" maxLength:"1000"`
	Version     string `json:"version,omitempty" doc:"Absent: the default one" maxLength:"100" example:"2026.2.1203"`
	Server      string `json:"server,omitempty" doc:"Machine to run it on; absent: the one with the most room" maxLength:"100"`
}

// SpaceUpdate says what to change; what is absent stays.
type SpaceUpdate struct {
	Name        *string `json:"name,omitempty" minLength:"1" maxLength:"100"`
	Description *string `json:"description,omitempty" maxLength:"1000"`
}

// Connection says how to reach an Octopus server, as whom, and whom to trust.
type Connection struct {
	URL        string `json:"url" doc:"Of the Octopus server" minLength:"1" maxLength:"2000" example:"https://octopus.example.com"`
	APIKey     string `json:"apiKey" doc:"Of an Octopus administrator there; kept sealed and never told" minLength:"1" maxLength:"200" example:"API-XXXXXXXXXXXXXXXXXXXXXXXXXXXX"`
	CA         string `json:"ca,omitempty" doc:"Certificates of authorities in PEM, trusted instead of this machine's" maxLength:"100000"`
	Thumbprint string `json:"thumbprint,omitempty" doc:"SHA-1 or SHA-256 of the server's certificate, in hexadecimal: that one is trusted and no other" maxLength:"200"`
}

// Enlistment asks to take Spaces of a server under management.
type Enlistment struct {
	Connection
	Spaces []EnlistedSpace `json:"spaces" minItems:"1" maxItems:"500"`
	// SignIn and the three after it say what becomes of signing in.
	SignIn         string          `json:"signIn,omitempty" doc:"on: people sign in through ODCM, or the task fails; off: as before; absent: through ODCM where nothing of anybody's is replaced" enum:"on,off"`
	ClosePasswords bool            `json:"closePasswords,omitempty" doc:"Turn the server's own passwords off once signing in through ODCM is tested"`
	ReplaceSignIn  bool            `json:"replaceSignIn,omitempty" doc:"Take over settings that another provider uses; its secret cannot be put back"`
	LeadOn         bool            `json:"leadOn,omitempty" doc:"Lead whoever has no session there to ODCM at once, without a click; undone by delisting"`
	Accounts       []AccountChoice `json:"accounts,omitempty" doc:"Decisions about accounts, beyond those that the plan matched" maxItems:"5000"`
}

// AccountChoice says what becomes of an account of a server.
type AccountChoice struct {
	Account string `json:"account" doc:"Its identifier on the server" minLength:"1" maxLength:"100" example:"Users-21"`
	Do      string `json:"do" doc:"link: it is that person's; local: it stays the server's own; invite: its address is invited; create: a person is made of it; undo: the decision is taken back" enum:"link,local,invite,create,undo"`
	Person  string `json:"person,omitempty" doc:"With link: whose it is" maxLength:"100"`
}

// EnlistedSpace is an octopus.Space to enlist.
type EnlistedSpace struct {
	OctopusSpace string `json:"octopusSpace" doc:"Its identifier on the server" minLength:"1" maxLength:"100" example:"Spaces-1"`
	Name         string `json:"name,omitempty" doc:"In ODCM; absent: the name that it has there" maxLength:"100"`
	Description  string `json:"description,omitempty" maxLength:"1000"`
}

// Enlisting is an enlistment that has begun.
type Enlisting struct {
	Task   string  `json:"task" doc:"To be watched until it ends" example:"task-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Spaces []Space `json:"spaces"`
}

// EnlistPlan is what enlisting would find and do. Nothing was written to get it.
type EnlistPlan struct {
	Server   PlannedServer  `json:"server"`
	Spaces   []PlannedSpace `json:"spaces"`
	People   PlannedPeople  `json:"people"`
	SignIn   PlannedSignIn  `json:"signIn"`
	Warnings []Note         `json:"warnings"`
}

// PlannedServer is what a server said about itself.
type PlannedServer struct {
	URL            string `json:"url"`
	Version        string `json:"version"`
	InstallationID string `json:"installationId"`
	User           string `json:"user" doc:"Whose API key it is"`
	Administrator  bool   `json:"administrator" doc:"Whether that is an Octopus administrator"`
	Known          bool   `json:"known" doc:"Some of its Spaces are enlisted already"`
}

// PlannedSpace is an octopus.Space that can be enlisted.
type PlannedSpace struct {
	OctopusSpace string `json:"octopusSpace" example:"Spaces-1"`
	Name         string `json:"name" doc:"On the server"`
	Description  string `json:"description,omitempty"`
	Default      bool   `json:"default"`
	Suggested    string `json:"suggested" doc:"A name that is free in ODCM"`
	Enlisted     bool   `json:"enlisted" doc:"It is a Space of this ODCM already"`
	Conflicts    []Note `json:"conflicts"`
	Changes      []Note `json:"changes" doc:"What will be different on the server"`
}

// PlannedPeople says who the server's users are.
type PlannedPeople struct {
	Touched   int              `json:"touched" doc:"How many accounts will be a known person's"`
	Matched   []PlannedAccount `json:"matched" doc:"Accounts of people whom ODCM knows"`
	Conflicts []PlannedAccount `json:"conflicts" doc:"Somebody must say whose these are; until then they stay as they are"`
	Unmatched []PlannedAccount `json:"unmatched" doc:"Nobody's in ODCM: they stay accounts of that server alone"`
	Untouched int              `json:"untouched" doc:"Service accounts, and that of the API key"`
	Notes     []Note           `json:"notes"`
}

// PlannedAccount is a user of a server.
type PlannedAccount struct {
	Account     string             `json:"account" example:"Users-21"`
	Username    string             `json:"username"`
	DisplayName string             `json:"displayName,omitempty"`
	Email       string             `json:"email,omitempty"`
	Active      bool               `json:"active"`
	Person      string             `json:"person,omitempty" doc:"Whose it is"`
	PersonName  string             `json:"personName,omitempty"`
	Because     string             `json:"because,omitempty" doc:"How it was recognised, or why not"`
	Between     []AccountCandidate `json:"between,omitempty" doc:"Whose it might be"`
}

// AccountCandidate is a person whom an account might be.
type AccountCandidate struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// PlannedSignIn says which sign-in settings change.
type PlannedSignIn struct {
	Pointed   bool            `json:"pointed" doc:"People sign in there through ODCM already"`
	Provider  string          `json:"provider,omitempty" doc:"The place in the server's settings that is used" example:"Generic OIDC"`
	Possible  bool            `json:"possible"`
	Proposed  bool            `json:"proposed" doc:"It is done unless you say no: nothing of anybody's is replaced"`
	Passwords bool            `json:"passwords" doc:"People may sign in by the server's own passwords"`
	LeadsOn   bool            `json:"leadsOn" doc:"Whoever has no session there is led on to a provider already"`
	Settings  []SettingChange `json:"settings"`
	Changes   []Note          `json:"changes"`
}

// SettingChange is a setting that changes. Secrets are dots.
type SettingChange struct {
	Name string `json:"name" example:"Issuer"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Note is something to know, with a stable code.
type Note struct {
	Code    string `json:"code" example:"webhook.added"`
	Message string `json:"message"`
}

// SpaceKey replaces the API key with which ODCM reaches a Space's server.
type SpaceKey struct {
	APIKey string `json:"apiKey" minLength:"1" maxLength:"200"`
}

// Switcher is what one may jump to. No Space is in two groups.
type Switcher struct {
	Starred []SwitcherSpace `json:"starred"`
	Recent  []SwitcherSpace `json:"recent"`
	Others  []SwitcherSpace `json:"others"`
	More    bool            `json:"more" doc:"There are more than these: ask by a part of the name"`
}

// SwitcherSpace is a Space in the switcher.
type SwitcherSpace struct {
	ID      string `json:"id"`
	Slug    string `json:"slug"`
	Name    string `json:"name"`
	Status  string `json:"status" enum:"unknown,online,draining,degraded,offline,maintenance"`
	Href    string `json:"href" doc:"Leads to the Space by way of ODCM, which remembers the visit" example:"/spaces/shipping/open"`
	URL     string `json:"url" doc:"Of its server" example:"https://octopus.example"`
	Octopus string `json:"octopusSpace" doc:"Its id on its server" example:"Spaces-1"`
}

// SpaceChoices is what a new Space can choose from.
type SpaceChoices struct {
	Versions []LaunchVersion `json:"versions"`
	Servers  []LaunchServer  `json:"servers"`
}

// LaunchVersion is a version that can be launched.
type LaunchVersion struct {
	Number  string `json:"number"`
	Product string `json:"product"`
	Default bool   `json:"default"`
}

// LaunchServer is a machine that could take an instance.
type LaunchServer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Online    bool   `json:"online"`
	Instances int    `json:"instances"`
	Capacity  int    `json:"capacity" doc:"How many more it can take"`
	Reason    string `json:"reason,omitempty" doc:"Why it takes none"`
}

// SpaceGroup is a part of the Spaces.
type SpaceGroup struct {
	Name   string         `json:"name" doc:"Empty where it is not known" example:"octopus-1.example.com"`
	Total  int            `json:"total"`
	Counts map[string]int `json:"counts" doc:"How many are in which state: online, draining, degraded, offline, maintenance, unknown; or creating, enlisting, delisting, failed"`
}
