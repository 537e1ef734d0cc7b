package sso

import (
	"context"
	"time"

	"odcm"
)

// Grant is one sign-in of a person at a relying party, and every token that came of it.
type Grant struct {
	ID            string
	Party         PartyID
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

// Logout is a logout token that is to be delivered.
type Logout struct {
	ID       string
	Party    PartyID
	User     odcm.UserID
	Session  string
	Attempts int // so far, this one included
	Expires  time.Time
}

// Device is a device that waits for somebody to let it in (RFC 8628).
type Device struct {
	ID            string // SHA-256 of its code
	UserCode      string // SHA-256 of what the person types
	Party         PartyID
	Scopes        string
	Created       time.Time
	Expires       time.Time
	Polled        time.Time
	Interval      time.Duration
	State         string // "pending", "approved", "denied", "used"
	User          odcm.UserID
	Authenticated time.Time
	Method        string
	Session       string
}

// Consent is what a person allowed a relying party to know.
type Consent struct {
	User   odcm.UserID
	Party  PartyID
	Scopes string
	Given  time.Time
}

// Revocation chooses grants to end: all that match every field that is set.
type Revocation struct {
	ID       string
	User     odcm.UserID
	Party    PartyID
	Sessions []string
	// Offline ends those with refresh tokens too, which outlive their session otherwise.
	Offline bool
	At      time.Time
	// Tell queues logout tokens for the relying parties that take them.
	Tell bool
}

// Store keeps relying parties, grants, consents, devices and logout tokens. Errors are [odcm.NotFound], "party.unknown" and
// so on, [odcm.Conflict] "party.changed" where the revision is another.
type Store interface {
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

	// Open writes a grant whose code is not used yet: the browser was given an ID token.
	Open(ctx context.Context, g Grant, e odcm.Event) error
	// Redeem writes a grant whose code is used now, and counts uses. From the second on it ends the grant. The event goes
	// with the first use, where it has a type.
	Redeem(ctx context.Context, g Grant, e odcm.Event) (uses int, err error)
	// Rotate raises the grant's count of refreshes where it is seq; otherwise a used token came again, and it ends the grant.
	// Replayed tells that; NotFound where there is no grant that stands.
	Rotate(ctx context.Context, id string, seq int64, at time.Time) (Rotation, error)
	Grant(ctx context.Context, id string) (Grant, error)
	// Grants lists what of a person's stands, the newest first.
	Grants(ctx context.Context, user odcm.UserID, at time.Time, before string, limit int) ([]Grant, error)
	// Revoke ends grants and returns how many; with the event only where that is one or more.
	Revoke(ctx context.Context, r Revocation, e odcm.Event) (int, error)

	// Mark tells whether the name was never marked before, among those that have not expired.
	Mark(ctx context.Context, name string, expires time.Time) (fresh bool, err error)
	// Record writes an event by itself.
	Record(ctx context.Context, e odcm.Event) error

	Consent(ctx context.Context, user odcm.UserID, party PartyID) (Consent, error)
	Consents(ctx context.Context, user odcm.UserID) ([]Consent, error)
	SaveConsent(ctx context.Context, c Consent, e odcm.Event) error

	CreateDevice(ctx context.Context, d Device) error
	Device(ctx context.Context, id string) (Device, error)
	DeviceByCode(ctx context.Context, userCode string, at time.Time) (Device, error)
	// DecideDevice writes state, user and session where the device is pending still.
	DecideDevice(ctx context.Context, d Device, e odcm.Event) error
	// PollDevice writes when it asked and how long it must wait; TakeDevice marks an approved one used, once.
	PollDevice(ctx context.Context, id string, polled time.Time, interval time.Duration) error
	TakeDevice(ctx context.Context, id string) (taken bool, err error)

	// Logouts takes some that are due and hides them until the time given; next is when another will be due.
	Logouts(ctx context.Context, at, hide time.Time, limit int) (due []Logout, next time.Time, err error)
	// RetryLogout and EndLogout say how a delivery went.
	RetryLogout(ctx context.Context, id string, at time.Time) error
	EndLogout(ctx context.Context, id string, e *odcm.Event) error

	// Prune deletes what has expired.
	Prune(ctx context.Context, at time.Time) error
}

// Rotation is what came of [Store.Rotate].
type Rotation struct {
	Grant    Grant
	Replayed bool // the grant ended by this
}
