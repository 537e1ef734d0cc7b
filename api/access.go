package api

import "time"

// AccessGrant lets a group or a user enter a Space.
type AccessGrant struct {
	ID         string     `json:"id" example:"grant-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Space      string     `json:"space" doc:"Identifier of the Space"`
	SpaceName  string     `json:"spaceName" example:"Payments"`
	Group      string     `json:"group,omitempty" doc:"Identifier of the group that holds it; absent where a user does"`
	User       string     `json:"user,omitempty" doc:"Identifier of the user who holds it; absent where a group does"`
	Holder     string     `json:"holder" doc:"Name of the group or user; empty where it is not known any more" example:"Developers"`
	Administer bool       `json:"administer" doc:"The holder administers the Space in ODCM: sees who enters, and maps groups to teams"`
	Expires    *time.Time `json:"expires,omitempty" doc:"From then on it lets nobody in; absent: never"`
	Expired    bool       `json:"expired"`
	Note       string     `json:"note,omitempty"`
	People     int        `json:"people" doc:"How many it lets in now"`
	By         string     `json:"by" doc:"Identifier of who granted it"`
	Created    time.Time  `json:"created"`
}

// NewAccessGrant asks to let a group or a user in. Where the holder has a grant in the Space, it becomes as this one says.
type NewAccessGrant struct {
	Space      string     `json:"space" doc:"Identifier, slug or name" minLength:"1" maxLength:"200" example:"payments"`
	Group      string     `json:"group,omitempty" doc:"Identifier or name; or user" maxLength:"200" example:"Developers"`
	User       string     `json:"user,omitempty" doc:"Identifier, username or verified e-mail address; or group" maxLength:"320" example:"bob"`
	Administer bool       `json:"administer,omitempty" doc:"Let the holder administer the Space in ODCM too"`
	Expires    *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	Note       string     `json:"note,omitempty" doc:"Why, for people" maxLength:"2000"`
}

// AccessMapping is an Octopus team with the groups of ODCM that are in it.
type AccessMapping struct {
	Team     string        `json:"team" doc:"Its identifier on the server" example:"Teams-21"`
	TeamName string        `json:"teamName" example:"Deploy to Dev"`
	Groups   []AccessGroup `json:"groups"`
	People   int           `json:"people" doc:"In the team: in one of the groups, and may enter"`
}

// AccessGroup is a group as access tells of it.
type AccessGroup struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	People int    `json:"people,omitempty" doc:"In the group and may enter; absent in ways"`
}

// NewAccessMapping puts a group into a team.
type NewAccessMapping struct {
	Space string `json:"space" doc:"Identifier, slug or name" minLength:"1" maxLength:"200"`
	Team  string `json:"team" doc:"Identifier or name" minLength:"1" maxLength:"200" example:"Deploy to Dev"`
	Group string `json:"group" doc:"Identifier or name" minLength:"1" maxLength:"200" example:"Developers"`
}

// AccessTeam is an Octopus team of a Space.
type AccessTeam struct {
	ID   string `json:"id" example:"Teams-21"`
	Name string `json:"name" example:"Deploy to Dev"`
}

// AccessEntrant is a person who may enter a Space.
type AccessEntrant struct {
	User       string         `json:"user"`
	Username   string         `json:"username"`
	Name       string         `json:"name"`
	By         []string       `json:"by" doc:"The groups that let him in; his own name where he holds a grant himself"`
	Administer bool           `json:"administer"`
	Teams      []AccessTeam   `json:"teams"`
	Arrival    *AccessArrival `json:"arrival,omitempty" doc:"What the Space has acknowledged; absent where nothing is known"`
}

// AccessArrival is how it stands with one person in a Space.
type AccessArrival struct {
	State  string     `json:"state" enum:"applied,pending,failed,drifted"`
	Reason string     `json:"reason,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
}

// AccessExplanation says why somebody may enter a Space, or why not.
type AccessExplanation struct {
	User      string         `json:"user"`
	Username  string         `json:"username"`
	Name      string         `json:"name"`
	Space     string         `json:"space"`
	SpaceName string         `json:"spaceName"`
	MayEnter  bool           `json:"mayEnter"`
	Ways      []AccessWay    `json:"ways" doc:"Every way in, the shortest first"`
	Teams     []AccessSeat   `json:"teams" doc:"The mapped Octopus teams that the person is in"`
	Missing   string         `json:"missing,omitempty" doc:"What is nearest to letting the person in"`
	Arrival   *AccessArrival `json:"arrival,omitempty"`
}

// AccessWay is a grant that lets a person in, and a way to it.
type AccessWay struct {
	Grant   string        `json:"grant"`
	Holder  string        `json:"holder"`
	Expires *time.Time    `json:"expires,omitempty"`
	Path    []AccessGroup `json:"path" doc:"From the group that names the person to the one that holds the grant; empty where the person holds it"`
}

// AccessSeat is a team that a person is in, and the ways into it.
type AccessSeat struct {
	AccessTeam
	Ways [][]AccessGroup `json:"ways"`
}

// AccessChange is one thing that somebody thinks of doing. References are identifiers or names.
type AccessChange struct {
	Kind   string `json:"kind" enum:"grant,revoke,map,unmap,add-member,remove-member,disable-user"`
	Space  string `json:"space,omitempty" doc:"Of grant, revoke, map and unmap" maxLength:"200"`
	Team   string `json:"team,omitempty" doc:"Of map and unmap" maxLength:"200"`
	Group  string `json:"group,omitempty" doc:"Who holds the grant; what is mapped; whose members change" maxLength:"200"`
	User   string `json:"user,omitempty" doc:"Who holds the grant; the member; who is disabled" maxLength:"320"`
	Member string `json:"member,omitempty" doc:"The group that is the member" maxLength:"200"`
}

// AccessQuestion asks what changes would do.
type AccessQuestion struct {
	Changes []AccessChange `json:"changes" minItems:"1" maxItems:"100" doc:"Made at once"`
}

// AccessDifference is what changes would do.
type AccessDifference struct {
	Gain   int            `json:"gain" doc:"People times Spaces that could be entered and cannot be now"`
	Lose   int            `json:"lose"`
	Join   int            `json:"join" doc:"People times teams"`
	Leave  int            `json:"leave"`
	People int            `json:"people" doc:"To whom anything happens"`
	Spaces int            `json:"spaces" doc:"In which anything happens"`
	Items  []AccessEffect `json:"items" doc:"A page of who, the gravest first"`
	Next   string         `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
}

// AccessEffect is what happens to one person in one Space.
type AccessEffect struct {
	Kind      string `json:"kind" enum:"loses-entry,leaves-team,gains-entry,joins-team"`
	User      string `json:"user"`
	Name      string `json:"name"`
	Space     string `json:"space"`
	SpaceName string `json:"spaceName"`
	Team      string `json:"team,omitempty"`
	TeamName  string `json:"teamName,omitempty"`
}
