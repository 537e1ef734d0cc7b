package collect

import (
	"context"
	"time"

	"odcm"
	"odcm/manager/report"
)

// Space is a Space to collect from.
type Space struct {
	ID   odcm.SpaceID
	Name string
}

// Spaces lists what there is to collect from.
type Spaces interface {
	Spaces(ctx context.Context) ([]Space, error)
}

// Event is an event of a Space about a deployment, a runbook run or its task.
type Event struct {
	Number      int64 // its place in the log of events
	Category    string
	Occurred    time.Time
	By          string
	Kind        report.Kind // "" where it names no run
	Run         string      // identifier of the deployment or run
	Task        string
	Project     string
	Environment string
	Tenant      string
	Release     string
	Runbook     string
	Channel     string
}

// EventQuery asks for events, the newest first. To is 0 for no bound.
type EventQuery struct {
	From, To   int64
	Skip, Take int
}

// EventPage is an answer; Total is how many fit in all.
type EventPage struct {
	Events []Event
	Total  int
}

// Task is how far a run is.
type Task struct {
	Run            string // the deployment or run that it carries out; "" where the server does not say
	Outcome        report.Outcome
	Started, Ended time.Time
}

// Release is what reports want to know of one.
type Release struct {
	Version  string
	Released time.Time
}

// Source is one Space's server, asked in the background. Lists of identifiers may be of any length.
type Source interface {
	Events(ctx context.Context, q EventQuery) (EventPage, error)
	// Runs returns those of the deployments or runs that the server still has, without outcome and release.
	Runs(ctx context.Context, kind report.Kind, ids []string) ([]report.Deployment, error)
	// List is a page of all of them, the newest first, and how many there are.
	List(ctx context.Context, kind report.Kind, skip, take int) ([]report.Deployment, int, error)
	Tasks(ctx context.Context, ids []string) (map[string]Task, error)
	Releases(ctx context.Context, ids []string) (map[string]Release, error)
	Names(ctx context.Context) ([]report.Name, error)
	// Counts tells how many of what the Space holds, by metric, and leaves out what the key may not see.
	Counts(ctx context.Context) (map[string]int64, error)
	// Asked is how many requests were made by this source.
	Asked() int64
}

// Connect makes a source of a Space.
type Connect func(ctx context.Context, id odcm.SpaceID) (Source, error)

// State is where the collection of a Space stands.
type State struct {
	Revision int64     // grows with every commit; 0 before the first
	Since    time.Time // when it began
	Cursor   int64     // number of the last event that was read, 0 for none
	Anchor   time.Time // when that happened, by the server's clock
	Fill     *Fill     // the list that is being read; nil for none
	Checked  time.Time // when a round last came to its end
	Compared time.Time // when the newest part of the list was last compared
	Resynced time.Time // when the lists were last read because events were not what they had been
	Blind    time.Time // until when events are not asked for: the key may not see them, or they cannot be followed
	Named    time.Time // when names were last read
	Sampled  time.Time // the day of the last samples
}

// Fill is how far a list has been read, from its newest end.
type Fill struct {
	Kind   report.Kind
	Until  time.Time // what was made before is not wanted
	Skip   int
	Tail   string // the last of the page before, which the next one must overlap
	TailAt time.Time
}

// Batch is what one commit holds.
type Batch struct {
	Space    Space
	Next     State // its Revision is the one that was read
	Facts    []report.Deployment
	Names    []report.Name // nil leaves those that are known
	Samples  []report.Sample
	Gap      *report.Gap
	Requests int64 // made since the last commit
	Error    string
	Now      time.Time
}

// Store keeps facts and where their collection stands.
type Store interface {
	State(ctx context.Context, space odcm.SpaceID) (State, error)
	// Commit merges facts ([report.Deployment.Merge]), keeps the rest and the next state in one transaction, and returns the
	// new revision. Where the state is not the one that was read, nothing happens and the kind is odcm.Conflict. Facts of a time
	// that is summed up already are left out.
	Commit(ctx context.Context, b Batch) (int64, error)
	// Known tells of each identifier that there is a fact of, how it stands.
	Known(ctx context.Context, space odcm.SpaceID, kind report.Kind, ids []string) (map[string]report.Outcome, error)
	// Open lists facts that have not ended and that nobody asked for since the time, the longest unasked first.
	Open(ctx context.Context, space odcm.SpaceID, before time.Time, limit int) ([]report.Deployment, error)
	// Unnamed tells whether a fact refers to something of which no name is known.
	Unnamed(ctx context.Context, space odcm.SpaceID) (bool, error)
}
