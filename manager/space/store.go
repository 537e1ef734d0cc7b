package space

import (
	"context"
	"time"

	"odcm"
	"odcm/kit/task"
)

// Store keeps the room's rows. Implementations are held to spacetest.
type Store interface {
	Inventory
	Marks
	Drafts
	Hooks
}

// Inventory keeps Spaces and instances.
type Inventory interface {
	// Commit does the whole change in one transaction or nothing of it. It fails with Exists "space.name-taken" and
	// "space.already-enlisted", and with Conflict "space.changed" where a revision is no longer current.
	Commit(ctx context.Context, c Change) error
	// Get finds a Space by its id or slug: NotFound "space.not-found".
	Get(ctx context.Context, ref string) (Space, error)
	// Instance finds an instance by its id: NotFound "space.instance-not-found".
	Instance(ctx context.Context, id odcm.InstanceID) (Instance, error)
	// InstanceOf finds the instance with the server's own identity, likewise.
	InstanceOf(ctx context.Context, installationID string) (Instance, error)
	// Taken tells which of the names, in any case, belong to a Space already; the keys are folded.
	Taken(ctx context.Context, names []string) (map[string]bool, error)
	// On lists the Spaces that an instance holds, oldest first.
	On(ctx context.Context, id odcm.InstanceID) ([]Space, error)
	// Serves tells whether an active Space is on a server at the origin ("https://octopus.example:8443").
	Serves(ctx context.Context, origin string) (bool, error)
	// List answers one page of a query, in its order.
	List(ctx context.Context, q Query) ([]Entry, error)
	// Lines returns what the board keeps of the Spaces, of all if ids is nil, without what others know: machine's name, health.
	Lines(ctx context.Context, ids []odcm.SpaceID) ([]Line, error)
}

// Change is what one transaction does, in this order. A row of revision 0 is added, another is changed where its revision
// is still the stored one; either way the stored revision is one higher afterwards. Removing a Space removes its hook and
// marks, and its instance when that holds no other.
type Change struct {
	Instances []Instance
	Spaces    []Space
	Removed   []odcm.SpaceID
	Tasks     []task.Request
	Events    []odcm.Event
}

// Query asks for Spaces. The zero value asks for none: Reach must say which may be seen.
type Query struct {
	Reach   Reach
	User    odcm.UserID    // whose stars and visits count
	Text    string         // part of the name
	States  []State        // any, if empty
	Within  []odcm.SpaceID // only these, if not nil
	Starred bool           // only starred
	Task    odcm.TaskID    // only those that the task works on, or did last
	Order   Order
	After   Position // where the page before ended
	Limit   int
}

// Order is how a list is sorted.
type Order string

// The orders of a list.
const (
	ByStar  Order = ""       // starred first, then by name
	ByName  Order = "name"   // by name
	ByVisit Order = "recent" // only visited ones, the latest first
)

// Position is the place of an entry in a list, from which the next page goes on.
type Position struct {
	Starred bool         `json:"s,omitempty"`
	Visited int64        `json:"v,omitempty"`
	Shown   string       `json:"w,omitempty"` // where trouble comes first
	Name    string       `json:"n,omitempty"` // folded
	ID      odcm.SpaceID `json:"i,omitempty"`
}

// Entry is a Space in a list, with what the list shows beside it.
type Entry struct {
	Space
	URL     string
	Version string
	Origin  Origin
	TLS     TLS
	// InstanceRevision grows when anything of the instance changes: URL, key, trust.
	InstanceRevision int64

	Starred bool      // by the user who asks
	Visited time.Time // by the user who asks; zero if never
	Health  Health    // filled by the service
}

// Position is where the entry stands in a list.
func (e Entry) Position() Position {
	p := Position{Starred: e.Starred, Name: Fold(e.Name), ID: e.ID}
	if !e.Visited.IsZero() {
		p.Visited = e.Visited.UnixMilli()
	}
	return p
}

// Marks keeps what each user has starred and visited.
type Marks interface {
	Star(ctx context.Context, user odcm.UserID, id odcm.SpaceID, on bool) error
	Visit(ctx context.Context, user odcm.UserID, id odcm.SpaceID, at time.Time) error
	Starred(ctx context.Context, user odcm.UserID, id odcm.SpaceID) (bool, error)
}

// Drafts keeps, for the time of the wizard, what somebody typed in to enlist. It holds an API key, which is why it is
// kept here, sealed, and never in a page or an address.
type Drafts interface {
	SaveDraft(ctx context.Context, d Draft) error
	// Draft finds an owner's draft that has not expired at now: NotFound "space.draft-not-found".
	Draft(ctx context.Context, id string, owner odcm.UserID, now time.Time) (Draft, error)
	// DropDraft forgets it, and all that expired before now.
	DropDraft(ctx context.Context, id string, owner odcm.UserID, now time.Time) error
}

// Draft is an enlistment on its way through the wizard.
type Draft struct {
	ID         string
	Owner      odcm.UserID
	Connection Connection
	Expires    time.Time
}

// Hooks keeps what the webhook of each Space should be and was last seen to be.
type Hooks interface {
	// Hook finds the hook of a Space: NotFound "space.hook-not-found".
	Hook(ctx context.Context, id odcm.SpaceID) (Hook, error)
	// SaveHook adds or replaces it.
	SaveHook(ctx context.Context, h Hook) error
}
