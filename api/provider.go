package api

import "time"

// Provider is a way to sign in beside the local password: a directory, another company's OpenID provider.
type Provider struct {
	ID        string            `json:"id" example:"provider-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Kind      string            `json:"kind" enum:"active-directory,ldap,entra-id,google,openid-connect"`
	Name      string            `json:"name" doc:"As people see it on the sign-in page" example:"Example Corp"`
	Enabled   bool              `json:"enabled"`
	Order     int               `json:"order" doc:"On the sign-in page, the lowest first"`
	Settings  map[string]string `json:"settings" doc:"By the names of the kind's fields; those that are not set have their default"`
	Secrets   []string          `json:"secrets" doc:"Names of the secret settings that are set; their values are never told"`
	SyncEvery int               `json:"syncEvery" doc:"Seconds between readings of everything in a directory"`
	ReturnURL string            `json:"returnUrl,omitempty" doc:"Where an OpenID provider must send people back to"`
	Sync      *ProviderSync     `json:"sync,omitempty" doc:"How it stands with reading the directory; absent where there is none"`
	Test      *ProviderTest     `json:"test,omitempty" doc:"The last test of the settings; absent where there was none"`
	Created   time.Time         `json:"created"`
}

// ProviderSync is how it stands with reading a directory in the background.
type ProviderSync struct {
	Succeeded   *time.Time `json:"succeeded,omitempty" doc:"The last complete reading; what is known is as old as that"`
	Tried       *time.Time `json:"tried,omitempty"`
	Error       string     `json:"error,omitempty" doc:"Why the last reading failed; what was known stays"`
	Held        string     `json:"held,omitempty" doc:"Why the last reading was not believed: accept it with a sync, or mend the directory"`
	People      int        `json:"people" doc:"People found who are linked to it"`
	Groups      int        `json:"groups" doc:"Groups that any of them is in"`
	Memberships int        `json:"memberships"`
}

// ProviderTest is what trying a provider's settings found.
type ProviderTest struct {
	Started  time.Time         `json:"started"`
	Ended    *time.Time        `json:"ended,omitempty" doc:"Absent while it goes on"`
	OK       bool              `json:"ok" doc:"It ended and found nothing wrong"`
	Findings []ProviderFinding `json:"findings"`
}

// ProviderFinding is one step of a test.
type ProviderFinding struct {
	Step    string `json:"step" example:"Connect to dc1.example.com:636"`
	OK      bool   `json:"ok"`
	Warning bool   `json:"warning,omitempty" doc:"It works, and should not stay so"`
	Message string `json:"message"`
}

// NewProvider is what a provider is made from.
type NewProvider struct {
	Kind      string            `json:"kind" enum:"active-directory,ldap,entra-id,google,openid-connect"`
	Name      string            `json:"name" maxLength:"60"`
	Enabled   bool              `json:"enabled,omitempty"`
	Order     int               `json:"order,omitempty" minimum:"0" maximum:"1000"`
	Settings  map[string]string `json:"settings,omitempty"`
	Secrets   map[string]string `json:"secrets,omitempty" doc:"Secret settings by their names; files in base64"`
	SyncEvery int               `json:"syncEvery,omitempty" doc:"Seconds; an hour if absent" minimum:"0" maximum:"604800"`
}

// ProviderUpdate changes what it names.
type ProviderUpdate struct {
	Name      *string            `json:"name,omitempty" maxLength:"60"`
	Enabled   *bool              `json:"enabled,omitempty"`
	Order     *int               `json:"order,omitempty" minimum:"0" maximum:"1000"`
	Settings  map[string]string  `json:"settings,omitempty" doc:"Those that are named change; an empty value is the default again"`
	Secrets   map[string]*string `json:"secrets,omitempty" doc:"Those that are named change; null forgets one"`
	SyncEvery *int               `json:"syncEvery,omitempty" minimum:"0" maximum:"604800"`
}

// ProviderSyncRequest asks for a reading of a directory now.
type ProviderSyncRequest struct {
	Accept bool `json:"accept,omitempty" doc:"Let the reading count, whatever it takes away"`
}

// ProviderKind is a sort of provider, with what can be set.
type ProviderKind struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name" example:"Active Directory"`
	Fields []ProviderField `json:"fields"`
}

// ProviderField is one setting of a kind.
type ProviderField struct {
	Name     string   `json:"name" example:"servers"`
	Label    string   `json:"label" example:"Servers"`
	Help     string   `json:"help,omitempty"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	Secret   bool     `json:"secret,omitempty"`
	File     bool     `json:"file,omitempty" doc:"The value is a file in base64"`
	Options  []string `json:"options,omitempty"`
}

// ProviderGroup is a group as a provider knows it.
type ProviderGroup struct {
	ID   string `json:"id" doc:"What the provider never gives to another group"`
	Name string `json:"name"`
}

// ProviderLeaving is what goes with a provider.
type ProviderLeaving struct {
	Accounts    int      `json:"accounts" doc:"Linked accounts by which people sign in"`
	Groups      int      `json:"groups"`
	Memberships int      `json:"memberships" doc:"Of people in those groups"`
	Stranded    []string `json:"stranded" doc:"Usernames of those who would have no way left to sign in"`
}
