package api

import "time"

// Me is who the request was made as.
type Me struct {
	ID          string   `json:"id" doc:"Identifier of the user" example:"user-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Username    string   `json:"username" example:"barry"`
	DisplayName string   `json:"displayName" example:"Barry Infrastructure"`
	Roles       []string `json:"roles" doc:"What the user is to ODCM itself" enum:"administrator,auditor,space-administrator,member"`
	Via         string   `json:"via" doc:"How the request was signed in" enum:"session,api-key"`
}

// APIKey is a key without its secret.
type APIKey struct {
	ID       string     `json:"id" example:"apikey-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Prefix   string     `json:"prefix" doc:"First characters of the secret, to recognise it by" example:"odcm_k3Xq9z"`
	Purpose  string     `json:"purpose" example:"build server"`
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires,omitempty" doc:"Absent where the key never expires"`
	LastUsed *time.Time `json:"lastUsed,omitempty" doc:"At most a minute old; absent where it was never used"`
}

// NewAPIKey asks for an API key.
type NewAPIKey struct {
	Purpose string     `json:"purpose" doc:"What the key is for" minLength:"1" maxLength:"200" example:"build server"`
	Expires *time.Time `json:"expires,omitempty" doc:"When it stops working; absent: never"`
}

// CreatedAPIKey is the one answer that holds a key's secret.
type CreatedAPIKey struct {
	APIKey
	Key string `json:"key" doc:"The secret, told only here: send it as Authorization: Bearer" example:"odcm_k3Xq9z..."`
}

// SignIn asks for an API key of limited life by username and password.
type SignIn struct {
	Username string `json:"username" maxLength:"1024" example:"barry"`
	Password string `json:"password" maxLength:"1024"`
	Purpose  string `json:"purpose,omitempty" doc:"What the key is for; \"odcm login\" if absent" maxLength:"200" example:"odcm login on build-7"`
}

// Session is a browser in which the user is signed in.
type Session struct {
	ID        string    `json:"id" example:"session-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Method    string    `json:"method" doc:"How the user proved who they are" example:"password"`
	Created   time.Time `json:"created"`
	LastSeen  time.Time `json:"lastSeen" doc:"At most a minute old"`
	Expires   time.Time `json:"expires" doc:"It ends then at the latest, earlier when it is not used"`
	Address   string    `json:"address" doc:"Of the last use" example:"192.0.2.7"`
	UserAgent string    `json:"userAgent" example:"Mozilla/5.0"`
}
