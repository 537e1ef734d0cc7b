package session

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/person"
)

// Store keeps sessions and API keys. A method that takes an event commits it in the transaction of its change.
type Store interface {
	// User returns odcm.NotFound where there is none.
	User(ctx context.Context, id odcm.UserID) (person.User, error)
	SessionStore
	KeyStore
}

// SessionStore keeps sessions. Token is always the hash of the secret.
type SessionStore interface {
	CreateSession(ctx context.Context, s Session, token string, e odcm.Event) error
	// SessionByToken returns odcm.NotFound where there is none; it does not look at the time.
	SessionByToken(ctx context.Context, token string) (Session, person.User, error)
	// Session returns odcm.NotFound where there is none; it does not look at the time.
	Session(ctx context.Context, id ID) (Session, person.User, error)
	// Sessions returns the user's sessions that end after now and were last seen after idle, newest first, older than before
	// unless that is "".
	Sessions(ctx context.Context, user odcm.UserID, now, idle time.Time, before ID, limit int) ([]Session, error)
	// TouchSession writes when and from where it was seen, if that is later than what is stored.
	TouchSession(ctx context.Context, id ID, seen time.Time, address string) error
	// DeleteSession returns odcm.NotFound where the user has no such session.
	DeleteSession(ctx context.Context, user odcm.UserID, id ID, e odcm.Event) error
	// DeleteSessions ends all of the user's but keep.
	DeleteSessions(ctx context.Context, user odcm.UserID, keep ID, e odcm.Event) error
}

// KeyStore keeps API keys. Token is always the hash of the secret.
type KeyStore interface {
	// CreateKey returns odcm.Exists where the identifier or the secret is taken.
	CreateKey(ctx context.Context, k APIKey, token string, e odcm.Event) error
	// KeyByToken returns odcm.NotFound where there is none; it does not look at the time.
	KeyByToken(ctx context.Context, token string) (APIKey, person.User, error)
	// Keys returns the user's keys, newest first, older than before unless that is "".
	Keys(ctx context.Context, user odcm.UserID, before KeyID, limit int) ([]APIKey, error)
	// TouchKey writes when it was used, if that is later than what is stored.
	TouchKey(ctx context.Context, id KeyID, used time.Time) error
	// DeleteKey returns odcm.NotFound where the user ("": any) has no such key.
	DeleteKey(ctx context.Context, user odcm.UserID, id KeyID, e odcm.Event) error
}
