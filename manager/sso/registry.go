package sso

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"odcm"
)

// PartyStore keeps relying parties. Errors are [odcm.NotFound] "party.unknown", [odcm.Conflict] "party.changed" where the revision
// is another.
type PartyStore interface {
	CreateParty(ctx context.Context, p Party, s Secrets, e odcm.Event) error
	// UpdateParty writes all but the secrets where the revision is p's.
	UpdateParty(ctx context.Context, p Party, e odcm.Event) error
	// SetSecret makes the present secret the old one, valid until then, and writes the new one.
	SetSecret(ctx context.Context, id PartyID, hash string, made, oldUntil time.Time, e odcm.Event) error
	// DeleteParty takes grants, consents and devices along.
	DeleteParty(ctx context.Context, id PartyID, e odcm.Event) error
	Party(ctx context.Context, id PartyID) (Party, Secrets, error)
	PartyOf(ctx context.Context, instance odcm.InstanceID) (Party, error)
	// Parties lists by id.
	Parties(ctx context.Context, after PartyID, limit int) ([]Party, error)

	// Mark tells whether the name was never marked before, among those that have not expired.
	Mark(ctx context.Context, name string, expires time.Time) (fresh bool, err error)
	// Record writes an event by itself.
	Record(ctx context.Context, e odcm.Event) error
}

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }

// RegistryOptions are what a [Registry] needs, all of them.
type RegistryOptions struct {
	Store      PartyStore
	Authorizer odcm.Authorizer
	Bus        Bus
	Issuer     func() string // ODCM's public URL, without a path
	Logger     *slog.Logger
	Now        func() time.Time
}

// Registry knows all relying parties.
type Registry struct {
	o        RegistryOptions
	known    *Memo[PartyID, registered]
	refusals *rate.Limiter // bounds events about requests that were refused: anybody may cause them
}

// registered is a relying party with what proves that it is.
type registered struct {
	Party
	Secrets
}

// NewRegistry makes the registry.
func NewRegistry(o RegistryOptions) *Registry {
	return &Registry{o: o, known: NewMemo[PartyID, registered](), refusals: rate.NewLimiter(1, 30)}
}

// now is the time as it is stored: UTC, in milliseconds.
func (r *Registry) now() time.Time { return r.o.Now().UTC().Truncate(time.Millisecond) }

// Issuer is what stands as iss in every token.
func (r *Registry) Issuer() string { return r.o.Issuer() }

func (r *Registry) lookup(ctx context.Context, id PartyID) (registered, error) {
	return r.known.Get(id, r.now(), func() (registered, error) {
		p, secrets, err := r.o.Store.Party(ctx, id)
		return registered{p, secrets}, err
	})
}

// Lookup returns a relying party for a request of the protocol, as it was some seconds ago at most.
func (r *Registry) Lookup(ctx context.Context, id PartyID) (Party, error) {
	k, err := r.lookup(ctx, id)
	return k.Party, err
}

// ForgetParty makes the next look-up of the relying party ask the database, ForgetParties that of every one.
func (r *Registry) ForgetParty(id PartyID) { r.known.Forget(id) }

// ForgetParties is what [Registry.ForgetParty] says.
func (r *Registry) ForgetParties() { r.known.ForgetAll() }

// Refused writes that a request was refused for a reason that an administrator should know of.
func (r *Registry) Refused(ctx context.Context, id PartyID, user odcm.UserID, reason string) {
	r.o.Logger.InfoContext(ctx, "sign-on refused", "party", id, "user", user, "reason", reason)
	if !r.refusals.AllowN(r.now(), 1) {
		return
	}
	who := odcm.Principal{User: user, Via: "sso"}
	if err := r.o.Store.Record(ctx, odcm.NewEvent(who, "party.refused", string(id), "", nil, map[string]string{"reason": reason})); err != nil {
		r.o.Logger.WarnContext(ctx, "a refusal was not written", "error", err)
	}
}
