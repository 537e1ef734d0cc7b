package person

import (
	"maps"
	"time"

	"odcm"
)

// IdentityID identifies a linked identity.
type IdentityID string

// Identity is one account at a provider with which a user signs in. A user may have several; an account has one user.
type Identity struct {
	ID       IdentityID
	User     odcm.UserID
	Provider odcm.ProviderID
	Subject  string // see [Assertion]

	// What the provider last said, at a sign-in or in a reading of the directory.
	Username      string
	DisplayName   string
	Email         string
	EmailVerified bool // by the provider, whose settings say that its word is enough
	Marks         map[string]string
	Gone          bool // the directory has it no more, or does not let it sign in

	Linked     time.Time
	LastSignIn time.Time // zero: never
}

// Identity is the account of the assertion as one of the user's.
func (a Assertion) Identity(user odcm.UserID, now time.Time) Identity {
	return Identity{ID: odcm.NewID[IdentityID]("identity"), User: user, Provider: a.Provider, Subject: a.Subject, Username: a.Username,
		DisplayName: a.DisplayName, Email: a.Email, EmailVerified: a.Vouched(), Marks: a.Marks, Linked: now}
}

// Public is what of an identity may stand in an event.
func (i Identity) Public() map[string]any {
	return map[string]any{"provider": i.Provider, "subject": i.Subject, "username": i.Username}
}

// Says tells whether the provider said the same of the account before.
func (i Identity) Says(o Identity) bool {
	return i.Username == o.Username && i.DisplayName == o.DisplayName && i.Email == o.Email &&
		i.EmailVerified == o.EmailVerified && i.Gone == o.Gone && maps.Equal(i.Marks, o.Marks)
}

// Observation is what a complete reading of one account of a directory says.
type Observation struct {
	Subject  string
	Gone     bool // there is no such account any more
	Disabled bool // it may not sign in

	Username, DisplayName, Email string
	EmailVerified                bool // the directory vouches for the address, and its settings say that its word is enough
	Marks                        map[string]string
	Groups                       []ExternalGroup
	GroupsKnown                  bool
}

// After is the identity as the observation has it; of an account that is gone only that is known.
func (i Identity) After(o Observation) Identity {
	i.Gone = o.Gone || o.Disabled
	if o.Gone {
		return i
	}
	a := Assertion{Provider: i.Provider, Subject: i.Subject, Username: o.Username, DisplayName: o.DisplayName, Email: o.Email, Marks: o.Marks}
	if a.Tidy() != nil {
		return i
	}
	i.EmailVerified = a.Email != "" && (o.EmailVerified || i.EmailVerified && EmailKey(a.Email) == EmailKey(i.Email))
	i.Username, i.DisplayName, i.Email, i.Marks = a.Username, a.DisplayName, a.Email, a.Marks
	return i
}
