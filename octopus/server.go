package octopus

import (
	"math"
	"time"
)

// Nodes is the cluster at a glance (GET /api/octopusservernodes/summary).
type Nodes struct{ Object }

// Nodes returns the processes that serve one database.
func (n Nodes) Nodes() []Node {
	objects := n.Objects("Nodes")
	nodes := make([]Node, len(objects))
	for i, o := range objects {
		nodes[i] = Node{o}
	}
	return nodes
}

// Node is one Octopus process of a cluster.
type Node struct{ Object }

// IsOffline tells whether the node has not written its heartbeat for a while.
func (n Node) IsOffline() bool { return n.Bool("IsOffline") }

// IsDraining tells whether the node finishes its tasks and takes no new ones. Octopus calls it IsInMaintenanceMode,
// which is not the server's maintenance mode.
func (n Node) IsDraining() bool { return n.Bool("IsInMaintenanceMode") }

// IsLeader tells whether the node runs the cluster's schedules.
func (n Node) IsLeader() bool { return n.Bool("IsLeader") }

// LastSeen is the node's last heartbeat.
func (n Node) LastSeen() time.Time { return n.Time("LastSeen") }

// TaskCap is how many tasks the node runs at once.
func (n Node) TaskCap() int { return int(n.Int("MaxConcurrentTasks")) }

// RunningTasks is how many tasks the node runs now.
func (n Node) RunningTasks() int { return int(n.Int("RunningTaskCount")) }

// Maintenance is the server's maintenance mode (GET and PUT /api/maintenanceconfiguration): while it is on, only those
// with AdministerSystem may change anything, and queued tasks go on.
type Maintenance struct{ Object }

// On tells whether maintenance mode is on.
func (m Maintenance) On() bool { return m.Bool("IsInMaintenanceMode") }

// LicenceStatus is what is used against what is bought (GET /api/licenses/licenses-current-status).
type LicenceStatus struct{ Object }

// Limit is one thing that a licence counts.
type Limit struct {
	Name           string `json:"Name"`
	EffectiveLimit int64  `json:"EffectiveLimit"` // meaningless where IsUnlimited
	CurrentUsage   int64  `json:"CurrentUsage"`
	IsUnlimited    bool   `json:"IsUnlimited"`
	Disposition    string `json:"Disposition"` // "Information", "Notice", "Warning", "Error"; what the server makes of it
}

// Kind is "Unlicensed", "Trial", "CommunityEdition" or "CommercialLicense"; "" on servers older than 2023.
func (l LicenceStatus) Kind() string { return l.Text("LicenseKind") }

// IsCompliant tells whether use is within the licence.
func (l LicenceStatus) IsCompliant() bool { return l.Bool("IsCompliant") }

// ExpiresInDays counts down; negative when past. ok is false where the licence does not expire, which servers say by
// leaving the number out or by the largest that it can be (.NET's int.MaxValue).
func (l LicenceStatus) ExpiresInDays() (days int, ok bool) {
	days = int(l.Int("DaysToEffectiveExpiryDate"))
	return days, l.Has("DaysToEffectiveExpiryDate") && days < math.MaxInt32
}

// Limits returns what is counted.
func (l LicenceStatus) Limits() []Limit { return As[[]Limit](l.Object, "Limits") }

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	Queued     TaskState = "Queued"
	Executing  TaskState = "Executing"
	Cancelling TaskState = "Cancelling"
	Canceled   TaskState = "Canceled"
	Failed     TaskState = "Failed"
	Success    TaskState = "Success"
	TimedOut   TaskState = "TimedOut"
)

// Done tells whether the state is final.
func (s TaskState) Done() bool {
	return s == Canceled || s == Failed || s == Success || s == TimedOut
}

// Task is a server task: a deployment, a health check, a retention run (GET /api/tasks/{id}).
type Task struct{ Object }

// State is where the task stands.
func (t Task) State() TaskState { return TaskState(t.Text("State")) }

// ErrorMessage says why it failed.
func (t Task) ErrorMessage() string { return t.Text("ErrorMessage") }

// NeedsAttention tells whether the task waits for a person, or ended with warnings or errors.
func (t Task) NeedsAttention() bool {
	return t.Bool("HasPendingInterruptions") || t.Bool("HasWarningsOrErrors")
}
