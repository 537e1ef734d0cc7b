package roster

import (
	"context"
	"iter"

	"odcm"
	"odcm/manager/access"
	"odcm/octopus"
)

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
	Everybody(ctx context.Context) iter.Seq2[access.Person, error]
}

// Newcomers makes people of accounts that nobody is known for. The roof fills it with the identity room.
type Newcomers interface {
	// Invite sends an invitation; when it is accepted, the account is matched by the verified address.
	Invite(ctx context.Context, p odcm.Principal, email, displayName string) error
	// CreatePerson makes a person without a password and returns who it is.
	CreatePerson(ctx context.Context, p odcm.Principal, username, displayName, email string) (odcm.UserID, error)
}

// Gate decides who may do what in a Space. [access.Service] is one.
type Gate interface {
	// Find finds a Space in which the principal may do the action.
	Find(ctx context.Context, p odcm.Principal, action odcm.Action, ref string) (access.Place, error)
	// Authorize decides about a Space, or about all where it is "".
	Authorize(ctx context.Context, p odcm.Principal, action odcm.Action, space odcm.SpaceID) error
}
