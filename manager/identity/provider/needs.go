package provider

import (
	"context"
	"time"

	"odcm"
	"odcm/kit/lease"
	"odcm/manager/identity"
	"odcm/manager/identity/person"
)

// Record is a provider as it is stored: its secrets sealed.
type Record struct {
	Provider
	Sealed map[string]string // by the secret's name
}

// Store keeps providers. Every change is committed with its event.
type Store interface {
	// Providers lists all by order, then name: they are few.
	Providers(ctx context.Context) ([]Record, error)
	Provider(ctx context.Context, id odcm.ProviderID) (Record, error)
	// Create is Exists "provider.name-taken" where another has the name.
	Create(ctx context.Context, r Record, e odcm.Event) error
	// Update changes what an administrator sets; Sync and Test stay. Conflict "provider.changed" where the revision is
	// another, which then grows.
	Update(ctx context.Context, r Record, e odcm.Event) error
	// Leaving tells what goes with the provider: nothing where there is none.
	Leaving(ctx context.Context, id odcm.ProviderID) (Leaving, error)
	// Delete takes the provider away and all that goes with it, in one transaction with the events that decide returns. It
	// is asked within the transaction, and its error takes nothing away.
	Delete(ctx context.Context, id odcm.ProviderID, decide func(Leaving) ([]odcm.Event, error)) error
	// Ask notes that a reading is wanted, and whether it counts in any case.
	Ask(ctx context.Context, id odcm.ProviderID, at time.Time, accept bool, e odcm.Event) error
	// SetSync writes all of Sync but what Ask wrote; a reading that counted answers Accepted. Without events nothing is told.
	SetSync(ctx context.Context, id odcm.ProviderID, s Sync, events ...odcm.Event) error
	SetTest(ctx context.Context, id odcm.ProviderID, t Test) error
}

// Sealer keeps secrets (kit/seal). What was sealed for one place cannot be opened for another.
type Sealer interface {
	Seal(plain []byte, place string) (string, error)
	Open(sealed, place string) ([]byte, error)
}

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// People are those who are linked to providers.
type People interface {
	// Linked lists the subjects that are linked to the provider, sorted, those after the given one, at most limit.
	Linked(ctx context.Context, provider odcm.ProviderID, after string, limit int) ([]string, error)
	// Observe takes what a directory said of linked people: who is gone or disabled loses everything at once, groups become
	// what they are there, where they are known.
	Observe(ctx context.Context, provider odcm.ProviderID, seen []person.Observation) (identity.Observed, error)
}

// Leases let one replica at a time read directories (kit/lease).
type Leases interface {
	Hold(ctx context.Context, name, owner string, ttl time.Duration, f func(ctx context.Context, l lease.Lease) error) error
}
