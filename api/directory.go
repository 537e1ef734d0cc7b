package api

import "time"

// Directory is one who pushes people and groups by SCIM 2.0.
type Directory struct {
	Provider   string    `json:"provider" doc:"Identifier of the provider whose people and groups it pushes"`
	Name       string    `json:"name" example:"Contoso"`
	Prefix     string    `json:"prefix,omitempty" doc:"What comes before externalId to make the subject by which the provider knows a person at sign-in" example:"72f988bf-86f1-41af-91ab-2d7cd011db47/"`
	TrustEmail bool      `json:"trustEmail" doc:"Whether its word is enough that an address is a person's own"`
	Address    string    `json:"address" doc:"Where it sends its requests"`
	Created    time.Time `json:"created"`
	Revision   int64     `json:"revision" doc:"Grows with every change; the ETag"`
}

// DirectoryDetail is a directory with its tokens and what it pushed.
type DirectoryDetail struct {
	Directory
	Tokens []DirectoryToken `json:"tokens"`
	Users  int              `json:"users" doc:"People that it pushed"`
	Groups int              `json:"groups" doc:"Groups that it pushed"`
}

// NewDirectory is what a directory is made from.
type NewDirectory struct {
	Name       string `json:"name" maxLength:"200"`
	Provider   string `json:"provider,omitempty" maxLength:"100" doc:"A provider that there is, where people sign in by it; absent makes one of the directory's own"`
	Prefix     string `json:"prefix,omitempty" maxLength:"200"`
	TrustEmail bool   `json:"trustEmail,omitempty"`
}

// DirectoryUpdate changes a directory; what is absent stays.
type DirectoryUpdate struct {
	Name       *string `json:"name,omitempty" maxLength:"200"`
	Prefix     *string `json:"prefix,omitempty" maxLength:"200"`
	TrustEmail *bool   `json:"trustEmail,omitempty"`
}

// DirectoryToken lets a directory in.
type DirectoryToken struct {
	ID       string     `json:"id"`
	Hint     string     `json:"hint" doc:"Its first characters, to recognise it by"`
	Purpose  string     `json:"purpose"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	LastUsed *time.Time `json:"lastUsed,omitempty" doc:"At most a minute old"`
}

// NewDirectoryToken is what a token is made from.
type NewDirectoryToken struct {
	Purpose string     `json:"purpose" maxLength:"200" example:"Entra ID provisioning"`
	Expires *time.Time `json:"expires,omitempty" doc:"Absent: never"`
}

// CreatedDirectoryToken has the secret, which is shown this once.
type CreatedDirectoryToken struct {
	DirectoryToken
	Token string `json:"token"`
}
