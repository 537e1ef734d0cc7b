package identity

import (
	"context"
	"time"

	"odcm"
)

// Store keeps what the package knows. A method that takes an event commits it in the transaction of its change.
type Store interface {
	UserStore
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
	// CreateUser adds the user under its unique key; an empty hash adds no password. odcm.Exists where the key is taken.
	CreateUser(ctx context.Context, u User, key, hash string, e odcm.Event) error
	// User returns odcm.NotFound where there is none.
	User(ctx context.Context, id odcm.UserID) (User, error)
	// UserByKey also returns the password's hash, "" where the user has none; odcm.NotFound where there is no user.
	UserByKey(ctx context.Context, key string) (u User, hash string, err error)
	// UpdateUser writes u if the stored revision is u.Revision, and adds one to it. It ends the user's sessions where u is
	// disabled. odcm.Conflict "identity.user-changed", or "identity.last-administrator" where no enabled one would be left.
	UpdateUser(ctx context.Context, u User, e odcm.Event) error
	// SetPassword replaces the hash and ends the user's sessions but keep.
	SetPassword(ctx context.Context, id odcm.UserID, hash string, keep SessionID, now time.Time, e odcm.Event) error
	// Rehash replaces a hash by another of the same password, unless it changed meanwhile.
	Rehash(ctx context.Context, id odcm.UserID, old, new string) error
}

// SessionStore keeps sessions. Token is always the hash of the secret.
type SessionStore interface {
	CreateSession(ctx context.Context, s Session, token string, e odcm.Event) error
	// SessionByToken returns odcm.NotFound where there is none; it does not look at the time.
	SessionByToken(ctx context.Context, token string) (Session, User, error)
	// Sessions returns the user's sessions that end after now and were last seen after idle, newest first, older than before
	// unless that is "".
	Sessions(ctx context.Context, user odcm.UserID, now, idle time.Time, before SessionID, limit int) ([]Session, error)
	// TouchSession writes when and from where it was seen, if that is later than what is stored.
	TouchSession(ctx context.Context, id SessionID, seen time.Time, address string) error
	// DeleteSession returns odcm.NotFound where the user has no such session.
	DeleteSession(ctx context.Context, user odcm.UserID, id SessionID, e odcm.Event) error
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
	// SetFailures replaces old by new, and tells whether it did: false where another request was first. A new count of
	// zero forgets the key.
	SetFailures(ctx context.Context, key string, old, new Failures) (bool, error)
}
