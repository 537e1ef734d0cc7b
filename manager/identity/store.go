package identity

import (
	"context"
	"time"

	"odcm"
)

// Store keeps what the package knows. A method that takes an event commits it in the transaction of its change.
type Store interface {
	UserStore
	LinkedStore
	EmailStore
	SessionStore
	KeyStore
	FailureStore
	// Record commits an event that comes without a change.
	Record(ctx context.Context, e odcm.Event) error
	// Prune deletes sessions that ended before expired or were last seen before idle, API keys that ended before keys, and
	// failures older than failures.
	Prune(ctx context.Context, expired, idle, keys, failures time.Time) error
}

// UserStore keeps users and their passwords.
type UserStore interface {
	// CreateUser adds the user under its unique key; an empty hash adds no password. odcm.Exists "identity.username-taken".
	CreateUser(ctx context.Context, u User, key, hash string, e odcm.Event, emails ...Email) error
	// User returns odcm.NotFound where there is none.
	User(ctx context.Context, id odcm.UserID) (User, error)
	// UserByKey also returns the password's hash, "" where the user has none; odcm.NotFound where there is no user.
	UserByKey(ctx context.Context, key string) (u User, hash string, err error)
	// UpdateUser writes u if the stored revision is u.Revision, and adds one to it. It ends the user's sessions where u is
	// disabled. odcm.Conflict "identity.user-changed", or "identity.last-administrator" where no enabled one would be left.
	UpdateUser(ctx context.Context, u User, e odcm.Event) error
	// DeleteUser takes away all but the row, if the stored revision is u.Revision and the user is disabled (odcm.Conflict).
	DeleteUser(ctx context.Context, u User, now time.Time, e odcm.Event) error
	// List returns people by the key of their username, after the one given.
	List(ctx context.Context, f Filter, after string, limit int) ([]Person, error)
	// People returns those of at most 1,000 ids who are known, deleted ones too.
	People(ctx context.Context, ids []odcm.UserID) ([]Person, error)
	// SetPicture replaces the picture (a JPEG) and its tag; nil takes it away.
	SetPicture(ctx context.Context, id odcm.UserID, tag string, jpeg []byte, e odcm.Event) error
	// Picture returns odcm.NotFound where there is none.
	Picture(ctx context.Context, id odcm.UserID) (tag string, jpeg []byte, err error)
	// SetPassword replaces the hash and ends the user's sessions but keep.
	SetPassword(ctx context.Context, id odcm.UserID, hash string, keep SessionID, now time.Time, e odcm.Event) error
	// Rehash replaces a hash by another of the same password, unless it changed meanwhile.
	Rehash(ctx context.Context, id odcm.UserID, old, new string) error
}

// LinkedStore keeps identities.
type LinkedStore interface {
	IdentityBySubject(ctx context.Context, provider odcm.ProviderID, subject string) (Identity, User, error)
	IdentitiesBySubject(ctx context.Context, provider odcm.ProviderID, subjects []string) ([]Identity, error)
	// Subjects returns those linked to the provider, sorted, after the one given.
	Subjects(ctx context.Context, provider odcm.ProviderID, after string, limit int) ([]string, error)
	// CreateLinked adds a user and his first identity: odcm.Exists "identity.username-taken" or "identity.linked-elsewhere".
	CreateLinked(ctx context.Context, u User, key string, i Identity, events ...odcm.Event) error
	// Link adds an identity, and its address to the user's: odcm.Exists "identity.linked-elsewhere".
	Link(ctx context.Context, i Identity, e odcm.Event) error
	// Unlink returns odcm.NotFound where the user has no such identity.
	Unlink(ctx context.Context, user odcm.UserID, id IdentityID, e odcm.Event) error
	// Saw writes what the provider says of accounts, and keeps the users' addresses that came from them in step. A zero
	// LastSignIn leaves what is stored.
	Saw(ctx context.Context, all []Identity) error
}

// EmailStore keeps addresses. Key is always that of [EmailKey]. Where the user has no such address: odcm.NotFound.
type EmailStore interface {
	// AddEmail returns odcm.Exists where the user has the address, odcm.Invalid where he has most already.
	AddEmail(ctx context.Context, user odcm.UserID, a Email, most int, e odcm.Event) error
	RemoveEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error
	// UseEmail makes the address the main one: odcm.Conflict where it is not verified.
	UseEmail(ctx context.Context, user odcm.UserID, key string, e odcm.Event) error
	VerifyEmail(ctx context.Context, user odcm.UserID, key string, now time.Time, e odcm.Event) error
	// UsersByEmail returns enabled users who have the address verified.
	UsersByEmail(ctx context.Context, key string) ([]User, error)
}

// SessionStore keeps sessions. Token is always the hash of the secret.
type SessionStore interface {
	CreateSession(ctx context.Context, s Session, token string, e odcm.Event) error
	// SessionByToken returns odcm.NotFound where there is none; it does not look at the time.
	SessionByToken(ctx context.Context, token string) (Session, User, error)
	// Session returns odcm.NotFound where there is none; it does not look at the time.
	Session(ctx context.Context, id SessionID) (Session, User, error)
	// Sessions returns the user's sessions that end after now and were last seen after idle, newest first, older than before
	// unless that is "".
	Sessions(ctx context.Context, user odcm.UserID, now, idle time.Time, before SessionID, limit int) ([]Session, error)
	// TouchSession writes when and from where it was seen, if that is later than what is stored.
	TouchSession(ctx context.Context, id SessionID, seen time.Time, address string) error
	// DeleteSession returns odcm.NotFound where the user has no such session.
	DeleteSession(ctx context.Context, user odcm.UserID, id SessionID, e odcm.Event) error
	// DeleteSessions ends all of the user's but keep.
	DeleteSessions(ctx context.Context, user odcm.UserID, keep SessionID, e odcm.Event) error
}

// KeyStore keeps API keys. Token is always the hash of the secret.
type KeyStore interface {
	// CreateKey returns odcm.Exists where the identifier or the secret is taken.
	CreateKey(ctx context.Context, k APIKey, token string, e odcm.Event) error
	// KeyByToken returns odcm.NotFound where there is none; it does not look at the time.
	KeyByToken(ctx context.Context, token string) (APIKey, User, error)
	// Keys returns the user's keys, newest first, older than before unless that is "".
	Keys(ctx context.Context, user odcm.UserID, before KeyID, limit int) ([]APIKey, error)
	// TouchKey writes when it was used, if that is later than what is stored.
	TouchKey(ctx context.Context, id KeyID, used time.Time) error
	// DeleteKey returns odcm.NotFound where the user ("": any) has no such key.
	DeleteKey(ctx context.Context, user odcm.UserID, id KeyID, e odcm.Event) error
}

// FailureStore counts wrong passwords.
type FailureStore interface {
	// Failures returns the zero value where nothing is known of the key.
	Failures(ctx context.Context, key string) (Failures, error)
	// SetFailures replaces old by new, all of them in one commit, and tells whether it did: where another request was first
	// with one, it replaces none. A new count of zero forgets the key.
	SetFailures(ctx context.Context, counts ...FailureCount) (bool, error)
}

// FailureCount replaces what is known of the key.
type FailureCount struct {
	Key      string
	Old, New Failures
}
