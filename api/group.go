package api

import "time"

// Group is a set of people: users and other groups, or a group of a provider.
type Group struct {
	ID          string         `json:"id" example:"group-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Name        string         `json:"name" example:"Developers"`
	Description string         `json:"description"`
	External    *ExternalGroup `json:"external,omitempty" doc:"Which group of which provider it mirrors; absent for a group of ODCM's own"`
	Counts      *GroupCounts   `json:"counts,omitempty" doc:"How many are directly in it; in lists only"`
	Created     time.Time      `json:"created"`
	Revision    int64          `json:"revision" doc:"Grows with every change; the ETag"`
}

// ExternalGroup names a group of a provider.
type ExternalGroup struct {
	Provider string `json:"provider" doc:"Identifier of the provider"`
	ID       string `json:"id" doc:"As the provider knows it"`
}

// GroupCounts tells how many users and groups are directly in a group, and in how many it is.
type GroupCounts struct {
	Users  int `json:"users"`
	Groups int `json:"groups"`
	Within int `json:"within" doc:"Groups that it is directly in"`
}

// NewGroup is what a group is made from.
type NewGroup struct {
	Name        string `json:"name" maxLength:"200" example:"Developers"`
	Description string `json:"description,omitempty" maxLength:"2000"`
}

// GroupUpdate changes a group; what is absent stays.
type GroupUpdate struct {
	Name        *string `json:"name,omitempty" maxLength:"200"`
	Description *string `json:"description,omitempty" maxLength:"2000"`
}

// GroupEdit says who comes into a group and who leaves it.
type GroupEdit struct {
	Add    []string `json:"add,omitempty" maxItems:"1000" doc:"Identifiers of users and groups, usernames or names of groups" example:"[\"bob\",\"Testers\"]"`
	Remove []string `json:"remove,omitempty" maxItems:"1000" doc:"Likewise"`
}

// GroupMember is a user or a group in a group.
type GroupMember struct {
	Kind   string `json:"kind" enum:"user,group"`
	ID     string `json:"id"`
	Name   string `json:"name" doc:"Display name of a user, name of a group"`
	Detail string `json:"detail,omitempty" doc:"Username of a user"`
	// Disabled users are members and count nowhere.
	Disabled bool `json:"disabled,omitempty" doc:"The user may not sign in, and so counts nowhere"`
}

// GroupUser is a user in a group, directly or through others.
type GroupUser struct {
	ID       string     `json:"id"`
	Username string     `json:"username"`
	Name     string     `json:"name"`
	Path     []GroupRef `json:"path" doc:"A shortest way: from the group that the user is directly in to the one asked about"`
}

// UserGroup is a group that a user is in, directly or through others.
type UserGroup struct {
	GroupRef
	Path []GroupRef `json:"path" doc:"A shortest way: from the group that the user is directly in to this one"`
}

// GroupRef names a group.
type GroupRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}
