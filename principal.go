package odcm

import "context"

// Principal is who asks: a person, an API key of a person, or ODCM itself.
type Principal struct {
	User    UserID
	Name    string // as audit shows it
	Roles   []Role
	Via     string // "session", "api-key", "system"
	Address string // where the request came from; empty for the system
}

// Role is what a person is to ODCM itself; what they may do inside a Space is Octopus's to say.
type Role string

// The roles inside ODCM.
const (
	Administrator      Role = "administrator"
	Auditor            Role = "auditor"
	SpaceAdministrator Role = "space-administrator"
	Member             Role = "member"
)

// System is ODCM acting by itself: reconciling, probing, finishing a task.
var System = Principal{User: "user-system", Name: "ODCM", Roles: []Role{Administrator}, Via: "system"}

// Has tells whether the principal holds the role.
func (p Principal) Has(role Role) bool {
	for _, r := range p.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Action is a verb on a noun: "space.enlist", "task.cancel", "audit.read".
type Action string

// Authorizer decides. It returns nil to permit, an [Error] of kind [Denied] or [Unauthenticated] otherwise. Resource is
// the identifier of what the action is on, "" where it is on the whole kind.
type Authorizer interface {
	Authorize(ctx context.Context, p Principal, action Action, resource string) error
}
