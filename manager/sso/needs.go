package sso

import (
	"context"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"odcm"
)

// Person is what may stand in a token about a user.
type Person struct {
	ID            odcm.UserID
	Username      string
	DisplayName   string
	Email         string
	EmailVerified bool
	Disabled      bool
	Updated       time.Time
}

// Session is one browser in which somebody is signed in to ODCM.
type Session struct {
	ID            string // becomes the claim sid
	User          odcm.UserID
	Authenticated time.Time // becomes auth_time
	Method        string    // "password", "oidc", "ldap", "kerberos"; becomes amr
	Expires       time.Time
}

// People knows who signs in. The roof fills it with the identity room.
type People interface {
	Person(ctx context.Context, id odcm.UserID) (Person, error)
	// Session returns odcm.NotFound where the session has ended.
	Session(ctx context.Context, id string) (Session, error)
}

// Access says who may enter what a relying party stands for. The roof fills it with the access room.
type Access interface {
	// Enter returns the groups of the user that count in the Spaces of the instance (ids of ODCM's groups), or odcm.Denied
	// "access.no-grant" with a message for the person.
	Enter(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) (groups []string, err error)
	// Arrive waits, for a bounded time, until the server has an account of the user. It is asked once at each sign-in, before
	// the browser goes back there; tokens are not kept waiting.
	Arrive(ctx context.Context, user odcm.UserID, instance odcm.InstanceID) error
}

// Entrants lists who may enter the Spaces of an instance now, with the groups that count there. The roof fills it with the
// access room.
type Entrants interface {
	Entrants(ctx context.Context, instance odcm.InstanceID) (map[odcm.UserID][]string, error)
}

// Keys sign and seal. Package ssokey fills it.
type Keys interface {
	// Sign makes a compact JWS of the claims as JSON; typ is its header "typ", none where empty.
	Sign(ctx context.Context, alg Algorithm, typ string, claims any) (string, error)
	// Public returns the key of that id, retired ones too, as long as they are kept.
	Public(ctx context.Context, kid string) (jose.JSONWebKey, error)
	// Seal makes an opaque text of v, in its own binary form where it has one, else as JSON, that only Open of the same use
	// reads.
	Seal(use string, v any) (string, error)
	// Open returns an error where the text was changed, was sealed for another use, or by a key that is gone.
	Open(use, text string, v any) error
	// List gives the signing keys that are published; Rotate makes the next one of the algorithm.
	List(ctx context.Context) ([]SigningKey, error)
	Rotate(ctx context.Context, by odcm.Principal, alg Algorithm) error
}
