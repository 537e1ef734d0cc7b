package group

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/identity/group/graph"
	"odcm/manager/identity/person"
)

// Store keeps groups and memberships. It reads users, whom package identity keeps, in the same database.
type Store interface {
	// Change runs f in a transaction and commits its events with what it did. Changes take turns, in all replicas, so that
	// what f reads stays as it is until the end: two changes that together would make a cycle meet here. f may run again.
	Change(ctx context.Context, f func(tx Tx) ([]odcm.Event, error)) error

	// Group returns odcm.NotFound "group.not-found" where there is none.
	Group(ctx context.Context, id odcm.GroupID) (Group, error)
	// Groups returns those of ids that there are.
	Groups(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]Group, error)
	// Named returns the groups whose folded name this is, ODCM's own first, at most limit.
	Named(ctx context.Context, key string, limit int) ([]Group, error)
	List(ctx context.Context, q Query) ([]Entry, error)
	// Members lists the direct members of a group: groups first, each by name.
	Members(ctx context.Context, id odcm.GroupID, after Position, limit int) ([]Member, error)
	// Within lists the groups that the group is directly in, by name.
	Within(ctx context.Context, id odcm.GroupID) ([]Group, error)
	// Asserted lists the external groups of the provider that the user is in.
	Asserted(ctx context.Context, user odcm.UserID, provider odcm.ProviderID) ([]Group, error)
	// External returns the provider's groups by their identifiers there.
	External(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]Group, error)
	// Users returns those of ids whom there are.
	Users(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]User, error)
	// UserNamed finds a user by the folded username: odcm.NotFound "group.member-unknown".
	UserNamed(ctx context.Context, key string) (User, error)
	// FindUsers lists users whose name contains the text, by name.
	FindUsers(ctx context.Context, text string, limit int) ([]User, error)
	// Sources lists the providers that external groups are of, with their number.
	Sources(ctx context.Context) (map[odcm.ProviderID]int, error)

	graph.Store
}

// Tx is a change under way.
type Tx interface {
	Group(ctx context.Context, id odcm.GroupID) (Group, error)
	// Put adds a group whose revision is 0 and changes another where its revision is still the stored one (odcm.Conflict
	// "group.changed"); either way the stored one is one higher then. odcm.Exists "group.name-taken".
	Put(ctx context.Context, g Group) error
	Delete(ctx context.Context, id odcm.GroupID) error
	// Nesting returns every pair of a group and a group in it.
	Nesting(ctx context.Context) ([]Nested, error)
	// Nest puts the groups into the parent or takes them out, and returns those for which that changed something.
	Nest(ctx context.Context, parent odcm.GroupID, groups []odcm.GroupID, in bool) ([]odcm.GroupID, error)
	// Join makes the memberships, or ends them, and returns those that it changed.
	Join(ctx context.Context, all []Membership, in bool) ([]Membership, error)
	Groups(ctx context.Context, ids []odcm.GroupID) (map[odcm.GroupID]Group, error)
	Users(ctx context.Context, ids []odcm.UserID) (map[odcm.UserID]User, error)
	// External returns the provider's groups by their identifiers there.
	External(ctx context.Context, provider odcm.ProviderID, ids []string) (map[string]Group, error)
	Asserted(ctx context.Context, user odcm.UserID, provider odcm.ProviderID) ([]Group, error)
	// In lists the users who are directly in the group.
	In(ctx context.Context, id odcm.GroupID) ([]odcm.UserID, error)
	// DirectlyIn lists the groups that the user is directly in.
	DirectlyIn(ctx context.Context, user odcm.UserID) ([]odcm.GroupID, error)
}

// Nested says that one group is directly in another.
type Nested struct{ Parent, Child odcm.GroupID }

// Membership says that a user is directly in a group.
type Membership struct {
	Group odcm.GroupID
	User  odcm.UserID
}

// Query asks for a page of groups, by name.
type Query struct {
	Text     string          // part of the name
	Kind     Kind            // any if empty
	Provider odcm.ProviderID // only external groups of this one, unless empty
	After    Position
	Limit    int
}

// Kind tells ODCM's own groups from those of providers.
type Kind string

// The kinds of groups.
const (
	Own     Kind = "own"
	Foreign Kind = "external"
)

// Position is where a page of a list ended.
type Position struct {
	Kind string `json:"k,omitempty"` // of a member
	Name string `json:"n,omitempty"` // folded
	ID   string `json:"i,omitempty"`
}

// Entry is a group in a list.
type Entry struct {
	Group
	Users  int // directly in it
	Groups int // directly in it
	Within int // groups that it is directly in
}

// Position is where the entry stands in a list.
func (e Entry) Position() Position { return Position{Name: Fold(e.Name), ID: string(e.ID)} }

// Member is a user or a group in a group.
type Member struct {
	User  *User // exactly one of the two
	Group *Group
}

// Position is where the member stands in a list.
func (m Member) Position() Position {
	if m.Group != nil {
		return Position{Kind: "group", Name: Fold(m.Group.Name), ID: string(m.Group.ID)}
	}
	_, key, _ := person.ParseUsername(m.User.Username) // as identity sorts them; it was checked when the user was made
	return Position{Kind: "user", Name: key, ID: string(m.User.ID)}
}

// User is a person as lists of members show him.
type User struct {
	ID          odcm.UserID
	Username    string
	DisplayName string
	Disabled    bool
}

// Pickers finds groups in directories. The roof fills it with the providers.
type Pickers interface {
	Sources(ctx context.Context) ([]Source, error)
	// FindGroups returns groups whose name contains the text, at most limit.
	FindGroups(ctx context.Context, provider odcm.ProviderID, text string, limit int) ([]person.ExternalGroup, error)
}

// Source is a provider that has groups.
type Source struct {
	ID     odcm.ProviderID
	Name   string
	Picks  bool      // its groups can be searched
	Synced time.Time // last complete reading; zero: none yet, or it is never read
	Error  string    // why the last reading failed; empty where it did not
}

// Uses tells for what a group is used outside this package. The roof fills it with grants.
type Uses interface {
	// UsesOf returns sentences for people: "It may enter the Space Shipping."
	UsesOf(ctx context.Context, id odcm.GroupID) ([]string, error)
}
