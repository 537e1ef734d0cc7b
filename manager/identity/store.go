package identity

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/password"
	"odcm/manager/identity/person"
	"odcm/manager/identity/session"
)

// Store keeps what the package knows. A method that takes an event commits it in the transaction of its change.
type Store interface {
	UserStore
	LinkedStore
	EmailStore
	session.SessionStore
	session.KeyStore
	password.FailureStore
	// Record commits an event that comes without a change.
	Record(ctx context.Context, e odcm.Event) error
	// Prune deletes sessions that ended before expired or were last seen before idle, API keys that ended before keys, and
	// failures older than failures.
	Prune(ctx context.Context, expired, idle, keys, failures time.Time) error
}

// UserStore keeps users and their passwords.
type UserStore interface {
	// CreateUser adds the user under its unique key; an empty hash adds no password. odcm.Exists "identity.username-taken".
	CreateUser(ctx context.Context, u person.User, key, hash string, e odcm.Event, emails ...person.Email) error
	// User returns odcm.NotFound where there is none.
	User(ctx context.Context, id odcm.UserID) (person.User, error)
	// UserByKey also returns the password's hash, "" where the user has none; odcm.NotFound where there is no user.
	UserByKey(ctx context.Context, key string) (u person.User, hash string, err error)
	// UpdateUser writes u if the stored revision is u.Revision, and adds one to it. It ends the user's sessions where u is
	// disabled. odcm.Conflict "identity.user-changed", or "identity.last-administrator" where no enabled one would be left.
	UpdateUser(ctx context.Context, u person.User, e odcm.Event) error
	// DeleteUser takes away all but the row, if the stored revision is u.Revision and the user is disabled (odcm.Conflict).
	DeleteUser(ctx context.Context, u person.User, now time.Time, e odcm.Event) error
	// List returns people by the key of their username, after the one given.
	List(ctx context.Context, f person.Filter, after string, limit int) ([]person.Person, error)
	// People returns those of at most 1,000 ids who are known, deleted ones too.
	People(ctx context.Context, ids []odcm.UserID) ([]person.Person, error)
	// SetPicture replaces the picture (a JPEG) and its tag; nil takes it away.
	SetPicture(ctx context.Context, id odcm.UserID, tag string, jpeg []byte, e odcm.Event) error
	// Picture returns odcm.NotFound where there is none.
	Picture(ctx context.Context, id odcm.UserID) (tag string, jpeg []byte, err error)
	// SetPassword replaces the hash and ends the user's sessions but keep.
	SetPassword(ctx context.Context, id odcm.UserID, hash string, keep session.ID, now time.Time, e odcm.Event) error
	// Rehash replaces a hash by another of the same password, unless it changed meanwhile.
	Rehash(ctx context.Context, id odcm.UserID, old, new string) error
}

// LinkedStore keeps identities.
type LinkedStore interface {
	IdentityBySubject(ctx context.Context, provider odcm.ProviderID, subject string) (person.Identity, person.User, error)
	IdentitiesBySubject(ctx context.Context, provider odcm.ProviderID, subjects []string) ([]person.Identity, error)
	// Subjects returns those linked to the provider, sorted, after the one given.
	Subjects(ctx context.Context, provider odcm.ProviderID, after string, limit int) ([]string, error)
	// CreateLinked adds a user and his first identity: odcm.Exists "identity.username-taken" or "identity.linked-elsewhere".
	CreateLinked(ctx context.Context, u person.User, key string, i person.Identity, events ...odcm.Event) error
	// Link adds an identity, and its address to the user's: odcm.Exists "identity.linked-elsewhere".
	Link(ctx context.Context, i person.Identity, e odcm.Event) error
	// Unlink returns odcm.NotFound where the user has no such identity.
	Unlink(ctx context.Context, user odcm.UserID, id person.IdentityID, e odcm.Event) error
	// Saw writes what the provider says of accounts, and keeps the users' addresses that came from them in step. A zero
	// LastSignIn leaves what is stored.
	Saw(ctx context.Context, all []person.Identity) error
}

// EmailStore keeps addresses. Key is always that of [person.EmailKey]. Where the user has no such address: odcm.NotFound.
type EmailStore interface {
	// AddEmail returns odcm.Exists where the user has the address, odcm.Invalid where he has most already.
	AddEmail(ctx context.Context, user odcm.UserID, a person.Email, most int, e odcm.Event) error
	RemoveEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error
	// UseEmail makes the address the main one: odcm.Conflict where it is not verified.
	UseEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error
	VerifyEmail(ctx context.Context, user odcm.UserID, key string, now time.Time, e odcm.Event) error
	// UsersByEmail returns enabled users who have the address verified.
	UsersByEmail(ctx context.Context, key string) ([]person.User, error)
}
