package fleet

import (
	"context"
	"time"

	"odcm"
)

// Store keeps servers and instances. Each change commits with its events.
type Store interface {
	// Servers lists by id, which is by the time of enrolment, those after the given one.
	Servers(ctx context.Context, after odcm.ServerID, limit int) ([]Server, error)
	Server(ctx context.Context, id odcm.ServerID) (Server, error)
	// Instances lists those of a server by id.
	Instances(ctx context.Context, server odcm.ServerID) ([]Instance, error)
	Instance(ctx context.Context, id odcm.InstanceID) (Instance, error)
	// Placed tells of every instance on which server it is.
	Placed(ctx context.Context) (map[odcm.InstanceID]odcm.ServerID, error)
	// Launch adds the instance, raises its server's desired revision and appends the event; where the id is taken it
	// changes nothing, returns what is there, and false.
	Launch(ctx context.Context, i Instance, e odcm.Event) (Instance, bool, error)
	// Desire changes what the instance should be by f, raises its server's desired revision and appends the event that f
	// returns; where f returns false nothing changes.
	Desire(ctx context.Context, id odcm.InstanceID, f func(*Instance) (odcm.Event, bool)) (Instance, error)
	// Report commits what apply makes of the server and its instances. Reports of one server take turns. Apply may be
	// called again, so it must do nothing else.
	Report(ctx context.Context, server odcm.ServerID, apply func(Server, []Instance) Changes) (Changes, error)
}

// Enrolments keeps what enrolment needs: the authority and the tokens.
type Enrolments interface {
	// Authority keeps the given one where there is none yet, and returns the one that is kept.
	Authority(ctx context.Context, a Authority) (Authority, error)
	// KeptAuthority returns the kept one, or NotFound.
	KeptAuthority(ctx context.Context) (Authority, error)
	CreateToken(ctx context.Context, t Token, e odcm.Event) error
	// Enrol reads the token with the hash and lets f decide. It then marks the token as used and adds the server, in one
	// transaction in which nobody else uses the token; where f returns no server id anew, it changes nothing.
	Enrol(ctx context.Context, hash string, f func(Token) (Enrolment, error)) (Server, error)
}

// Enrolment is the decision about a machine with a valid token.
type Enrolment struct {
	Server Server
	Again  bool // the same machine asked again: nothing is to be written
	Event  odcm.Event
}

// Token is an enrolment token as it is kept: its hash only.
type Token struct {
	Hash    string
	Note    string // what it was made for
	Expires time.Time
	Created time.Time
	Used    time.Time     // zero until it is
	Key     string        // the key of the machine that used it
	Server  odcm.ServerID // the server it became
}

// Authority is the fleet's certificate authority as it is kept.
type Authority struct {
	Certificate []byte // X.509 in DER
	SealedKey   string // PKCS #8 in DER, sealed
	Created     time.Time
}
