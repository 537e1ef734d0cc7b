package roster

import (
	"context"
	"time"

	"odcm"
)

// Store keeps what was pushed and what was decided about accounts. Implementations are held to accesstest.
type Store interface {
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
	// Troubles lists the Spaces to which pushing fails, and those where a revocation is open or was done since the time.
	Troubles(ctx context.Context, since, now time.Time) ([]Trouble, error)
	// OfPerson lists the states of one person in the Spaces, by Space.
	OfPerson(ctx context.Context, person odcm.UserID, spaces []odcm.SpaceID) ([]Acknowledgement, error)
	SaveAcknowledgements(ctx context.Context, rows []Acknowledgement) error

	// ForgetSpace removes the push, the teams and the acknowledgements of a Space; ForgetInstance the accounts.
	ForgetSpace(ctx context.Context, id odcm.SpaceID) error
	ForgetInstance(ctx context.Context, id odcm.InstanceID) error
}

// Trouble is how bringing a Space to what is wished for it is going.
type Trouble struct {
	Space   odcm.SpaceID
	Failing time.Time     // since when nothing arrived; zero where it does not fail
	Revoke  time.Duration // how long the slowest revocation took, or has taken so far; 0 where there was none lately
}
