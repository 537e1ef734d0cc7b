package access

import (
	"context"
	"time"

	"odcm"
)

// Directory gives the groups of this moment. The roof fills it with package group.
type Directory interface {
	Graph(ctx context.Context) (Graph, error)
}

// Graph is who is in which group, nesting flattened; immutable, lists sorted, users who are disabled not in it.
type Graph interface {
	Revision() int64
	Users() []odcm.UserID
	Groups() []odcm.GroupID
	GroupsOf(odcm.UserID) []odcm.GroupID
	MembersOf(odcm.GroupID) []odcm.UserID
	Path(odcm.UserID, odcm.GroupID) []odcm.GroupID
	// Direct lists the groups that name the user as a member, Above those that name the group.
	Direct(odcm.UserID) []odcm.GroupID
	Above(odcm.GroupID) []odcm.GroupID
}

// Person is what a Space is told about a user.
type Person struct {
	ID            odcm.UserID
	Username      string
	DisplayName   string
	Email         string // empty where none is known
	EmailVerified bool
	Disabled      bool
	Marks         map[string]string // further names of the same account, as person.Assertion has them: "upn", "sam", "sid"
	Identities    []Identity
}

// Identity is one way in which a person signs in.
type Identity struct {
	Kind    string // of the provider: "active-directory", "entra-id", ...
	Issuer  string // of an OpenID provider
	Subject string
}

// People knows users and groups by id and by name. The roof fills it with the identity room.
type People interface {
	// People returns those of ids who are known, deleted ones not.
	People(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]Person, error)
	// FindPerson takes an id, a username or a verified e-mail address. odcm.NotFound where there is none.
	FindPerson(ctx context.Context, ref string) (Person, error)
	// GroupNames returns the names of those groups that are known.
	GroupNames(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]string, error)
	// FindGroup takes an id or a name.
	FindGroup(ctx context.Context, ref string) (odcm.GroupID, string, error)
}

// Place is a Space as access must know it. Accounts belong to the instance; teams to the Space.
type Place struct {
	Space    odcm.SpaceID
	Instance odcm.InstanceID
	Octopus  string // its id on the server, "Spaces-1"
	Name     string
	Slug     string
	URL      string
	Active   bool
}

// Places knows the Spaces. The roof fills it with the space room.
type Places interface {
	Place(ctx context.Context, id odcm.SpaceID) (Place, error)
	// FindPlace takes an id, a slug or a name.
	FindPlace(ctx context.Context, ref string) (Place, error)
	// On lists the Spaces of one instance.
	On(ctx context.Context, id odcm.InstanceID) ([]Place, error)
	Places(ctx context.Context) ([]Place, error)
}

// Register finds people and groups whose name contains a text, for pickers. The roof fills it with the identity room.
type Register interface {
	SearchPeople(ctx context.Context, text string, limit int) ([]Person, error)
	SearchGroups(ctx context.Context, text string, limit int) ([]NamedGroup, error)
}

// NamedGroup is a group as people call it.
type NamedGroup struct {
	ID   odcm.GroupID
	Name string
}

// Teams lists the Octopus teams of a Space, asking its server. accessoctopus is one.
type Teams interface {
	Teams(ctx context.Context, space odcm.SpaceID) ([]Team, error)
}

// Acknowledgements tells what has arrived in a Space of what it should have.
type Acknowledgements interface {
	// Arrivals returns how it stands with those of the users of whom something is known.
	Arrivals(ctx context.Context, space odcm.SpaceID, users []odcm.UserID) (map[odcm.UserID]Arrival, error)
	// Standing sums a Space up.
	Standing(ctx context.Context, space odcm.SpaceID) (Standing, error)
}

// Arrival is how it stands with one person in a Space.
type Arrival struct {
	State  ArrivalState
	Reason string    // why it failed or drifted, for people
	Since  time.Time // when it came into this state
}

// ArrivalState says whether a Space has what it should.
type ArrivalState string

// The states of an arrival.
const (
	Applied ArrivalState = "applied" // the Space has acknowledged it
	Pending ArrivalState = "pending" // to be written when the server answers
	Failed  ArrivalState = "failed"  // the server refused it
	Drifted ArrivalState = "drifted" // somebody changed it there, and it is left so
)

// Standing is how it stands with a Space as a whole.
type Standing struct {
	Pending, Failed, Drifted int           // people
	Checked                  time.Time     // when it was last compared; zero: never
	Revoke                   time.Duration // how long the last revocation took until the Space acknowledged it; 0: none yet
}

// Bus hints to all replicas that something changed.
type Bus interface{ Publish(topics ...string) }
