package api

import "time"

// RelyingParty is a program that lets people in on ODCM's word.
type RelyingParty struct {
	ID       string `json:"id" doc:"Its client_id" example:"party-0198a7c4-5b1e-7c3a-9f00-3d2c1b0a9e8f"`
	Kind     string `json:"kind" enum:"space,application,native" doc:"space: an Octopus server, made and removed with it; native: a program on people's machines"`
	Instance string `json:"instance,omitempty" doc:"Of the kind space: the server"`
	RelyingPartySettings
	SecretMade     *time.Time `json:"secretMade,omitempty" doc:"When its secret was made; absent where it has none"`
	OldSecretUntil *time.Time `json:"oldSecretUntil,omitempty" doc:"Until then the secret before is taken as well"`
	Created        time.Time  `json:"created"`
	Revision       int64      `json:"revision" doc:"What If-Match wants, in quotes"`
}

// RelyingPartySettings are what administrators set.
type RelyingPartySettings struct {
	Name           string   `json:"name" minLength:"1" maxLength:"100" example:"Wiki"`
	RedirectURIs   []string `json:"redirectUris,omitempty" maxItems:"20" doc:"Where people come back to, signed in; matched exactly" example:"[\"https://wiki.example.com/callback\"]"`
	PostLogoutURIs []string `json:"postLogoutUris,omitempty" maxItems:"20" doc:"Where people may be sent after signing out; matched exactly"`
	LogoutURI      string   `json:"logoutUri,omitempty" maxLength:"2000" doc:"Told when somebody signs out (back-channel logout)"`
	Algorithm      string   `json:"algorithm,omitempty" enum:"RS256,ES256" default:"ES256" doc:"Signs its ID tokens"`
	Auth           string   `json:"auth,omitempty" enum:"secret,private_key_jwt,none" default:"secret" doc:"How it proves who it is"`
	Keys           string   `json:"keys,omitempty" maxLength:"32768" doc:"With private_key_jwt: its public keys, as a JSON Web Key Set"`
	PlainHTTP      bool     `json:"plainHttp,omitempty" doc:"Redirect URIs may be http"`
	Front          bool     `json:"front,omitempty" doc:"May be answered with an ID token by the browser"`
	Device         bool     `json:"device,omitempty" doc:"May use the device grant"`
	Consent        bool     `json:"consent,omitempty" doc:"People are asked once whether it may know who they are"`
	Disabled       bool     `json:"disabled,omitempty" doc:"Nobody gets in"`
}

// NewRelyingParty is what makes one.
type NewRelyingParty struct {
	Kind string `json:"kind,omitempty" enum:"application,native" default:"application"`
	RelyingPartySettings
}

// RelyingPartySecret is a relying party with its secret, which is told only here.
type RelyingPartySecret struct {
	RelyingParty
	Secret string `json:"secret,omitempty" doc:"Absent where it has none; kept nowhere"`
}

// SigningKey is a key of ODCM's that signs ID tokens.
type SigningKey struct {
	ID        string     `json:"id" doc:"The kid in tokens"`
	Algorithm string     `json:"algorithm" enum:"RS256,ES256"`
	State     string     `json:"state" enum:"next,signing,retired"`
	Created   time.Time  `json:"created" doc:"Published since"`
	Starts    time.Time  `json:"starts" doc:"Signs from then on"`
	Ends      *time.Time `json:"ends,omitempty" doc:"Signs no more from then on"`
	Gone      *time.Time `json:"gone,omitempty" doc:"Not published any more from then on"`
}

// Application is one sign-in of a person at a relying party.
type Application struct {
	ID       string    `json:"id"`
	Party    string    `json:"party" doc:"Identifier of the relying party"`
	Name     string    `json:"name" doc:"Of the relying party" example:"Payments"`
	Scopes   []string  `json:"scopes"`
	SignedIn time.Time `json:"signedIn"`
	LastUsed time.Time `json:"lastUsed"`
	Expires  time.Time `json:"expires"`
	Offline  bool      `json:"offline" doc:"It stays signed in while the person is away"`
}
