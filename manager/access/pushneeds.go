package access

import (
	"context"
	"iter"
	"time"

	"odcm"
	"odcm/octopus"
)

// Desires says what Spaces are to have. [Service] is one.
type Desires interface {
	// Entrants are those who may enter the Space now: sorted, without anybody who is disabled.
	Entrants(ctx context.Context, id odcm.SpaceID) ([]odcm.UserID, error)
	// Teams are the teams of the Space that groups are mapped to.
	Teams(ctx context.Context, id odcm.SpaceID) ([]DesiredTeam, error)
}

// DesiredTeam is a team of an octopus.Space that groups are mapped to.
type DesiredTeam struct {
	Team    string         // its id on the server, "Teams-21"
	Groups  []odcm.GroupID // sorted
	Members []odcm.UserID  // of these groups, nesting flattened, who may enter the Space; sorted
}

// Server is one Octopus server, asked as the user whose API key ODCM holds there. Objects are the server's own and keep
// what ODCM does not know. Missing resources are odcm.NotFound.
type Server interface {
	// Me is the user whose key it is.
	Me(ctx context.Context) (octopus.Object, error)
	// Users lists users of the server: those with the ids, or all where ids is nil.
	Users(ctx context.Context, ids []string) ([]octopus.Object, error)
	CreateUser(ctx context.Context, user octopus.Object) (octopus.Object, error)
	UpdateUser(ctx context.Context, user octopus.Object) (octopus.Object, error)
	DeleteUser(ctx context.Context, id string) error
	RevokeSessions(ctx context.Context, user string) error
	APIKeys(ctx context.Context, user string) ([]octopus.Object, error)
	DeleteAPIKey(ctx context.Context, user, key string) error
	// Teams lists teams of the octopus.Space, not those of the whole server: those with the ids, or all where ids is nil.
	Teams(ctx context.Context, space string, ids []string) ([]octopus.Object, error)
	UpdateTeam(ctx context.Context, team octopus.Object) (octopus.Object, error)
	// Latest is the id of the newest event about users and teams, "" where the server does not tell: while it stays the
	// same nobody has changed any.
	Latest(ctx context.Context) (string, error)
}

// Servers reaches the server of an instance. Package accessoctopus has one.
type Servers interface {
	Server(ctx context.Context, id odcm.InstanceID) (Server, error)
}

// Everybody knows all people. The roof fills it with the identity room.
type Everybody interface {
	// Everybody yields all who are known, disabled ones too, in any order.
	Everybody(ctx context.Context) iter.Seq2[Person, error]
}

// Newcomers makes people of accounts that nobody is known for. The roof fills it with the identity room.
type Newcomers interface {
	// Invite sends an invitation; when it is accepted, the account is matched by the verified address.
	Invite(ctx context.Context, p odcm.Principal, email, displayName string) error
	// CreatePerson makes a person without a password and returns who it is.
	CreatePerson(ctx context.Context, p odcm.Principal, username, displayName, email string) (odcm.UserID, error)
}

// Slot is the place of an Octopus server's sign-in settings through which people of ODCM come.
type Slot struct {
	Provider string // the name that identities there have: "Okta"
}

// Slots knows through which slot people sign in on an instance. The roof fills it with the sso room.
type Slots interface {
	// Slot returns false where the server is not pointed at ODCM.
	Slot(ctx context.Context, id odcm.InstanceID) (Slot, bool, error)
}

// Observer is told what is measured; package accessoctopus has one for Prometheus.
type Observer interface {
	// Revoked is how long it took from the wish to its being done, once for each person and Space.
	Revoked(lag time.Duration)
	// Drifted is how many differences somebody else had made that were found just now.
	Drifted(n int)
}

// PushStore keeps what was pushed and what was decided about accounts. Implementations are held to accesstest.
type PushStore interface {
	// PushOf returns the state of a Space, zero but for the ids where nothing was pushed yet.
	PushOf(ctx context.Context, id odcm.SpaceID) (PushState, error)
	// SavePush adds or replaces it, with the events of the change.
	SavePush(ctx context.Context, s PushState, events ...odcm.Event) error

	// Accounts lists all accounts of an instance that a row is kept for, by account.
	Accounts(ctx context.Context, id odcm.InstanceID) ([]Account, error)
	// SaveAccounts adds or replaces rows, with the events of the change, in one transaction.
	SaveAccounts(ctx context.Context, rows []Account, events ...odcm.Event) error
	// DropAccounts removes rows by the ids of their accounts.
	DropAccounts(ctx context.Context, id odcm.InstanceID, accounts []string) error

	// TeamStates lists what was written to teams of the Space.
	TeamStates(ctx context.Context, id odcm.SpaceID) ([]TeamState, error)
	SaveTeamState(ctx context.Context, t TeamState) error

	// Acknowledgements lists the states of the people of a Space, or only of those given, by person.
	Acknowledgements(ctx context.Context, id odcm.SpaceID, people []odcm.UserID) ([]Acknowledgement, error)
	// Unarrived lists those of a Space that are not applied.
	Unarrived(ctx context.Context, id odcm.SpaceID) ([]Acknowledgement, error)
	SaveAcknowledgements(ctx context.Context, rows []Acknowledgement) error

	// ForgetSpace removes the push, the teams and the acknowledgements of a Space; ForgetInstance the accounts.
	ForgetSpace(ctx context.Context, id odcm.SpaceID) error
	ForgetInstance(ctx context.Context, id odcm.InstanceID) error
}
