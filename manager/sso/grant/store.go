package grant

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/sso"
)

// Grant is one sign-in of a person at a relying party, and every token that came of it.
type Grant struct {
	ID            string
	Party         sso.PartyID
	User          odcm.UserID
	Session       string // of ODCM in which it began; "" for a device
	Scopes        string // space-delimited
	Authenticated time.Time
	Method        string
	Created       time.Time
	Used          time.Time // of the last refresh
	Expires       time.Time // no token of it is valid from then on
	Offline       bool      // has refresh tokens: it outlives its session
	Revoked       time.Time // zero while it stands
}

// Consent is what a person allowed a relying party to know.
type Consent struct {
	User   odcm.UserID
	Party  sso.PartyID
	Scopes string
	Given  time.Time
}

// Revocation chooses grants to end: all that match every field that is set.
type Revocation struct {
	ID       string
	User     odcm.UserID
	Party    sso.PartyID
	Sessions []string
	// Offline ends those with refresh tokens too, which outlive their session otherwise.
	Offline bool
	At      time.Time
	// Tell queues logout tokens for the relying parties that take them.
	Tell bool
}

// Store keeps relying parties, grants and consents.
type Store interface {
	sso.PartyStore

	// Open writes a grant whose code is not used yet: the browser was given an ID token.
	Open(ctx context.Context, g Grant, e odcm.Event) error
	// Redeem begins to write a grant whose code is used now, and returns how to wait for the count of uses. From the second on
	// it ends the grant. The event goes with the first use, where it has a type. Tokens are signed meanwhile: a sign-in costs a
	// signature and a commit, and neither needs the other's result to begin.
	Redeem(g Grant, e odcm.Event) (uses func(context.Context) (int, error))
	// Rotate begins to raise the grant's count of refreshes where it is seq; otherwise a used token came again, and it ends the
	// grant. Replayed tells that; NotFound where there is no grant that stands.
	Rotate(id string, seq int64, at time.Time) func(context.Context) (Rotation, error)
	Grant(ctx context.Context, id string) (Grant, error)
	// Grants lists what of a person's stands, the newest first.
	Grants(ctx context.Context, user odcm.UserID, at time.Time, before string, limit int) ([]Grant, error)
	// Revoke ends grants and returns how many; with the event only where that is one or more.
	Revoke(ctx context.Context, r Revocation, e odcm.Event) (int, error)

	Consent(ctx context.Context, user odcm.UserID, party sso.PartyID) (Consent, error)
	Consents(ctx context.Context, user odcm.UserID) ([]Consent, error)
	SaveConsent(ctx context.Context, c Consent, e odcm.Event) error

	// Prune deletes what has expired.
	Prune(ctx context.Context, at time.Time) error
}

// Rotation is what came of [Store.Rotate].
type Rotation struct {
	Grant    Grant
	Replayed bool // the grant ended by this
}
