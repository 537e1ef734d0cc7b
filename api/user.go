package api

import "time"

// User is a person who may sign in.
type User struct {
	ID          string     `json:"id" example:"user-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Username    string     `json:"username" example:"geoff@consult.example"`
	DisplayName string     `json:"displayName" example:"Geoff Outsider"`
	Roles       []string   `json:"roles" doc:"What the user is to ODCM itself" enum:"administrator,auditor,space-administrator,member"`
	State       string     `json:"state" enum:"active,disabled,deleted"`
	DisabledBy  string     `json:"disabledBy,omitempty" doc:"Identifier of the provider whose directory disabled the account; absent where an administrator did"`
	MergedInto  string     `json:"mergedInto,omitempty" doc:"Who is the same person"`
	Password    bool       `json:"password" doc:"Whether the user can sign in with a password of ODCM's own"`
	Emails      []Email    `json:"emails" doc:"The main one first"`
	Identities  []Identity `json:"identities" doc:"Accounts at providers with which the user signs in"`
	Revision    int64      `json:"revision"`
	Created     time.Time  `json:"created"`
	Updated     time.Time  `json:"updated"`
}

// Email is an address of a user.
type Email struct {
	Address  string     `json:"address" example:"geoff@consult.example"`
	Main     bool       `json:"main" doc:"Mail goes to this one"`
	Verified *time.Time `json:"verified,omitempty" doc:"When it was proved to be the user's; absent: it was not"`
}

// Identity is an account at a provider.
type Identity struct {
	ID         string            `json:"id"`
	Provider   string            `json:"provider" doc:"Identifier of the provider"`
	Subject    string            `json:"subject" doc:"What the provider never gives to another account"`
	Username   string            `json:"username,omitempty" doc:"As the provider says"`
	Email      string            `json:"email,omitempty" doc:"As the provider says"`
	Marks      map[string]string `json:"marks,omitempty" doc:"Further names of the account: upn, sam, sid, dn"`
	Gone       bool              `json:"gone" doc:"The directory has it no more, or does not let it sign in"`
	Linked     time.Time         `json:"linked"`
	LastSignIn *time.Time        `json:"lastSignIn,omitempty"`
}

// NewUser asks for a user.
type NewUser struct {
	Username    string   `json:"username" minLength:"1" maxLength:"64" example:"bob"`
	DisplayName string   `json:"displayName,omitempty" maxLength:"100" example:"Bob Specialist"`
	Email       string   `json:"email,omitempty" maxLength:"254" doc:"Not verified by being given here"`
	Password    string   `json:"password,omitempty" maxLength:"1024" doc:"Absent: the user cannot sign in with a password"`
	Roles       []string `json:"roles,omitempty" maxItems:"10" doc:"member if absent" enum:"administrator,auditor,space-administrator,member"`
}

// UserChange says what of a user is to be different; what is absent stays.
type UserChange struct {
	Username    *string   `json:"username,omitempty" maxLength:"64"`
	DisplayName *string   `json:"displayName,omitempty" maxLength:"100"`
	Roles       *[]string `json:"roles,omitempty" maxItems:"10" enum:"administrator,auditor,space-administrator,member"`
	Disabled    *bool     `json:"disabled,omitempty" doc:"Disabling ends the user's sessions at once"`
}

// Invitation asks somebody in from outside.
type Invitation struct {
	Email       string   `json:"email" minLength:"3" maxLength:"254" example:"geoff@consult.example"`
	Username    string   `json:"username,omitempty" maxLength:"64" doc:"The address if absent"`
	DisplayName string   `json:"displayName,omitempty" maxLength:"100"`
	Roles       []string `json:"roles,omitempty" maxItems:"10" doc:"member if absent" enum:"administrator,auditor,space-administrator,member"`
	Groups      []string `json:"groups,omitempty" maxItems:"100" doc:"Identifiers of groups to be in from the beginning"`
}

// Invited is who was asked in.
type Invited struct {
	User User   `json:"user"`
	Link string `json:"link,omitempty" doc:"Told only where it could not be mailed: hand it to the person. It works once."`
}

// Link is a way to a new password, or in.
type Link struct {
	Link   string `json:"link,omitempty" doc:"Told only where it could not be mailed: hand it to the person. It works once."`
	Mailed bool   `json:"mailed"`
}

// NewEmail asks for an address of a user.
type NewEmail struct {
	Address string `json:"address" minLength:"3" maxLength:"254"`
}

// EmailChange makes an address the main one, or says that it is verified.
type EmailChange struct {
	Main     bool `json:"main,omitempty" doc:"Mail goes to it from now on"`
	Verified bool `json:"verified,omitempty" doc:"An administrator knows that it is the user's"`
}

// MergeProposal is two users who look like one person.
type MergeProposal struct {
	One     User          `json:"one"`
	Other   User          `json:"other"`
	Reasons []MergeReason `json:"reasons" doc:"What they have in common, the surest first"`
}

// MergeReason is one thing that two users have in common.
type MergeReason struct {
	Sign  string `json:"sign" enum:"account,subject,verified-email,email"`
	Value string `json:"value"`
}

// Merge decides about two users.
type Merge struct {
	Keep string `json:"keep" doc:"Identifier of the user who stays" maxLength:"100"`
	Gone string `json:"gone" doc:"Identifier of the user who is deleted, with a pointer to the other" maxLength:"100"`
}

// Distinction says that two users are two people.
type Distinction struct {
	One   string `json:"one" maxLength:"100"`
	Other string `json:"other" maxLength:"100"`
}

// Guest tells whether everybody may look around without signing in.
type Guest struct {
	On bool `json:"on"`
}
